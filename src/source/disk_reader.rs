//! A file as a source: opened and read by the threads of its disk, so that a slow or hanging disk blocks no decode thread.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use symphonia::core::io::MediaSource;

use super::decode::empty;
use super::page_cache_reader::{CachedRange, PageCacheReader, fetch, is_in_time};
use super::read_ahead::{DiskCall, FileChunk, ReadAhead, seek_target};
use super::ring::DecodeContext;
use crate::error::{Code, Result, SpeakerError};
use crate::reserved::ReservedPath;
use crate::runtime::{DISKS, Disk, open_nonblocking, read_cached};

/// The size of the first read, when a file is opened: most short clips are complete then, and others have time to read on.
const AT_ONCE: u64 = 64 << 10;

/// The part of it that is kept in memory if the rest is in the page cache: enough to recognize the format.
const HEAD: u64 = 16 << 10;

/// The size of the reads after that: little enough for thousands of files, and enough that a call to another thread costs nothing compared
/// to decoding.
const PIECE: usize = 32 << 10;

/// A reader of a file for the decode pool, which suspends the decode task where the disk is late.
pub struct DiskReader {
    file: ReadAhead,
    position: u64,
    length: u64,
}

impl DiskReader {
    /// Opens a file, which must not be the `reserved` one; suspends the decode task.
    pub fn open(path: &Path, reserved: Option<Arc<ReservedPath>>, task: &DecodeContext) -> Result<Self> {
        let lane = DISKS.lane(Disk::of(path), None);
        let given = path.to_owned();
        let mut opened = DiskCall::new(&lane, task, move |file| {
            let (opened, length, first, found) = open(&given, reserved.as_deref())?;
            let opened = Arc::new(opened);
            *file = Some(opened.clone());
            Ok((length, first, found.map(|found| PageCacheReader::new(opened, found))))
        });
        let (length, first, cached) = opened.wait(task).map_err(|error| unreadable(path, &error))??;
        let file = ReadAhead::new(Arc::new(lane), task, first, PIECE).with_cached(cached);
        Ok(Self { file, position: 0, length })
    }
}

/// Opens a file and returns it, its length, its first chunk and what is in the page cache, all in one call.
fn open(path: &Path, reserved: Option<&ReservedPath>) -> Result<(File, u64, FileChunk, Option<CachedRange>)> {
    let since = Instant::now();
    let failed = |error| unreadable(path, &error);
    let file = open_nonblocking(OpenOptions::new().read(true), path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        let message = format!("Expected a file for audioUrl but received {}, which is none", path.display());
        return Err(SpeakerError::new(Code::File, message));
    }
    if metadata.len() == 0 {
        return Err(empty("audioUrl"));
    }
    if let Some(reserved) = reserved {
        reserved.check_source(path, &metadata)?;
    }
    // One byte more than a small file has shows that it ends there.
    let wanted = metadata.len().saturating_add(1).min(AT_ONCE);
    let head = if is_in_time(since) { wanted.min(HEAD) } else { wanted };
    let read = |length| FileChunk::read(&file, 0, vec![0; length as usize]).map_err(failed);
    let (first, found) = match read(head)? {
        first if head == wanted => (first, None),
        first if read_cached(&file, 0, &mut [0]).is_some() => (first, Some(fetch(&file, head, wanted, since))),
        _ => (read(wanted)?, None),
    };
    Ok((file, metadata.len(), first, found))
}

fn unreadable(path: &Path, error: &io::Error) -> SpeakerError {
    SpeakerError::new(Code::File, format!("audioUrl {} can't be read: {error}", path.display())).because_of(error)
}

impl Read for DiskReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(self.position, u64::MAX, buffer)?;
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for DiskReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.position = seek_target(to, self.position, || self.length)?;
        Ok(self.position)
    }
}

impl MediaSource for DiskReader {
    fn is_seekable(&self) -> bool {
        true
    }

    fn byte_len(&self) -> Option<u64> {
        Some(self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::super::read_ahead::tests::{SOON, bytes, decode};
    use super::*;
    use std::io::Write;

    /// Returns the error of opening a path.
    fn refusal(path: &Path) -> SpeakerError {
        let path = path.to_owned();
        let (_task, result) = decode(move |task| DiskReader::open(&path, None, task).err().expect("it is refused"));
        result.recv_timeout(SOON).expect("it ends")
    }

    #[test]
    fn refuses_folders_and_pipes() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name| folder.path().join(name);
        File::create(at("empty")).unwrap();
        assert_eq!(refusal(&at("empty")).code, Code::EmptySource);
        assert_eq!(refusal(&at("missing")).code, Code::File);
        assert!(refusal(folder.path()).message.ends_with("which is none"));
        if cfg!(unix) {
            assert!(std::process::Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
            assert!(refusal(&at("pipe")).message.ends_with("which is none"));
        }
    }

    #[test]
    fn seeks_and_reads_grown_files() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&bytes(100_000)).unwrap();
        let path = file.path().to_owned();
        let (_task, result) = decode(move |task| {
            let mut reader = DiskReader::open(&path, None, task).unwrap();
            assert!(reader.is_seekable() && reader.byte_len() == Some(100_000));
            assert_eq!(reader.seek(SeekFrom::End(-10)).unwrap(), 99_990);
            let mut ten = [0; 10];
            reader.read_exact(&mut ten).unwrap();
            assert_eq!(ten[..], bytes(100_000)[99_990..]);
            assert!(reader.seek(SeekFrom::Current(-100_001)).is_err());
            reader.rewind().unwrap();
            file.write_all(&bytes(50_000)).unwrap();
            let mut all = Vec::new();
            reader.read_to_end(&mut all).unwrap();
            all
        });
        let all = result.recv_timeout(SOON).expect("it ends");
        assert!(all == [bytes(100_000), bytes(50_000)].concat(), "{} bytes came", all.len());
    }
}
