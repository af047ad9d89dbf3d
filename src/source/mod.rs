//! Request → PCM: bytes from a URL, a file or memory, decoded, mixed down and resampled into a ring.
//!
//! ```text
//! fetch → spool ┐
//! file          ├→ decode → downmix → resample → ring → (mixer)
//! memory        ┘   └──────── one feeder on the decode pool ───┘
//! ```

mod decode;
mod downmix;
mod feed;
mod feeder;
mod fetch;
mod mp4;
mod spool;

use std::fs::File;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use rtrb::RingBuffer;
use symphonia::core::io::MediaSource;

use crate::audio::RING;
use crate::error::{Code, Result, SpeakerError};
use crate::runtime::{DECODERS, RUNTIME};

pub use feed::{Feed, Progress, Shared};
pub use fetch::Fetch;

use decode::Label;
use feeder::{Feeder, InputFailure, OpenInput};
use spool::{Spool, SpoolReader};

/// Where a playback's bytes are.
#[derive(Debug, Clone)]
pub enum Origin {
    Url(Fetch),
    File(PathBuf),
    Bytes(Vec<u8>),
}

/// What to play.
#[derive(Debug, Clone)]
pub struct Source {
    pub origin: Origin,
    /// The user's word for what it is; stands above the server's.
    pub content_type: Option<String>,
}

/// Starts the feeder of `source` (and its download) for a session with `channels` channels; a server may be silent for
/// `fetch_timeout`.
pub fn open(source: Source, channels: usize, fetch_timeout: Duration, progress: Arc<Progress>) -> Feed {
    let (producer, consumer) = RingBuffer::new(RING * channels);
    let shared = Arc::new(Shared::default());
    let feeder = Feeder { ring: producer, channels, shared: shared.clone(), progress };
    let mut download = None;
    let label = |path: Option<&str>| Label { content_type: source.content_type.clone(), extension: extension(path) };
    let waker = DECODERS.start(|waker| {
        let (open, failure) = match source.origin {
            Origin::Bytes(bytes) => without_network(label(None), move || open_bytes(bytes)),
            Origin::File(path) => without_network(label(path.to_str()), move || open_file(&path)),
            Origin::Url(fetch) => {
                let spool = Arc::new(Spool::new());
                let label = label(fetch.url.split(['?', '#']).next());
                let open = open_spool(spool.clone(), shared.cancelled.clone(), label);
                let reader = spool.clone();
                download = Some(
                    RUNTIME
                        .spawn(async move { fetch::download(fetch, fetch_timeout, &spool, &waker).await })
                        .abort_handle(),
                );
                (open, Box::new(move || reader.failure()) as InputFailure)
            }
        };
        move || feeder.run(open, failure)
    });
    Feed::new(consumer, channels, shared, Some(waker), download)
}

type Opened = Result<Box<dyn MediaSource>>;

fn without_network(label: Label, open: impl FnOnce() -> Opened + Send + 'static) -> (OpenInput, InputFailure) {
    (Box::new(move || Ok((open()?, label))), Box::new(|| None))
}

fn open_bytes(bytes: Vec<u8>) -> Opened {
    match bytes.is_empty() {
        true => Err(empty("audio")),
        false => Ok(Box::new(Cursor::new(bytes))),
    }
}

fn open_file(path: &Path) -> Opened {
    let failed = |error| SpeakerError::new(Code::File, format!("audioUrl {} can't be read: {error}", path.display()));
    // Asked before opening: to open a pipe would wait for its writer.
    let metadata = path.metadata().map_err(failed)?;
    if !metadata.is_file() {
        let message = format!("Expected a file for audioUrl but received {}, which is none", path.display());
        return Err(SpeakerError::new(Code::File, message));
    }
    match metadata.len() {
        0 => Err(empty("audioUrl")),
        _ => Ok(Box::new(File::open(path).map_err(failed)?)),
    }
}

fn open_spool(spool: Arc<Spool>, cancelled: Arc<AtomicBool>, mut label: Label) -> OpenInput {
    Box::new(move || {
        let mut reader = SpoolReader::new(spool.clone(), cancelled);
        // These read, so they return when the first bytes are here, and with them the content type.
        let failed =
            |error: std::io::Error| spool.failure().unwrap_or_else(|| SpeakerError::new(Code::File, error.to_string()));
        if !reader.wait_for_bytes().map_err(failed)? {
            return Err(empty("audioUrl"));
        }
        if mp4::index_comes_last(&mut reader).map_err(failed)? {
            reader.wait_until_complete().map_err(failed)?;
        }
        label.content_type = label.content_type.or_else(|| spool.content_type());
        Ok((Box::new(reader) as Box<dyn MediaSource>, label))
    })
}

fn empty(argument: &str) -> SpeakerError {
    SpeakerError::new(Code::EmptySource, format!("Expected audio for {argument} but received 0 bytes"))
}

fn extension(path: Option<&str>) -> Option<String> {
    Path::new(path?).extension().map(|extension| extension.to_string_lossy().into_owned())
}
