//! A tap as its reader holds it.

use std::sync::{Arc, Weak};

use super::handle::Core;
use crate::output::Backlog;

/// What its reader says of the frames that it gets.
pub struct Tap {
    id: u32,
    backlog: Arc<Backlog>,
    /// Weak, as a stream's.
    core: Weak<Core>,
}

impl Tap {
    pub(super) fn new(id: u32, backlog: Arc<Backlog>, core: Weak<Core>) -> Self {
        Self { id, backlog, core }
    }

    /// So many frames were taken; `more` tells whether the others will be, so that a manual clock waits for that.
    pub fn took(&self, frames: usize, more: bool) {
        self.backlog.leave(frames);
        self.backlog.expect_reader(more);
    }

    /// Frames that found no room.
    pub fn dropped(&self) -> u64 {
        self.backlog.dropped()
    }

    /// Ends it.
    pub fn close(&self) {
        // At once, for an `advance` may wait for this tap.
        self.backlog.expect_reader(false);
        self.core.upgrade().map(|core| core.with(|session, _| session.untap(self.id)));
    }
}
