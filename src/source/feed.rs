//! The ring between a feeder and the mixer, seen from the mixer's side.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering, fence};

use rtrb::Consumer;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::audio::{PREROLL, RING};
use crate::error::Result;
use crate::runtime::Waker;

/// How feeders tell their session that something moved.
#[derive(Debug, Default)]
pub struct Progress {
    pub notify: Notify,
    /// Tell every piece, not only what a realtime session must know (ready, ended): set where the clock waits for sources.
    pub eager: bool,
}

/// What a feeder and its feed both see.
#[derive(Debug, Default)]
pub struct Shared {
    /// How the source ended; empty while it goes on.
    pub outcome: OnceLock<Result<()>>,
    /// Nobody listens any more.
    pub cancelled: Arc<AtomicBool>,
    /// The feeder waits for room in the ring.
    full: AtomicBool,
}

// The two sides must not miss each other: each writes first (the flag here, the ring's place there) and then looks at
// what the other wrote. With the fences at least one of them sees the other, so the feeder stays awake or is woken.
impl Shared {
    /// For the feeder: says that it waits, and whether it must, as `lacks_room` tells.
    pub fn must_wait(&self, lacks_room: impl Fn() -> bool) -> bool {
        self.full.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let must_wait = lacks_room();
        if !must_wait {
            self.full.store(false, Ordering::Relaxed);
        }
        must_wait
    }

    /// For the mixer's side, once it has made room: whether the feeder waits for it.
    fn is_waiting(&self) -> bool {
        fence(Ordering::SeqCst);
        self.full.swap(false, Ordering::Relaxed)
    }
}

/// One playback's samples, ready for the mixer. Dropping it ends the feeder and the download.
pub struct Feed {
    ring: Consumer<f32>,
    channels: usize,
    shared: Arc<Shared>,
    feeder: Option<Waker>,
    download: Option<AbortHandle>,
}

impl Feed {
    pub fn new(
        ring: Consumer<f32>,
        channels: usize,
        shared: Arc<Shared>,
        feeder: Option<Waker>,
        download: Option<AbortHandle>,
    ) -> Self {
        Self { ring, channels, shared, feeder, download }
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
        waiting >= PREROLL || ended
    }

    /// How the source ended, once it has.
    pub fn outcome(&self) -> Option<&Result<()>> {
        self.shared.outcome.get()
    }

    /// The next `frames` samples per channel (at most what waits), interleaved, in the two pieces of a ring. They stay.
    pub fn peek(&mut self, frames: usize) -> Peek<'_> {
        let samples = frames.min(self.ring.slots() / self.channels) * self.channels;
        let chunk = self.ring.read_chunk(samples).expect("no more than what waits is asked for");
        Peek { chunk, channels: self.channels }
    }

    /// Wakes the feeder if it waits for room and half of the ring is free. After the tick, not in it.
    pub fn refill(&self) {
        let half = RING / 2 * self.channels;
        if self.ring.slots() <= half && self.shared.is_waiting() {
            self.feeder.iter().for_each(Waker::wake);
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.shared.cancelled.store(true, Ordering::Release);
        self.download.iter().for_each(AbortHandle::abort);
        self.feeder.iter().for_each(Waker::wake);
    }
}

/// Samples looked at before they are taken.
pub struct Peek<'a> {
    chunk: rtrb::chunks::ReadChunk<'a, f32>,
    channels: usize,
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
        self.chunk.commit(frames * self.channels);
    }
}
