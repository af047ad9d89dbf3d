//! A file's bytes in the system's page cache: a thread of its disk reads them into the page cache, well ahead, and the decode task copies
//! them from there. So a playing file needs no read-ahead memory of its own, and seldom a thread of its disk.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::read_ahead::{Asked, Opened};
use super::ring::Reading;
use crate::runtime::{Lane, read_cached};

/// The size of one read-ahead: some seconds of most files, and a small part of the page cache even for thousands of them.
const AT_A_TIME: u64 = 128 << 10;

/// A disk that takes longer than this is slow: what it delivers is kept in memory.
const SOON: Duration = Duration::from_millis(20);

/// The size of the read buffer. It is on the stack of the disk threads, of which there are few.
const BUFFER_BYTES: usize = 16 << 10;

/// The result of a read-ahead by a disk thread.
pub struct Found {
    /// The place up to which the file lies in the page cache.
    end: u64,
    behind: Behind,
}

/// The part of the file after that.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Behind {
    More,
    /// Bytes that the disk delivers late, or not at all.
    Late,
    /// Nothing: the file ends there.
    Nothing,
}

/// Returns true while a disk request that was made at `since` is not late.
pub fn is_soon(since: Instant) -> bool {
    since.elapsed() < SOON
}

/// Reads a file into the page cache from `place` to `end`, or as far as the disk is not late; runs on a thread of its disk.
pub fn fetch(mut file: &File, place: u64, end: u64, since: Instant) -> Found {
    let (mut found, mut buffer) = (Found { end: place, behind: Behind::More }, [0; BUFFER_BYTES]);
    if file.seek(SeekFrom::Start(place)).is_err() {
        found.behind = Behind::Late;
    }
    while found.end < end && found.behind == Behind::More {
        let wanted = usize::try_from(end - found.end).map_or(BUFFER_BYTES, |rest| rest.min(BUFFER_BYTES));
        found.behind = match file.read(&mut buffer[..wanted]) {
            Ok(0) => Behind::Nothing,
            Ok(read) => {
                found.end += read as u64;
                if is_soon(since) { Behind::More } else { Behind::Late }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Behind::More,
            Err(_) => Behind::Late,
        };
    }
    found
}

/// A file, as far as it lies in the page cache, as far as we know: the system may drop pages at any time.
pub struct Cached {
    file: Arc<File>,
    found: Found,
    /// The read-ahead that is under way.
    coming: Option<Asked<Found>>,
}

impl Cached {
    /// Starts with what the first read-ahead found.
    pub fn new(file: Arc<File>, found: Found) -> Self {
        Self { file, found, coming: None }
    }

    /// Reads from `place` on, waiting for the disk only when nothing is left to read; returns 0 at the end of the file, and `None` if the
    /// place is not in the page cache.
    pub fn read(
        &mut self,
        lane: &Lane<Opened>,
        task: &Reading,
        place: u64,
        buffer: &mut [u8],
    ) -> io::Result<Option<usize>> {
        if place > self.found.end {
            return Ok(None);
        }
        let is_due = self.found.behind == Behind::More && self.found.end - place < AT_A_TIME / 2;
        if is_due && self.coming.is_none() {
            self.coming = Some(self.ask(lane, task));
        }
        if let Some(coming) = &mut self.coming {
            let found = if place == self.found.end { Some(coming.wait(task)) } else { coming.answer() };
            if let Some(found) = found.transpose()? {
                (self.found, self.coming) = (found, None);
            }
        }
        if place == self.found.end && self.found.behind == Behind::Nothing {
            return Ok(Some(0));
        }
        let length = buffer.len().min((self.found.end - place) as usize);
        Ok(read_cached(&self.file, place, &mut buffer[..length]))
    }

    fn ask(&self, lane: &Lane<Opened>, task: &Reading) -> Asked<Found> {
        let (place, since) = (self.found.end, Instant::now());
        Asked::new(lane, task, move |file| match file {
            Some(file) => fetch(file, place, place + AT_A_TIME, since),
            None => Found { end: place, behind: Behind::Late },
        })
    }

    /// Returns the place where the cached part ends, if the disk is slow to deliver the rest.
    pub fn late_from(&self) -> Option<u64> {
        (self.found.behind == Behind::Late).then_some(self.found.end)
    }
}
