//! The path that a session's output writes, and the sources that are refused because of it. To identify a file is I/O: only the threads of
//! its disk may do it ([`ReservedPath::set_written`], [`check_source`](ReservedPath::check_source), [`is_file`]).

use std::fs::{File, Metadata};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::error::{Code, Result, SpeakerError};

/// The path of an output. No source of the same session may be the file there, under any name: the output would replace the file that is
/// played.
#[derive(Debug)]
pub struct ReservedPath {
    given: PathBuf,
    /// Absolute, because the process may change its folder.
    path: PathBuf,
    /// The file that is written, which may have another name until it is closed.
    written: Mutex<Option<FileId>>,
    is_source: AtomicBool,
}

impl ReservedPath {
    /// Reserves a path, where there need not be a file.
    pub fn new(given: PathBuf) -> Self {
        let path = std::path::absolute(&given).unwrap_or_else(|_| given.clone());
        Self { given, path, written: Mutex::default(), is_source: AtomicBool::new(false) }
    }

    /// Returns the path as it was given, for messages.
    pub fn given(&self) -> &Path {
        &self.given
    }

    /// Returns the absolute path, for access.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Sets the file that is written from now on.
    pub fn set_written(&self, file: &File) -> std::io::Result<()> {
        *self.written.lock() = FileId::of(&self.path, &file.metadata()?);
        Ok(())
    }

    /// Refuses a source that is the file at this path or the one that is written. Called as the source is opened, because names may change
    /// until then.
    pub fn check_source(&self, path: &Path, source: &Metadata) -> Result<()> {
        let Some(id) = FileId::of(path, source) else { return Ok(()) };
        let is_written = self.is_written(&id);
        let current = self.path.metadata().ok().and_then(|metadata| FileId::of(&self.path, &metadata));
        if !is_written && current.as_ref() != Some(&id) {
            return Ok(());
        }
        // The written file may be at the path already: that one is not a source.
        if !is_written {
            self.is_source.store(true, Ordering::Release);
        }
        let message = format!(
            "Expected a file that the session's output does not write for audioUrl but received {}",
            path.display()
        );
        Err(SpeakerError::new(Code::File, message))
    }

    fn is_written(&self, id: &FileId) -> bool {
        self.written.lock().as_ref() == Some(id)
    }

    /// Returns true if a playback used the file that is to be replaced.
    pub fn is_source(&self) -> bool {
        self.is_source.load(Ordering::Acquire)
    }
}

/// Returns true if the file at `path` is this one, and not another that replaced it.
pub fn is_file(path: &Path, file: &File) -> bool {
    let id = |metadata: std::io::Result<Metadata>| metadata.ok().and_then(|metadata| FileId::of(path, &metadata));
    id(path.metadata()).is_some_and(|current| id(file.metadata()) == Some(current))
}

/// The identity of a file, under any name.
#[derive(Debug, PartialEq, Eq)]
struct FileId {
    /// Device and inode.
    #[cfg(unix)]
    inode: (u64, u64),
    /// With links resolved.
    #[cfg(not(unix))]
    path: PathBuf,
}

impl FileId {
    #[cfg(unix)]
    fn of(_path: &Path, metadata: &Metadata) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        Some(Self { inode: (metadata.dev(), metadata.ino()) })
    }

    #[cfg(not(unix))]
    fn of(path: &Path, _metadata: &Metadata) -> Option<Self> {
        path.canonicalize().ok().map(|path| Self { path })
    }
}
