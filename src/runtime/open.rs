//! Files that may be pipes: opened without waiting for the other end.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::path::Path;

/// Opens a file without blocking. A pipe without another end is opened too, or is an error, and never waited for.
pub fn open_nonblocking(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    #[cfg(unix)]
    {
        use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
        use std::os::unix::fs::OpenOptionsExt;
        let file = options.custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path)?;
        // Reads of a device may block.
        fcntl_setfl(&file, fcntl_getfl(&file)? - OFlags::NONBLOCK)?;
        Ok(file)
    }
    #[cfg(not(unix))]
    options.open(path)
}

/// Returns true for a pipe or a socket: I/O on it would wait for its other end.
pub fn is_pipe(metadata: &Metadata) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        metadata.file_type().is_fifo() || metadata.file_type().is_socket()
    }
    #[cfg(not(unix))]
    {
        let _ = metadata;
        false
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn opens_a_pipe_without_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let (pipe, file) = (folder.path().join("pipe"), folder.path().join("file"));
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let reader = open_nonblocking(OpenOptions::new().read(true), &pipe).unwrap();
        assert!(is_pipe(&reader.metadata().unwrap()));
        let writer = open_nonblocking(OpenOptions::new().write(true), &pipe).unwrap();
        assert!(is_pipe(&writer.metadata().unwrap()));
        drop((reader, writer));
        assert!(open_nonblocking(OpenOptions::new().write(true), &pipe).is_err(), "nobody reads it");
        let file = open_nonblocking(OpenOptions::new().write(true).create(true), &file).unwrap();
        assert!(!is_pipe(&file.metadata().unwrap()));
        let flags = rustix::fs::fcntl_getfl(&file).unwrap();
        assert!(!flags.contains(rustix::fs::OFlags::NONBLOCK));
    }
}
