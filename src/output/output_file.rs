//! A file that an output writes without damaging an existing one, which is replaced only when the new one is complete. Everything here
//! may block on a disk, so only the disk's threads may call it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Code, Result, SpeakerError};
use crate::reserved::{ReservedPath, is_file};
use crate::runtime::{is_pipe, open_nonblocking};

/// The most symbolic links that are followed, as many as the system follows.
const MAX_LINKS: usize = 40;

/// The most unfinished files that may lie beside a path.
const MAX_PARTS: usize = 100;

/// An output file that is being written.
pub struct OutputFile {
    file: File,
    reserved: Arc<ReservedPath>,
    place: Place,
    /// The offset of the next write without a seek.
    at: u64,
}

enum Place {
    /// No file was at the path (its links resolved): the new one is written there.
    There(PathBuf),
    /// A file is there, and stays until the new one is complete.
    Beside { part: PathBuf, target: PathBuf },
    /// A device, which takes bytes in order.
    Device,
    /// The empty file of an open descriptor, which has no name and so can't be replaced.
    Descriptor,
}

impl OutputFile {
    /// Opens the file. Refuses what can't replace a file or would block: a pipe, a socket, a directory.
    pub fn create(reserved: Arc<ReservedPath>) -> Result<Self> {
        let (file, place) = open(&reserved)?;
        reserved.set_written(&file).map_err(|error| unwritable(&reserved, &error))?;
        Ok(Self { file, reserved, place, at: 0 })
    }

    /// Returns true if the file is seekable, so that omitted parts are zeros, which take no space on most file systems.
    pub fn is_sparse(&self) -> bool {
        !matches!(self.place, Place::Device)
    }

    /// Writes at the offset `at`, which a device ignores.
    pub fn write_at(&mut self, at: u64, bytes: &[u8]) -> Result<()> {
        let mut write = || {
            if self.at != at && !matches!(self.place, Place::Device) {
                self.file.seek(SeekFrom::Start(at))?;
            }
            self.file.write_all(bytes)
        };
        let result = write();
        // After an error the file offset is unknown.
        self.at = if result.is_ok() { at + bytes.len() as u64 } else { u64::MAX };
        result.map_err(|error| self.failed(&error))
    }

    /// Sets the file's length, with zeros where nothing was written.
    pub fn set_len(&mut self, length: u64) -> Result<()> {
        self.file.set_len(length).map_err(|error| self.failed(&error))
    }

    /// Returns the file's length in bytes; 0 if it is unknown.
    pub fn length(&self) -> u64 {
        self.file.metadata().map_or(0, |metadata| metadata.len())
    }

    /// Returns the path of the unfinished file, if it is not at its final path.
    pub fn part(&self) -> Option<&Path> {
        match &self.place {
            Place::Beside { part, .. } => Some(part),
            Place::There(_) | Place::Device | Place::Descriptor => None,
        }
    }

    /// Returns true if a playback has asked for the file to be replaced as its source meanwhile.
    pub fn would_replace_source(&self) -> bool {
        matches!(self.place, Place::Beside { .. }) && self.reserved.is_source()
    }

    /// Syncs a file that replaces another, so that a power cut can't destroy both. Other files are left to the system's own flushing.
    pub fn secure(&self) -> Result<()> {
        if self.part().is_none() {
            return Ok(());
        }
        match self.file.sync_all() {
            // Some file systems don't support it.
            Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
            result => result.map_err(|error| self.failed(&error)),
        }
    }

    /// Moves the complete file to its final path.
    pub fn keep(self) -> Result<()> {
        match &self.place {
            Place::Beside { part, target } => fs::rename(part, target).map_err(|error| self.failed(&error)),
            Place::There(_) | Place::Device | Place::Descriptor => Ok(()),
        }
    }

    /// Returns the error for a file that is not replaced; the new one stays where it was written.
    pub fn leave(self) -> SpeakerError {
        let path = self.reserved.given().display();
        let why = format!("{path} is not replaced, because a playback asked for it as its source");
        SpeakerError::new(Code::Output, format!("{why}{}", self.remains()))
    }

    /// Removes a file in which nothing was written.
    pub fn discard(self) -> Result<()> {
        let removed = match &self.place {
            Place::There(path) if !is_file(path, &self.file) => Ok(()),
            Place::There(path) | Place::Beside { part: path, .. } => fs::remove_file(path),
            Place::Descriptor => self.file.set_len(0),
            Place::Device => Ok(()),
        };
        removed.map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &io::Error) -> SpeakerError {
        let SpeakerError { code, message, .. } = unwritable(&self.reserved, error);
        SpeakerError::new(code, format!("{message}{}", self.remains())).because_of(error)
    }

    /// Returns a note on where the unfinished file is, if it is not at its path.
    fn remains(&self) -> String {
        self.part().map_or_else(String::new, |part| format!("; what was written is in {}", part.display()))
    }
}

fn unwritable(path: &ReservedPath, error: &io::Error) -> SpeakerError {
    SpeakerError::new(Code::Output, format!("{} can't be written: {error}", path.given().display())).because_of(error)
}

fn open(path: &ReservedPath) -> Result<(File, Place)> {
    let failed = |error| unwritable(path, &error);
    let Some(target) = follow(path.path()).map_err(failed)? else { return open_descriptor(path) };
    match OpenOptions::new().write(true).create_new(true).open(&target) {
        Ok(file) => return Ok((file, Place::There(target))),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(failed(error)),
    }
    let there = fs::metadata(&target).map_err(failed)?;
    refuse_pipe(path, &there)?;
    // An existing file is opened only to check permission, because replacing it would not.
    let device = open_there(path, &target)?;
    if !there.is_file() {
        return Ok((device, Place::Device));
    }
    let (file, part) = create_part(&target).map_err(failed)?;
    let given = file.set_permissions(there.permissions()).inspect_err(|_| drop(fs::remove_file(&part)));
    given.map_err(failed)?;
    Ok((file, Place::Beside { part, target }))
}

/// Resolves a path's symbolic links to a target that need not exist. Returns None for an open descriptor such as `/dev/stdout`.
fn follow(path: &Path) -> io::Result<Option<PathBuf>> {
    let mut path = path.to_path_buf();
    for _ in 0..MAX_LINKS {
        let is_link = fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_symlink());
        if !is_link {
            return Ok(Some(path));
        }
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.canonicalize()?,
            _ => PathBuf::from("."),
        };
        if folder.starts_with("/proc") {
            return Ok(None);
        }
        path = folder.join(fs::read_link(&path)?);
    }
    Err(io::Error::other("too many links"))
}

/// Opens an open descriptor's file, which is written in place, because others may know it by other names.
fn open_descriptor(path: &ReservedPath) -> Result<(File, Place)> {
    let failed = |error| unwritable(path, &error);
    let there = fs::metadata(path.path()).map_err(failed)?;
    refuse_pipe(path, &there)?;
    if there.is_file() && there.len() > 0 {
        return Err(refusal("an empty file behind a descriptor", path, "which holds bytes"));
    }
    let file = open_there(path, path.path())?;
    Ok((file, if there.is_file() { Place::Descriptor } else { Place::Device }))
}

/// Opens an existing file, without blocking if it has become a pipe.
fn open_there(path: &ReservedPath, target: &Path) -> Result<File> {
    let failed = |error| unwritable(path, &error);
    let file = open_nonblocking(OpenOptions::new().write(true), target).map_err(failed)?;
    refuse_pipe(path, &file.metadata().map_err(failed)?)?;
    Ok(file)
}

/// Refuses a pipe: opening or writing it would block on its reader, and a WAV file's header is rewritten repeatedly.
fn refuse_pipe(path: &ReservedPath, there: &fs::Metadata) -> Result<()> {
    if is_pipe(there) {
        Err(refusal("a file or a device", path, "which is a pipe (output.type 'pcm' has frames for one)"))
    } else {
        Ok(())
    }
}

/// Returns the error for a path that can't be written.
pub fn refusal(expected: &str, path: &ReservedPath, which: &str) -> SpeakerError {
    let message = format!("Expected {expected} for output.path but received {}, {which}", path.given().display());
    SpeakerError::new(Code::Output, message)
}

/// Creates a new `.part` file beside `target`. An existing one belongs to another session or to a process that died.
fn create_part(target: &Path) -> io::Result<(File, PathBuf)> {
    for number in 1..=MAX_PARTS {
        let mut name = target.as_os_str().to_owned();
        name.push(".part");
        if number > 1 {
            name.push(number.to_string());
        }
        let part = PathBuf::from(name);
        match OpenOptions::new().write(true).create_new(true).open(&part) {
            Ok(file) => return Ok((file, part)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other(format!("{MAX_PARTS} unfinished files lie beside it")))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::process::Command;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    #[test]
    fn refuses_pipe_with_or_without_reader() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let mut reader = None;
        for expected in ["can't be written", "which is a pipe"] {
            let (sender, told) = channel();
            let path = pipe.clone();
            std::thread::spawn(move || sender.send(open_there(&ReservedPath::new(path.clone()), &path).map(drop)));
            let error = told.recv_timeout(Duration::from_secs(20)).expect("it does not wait").unwrap_err();
            assert!(error.message.contains(expected), "{error}");
            // Opening for both directions gives the writer its reader.
            reader.get_or_insert_with(|| OpenOptions::new().read(true).write(true).open(&pipe).unwrap());
        }
    }

    #[test]
    fn device_is_opened_in_blocking_mode() {
        let null = Path::new("/dev/null");
        let file = open_there(&ReservedPath::new(null.into()), null).unwrap();
        assert!(!rustix::fs::fcntl_getfl(&file).unwrap().contains(rustix::fs::OFlags::NONBLOCK));
    }
}
