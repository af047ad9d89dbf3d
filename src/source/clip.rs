//! A decoded sound shared by all sessions of a process, and the memory budget of all such sounds.

use std::any::Any;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use super::section::Rings;
use crate::audio::Samples;
use crate::error::{Code, Result, SpeakerError};

/// Enough for 23 minutes in mono, or 8 in mono and stereo.
const DEFAULT_BYTES: u64 = 256 << 20;

/// A decoded sound at 48 kHz. It is immutable, so any number of playbacks read it at once.
pub struct Clip {
    /// A process-wide unique number.
    id: u64,
    channels: usize,
    samples: Box<[f32]>,
    peak: f32,
    /// The loudness in LUFS, with as many channels as it has.
    lufs: Option<f64>,
    rings: Rings,
    companion: OnceLock<Box<dyn Any + Send + Sync>>,
    /// Returned to the budget with the last clip of the sound.
    _reservation: Option<Arc<ClipReservation>>,
}

impl Clip {
    /// Makes a clip of `samples`: interleaved, `channels` wide, at 48 kHz.
    pub fn new(id: u64, channels: usize, mut samples: Box<[f32]>) -> Self {
        let peak = settle(&mut samples);
        let (lufs, rings, companion) = (None, Rings::default(), OnceLock::new());
        Self { id, channels, samples, peak, lufs, rings, companion, _reservation: None }
    }

    /// Makes a clip of settled samples, with the ringing of its resampler beyond both ends and the budget it takes.
    pub(super) fn decoded(
        channels: usize,
        samples: Vec<f32>,
        peak: f32,
        lufs: Option<f64>,
        rings: Rings,
        reservation: Arc<ClipReservation>,
    ) -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let id = LAST.fetch_add(1, Ordering::Relaxed) + 1;
        let (samples, companion) = (samples.into(), OnceLock::new());
        Self { id, channels, samples, peak, lufs, rings, companion, _reservation: Some(reservation) }
    }

    /// Returns a process-wide unique number, which is never used twice.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Returns 1 or 2.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Returns the samples per channel.
    pub fn length(&self) -> Samples {
        (self.samples.len() / self.channels) as Samples
    }

    /// Returns all samples, interleaved.
    pub fn samples(&self) -> &[f32] {
        &self.samples
    }

    /// Returns the highest absolute sample.
    pub fn peak(&self) -> f32 {
        self.peak
    }

    /// Returns the loudness in LUFS in a session of `channels`; `None` for silence. A mono clip is played on both sides of a stereo
    /// session.
    pub fn lufs(&self, channels: usize) -> Option<f64> {
        let both_sides = 10.0 * (channels as f64 / self.channels as f64).log10();
        self.lufs.map(|lufs| lufs + both_sides)
    }

    /// Keeps the result of `make` until the clip is dropped: a guard for what an output has made of it. Only the first one is kept.
    pub fn keep<T: Send + Sync + 'static>(&self, make: impl FnOnce() -> T) {
        self.companion.get_or_init(|| Box::new(make()));
    }

    /// Returns the ringing of its resampler beyond both ends.
    pub(super) fn rings(&self) -> &Rings {
        &self.rings
    }
}

/// Removes the sign from zeros, as adding a sample to silence does, so that a mixer may pass a clip's samples on without a copy. Returns
/// the highest absolute sample.
pub(super) fn settle(samples: &mut [f32]) -> f32 {
    samples.iter_mut().for_each(|sample| *sample += 0.0);
    samples.iter().fold(0.0, |peak, sample| peak.max(sample.abs()))
}

/// A sound in mono and in stereo, for sessions of either width.
pub struct Clips {
    mono: Arc<Clip>,
    /// `None` if the sound is mono: both sides are the same then.
    stereo: Option<Arc<Clip>>,
    bytes: u64,
}

impl Clips {
    /// Joins one sound's mono mix and, if it is wider, its stereo mix; together they take `bytes`.
    pub(super) fn new(mono: Clip, stereo: Option<Clip>, bytes: u64) -> Self {
        Self { mono: Arc::new(mono), stereo: stereo.map(Arc::new), bytes }
    }

    /// Returns the clip for a session of `channels`; a mono one possibly in a stereo session too.
    pub fn of(&self, channels: usize) -> &Arc<Clip> {
        self.stereo.as_ref().filter(|_| channels > 1).unwrap_or(&self.mono)
    }

    /// Returns the samples per channel.
    pub fn length(&self) -> Samples {
        self.mono.length()
    }

    /// Returns 1, or 2 if the source has more than one channel.
    pub fn channels(&self) -> usize {
        self.stereo.as_ref().unwrap_or(&self.mono).channels()
    }

    /// Returns how much of the clip budget it takes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl std::fmt::Debug for Clips {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Clips").field("id", &self.mono.id).finish_non_exhaustive()
    }
}

/// The number of clips in a process, the bytes they take and the bytes they may take.
pub struct ClipBudget {
    state: Mutex<State>,
}

struct State {
    max: u64,
    used: u64,
    clips: u64,
}

/// The budget of the process.
pub static CLIP_BUDGET: ClipBudget = ClipBudget::new(DEFAULT_BYTES);

impl ClipBudget {
    /// Makes a budget of `max` bytes.
    pub const fn new(max: u64) -> Self {
        Self { state: Mutex::new(State { max, used: 0, clips: 0 }) }
    }

    /// Sets the limit in bytes. Existing clips stay, even if they exceed it.
    pub fn set_max(&self, max: u64) {
        self.state.lock().max = max;
    }

    /// Returns the number of clips, with those being made, and the bytes they take.
    pub fn used(&self) -> (u64, u64) {
        let state = self.state.lock();
        (state.clips, state.used)
    }

    /// Reserves a place for one more clip, of 0 bytes so far.
    pub(super) fn reserve(&'static self) -> ClipReservation {
        self.state.lock().clips += 1;
        ClipReservation { budget: self, bytes: 0 }
    }
}

/// The bytes that one clip takes; returned to the budget when dropped.
pub(super) struct ClipReservation {
    budget: &'static ClipBudget,
    bytes: u64,
}

impl ClipReservation {
    /// Changes the reservation to `bytes`. Fails with `ERR_CLIPS_FULL` if the budget is exceeded.
    pub fn grow_to(&mut self, bytes: u64) -> Result<()> {
        let State { max, used, .. } = &mut *self.budget.state.lock();
        let others = *used - self.bytes;
        if bytes > self.bytes && others + bytes > *max {
            let message = format!(
                "Expected at most {max} bytes of clips (maxClipBytes) but received more: {others} are in use by others"
            );
            return Err(SpeakerError::new(Code::ClipsFull, message));
        }
        *used = others + bytes;
        self.bytes = bytes;
        Ok(())
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for ClipReservation {
    fn drop(&mut self) {
        let mut state = self.budget.state.lock();
        state.used -= self.bytes;
        state.clips -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_have_no_sign() {
        let clip = Clip::new(1, 1, Box::new([0.25, -0.0, -0.75, 0.5]));
        let bits = [0.25, 0.0, -0.75, 0.5].map(f32::to_bits);
        assert_eq!(clip.samples().iter().map(|sample| sample.to_bits()).collect::<Vec<_>>(), bits);
        assert_eq!(clip.peak(), 0.75);
    }

    #[test]
    fn budget_is_bounded_and_given_back() {
        static BUDGET: ClipBudget = ClipBudget::new(100);
        let (mut one, mut other) = (BUDGET.reserve(), BUDGET.reserve());
        one.grow_to(60).unwrap();
        other.grow_to(40).unwrap();
        assert_eq!(other.grow_to(41).unwrap_err().code, Code::ClipsFull);
        assert_eq!((BUDGET.used(), other.bytes()), ((2, 100), 40), "what was refused is not counted");
        BUDGET.set_max(10);
        one.grow_to(50).unwrap();
        drop(one);
        assert_eq!(BUDGET.used(), (1, 40));
        drop(other);
        assert_eq!(BUDGET.used(), (0, 0));
    }
}
