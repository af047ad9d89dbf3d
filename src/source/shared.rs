//! What the two ends of a ring, and whoever else has a part in a source, see of each other.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering, fence};

use parking_lot::{Condvar, Mutex};
use tokio::sync::Notify;

use crate::audio::Samples;
use crate::error::Result;
use crate::runtime::Waker;

/// How decode tasks, and whoever else changes something, tell a session's driver to look.
#[derive(Default)]
pub struct Progress {
    notify: Notify,
    /// Something moved since the driver looked last; for a driver that is a thread.
    moved: Mutex<bool>,
    changed: Condvar,
    /// Starts such a driver.
    starts: OnceLock<Box<dyn Fn() + Send + Sync>>,
    /// Tell every piece, not only what a realtime session must know (ready, ended): set where the clock waits for sources.
    pub eager: bool,
}

impl Progress {
    /// For a session whose clock waits for sources (`eager`), or does not.
    pub fn new(eager: bool) -> Self {
        Self { eager, ..Self::default() }
    }

    /// What starts a driver that is no task, if none runs.
    pub fn on_move(&self, start: impl Fn() + Send + Sync + 'static) {
        let _ = self.starts.set(Box::new(start));
    }

    /// Something moved.
    pub fn tell(&self) {
        match self.starts.get() {
            Some(start) => {
                *self.moved.lock() = true;
                self.changed.notify_one();
                start();
            }
            None => self.notify.notify_one(),
        }
    }

    /// Waits until something moved.
    pub async fn moved(&self) {
        self.notify.notified().await;
    }

    /// Waits until something moved, but no longer than `limit`. Returns false if nothing did.
    pub fn wait(&self, limit: std::time::Duration) -> bool {
        let mut moved = self.moved.lock();
        if !*moved {
            self.changed.wait_for(&mut moved, limit);
        }
        std::mem::take(&mut *moved)
    }
}

/// What a feeder and its feed both see.
#[derive(Debug, Default)]
pub struct Shared {
    /// How the source ended; empty while it goes on.
    pub outcome: OnceLock<Result<()>>,
    /// Where in the source a pass of the clip ends; empty until the first one did.
    pub end: OnceLock<Samples>,
    /// What belongs before its first sample where another feed is joined on before it (`Resampler`); set before that sample
    /// is in the ring, if it is the source's own first.
    pub pre_ring: OnceLock<Vec<f32>>,
    /// What belongs behind its last sample; set before `outcome`, if it is the source's own last.
    pub post_ring: OnceLock<Vec<f32>>,
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
    pub fn is_waiting(&self) -> bool {
        fence(Ordering::SeqCst);
        self.full.swap(false, Ordering::Relaxed)
    }
}

/// A feeder, as what it reads from sees it.
#[derive(Clone)]
pub struct Reading {
    pub waker: Waker,
    pub shared: Arc<Shared>,
    pub progress: Arc<Progress>,
}
