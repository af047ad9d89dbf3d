//! Reads a file for a decode task on the threads of its disk: while one chunk is decoded, the next is read. Where the disk is late the
//! decode task is suspended, as it is for a server.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use tokio::sync::oneshot::{self, error::TryRecvError};

use super::page_cache_reader::PageCacheReader;
use super::ring::DecodeContext;
use crate::runtime::{Lane, Waker};

/// The largest chunk: on a disk that takes seconds for one, that is still faster than 32-bit stereo plays.
const LARGEST_CHUNK: usize = 1 << 20;

/// A file in its lane, once it is open.
pub type LaneFile = Option<Arc<File>>;

/// A pending call to a file, whose answer the decode task waits for.
pub struct DiskCall<T>(oneshot::Receiver<T>);

/// Wakes the decode task when dropped: also if the call is never made.
struct Wake(Waker);

impl Drop for Wake {
    fn drop(&mut self) {
        self.0.wake();
    }
}

impl<T: Send + 'static> DiskCall<T> {
    pub fn new(
        lane: &Lane<LaneFile>,
        task: &DecodeContext,
        call: impl FnOnce(&mut LaneFile) -> T + Send + 'static,
    ) -> Self {
        let (sender, answer) = oneshot::channel();
        // Dropped in this order.
        let reply = (sender, Wake(task.waker.clone()));
        lane.call(move |file| {
            let (sender, _wake) = reply;
            let _ = sender.send(call(file));
        });
        Self(answer)
    }

    /// Returns the answer, if it has arrived.
    pub fn poll(&mut self) -> Option<io::Result<T>> {
        match self.0.try_recv() {
            Ok(answer) => Some(Ok(answer)),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Closed) => Some(Err(io::Error::other("a fault of this package's own"))),
        }
    }

    /// Waits for the answer; fails once the reader was dropped.
    pub fn wait(&mut self, task: &DecodeContext) -> io::Result<T> {
        loop {
            if let Some(answer) = self.poll() {
                return answer;
            }
            wait(task)?;
        }
    }
}

/// Suspends the decode task until it is woken; fails once the reader was dropped.
pub fn wait(task: &DecodeContext) -> io::Result<()> {
    task.suspend();
    task.check().map_err(io::Error::other)
}

/// Returns the absolute position of a seek from `position` in data that ends at `end`.
pub fn seek_target(to: SeekFrom, position: u64, end: impl FnOnce() -> u64) -> io::Result<u64> {
    let position = match to {
        SeekFrom::Start(position) => Some(position),
        SeekFrom::Current(delta) => position.checked_add_signed(delta),
        SeekFrom::End(delta) => end().checked_add_signed(delta),
    };
    position.ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

/// The bytes of a file from a position on.
#[derive(Default)]
pub struct FileChunk {
    pub start: u64,
    pub bytes: Vec<u8>,
    /// True if the file ends behind them.
    pub is_last: bool,
}

impl FileChunk {
    /// Fills the buffer, or reads to the end of the file.
    pub fn read(mut file: &File, start: u64, mut bytes: Vec<u8>) -> io::Result<Self> {
        let mut filled = 0;
        file.seek(SeekFrom::Start(start))?;
        while filled < bytes.len() {
            match file.read(&mut bytes[filled..]) {
                Ok(0) => {
                    bytes.truncate(filled);
                    return Ok(Self { start, bytes, is_last: true });
                }
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The bytes before the error are played first: the next read meets it again.
                Err(_) if filled > 0 => break,
                Err(error) => return Err(error),
            }
        }
        bytes.truncate(filled);
        Ok(Self { start, bytes, is_last: false })
    }

    fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    /// Returns the bytes from a position on; `None` if the position is outside the chunk.
    fn from(&self, position: u64) -> Option<&[u8]> {
        let rest = self.bytes.get(usize::try_from(position.checked_sub(self.start)?).ok()?..)?;
        (!rest.is_empty() || self.is_last).then_some(rest)
    }
}

/// A chunk that is being read.
struct PendingRead {
    start: u64,
    end: u64,
    chunk: DiskCall<io::Result<FileChunk>>,
}

/// A file reader for a decode task.
pub struct ReadAhead {
    /// The part in the page cache. Dropped before its lane, so that the file is closed there.
    cached: Option<PageCacheReader>,
    lane: Arc<Lane<LaneFile>>,
    task: DecodeContext,
    chunk: FileChunk,
    next: Option<PendingRead>,
    /// The memory of the last chunk, for the next one.
    spare: Vec<u8>,
    /// The size of a read. It doubles each time the decode task had to wait for a chunk that was read ahead.
    size: usize,
}

impl ReadAhead {
    /// Makes a reader of a file of which `chunk` was read already. `size` is the number of bytes in a read, at first.
    pub fn new(lane: Arc<Lane<LaneFile>>, task: &DecodeContext, chunk: FileChunk, size: usize) -> Self {
        Self { cached: None, lane, task: task.clone(), chunk, next: None, spare: Vec::new(), size }
    }

    /// Adds the part of the file in the page cache: it is read from there as long as its disk is quick.
    pub fn with_cached(self, cached: Option<PageCacheReader>) -> Self {
        Self { cached, ..self }
    }

    /// Reads from a position on, and reads ahead to `end` at most; returns 0 at the end of the file.
    pub fn read(&mut self, position: u64, end: u64, buffer: &mut [u8]) -> io::Result<usize> {
        if self.chunk.from(position).is_none()
            && let Some(read) = self.read_cached(position, end, buffer)?
        {
            return Ok(read);
        }
        while self.chunk.from(position).is_none() {
            self.load_chunk(position, end)?;
        }
        if self.cached.is_none() && !self.chunk.is_last {
            self.start_read(self.chunk.end(), end);
        }
        let here = self.chunk.from(position).expect("it was turned to");
        let length = here.len().min(buffer.len());
        buffer[..length].copy_from_slice(&here[..length]);
        Ok(length)
    }

    /// Reads from the page cache at a position. If it has nothing there, it is not asked again.
    fn read_cached(&mut self, position: u64, end: u64, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let Some(cached) = &mut self.cached else { return Ok(None) };
        self.chunk = FileChunk::default();
        let read = cached.read(&self.lane, &self.task, position, buffer)?;
        let late_from = cached.late_from();
        if read.is_none() {
            self.cached = None;
        }
        // The first chunk behind it has to arrive in time.
        if let Some(position) = late_from {
            self.start_read(position, end);
        }
        Ok(read)
    }

    /// Starts to read the bytes from a position to `end`, so that they are there when they are needed.
    pub fn start_read(&mut self, position: u64, end: u64) {
        let end = end.min(position + self.size as u64);
        let is_coming = self.next.as_ref().is_some_and(|next| (next.start..next.end).contains(&position));
        if is_coming || position >= end {
            return;
        }
        let mut bytes = std::mem::take(&mut self.spare);
        // The first chunk may have been larger than those behind it.
        bytes.shrink_to(self.size);
        bytes.resize((end - position) as usize, 0);
        let chunk = DiskCall::new(&self.lane, &self.task, move |file| match file {
            Some(file) => FileChunk::read(file, position, bytes),
            None => Err(io::ErrorKind::NotFound.into()),
        });
        self.next = Some(PendingRead { start: position, end, chunk });
    }

    /// Waits for the chunk with the byte at a position.
    fn load_chunk(&mut self, position: u64, end: u64) -> io::Result<()> {
        let was_ahead = position == self.chunk.end();
        self.start_read(position, end);
        let next = self.next.as_mut().ok_or(io::ErrorKind::UnexpectedEof)?;
        let chunk = match next.chunk.poll() {
            Some(chunk) => chunk,
            None => {
                if was_ahead {
                    self.size = (2 * self.size).min(LARGEST_CHUNK);
                }
                next.chunk.wait(&self.task)
            }
        };
        self.next = None;
        self.spare = std::mem::replace(&mut self.chunk, chunk??).bytes;
        Ok(())
    }
}

#[cfg(test)]
pub mod tests {
    use super::super::ring::SourceState;
    use super::*;
    use crate::runtime::{DISKS, Disk, Pool};
    use std::io::Write;
    use std::path::Path;
    use std::sync::atomic::Ordering;
    use std::sync::mpsc::{Receiver, channel};
    use std::time::Duration;

    const FIRST_CHUNK: usize = 32 << 10;

    pub const SOON: Duration = Duration::from_secs(20);

    /// Runs on a decode thread of its own. Returns the [`DecodeContext`] and the result.
    pub fn decode<T: Send + 'static>(
        run: impl FnOnce(&DecodeContext) -> T + Send + 'static,
    ) -> (DecodeContext, Receiver<T>) {
        let pool = Pool::new(1).unwrap();
        let (sender, result) = channel();
        let (contexts, context) = channel();
        pool.start(|waker| {
            let task = DecodeContext { waker, shared: Arc::<SourceState>::default(), notifier: Arc::default() };
            contexts.send(task.clone()).unwrap();
            move || sender.send(run(&task)).unwrap()
        });
        // The thread ends with the last waker.
        (context.recv().unwrap(), result)
    }

    pub fn bytes(length: usize) -> Vec<u8> {
        (0..length).map(|n| (n % 251) as u8).collect()
    }

    fn lane(length: usize) -> Arc<Lane<LaneFile>> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes(length)).unwrap();
        Arc::new(DISKS.lane(Disk::of(Path::new("/")), Some(Arc::new(file))))
    }

    #[test]
    fn reads_from_any_position_to_the_end() {
        for length in [1, FIRST_CHUNK - 1, FIRST_CHUNK, FIRST_CHUNK + 1, 10 * FIRST_CHUNK + 7] {
            let (_task, result) = decode(move |task| {
                let mut file = ReadAhead::new(lane(length), task, FileChunk::default(), FIRST_CHUNK);
                let mut from = |mut position: usize| {
                    let (mut all, mut some) = (Vec::<u8>::new(), [0; 7_001]);
                    while let read @ 1.. = file.read(position as u64, u64::MAX, &mut some).unwrap() {
                        all.extend(&some[..read]);
                        position += read;
                    }
                    all
                };
                [0, length / 2, 0, length - 1, length, length + 1, length / 3]
                    .map(|position| (position, from(position)))
            });
            for (position, read) in result.recv_timeout(SOON).expect("it ends") {
                assert!(read == bytes(length).split_off(position.min(length)), "{length} bytes from {position}");
            }
        }
    }

    #[test]
    fn waiting_doubles_reads_and_cancellation_leaves_hanging_disks() {
        let (file, (hold, held)) = (lane(100 * FIRST_CHUNK), channel::<()>());
        let (slow, reading) = (file.clone(), channel());
        let (task, result) = decode(move |task| {
            let mut file = ReadAhead::new(slow.clone(), task, FileChunk::default(), FIRST_CHUNK);
            let (mut position, mut some) = (0, vec![0; 4 * FIRST_CHUNK]);
            while file.size < LARGEST_CHUNK {
                slow.call(|_| std::thread::sleep(Duration::from_millis(20)));
                position += file.read(position, u64::MAX, &mut some).unwrap() as u64;
            }
            reading.0.send(()).unwrap();
            slow.call(move |_| _ = held.recv());
            loop {
                match file.read(position, u64::MAX, &mut some) {
                    Ok(read) => position += read as u64,
                    Err(error) => return error.to_string(),
                }
            }
        });
        reading.1.recv_timeout(SOON).expect("it reads");
        assert!(result.recv_timeout(Duration::from_millis(50)).is_err(), "it waits");
        task.shared.cancelled.store(true, Ordering::Release);
        task.waker.wake();
        assert_eq!(result.recv_timeout(SOON).expect("it leaves"), "cancelled");
        drop(hold);
    }

    #[test]
    fn dropped_calls_are_errors() {
        let (_task, result) = decode(|task| {
            let file = lane(10);
            file.call(|_| std::panic::resume_unwind(Box::new("a fault")));
            ReadAhead::new(file, task, FileChunk::default(), FIRST_CHUNK).read(0, u64::MAX, &mut [0]).is_err()
        });
        assert!(result.recv_timeout(SOON).expect("it ends"));
    }
}
