//! How decode tasks, and whoever else changes something, tell a session's driver to look.

use std::sync::OnceLock;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tokio::sync::Notify;

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
    pub fn wait(&self, seen: u64, limit: Duration) -> bool {
        let mut moves = self.moves.lock();
        if *moves == seen {
            self.changed.wait_for(&mut moves, limit);
        }
        *moves != seen
    }
}
