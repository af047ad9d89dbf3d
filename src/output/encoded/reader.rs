//! A listener's end of an encoded output.

use std::sync::Arc;

use super::broadcast::{Broadcast, Next};
use super::container::Container;

/// The bytes after which a read ends, so that a listener that is behind takes no longer than others.
const ENOUGH: usize = 1 << 16;

/// The result of a read.
#[derive(Debug, PartialEq, Eq)]
pub enum Read {
    /// The next bytes.
    Bytes(Vec<u8>),
    /// There are none yet: the bell will ring.
    Waits,
    /// The stream is over.
    Ended,
}

/// The reader of one stream: its headers, and the sound from its arrival on. Dropping it ends the listening.
pub struct AudioReader {
    broadcast: Arc<Broadcast>,
    id: u32,
    /// Made with the headers, at the first read.
    container: Option<Container>,
    has_ended: bool,
    dropped: u64,
}

impl AudioReader {
    /// Arrives as a listener.
    pub fn new(broadcast: Arc<Broadcast>) -> Self {
        let id = broadcast.join();
        Self { broadcast, id, container: None, has_ended: false, dropped: 0 }
    }

    /// Reads what there is.
    pub fn read(&mut self) -> Read {
        if self.has_ended {
            return Read::Ended;
        }
        let mut bytes = Vec::new();
        let container = self.container.get_or_insert_with(|| {
            let (container, headers) = Container::begin(self.broadcast.format(), self.id);
            bytes = headers;
            container
        });
        while bytes.len() < ENOUGH {
            match self.broadcast.next(self.id) {
                Next::Piece { piece, is_last, dropped } => {
                    self.dropped += dropped;
                    bytes.extend(container.write(&piece, is_last));
                    self.has_ended = is_last;
                }
                Next::Ended if !self.has_ended => {
                    bytes.extend(container.end());
                    self.has_ended = true;
                }
                Next::Ended | Next::Waits => break,
            }
        }
        match bytes {
            bytes if !bytes.is_empty() => Read::Bytes(bytes),
            _ if self.has_ended => Read::Ended,
            _ => Read::Waits,
        }
    }

    /// Sets whether a manual clock waits for this listener.
    pub fn hold(&self, holds: bool) {
        self.broadcast.hold(self.id, holds);
    }

    /// Returns the frames that it did not get, because it was too slow.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Stops listening.
    pub fn leave(&self) {
        self.broadcast.leave(self.id);
    }
}

impl Drop for AudioReader {
    fn drop(&mut self) {
        self.leave();
    }
}
