//! What the session is told of the room: how it is, compared with what was told last, so that no order of faults tells it the
//! wrong story.

use std::time::Instant;

use super::recovery::Condition;
use super::{LiveKit, Trouble};
use crate::error::Code;
use crate::output::{OutputEvent, Presence};

impl LiveKit {
    fn condition(&self, now: Instant) -> Condition {
        match self.recovery.condition(self.media(now)) {
            // It is not as it was asked for before every track is published that was to be at once.
            _ if self.told == Condition::Away && !self.publications.is_as_asked() => Condition::Away,
            condition => condition,
        }
    }

    /// Returns true if what is sent reaches the room.
    pub(super) fn reaches(&self, now: Instant) -> bool {
        self.told != Condition::Away && matches!(self.condition(now), Condition::Well | Condition::Shaky)
    }

    /// What the session has not been told yet.
    pub(super) fn news(&mut self, now: Instant) -> Option<OutputEvent> {
        use Condition::{Away, Cut, Shaky, Well};
        if std::mem::take(&mut self.is_lost) {
            let Trouble { mut error, reason, .. } = self.trouble.take().unwrap_or_else(Trouble::no_path);
            if matches!(self.told, Shaky | Cut) {
                // For whatever it could not be won back: whoever was in the room is out of it.
                error.code = Code::Disconnected;
            }
            return Some(OutputEvent::Lost(error, reason));
        }
        if let Some(presence) = self.next_presence() {
            return Some(OutputEvent::Presence(presence));
        }
        let (told, news) = match (self.told, self.condition(now)) {
            (Away, Well) => (Well, OutputEvent::Connected),
            (Well, Shaky | Cut) => {
                let reason = self.trouble.as_ref().map(|trouble| trouble.reason.clone());
                (Shaky, OutputEvent::Reconnecting(reason.unwrap_or_default()))
            }
            (Shaky, Cut) => (Cut, OutputEvent::Cut(self.options.meanwhile)),
            (Cut, Shaky) => (Shaky, OutputEvent::Arrives),
            (Shaky | Cut, Well) => (Well, OutputEvent::Reconnected),
            _ => return self.small_news(now),
        };
        self.told = told;
        self.publications.started();
        Some(news)
    }

    /// Who is there is known when the room is; who comes and goes after that is told behind it.
    fn next_presence(&mut self) -> Option<Presence> {
        let is_snapshot = |presence: &Presence| matches!(presence, Presence::Local(_) | Presence::Others(_));
        let may_tell = self.told != Condition::Away || self.presence.front().is_some_and(is_snapshot);
        may_tell.then(|| self.presence.pop_front()).flatten()
    }

    fn small_news(&mut self, now: Instant) -> Option<OutputEvent> {
        if let Some(news) = self.data.news() {
            return Some(news);
        }
        if let Some(answer) = self.described.pop_front().or_else(|| self.requests.late(self.options.timeout, now)) {
            return Some(answer);
        }
        if let Some(answer) = self.publications.take_answer() {
            return Some(answer);
        }
        if self.told != Condition::Away
            && let Some(news) = self.publications.news()
        {
            return Some(news);
        }
        let news = self.link != self.told_link;
        self.told_link = self.link;
        news.then_some(OutputEvent::Link(self.link))
    }
}
