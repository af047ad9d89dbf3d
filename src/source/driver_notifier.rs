//! The notification of a session's driver by decode tasks and calls.

use std::sync::{Arc, OnceLock};
use std::task::Wake;
use std::time::Instant;

use crate::audio::{Samples, samples};

/// Notifies a session's driver that a decode task has moved, or that a call has changed something.
pub struct DriverNotifier {
    /// The callback of the driver.
    callback: OnceLock<Box<dyn Fn() + Send + Sync>>,
    /// True for a manual clock, which waits for sources: decode tasks then run far ahead, and notify the driver of all their output, not
    /// only when a source is ready or has ended.
    pub waits_for_sources: bool,
    /// The time at which the session was made.
    start: Instant,
}

impl Default for DriverNotifier {
    fn default() -> Self {
        Self::new(false)
    }
}

impl DriverNotifier {
    /// Makes the notifier of a session; `waits_for_sources` is true on the manual clock.
    pub fn new(waits_for_sources: bool) -> Self {
        Self { callback: OnceLock::new(), waits_for_sources, start: Instant::now() }
    }

    /// Returns the time since the session was made, by which waiting is measured.
    pub fn wall_time(&self) -> Samples {
        samples(self.start.elapsed())
    }

    /// Sets the callback of the driver; it must not block.
    pub fn on_notify(&self, callback: impl Fn() + Send + Sync + 'static) {
        let _ = self.callback.set(Box::new(callback));
    }

    /// Notifies the driver.
    pub fn notify(&self) {
        if let Some(callback) = self.callback.get() {
            callback();
        }
    }
}

/// Serves as the waker of an output's futures.
impl Wake for DriverNotifier {
    fn wake(self: Arc<Self>) {
        self.notify();
    }
}
