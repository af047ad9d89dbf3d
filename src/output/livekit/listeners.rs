//! Those who are listened to: which of their tracks, on which media lines, and what becomes of their packets.
//!
//! ```text
//! listing of who is there ─▶ a track for each listening ─▶ subscribed ─▶ the server wants media lines ─▶ offered, agreed: this
//! track comes on this line ─▶ packets ─▶ ear ─▶ frames
//! ```
//!
//! Nothing is subscribed that nobody listens to. A line stays where its track has gone, for the server to use again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::peer::{Ears, Mid, OpusTypes};
use super::said::{Side, Us, no_subscribing};
use crate::audio::{FRAME_TIME, Samples, samples};
use crate::error::SpeakerError;
use crate::listen::{Ear, Format, Packet};
use crate::output::{Listening, Participant, Presence};
use crate::runtime::{round_up, wake_at};

/// Frames that are owed for longer are given up: the process was halted.
const MOST_OWED: Duration = Duration::from_secs(1);

/// A media line of one of the peer connections.
pub type Place = (Side, Mid);

#[derive(Default)]
pub struct Listeners {
    all: Vec<Listener>,
    /// The others and what they publish, by their identity.
    others: BTreeMap<String, Participant>,
    /// The tracks that the server sends, or is to send.
    subscribed: Vec<String>,
    /// Others may be wanted by now.
    is_changed: bool,
    /// The lines on which it may send, and which track comes there.
    lines: Vec<(Place, Option<String>)>,
    /// The lines that are offered and not agreed.
    offered: Vec<Mid>,
    /// The server wants an offer, with so many new lines.
    wanted: Option<usize>,
    /// The room can be told something now.
    is_reachable: bool,
    /// The token does not allow it.
    is_refused: bool,
}

struct Listener {
    listening: Arc<Listening>,
    /// When the session's time began.
    epoch: Instant,
    /// Their track, while there is one.
    track: Option<String>,
    hearing: Option<Hearing>,
}

/// What comes on a track.
struct Hearing {
    ear: Ear,
    /// The session's time when its first packet came.
    begun: Samples,
    /// When the next frame is; none in silence.
    due: Option<Instant>,
}

/// What is to be told to the server.
#[derive(Debug, Default)]
pub struct Todo {
    /// Tracks to be sent from now on.
    pub subscribe: Vec<String>,
    /// And those that are not.
    pub unsubscribe: Vec<String>,
    /// An offer is wanted, of these lines.
    pub lines: Option<Ears>,
}

impl Listeners {
    pub fn listen(&mut self, listening: Arc<Listening>, epoch: Instant) {
        if self.is_refused {
            return listening.fail(no_subscribing());
        }
        self.all.push(Listener { listening, epoch, track: None, hearing: None });
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

    /// Returns true if something may come.
    pub fn is_listening(&self) -> bool {
        !self.subscribed.is_empty()
    }

    /// The tracks that the server is to send.
    pub fn subscribed(&self) -> &[String] {
        &self.subscribed
    }

    /// The room is joined: `us` is what it lets us do.
    pub fn joined(&mut self, us: &Us) {
        self.is_reachable = true;
        self.hear_of_us(us);
    }

    /// What the room lets us do has changed, or is as before.
    pub fn hear_of_us(&mut self, us: &Us) {
        self.is_refused = !us.can_subscribe;
        if self.is_refused {
            self.all.drain(..).for_each(|listener| listener.listening.fail(no_subscribing()));
            self.is_changed = true;
        }
    }

    /// The room is in trouble.
    pub fn interrupted(&mut self) {
        self.is_reachable = false;
    }

    /// The room is reached again, in the same place. Offers that were out are void.
    pub fn resumed(&mut self) {
        self.is_reachable = true;
        self.withdrawn();
        if self.is_listening() {
            self.wanted.get_or_insert(0);
        }
    }

    /// The room is to be joined anew: all begins again, but for what was asked for.
    pub fn reset(&mut self) {
        let all = std::mem::take(&mut self.all);
        *self = Self { all, ..Self::default() };
        self.choose();
    }

    /// Takes who else is in the room.
    pub fn hear_of_others(&mut self, presence: &Presence) {
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

    /// The server can't send a track.
    pub fn refused(&mut self, track: &str, error: &SpeakerError) {
        let is_theirs = |listener: &mut Listener| listener.track.as_deref() == Some(track);
        for listener in self.all.extract_if(.., is_theirs) {
            listener.listening.fail(error.clone());
        }
        self.is_changed = true;
    }

    /// The server wants an offer, with so many new lines.
    pub fn want(&mut self, lines: usize) {
        self.wanted = Some(self.wanted.unwrap_or_default().max(lines));
    }

    /// Finds the track of each.
    fn choose(&mut self) {
        for listener in &mut self.all {
            let track =
                self.others.get(&listener.listening.identity).and_then(|other| track(other, &listener.listening));
            if listener.track.as_deref() == track {
                continue;
            }
            if listener.hearing.take().is_some() {
                listener.listening.lose_track();
            }
            listener.track = track.map(str::to_owned);
        }
        self.is_changed = true;
    }

    /// What is to be told now. `awaits_answer`: an offer is out, so there can't be another.
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
            // Whoever is listened to again may come on another line.
            let is_gone = |track: &Option<String>| track.as_ref().is_some_and(|track| todo.unsubscribe.contains(track));
            self.lines.iter_mut().filter(|(_, track)| is_gone(track)).for_each(|(_, track)| *track = None);
        }
        if !awaits_answer && let Some(wanted) = self.wanted.take().filter(|_| self.is_listening()) {
            let (missing, free) = (self.missing(), self.lines_of(|track| track.is_none()));
            // A server may want what it likes; it needs no more than one for each.
            let new = wanted.max(missing.saturating_sub(free.len())).min(missing);
            let again = if new == 0 && free.is_empty() { self.lines_of(|_| true) } else { free };
            todo.lines = Some(Ears { new, again });
        }
        todo
    }

    /// How many tracks have no line.
    fn missing(&self) -> usize {
        let has_line = |track: &&String| self.lines.iter().any(|(_, comes)| comes.as_ref() == Some(track));
        self.subscribed.iter().filter(|track| !has_line(track)).count()
    }

    /// Those of our lines on which such a track comes, or none.
    fn lines_of(&self, is_such: impl Fn(&Option<String>) -> bool) -> Vec<Mid> {
        let ours = self.lines.iter().filter(|((side, _), track)| *side == Side::Ours && is_such(track));
        ours.map(|((_, mid), _)| *mid).collect()
    }

    /// These lines are offered.
    pub fn offered(&mut self, lines: Vec<Mid>) {
        self.offered = lines;
    }

    /// The offer that is out will not be answered any more.
    pub fn withdrawn(&mut self) {
        if !std::mem::take(&mut self.offered).is_empty() {
            self.wanted.get_or_insert(0);
        }
    }

    /// It is agreed which tracks come on the lines of a side.
    pub fn agreed(&mut self, side: Side, tracks: &[(String, String)]) {
        let offered = std::mem::take(&mut self.offered);
        let known = self.lines.iter().filter(|((known, _), _)| *known == side).map(|((_, mid), _)| *mid);
        let theirs = tracks.iter().map(|(mid, _)| Mid::from(mid.as_str())).filter(|_| side == Side::Theirs);
        let mut mids: Vec<_> = known.chain(offered).chain(theirs).collect();
        mids.sort_unstable();
        mids.dedup();
        self.lines.retain(|((known, _), _)| *known != side);
        self.lines.extend(mids.into_iter().map(|mid| {
            let track = tracks.iter().find(|(line, _)| *line == *mid).map(|(_, track)| track.clone());
            ((side, mid), track)
        }));
    }

    /// Takes a packet that came on a line, and when.
    pub fn receive(&mut self, line: Place, packet: &Packet, arrival: Instant, types: OpusTypes) {
        let line = self.lines.iter().find(|(place, _)| *place == line);
        let Some((_, Some(track))) = line else { return };
        for listener in self.all.iter_mut().filter(|listener| listener.track.as_ref() == Some(track)) {
            listener.receive(packet, arrival, types);
        }
    }

    /// Hands on the frames that are due.
    pub fn poll(&mut self, now: Instant) {
        for Listener { listening, hearing, .. } in &mut self.all {
            let Some(Hearing { ear, begun, due }) = hearing else { continue };
            if due.is_some_and(|due| now.saturating_duration_since(due) > MOST_OWED) {
                *due = Some(now);
            }
            while let Some(at) = due.filter(|due| *due <= now) {
                let stats = ear.stats();
                let frame = ear.next(at);
                listening.hear(&frame, *begun + frame.time, stats);
                *due = (!ear.is_at_rest()).then_some(at + FRAME_TIME);
            }
            due.iter().for_each(|due| wake_at(*due));
        }
    }
}

impl Listener {
    fn receive(&mut self, packet: &Packet, arrival: Instant, types: OpusTypes) {
        if self.hearing.is_none() {
            let format = Format { opus: types.opus, red: types.red, channels: self.listening.channels };
            // It fails only for other channels than one or two.
            let Ok(ear) = Ear::new(format) else { return };
            let begun = samples(arrival.saturating_duration_since(self.epoch));
            self.hearing = Some(Hearing { ear, begun, due: None });
        }
        if let Some(Hearing { ear, due, .. }) = &mut self.hearing {
            ear.receive(packet, arrival);
            // With the frames of all sessions.
            due.get_or_insert_with(|| round_up(arrival + Duration::from_nanos(1), FRAME_TIME));
        }
    }
}

/// The track of somebody that is listened to, if they publish it.
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

    /// Listens to somebody. Returns the frames that come, and how it failed.
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
                taken.leave(1);
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

    /// In a room that lets us listen.
    fn joined() -> Listeners {
        let mut listeners = Listeners::default();
        listeners.joined(&Us { can_subscribe: true, ..Us::default() });
        listeners
    }

    fn names(tracks: &[String]) -> String {
        tracks.join(" ")
    }

    /// What is to be told: tracks that are wanted, tracks that are not, new lines and lines that are offered again.
    fn told(listeners: &mut Listeners) -> (String, String, Option<(usize, usize)>) {
        let todo = listeners.todo(false);
        let lines = todo.lines.map(|Ears { new, again }| (new, again.len()));
        (names(&todo.subscribe), names(&todo.unsubscribe), lines)
    }

    fn agreed(listeners: &mut Listeners, tracks: &[(&str, &str)]) {
        let tracks: Vec<_> = tracks.iter().map(|(mid, track)| ((*mid).to_owned(), (*track).to_owned())).collect();
        listeners.agreed(Side::Ours, &tracks);
    }

    #[test]
    fn a_track_is_wanted_as_long_as_somebody_is_listened_to_who_has_one() {
        let mut listeners = joined();
        listeners.listen(listening(1, "one", None).0, Instant::now());
        let nothing = (String::new(), String::new(), None);
        assert_eq!(told(&mut listeners), nothing);
        listeners.hear_of_others(&Presence::Others(vec![somebody("two", "P2", 1, &[("T0", "", "microphone")])]));
        assert_eq!(told(&mut listeners), nothing);
        listeners.hear_of_others(&listed(somebody("one", "P1", 1, &[("T1", "mic", "microphone")])));
        assert_eq!(told(&mut listeners), ("T1".into(), String::new(), None));
        listeners.listen(listening(2, "one", Some("mic")).0, Instant::now());
        assert_eq!(told(&mut listeners), nothing, "it is wanted already");
        listeners.unlisten(1);
        assert_eq!(told(&mut listeners), nothing, "somebody still listens");
        listeners.hear_of_others(&Presence::Left { identity: "one".into(), sid: "P0".into() });
        assert_eq!(told(&mut listeners), nothing, "an earlier stay has ended");
        listeners.hear_of_others(&Presence::Left { identity: "one".into(), sid: "P1".into() });
        assert_eq!(told(&mut listeners), (String::new(), "T1".into(), None));
    }

    #[test]
    fn the_track_is_the_named_one_or_the_microphone_or_the_first() {
        let screen = ("S", "screen", "screenShareAudio");
        for (tracks, name, expected) in [
            (&[("C", "face", "camera")][..], None, ""),
            (&[("C", "face", "camera"), screen], None, "S"),
            (&[screen, ("M", "mic", "microphone")], None, "M"),
            (&[screen, ("M", "mic", "microphone")], Some("screen"), "S"),
            (&[screen, ("M", "mic", "microphone")], Some("other"), ""),
        ] {
            let mut listeners = joined();
            listeners.hear_of_others(&listed(somebody("one", "P1", 1, tracks)));
            listeners.listen(listening(1, "one", name).0, Instant::now());
            assert_eq!(told(&mut listeners).0, expected, "{tracks:?} {name:?}");
        }
    }

    #[test]
    fn an_older_list_behind_a_newer_one_changes_nothing() {
        let mut listeners = joined();
        listeners.listen(listening(1, "one", None).0, Instant::now());
        listeners.hear_of_others(&listed(somebody("one", "P1", 5, &[("T1", "", "microphone")])));
        listeners.hear_of_others(&listed(somebody("one", "P1", 4, &[])));
        assert_eq!(told(&mut listeners).0, "T1");
        listeners.hear_of_others(&listed(somebody("one", "P2", 1, &[("T2", "", "microphone")])));
        assert_eq!(told(&mut listeners), ("T2".into(), "T1".into(), None), "another stay begins anew");
    }

    /// Listens to the only track, on a line of its own.
    fn on_a_line() -> Listeners {
        let mut listeners = joined();
        listeners.listen(listening(1, "one", None).0, Instant::now());
        listeners.hear_of_others(&listed(somebody("one", "P1", 1, &[("T1", "", "microphone")])));
        told(&mut listeners);
        listeners.want(1);
        assert_eq!(told(&mut listeners), (String::new(), String::new(), Some((1, 0))));
        listeners.offered(vec![Mid::from("a")]);
        agreed(&mut listeners, &[("a", "T1")]);
        listeners
    }

    #[test]
    fn lines_are_offered_when_the_server_wants_them_and_no_more_than_are_needed() {
        let mut listeners = joined();
        listeners.want(3);
        assert_eq!(told(&mut listeners).2, None, "nobody is listened to");
        let mut listeners = on_a_line();
        listeners.listen(listening(2, "two", None).0, Instant::now());
        listeners.hear_of_others(&listed(somebody("two", "P2", 1, &[("T2", "", "microphone")])));
        listeners.want(usize::MAX);
        assert_eq!(told(&mut listeners), ("T2".into(), String::new(), Some((1, 0))));
        assert_eq!(told(&mut listeners).2, None, "it is offered once");
    }

    #[test]
    fn an_offer_waits_for_the_answer_to_the_one_before() {
        let mut listeners = on_a_line();
        listeners.listen(listening(2, "two", None).0, Instant::now());
        listeners.hear_of_others(&listed(somebody("two", "P2", 1, &[("T2", "", "microphone")])));
        listeners.want(1);
        let todo = listeners.todo(true);
        assert_eq!((names(&todo.subscribe), todo.lines), ("T2".into(), None));
        assert_eq!(told(&mut listeners).2, Some((1, 0)));
    }

    #[test]
    fn a_line_whose_track_has_gone_is_offered_again() {
        let mut listeners = on_a_line();
        listeners.unlisten(1);
        assert_eq!(told(&mut listeners), (String::new(), "T1".into(), None));
        listeners.want(0);
        assert_eq!(told(&mut listeners).2, None, "nobody is listened to");
        listeners.listen(listening(2, "one", None).0, Instant::now());
        listeners.want(0);
        assert_eq!(told(&mut listeners), ("T1".into(), String::new(), Some((0, 1))));
        // Where all lines seem to be in use, the server knows better.
        agreed(&mut listeners, &[("a", "T1")]);
        listeners.want(0);
        assert_eq!(told(&mut listeners).2, Some((0, 1)));
    }

    #[test]
    fn what_was_offered_and_lost_is_offered_again() {
        let mut listeners = on_a_line();
        listeners.listen(listening(2, "two", None).0, Instant::now());
        listeners.hear_of_others(&listed(somebody("two", "P2", 1, &[("T2", "", "microphone")])));
        listeners.want(1);
        told(&mut listeners);
        listeners.offered(vec![Mid::from("b")]);
        listeners.interrupted();
        listeners.want(1);
        assert_eq!(told(&mut listeners), (String::new(), String::new(), None), "nothing can be told");
        listeners.resumed();
        assert_eq!(told(&mut listeners).2, Some((1, 0)));
        assert_eq!(listeners.subscribed(), ["T1", "T2"]);
        listeners.reset();
        assert!(!listeners.is_listening(), "a room that is joined anew knows nothing of it");
    }

    #[test]
    fn who_may_not_listen_is_told() {
        let mut listeners = joined();
        let (one, _frames, failures) = listening(1, "one", None);
        listeners.listen(one, Instant::now());
        listeners.hear_of_us(&Us::default());
        assert_eq!(*failures.lock(), [Code::Refused]);
        let (two, _frames, failures) = listening(2, "one", None);
        listeners.listen(two, Instant::now());
        assert_eq!((&*failures.lock(), listeners.all.len()), (&vec![Code::Refused], 0));
    }

    #[test]
    fn a_track_that_the_server_can_t_send_fails_those_who_listen_to_it() {
        let mut listeners = on_a_line();
        let (two, _frames, failures) = listening(2, "one", None);
        listeners.listen(two, Instant::now());
        listeners.refused("T2", &no_subscribing());
        assert_eq!(failures.lock().len(), 0);
        listeners.refused("T1", &no_subscribing());
        assert_eq!((failures.lock().len(), listeners.all.len()), (1, 0));
    }

    #[test]
    fn what_comes_on_the_line_is_heard_with_the_session_s_time_and_silence_is_not_handed_on() {
        let mut listeners = joined();
        let begin = Instant::now();
        let (one, frames, _) = listening(1, "one", None);
        listeners.listen(one, begin);
        listeners.hear_of_others(&listed(somebody("one", "P1", 1, &[("T1", "", "microphone")])));
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
            listeners.receive((Side::Ours, Mid::from(line)), &packet, now, TYPES);
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
                listeners.all[0].hearing.as_ref().is_some_and(|hearing| hearing.due.is_none()),
                "{round}: it rests"
            );
        }
        let times: Vec<_> = frames.try_iter().map(|frame| frame.at_ms).collect();
        // Up to six frames of each are what is made up behind the last packet.
        assert!((100..=112).contains(&times.len()), "{} frames", times.len());
        assert!((times[0] - 3_000.0).abs() < 25.0, "{}", times[0]);
        let second = times.iter().find(|time| **time > 4_500.0).copied().unwrap_or_default();
        assert!((second - 5_000.0).abs() < 25.0, "{second}");
        assert!(times.windows(2).all(|pair| pair[1] - pair[0] > 19.99));
        speak(&mut listeners, "b", now, true);
        assert!(
            listeners.all[0].hearing.as_ref().is_some_and(|hearing| hearing.due.is_none()),
            "another line is another's"
        );
    }
}
