//! The look-ahead peak limiter at the end of a bus: samples within full scale pass bit for bit, the gain falls before
//! louder ones come, and nothing is shifted in time.
//!
//! The mixer gives it [`LOOK_AHEAD`] samples more than it hands on, so no delay line is needed. For each sample, as in
//! Giannoulis, Massberg and Reiss, “Digital Dynamic Range Compressor Design” (JAES 60 (6), 2012), a peak detector is followed by
//! the smoothing of the gain, in the domain where it is applied:
//!
//! 1. A sample over full scale, as soon as it is seen, arms the detector; while it is armed, true peaks count too
//!    (`true_peak.rs`). A peak over the ceiling needs a gain reduction.
//! 2. The reduction is held, so that it does not follow the waves of a low tone, and averaged over the look-ahead, which makes a
//!    straight line that is down when the peak comes (`reduction.rs`).
//! 3. The gain follows that line down at once and recovers exponentially ([`Slope`]).
//!
//! All of it advances by samples, never by blocks, so the output does not depend on how time is cut. The samples ahead may
//! change: a voice is stopped or started. Then everything planned is taken back and planned anew, and the
//! gain goes on from where it is, in a line as steep as the nearest peak needs, but never a step. Only an
//! unforeseeable peak, within the first millisecond, may be clipped at full scale.

mod reduction;
mod true_peak;

use crate::audio::{LOOK_AHEAD, PER_MS, SAMPLE_RATE};

use reduction::{ALL, Reduction};
use true_peak::{CHUNK, Peaks, REACH, TruePeak};

/// The level up to which peaks pass unchanged: full scale.
pub const THRESHOLD: f32 = 1.0;

/// The level to which louder peaks are brought: the largest 16-bit sample.
const CEILING: f32 = 32_767.0 / 32_768.0;

/// The smallest gain: −120 dB. Anything still too loud is clipped.
const LEAST_GAIN: f32 = 1e-6;

/// The number of samples ahead whose true peaks are known.
const AHEAD: usize = LOOK_AHEAD - REACH;

/// The number of past samples that are kept: those that the first gap's true peak depends on.
const BEHIND: usize = REACH - 1;

/// The time for which true peaks count after a sample over full scale: until the gain is almost back.
const ARMED: u32 = 500 * PER_MS as u32;

/// The largest gain step per sample where peaks are foreseen: from 1 to 0 within the look-ahead.
const GENTLE: f32 = 1.0 / (AHEAD + 1) as f32;

/// The largest gain step per sample at all: from 1 to 0 in a millisecond.
const STEEPEST: f32 = 1.0 / PER_MS as f32;

/// The time in which the gain recovers by a factor of e.
const RELEASE_MS: f32 = 80.0;

/// The overshoot beyond 1 that the gain aims for, half a step of 16 bits: otherwise it would never get there.
const BEYOND: f32 = 1.0 / 65_536.0;

/// The limiter of one stream.
pub struct Limiter {
    channels: usize,
    true_peak: TruePeak,
    /// The number of samples for which true peaks still count.
    armed: u32,
    /// 23 kB, made at the first sample over full scale: most sounds have none.
    reduction: Option<Reduction>,
    slope: Slope,
    /// The input around the present as last seen: [`BEHIND`] past samples and [`LOOK_AHEAD`] future ones.
    seen: Box<[f32]>,
}

impl Limiter {
    /// Makes a limiter at rest, for so many interleaved channels.
    pub fn new(channels: usize) -> Self {
        let seen = vec![0.0; (BEHIND + LOOK_AHEAD) * channels].into_boxed_slice();
        Self { channels, true_peak: TruePeak::new(), armed: 0, reduction: None, slope: Slope::new(), seen }
    }

    /// Returns true if it passes everything unchanged; in silence it then need not be called.
    pub fn is_at_rest(&self) -> bool {
        self.armed == 0 && self.slope.is_flat() && self.reduction.as_ref().is_none_or(Reduction::is_none)
    }

    fn reduction(&mut self) -> &mut Reduction {
        self.reduction.get_or_insert_with(Reduction::new)
    }

    /// Limits the first `frames` of `window` in place; the rest is the look-ahead. Returns true if all of them pass bit for bit.
    pub fn process(&mut self, window: &mut [f32], frames: usize) -> bool {
        let first = self.first_at_work(window, frames);
        if first == frames {
            self.pass(&window[..frames * self.channels]);
            return true;
        }
        self.remember(window, frames);
        for start in (first..frames).step_by(CHUNK) {
            self.limit(window, start, CHUNK.min(frames - start));
        }
        false
    }

    /// Passes samples without looking at them: it must be at rest, and neither they nor the look-ahead may be over full scale.
    pub fn pass(&mut self, samples: &[f32]) {
        // The future samples count only while it is at work, and are then seen anew.
        let past = &mut self.seen[..BEHIND * self.channels];
        let new = samples.len().min(past.len());
        past.copy_within(new.., 0);
        let place = past.len() - new;
        past[place..].copy_from_slice(&samples[samples.len() - new..]);
    }

    /// Returns the first sample that does not simply pass, or `frames` if all do. Updates the plan for that sample.
    fn first_at_work(&mut self, window: &[f32], frames: usize) -> usize {
        let ahead = &window[..LOOK_AHEAD * self.channels];
        if !self.is_at_rest() {
            if self.seen[BEHIND * self.channels..] != *ahead {
                self.reduction().take_back(AHEAD);
                self.foresee(ahead);
            }
            return 0;
        }
        let Some(over) = first_over(window).map(|index| index / self.channels) else { return frames };
        self.reduction().clear();
        if over < LOOK_AHEAD {
            self.foresee(ahead);
        }
        over.saturating_sub(LOOK_AHEAD)
    }

    /// Plans anew for the future samples, which were not known before this sample.
    fn foresee(&mut self, ahead: &[f32]) {
        self.seen[BEHIND * self.channels..].copy_from_slice(ahead);
        self.slope.steepest = GENTLE;
        ahead[..REACH * self.channels].chunks_exact(self.channels).for_each(|frame| self.watch(peak(frame)));
        for start in (0..AHEAD).step_by(CHUNK) {
            let count = CHUNK.min(AHEAD - start);
            let peaks = self.true_peak.measure(&self.seen[start * self.channels..], self.channels, count);
            let mut needed = self.examine(&peaks, count);
            for (index, needed) in needed[..count].iter().enumerate() {
                self.slope.reach(part(*needed), start + index);
            }
            self.reduction().push(&mut needed[..count]);
        }
    }

    /// Keeps the samples around the next one.
    fn remember(&mut self, window: &[f32], frames: usize) {
        let past = BEHIND.saturating_sub(frames) * self.channels;
        let gone = BEHIND * self.channels - past;
        self.seen.copy_within(gone..gone + past, 0);
        let place = window.len() + past - self.seen.len();
        self.seen[past..].copy_from_slice(&window[place..]);
    }

    /// Limits `count` samples of the window from `start` on, a [`CHUNK`] at most.
    fn limit(&mut self, window: &mut [f32], start: usize, count: usize) {
        let channels = self.channels;
        let peaks = self.true_peak.measure(&window[(start + AHEAD - BEHIND) * channels..], channels, count);
        let mut reduction = self.examine(&peaks, count);
        self.reduction().push(&mut reduction[..count]);
        let mut gains = reduction.map(part);
        gains[..count].iter_mut().for_each(|gain| *gain = self.slope.follow(*gain));
        let frames = window[start * channels..].chunks_exact_mut(channels);
        for (frame, gain) in frames.zip(&gains[..count]) {
            frame.iter_mut().for_each(|sample| *sample = (*sample * gain).clamp(-THRESHOLD, THRESHOLD));
        }
    }

    /// Returns the reductions that the next `count` samples need: for their true peaks while armed, else for the samples themselves.
    fn examine(&mut self, peaks: &Peaks, count: usize) -> [i32; CHUNK] {
        let newest = &peaks.at[REACH..][..count];
        if self.armed as usize > count {
            self.armed -= count as u32; // armed throughout: no need to look at each
            if let Some(last) = newest.iter().rposition(is_over) {
                self.armed = ARMED - (count - 1 - last) as u32;
            }
            return peaks.around.map(needed);
        }
        let mut counting = [0.0; CHUNK];
        for (index, peak) in newest.iter().enumerate() {
            self.watch(*peak);
            counting[index] = if self.armed > 0 { peaks.around[index] } else { peaks.at[index] };
        }
        counting.map(needed)
    }

    /// Updates the detector with one more sample.
    fn watch(&mut self, peak: f32) {
        self.armed = if is_over(&peak) { ARMED } else { self.armed.saturating_sub(1) };
    }
}

/// The gain from sample to sample, as its distance below 1.
struct Slope {
    down: f32,
    /// The largest step down in the next sample.
    steepest: f32,
    /// The factor of `down` per sample of recovery.
    release: f32,
}

impl Slope {
    fn new() -> Self {
        let release = (-1_000.0 / (RELEASE_MS * SAMPLE_RATE as f32)).exp();
        Self { down: 0.0, steepest: GENTLE, release }
    }

    fn is_flat(&self) -> bool {
        self.down == 0.0
    }

    /// Makes it steep enough to reach `down` after `samples` more than the next.
    fn reach(&mut self, down: f32, samples: usize) {
        let needed = (down - self.down) / (samples + 1) as f32;
        self.steepest = self.steepest.max(needed).min(STEEPEST);
    }

    /// Returns the next sample's gain: towards the wanted reduction as fast as allowed, else up again.
    fn follow(&mut self, wanted: f32) -> f32 {
        let released = self.down * self.release - BEYOND * (1.0 - self.release);
        let goal = if wanted > released { wanted } else { released }; // never below 0, as `wanted` is not
        let limit = self.down + self.steepest;
        if goal <= limit {
            (self.down, self.steepest) = (goal, GENTLE);
        } else {
            self.down = limit;
        }
        1.0 - self.down
    }
}

fn is_over(sample: &f32) -> bool {
    sample.abs() > THRESHOLD
}

/// Returns the index of the first sample over full scale. At rest this is all that a frame costs.
fn first_over(samples: &[f32]) -> Option<usize> {
    (highest(samples) > THRESHOLD).then(|| samples.iter().position(is_over))?
}

/// Returns the highest peak. It works in lanes and by comparing, so that it becomes vector code.
pub fn highest(samples: &[f32]) -> f32 {
    let higher = |peak: f32, sample: &f32| if sample.abs() > peak { sample.abs() } else { peak };
    let mut lanes = [0.0; 16];
    let chunks = samples.chunks_exact(lanes.len());
    let rest = chunks.remainder().iter().fold(0.0, higher);
    for chunk in chunks {
        lanes.iter_mut().zip(chunk).for_each(|(lane, sample)| *lane = higher(*lane, sample));
    }
    lanes.iter().fold(rest, higher)
}

fn peak(frame: &[f32]) -> f32 {
    frame.iter().fold(0.0, |peak, sample| peak.max(sample.abs()))
}

/// Returns the reduction that a peak needs, as a part of [`ALL`].
fn needed(peak: f32) -> i32 {
    let loud = if peak > THRESHOLD { peak } else { CEILING }; // no branch: peaks come and go
    ALL - ((CEILING / loud).max(LEAST_GAIN) * ALL as f32) as i32
}

fn part(reduction: i32) -> f32 {
    reduction as f32 / ALL as f32
}

#[cfg(test)]
mod tests;
