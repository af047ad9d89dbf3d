//! The notification of a session's driver by decode tasks and calls.

use std::sync::{Arc, OnceLock};
use std::task::Wake;
use std::time::Instant;

use crate::audio::{Samples, samples};

/// Notifies a session's driver that a decode task has moved, or that a call has changed something.
pub struct Progress {
    /// The callback of the driver.
    told: OnceLock<Box<dyn Fn() + Send + Sync>>,
    /// True for a manual clock, which waits for sources: decode tasks then run far ahead, and notify the driver of all their output, not
    /// only when a source is ready or has ended.
    pub eager: bool,
    /// The time at which the session was made.
    start: Instant,
}

impl Default for Progress {
    fn default() -> Self {
        Self::new(false)
    }
}

impl Progress {
    /// Makes it for a session whose clock waits for sources (`eager`: the manual one), or does not.
    pub fn new(eager: bool) -> Self {
        Self { told: OnceLock::new(), eager, start: Instant::now() }
    }

    /// Returns the time since the session was made, by which waiting is measured.
    pub fn wall(&self) -> Samples {
        samples(self.start.elapsed())
    }

    /// Sets the callback of the driver; it must not block.
    pub fn on_move(&self, tell: impl Fn() + Send + Sync + 'static) {
        let _ = self.told.set(Box::new(tell));
    }

    /// Notifies the driver.
    pub fn tell(&self) {
        self.told.get().into_iter().for_each(|tell| tell());
    }
}

/// Serves as the waker of an output's futures.
impl Wake for Progress {
    fn wake(self: Arc<Self>) {
        self.tell();
    }
}
