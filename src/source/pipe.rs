//! The bytes between a writer and the feeder that decodes them: bounded, in order, and gone at once when they are flushed.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::error::{Result, SpeakerError};
use crate::runtime::Waker;

/// The writer's end. No call waits.
pub struct Pipe {
    capacity: usize,
    state: Mutex<State>,
    /// Nothing can be read until the writer writes. An atomic, for the mixer asks.
    starved: AtomicBool,
}

struct State {
    bytes: VecDeque<u8>,
    /// The feeder that reads since the last flush; earlier ones get nothing any more.
    feeder: Option<Waker>,
    /// Called once there is room.
    room: Option<Box<dyn FnOnce() + Send>>,
    /// True if the writer has more at hand.
    more: bool,
    /// True if not a single byte was ever written.
    untouched: bool,
    /// `Some` when no more comes: whether all of it came.
    end: Option<Result<()>>,
    /// True if no reader is left.
    closed: bool,
}

impl Pipe {
    /// Both ends. `more` is true if the writer has something at hand already.
    pub fn new(capacity: usize, more: bool) -> (Arc<Self>, Arc<Outlet>) {
        let state =
            State { bytes: VecDeque::new(), feeder: None, room: None, more, untouched: true, end: None, closed: false };
        let pipe = Arc::new(Self { capacity, state: Mutex::new(state), starved: AtomicBool::new(true) });
        (pipe.clone(), Arc::new(Outlet(pipe)))
    }

    /// Takes as many of `bytes` as there is room for and returns how many; `None` if no reader is left. `more` is true if the
    /// writer has others at hand, so that a manual clock waits for them.
    pub fn write(&self, bytes: &[u8], more: bool) -> Option<usize> {
        let mut state = self.state.lock();
        if state.closed {
            return None;
        }
        let taken = bytes.len().min(self.capacity - state.bytes.len());
        state.bytes.extend(&bytes[..taken]);
        state.more = more || taken < bytes.len();
        state.untouched &= taken == 0;
        self.wake(&state);
        Some(taken)
    }

    /// Calls `tell` once half of it is free, or no reader is left; on any thread, this one included.
    pub fn when_room(&self, tell: impl FnOnce() + Send + 'static) {
        let mut state = self.state.lock();
        if !state.closed && state.bytes.len() > self.capacity / 2 {
            state.room = Some(Box::new(tell));
            return;
        }
        drop(state);
        tell();
    }

    /// No more comes; the first call counts.
    pub fn end(&self, result: Result<()>) {
        let mut state = self.state.lock();
        state.end.get_or_insert(result);
        state.more = false;
        self.wake(&state);
    }

    /// Drops what waits. A new reader has to be attached, because the old one may be in the middle of a packet.
    pub fn flush(&self, more: bool) {
        let mut state = self.state.lock();
        state.bytes.clear();
        state.more = more;
        state.feeder = None;
        self.starved.store(true, Ordering::Release);
        let room = state.room.take();
        drop(state);
        room.into_iter().for_each(|tell| tell());
    }

    fn wake(&self, state: &State) {
        if let Some(feeder) = &state.feeder {
            self.starved.store(false, Ordering::Release);
            feeder.wake();
        }
    }
}

/// The reader's end, which every reader shares. Dropping the last one closes the pipe.
pub struct Outlet(Arc<Pipe>);

impl Outlet {
    /// Makes `feeder` the one that reads from here on.
    pub fn attach(&self, feeder: &Waker) {
        self.0.state.lock().feeder = Some(feeder.clone());
        self.0.starved.store(false, Ordering::Release);
    }

    /// Returns true if all that was written is decoded, and nothing can come before the writer writes.
    pub fn is_starved(&self) -> bool {
        self.0.starved.load(Ordering::Acquire)
    }

    /// Returns true if the writer has more at hand, and a feeder reads it.
    pub fn has_more(&self) -> bool {
        let state = self.0.state.lock();
        state.more && state.feeder.is_some()
    }

    /// Returns true if not a single byte was ever written.
    pub fn is_untouched(&self) -> bool {
        self.0.state.lock().untouched
    }

    /// Why not all of it came, if it did not.
    pub fn failure(&self) -> Option<SpeakerError> {
        self.0.state.lock().end.clone()?.err()
    }

    /// Returns true if a reader finds bytes, false at the end, and `None` while it has to wait.
    pub fn poll(&self, feeder: &Waker) -> Option<io::Result<bool>> {
        let state = self.0.state.lock();
        if state.feeder.as_ref() != Some(feeder) {
            return None;
        }
        if !state.bytes.is_empty() {
            return Some(Ok(true));
        }
        if let Some(end) = &state.end {
            return Some(end.clone().map(|()| false).map_err(io::Error::other));
        }
        self.0.starved.store(true, Ordering::Release);
        None
    }

    /// Reads what waits, nothing if that was flushed just now.
    pub fn take(&self, feeder: &Waker, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.0.state.lock();
        if state.feeder.as_ref() != Some(feeder) {
            return Ok(0);
        }
        let read = state.bytes.read(buffer)?;
        let room = if state.bytes.len() <= self.0.capacity / 2 { state.room.take() } else { None };
        drop(state);
        room.into_iter().for_each(|tell| tell());
        Ok(read)
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.closed = true;
        state.bytes = VecDeque::new();
        let room = state.room.take();
        drop(state);
        room.into_iter().for_each(|tell| tell());
    }
}

impl fmt::Debug for Outlet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Outlet").finish_non_exhaustive()
    }
}
