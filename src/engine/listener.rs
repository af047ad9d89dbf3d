//! A listener's handle to a participant's voice.

use std::sync::{Arc, Weak};

use super::handle::Core;
use crate::listen::Stats;
use crate::output::Listening;
use crate::source::Origin;

/// The reader of a participant's voice.
pub struct Listener {
    listening: Arc<Listening>,
    /// Weak, as that of a stream.
    core: Weak<Core>,
}

impl Listener {
    pub(super) fn new(listening: Arc<Listening>, core: Weak<Core>) -> Self {
        Self { listening, core }
    }

    /// Notes that so many frames were taken.
    pub fn took(&self, frames: usize) {
        self.listening.took(frames);
    }

    /// Returns the number of frames that found no room.
    pub fn dropped(&self) -> u64 {
        self.listening.dropped()
    }

    /// See [`Listening::stats`].
    pub fn stats(&self) -> Stats {
        self.listening.stats()
    }

    /// Returns how often a playback of it had nothing to read in the middle of a sound.
    pub fn underruns(&self) -> u64 {
        self.listening.speech().underruns()
    }

    /// Returns the voice as a source that any session can play.
    pub fn origin(&self) -> Origin {
        Origin::Speech(self.listening.speech().clone())
    }

    /// Stops listening.
    pub fn close(&self) {
        if let Some(core) = self.core.upgrade() {
            let _ = core.with(|session, _| session.unlisten(self.listening.id));
        }
    }
}
