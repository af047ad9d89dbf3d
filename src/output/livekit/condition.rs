//! What the session is told of the room: how it is, compared with what was told last, so that no order of faults tells the
//! wrong story.

use super::{LiveKit, State, Track};
use crate::output::OutputEvent;

/// How the room is, as the session should know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Not joined yet.
    Away,
    Well,
    /// Broken in part: what is sent still arrives.
    Shaky,
    /// Nothing arrives.
    Cut,
}

impl LiveKit {
    pub(super) fn condition(&self) -> Condition {
        match &self.state {
            State::Joined(_) if self.told == Condition::Away && self.is_as_asked() => Condition::Well,
            _ if self.told == Condition::Away => Condition::Away,
            State::Joined(_) if self.rejoin.is_going_on() => Condition::Cut,
            State::Joined(connection) => match connection.recovery {
                Some(_) if connection.peer.is_heard(std::time::Instant::now()) => Condition::Shaky,
                Some(_) => Condition::Cut,
                None => Condition::Well,
            },
            _ => Condition::Cut,
        }
    }

    /// Whether every track is open that was to be published at once.
    fn is_as_asked(&self) -> bool {
        let asked = |track: &&Track| self.options.publish_at_once.contains(&track.stream);
        self.tracks.iter().filter(asked).all(Track::is_open)
    }

    /// What the session has not been told yet.
    pub(super) fn news(&mut self) -> Option<OutputEvent> {
        use Condition::{Away, Cut, Shaky, Well};
        let (told, news) = match (self.told, self.condition()) {
            (Away, Well) => (Well, OutputEvent::Connected),
            (Well, Shaky | Cut) => (Shaky, OutputEvent::Reconnecting(std::mem::take(&mut self.reason))),
            (Shaky, Cut) => (Cut, OutputEvent::Cut(self.options.meanwhile)),
            (Shaky | Cut, Well) => (Well, OutputEvent::Reconnected),
            _ => return self.small_news(),
        };
        self.told = told;
        Some(news)
    }

    fn small_news(&mut self) -> Option<OutputEvent> {
        if let Some(track) = self.tracks.iter_mut().find(|track| track.muted != track.told_muted) {
            track.told_muted = track.muted;
            return Some(match track.muted {
                true => OutputEvent::Muted(track.stream, self.options.on_mute),
                false => OutputEvent::Unmuted(track.stream),
            });
        }
        let news = self.link != self.told_link;
        self.told_link = self.link;
        news.then_some(OutputEvent::Link(self.link))
    }
}
