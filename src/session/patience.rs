//! How long playbacks wait for their turn: measured in the session's time, which runs in silence too.

use super::actor::Actor;
use crate::audio::Samples;
use crate::output::Watch;

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

/// Waits for a deadline; for ever if there is none, or no wall clock to measure it by.
pub async fn end(watch: Option<Watch>, deadline: Option<Samples>) {
    match watch.zip(deadline) {
        Some((watch, deadline)) => watch.reach(deadline).await,
        None => std::future::pending().await,
    }
}
