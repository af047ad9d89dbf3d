//! The recording: the file that a session's requests are written to.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use tokio::sync::oneshot;

use super::handle::Core;
use crate::error::{Code, Result, SpeakerError};
use crate::ids::Ticket;
use crate::runtime::{DISK_LIMIT, DISK_SECONDS, DISKS, Disk, Lane, RUNTIME, is_pipe, open_nonblocking, within};

/// The beginning of a recording's first line: no other file is overwritten.
const BEGINNING: &[u8] = br#"{"type":"session""#;

/// The writer of a recording. Dropping it closes the file after everything was written.
pub struct Recorder {
    file: Lane<RecordFile>,
    /// Weak, as that of a stream.
    core: Weak<Core>,
}

impl Recorder {
    /// Makes a recorder, which opens nothing before the first text.
    pub(super) fn new(path: PathBuf, core: &Arc<Core>) -> Self {
        let disk = Disk::of(&path);
        Self { file: DISKS.lane(disk, RecordFile { path, file: None }), core: Arc::downgrade(core) }
    }

    /// Appends `text`. Settles when it is written, or with `ERR_RECORD` if it can't be; at the latest after [`DISK_LIMIT`].
    pub fn write(&self, text: String, ticket: Ticket) {
        let (sender, written) = oneshot::channel();
        self.file.call(move |file| drop(sender.send(file.write(text.as_bytes()))));
        let core = self.core.clone();
        RUNTIME.spawn(async move {
            let result = match within(DISK_LIMIT, written).await {
                Some(Ok(result)) => result,
                Some(Err(_)) => Err(unwritable(&"no thread wrote it")),
                None => Err(unwritable(&format!("the disk took nothing for {DISK_SECONDS} s"))),
            };
            if let Some(core) = core.upgrade() {
                let _ = core.with(|session, _| session.settle_with(ticket, result));
            }
        });
    }
}

struct RecordFile {
    path: PathBuf,
    file: Option<File>,
}

impl RecordFile {
    fn write(&mut self, text: &[u8]) -> Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(open(&self.path)?),
        };
        file.write_all(text).map_err(|error| unwritable(&error).because_of(&error))
    }
}

fn unwritable(reason: &dyn std::fmt::Display) -> SpeakerError {
    SpeakerError::new(Code::Record, format!("the recording can't be written: {reason}"))
}

/// Opens an empty file, or a recording, which is emptied. A pipe is refused: its reader could make the session wait.
fn open(path: &Path) -> Result<File> {
    let failed = |error: io::Error| unwritable(&error).because_of(&error);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        // Readable by its owner only, because it may hold secrets and spoken text.
        options.mode(0o600);
    }
    let refuse = |which: &str| {
        unwritable(&format_args!(
            "Expected a recording, or no file, for record but received {}, {which}",
            path.display()
        ))
    };
    let mut file = open_nonblocking(&mut options, path).map_err(failed)?;
    let there = file.metadata().map_err(failed)?;
    if is_pipe(&there) {
        return Err(refuse("which is a pipe"));
    }
    if there.is_file() && there.len() > 0 {
        let mut beginning = Vec::new();
        (&file).take(BEGINNING.len() as u64).read_to_end(&mut beginning).map_err(failed)?;
        if beginning != BEGINNING {
            return Err(refuse("which is another file"));
        }
        file.set_len(0).and_then(|()| file.rewind()).map_err(failed)?;
    }
    Ok(file)
}
