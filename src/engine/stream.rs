//! A writer's handle to a stream: bytes go straight to the decode task, past the session.

use std::sync::{Arc, Weak};

use super::handle::Core;
use crate::error::{Code, Result, SpeakerError};
use crate::ids::{MarkId, Ticket};
use crate::mixer::Written;
use crate::session::{Accepted, StreamStats};
use crate::source::{Encoding, PipeWriter};

/// The writer of a stream. Dropping it changes nothing: its playback goes on until it is ended or stopped.
pub struct Stream {
    accepted: Accepted,
    pipe: Arc<PipeWriter>,
    encoding: Option<Encoding>,
    /// Weak, because a writer must not keep a session open that its user has dropped.
    core: Weak<Core>,
}

impl Stream {
    pub(super) fn new(accepted: Accepted, pipe: Arc<PipeWriter>, encoding: Option<Encoding>, core: Weak<Core>) -> Self {
        Self { accepted, pipe, encoding, core }
    }

    /// Returns its `requestId`, and its internal id.
    pub fn accepted(&self) -> &Accepted {
        &self.accepted
    }

    /// Takes as many bytes as there is room for, and returns their number; `None` once the playback has ended. `more` as in
    /// [`PipeWriter::write`].
    pub fn write(&self, bytes: &[u8], more: bool) -> Option<usize> {
        self.pipe.write(bytes, more)
    }

    /// Settles when there is room again, or the playback has ended.
    pub fn when_writable(&self, ticket: Ticket) {
        let core = self.core.clone();
        self.pipe.when_writable(move || {
            if let Some(core) = core.upgrade() {
                let _ = core.with(|session, _| session.settle(ticket));
            }
        });
    }

    /// Ends the stream.
    pub fn end(&self) {
        self.pipe.end(Ok(()));
    }

    /// Ends the stream with an error: what was written is played, and then the playback fails.
    pub fn fail(&self, message: String) {
        self.pipe.end(Err(SpeakerError::new(Code::Stream, message)));
    }

    /// Sets a mark behind so many bytes written since the last flush; see [`Session::mark_stream`](crate::session::Session::mark_stream).
    pub fn mark(&self, name: String, mark: MarkId, bytes: u64) -> Result<()> {
        let place = self.encoding.as_ref().and_then(|encoding| encoding.position(bytes));
        let written = place.map(|place| Written { bytes, place });
        let Some(core) = self.core.upgrade() else {
            return Err(SpeakerError::new(Code::Closed, "Expected an open session but it is closed"));
        };
        core.with(|session, at| session.mark_stream(self.accepted.id, written, name, mark, at))?
    }

    /// Returns its state; `None` once its playback is over.
    pub fn stats(&self) -> Option<StreamStats> {
        self.core.upgrade()?.with(|session, _| session.stream_stats(self.accepted.id)).ok()?
    }

    /// Drops everything written and not heard; `more` as in [`PipeWriter::write`]. Settles when it is done.
    pub fn flush(&self, more: bool, ticket: Ticket) {
        self.pipe.flush(more);
        let id = self.accepted.id;
        if let Some(core) = self.core.upgrade() {
            let _ = core.with(|session, at| session.flush(id, ticket, at));
        }
    }
}
