//! The remote participants that the session listens to: their tracks, the media lines these come on, and the buffers of their packets.
//!
//! ```text
//! listed participants ─▶ a track for each listener ─▶ subscribed ─▶ the server requires media lines ─▶ offered and agreed: the track
//! comes on a line ─▶ packets ─▶ jitter buffer ─▶ frames
//! ```
//!
//! Only tracks that somebody listens to are subscribed. A line stays after its track has ended, for the server to use again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::peer::{Mid, OpusTypes, ReceiveLines};
use super::signal_event::{LocalParticipant, Side, no_subscribing};
use crate::audio::{FRAME_TIME, Samples, samples};
use crate::error::SpeakerError;
use crate::listen::{Format, JitterBuffer, Packet};
use crate::output::{Listening, Participant, Presence};
use crate::runtime::{round_up, wake_at};

/// How far frames may be overdue before they are skipped, because the process was halted.
const MAX_OVERDUE: Duration = Duration::from_secs(1);

/// A media line of one of the peer connections, on which the server may send.
struct ReceiveLine {
    side: Side,
    mid: Mid,
    /// The track that comes on it.
    track: Option<String>,
}

#[derive(Default)]
pub struct Listeners {
    all: Vec<Listener>,
    /// The other participants and their tracks, by identity.
    others: BTreeMap<String, Participant>,
    /// The subscribed tracks.
    subscribed: Vec<String>,
    /// The tracks to subscribe to may have changed.
    is_changed: bool,
    lines: Vec<ReceiveLine>,
    /// The lines that are offered and not agreed yet.
    offered: Vec<Mid>,
    /// The number of new lines that the server requires, if it wants an offer.
    wanted: Option<usize>,
    /// The room can be reached.
    is_reachable: bool,
    /// The token has no grant to subscribe.
    is_refused: bool,
}

struct Listener {
    listening: Arc<Listening>,
    /// The start of the session's time.
    epoch: Instant,
    /// The participant's track, while there is one.
    track: Option<String>,
    reception: Option<Reception>,
}

/// The reception of a track.
struct Reception {
    buffer: JitterBuffer,
    /// The session's time at its first packet.
    begun: Samples,
    /// The time of the next frame; None in silence.
    due: Option<Instant>,
}

/// The messages to send to the server.
#[derive(Debug, Default)]
pub struct Todo {
    /// Tracks to subscribe to.
    pub subscribe: Vec<String>,
    /// Tracks to unsubscribe from.
    pub unsubscribe: Vec<String>,
    /// The receive lines to offer, if an offer is needed.
    pub lines: Option<ReceiveLines>,
}

impl Listeners {
    pub fn listen(&mut self, listening: Arc<Listening>, epoch: Instant) {
        if self.is_refused {
            return listening.fail(no_subscribing());
        }
        self.all.push(Listener { listening, epoch, track: None, reception: None });
        self.choose();
    }

    pub fn unlisten(&mut self, id: u32) {
        self.all.retain(|listener| listener.listening.id != id);
        self.is_changed = true;
    }

    /// Returns true if nobody is listened to.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Returns true if any track is subscribed.
    pub fn is_listening(&self) -> bool {
        !self.subscribed.is_empty()
    }

    /// Returns the subscribed tracks.
    pub fn subscribed(&self) -> &[String] {
        &self.subscribed
    }

    /// Handles that the room was joined; `local` has our permissions.
    pub fn joined(&mut self, local: &LocalParticipant) {
        self.is_reachable = true;
        self.update_local(local);
    }

    /// Updates our permissions.
    pub fn update_local(&mut self, local: &LocalParticipant) {
        self.is_refused = !local.can_subscribe;
        if self.is_refused {
            self.all.drain(..).for_each(|listener| listener.listening.fail(no_subscribing()));
            self.is_changed = true;
        }
    }

    /// Handles that the connection was interrupted.
    pub fn interrupted(&mut self) {
        self.is_reachable = false;
    }

    /// Handles that the session was resumed. Pending offers are void.
    pub fn resumed(&mut self) {
        self.is_reachable = true;
        self.withdrawn();
        if self.is_listening() {
            self.wanted.get_or_insert(0);
        }
    }

    /// Resets everything but the listeners, because the room is about to be rejoined.
    pub fn reset(&mut self) {
        let all = std::mem::take(&mut self.all);
        *self = Self { all, ..Self::default() };
        self.choose();
    }

    /// Updates the other participants.
    pub fn update_others(&mut self, presence: &Presence) {
        match presence {
            Presence::Local(_) => {}
            Presence::Others(others) => {
                self.others = others.iter().map(|other| (other.identity.clone(), other.clone())).collect();
            }
            Presence::Listed(other) => {
                let known = self.others.get(&other.identity);
                if known.is_none_or(|known| known.sid != other.sid || known.version <= other.version) {
                    self.others.insert(other.identity.clone(), other.clone());
                }
            }
            Presence::Left { identity, sid } => {
                if self.others.get(identity).is_some_and(|known| known.sid == *sid) {
                    self.others.remove(identity);
                }
            }
        }
        self.choose();
    }

    /// Fails the listeners of a track that the server can't send.
    pub fn refused(&mut self, track: &str, error: &SpeakerError) {
        let is_theirs = |listener: &mut Listener| listener.track.as_deref() == Some(track);
        for listener in self.all.extract_if(.., is_theirs) {
            listener.listening.fail(error.clone());
        }
        self.is_changed = true;
    }

    /// Handles that the server requires an offer with this many new lines.
    pub fn want(&mut self, lines: usize) {
        self.wanted = Some(self.wanted.unwrap_or_default().max(lines));
    }

    /// Finds each listener's track.
    fn choose(&mut self) {
        for listener in &mut self.all {
            let track =
                self.others.get(&listener.listening.identity).and_then(|other| track(other, &listener.listening));
            if listener.track.as_deref() == track {
                continue;
            }
            if listener.reception.take().is_some() {
                listener.listening.lose_track();
            }
            listener.track = track.map(str::to_owned);
        }
        self.is_changed = true;
    }

    /// Returns what to send now. `awaits_answer` is true while an offer is pending, so that there can't be another.
    pub fn todo(&mut self, awaits_answer: bool) -> Todo {
        let mut todo = Todo::default();
        if !self.is_reachable {
            return todo;
        }
        if std::mem::take(&mut self.is_changed) {
            let mut tracks: Vec<_> = self.all.iter().filter_map(|listener| listener.track.clone()).collect();
            tracks.sort_unstable();
            tracks.dedup();
            todo.subscribe = tracks.iter().filter(|track| !self.subscribed.contains(track)).cloned().collect();
            todo.unsubscribe = self.subscribed.iter().filter(|track| !tracks.contains(track)).cloned().collect();
            self.subscribed = tracks;
            // A track that is subscribed again may come on another line.
            let is_gone = |track: &Option<String>| track.as_ref().is_some_and(|track| todo.unsubscribe.contains(track));
            self.lines.iter_mut().filter(|line| is_gone(&line.track)).for_each(|line| line.track = None);
        }
        if !awaits_answer && let Some(wanted) = self.wanted.take().filter(|_| self.is_listening()) {
            let (missing, free) = (self.missing(), self.lines_of(|track| track.is_none()));
            // Bounded, because a server needs no more than one line for each track.
            let new = wanted.max(missing.saturating_sub(free.len())).min(missing);
            let again = if new == 0 && free.is_empty() { self.lines_of(|_| true) } else { free };
            todo.lines = Some(ReceiveLines { new, again });
        }
        todo
    }

    /// Returns the number of tracks without a line.
    fn missing(&self) -> usize {
        let has_line = |track: &&String| self.lines.iter().any(|line| line.track.as_ref() == Some(track));
        self.subscribed.iter().filter(|track| !has_line(track)).count()
    }

    /// Returns the publisher's lines whose track matches.
    fn lines_of(&self, is_such: impl Fn(&Option<String>) -> bool) -> Vec<Mid> {
        let ours = self.lines.iter().filter(|line| line.side == Side::Publisher && is_such(&line.track));
        ours.map(|line| line.mid).collect()
    }

    /// Notes the offered lines.
    pub fn offered(&mut self, lines: Vec<Mid>) {
        self.offered = lines;
    }

    /// Handles that the pending offer will not be answered.
    pub fn withdrawn(&mut self) {
        if !std::mem::take(&mut self.offered).is_empty() {
            self.wanted.get_or_insert(0);
        }
    }

    /// Handles an agreement on which tracks come on the lines of a side.
    pub fn agreed(&mut self, side: Side, tracks: &[(String, String)]) {
        let offered = std::mem::take(&mut self.offered);
        let known = self.lines.iter().filter(|line| line.side == side).map(|line| line.mid);
        let theirs = tracks.iter().map(|(mid, _)| Mid::from(mid.as_str())).filter(|_| side == Side::Subscriber);
        let mut mids: Vec<_> = known.chain(offered).chain(theirs).collect();
        mids.sort_unstable();
        mids.dedup();
        self.lines.retain(|line| line.side != side);
        self.lines.extend(mids.into_iter().map(|mid| {
            let track = tracks.iter().find(|(line, _)| *line == *mid).map(|(_, track)| track.clone());
            ReceiveLine { side, mid, track }
        }));
    }

    /// Handles a packet that arrived on a line.
    pub fn receive(&mut self, side: Side, mid: Mid, packet: &Packet, arrival: Instant, types: OpusTypes) {
        let line = self.lines.iter().find(|line| line.side == side && line.mid == mid);
        let Some(track) = line.and_then(|line| line.track.as_ref()) else { return };
        for listener in self.all.iter_mut().filter(|listener| listener.track.as_ref() == Some(track)) {
            listener.receive(packet, arrival, types);
        }
    }

    /// Emits the frames that are due.
    pub fn poll(&mut self, now: Instant) {
        for Listener { listening, reception, .. } in &mut self.all {
            let Some(Reception { buffer, begun, due }) = reception else { continue };
            if due.is_some_and(|due| now.saturating_duration_since(due) > MAX_OVERDUE) {
                *due = Some(now);
            }
            while let Some(at) = due.filter(|due| *due <= now) {
                let stats = buffer.stats();
                let frame = buffer.next(at);
                listening.receive(&frame, *begun + frame.time, stats);
                *due = (!buffer.is_at_rest()).then_some(at + FRAME_TIME);
            }
            if let Some(due) = due {
                wake_at(*due);
            }
        }
    }
}

impl Listener {
    fn receive(&mut self, packet: &Packet, arrival: Instant, types: OpusTypes) {
        if self.reception.is_none() {
            let format = Format { opus: types.opus, red: types.red, channels: self.listening.channels };
            // This fails only for other than one or two channels.
            let Ok(buffer) = JitterBuffer::new(format) else { return };
            let begun = samples(arrival.saturating_duration_since(self.epoch));
            self.reception = Some(Reception { buffer, begun, due: None });
        }
        if let Some(Reception { buffer, due, .. }) = &mut self.reception {
            buffer.receive(packet, arrival);
            // Aligned with the frames of all sessions.
            due.get_or_insert_with(|| round_up(arrival + Duration::from_nanos(1), FRAME_TIME));
        }
    }
}

/// Returns the track to listen to, if the participant publishes it.
fn track<'a>(other: &'a Participant, listening: &Listening) -> Option<&'a str> {
    let mut sounds = other.tracks.iter().filter(|track| track.kind == "audio");
    let found = match &listening.track {
        Some(name) => sounds.find(|track| track.name == *name),
        None => sounds.clone().find(|track| track.source == "microphone").or_else(|| sounds.next()),
    };
    found.map(|track| track.sid.as_str())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};

    use opus::{Application, Channels, Encoder};
    use parking_lot::Mutex;

    use super::*;
    use crate::audio::FRAME;
    use crate::error::Code;
    use crate::output::{Backlog, ListenRequest, ParticipantTrack, PcmFormat, PcmFrame, SampleFormat};

    const TYPES: OpusTypes = OpusTypes { opus: 111, red: Some(63) };

    /// Returns a listener to somebody, the channel of its frames, and its failures.
    fn listening(
        id: u32,
        identity: &str,
        track: Option<&str>,
    ) -> (Arc<Listening>, Receiver<PcmFrame>, Arc<Mutex<Vec<Code>>>) {
        let (sender, frames) = channel();
        let failures = Arc::<Mutex<Vec<Code>>>::default();
        let failed = failures.clone();
        let backlog = Arc::new(Backlog::new(Arc::default()));
        let taken = backlog.clone();
        let format = PcmFormat { sample_rate: 48_000, channels: 1, format: SampleFormat::F32, frame_ms: 20 };
        let request = ListenRequest {
            id,
            identity: identity.to_owned(),
            track: track.map(str::to_owned),
            format,
            sink: Arc::new(move |frame| {
                let _ = sender.send(frame);
                taken.release(1);
            }),
            backlog,
            failure: Arc::new(move |_, error| failed.lock().push(error.code)),
        };
        (Listening::new(request), frames, failures)
    }

    fn somebody(identity: &str, sid: &str, version: u32, tracks: &[(&str, &str, &'static str)]) -> Participant {
        let track = |(sid, name, source): &(&str, &str, &'static str)| ParticipantTrack {
            sid: (*sid).to_owned(),
            name: (*name).to_owned(),
            kind: if *source == "camera" { "video" } else { "audio" },
            source,
            muted: false,
        };
        let tracks = tracks.iter().map(track).collect();
        Participant { identity: identity.into(), sid: sid.into(), version, tracks, ..Default::default() }
    }

    fn listed(participant: Participant) -> Presence {
        Presence::Listed(participant)
    }

    /// Returns listeners in a room with a grant to subscribe.
    fn joined() -> Listeners {
        let mut listeners = Listeners::default();
        listeners.joined(&LocalParticipant { can_subscribe: true, ..LocalParticipant::default() });
        listeners
    }

    fn names(tracks: &[String]) -> String {
        tracks.join(" ")
    }

    /// Returns what is to be sent: tracks to subscribe to, tracks to unsubscribe from, and the numbers of new and repeated lines.
    fn reported(listeners: &mut Listeners) -> (String, String, Option<(usize, usize)>) {
        let todo = listeners.todo(false);
        let lines = todo.lines.map(|ReceiveLines { new, again }| (new, again.len()));
        (names(&todo.subscribe), names(&todo.unsubscribe), lines)
    }

    fn agreed(listeners: &mut Listeners, tracks: &[(&str, &str)]) {
        let tracks: Vec<_> = tracks.iter().map(|(mid, track)| ((*mid).to_owned(), (*track).to_owned())).collect();
        listeners.agreed(Side::Publisher, &tracks);
    }

    #[test]
    fn subscribes_while_somebody_listens() {
        let mut listeners = joined();
        listeners.listen(listening(1, "one", None).0, Instant::now());
        let nothing = (String::new(), String::new(), None);
        assert_eq!(reported(&mut listeners), nothing);
        listeners.update_others(&Presence::Others(vec![somebody("two", "P2", 1, &[("T0", "", "microphone")])]));
        assert_eq!(reported(&mut listeners), nothing);
        listeners.update_others(&listed(somebody("one", "P1", 1, &[("T1", "mic", "microphone")])));
        assert_eq!(reported(&mut listeners), ("T1".into(), String::new(), None));
        listeners.listen(listening(2, "one", Some("mic")).0, Instant::now());
        assert_eq!(reported(&mut listeners), nothing, "it is wanted already");
        listeners.unlisten(1);
        assert_eq!(reported(&mut listeners), nothing, "somebody still listens");
        listeners.update_others(&Presence::Left { identity: "one".into(), sid: "P0".into() });
        assert_eq!(reported(&mut listeners), nothing, "an earlier stay has ended");
        listeners.update_others(&Presence::Left { identity: "one".into(), sid: "P1".into() });
        assert_eq!(reported(&mut listeners), (String::new(), "T1".into(), None));
    }

    #[test]
    fn chooses_named_track_or_microphone() {
        let screen = ("S", "screen", "screenShareAudio");
        for (tracks, name, expected) in [
            (&[("C", "face", "camera")][..], None, ""),
            (&[("C", "face", "camera"), screen], None, "S"),
            (&[screen, ("M", "mic", "microphone")], None, "M"),
            (&[screen, ("M", "mic", "microphone")], Some("screen"), "S"),
            (&[screen, ("M", "mic", "microphone")], Some("other"), ""),
        ] {
            let mut listeners = joined();
            listeners.update_others(&listed(somebody("one", "P1", 1, tracks)));
            listeners.listen(listening(1, "one", name).0, Instant::now());
            assert_eq!(reported(&mut listeners).0, expected, "{tracks:?} {name:?}");
        }
    }

    #[test]
    fn ignores_outdated_lists() {
        let mut listeners = joined();
        listeners.listen(listening(1, "one", None).0, Instant::now());
        listeners.update_others(&listed(somebody("one", "P1", 5, &[("T1", "", "microphone")])));
        listeners.update_others(&listed(somebody("one", "P1", 4, &[])));
        assert_eq!(reported(&mut listeners).0, "T1");
        listeners.update_others(&listed(somebody("one", "P2", 1, &[("T2", "", "microphone")])));
        assert_eq!(reported(&mut listeners), ("T2".into(), "T1".into(), None), "another stay restarts the count");
    }

    /// Returns listeners to a single track, which comes on a line of its own.
    fn on_a_line() -> Listeners {
        let mut listeners = joined();
        listeners.listen(listening(1, "one", None).0, Instant::now());
        listeners.update_others(&listed(somebody("one", "P1", 1, &[("T1", "", "microphone")])));
        reported(&mut listeners);
        listeners.want(1);
        assert_eq!(reported(&mut listeners), (String::new(), String::new(), Some((1, 0))));
        listeners.offered(vec![Mid::from("a")]);
        agreed(&mut listeners, &[("a", "T1")]);
        listeners
    }

    #[test]
    fn offers_only_required_lines() {
        let mut listeners = joined();
        listeners.want(3);
        assert_eq!(reported(&mut listeners).2, None, "nobody is listened to");
        let mut listeners = on_a_line();
        listeners.listen(listening(2, "two", None).0, Instant::now());
        listeners.update_others(&listed(somebody("two", "P2", 1, &[("T2", "", "microphone")])));
        listeners.want(usize::MAX);
        assert_eq!(reported(&mut listeners), ("T2".into(), String::new(), Some((1, 0))));
        assert_eq!(reported(&mut listeners).2, None, "it is offered once");
    }

    #[test]
    fn offer_waits_for_pending_answer() {
        let mut listeners = on_a_line();
        listeners.listen(listening(2, "two", None).0, Instant::now());
        listeners.update_others(&listed(somebody("two", "P2", 1, &[("T2", "", "microphone")])));
        listeners.want(1);
        let todo = listeners.todo(true);
        assert_eq!((names(&todo.subscribe), todo.lines), ("T2".into(), None));
        assert_eq!(reported(&mut listeners).2, Some((1, 0)));
    }

    #[test]
    fn reuses_line_of_ended_track() {
        let mut listeners = on_a_line();
        listeners.unlisten(1);
        assert_eq!(reported(&mut listeners), (String::new(), "T1".into(), None));
        listeners.want(0);
        assert_eq!(reported(&mut listeners).2, None, "nobody is listened to");
        listeners.listen(listening(2, "one", None).0, Instant::now());
        listeners.want(0);
        assert_eq!(reported(&mut listeners), ("T1".into(), String::new(), Some((0, 1))));
        // All lines seem to be in use, but the server knows better.
        agreed(&mut listeners, &[("a", "T1")]);
        listeners.want(0);
        assert_eq!(reported(&mut listeners).2, Some((0, 1)));
    }

    #[test]
    fn repeats_lost_offer() {
        let mut listeners = on_a_line();
        listeners.listen(listening(2, "two", None).0, Instant::now());
        listeners.update_others(&listed(somebody("two", "P2", 1, &[("T2", "", "microphone")])));
        listeners.want(1);
        reported(&mut listeners);
        listeners.offered(vec![Mid::from("b")]);
        listeners.interrupted();
        listeners.want(1);
        assert_eq!(reported(&mut listeners), (String::new(), String::new(), None), "the room is not reachable");
        listeners.resumed();
        assert_eq!(reported(&mut listeners).2, Some((1, 0)));
        assert_eq!(listeners.subscribed(), ["T1", "T2"]);
        listeners.reset();
        assert!(!listeners.is_listening(), "a rejoined room has no subscriptions");
    }

    #[test]
    fn missing_grant_fails_listeners() {
        let mut listeners = joined();
        let (one, _frames, failures) = listening(1, "one", None);
        listeners.listen(one, Instant::now());
        listeners.update_local(&LocalParticipant::default());
        assert_eq!(*failures.lock(), [Code::Refused]);
        let (two, _frames, failures) = listening(2, "one", None);
        listeners.listen(two, Instant::now());
        assert_eq!((&*failures.lock(), listeners.all.len()), (&vec![Code::Refused], 0));
    }

    #[test]
    fn refused_track_fails_its_listeners() {
        let mut listeners = on_a_line();
        let (two, _frames, failures) = listening(2, "one", None);
        listeners.listen(two, Instant::now());
        listeners.refused("T2", &no_subscribing());
        assert_eq!(failures.lock().len(), 0);
        listeners.refused("T1", &no_subscribing());
        assert_eq!((failures.lock().len(), listeners.all.len()), (1, 0));
    }

    #[test]
    fn emits_frames_in_session_time() {
        let mut listeners = joined();
        let begin = Instant::now();
        let (one, frames, _) = listening(1, "one", None);
        listeners.listen(one, begin);
        listeners.update_others(&listed(somebody("one", "P1", 1, &[("T1", "", "microphone")])));
        listeners.todo(false);
        listeners.offered(vec![Mid::from("a")]);
        agreed(&mut listeners, &[("a", "T1")]);

        let mut encoder = Encoder::new(48_000, Channels::Mono, Application::Audio).unwrap();
        let tone: Vec<_> = (0..FRAME).map(|n| 0.5 * (n as f32 * 0.05).sin()).collect();
        let mut now = begin + Duration::from_secs(3);
        let mut number = 0;
        let mut speak = |listeners: &mut Listeners, line: &str, now: Instant, begins: bool| {
            let payload = encoder.encode_vec_float(&tone, 1_000).unwrap();
            let timestamp = samples(now - begin) as u32;
            let packet =
                Packet { ssrc: 7, payload_type: 111, sequence: number, timestamp, marker: begins, payload: &payload };
            number += 1;
            listeners.receive(Side::Publisher, Mid::from(line), &packet, now, TYPES);
        };
        for round in 0..2 {
            for n in 0..50 {
                speak(&mut listeners, "a", now, n == 0);
                listeners.poll(now);
                now += FRAME_TIME;
            }
            for _ in 0..50 {
                listeners.poll(now);
                now += FRAME_TIME;
            }
            assert!(
                listeners.all[0].reception.as_ref().is_some_and(|reception| reception.due.is_none()),
                "{round}: it rests"
            );
        }
        let times: Vec<_> = frames.try_iter().map(|frame| frame.at_ms).collect();
        // Up to six frames of each sound are concealment after the last packet.
        assert!((100..=112).contains(&times.len()), "{} frames", times.len());
        assert!((times[0] - 3_000.0).abs() < 25.0, "{}", times[0]);
        let second = times.iter().find(|time| **time > 4_500.0).copied().unwrap_or_default();
        assert!((second - 5_000.0).abs() < 25.0, "{second}");
        assert!(times.windows(2).all(|pair| pair[1] - pair[0] > 19.99));
        speak(&mut listeners, "b", now, true);
        assert!(
            listeners.all[0].reception.as_ref().is_some_and(|reception| reception.due.is_none()),
            "another line is another's"
        );
    }
}
