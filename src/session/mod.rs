//! Control: who plays, who waits, who is told.
//!
//! ```text
//! caller's thread   Handle ──asks──▶ Registry          (policy, under a lock)
//!                     └──Command──▶ Actor ──▶ Mixer    (one task owns all that sounds)
//!                                     └──Message──▶ the caller's sink
//! ```

mod actor;
mod close;
mod command;
mod cue;
mod follow;
mod handle;
mod inbox;
mod loading;
mod patience;
mod playback;
mod publisher;
pub mod registry;
mod stage;
mod stream;
mod tap;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::audio::Samples;
use crate::mixer::Duck;
use crate::output::{Link, OutputOptions};

pub use handle::{Handle, PlayRequest, StopRequest};
pub use playback::{Info, Phase};
pub use registry::{Overlap, Policy, Target};
pub use stream::Stream;
pub use tap::Tap;

/// What moves a session's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// The wall clock: 20 ms of sound every 20 ms.
    Realtime,
    /// `advance` alone. A source that still loads holds it, so the same calls give the same samples.
    Manual,
}

/// A session's options, checked.
#[derive(Clone)]
pub struct Options {
    pub output: OutputOptions,
    pub clock: Clock,
    /// 1 or 2.
    pub channels: usize,
    pub policy: Policy,
    /// How lower roles fall back; off if `None`.
    pub duck: Option<Duck>,
    /// Linear, on top of every playback's own.
    pub gain: f32,
    /// The longest a playback may take.
    pub max_duration: Samples,
    /// Between `progress` events; 0 for none.
    pub progress_interval: Samples,
    pub fetch_timeout: Duration,
    /// How long a stream may be silent because its writer is behind, if its request does not say; 0 for ever.
    pub stall_timeout: Samples,
}

/// Counts since the session began; written by its actor, read by anyone.
#[derive(Debug, Default)]
pub struct Counters {
    pub now: AtomicU64,
    pub completed: AtomicU64,
    pub stopped: AtomicU64,
    pub failed: AtomicU64,
    pub underruns: AtomicU64,
    pub dropped_frames: AtomicU64,
    pub lost_frames: AtomicU64,
    /// How the output is received.
    pub link: Mutex<Link>,
}

impl Counters {
    fn set(counter: &AtomicU64, value: u64) {
        counter.store(value, Ordering::Relaxed);
    }

    fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
