//! Data in LiveKit's message format, and outgoing data that waits for a channel.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use prost::Message as _;
use proto::data_packet::{Kind, Value};
use proto::data_stream::{Chunk, Header, TextHeader, Trailer, header::ContentHeader};

use super::proto;
use super::texts::Texts;
use crate::error::{Code, SpeakerError};
use crate::ids::Ticket;
use crate::output::{
    DataInterest, IncomingContent, IncomingData, OutgoingContent, OutgoingData, OutputEvent, Payload, Rpc, Text,
};

/// The size of a text's chunks, as in LiveKit's clients.
const CHUNK: usize = 15_000;

/// The outcome of writing a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// The transport has accepted it.
    Done,
    /// The transport is full, and reports when it has room again.
    Full,
    /// The channel is not open.
    NotOpen,
}

struct Waiting {
    ticket: Ticket,
    is_reliable: bool,
    packets: Vec<Vec<u8>>,
    /// The number of packets already written.
    written: usize,
}

/// The data of one session, across all rooms that it joins.
#[derive(Default)]
pub struct Data {
    /// The kinds of received data that are wanted.
    interest: DataInterest,
    /// Something was to be sent.
    is_sent: bool,
    /// The outgoing data, in the order of the calls.
    waiting: VecDeque<Waiting>,
    /// The time by which a channel has to be open.
    until: Option<Instant>,
    texts: Texts,
    /// Events that are still to be reported.
    events: VecDeque<OutputEvent>,
}

impl Data {
    /// Returns true if data channels are needed, in every room.
    pub fn is_used(&self) -> bool {
        self.is_sent || self.interest != DataInterest::default()
    }

    /// Sets which kinds of received data are wanted from now on.
    pub fn set_interest(&mut self, interest: DataInterest) {
        self.interest = interest;
    }

    /// Queues outgoing data for the call with this ticket.
    pub fn ask(&mut self, outgoing: OutgoingData, ticket: Ticket) {
        self.is_sent = true;
        let is_reliable = !matches!(outgoing.content, OutgoingContent::Data { is_reliable: false, .. });
        self.waiting.push_back(Waiting { ticket, is_reliable, packets: packets(outgoing), written: 0 });
    }

    pub fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Writes waiting packets as far as `write` accepts them. Returns true if it accepted any. Data that has no channel within `limit`,
    /// although the room can be reached, fails.
    pub fn send(&mut self, limit: Duration, now: Instant, mut write: impl FnMut(bool, &[u8]) -> Written) -> bool {
        let mut has_written = false;
        while let Some(Waiting { ticket, is_reliable, packets, written }) = self.waiting.front_mut() {
            let Some(packet) = packets.get(*written) else {
                self.events.push_back(OutputEvent::Sent { ticket: *ticket, error: None });
                self.waiting.pop_front();
                continue;
            };
            match write(*is_reliable, packet) {
                Written::Done => {
                    *written += 1;
                    has_written = true;
                    self.until = None;
                }
                Written::Full => {
                    self.until = None;
                    break;
                }
                Written::NotOpen if *self.until.get_or_insert(now + limit) <= now => {
                    let limit = limit.as_millis();
                    let message =
                        format!("the LiveKit server opened no data channel within {limit} ms (connectTimeoutMs)");
                    self.refuse(&SpeakerError::new(Code::Refused, message));
                }
                Written::NotOpen => break,
            }
        }
        has_written
    }

    /// Fails everything that waits.
    pub fn refuse(&mut self, error: &SpeakerError) {
        self.until = None;
        let refused = self
            .waiting
            .drain(..)
            .map(|Waiting { ticket, .. }| OutputEvent::Sent { ticket, error: Some(error.clone()) });
        self.events.extend(refused);
    }

    /// Handles that the room can't be reached for now.
    pub fn interrupt(&mut self) {
        self.until = None;
    }

    /// Resets for another room: data that was sent in part starts over there, and texts received in part are dropped.
    pub fn reset(&mut self) {
        self.until = None;
        self.texts.clear();
        self.waiting.iter_mut().for_each(|waiting| waiting.written = 0);
    }

    pub fn next_deadline(&self) -> Option<Instant> {
        self.until
    }

    /// Returns the next event to report.
    pub fn next_event(&mut self) -> Option<OutputEvent> {
        self.events.pop_front()
    }

    /// Handles a received packet.
    pub fn take(&mut self, packet: &[u8], is_reliable: bool) {
        if self.interest == DataInterest::default() {
            return;
        }
        let Ok(packet) = proto::DataPacket::decode(packet) else { return };
        let identity = text(packet.participant_identity);
        let incoming = match packet.value {
            Some(Value::User(user)) if self.interest.data => Some(data(identity, user, is_reliable)),
            Some(Value::StreamHeader(header)) if self.interest.text => self.texts.begin(identity, header),
            Some(Value::StreamChunk(chunk)) => {
                self.texts.go_on(&identity, &chunk);
                None
            }
            Some(Value::StreamTrailer(trailer)) => self.texts.end(&identity, trailer),
            Some(value) if self.interest.rpc => rpc(identity, value),
            _ => None,
        };
        self.events.extend(incoming.map(OutputEvent::Data));
    }
}

/// Returns the error for a missing grant to send data.
pub fn no_grant() -> SpeakerError {
    let message = "Expected the grant canPublishData for the LiveKit room but received none";
    SpeakerError::new(Code::Refused, message)
}

/// Returns None for an empty text.
pub fn text(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn data(identity: Option<String>, user: proto::UserPacket, is_reliable: bool) -> IncomingData {
    // Older servers name the sender only here.
    #[allow(deprecated)]
    let identity = identity.or_else(|| text(user.participant_identity));
    let content = IncomingContent::Data { payload: Payload(user.payload), is_reliable };
    IncomingData { identity, topic: user.topic.and_then(text), content }
}

/// Reads a message of a remote procedure call. Compressed payloads are only sent to clients that announce support, so there are none.
fn rpc(identity: Option<String>, value: Value) -> Option<IncomingData> {
    use proto::rpc_response::Value as Response;
    let rpc = match value {
        Value::RpcRequest(request) => {
            let proto::RpcRequest { id, method, payload, response_timeout_ms: timeout_ms, version, .. } = request;
            Rpc::Request { id, method, payload: Text(payload), timeout_ms, version }
        }
        Value::RpcAck(proto::RpcAck { request_id: id }) => Rpc::Ack { id },
        Value::RpcResponse(proto::RpcResponse { request_id: id, value }) => match value? {
            Response::Payload(payload) => Rpc::Response { id, payload: Text(payload) },
            Response::Error(proto::RpcError { code, message, data }) => {
                Rpc::Error { id, code, message: Text(message), data: Text(data) }
            }
            Response::CompressedPayload(_) => return None,
        },
        _ => return None,
    };
    Some(IncomingData { identity, topic: None, content: IncomingContent::Rpc(rpc) })
}

fn rpc_value(rpc: Rpc) -> Value {
    use proto::rpc_response::Value as Response;
    let response = |request_id, value| Value::RpcResponse(proto::RpcResponse { request_id, value: Some(value) });
    match rpc {
        Rpc::Request { id, method, payload: Text(payload), timeout_ms: response_timeout_ms, version } => {
            let compressed_payload = Vec::new();
            Value::RpcRequest(proto::RpcRequest {
                id,
                method,
                payload,
                response_timeout_ms,
                version,
                compressed_payload,
            })
        }
        Rpc::Ack { id: request_id } => Value::RpcAck(proto::RpcAck { request_id }),
        Rpc::Response { id, payload: Text(payload) } => response(id, Response::Payload(payload)),
        Rpc::Error { id, code, message: Text(message), data: Text(data) } => {
            response(id, Response::Error(proto::RpcError { code, message, data }))
        }
    }
}

fn packets(OutgoingData { topic, to, content }: OutgoingData) -> Vec<Vec<u8>> {
    let packet = |kind: Kind, value| {
        // Older servers read the kind only here.
        #[allow(deprecated)]
        let packet = proto::DataPacket {
            kind: kind as i32,
            destination_identities: to.clone(),
            value: Some(value),
            ..Default::default()
        };
        packet.encode_to_vec()
    };
    match content {
        OutgoingContent::Data { payload: Payload(payload), is_reliable } => {
            let kind = if is_reliable { Kind::Reliable } else { Kind::Lossy };
            // Older servers read the receivers only here.
            #[allow(deprecated)]
            let user = proto::UserPacket { payload, topic, destination_identities: to.clone(), ..Default::default() };
            vec![packet(kind, Value::User(user))]
        }
        OutgoingContent::Rpc(rpc) => vec![packet(Kind::Reliable, rpc_value(rpc))],
        OutgoingContent::Text { text: Text(text), attributes, id, timestamp } => {
            let header = Header {
                stream_id: id.clone(),
                timestamp,
                topic: topic.unwrap_or_default(),
                mime_type: "text/plain".to_owned(),
                total_length: Some(text.len() as u64),
                attributes: attributes.into_iter().collect(),
                content_header: Some(ContentHeader::TextHeader(TextHeader::default())),
                ..Default::default()
            };
            let chunk = |(index, content): (usize, &str)| {
                let (chunk_index, content) = (index as u64, content.into());
                Value::StreamChunk(Chunk { stream_id: id.clone(), chunk_index, content, ..Default::default() })
            };
            let trailer = Trailer { stream_id: id.clone(), ..Default::default() };
            let values = [Value::StreamHeader(header)].into_iter().chain(pieces(&text).enumerate().map(chunk));
            values.chain([Value::StreamTrailer(trailer)]).map(|value| packet(Kind::Reliable, value)).collect()
        }
    }
}

/// Splits a text into chunks at character boundaries, because some clients decode each chunk by itself.
fn pieces(mut rest: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let (piece, behind) = rest.split_at(rest.floor_char_boundary(CHUNK));
        rest = behind;
        (!piece.is_empty()).then_some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    fn outgoing(payload: &str, topic: Option<&str>, to: &[&str]) -> OutgoingData {
        OutgoingData {
            topic: topic.map(Into::into),
            to: to.iter().map(|identity| (*identity).to_owned()).collect(),
            content: OutgoingContent::Data { payload: Payload(payload.into()), is_reliable: true },
        }
    }

    fn outgoing_text(text: &str) -> OutgoingData {
        let attributes = [("mood".to_owned(), "good".to_owned())].into();
        let content =
            OutgoingContent::Text { text: Text(text.to_owned()), attributes, id: "id".to_owned(), timestamp: 7 };
        OutgoingData { topic: Some("chat".to_owned()), to: vec!["a".to_owned()], content }
    }

    fn hearing(data: bool, text: bool) -> Data {
        let mut hearing = Data::default();
        hearing.set_interest(DataInterest { data, text, rpc: false });
        hearing
    }

    /// Returns the data reported for these packets.
    fn reported(data: &mut Data, packets: &[Vec<u8>], is_reliable: bool) -> Vec<IncomingData> {
        packets.iter().for_each(|packet| data.take(packet, is_reliable));
        let reported = std::iter::from_fn(|| data.next_event()).map(|event| match event {
            OutputEvent::Data(incoming) => incoming,
            _ => panic!("only data is expected"),
        });
        reported.collect()
    }

    #[test]
    fn encodes_packet_fields() {
        let packets = packets(outgoing("hello", Some("chat"), &["a", "b"]));
        let packet = proto::DataPacket::decode(&*packets[0]).unwrap();
        assert_eq!((packets.len(), &*packet.destination_identities), (1, &["a".to_owned(), "b".to_owned()][..]));
        let Some(Value::User(user)) = packet.value else { panic!("no user's") };
        assert_eq!((&*user.payload, user.topic.as_deref()), (&b"hello"[..], Some("chat")));
    }

    #[test]
    fn reads_sender_and_topic_of_any_server() {
        #[allow(deprecated)]
        let packet = |outer: &str, inner: &str, topic: Option<&str>| {
            let user = proto::UserPacket {
                participant_identity: inner.to_owned(),
                payload: vec![1, 2],
                topic: topic.map(Into::into),
                ..Default::default()
            };
            let (participant_identity, value) = (outer.to_owned(), Some(Value::User(user)));
            let packet = proto::DataPacket { participant_identity, value, ..Default::default() };
            reported(&mut hearing(true, false), &[packet.encode_to_vec()], false)
        };
        let (some, none) = (|text: &str| Some(text.to_owned()), None::<String>);
        for (outer, inner, said, identity, topic) in [
            ("a", "", Some("t"), some("a"), some("t")),
            ("a", "b", None, some("a"), none.clone()),
            ("", "b", Some(""), some("b"), none.clone()),
            ("", "", Some("t"), none.clone(), some("t")),
        ] {
            let content = IncomingContent::Data { payload: Payload(vec![1, 2]), is_reliable: false };
            assert_eq!(packet(outer, inner, said), [IncomingData { identity, topic, content }]);
        }
    }

    #[test]
    fn ignores_unreadable_and_unwanted_packets() {
        let value = |value| proto::DataPacket { value, ..Default::default() }.encode_to_vec();
        let ack = Value::RpcAck(proto::RpcAck::default());
        let unreadable = [value(None), value(Some(ack)), vec![], vec![0xff; 3], b"\x12\xff\xff\xff\xff\x0f".to_vec()];
        assert_eq!(reported(&mut hearing(true, true), &unreadable, true), []);
        let packets = [packets(outgoing("hello", None, &[])), packets(outgoing_text("hello"))].concat();
        for (data, text) in [(false, false), (true, false), (false, true), (true, true)] {
            let reported = reported(&mut hearing(data, text), &packets, true);
            assert_eq!(reported.len(), usize::from(data) + usize::from(text), "{data} {text}");
        }
    }

    #[test]
    fn texts_of_any_length_round_trip() {
        for text in
            [String::new(), "a".repeat(CHUNK), format!("{}ä\u{1f600}", "a".repeat(CHUNK - 1)), "é€".repeat(20_000)]
        {
            let packets = packets(outgoing_text(&text));
            assert!(packets.iter().all(|packet| packet.len() < CHUNK + 200));
            for packet in &packets {
                if let Some(Value::StreamChunk(chunk)) = proto::DataPacket::decode(&**packet).unwrap().value {
                    String::from_utf8(chunk.content).expect("no character is cut");
                }
            }
            let attributes = [("mood".to_owned(), "good".to_owned())].into();
            let content = IncomingContent::Text { text: Text(text), attributes };
            let expected = IncomingData { identity: None, topic: Some("chat".to_owned()), content };
            assert_eq!(reported(&mut hearing(false, true), &packets, true), [expected]);
        }
    }

    #[test]
    fn messages_of_calls_come_as_they_went() {
        let id = || "id".to_owned();
        let (text, method) = (|text: &str| Text(text.to_owned()), "m".to_owned());
        for rpc in [
            Rpc::Request { id: id(), method, payload: text("{}"), timeout_ms: 5_000, version: 1 },
            Rpc::Ack { id: id() },
            Rpc::Response { id: id(), payload: text("done") },
            Rpc::Error { id: id(), code: 1_500, message: text("no"), data: text("why") },
        ] {
            let content = OutgoingContent::Rpc(rpc.clone());
            let packets = packets(OutgoingData { topic: None, to: vec!["a".to_owned()], content });
            let mut data = Data::default();
            data.set_interest(DataInterest { rpc: true, ..DataInterest::default() });
            let expected = IncomingData { identity: None, topic: None, content: IncomingContent::Rpc(rpc) };
            assert_eq!(reported(&mut data, &packets, true), [expected]);
            assert_eq!(reported(&mut hearing(true, true), &packets, true), []);
        }
        let value = Some(proto::rpc_response::Value::CompressedPayload(vec![1]));
        assert_eq!(rpc(None, Value::RpcResponse(proto::RpcResponse { request_id: id(), value })), None);
    }

    /// Returns the outcomes of calls: their tickets, with `!` for failures.
    fn answers(data: &mut Data) -> String {
        let answers = std::iter::from_fn(|| data.next_event()).map(|answer| match answer {
            OutputEvent::Sent { ticket, error: None } => ticket.to_string(),
            OutputEvent::Sent { ticket, error: Some(_) } => format!("{ticket}!"),
            _ => "?".to_owned(),
        });
        answers.collect::<Vec<_>>().join(" ")
    }

    /// Sends as many packets as there is room for. Returns the outcomes of calls, and the number of packets sent.
    fn send(data: &mut Data, mut room: usize) -> (String, usize) {
        let mut went = 0;
        data.send(LIMIT, Instant::now(), |_, _| match room {
            0 => Written::Full,
            _ => {
                (room, went) = (room - 1, went + 1);
                Written::Done
            }
        });
        (answers(data), went)
    }

    #[test]
    fn sends_in_order_as_room_allows() {
        let mut data = Data::default();
        assert!(!data.is_used());
        (1..=4).for_each(|ticket| data.ask(outgoing("x", None, &[]), ticket.into()));
        assert!(data.is_used());
        assert_eq!(send(&mut data, 2), ("1 2".to_owned(), 2));
        assert_eq!(send(&mut data, 1), ("3".to_owned(), 1));
        assert_eq!(data.next_deadline(), None, "a transport that is full is waited for");
        assert_eq!(send(&mut data, 5), ("4".to_owned(), 1));
        assert!(!data.has_waiting() && data.is_used());
    }

    #[test]
    fn text_starts_over_in_another_room() {
        let mut data = Data::default();
        data.ask(outgoing_text(&"a".repeat(2 * CHUNK)), 1.into()); // two parts between a beginning and an end
        assert_eq!(send(&mut data, 3), (String::new(), 3));
        data.interrupt();
        assert_eq!(send(&mut data, 0), (String::new(), 0));
        data.reset();
        assert_eq!(send(&mut data, 9), ("1".to_owned(), 4));
    }

    #[test]
    fn waits_for_channel_until_timeout() {
        let (mut data, begin) = (Data::default(), Instant::now());
        let at = |ms| begin + Duration::from_millis(ms);
        data.ask(outgoing("x", None, &[]), 1.into());
        data.send(LIMIT, at(0), |_, _| Written::NotOpen);
        assert_eq!(data.next_deadline(), Some(at(10_000)));
        data.interrupt();
        data.send(LIMIT, at(9_000), |_, _| Written::NotOpen);
        data.ask(outgoing("x", None, &[]), 2.into());
        data.send(LIMIT, at(18_999), |_, _| Written::NotOpen);
        assert_eq!(answers(&mut data), "");
        data.send(LIMIT, at(19_000), |_, _| Written::NotOpen);
        assert_eq!((answers(&mut data), data.next_deadline()), ("1! 2!".to_owned(), None));
    }

    #[test]
    fn answers_refused_data() {
        let mut data = Data::default();
        data.ask(outgoing("x", None, &[]), 7.into());
        data.refuse(&no_grant());
        assert_eq!((answers(&mut data), data.has_waiting()), ("7!".to_owned(), false));
    }
}
