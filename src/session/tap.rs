//! A tap as its reader holds it.

use std::sync::Arc;

use tokio::sync::mpsc::WeakUnboundedSender;

use super::command::Command;
use crate::output::Backlog;

pub struct Tap {
    id: u32,
    backlog: Arc<Backlog>,
    /// Weak, as a stream's.
    commands: WeakUnboundedSender<Command>,
}

impl Tap {
    pub(super) fn new(id: u32, backlog: Arc<Backlog>, commands: WeakUnboundedSender<Command>) -> Self {
        Self { id, backlog, commands }
    }

    /// So many frames were taken; `more` says whether the others will be, so that a manual clock waits for that.
    pub fn took(&self, frames: usize, more: bool) {
        self.backlog.leave(frames);
        self.backlog.expect_reader(more);
    }

    /// Frames that found no room.
    pub fn dropped(&self) -> u64 {
        self.backlog.dropped()
    }

    pub fn close(&self) {
        // At once, for the command waits for an `advance` that may wait for this tap.
        self.backlog.expect_reader(false);
        let _ = self.commands.upgrade().map(|commands| commands.send(Command::Untap(self.id)));
    }
}
