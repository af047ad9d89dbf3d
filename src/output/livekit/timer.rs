//! A timer for code that is given the time: it is set to an instant and reads no clock.

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

    /// Ready once the timer is due, until it is set again. Before that it requests a turn for when it is.
    pub fn poll(&mut self, now: Instant) -> Poll<()> {
        if self.is_due(now) {
            return Poll::Ready(());
        }
        wake_at(self.due);
        Poll::Pending
    }
}
