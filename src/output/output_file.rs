//! A file that an output writes without hurting what is there: a file that exists is replaced when the new one is whole. Whatever is
//! done here may wait for a disk: it is for the disk's threads alone.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Code, Result, SpeakerError};
use crate::reserved::{ReservedPath, is_file};
use crate::runtime::{is_pipe, open_nonblocking};

/// As many links are followed as the system follows.
const MAX_LINKS: usize = 40;

/// How many unfinished files may lie beside a path.
const MAX_PARTS: usize = 100;

/// A file that is written, and what becomes of it.
pub struct OutputFile {
    file: File,
    reserved: Arc<ReservedPath>,
    place: Place,
    /// The next write goes here if nobody seeks.
    at: u64,
}

enum Place {
    /// Nothing was at the path, or what its links lead to: it is written there.
    There(PathBuf),
    /// Something is there, and stays until this is whole.
    Beside { part: PathBuf, target: PathBuf },
    /// A device: it takes bytes in their order.
    Device,
    /// An open descriptor's empty file, which has no name that could be given to another.
    Descriptor,
}

impl OutputFile {
    /// Opens it. Refuses what can't take the place of a file or would make the session wait: a pipe, a socket, a directory.
    pub fn create(reserved: Arc<ReservedPath>) -> Result<Self> {
        let (file, place) = open(&reserved)?;
        reserved.set_written(&file).map_err(|error| unwritable(&reserved, &error))?;
        Ok(Self { file, reserved, place, at: 0 })
    }

    /// Returns true if any place of it can be written, and what is left out is zeros that take no room on most file systems.
    pub fn is_sparse(&self) -> bool {
        !matches!(self.place, Place::Device)
    }

    /// Writes at `at`; a device ignores the place.
    pub fn write_at(&mut self, at: u64, bytes: &[u8]) -> Result<()> {
        let mut write = || {
            if self.at != at && !matches!(self.place, Place::Device) {
                self.file.seek(SeekFrom::Start(at))?;
            }
            self.file.write_all(bytes)
        };
        let result = write();
        // After an error the place is anybody's guess.
        self.at = if result.is_ok() { at + bytes.len() as u64 } else { u64::MAX };
        result.map_err(|error| self.failed(&error))
    }

    /// Makes it so long, with zeros where nothing was written.
    pub fn set_len(&mut self, length: u64) -> Result<()> {
        self.file.set_len(length).map_err(|error| self.failed(&error))
    }

    /// How many bytes it has, as far as is known.
    pub fn length(&self) -> u64 {
        self.file.metadata().map_or(0, |metadata| metadata.len())
    }

    /// Where it is written, if that is not where it belongs.
    pub fn part(&self) -> Option<&Path> {
        match &self.place {
            Place::Beside { part, .. } => Some(part),
            Place::There(_) | Place::Device | Place::Descriptor => None,
        }
    }

    /// Returns true if the file that it would replace was asked for as a source meanwhile.
    pub fn would_replace_source(&self) -> bool {
        matches!(self.place, Place::Beside { .. }) && self.reserved.is_source()
    }

    /// Waits until what replaces a file is on the disk itself: a power cut must not take both. Elsewhere that is the system's affair.
    pub fn secure(&self) -> Result<()> {
        if self.part().is_none() {
            return Ok(());
        }
        match self.file.sync_all() {
            // There are file systems that know no such thing.
            Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
            result => result.map_err(|error| self.failed(&error)),
        }
    }

    /// It is whole: puts it where it belongs.
    pub fn keep(self) -> Result<()> {
        match &self.place {
            Place::Beside { part, target } => fs::rename(part, target).map_err(|error| self.failed(&error)),
            Place::There(_) | Place::Device | Place::Descriptor => Ok(()),
        }
    }

    /// Leaves what is at the path as it was; the new file stays where it was written.
    pub fn leave(self) -> SpeakerError {
        let path = self.reserved.given().display();
        let why = format!("{path} is not replaced, because a playback asked for it as its source");
        SpeakerError::new(Code::Output, format!("{why}{}", self.remains()))
    }

    /// Nobody wants it: nothing was written at all.
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

    /// Where what was written is, if that is not at the path.
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
    // A file is opened only to learn whether that is allowed: a new one in its place would not ask.
    let device = open_there(path, &target)?;
    if !there.is_file() {
        return Ok((device, Place::Device));
    }
    let (file, part) = create_part(&target).map_err(failed)?;
    let given = file.set_permissions(there.permissions()).inspect_err(|_| drop(fs::remove_file(&part)));
    given.map_err(failed)?;
    Ok((file, Place::Beside { part, target }))
}

/// What a path's links lead to, which need not exist; none if that is an open descriptor, as `/dev/stdout` is.
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

/// Its file has names, if it is one, by which others may know it: so it is not replaced but written.
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

/// Opens what is there, without waiting if it has become a pipe.
fn open_there(path: &ReservedPath, target: &Path) -> Result<File> {
    let failed = |error| unwritable(path, &error);
    let file = open_nonblocking(OpenOptions::new().write(true), target).map_err(failed)?;
    refuse_pipe(path, &file.metadata().map_err(failed)?)?;
    Ok(file)
}

/// To open or write a pipe would wait for its reader, and the header of a WAV file is written again and again.
fn refuse_pipe(path: &ReservedPath, there: &fs::Metadata) -> Result<()> {
    match is_pipe(there) {
        true => Err(refusal("a file or a device", path, "which is a pipe (output.type 'pcm' has frames for one)")),
        false => Ok(()),
    }
}

/// The error of a path that can't be written as it is.
pub fn refusal(expected: &str, path: &ReservedPath, which: &str) -> SpeakerError {
    let message = format!("Expected {expected} for output.path but received {}, {which}", path.given().display());
    SpeakerError::new(Code::Output, message)
}

/// A new file beside `target`. One that is there belongs to another session, or holds what a process had written when it died.
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
    fn what_has_become_a_pipe_is_refused_whether_or_not_somebody_reads_it() {
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
            // To write to it opens it for a reader too.
            reader.get_or_insert_with(|| OpenOptions::new().read(true).write(true).open(&pipe).unwrap());
        }
    }

    #[test]
    fn a_device_that_was_opened_without_waiting_waits_as_others_do() {
        let null = Path::new("/dev/null");
        let file = open_there(&ReservedPath::new(null.into()), null).unwrap();
        assert!(!rustix::fs::fcntl_getfl(&file).unwrap().contains(rustix::fs::OFlags::NONBLOCK));
    }
}
