//! A voice as its reader holds it.

use std::sync::{Arc, Weak};

use super::handle::Core;
use crate::listen::Stats;
use crate::output::Listening;
use crate::source::Origin;

/// The reader's end.
pub struct Listener {
    listening: Arc<Listening>,
    /// Weak, as a stream's.
    core: Weak<Core>,
}

impl Listener {
    pub(super) fn new(listening: Arc<Listening>, core: Weak<Core>) -> Self {
        Self { listening, core }
    }

    /// So many frames were taken.
    pub fn took(&self, frames: usize) {
        self.listening.took(frames);
    }

    /// Frames that found no room.
    pub fn dropped(&self) -> u64 {
        self.listening.dropped()
    }

    /// See [`Listening::stats`].
    pub fn stats(&self) -> Stats {
        self.listening.stats()
    }

    /// How often a playback of it had nothing to read in the middle of a sound.
    pub fn underruns(&self) -> u64 {
        self.listening.speech().underruns()
    }

    /// It, to be played by any session.
    pub fn origin(&self) -> Origin {
        Origin::Speech(self.listening.speech().clone())
    }

    /// Ends it.
    pub fn close(&self) {
        self.core.upgrade().map(|core| core.with(|session, _| session.unlisten(self.listening.id)));
    }
}
