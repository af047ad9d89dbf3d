//! A source's bytes, wherever they are: read from the start as often as needed, by every decode task that plays them.

use std::io::{Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use symphonia::core::io::MediaSource;
use tokio::task::AbortHandle;

use super::body::Body;
use super::decode::{Decode, FormatHint, empty};
use super::disk_reader::DiskReader;
use super::files::Files;
use super::levelling::{DOWNLOAD_LOOKAHEAD, LOCAL_LOOKAHEAD};
use super::ring::DecodeContext;
use super::spool::{Spool, SpoolReader};
use super::spool_budget::SPOOL_BUDGET;
use super::{
    Clips, FetchLimits, LoudnessTarget, MemoryFile, NowPlaying, Origin, Source, Speech, Stream, caf, fetch, mp4,
};
use crate::error::{Code, Result, SpeakerError};
use crate::reserved::ReservedPath;
use crate::runtime::{FETCHES, Waker};
use crate::scope::Scope;

/// The bytes of one source. Dropping the last reference ends the download.
pub struct Media {
    bytes: Bytes,
    hint: FormatHint,
    /// The requested loudness.
    loudness: Option<LoudnessTarget>,
}

enum Bytes {
    Memory(MemoryFile),
    File(PathBuf, Option<Arc<ReservedPath>>),
    Download(Arc<Spool>, AbortHandle),
    Stream(Stream),
    /// Decoded already, not bytes.
    Clip(Arc<Clips>),
    Speech(Arc<Speech>),
}

impl Media {
    /// Makes the media of a source, and starts the download if it is a URL; `limits` are for its server.
    pub fn new(source: Source, limits: FetchLimits) -> Self {
        let Source { origin, content_type, reserved, loudness, section, .. } = source;
        let hint = |extension: Option<String>| FormatHint { content_type, extension };
        let (bytes, hint) = match origin {
            Origin::Bytes(bytes) => (Bytes::Memory(bytes), hint(None)),
            Origin::File(path) => {
                let hint = hint(extension(&path));
                (Bytes::File(path, reserved), hint)
            }
            Origin::Stream(stream) => (Bytes::Stream(stream), hint(None)),
            Origin::Clip(clips) => (Bytes::Clip(clips), hint(None)),
            Origin::Speech(hub) => (Bytes::Speech(hub), hint(None)),
            Origin::Url(mut fetch) => {
                fetch.from_start = section.from > 0;
                let hint = hint(fetch.extension());
                let spool = Spool::new(&SPOOL_BUDGET, limits.timeout);
                let filled = spool.clone();
                let download = async move { fetch::download(fetch, limits, &filled).await };
                let download = FETCHES.spawn(Scope::current().wrap(download));
                (Bytes::Download(spool, download.abort_handle()), hint)
            }
        };
        Self { bytes, hint, loudness }
    }

    /// Returns the requested loudness, if there is one, and how many steps are measured ahead: none of a stream, since its writer may wait
    /// until what it wrote was heard.
    pub fn loudness_target(&self) -> Option<(LoudnessTarget, usize)> {
        let ahead = match &self.bytes {
            Bytes::Memory(_) | Bytes::File(..) => LOCAL_LOOKAHEAD,
            Bytes::Download(..) => DOWNLOAD_LOOKAHEAD,
            Bytes::Stream(_) | Bytes::Clip(_) | Bytes::Speech(_) => 0,
        };
        self.loudness.map(|loudness| (loudness, ahead))
    }

    /// Returns true if it can be read again from another position: not a stream, nor a download that may have no end.
    pub fn is_seekable(&self) -> bool {
        match &self.bytes {
            Bytes::Memory(_) | Bytes::File(..) | Bytes::Clip(_) => true,
            Bytes::Download(spool, _) => spool.is_seekable(),
            Bytes::Stream(_) | Bytes::Speech(_) => false,
        }
    }

    /// Returns the stream, if it is one.
    pub fn stream(&self) -> Option<&Stream> {
        match &self.bytes {
            Bytes::Stream(stream) => Some(stream),
            _ => None,
        }
    }

    /// Returns the decoded sound, if it is a clip.
    pub fn clips(&self) -> Option<&Clips> {
        match &self.bytes {
            Bytes::Clip(clips) => Some(clips),
            _ => None,
        }
    }

    /// Returns the speech hub, if it is a voice.
    pub fn speech(&self) -> Option<&Arc<Speech>> {
        match &self.bytes {
            Bytes::Speech(hub) => Some(hub),
            _ => None,
        }
    }

    /// Opens the bytes at their start, on the decode pool; may suspend the decode task. The start of a stream is what was written after its
    /// last flush.
    pub fn open(&self, task: &DecodeContext) -> Result<Box<dyn Decode>> {
        self.open_as(task, false, false)
    }

    /// Does the same as [`open`](Self::open). With `detailed`, tags are read too; with `skips`, most of the beginning is not wanted.
    pub fn open_as(&self, task: &DecodeContext, detailed: bool, skips: bool) -> Result<Box<dyn Decode>> {
        let hint = self.hint.clone();
        let mut is_remote = false;
        let (input, hint): (Box<dyn MediaSource>, _) = match &self.bytes {
            Bytes::Memory(bytes) if bytes.as_ref().is_empty() => return Err(empty("audio")),
            Bytes::Memory(bytes) => (Box::new(Cursor::new(bytes.clone())), hint),
            Bytes::File(path, reserved) => (Box::new(DiskReader::open(path, reserved.clone(), task)?), hint),
            Bytes::Download(spool, _) => {
                let (reader, hint) = open_spool(spool, task, hint, skips)?;
                is_remote = reader.is_seekable();
                (Box::new(reader), hint)
            }
            Bytes::Stream(stream) => return stream.open(task, hint, detailed),
            Bytes::Clip(_) | Bytes::Speech(_) => {
                return Err(SpeakerError::new(Code::Internal, "a clip or a voice is decoded already"));
            }
        };
        let mut body = Body::new(input, task);
        if is_remote {
            body = body.remote();
        }
        if detailed {
            body.read_tags();
        }
        Ok(Box::new(Files::open(body, &hint)?))
    }

    /// Returns the number of bytes, if it is known; for a download, once its first byte has arrived.
    pub fn length(&self) -> Option<u64> {
        match &self.bytes {
            Bytes::Memory(bytes) => Some(bytes.as_ref().len() as u64),
            Bytes::Download(spool, _) => spool.announced(),
            Bytes::File(..) | Bytes::Stream(_) | Bytes::Clip(_) | Bytes::Speech(_) => None,
        }
    }

    /// Returns the error of reading the bytes, if there was one: that is clearer than the error that a demuxer makes of it.
    pub fn failure(&self) -> Option<SpeakerError> {
        match &self.bytes {
            Bytes::Download(spool, _) => spool.failure(),
            Bytes::Stream(stream) => stream.pipe.failure(),
            _ => None,
        }
    }

    /// Removes and returns the next metadata that belongs to the bytes up to `position`.
    pub fn take_metadata(&self, position: u64) -> Option<NowPlaying> {
        match &self.bytes {
            Bytes::Download(spool, _) => spool.take_metadata(position),
            Bytes::Memory(_) | Bytes::File(..) | Bytes::Stream(_) | Bytes::Clip(_) | Bytes::Speech(_) => None,
        }
    }

    /// Wakes a decode task at every piece that arrives, as long as it reads.
    pub fn attach(&self, task: &Waker) {
        match &self.bytes {
            Bytes::Download(spool, _) => spool.attach(task),
            Bytes::Stream(stream) => stream.pipe.attach(task),
            Bytes::Memory(_) | Bytes::File(..) | Bytes::Clip(_) | Bytes::Speech(_) => {}
        }
    }

    /// Stops waking a decode task.
    pub fn detach(&self, task: &Waker) {
        if let Bytes::Download(spool, _) = &self.bytes {
            spool.detach(task);
        }
    }
}

impl Drop for Media {
    fn drop(&mut self) {
        if let Bytes::Download(_, download) = &self.bytes {
            download.abort();
        }
    }
}

fn open_spool(
    spool: &Arc<Spool>,
    task: &DecodeContext,
    mut hint: FormatHint,
    skips: bool,
) -> Result<(SpoolReader, FormatHint)> {
    let mut reader = SpoolReader::new(spool.clone(), task);
    // These calls read, so they return once the first bytes are here, and the content type with them.
    let failed = |error: std::io::Error| {
        let known = error.get_ref().and_then(|error| error.downcast_ref::<SpeakerError>());
        let known = known.cloned().or_else(|| spool.failure());
        known.unwrap_or_else(|| SpeakerError::new(Code::File, error.to_string()))
    };
    if !reader.wait_for_bytes().map_err(failed)? {
        return Err(empty("audioUrl"));
    }
    task.note_first_byte();
    let comes_last =
        mp4::index_comes_last(&mut reader).map_err(failed)? || caf_table_comes_last(&mut reader).map_err(failed)?;
    // Bytes far ahead of the download are requested separately, if the server supports that.
    let is_seekable = (skips || comes_last) && reader.enable_ranges();
    if comes_last && !is_seekable {
        reader.wait_until_complete().map_err(failed)?;
    }
    hint.content_type = hint.content_type.or_else(|| spool.content_type());
    Ok((reader, hint))
}

fn caf_table_comes_last(reader: &mut SpoolReader) -> std::io::Result<bool> {
    let answer = caf::table_comes_last(|position, into| {
        reader.seek(SeekFrom::Start(position))?;
        reader.read_exact(into)
    });
    reader.seek(SeekFrom::Start(0))?;
    match answer {
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(false),
        answer => answer,
    }
}

fn extension(path: &Path) -> Option<String> {
    path.extension().map(|extension| extension.to_string_lossy().into_owned())
}
