//! A reader's handle to a tap.

use std::sync::{Arc, Weak};

use super::handle::Core;
use crate::output::Backlog;

/// The reader of a tap.
pub struct Tap {
    id: u32,
    backlog: Arc<Backlog>,
    /// Weak, as that of a stream.
    core: Weak<Core>,
}

impl Tap {
    pub(super) fn new(id: u32, backlog: Arc<Backlog>, core: Weak<Core>) -> Self {
        Self { id, backlog, core }
    }

    /// Notes that so many frames were taken; with `more` the others will be too, so that a manual clock waits for that.
    pub fn took(&self, frames: usize, more: bool) {
        self.backlog.release(frames);
        self.backlog.expect_reader(more);
    }

    /// Returns the number of frames that found no room.
    pub fn dropped(&self) -> u64 {
        self.backlog.dropped()
    }

    /// Ends the tap.
    pub fn close(&self) {
        // At once, because an `advance` may wait for this tap.
        self.backlog.expect_reader(false);
        if let Some(core) = self.core.upgrade() {
            let _ = core.with(|session, _| session.untap(self.id));
        }
    }
}
