//! A file's bytes in the system's page cache: a thread of its disk reads them into the page cache, well ahead, and the decode task copies
//! them from there. So a playing file needs no read-ahead memory of its own, and seldom a thread of its disk.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::read_ahead::{DiskCall, LaneFile};
use super::ring::DecodeContext;
use crate::runtime::{Lane, read_cached};

/// The size of one read-ahead: some seconds of most files, and a small part of the page cache even for thousands of them.
const READ_AHEAD_BYTES: u64 = 128 << 10;

/// A disk that takes longer than this is slow: what it delivers is kept in memory.
const MAX_LATENCY: Duration = Duration::from_millis(20);

/// The size of the read buffer. It is on the stack of the disk threads, of which there are few.
const BUFFER_BYTES: usize = 16 << 10;

/// The result of a read-ahead by a disk thread.
pub struct CachedRange {
    /// The position up to which the file lies in the page cache.
    end: u64,
    rest: Rest,
}

/// The part of the file after that.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rest {
    More,
    /// Bytes that the disk delivers late, or not at all.
    Late,
    /// Nothing: the file ends there.
    End,
}

/// Returns true while a disk request that was made at `since` is not late.
pub fn is_in_time(since: Instant) -> bool {
    since.elapsed() < MAX_LATENCY
}

/// Reads a file into the page cache from `position` to `end`, or as far as the disk is not late; runs on a thread of its disk.
pub fn fetch(mut file: &File, position: u64, end: u64, since: Instant) -> CachedRange {
    let (mut found, mut buffer) = (CachedRange { end: position, rest: Rest::More }, [0; BUFFER_BYTES]);
    if file.seek(SeekFrom::Start(position)).is_err() {
        found.rest = Rest::Late;
    }
    while found.end < end && found.rest == Rest::More {
        let wanted = usize::try_from(end - found.end).map_or(BUFFER_BYTES, |rest| rest.min(BUFFER_BYTES));
        found.rest = match file.read(&mut buffer[..wanted]) {
            Ok(0) => Rest::End,
            Ok(read) => {
                found.end += read as u64;
                if is_in_time(since) { Rest::More } else { Rest::Late }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Rest::More,
            Err(_) => Rest::Late,
        };
    }
    found
}

/// A file, as far as it lies in the page cache, as far as we know: the system may drop pages at any time.
pub struct PageCacheReader {
    file: Arc<File>,
    found: CachedRange,
    /// The read-ahead that is under way.
    coming: Option<DiskCall<CachedRange>>,
}

impl PageCacheReader {
    /// Starts with what the first read-ahead found.
    pub fn new(file: Arc<File>, found: CachedRange) -> Self {
        Self { file, found, coming: None }
    }

    /// Reads from `position` on, waiting for the disk only when nothing is left to read; returns 0 at the end of the file, and `None` if
    /// the position is not in the page cache.
    pub fn read(
        &mut self,
        lane: &Lane<LaneFile>,
        task: &DecodeContext,
        position: u64,
        buffer: &mut [u8],
    ) -> io::Result<Option<usize>> {
        if position > self.found.end {
            return Ok(None);
        }
        let is_due = self.found.rest == Rest::More && self.found.end - position < READ_AHEAD_BYTES / 2;
        if is_due && self.coming.is_none() {
            self.coming = Some(self.start_read(lane, task));
        }
        if let Some(coming) = &mut self.coming {
            let found = if position == self.found.end { Some(coming.wait(task)) } else { coming.poll() };
            if let Some(found) = found.transpose()? {
                (self.found, self.coming) = (found, None);
            }
        }
        if position == self.found.end && self.found.rest == Rest::End {
            return Ok(Some(0));
        }
        let length = buffer.len().min((self.found.end - position) as usize);
        Ok(read_cached(&self.file, position, &mut buffer[..length]))
    }

    fn start_read(&self, lane: &Lane<LaneFile>, task: &DecodeContext) -> DiskCall<CachedRange> {
        let (position, since) = (self.found.end, Instant::now());
        DiskCall::new(lane, task, move |file| match file {
            Some(file) => fetch(file, position, position + READ_AHEAD_BYTES, since),
            None => CachedRange { end: position, rest: Rest::Late },
        })
    }

    /// Returns the position where the cached part ends, if the disk is slow to deliver the rest.
    pub fn late_from(&self) -> Option<u64> {
        (self.found.rest == Rest::Late).then_some(self.found.end)
    }
}
