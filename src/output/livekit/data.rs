//! Data as LiveKit's messages have it, and what of ours waits for the way to the room.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use prost::Message as _;

use super::proto;
use crate::error::{Code, SpeakerError};
use crate::output::{IncomingData, OutgoingData, OutputEvent, Payload};

/// What became of a packet that was to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// The transport has it.
    Done,
    /// The transport is full; it says when it is not.
    Full,
    /// Its channel is not open.
    NotOpen,
}

struct Waiting {
    ticket: u32,
    is_reliable: bool,
    packet: Vec<u8>,
}

/// Data of one session, in whatever room it is in.
#[derive(Default)]
pub struct Data {
    /// What comes is wanted.
    is_heard: bool,
    /// Something was to be sent.
    is_sent: bool,
    /// In the order of the calls.
    waiting: VecDeque<Waiting>,
    /// Until when a channel has to be open that something waits for.
    until: Option<Instant>,
    answers: VecDeque<OutputEvent>,
}

impl Data {
    /// Whether there have to be channels, in every room.
    pub fn is_used(&self) -> bool {
        self.is_heard || self.is_sent
    }

    /// What comes from now on is wanted, or is not.
    pub fn hear(&mut self, is_heard: bool) {
        self.is_heard = is_heard;
    }

    /// Takes what is to be sent, for the call with this ticket.
    pub fn ask(&mut self, data: OutgoingData, ticket: u32) {
        self.is_sent = true;
        let is_reliable = data.is_reliable;
        self.waiting.push_back(Waiting { ticket, is_reliable, packet: write(data) });
    }

    pub fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Writes what waits as far as `write` takes it; returns true if it took any. Whoever has no way within `limit`, though the room is
    /// there, gives up.
    pub fn send(&mut self, limit: Duration, now: Instant, mut write: impl FnMut(bool, &[u8]) -> Written) -> bool {
        let mut has_written = false;
        while let Some(Waiting { ticket, is_reliable, packet }) = self.waiting.front() {
            match write(*is_reliable, packet) {
                Written::Done => {
                    has_written = true;
                    self.answers.push_back(OutputEvent::Sent(*ticket, None));
                    self.waiting.pop_front();
                    self.until = None;
                }
                Written::Full => {
                    self.until = None;
                    break;
                }
                Written::NotOpen if *self.until.get_or_insert(now + limit) <= now => {
                    let limit = limit.as_millis();
                    let message = format!("the LiveKit server opened no data channel within {limit} ms (connectTimeoutMs)");
                    self.refuse(&SpeakerError::new(Code::Refused, message));
                }
                Written::NotOpen => break,
            }
        }
        has_written
    }

    /// Nothing that waits is sent.
    pub fn refuse(&mut self, error: &SpeakerError) {
        self.until = None;
        let refused = self.waiting.drain(..).map(|Waiting { ticket, .. }| OutputEvent::Sent(ticket, Some(error.clone())));
        self.answers.extend(refused);
    }

    /// The room is not reached for now, or another one is joined.
    pub fn interrupt(&mut self) {
        self.until = None;
    }

    pub fn next_deadline(&self) -> Option<Instant> {
        self.until
    }

    /// What became of what was to be sent.
    pub fn answer(&mut self) -> Option<OutputEvent> {
        self.answers.pop_front()
    }

    /// Takes a packet that has come. Nothing for what nobody wants.
    pub fn take(&self, packet: &[u8], is_reliable: bool) -> Option<IncomingData> {
        self.is_heard.then(|| read(packet, is_reliable)).flatten()
    }
}

/// The room takes no data of ours.
pub fn no_grant() -> SpeakerError {
    let message = "Expected the grant canPublishData for the LiveKit room but received none";
    SpeakerError::new(Code::Refused, message)
}

fn write(data: OutgoingData) -> Vec<u8> {
    use proto::data_packet::{Kind, Value};
    let OutgoingData { payload: Payload(payload), topic, is_reliable, to } = data;
    let kind = if is_reliable { Kind::Reliable } else { Kind::Lossy };
    // Servers before 1.7 know the fields that are deprecated.
    #[allow(deprecated)]
    let packet = proto::DataPacket {
        kind: kind as i32,
        destination_identities: to.clone(),
        value: Some(Value::User(proto::UserPacket { payload, topic, destination_identities: to, ..Default::default() })),
        ..Default::default()
    };
    packet.encode_to_vec()
}

/// Nothing for what no user sent, or can't be read.
pub fn read(packet: &[u8], is_reliable: bool) -> Option<IncomingData> {
    let packet = proto::DataPacket::decode(packet).ok()?;
    let Some(proto::data_packet::Value::User(user)) = packet.value else { return None };
    // Older servers name the sender in there only.
    #[allow(deprecated)]
    let within = user.participant_identity;
    let text = |text: String| (!text.is_empty()).then_some(text);
    Some(IncomingData {
        identity: text(packet.participant_identity).or_else(|| text(within)),
        topic: user.topic.and_then(text),
        payload: Payload(user.payload),
        is_reliable,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    fn outgoing(payload: &str, topic: Option<&str>, to: &[&str]) -> OutgoingData {
        OutgoingData {
            payload: Payload(payload.into()),
            topic: topic.map(Into::into),
            is_reliable: true,
            to: to.iter().map(|identity| (*identity).to_owned()).collect(),
        }
    }

    #[test]
    fn a_packet_bears_what_it_was_given() {
        let packet = proto::DataPacket::decode(&*write(outgoing("hello", Some("chat"), &["a", "b"]))).unwrap();
        assert_eq!(packet.destination_identities, ["a", "b"]);
        let Some(proto::data_packet::Value::User(user)) = packet.value else { panic!("no user's") };
        assert_eq!((&*user.payload, user.topic.as_deref()), (&b"hello"[..], Some("chat")));
    }

    #[test]
    fn a_packet_is_read_whoever_names_its_sender_and_topic() {
        #[allow(deprecated)]
        let packet = |outer: &str, inner: &str, topic: Option<&str>| {
            let user = proto::UserPacket {
                participant_identity: inner.to_owned(),
                payload: vec![1, 2],
                topic: topic.map(Into::into),
                ..Default::default()
            };
            let value = Some(proto::data_packet::Value::User(user));
            let packet = proto::DataPacket { participant_identity: outer.to_owned(), value, ..Default::default() };
            read(&packet.encode_to_vec(), false).unwrap()
        };
        let (some, none) = (|text: &str| Some(text.to_owned()), None::<String>);
        for (outer, inner, topic, identity, read_topic) in [
            ("a", "", Some("t"), some("a"), some("t")),
            ("a", "b", None, some("a"), none.clone()),
            ("", "b", Some(""), some("b"), none.clone()),
            ("", "", Some("t"), none.clone(), some("t")),
        ] {
            let expected =
                IncomingData { identity, topic: read_topic, payload: Payload(vec![1, 2]), is_reliable: false };
            assert_eq!(packet(outer, inner, topic), expected);
        }
    }

    #[test]
    fn what_no_user_sent_or_nobody_can_read_is_nothing() {
        let value = |value| proto::DataPacket { value, ..Default::default() }.encode_to_vec();
        let ack = proto::data_packet::Value::RpcAck(proto::RpcAck::default());
        for packet in [&value(None)[..], &value(Some(ack)), b"", b"\xff\xff\xff", b"\x12\xff\xff\xff\xff\x0f"] {
            assert_eq!(read(packet, true), None, "{packet:?}");
        }
        let mut data = Data::default();
        let packet = write(outgoing("hello", None, &[]));
        assert_eq!(data.take(&packet, true), None, "nobody wants it");
        data.hear(true);
        assert!(data.take(&packet, true).is_some());
    }

    /// What became of calls: their tickets, `!` for those that failed.
    fn answers(data: &mut Data) -> String {
        let answers = std::iter::from_fn(|| data.answer()).map(|answer| match answer {
            OutputEvent::Sent(ticket, None) => ticket.to_string(),
            OutputEvent::Sent(ticket, Some(_)) => format!("{ticket}!"),
            _ => "?".to_owned(),
        });
        answers.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_waits_goes_in_order_as_far_as_there_is_room() {
        let (mut data, now) = (Data::default(), Instant::now());
        assert!(!data.is_used());
        (1..=4).for_each(|ticket| data.ask(outgoing("x", None, &[]), ticket));
        assert!(data.is_used());
        let mut room = 2;
        let mut send = |data: &mut Data, more: usize| {
            room += more;
            data.send(LIMIT, now, |_, _| match room {
                0 => Written::Full,
                _ => {
                    room -= 1;
                    Written::Done
                }
            });
            answers(data)
        };
        assert_eq!(send(&mut data, 0), "1 2");
        assert_eq!(send(&mut data, 1), "3");
        assert_eq!(data.next_deadline(), None, "a transport that is full is waited for");
        assert_eq!(send(&mut data, 5), "4");
        assert!(!data.has_waiting() && data.is_used());
    }

    #[test]
    fn a_channel_is_waited_for_so_long_while_the_room_is_there() {
        let (mut data, begin) = (Data::default(), Instant::now());
        let at = |ms| begin + Duration::from_millis(ms);
        data.ask(outgoing("x", None, &[]), 1);
        data.send(LIMIT, at(0), |_, _| Written::NotOpen);
        assert_eq!(data.next_deadline(), Some(at(10_000)));
        data.interrupt();
        data.send(LIMIT, at(9_000), |_, _| Written::NotOpen);
        data.ask(outgoing("x", None, &[]), 2);
        data.send(LIMIT, at(18_999), |_, _| Written::NotOpen);
        assert_eq!(answers(&mut data), "");
        data.send(LIMIT, at(19_000), |_, _| Written::NotOpen);
        assert_eq!((answers(&mut data), data.next_deadline()), ("1! 2!".to_owned(), None));
    }

    #[test]
    fn what_is_refused_is_answered() {
        let mut data = Data::default();
        data.ask(outgoing("x", None, &[]), 7);
        data.refuse(&no_grant());
        assert_eq!((answers(&mut data), data.has_waiting()), ("7!".to_owned(), false));
    }
}
