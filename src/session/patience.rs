//! How long playbacks wait for their turn: measured in the session's time, which runs in silence too.

use super::actor::Actor;
use crate::audio::Samples;

impl Actor {
    /// Gives up what has waited long enough for its turn.
    pub(super) fn expire(&mut self) {
        let now = self.now();
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.follow(|registry| registry.expire(now));
        }
    }

    /// The time by which the registry measures.
    pub(super) fn now(&self) -> Samples {
        self.watch.map_or_else(|| self.stage.mixer.now(), |watch| watch.now())
    }
}
