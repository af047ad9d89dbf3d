//! How decode tasks, and whoever else changes something, tell a session's driver to look.

use std::sync::{Arc, OnceLock};
use std::task::Wake;

use crate::sync::Notify;

/// Tells a session's driver to look: a decode task has moved, or a call has changed something.
#[derive(Default)]
pub struct Progress {
    notify: Notify,
    /// Tells a driver that is no task.
    told: OnceLock<Box<dyn Fn() + Send + Sync>>,
    /// True for a manual clock, which waits for sources: decode tasks then run far ahead, and tell of whatever they have brought, not
    /// only when a source is ready or has ended.
    pub eager: bool,
}

impl Progress {
    /// For a session whose clock waits for sources (`eager`: the manual one), or does not.
    pub fn new(eager: bool) -> Self {
        Self { eager, ..Self::default() }
    }

    /// Sets what tells a driver that is no task; it must not wait.
    pub fn on_move(&self, tell: impl Fn() + Send + Sync + 'static) {
        let _ = self.told.set(Box::new(tell));
    }

    /// Tells the driver that something moved.
    pub fn tell(&self) {
        match self.told.get() {
            Some(tell) => tell(),
            None => self.notify.notify_one(),
        }
    }

    /// Waits until something moved.
    pub async fn moved(&self) {
        self.notify.notified().await;
    }
}

/// As the waker of what an output that is polled by a job waits for.
impl Wake for Progress {
    fn wake(self: Arc<Self>) {
        self.tell();
    }
}

#[cfg(all(test, feature = "loom"))]
mod models {
    use super::*;
    use crate::sync::AtomicBool;
    use loom::future::block_on;
    use loom::thread::spawn;
    use std::sync::atomic::Ordering;

    #[test]
    fn loom_a_driver_that_waits_misses_nothing_that_moved() {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(2);
        model.check(|| {
            let progress = Arc::<Progress>::default();
            let moved: [Arc<AtomicBool>; 2] = Default::default();
            for moved in moved.clone() {
                let progress = progress.clone();
                spawn(move || {
                    moved.store(true, Ordering::Relaxed);
                    progress.tell();
                });
            }
            block_on(async {
                while !moved.iter().all(|moved| moved.load(Ordering::Relaxed)) {
                    progress.moved().await;
                }
            });
        });
    }
}
