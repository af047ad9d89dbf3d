//! The bytes between a download and its decoder: appended as they come, read from any place that has come.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use symphonia::core::io::MediaSource;
use tempfile::SpooledTempFile;

use crate::error::{Code, Result, SpeakerError};
use crate::runtime::{Waker, suspend};

/// What one source keeps in memory; more goes to a temporary file.
const IN_MEMORY: usize = 1 << 20;

/// What one source may bring: five minutes of 48 kHz stereo in 32 bits are 115 MB.
pub const MAX_BYTES: u64 = 256 << 20;

/// A growing body.
pub struct Spool {
    state: Mutex<State>,
    /// It has an end, so that any place of it will come. Beside the lock, which is held while a file is written.
    may_be_sought: AtomicBool,
}

struct State {
    bytes: SpooledTempFile,
    written: u64,
    /// `Some` when no more comes: whether all of it came.
    end: Option<Result<()>>,
    content_type: Option<String>,
    /// The decode tasks that read it.
    tasks: Vec<Waker>,
}

impl Spool {
    pub fn new() -> Self {
        let bytes = SpooledTempFile::new(IN_MEMORY);
        Self {
            state: Mutex::new(State { bytes, written: 0, end: None, content_type: None, tasks: Vec::new() }),
            may_be_sought: AtomicBool::new(true),
        }
    }

    /// Sets the media type that the server gave; called before the first byte.
    pub fn set_content_type(&self, content_type: Option<String>) {
        self.state.lock().content_type = content_type;
    }

    pub fn content_type(&self) -> Option<String> {
        self.state.lock().content_type.clone()
    }

    /// Sets whether it may have no end; called before the first byte.
    pub fn set_endless(&self, is_endless: bool) {
        self.may_be_sought.store(!is_endless, Ordering::Release);
    }

    /// Returns true if it has an end, so that any place of it will come.
    pub fn may_be_sought(&self) -> bool {
        self.may_be_sought.load(Ordering::Acquire)
    }

    pub fn append(&self, chunk: &[u8]) -> Result<()> {
        let mut state = self.state.lock();
        if state.written + chunk.len() as u64 > MAX_BYTES {
            let message = format!("Expected at most {MAX_BYTES} bytes for audioUrl but received more");
            return Err(SpeakerError::new(Code::SourceTooLarge, message));
        }
        state.bytes.seek(SeekFrom::End(0)).and_then(|_| state.bytes.write_all(chunk)).map_err(|error| {
            SpeakerError::new(Code::File, format!("the temporary file for a download can't be written: {error}"))
        })?;
        state.written += chunk.len() as u64;
        state.tasks.iter().for_each(Waker::wake);
        Ok(())
    }

    /// No more comes; the first call counts.
    pub fn finish(&self, result: Result<()>) {
        if result.is_ok() {
            self.may_be_sought.store(true, Ordering::Release);
        }
        let mut state = self.state.lock();
        state.end.get_or_insert(result);
        state.tasks.iter().for_each(Waker::wake);
    }

    /// Wakes a decode task at every piece, and at the end.
    pub fn attach(&self, task: &Waker) {
        self.state.lock().tasks.push(task.clone());
    }

    pub fn detach(&self, task: &Waker) {
        self.state.lock().tasks.retain(|other| other != task);
    }

    /// Why the body is not whole, if it is not.
    pub fn failure(&self) -> Option<SpeakerError> {
        self.state.lock().end.clone()?.err()
    }

    /// Returns true if the whole body is here.
    pub fn is_complete(&self) -> bool {
        matches!(self.state.lock().end, Some(Ok(())))
    }

    fn read_at(&self, position: u64, buffer: &mut [u8]) -> Option<io::Result<usize>> {
        let mut state = self.state.lock();
        if position < state.written {
            let read = state.bytes.seek(SeekFrom::Start(position)).and_then(|_| state.bytes.read(buffer));
            return Some(read);
        }
        state.end.clone().map(|end| end.map(|()| 0).map_err(io::Error::other))
    }
}

/// Reads a [`Spool`] on the decode pool, suspending the decode task where the bytes have not come yet.
pub struct SpoolReader {
    spool: Arc<Spool>,
    position: u64,
    cancelled: Arc<AtomicBool>,
    /// Said once: a demuxer must not meet a source that becomes seekable under it, or the same body would be read in
    /// two ways, depending on how fast it came.
    seekable: bool,
}

impl SpoolReader {
    pub fn new(spool: Arc<Spool>, cancelled: Arc<AtomicBool>) -> Self {
        Self { spool, position: 0, cancelled, seekable: false }
    }

    /// Waits for the first byte; `false` if the body has none.
    pub fn wait_for_bytes(&mut self) -> io::Result<bool> {
        let mut first = [0];
        let read = self.read(&mut first)?;
        self.position = 0;
        Ok(read > 0)
    }

    /// Waits for the whole body, from when on any place of it can be read.
    pub fn wait_until_complete(&mut self) -> io::Result<()> {
        while !self.spool.is_complete() {
            if let Some(error) = self.spool.failure() {
                return Err(io::Error::other(error));
            }
            self.suspend()?;
        }
        self.seekable = true;
        Ok(())
    }

    fn suspend(&self) -> io::Result<()> {
        suspend();
        match self.cancelled.load(Ordering::Acquire) {
            true => Err(io::Error::other("cancelled")),
            false => Ok(()),
        }
    }
}

impl Read for SpoolReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(result) = self.spool.read_at(self.position, buffer) {
                let read = result?;
                self.position += read as u64;
                return Ok(read);
            }
            self.suspend()?;
        }
    }
}

impl Seek for SpoolReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(delta) => self.position.checked_add_signed(delta),
            SeekFrom::End(delta) => self.spool.state.lock().written.checked_add_signed(delta),
        };
        self.position = target.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

impl MediaSource for SpoolReader {
    fn is_seekable(&self) -> bool {
        self.seekable
    }

    fn byte_len(&self) -> Option<u64> {
        self.seekable.then(|| self.spool.state.lock().written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(spool: &Arc<Spool>) -> SpoolReader {
        SpoolReader::new(spool.clone(), Arc::default())
    }

    #[test]
    fn gives_back_what_was_appended_from_memory_and_from_the_file_behind_it() {
        let spool = Arc::new(Spool::new());
        let body: Vec<u8> = (0..3 * IN_MEMORY).map(|n| (n % 251) as u8).collect();
        body.chunks(100_000).for_each(|chunk| spool.append(chunk).unwrap());
        spool.finish(Ok(()));
        let mut all = Vec::new();
        reader(&spool).read_to_end(&mut all).unwrap();
        assert!(all == body, "the body came back changed");
    }

    #[test]
    fn what_came_is_read_before_the_failure_that_cut_it() {
        let spool = Arc::new(Spool::new());
        spool.append(b"abc").unwrap();
        spool.finish(Err(SpeakerError::new(Code::Truncated, "cut")));
        let (mut reader, mut three) = (reader(&spool), [0; 3]);
        reader.read_exact(&mut three).unwrap();
        assert_eq!(&three, b"abc");
        assert_eq!(reader.read(&mut three).unwrap_err().to_string(), "cut");
        assert_eq!(spool.failure().unwrap().code, Code::Truncated);
    }

    #[test]
    fn a_body_without_end_is_refused_at_the_limit() {
        let spool = Spool::new();
        let chunk = vec![0; 64 << 20];
        (0..4).for_each(|_| spool.append(&chunk).unwrap());
        assert_eq!(spool.append(b"x").unwrap_err().code, Code::SourceTooLarge);
    }
}
