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

use super::peer::{Ears, Heard, Mid, OpusTypes};
use super::said::{Side, Us, no_subscribing};
use crate::audio::{FRAME_TIME, Samples, samples};
use crate::error::SpeakerError;
use crate::listen::{Ear, Format};
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
    }

    /// What is to be told now. `awaits_answer`: an offer is out, so there can't be another.
    pub fn todo(&mut self, awaits_answer: bool) -> Todo {
        let mut todo = Todo::default();
        if !self.is_reachable {
            return todo;
        }
        let mut tracks: Vec<_> = self.all.iter().filter_map(|listener| listener.track.clone()).collect();
        tracks.sort_unstable();
        tracks.dedup();
        if tracks != self.subscribed {
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

    /// Takes a packet that came on a line.
    pub fn receive(&mut self, side: Side, heard: &Heard, types: OpusTypes) {
        let line = self.lines.iter().find(|(place, _)| *place == (side, heard.mid));
        let Some((_, Some(track))) = line else { return };
        for listener in self.all.iter_mut().filter(|listener| listener.track.as_ref() == Some(track)) {
            listener.receive(heard, types);
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
    fn receive(&mut self, heard: &Heard, types: OpusTypes) {
        let Heard { arrival, .. } = *heard;
        if self.hearing.is_none() {
            let format = Format { opus: types.opus, red: types.red, channels: self.listening.channels };
            // It fails only for other channels than one or two.
            let Ok(ear) = Ear::new(format) else { return };
            let begun = samples(arrival.saturating_duration_since(self.epoch));
            self.hearing = Some(Hearing { ear, begun, due: None });
        }
        if let Some(Hearing { ear, due, .. }) = &mut self.hearing {
            ear.receive(&heard.packet(), arrival);
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
