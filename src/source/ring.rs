//! The state shared by the two ends of a ring.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::driver_notifier::DriverNotifier;
use super::fetch::NowPlaying;
use super::levelling::MeasuredLoudness;
use crate::audio::Samples;
use crate::error::{Code, Result, SpeakerError};
use crate::runtime::{self, Waker, turn_is_over};
use crate::sync::{AtomicBool as Flag, fence};

/// The state shared by a decode task and its reader.
#[derive(Debug, Default)]
pub struct SourceState {
    /// The outcome of the source; empty while it goes on.
    pub outcome: OnceLock<Result<()>>,
    /// The position in the source where a pass of the clip ends; empty until the first one did.
    pub end: OnceLock<Samples>,
    /// The ringing of the filter before the first sample, added to the reader that precedes this one (`Resampler`); set before that sample
    /// is in the ring, if it is the source's own first.
    pub pre_ring: OnceLock<Vec<f32>>,
    /// The ringing behind the last sample; set before `outcome`, if it is the source's own last.
    pub post_ring: OnceLock<Vec<f32>>,
    /// The arrival of the source's first byte, by [`DriverNotifier::wall`].
    pub first_byte: OnceLock<Samples>,
    /// True once a sample of the source was decoded.
    pub has_sounded: AtomicBool,
    /// The samples per channel that have to wait before a stream is played; more than the usual.
    pub prebuffer_target: AtomicUsize,
    /// The measured loudness of the source, if that is asked for.
    pub measured: MeasuredLoudness,
    /// True once the reader was dropped.
    pub cancelled: Arc<AtomicBool>,
    /// The source's metadata, each with the first sample of this reader that it applies to.
    metadata: Mutex<VecDeque<(Samples, NowPlaying)>>,
    has_metadata: AtomicBool,
    /// True while the decode task waits for room in the ring.
    full: Flag,
    /// True if something moved that a waiting clock was not notified of; used by the decode task only.
    has_unreported: AtomicBool,
}

// The two sides must not miss each other: each writes first (the flag here, the ring's position there) and then looks at
// what the other wrote. With the fences at least one of them sees the other, so the decode task stays awake or is woken.
impl SourceState {
    /// For the decode task: adds metadata that applies from this sample on.
    pub fn push_metadata(&self, from: Samples, metadata: NowPlaying) {
        self.metadata.lock().push_back((from, metadata));
        self.has_metadata.store(true, Ordering::Release);
    }

    /// Takes the next metadata, if it applies at or before this number of samples.
    pub fn take_metadata(&self, taken: Samples) -> Option<NowPlaying> {
        if !self.has_metadata.load(Ordering::Acquire) {
            return None;
        }
        let mut waiting = self.metadata.lock();
        let is_due = waiting.front().is_some_and(|(from, _)| *from <= taken);
        let due = if is_due { waiting.pop_front() } else { None };
        self.has_metadata.store(!waiting.is_empty(), Ordering::Release);
        due.map(|(_, metadata)| metadata)
    }

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

/// A source's view of the decode task that reads it.
#[derive(Clone)]
pub struct DecodeContext {
    pub waker: Waker,
    pub shared: Arc<SourceState>,
    pub notifier: Arc<DriverNotifier>,
}

impl DecodeContext {
    /// Fails once the reader was dropped.
    pub fn check(&self) -> Result<()> {
        if self.shared.cancelled.load(Ordering::Acquire) {
            Err(SpeakerError::new(Code::Closed, "cancelled"))
        } else {
            Ok(())
        }
    }

    /// Notes the arrival of the source's first byte.
    pub fn note_first_byte(&self) {
        self.shared.first_byte.get_or_init(|| self.notifier.wall_time());
    }

    /// Notes that a sample of the source was decoded.
    pub fn note_sound(&self) {
        self.shared.has_sounded.store(true, Ordering::Relaxed);
    }

    /// Notes a change for a clock that waits for sources: new samples in the ring, or a stream whose writer is behind. The clock is
    /// notified when the decode task yields its thread or ends: to notify it of every piece would cost more than to mix it.
    pub fn note_change(&self) {
        self.shared.has_unreported.store(self.notifier.waits_for_sources, Ordering::Relaxed);
    }

    /// Yields the thread until the waker is used, as [`suspend`](runtime::suspend) does.
    pub fn suspend(&self) {
        if self.shared.has_unreported.swap(false, Ordering::Relaxed) {
            self.notifier.notify();
        }
        runtime::suspend();
    }

    /// Yields to the other decode tasks of its thread if this one has run for long; fails once the reader was dropped.
    pub fn yield_if_due(&self) -> Result<()> {
        if turn_is_over() {
            self.waker.wake();
            self.suspend();
        }
        self.check()
    }
}

#[cfg(all(test, feature = "loom"))]
mod models {
    use super::*;
    use loom::sync::atomic::AtomicUsize;
    use loom::thread::spawn;

    #[test]
    fn loom_decode_task_sees_room_or_is_woken() {
        loom::model(|| {
            let shared = Arc::<SourceState>::default();
            // The position in the ring up to which samples were taken, written and read as rtrb does.
            let taken = Arc::new(AtomicUsize::new(0));
            let (mixer, position) = (shared.clone(), taken.clone());
            let mixer = spawn(move || {
                position.store(1, Ordering::Release);
                mixer.is_waiting()
            });
            let waits = shared.must_wait(|| taken.load(Ordering::Acquire) == 0);
            let woken = mixer.join().unwrap();
            assert!(!waits || woken, "it waits for ever");
        });
    }
}
