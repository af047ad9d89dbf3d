//! The bytes between a writer and the decode task that reads them: bounded, in order, and gone at once when flushed.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::ring::DecodeContext;
use crate::error::{Result, SpeakerError};
use crate::runtime::Waker;
use crate::sync::{AtomicBool, Mutex};

/// The writer's end. No call blocks.
pub struct PipeWriter {
    capacity: usize,
    state: Mutex<State>,
    /// True while nothing can be read until the writer writes. An atomic, because the mixer reads it.
    starved: AtomicBool,
}

struct State {
    bytes: VecDeque<u8>,
    /// The decode task that reads since the last flush; earlier ones get nothing any more.
    task: Option<Waker>,
    /// The callback for room.
    on_room: Option<Box<dyn FnOnce() + Send>>,
    /// True if the writer has more at hand.
    more: bool,
    /// True if not a single byte was ever written.
    untouched: bool,
    /// The bytes that were accepted since the last flush.
    written: u64,
    /// The outcome, once no more comes: an error if the data is incomplete.
    end: Option<Result<()>>,
    /// True if no reader is left.
    closed: bool,
}

impl PipeWriter {
    /// Makes a pipe and its reader's end. `more` is true if the writer has something at hand already.
    pub fn new(capacity: usize, more: bool) -> (Arc<Self>, Arc<PipeReader>) {
        let state = State {
            bytes: VecDeque::new(),
            task: None,
            on_room: None,
            more,
            untouched: true,
            written: 0,
            end: None,
            closed: false,
        };
        let pipe = Arc::new(Self { capacity, state: Mutex::new(state), starved: AtomicBool::new(true) });
        (pipe.clone(), Arc::new(PipeReader(pipe)))
    }

    /// Takes as many of `bytes` as there is room for and returns their number; `None` if no reader is left. `more` is true if the writer
    /// has others at hand, so that a manual clock waits for them.
    pub fn write(&self, bytes: &[u8], more: bool) -> Option<usize> {
        let mut state = self.state.lock();
        if state.closed {
            return None;
        }
        let taken = bytes.len().min(self.capacity - state.bytes.len());
        state.bytes.extend(&bytes[..taken]);
        state.more = more || taken < bytes.len();
        state.untouched &= taken == 0;
        state.written += taken as u64;
        self.wake(&state);
        Some(taken)
    }

    /// Calls `callback` once half of the pipe is free, or no reader is left; on any thread, this one included.
    pub fn when_writable(&self, callback: impl FnOnce() + Send + 'static) {
        let mut state = self.state.lock();
        if !state.closed && state.bytes.len() > self.capacity / 2 {
            state.on_room = Some(Box::new(callback));
            return;
        }
        drop(state);
        callback();
    }

    /// Ends the pipe; the first call counts.
    pub fn end(&self, result: Result<()>) {
        let mut state = self.state.lock();
        state.end.get_or_insert(result);
        state.more = false;
        self.wake(&state);
    }

    /// Drops the bytes that wait. A new reader has to be attached, because the old one may be in the middle of a packet.
    pub fn flush(&self, more: bool) {
        let mut state = self.state.lock();
        state.bytes.clear();
        state.written = 0;
        state.more = more;
        state.task = None;
        self.starved.store(true, Ordering::Release);
        let on_room = state.on_room.take();
        drop(state);
        if let Some(callback) = on_room {
            callback();
        }
    }

    fn wake(&self, state: &State) {
        if let Some(task) = &state.task {
            self.starved.store(false, Ordering::Release);
            task.wake();
        }
    }
}

/// The reader's end, shared by all readers. Dropping the last one closes the pipe.
pub struct PipeReader(Arc<PipeWriter>);

impl PipeReader {
    /// Makes `task` the decode task that reads from here on.
    pub fn attach(&self, task: &Waker) {
        self.0.state.lock().task = Some(task.clone());
        self.0.starved.store(false, Ordering::Release);
    }

    /// Returns true if everything written is decoded, and nothing can come before the writer writes.
    pub fn is_starved(&self) -> bool {
        self.0.starved.load(Ordering::Acquire)
    }

    /// Returns true if the writer has more at hand, and a decode task reads it.
    pub fn has_more(&self) -> bool {
        let state = self.0.state.lock();
        state.more && state.task.is_some()
    }

    /// Returns true if not a single byte was ever written.
    pub fn is_untouched(&self) -> bool {
        self.0.state.lock().untouched
    }

    /// Returns the number of bytes written since the last flush.
    pub fn written(&self) -> u64 {
        self.0.state.lock().written
    }

    /// Returns the error that cut the data short, if any.
    pub fn failure(&self) -> Option<SpeakerError> {
        self.0.state.lock().end.clone()?.err()
    }

    /// Returns true if there are bytes to read, false at the end, and `None` while the reader has to wait.
    pub fn poll(&self, task: &Waker) -> Option<io::Result<bool>> {
        let state = self.0.state.lock();
        if state.task.as_ref() != Some(task) {
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

    /// Reads the bytes that wait; none if they were just flushed.
    pub fn take(&self, task: &Waker, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.0.state.lock();
        if state.task.as_ref() != Some(task) {
            return Ok(0);
        }
        let read = state.bytes.read(buffer)?;
        let on_room = if state.bytes.len() <= self.0.capacity / 2 { state.on_room.take() } else { None };
        drop(state);
        if let Some(callback) = on_room {
            callback();
        }
        Ok(read)
    }
}

impl Drop for PipeReader {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.closed = true;
        state.bytes = VecDeque::new();
        let on_room = state.on_room.take();
        drop(state);
        if let Some(callback) = on_room {
            callback();
        }
    }
}

impl fmt::Debug for PipeReader {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Outlet").finish_non_exhaustive()
    }
}

/// A reader on the decode pool, which suspends the decode task while the writer is behind.
pub struct SuspendingPipeReader {
    reader: Arc<PipeReader>,
    task: DecodeContext,
}

impl SuspendingPipeReader {
    pub fn new(reader: Arc<PipeReader>, task: DecodeContext) -> Self {
        Self { reader, task }
    }

    /// Waits for the next byte; returns false at the end.
    pub fn wait_for_bytes(&mut self) -> io::Result<bool> {
        loop {
            if let Some(found) = self.reader.poll(&self.task.waker) {
                return found;
            }
            self.task.note_change();
            self.task.suspend();
            if self.task.shared.cancelled.load(Ordering::Acquire) {
                return Err(io::Error::other("cancelled"));
            }
        }
    }
}

impl Read for SuspendingPipeReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while !buffer.is_empty() && self.wait_for_bytes()? {
            match self.reader.take(&self.task.waker, buffer)? {
                0 => continue,
                read => return Ok(read),
            }
        }
        Ok(0)
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;
    use crate::error::{Code, SpeakerError};
    use crate::runtime::DECODERS;
    use crate::source::{PipeWriter, SourceState};
    use std::sync::mpsc::{Receiver, channel};
    use std::time::Duration;

    /// Reads on the decode pool and sends the pieces, and then the outcome.
    fn read(reader: &Arc<PipeReader>) -> (Receiver<Vec<u8>>, Receiver<io::Result<bool>>, Arc<SourceState>) {
        let ((pieces, received), (ends, ended)) = (channel(), channel());
        let (shared, reader) = (Arc::<SourceState>::default(), reader.clone());
        let (seen, notifier) = (shared.clone(), Arc::default());
        DECODERS.start(|waker| {
            reader.attach(&waker);
            move || {
                let mut reader = SuspendingPipeReader::new(reader, DecodeContext { waker, shared: seen, notifier });
                let mut buffer = [0; 7];
                let end = loop {
                    match reader.read(&mut buffer) {
                        Ok(0) => break Ok(true),
                        Ok(read) => pieces.send(buffer[..read].to_vec()).unwrap(),
                        Err(error) => break Err(error),
                    }
                };
                drop(reader);
                let _ = ends.send(end);
            }
        });
        (received, ended, shared)
    }

    const SOON: Duration = Duration::from_secs(20);

    #[test]
    fn signals_room_once_half_is_free() {
        let (pipe, reader) = PipeWriter::new(10, false);
        assert_eq!((pipe.write(&[1; 4], false), pipe.write(&[2; 9], false)), (Some(4), Some(6)));
        assert!(reader.is_starved() && !reader.has_more(), "nobody reads yet");
        let (sender, room) = channel();
        pipe.when_writable(move || sender.send(()).unwrap());
        assert!(room.try_recv().is_err());
        let (pieces, ended, _) = read(&reader);
        room.recv_timeout(SOON).expect("it was read");
        assert_eq!(pipe.write(&[3; 3], false), Some(3));
        pipe.end(Ok(()));
        assert!(ended.recv_timeout(SOON).unwrap().unwrap());
        assert_eq!(pieces.iter().flatten().collect::<Vec<u8>>(), [&[1; 4][..], &[2; 6], &[3; 3]].concat());
    }

    #[test]
    fn flush_drops_bytes_and_detaches_the_reader() {
        let (pipe, reader) = PipeWriter::new(10, false);
        let (old, old_end, shared) = read(&reader);
        pipe.write(b"old", false);
        assert_eq!(old.recv_timeout(SOON).unwrap(), b"old");
        pipe.flush(true);
        pipe.write(b"new", false);
        assert!(reader.is_starved() && !reader.has_more(), "a clock that waits must not wait for nobody");
        pipe.end(Ok(()));
        let (new, new_end, _) = read(&reader);
        assert!(new_end.recv_timeout(SOON).unwrap().unwrap());
        assert_eq!(new.iter().flatten().collect::<Vec<u8>>(), b"new");
        assert!(old_end.try_recv().is_err(), "the old one waits until it is cancelled");
        shared.cancelled.store(true, Ordering::Release);
    }

    #[test]
    fn failure_follows_the_bytes_written_before() {
        let (pipe, reader) = PipeWriter::new(4, false);
        let (pieces, ended, _) = read(&reader);
        pipe.write(b"abc", true);
        pipe.end(Err(SpeakerError::new(Code::Stream, "cut")));
        assert_eq!(ended.recv_timeout(SOON).unwrap().unwrap_err().to_string(), "cut");
        assert_eq!(pieces.iter().flatten().collect::<Vec<u8>>(), b"abc");
        assert_eq!(reader.failure().unwrap().code, Code::Stream);

        let (pipe, reader) = PipeWriter::new(4, false);
        assert_eq!(pipe.write(b"abcdef", false), Some(4));
        let (sender, room) = channel();
        pipe.when_writable(move || sender.send(()).unwrap());
        drop(reader);
        room.try_recv().expect("told when the last reader is gone");
        assert_eq!(pipe.write(b"abcdef", false), None);
    }
}

#[cfg(all(test, feature = "loom"))]
mod models {
    use super::*;
    use crate::error::{Code, SpeakerError};
    use crate::runtime::Suspended;
    use crate::sync::{Receiver, channel};
    use loom::thread::spawn;

    fn model(check: impl Fn() + Sync + Send + 'static) {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model.check(check);
    }

    /// Reads to the end as a decode task does.
    fn read(reader: &PipeReader, waker: &Waker, suspended: &Suspended) -> (Vec<u8>, io::Result<bool>) {
        let mut bytes = Vec::new();
        loop {
            match reader.poll(waker) {
                Some(Ok(true)) => {
                    let mut buffer = [0; 4];
                    let read = reader.take(waker, &mut buffer).unwrap();
                    bytes.extend(&buffer[..read]);
                }
                Some(end) => return (bytes, end),
                None => suspended.wait(),
            }
        }
    }

    /// Waits until there is room, or no reader is left.
    fn wait_for_room(pipe: &PipeWriter) {
        let (sender, receiver): (_, Receiver<()>) = channel();
        pipe.when_writable(move || sender.send(()).unwrap());
        receiver.recv().unwrap();
    }

    #[test]
    fn loom_reads_everything_in_order() {
        for end in [Ok(()), Err(SpeakerError::new(Code::Stream, "cut"))] {
            model(move || {
                let (pipe, reader) = PipeWriter::new(2, false);
                let (waker, suspended) = Suspended::new(0);
                reader.attach(&waker);
                let expected = end.is_ok();
                let end = end.clone();
                let writer = spawn(move || {
                    let mut rest = &b"abc"[..];
                    while !rest.is_empty() {
                        rest = &rest[pipe.write(rest, true).unwrap()..];
                        if !rest.is_empty() {
                            wait_for_room(&pipe);
                        }
                    }
                    pipe.end(end);
                });
                let (bytes, ended) = read(&reader, &waker, &suspended);
                assert_eq!((&*bytes, ended.is_ok()), (&b"abc"[..], expected));
                writer.join().unwrap();
            });
        }
    }

    #[test]
    fn loom_waiting_writer_sees_the_reader_close() {
        model(|| {
            let (pipe, reader) = PipeWriter::new(2, false);
            let reader = spawn(move || drop(reader));
            if pipe.write(b"ab", true).is_some() {
                wait_for_room(&pipe);
                assert_eq!(pipe.write(b"c", true), None);
            }
            reader.join().unwrap();
        });
    }

    #[test]
    fn loom_only_new_readers_read_after_a_flush() {
        model(|| {
            let (pipe, reader) = PipeWriter::new(4, false);
            let (waker, suspended) = Suspended::new(0);
            reader.attach(&waker);
            let old = reader.clone();
            let old = spawn(move || {
                // It will be cancelled and learns of no end: so it takes the bytes that are there and does not wait for more.
                let mut buffer = [0; 4];
                let read = match old.poll(&waker) {
                    Some(Ok(true)) => old.take(&waker, &mut buffer).unwrap(),
                    _ => 0,
                };
                (buffer[..read].to_vec(), suspended)
            });
            let writer = spawn(move || {
                pipe.write(b"ol", true);
                pipe.flush(true);
                pipe.write(b"new", false);
                pipe.end(Ok(()));
                let (waker, suspended) = Suspended::new(1);
                reader.attach(&waker);
                let (bytes, ended) = read(&reader, &waker, &suspended);
                assert_eq!((&*bytes, ended.unwrap()), (&b"new"[..], false));
            });
            // It is woken as long as the writer lives.
            let (bytes, _suspended) = old.join().unwrap();
            assert!([&b""[..], b"ol"].contains(&&*bytes));
            writer.join().unwrap();
        });
    }

    #[test]
    fn loom_clock_waits_for_undecoded_bytes() {
        model(|| {
            let (pipe, reader) = PipeWriter::new(4, false);
            let (waker, suspended) = Suspended::new(0);
            reader.attach(&waker);
            let decoded = Arc::new(loom::sync::atomic::AtomicUsize::new(0));
            let (reading, count) = (reader.clone(), decoded.clone());
            let task = spawn(move || {
                while count.load(Ordering::Relaxed) < 2 {
                    match reading.poll(&waker) {
                        Some(_) => {
                            let read = reading.take(&waker, &mut [0]).unwrap();
                            count.fetch_add(read, Ordering::Relaxed);
                        }
                        None => suspended.wait(),
                    }
                }
                assert!(reading.poll(&waker).is_none());
            });
            pipe.write(b"ab", false);
            if reader.is_starved() {
                assert_eq!(decoded.load(Ordering::Relaxed), 2, "it was said to be decoded");
            }
            task.join().unwrap();
            assert!(reader.is_starved(), "a clock would wait for ever");
        });
    }
}
