//! A timer for code that is told the time: it is set to an instant and reads no clock.

use std::task::Poll;
use std::time::Instant;

use crate::runtime::wake_at;

pub struct Timer {
    due: Instant,
}

impl Timer {
    pub fn at(due: Instant) -> Self {
        Self { due }
    }

    pub fn set(&mut self, due: Instant) {
        self.due = due;
    }

    pub fn is_due(&self, now: Instant) -> bool {
        self.due <= now
    }

    /// Ready once it is due, until it is set again; before, it asks for a turn when it is.
    pub fn poll(&mut self, now: Instant) -> Poll<()> {
        if self.is_due(now) {
            return Poll::Ready(());
        }
        wake_at(self.due);
        Poll::Pending
    }
}
