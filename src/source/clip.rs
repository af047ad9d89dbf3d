//! A decoded sound that all sessions of a process share, and the room that all of them may take.

use std::any::Any;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use super::section::Rings;
use crate::audio::Samples;
use crate::error::{Code, Result, SpeakerError};

/// Room for 23 minutes in mono, or 8 in mono and stereo.
const DEFAULT_BYTES: u64 = 256 << 20;

/// A decoded sound, at 48 kHz. It never changes, so that any number of playbacks read it at once.
pub struct Clip {
    /// Tells the clips of this process apart.
    id: u64,
    channels: usize,
    samples: Box<[f32]>,
    peak: f32,
    /// How loud it is, in LUFS, as many channels as it has.
    lufs: Option<f64>,
    rings: Rings,
    companion: OnceLock<Box<dyn Any + Send + Sync>>,
    /// Given back with the last of a sound's clips.
    _room: Option<Arc<Room>>,
}

impl Clip {
    /// `samples` are interleaved, `channels` wide, at 48 kHz.
    pub fn new(id: u64, channels: usize, mut samples: Box<[f32]>) -> Self {
        let peak = settle(&mut samples);
        let (lufs, rings, companion) = (None, Rings::default(), OnceLock::new());
        Self { id, channels, samples, peak, lufs, rings, companion, _room: None }
    }

    /// The same, of samples that are settled, and of a resampler that rings beyond both ends, in a room of its own.
    pub(super) fn decoded(
        channels: usize,
        samples: Vec<f32>,
        peak: f32,
        lufs: Option<f64>,
        rings: Rings,
        room: Arc<Room>,
    ) -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let id = LAST.fetch_add(1, Ordering::Relaxed) + 1;
        let (samples, companion) = (samples.into(), OnceLock::new());
        Self { id, channels, samples, peak, lufs, rings, companion, _room: Some(room) }
    }

    /// Tells the clips of this process apart; never used twice.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// 1 or 2.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Samples per channel.
    pub fn length(&self) -> Samples {
        (self.samples.len() / self.channels) as Samples
    }

    /// All of it, interleaved.
    pub fn samples(&self) -> &[f32] {
        &self.samples
    }

    /// No sample is higher.
    pub fn peak(&self) -> f32 {
        self.peak
    }

    /// How loud it is in a session of so many channels, in LUFS; `None` of silence. One that is mono is played on both sides of a stereo session.
    pub fn lufs(&self, channels: usize) -> Option<f64> {
        let both_sides = 10.0 * (channels as f64 / self.channels as f64).log10();
        self.lufs.map(|lufs| lufs + both_sides)
    }

    /// Keeps what `make` gives until the clip is dropped: a guard of what an output has made of it. Only the first is kept.
    pub fn keep<T: Send + Sync + 'static>(&self, make: impl FnOnce() -> T) {
        self.companion.get_or_init(|| Box::new(make()));
    }

    /// What its resampler rings beyond both ends.
    pub(super) fn rings(&self) -> &Rings {
        &self.rings
    }
}

/// Takes the sign off zeros, as adding a sample to silence does, so that a mixer may hand a clip's samples on where they lie. Returns the
/// highest peak.
pub(super) fn settle(samples: &mut [f32]) -> f32 {
    samples.iter_mut().for_each(|sample| *sample += 0.0);
    samples.iter().fold(0.0, |peak, sample| peak.max(sample.abs()))
}

/// A sound as sessions of either width play it.
pub struct Clips {
    mono: Arc<Clip>,
    /// None if the sound is mono: both sides are the same then.
    stereo: Option<Arc<Clip>>,
    bytes: u64,
}

impl Clips {
    /// One sound, mixed down to mono and, if it is wider, to stereo; it takes so many bytes.
    pub(super) fn new(mono: Clip, stereo: Option<Clip>, bytes: u64) -> Self {
        Self { mono: Arc::new(mono), stereo: stereo.map(Arc::new), bytes }
    }

    /// What a session of so many channels plays. It may be mono though the session is stereo.
    pub fn of(&self, channels: usize) -> &Arc<Clip> {
        self.stereo.as_ref().filter(|_| channels > 1).unwrap_or(&self.mono)
    }

    /// Samples per channel.
    pub fn length(&self) -> Samples {
        self.mono.length()
    }

    /// 1, or 2 if its source has more than one channel.
    pub fn channels(&self) -> usize {
        self.stereo.as_ref().unwrap_or(&self.mono).channels()
    }

    /// What it takes of the room for all clips.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl std::fmt::Debug for Clips {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Clips").field("id", &self.mono.id).finish_non_exhaustive()
    }
}

/// How many clips a process has, and how many bytes they take and may take.
pub struct ClipBudget {
    state: Mutex<State>,
}

struct State {
    max: u64,
    used: u64,
    clips: u64,
}

/// That of the process.
pub static CLIPS: ClipBudget = ClipBudget::new(DEFAULT_BYTES);

impl ClipBudget {
    /// With so many bytes.
    pub const fn new(max: u64) -> Self {
        Self { state: Mutex::new(State { max, used: 0, clips: 0 }) }
    }

    /// Sets how many bytes it has. What is there already stays, also if it is more.
    pub fn set_max(&self, max: u64) {
        self.state.lock().max = max;
    }

    /// How many clips there are or are being made, and how many bytes they take.
    pub fn used(&self) -> (u64, u64) {
        let state = self.state.lock();
        (state.clips, state.used)
    }

    /// Room for one more clip.
    pub(super) fn enter(&'static self) -> Room {
        self.state.lock().clips += 1;
        Room { budget: self, bytes: 0 }
    }
}

/// What one clip takes; given back when it is dropped.
pub(super) struct Room {
    budget: &'static ClipBudget,
    bytes: u64,
}

impl Room {
    /// Grows to so many bytes. Fails with `ERR_CLIPS_FULL` if there is no room for them.
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

impl Drop for Room {
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
    fn its_samples_are_as_a_sum_would_have_them() {
        let clip = Clip::new(1, 1, Box::new([0.25, -0.0, -0.75, 0.5]));
        let bits = [0.25, 0.0, -0.75, 0.5].map(f32::to_bits);
        assert_eq!(clip.samples().iter().map(|sample| sample.to_bits()).collect::<Vec<_>>(), bits);
        assert_eq!(clip.peak(), 0.75);
    }

    #[test]
    fn room_is_taken_up_to_the_bound_and_given_back() {
        static BUDGET: ClipBudget = ClipBudget::new(100);
        let (mut one, mut other) = (BUDGET.enter(), BUDGET.enter());
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
