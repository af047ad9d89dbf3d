//! Request → PCM: bytes from a URL, a file or memory, decoded, mixed down, resampled and cut into a ring.
//!
//! ```text
//! fetch → spool ┐
//! file, memory  ├→ decode → downmix → resample → clip → ring → (mixer)
//! writer → pipe ┘   └─────────── one feeder on the decode pool ──┘
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

use rtrb::RingBuffer;

use crate::audio::RING;
use crate::runtime::DECODERS;

pub use clip::Clip;
pub use feed::Feed;
pub use fetch::Fetch;
pub use media::Media;
pub use pipe::Pipe;
pub use shared::{Progress, Seekable, Shared};
pub use stream::{Encoding, Raw, Stream};

use feed::Reader;
use feeder::Feeder;
use shared::Reading;

/// Where a playback's bytes are.
#[derive(Debug, Clone)]
pub enum Origin {
    Url(Fetch),
    File(PathBuf),
    Bytes(Arc<[u8]>),
    Stream(Stream),
}

/// What to play.
#[derive(Debug, Clone)]
pub struct Source {
    pub origin: Origin,
    /// The user's word for what it is; stands above the server's.
    pub content_type: Option<String>,
    pub clip: Clip,
    pub seekable: Seekable,
}

impl Source {
    pub fn new(origin: Origin, content_type: Option<String>, clip: Clip) -> Self {
        let seekable = Seekable::new(!matches!(origin, Origin::Stream(_)));
        Self { origin, content_type, clip, seekable }
    }
}

/// Starts a feeder that plays `clip` of `media` for a session with `channels` channels.
pub fn open(media: Arc<Media>, clip: Clip, channels: usize, progress: Arc<Progress>) -> Feed {
    // A stream's writer is to wait, and its end may come at any time.
    let ahead = if media.stream().is_some() { 0 } else { progress.ahead };
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
