//! Request → PCM: bytes from a URL, a file or memory, decoded, mixed down, resampled and cut into a ring.
//!
//! ```text
//! fetch → spool ┐
//! file, memory  ├→ body → files → decode → downmix → resample → section → ring → (mixer)
//! writer → pipe ┘   └────────────── one decode task on the decode pool ──────────────┘
//! ```
//!
//! A clip is the kept output of the resampler: its section is cut where it is read, without a decode task or a ring. A voice is put into a
//! ring of its own by the session that receives it (`speech.rs`).

mod adts;
mod amr;
mod au;
mod bits;
mod blocks;
mod body;
mod caf;
mod clip;
mod clip_cursor;
mod clip_task;
mod container;
mod decode;
mod decode_task;
mod disk_reader;
mod downmix;
mod driver_notifier;
mod fetch;
mod files;
mod flac;
mod frames;
#[cfg(feature = "he-aac")]
mod he_aac;
mod latm;
mod levelling;
mod matroska;
mod media;
mod memory_file;
mod metadata;
mod meter;
mod mp4;
mod mpeg;
mod mpeg_ts;
mod ogg;
mod opus;
mod page_cache_reader;
mod pcm_reader;
mod pipe;
mod prebuffer;
mod probe;
mod raw;
mod read_ahead;
mod riff;
mod ring;
mod section;
mod speech;
mod spool;
mod spool_budget;
mod stream;
mod tags;
mod trim;
mod vorbis;

use std::path::PathBuf;
use std::sync::Arc;

use rtrb::RingBuffer;

use crate::audio::{OFFLINE_RING, RING};
use crate::reserved::ReservedPath;
use crate::runtime::{Pool, Waker};

pub use clip::{CLIP_BUDGET, Clip, Clips};
pub use clip_task::{DecodeJob, make_clip};
pub use driver_notifier::DriverNotifier;
pub use fetch::{CACHE, CacheUsage, Fetch, FetchLimits, NowPlaying, divided};
pub use levelling::LoudnessTarget;
pub use media::Media;
pub use memory_file::MemoryFile;
pub use pcm_reader::{PcmReader, Supply};
pub use pipe::PipeWriter;
pub use prebuffer::Prebuffer;
pub use probe::{Probed, probe};
pub use raw::Raw;
pub use ring::SourceState;
pub use section::Section;
pub use speech::Speech;
pub use spool_budget::SPOOL_BUDGET;
pub use stream::{Encoding, Stream};

use decode_task::DecodeTask;
use levelling::PriorLoudness;
use ring::DecodeContext;

/// The origin of a playback's bytes.
#[derive(Debug, Clone)]
pub enum Origin {
    /// A URL to download.
    Url(Fetch),
    /// A file.
    File(PathBuf),
    /// A whole file in memory.
    Bytes(MemoryFile),
    /// A stream that the user writes.
    Stream(Stream),
    /// A clip, decoded already.
    Clip(Arc<Clips>),
    /// A voice in a room.
    Speech(Arc<Speech>),
}

/// A source to play.
#[derive(Debug, Clone)]
pub struct Source {
    /// The origin of its bytes.
    pub origin: Origin,
    /// The media type that the user gave; takes precedence over the server's.
    pub content_type: Option<String>,
    /// The part that is played, and the number of passes.
    pub section: Section,
    /// The path that its session's output writes, which it must not read.
    pub reserved: Option<Arc<ReservedPath>>,
    /// The requested loudness; unchanged if missing.
    pub loudness: Option<LoudnessTarget>,
}

impl Source {
    /// Makes a source of a part of `origin`.
    pub fn new(origin: Origin, content_type: Option<String>, section: Section) -> Self {
        Self { origin, content_type, section, reserved: None, loudness: None }
    }

    /// Returns true if the user writes it.
    pub fn is_stream(&self) -> bool {
        matches!(self.origin, Origin::Stream(_))
    }
}

/// The input of a new reader.
pub enum Opening {
    /// A source that was not read yet.
    Source(Source),
    /// Another part of a source that was opened before.
    Reopen {
        /// The bytes.
        media: Arc<Media>,
        /// The part.
        section: Section,
        /// The loudness of the part heard so far, if it is measured.
        prior_loudness: Option<PriorLoudness>,
    },
}

/// Opens a source for a session with `channels` channels, to be decoded on `pool`; `limits` are for its server. Its ring holds `ahead`
/// samples per channel on top of [`RING`], or of [`OFFLINE_RING`] where the clock waits for sources.
pub fn open(
    pool: &Pool,
    opening: Opening,
    channels: usize,
    ahead: usize,
    limits: FetchLimits,
    notifier: Arc<DriverNotifier>,
) -> PcmReader {
    let (media, section, prior_loudness) = match opening {
        Opening::Reopen { media, section, prior_loudness } => (media, section, prior_loudness),
        Opening::Source(source) => {
            let section = source.section;
            (Arc::new(Media::new(source, limits)), section, None)
        }
    };
    if let Some(clips) = media.clips() {
        let clip = clips.of(channels).clone();
        let supply = Supply { waker: Waker::idle(), media, notifier };
        return PcmReader::of_clip(clip, channels, section, ahead, supply);
    }
    if let Some(hub) = media.speech() {
        let shared = Arc::<SourceState>::default();
        let voice = hub.reader(channels, &shared);
        let supply = Supply { waker: Waker::idle(), media, notifier };
        return PcmReader::of_speech(voice, channels, shared, section, supply);
    }
    let (room, ahead) = match media.stream() {
        // A stream's writer has to be slowed down, and its end may come at any time.
        Some(stream) => (RING.max(stream.prebuffer.most + RING / 2), 0),
        None if notifier.waits_for_sources => (OFFLINE_RING, ahead),
        None => (RING, ahead),
    };
    let (ring, consumer) = RingBuffer::new((room + ahead) * channels);
    let shared = Arc::<SourceState>::default();
    let waker = pool.start(|waker| {
        media.attach(&waker);
        let context = DecodeContext { waker, shared: shared.clone(), notifier: notifier.clone() };
        let task =
            DecodeTask { ring, room, channels, media: media.clone(), section, context, pushed: 0, prior_loudness };
        move || task.run()
    });
    PcmReader::new(consumer, ahead, channels, shared, section, Some(Supply { waker, media, notifier }))
        .with_prior_loudness(prior_loudness)
}
