//! Files that may be pipes: opened without waiting for whoever is at the other end.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::path::Path;

/// Opens a file. A pipe that nobody has at its other end is opened too, or is an error; it is not waited for.
pub fn open_at_once(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    #[cfg(unix)]
    {
        use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
        use std::os::unix::fs::OpenOptionsExt;
        let file = options.custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path)?;
        // A device is to be waited for.
        fcntl_setfl(&file, fcntl_getfl(&file)? - OFlags::NONBLOCK)?;
        Ok(file)
    }
    #[cfg(not(unix))]
    options.open(path)
}

/// Returns true for a pipe or a socket: whoever is at its other end would be waited for.
pub fn is_pipe(there: &Metadata) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        there.file_type().is_fifo() || there.file_type().is_socket()
    }
    #[cfg(not(unix))]
    {
        let _ = there;
        false
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_pipe_is_opened_without_waiting_and_known_as_one() {
        let folder = tempfile::tempdir().unwrap();
        let (pipe, file) = (folder.path().join("pipe"), folder.path().join("file"));
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let reader = open_at_once(OpenOptions::new().read(true), &pipe).unwrap();
        assert!(is_pipe(&reader.metadata().unwrap()));
        let writer = open_at_once(OpenOptions::new().write(true), &pipe).unwrap();
        assert!(is_pipe(&writer.metadata().unwrap()));
        drop((reader, writer));
        assert!(open_at_once(OpenOptions::new().write(true), &pipe).is_err(), "nobody reads it");
        let file = open_at_once(OpenOptions::new().write(true).create(true), &file).unwrap();
        assert!(!is_pipe(&file.metadata().unwrap()));
        let flags = rustix::fs::fcntl_getfl(&file).unwrap();
        assert!(!flags.contains(rustix::fs::OFlags::NONBLOCK));
    }
}
