//! Frames that JavaScript has not taken yet: how many there may be, and what becomes of those for which there is no room.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use crate::source::Progress;

const MAX_WAITING: usize = 64;

pub struct Backlog {
    waiting: AtomicUsize,
    dropped: AtomicU64,
    /// Without room the clock waits; else what finds no room is dropped.
    holds: AtomicBool,
    progress: Arc<Progress>,
}

impl Backlog {
    /// A manual clock waits, one of real time does not.
    pub fn new(progress: Arc<Progress>) -> Self {
        let (waiting, dropped, holds) = (AtomicUsize::new(0), AtomicU64::new(0), AtomicBool::new(progress.eager));
        Self { waiting, dropped, holds, progress }
    }

    /// Whether the clock may go on.
    pub fn lets_go_on(&self) -> bool {
        !self.holds.load(Ordering::Acquire) || self.waiting.load(Ordering::Acquire) < MAX_WAITING
    }

    /// One more is to wait; `false` if it is to be dropped.
    pub fn enter(&self) -> bool {
        // One step of a clock that waits may bring several: for those there is always room.
        if self.waiting.load(Ordering::Acquire) >= MAX_WAITING && !self.holds.load(Ordering::Acquire) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        self.waiting.fetch_add(1, Ordering::AcqRel);
        true
    }

    /// So many were taken.
    pub fn leave(&self, frames: usize) {
        self.waiting.fetch_sub(frames, Ordering::AcqRel);
        self.tell();
    }

    /// Whether anybody is there who will take them: else not even a manual clock waits.
    pub fn expect_reader(&self, expected: bool) {
        self.holds.store(expected && self.progress.eager, Ordering::Release);
        self.tell();
    }

    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn tell(&self) {
        if self.progress.eager {
            self.progress.tell();
        }
    }
}
