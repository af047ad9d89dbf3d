//! A stream as its writer holds it: bytes go straight to the decode task, past the session.

use std::sync::{Arc, Weak};

use super::handle::Core;
use crate::error::{Code, SpeakerError};
use crate::session::{Accepted, StreamStats, Ticket};
use crate::source::Pipe;

/// Dropping it changes nothing: its playback goes on until it is ended or stopped.
pub struct Stream {
    accepted: Accepted,
    pipe: Arc<Pipe>,
    /// Weak, for a writer must not keep a session open that its user has dropped.
    core: Weak<Core>,
}

impl Stream {
    pub(super) fn new(accepted: Accepted, pipe: Arc<Pipe>, core: Weak<Core>) -> Self {
        Self { accepted, pipe, core }
    }

    /// Its `requestId`, and its name inside.
    pub fn accepted(&self) -> &Accepted {
        &self.accepted
    }

    /// Takes what there is room for and returns how many bytes; `None` once the playback has ended. `more` as in [`Pipe::write`].
    pub fn write(&self, bytes: &[u8], more: bool) -> Option<usize> {
        self.pipe.write(bytes, more)
    }

    /// Settles when there is room again, or the playback has ended.
    pub fn when_room(&self, ticket: Ticket) {
        let core = self.core.clone();
        self.pipe.when_room(move || {
            core.upgrade().map(|core| core.with(|session, _| session.settle(ticket)));
        });
    }

    /// What was written is all.
    pub fn end(&self) {
        self.pipe.end(Ok(()));
    }

    /// What was written is played, and then the playback fails.
    pub fn fail(&self, message: String) {
        self.pipe.end(Err(SpeakerError::new(Code::Stream, message)));
    }

    /// How it is doing; `None` once its playback is over.
    pub fn stats(&self) -> Option<StreamStats> {
        self.core.upgrade()?.with(|session, _| session.stream_stats(self.accepted.id)).ok()?
    }

    /// Drops what was written and not heard; `more` as in [`Pipe::write`]. Settles when it is done.
    pub fn flush(&self, more: bool, ticket: Ticket) {
        self.pipe.flush(more);
        let id = self.accepted.id;
        self.core.upgrade().map(|core| core.with(|session, at| session.flush(id, ticket, at)));
    }
}
