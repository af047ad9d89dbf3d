//! A bounded count of frames that JavaScript has not taken yet. Beyond the limit a manual clock waits, and a live one drops frames.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use crate::source::DriverNotifier;

/// The most frames that may wait.
const MAX_WAITING: usize = 64;

/// The number of frames on their way to JavaScript, bounded so that a slow reader costs no more memory.
pub struct Backlog {
    waiting: AtomicUsize,
    dropped: AtomicU64,
    /// True if the clock waits while there is no room; otherwise frames are dropped then.
    holds: AtomicBool,
    notifier: Arc<DriverNotifier>,
}

impl Backlog {
    /// Creates an empty backlog. A manual clock waits for room; a realtime clock does not.
    pub fn new(notifier: Arc<DriverNotifier>) -> Self {
        Self {
            waiting: AtomicUsize::new(0),
            dropped: AtomicU64::new(0),
            holds: AtomicBool::new(notifier.waits_for_sources),
            notifier,
        }
    }

    /// Returns true if the clock may go on.
    pub fn has_room(&self) -> bool {
        !self.holds.load(Ordering::Acquire) || self.waiting.load(Ordering::Acquire) < MAX_WAITING
    }

    /// Counts one more frame. Returns false if there is no room and the frame has to be dropped.
    pub fn push(&self) -> bool {
        // One step of a manual clock may produce several frames, which always have room.
        if self.waiting.load(Ordering::Acquire) >= MAX_WAITING && !self.holds.load(Ordering::Acquire) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        self.waiting.fetch_add(1, Ordering::AcqRel);
        true
    }

    /// Counts `frames` as taken.
    pub fn release(&self, frames: usize) {
        self.waiting.fetch_sub(frames, Ordering::AcqRel);
        self.notify();
    }

    /// Sets whether something reads the frames; if nothing does, not even a manual clock waits.
    pub fn expect_reader(&self, expected: bool) {
        self.holds.store(expected && self.notifier.waits_for_sources, Ordering::Release);
        self.notify();
    }

    /// Returns the number of dropped frames.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn notify(&self) {
        if self.notifier.waits_for_sources {
            self.notifier.notify();
        }
    }
}
