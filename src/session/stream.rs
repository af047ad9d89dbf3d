//! A stream as its writer holds it: bytes go straight to the feeder, past the actor.

use std::sync::Arc;

use tokio::sync::mpsc::WeakUnboundedSender;

use super::command::Command;
use crate::error::{Code, SpeakerError};
use crate::event::{Message, Sink};
use crate::mixer::PlaybackId;
use crate::source::Pipe;

/// Dropping it changes nothing: its playback goes on until it is ended or stopped.
pub struct Stream {
    request_id: String,
    /// `None` if it was over a limit, and never opens.
    id: Option<PlaybackId>,
    pipe: Arc<Pipe>,
    /// Weak, for a writer must not keep a session open that its user has dropped.
    commands: WeakUnboundedSender<Command>,
    sink: Sink,
}

impl Stream {
    pub(super) fn new(
        request_id: String,
        id: Option<PlaybackId>,
        pipe: Arc<Pipe>,
        commands: WeakUnboundedSender<Command>,
        sink: Sink,
    ) -> Self {
        Self { request_id, id, pipe, commands, sink }
    }

    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    /// Takes what there is room for and says how many bytes; `None` once the playback has ended. `more` as in [`Pipe::write`].
    pub fn write(&self, bytes: &[u8], more: bool) -> Option<usize> {
        self.pipe.write(bytes, more)
    }

    /// Settles when there is room again, or the playback has ended.
    pub fn when_room(&self, ticket: u32) {
        let sink = self.sink.clone();
        self.pipe.when_room(move || sink(Message::Settled { ticket, error: None }));
    }

    /// What was written is all.
    pub fn end(&self) {
        self.pipe.end(Ok(()));
    }

    /// What was written is played, and then the playback fails.
    pub fn fail(&self, message: String) {
        self.pipe.end(Err(SpeakerError::new(Code::Stream, message)));
    }

    /// Drops what was written and not heard; `more` as in [`Pipe::write`]. Settles when it is done.
    pub fn flush(&self, more: bool, ticket: u32) {
        self.pipe.flush(more);
        let flush = self.id.map(|id| Command::Flush(id, ticket));
        let sent = flush.zip(self.commands.upgrade()).map(|(flush, commands)| commands.send(flush));
        if !matches!(sent, Some(Ok(()))) {
            (self.sink)(Message::Settled { ticket, error: None });
        }
    }
}
