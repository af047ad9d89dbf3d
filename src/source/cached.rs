//! A file's bytes where the system keeps them anyway: a thread of its disk reads them into the page cache, well ahead, and the decode
//! task copies them from there. So a file that plays needs no memory for what was read of it, and seldom a thread of its disk.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::read_ahead::{Asked, Opened};
use super::ring::Reading;
use crate::runtime::{Lane, read_cached};

/// How much is read ahead at a time: some seconds of most files, and a small part of the page cache for thousands.
const AT_A_TIME: u64 = 128 << 10;

/// A disk that takes longer for that is slow: what it gives is kept.
const SOON: Duration = Duration::from_millis(20);

/// Through which it is read. On the stack of a thread for disks, of which there are few.
const BUFFER_BYTES: usize = 16 << 10;

/// What a thread of its disk found of a file.
pub struct Found {
    /// So far it lies in the page cache.
    end: u64,
    behind: Behind,
}

/// What is behind that.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Behind {
    More,
    /// What the disk does not give soon, or not at all.
    Late,
    /// The file ends there.
    Nothing,
}

/// Returns true as long as a disk that was asked at `since` is not slow.
pub fn is_soon(since: Instant) -> bool {
    since.elapsed() < SOON
}

/// Reads a file from a place on for the page cache, up to `end` or as far as the disk gives it soon; on a thread of its disk.
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

/// A file as far as it lies in the page cache, for all that is known: the system may let go of it at any time.
pub struct Cached {
    file: Arc<File>,
    found: Found,
    /// What is to be found behind it.
    coming: Option<Asked<Found>>,
}

impl Cached {
    /// What was found of a file.
    pub fn new(file: Arc<File>, found: Found) -> Self {
        Self { file, found, coming: None }
    }

    /// Reads from a place on, waiting for the disk only where nothing is left to be read; 0 at the end of the file. `None` if it is not
    /// there.
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

    /// Where it ends, if the disk is slow to give what is behind it.
    pub fn late_from(&self) -> Option<u64> {
        (self.found.behind == Behind::Late).then_some(self.found.end)
    }
}
