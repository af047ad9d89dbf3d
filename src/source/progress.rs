//! How decode tasks, and whoever else changes something, tell a session's driver to look.

use std::sync::{Arc, OnceLock};
use std::task::Wake;
use std::time::Instant;

use crate::audio::{Samples, samples};

/// Tells a session's driver to look: a decode task has moved, or a call has changed something.
pub struct Progress {
    /// Tells the driver.
    told: OnceLock<Box<dyn Fn() + Send + Sync>>,
    /// True for a manual clock, which waits for sources: decode tasks then run far ahead, and tell of whatever they have brought, not
    /// only when a source is ready or has ended.
    pub eager: bool,
    /// When the session was made.
    start: Instant,
}

impl Default for Progress {
    fn default() -> Self {
        Self::new(false)
    }
}

impl Progress {
    /// For a session whose clock waits for sources (`eager`: the manual one), or does not.
    pub fn new(eager: bool) -> Self {
        Self { told: OnceLock::new(), eager, start: Instant::now() }
    }

    /// How long ago the session was made: the time by which its waiting is measured.
    pub fn wall(&self) -> Samples {
        samples(self.start.elapsed())
    }

    /// Sets what tells the driver; it must not wait.
    pub fn on_move(&self, tell: impl Fn() + Send + Sync + 'static) {
        let _ = self.told.set(Box::new(tell));
    }

    /// Tells the driver that something moved.
    pub fn tell(&self) {
        self.told.get().into_iter().for_each(|tell| tell());
    }
}

/// As the waker of what an output waits for.
impl Wake for Progress {
    fn wake(self: Arc<Self>) {
        self.tell();
    }
}
