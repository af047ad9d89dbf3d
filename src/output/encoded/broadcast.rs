//! The encoded mix as its listeners read it: a log of the last pieces, each encoded once, in which each listener has a place of its own. One that
//! falls too far behind continues with the newest sound, as if it had just arrived.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

use super::EncodedFormat;
use crate::audio::{FRAME, PER_MS, Samples};

/// The sound that waits for a listener that does not read.
const MAX_BEHIND: Samples = 10_000 * PER_MS;

/// Some consecutive packets, as long as [`EncodedFormat::piece`].
pub struct Piece {
    /// Packets of Opus, frames of MP3, or samples of a WAV.
    pub packets: Vec<Vec<u8>>,
    /// The samples at its end that are not of the session; only of the last piece.
    pub padding: Samples,
}

/// The next thing that a listener gets.
pub enum Next {
    /// A piece; `is_last` if none follows.
    Piece {
        /// The piece.
        piece: Arc<Piece>,
        /// True if it is the last one.
        is_last: bool,
        /// The frames before it that the listener did not get, because it was too slow.
        dropped: u64,
    },
    /// There is nothing yet: the bell will ring.
    Waits,
    /// The output is closed.
    Ended,
}

struct Listener {
    id: u32,
    /// The number of the next piece.
    next: u64,
    /// A manual clock waits for it.
    holds: bool,
}

#[derive(Default)]
struct Log {
    pieces: VecDeque<Arc<Piece>>,
    /// The number of the first of `pieces`.
    first: u64,
    listeners: Vec<Listener>,
    last_id: u32,
    /// Some listener found nothing, and waits for the bell.
    is_wanted: bool,
    has_ended: bool,
    /// The frames that listeners did not get.
    dropped: u64,
}

impl Log {
    fn end(&self) -> u64 {
        self.first + self.pieces.len() as u64
    }

    fn listener(&mut self, id: u32) -> Option<&mut Listener> {
        self.listeners.iter_mut().find(|listener| listener.id == id)
    }

    /// Returns the place at which a listener that arrives begins, `burst` pieces before the end.
    fn live(&self, burst: u64) -> u64 {
        self.end().saturating_sub(burst).max(self.first)
    }
}

/// The log of a session, and its listeners.
pub struct Broadcast {
    format: EncodedFormat,
    /// The pieces that a listener gets when it arrives.
    burst: u64,
    /// The most pieces in the log.
    capacity: u64,
    /// Called when there is something for a listener that waits; must not block.
    bell: Box<dyn Fn() + Send + Sync>,
    log: Mutex<Log>,
}

impl Broadcast {
    /// Creates an empty log.
    pub fn new(format: EncodedFormat, bell: impl Fn() + Send + Sync + 'static) -> Self {
        let burst = format.pieces();
        let capacity = (MAX_BEHIND / format.piece).max(2 * burst + 2);
        Self { format, burst, capacity, bell: Box::new(bell), log: Mutex::default() }
    }

    /// Returns the format.
    pub fn format(&self) -> EncodedFormat {
        self.format
    }

    /// Notes that an output was opened.
    pub fn begin(&self) {
        self.log.lock().has_ended = false;
    }

    /// Adds a listener. Returns its id.
    pub fn join(&self) -> u32 {
        let log = &mut *self.log.lock();
        log.last_id += 1;
        let (id, next) = (log.last_id, log.live(self.burst));
        log.listeners.push(Listener { id, next, holds: false });
        id
    }

    /// Removes a listener.
    pub fn leave(&self, id: u32) {
        self.log.lock().listeners.retain(|listener| listener.id != id);
    }

    /// Returns true if somebody listens. Otherwise the pieces are dropped: those to come will not follow them.
    pub fn is_heard(&self) -> bool {
        let log = &mut *self.log.lock();
        if log.listeners.is_empty() {
            log.first = log.end();
            log.pieces.clear();
        }
        !log.listeners.is_empty()
    }

    /// Appends a piece.
    pub fn push(&self, piece: Piece) {
        self.change(|log| {
            log.pieces.push_back(Arc::new(piece));
            let needed = log.listeners.iter().map(|listener| listener.next).min().unwrap_or(u64::MAX);
            let needed = needed.min(log.live(self.burst)).max(log.end().saturating_sub(self.capacity));
            while log.first < needed && log.pieces.pop_front().is_some() {
                log.first += 1;
            }
        });
    }

    /// Ends every stream, after this piece if there is one.
    pub fn end(&self, last: Option<Piece>) {
        self.change(|log| {
            log.pieces.extend(last.map(Arc::new));
            log.has_ended = true;
        });
    }

    /// Makes a change, and rings for listeners that wait for it.
    fn change(&self, change: impl FnOnce(&mut Log)) {
        let mut log = self.log.lock();
        change(&mut log);
        let rings = std::mem::take(&mut log.is_wanted);
        drop(log);
        if rings {
            (self.bell)();
        }
    }

    /// Takes a listener's next piece.
    pub fn next(&self, id: u32) -> Next {
        let log = &mut *self.log.lock();
        let (first, live) = (log.first, log.live(self.burst));
        let Some(listener) = log.listeners.iter_mut().find(|listener| listener.id == id) else { return Next::Ended };
        let mut dropped = 0;
        if listener.next < first {
            dropped = (live - listener.next) * (self.format.piece / FRAME as Samples);
            log.dropped += dropped;
            listener.next = live;
        }
        match log.pieces.get((listener.next - first) as usize) {
            Some(piece) => {
                listener.next += 1;
                let is_last = log.has_ended && listener.next == first + log.pieces.len() as u64;
                Next::Piece { piece: piece.clone(), is_last, dropped }
            }
            None if log.has_ended => Next::Ended,
            None => {
                log.is_wanted = true;
                Next::Waits
            }
        }
    }

    /// Sets whether a manual clock waits for a listener.
    pub fn hold(&self, id: u32, holds: bool) {
        if let Some(listener) = self.log.lock().listener(id) {
            listener.holds = holds;
        }
    }

    /// Returns true if no listener makes a manual clock wait.
    pub fn has_room(&self) -> bool {
        let log = self.log.lock();
        let end = log.end();
        log.listeners.iter().all(|listener| !listener.holds || end < listener.next + self.capacity / 2)
    }

    /// Returns the frames that all listeners together did not get.
    pub fn dropped(&self) -> u64 {
        self.log.lock().dropped
    }
}
