//! Frames that JavaScript has not taken yet: how many there may be, and what becomes of those for which there is no room.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use crate::source::Progress;

/// How many frames wait at most.
const MAX_WAITING: usize = 64;

/// Counts the frames on their way to JavaScript, so that a slow reader costs no more memory.
pub struct Backlog {
    waiting: AtomicUsize,
    dropped: AtomicU64,
    /// True if the clock waits while there is no room; if not, frames that find no room are dropped.
    holds: AtomicBool,
    progress: Arc<Progress>,
}

impl Backlog {
    /// An empty one. A manual clock waits for room, a realtime clock does not.
    pub fn new(progress: Arc<Progress>) -> Self {
        let (waiting, dropped, holds) = (AtomicUsize::new(0), AtomicU64::new(0), AtomicBool::new(progress.eager));
        Self { waiting, dropped, holds, progress }
    }

    /// Returns true if the clock may go on.
    pub fn lets_go_on(&self) -> bool {
        !self.holds.load(Ordering::Acquire) || self.waiting.load(Ordering::Acquire) < MAX_WAITING
    }

    /// Counts one frame more. Returns false if there is no room and it is to be dropped.
    pub fn enter(&self) -> bool {
        // One step of a clock that waits may bring several: for those there is always room.
        if self.waiting.load(Ordering::Acquire) >= MAX_WAITING && !self.holds.load(Ordering::Acquire) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        self.waiting.fetch_add(1, Ordering::AcqRel);
        true
    }

    /// Counts `frames` as taken.
    pub fn leave(&self, frames: usize) {
        self.waiting.fetch_sub(frames, Ordering::AcqRel);
        self.tell();
    }

    /// Sets whether something reads the frames; if nothing does, not even a manual clock waits.
    pub fn expect_reader(&self, expected: bool) {
        self.holds.store(expected && self.progress.eager, Ordering::Release);
        self.tell();
    }

    /// How many frames were dropped.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn tell(&self) {
        if self.progress.eager {
            self.progress.tell();
        }
    }
}
