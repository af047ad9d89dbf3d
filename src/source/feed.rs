//! The ring between a feeder and the mixer, seen from the mixer's side.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use rtrb::Consumer;

use super::Opening;
use super::clip::Clip;
use super::media::Media;
use super::shared::{Progress, Shared};
use super::stream::Stream;
use crate::audio::{PREROLL, RING, Samples};
use crate::error::Result;
use crate::runtime::Waker;

/// One playback's samples, ready for the mixer. Dropping it ends the feeder, and the download with the last feed of it.
pub struct Feed {
    ring: Consumer<f32>,
    channels: usize,
    shared: Arc<Shared>,
    clip: Clip,
    /// Samples per channel taken out of the ring so far.
    taken: Samples,
    /// Where its first sample is, if it is not the source's own first: after a flush.
    origin: Samples,
    reader: Option<Reader>,
}

/// What fills a feed.
pub struct Reader {
    pub waker: Waker,
    pub media: Arc<Media>,
    pub progress: Arc<Progress>,
}

impl Reader {
    /// For tests: nothing fills the feed but the test itself. `eager` as in [`Progress::eager`].
    #[doc(hidden)]
    pub fn by_hand(media: Arc<Media>, eager: bool) -> Self {
        let waker = Waker::idle();
        media.attach(&waker);
        Self { waker, media, progress: Arc::new(Progress::new(eager)) }
    }
}

impl Feed {
    pub fn new(ring: Consumer<f32>, channels: usize, shared: Arc<Shared>, clip: Clip, reader: Option<Reader>) -> Self {
        Self { ring, channels, shared, clip, taken: 0, origin: 0, reader }
    }

    /// Where in the source the next sample is.
    pub fn place(&self) -> Samples {
        self.place_back(0)
    }

    /// Where in the source the sample was that was taken `back` samples ago.
    pub fn place_back(&self, back: Samples) -> Samples {
        self.origin + self.clip.place(self.taken - back, self.shared.end.get().copied())
    }

    /// What is written to its stream after a flush, to be opened, if it is one.
    pub fn flushed(&self) -> Option<Opening> {
        let Reader { media, .. } = self.reader.as_ref().filter(|reader| reader.media.stream().is_some())?;
        Some(Opening::Again { media: media.clone(), clip: Clip::default() })
    }

    /// Returns true if the same source can be read from another place.
    pub fn is_seekable(&self) -> bool {
        self.reader.as_ref().is_some_and(|reader| reader.media.is_seekable())
    }

    /// Goes on from where another has come to.
    pub fn follow(&mut self, other: &Self) {
        self.origin = other.place();
    }

    fn stream(&self) -> Option<&Stream> {
        self.reader.as_ref()?.media.stream()
    }

    /// Whether it waits for a writer who is behind.
    pub fn is_starved(&self) -> bool {
        self.stream().is_some_and(|stream| stream.outlet.is_starved())
    }

    /// Whether more is on its way by itself, which a clock that can wait should wait for. To be asked before
    /// [`level`](Self::level): what waits then is all there is.
    pub fn is_coming(&self) -> bool {
        let written_out = self.stream().is_some_and(|stream| stream.outlet.is_starved() && !stream.outlet.has_more());
        !written_out && self.shared.outcome.get().is_none()
    }

    /// The same source from another place on, to be opened.
    pub fn sought(&self, place: Samples) -> Option<Opening> {
        let Reader { media, .. } = self.reader.as_ref()?;
        let clip = self.clip.sought(place, self.taken, self.shared.end.get().copied());
        Some(Opening::Again { media: media.clone(), clip })
    }

    /// Samples per channel that wait, and whether no more will come. In this order: what is said to be the end includes
    /// every sample pushed before it.
    pub fn level(&self) -> (usize, bool) {
        let ended = self.shared.outcome.get().is_some();
        (self.ring.slots() / self.channels, ended)
    }

    /// Whether a playback can start from here without running dry at once.
    pub fn is_ready(&self) -> bool {
        let (waiting, ended) = self.level();
        // Where the clock waits for sources, it also waits for as much as is to be known of them.
        let known = if self.reader.as_ref().is_some_and(|reader| reader.progress.eager) { self.ahead() } else { 0 };
        waiting >= PREROLL.max(known) || ended
    }

    /// So many samples before it comes, its end is known at least.
    pub fn ahead(&self) -> usize {
        self.ring.buffer().capacity() / self.channels - RING
    }

    /// Samples per channel to its end, if all of it is there.
    pub fn left(&self) -> Option<Samples> {
        let (waiting, ended) = self.level();
        ended.then_some(waiting as Samples)
    }

    /// How the source ended, once it has.
    pub fn outcome(&self) -> Option<&Result<()>> {
        self.shared.outcome.get()
    }

    /// The next `frames` samples per channel (at most what waits), interleaved, in the two pieces of a ring. They stay.
    pub fn peek(&mut self, frames: usize) -> Peek<'_> {
        let samples = frames.min(self.ring.slots() / self.channels) * self.channels;
        let chunk = self.ring.read_chunk(samples).expect("no more than what waits is asked for");
        Peek { chunk, channels: self.channels, taken: &mut self.taken }
    }

    /// The feeder to be woken, if it waits for room and three quarters of the ring are free: seldom, since each time a thread
    /// wakes.
    pub fn refill(&self) -> Option<Waker> {
        let enough = (self.ahead() + RING / 4) * self.channels;
        let is_due = self.ring.slots() <= enough && self.shared.is_waiting();
        self.reader.as_ref().filter(|_| is_due).map(|reader| reader.waker.clone())
    }

    fn wake(&self) {
        self.reader.iter().for_each(|reader| reader.waker.wake());
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.shared.cancelled.store(true, Ordering::Release);
        self.wake();
    }
}

/// Samples looked at before they are taken.
pub struct Peek<'a> {
    chunk: rtrb::chunks::ReadChunk<'a, f32>,
    channels: usize,
    taken: &'a mut Samples,
}

impl Peek<'_> {
    pub fn frames(&self) -> usize {
        self.chunk.len() / self.channels
    }

    pub fn slices(&self) -> (&[f32], &[f32]) {
        self.chunk.as_slices()
    }

    /// Takes the first `frames` samples per channel out of the ring.
    pub fn take(self, frames: usize) {
        *self.taken += frames as Samples;
        self.chunk.commit(frames * self.channels);
    }
}
