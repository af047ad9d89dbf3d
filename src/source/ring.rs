//! What the two ends of a ring share, and how decode tasks tell a session's driver to look.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering, fence};

use parking_lot::{Condvar, Mutex};
use tokio::sync::Notify;

use crate::audio::Samples;
use crate::error::Result;
use crate::runtime::Waker;

/// Tells a session's driver to look: a decode task has moved, or a call has changed something.
#[derive(Default)]
pub struct Progress {
    notify: Notify,
    /// How often something moved; for a driver that is a thread. A count, and not a flag: a thread that ends must not take from the
    /// next one what it has not seen.
    moves: Mutex<u64>,
    changed: Condvar,
    /// Starts such a driver.
    starts: OnceLock<Box<dyn Fn() + Send + Sync>>,
    /// True for a manual clock, which waits for sources: decode tasks then tell of every piece, and not only when a source is
    /// ready or has ended.
    pub eager: bool,
}

impl Progress {
    /// For a session whose clock waits for sources (`eager`: the manual one), or does not.
    pub fn new(eager: bool) -> Self {
        Self { eager, ..Self::default() }
    }

    /// Sets what starts a driver that is no task, if none runs.
    pub fn on_move(&self, start: impl Fn() + Send + Sync + 'static) {
        let _ = self.starts.set(Box::new(start));
    }

    /// Tells the driver that something moved.
    pub fn tell(&self) {
        match self.starts.get() {
            Some(start) => {
                *self.moves.lock() += 1;
                self.changed.notify_all();
                start();
            }
            None => self.notify.notify_one(),
        }
    }

    /// Waits until something moved.
    pub async fn moved(&self) {
        self.notify.notified().await;
    }

    /// How often something moved so far.
    pub fn moves(&self) -> u64 {
        *self.moves.lock()
    }

    /// Waits until something has moved more often than `seen`, but no longer than `limit`. Returns false if nothing did.
    pub fn wait(&self, seen: u64, limit: std::time::Duration) -> bool {
        let mut moves = self.moves.lock();
        if *moves == seen {
            self.changed.wait_for(&mut moves, limit);
        }
        *moves != seen
    }
}

/// What a decode task and its reader share.
#[derive(Debug, Default)]
pub struct Shared {
    /// How the source ended; empty while it goes on.
    pub outcome: OnceLock<Result<()>>,
    /// Where in the source a pass of the clip ends; empty until the first one did.
    pub end: OnceLock<Samples>,
    /// What belongs before its first sample where another reader is joined on before it (`Resampler`); set before that sample
    /// is in the ring, if it is the source's own first.
    pub pre_ring: OnceLock<Vec<f32>>,
    /// What belongs behind its last sample; set before `outcome`, if it is the source's own last.
    pub post_ring: OnceLock<Vec<f32>>,
    /// True once the reader was dropped.
    pub cancelled: Arc<AtomicBool>,
    /// True while the decode task waits for room in the ring.
    full: AtomicBool,
}

// The two sides must not miss each other: each writes first (the flag here, the ring's place there) and then looks at
// what the other wrote. With the fences at least one of them sees the other, so the decode task stays awake or is woken.
impl Shared {
    /// For the decode task: notes that it waits for room. Returns true if it must wait, because `lacks_room` still holds.
    pub fn must_wait(&self, lacks_room: impl Fn() -> bool) -> bool {
        self.full.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let must_wait = lacks_room();
        if !must_wait {
            self.full.store(false, Ordering::Relaxed);
        }
        must_wait
    }

    /// For the mixer's side, once it has made room: returns true if the decode task waits for it.
    pub fn is_waiting(&self) -> bool {
        fence(Ordering::SeqCst);
        self.full.swap(false, Ordering::Relaxed)
    }
}

/// What a source knows of the decode task that reads it.
#[derive(Clone)]
pub struct Reading {
    pub waker: Waker,
    pub shared: Arc<Shared>,
    pub progress: Arc<Progress>,
}
