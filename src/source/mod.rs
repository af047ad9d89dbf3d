//! Request → PCM: bytes from a URL, a file or memory, decoded, mixed down, resampled and cut into a ring.
//!
//! ```text
//! fetch → spool ┐
//! file, memory  ├→ tags → decode → downmix → resample → clip → ring → (mixer)
//! writer → pipe ┘   └────────────── one feeder on the decode pool ──────┘
//! ```

mod clip;
mod decode;
mod downmix;
mod feed;
mod feeder;
mod fetch;
mod media;
mod mp4;
mod pipe;
mod pipe_reader;
mod shared;
mod spool;
mod stream;
mod tags;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rtrb::RingBuffer;

use crate::audio::RING;
use crate::runtime::DECODERS;

pub use clip::Clip;
pub use feed::Feed;
#[doc(hidden)]
pub use feed::Reader;
pub use fetch::Fetch;
pub use media::Media;
pub use pipe::Pipe;
pub use shared::{Progress, Shared};
pub use stream::{Encoding, Raw, Stream};

use feeder::Feeder;
use shared::Reading;

/// Where a playback's bytes are.
#[derive(Debug, Clone)]
pub enum Origin {
    /// To be downloaded.
    Url(Fetch),
    /// A file.
    File(PathBuf),
    /// A whole file in memory.
    Bytes(Arc<[u8]>),
    /// Written by the user.
    Stream(Stream),
}

/// What to play.
#[derive(Debug, Clone)]
pub struct Source {
    /// Where its bytes are.
    pub origin: Origin,
    /// The media type that the user gave; preferred to the server's.
    pub content_type: Option<String>,
    /// Which part is played, and how often.
    pub clip: Clip,
}

impl Source {
    /// A part of what is at `origin`.
    pub fn new(origin: Origin, content_type: Option<String>, clip: Clip) -> Self {
        Self { origin, content_type, clip }
    }

    /// Returns true if its user writes it.
    pub fn is_stream(&self) -> bool {
        matches!(self.origin, Origin::Stream(_))
    }
}

/// What a reader is made from.
pub enum Opening {
    /// A source that was not read yet.
    Source(Source),
    /// Another part of bytes that are read already.
    Again {
        /// The bytes.
        media: Arc<Media>,
        /// The part.
        clip: Clip,
    },
}

/// Opens a source for a session with `channels` channels; a server may be silent for `fetch_timeout`. Its ring holds `ahead` samples
/// per channel on top of [`RING`].
pub fn open(opening: Opening, channels: usize, ahead: usize, fetch_timeout: Duration, progress: Arc<Progress>) -> Feed {
    match opening {
        Opening::Again { media, clip } => start(media, clip, channels, ahead, progress),
        Opening::Source(source) => {
            let clip = source.clip;
            start(Arc::new(Media::new(source, fetch_timeout)), clip, channels, ahead, progress)
        }
    }
}

/// Starts a feeder that plays `clip` of `media` for a session with `channels` channels.
fn start(media: Arc<Media>, clip: Clip, channels: usize, ahead: usize, progress: Arc<Progress>) -> Feed {
    // A stream's writer is to wait, and its end may come at any time.
    let ahead = if media.stream().is_some() { 0 } else { ahead };
    let (ring, consumer) = RingBuffer::new((RING + ahead) * channels);
    let shared = Arc::<Shared>::default();
    let waker = DECODERS.start(|waker| {
        media.attach(&waker);
        let reading = Reading { waker, shared: shared.clone(), progress: progress.clone() };
        let feeder = Feeder { ring, channels, media: media.clone(), clip, reading };
        move || feeder.run()
    });
    Feed::new(consumer, channels, shared, clip, Some(Reader { waker, media, progress }))
}
