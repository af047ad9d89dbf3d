//! The look-ahead peak limiter at the end of a bus: what stays within full scale passes bit for bit, what does not is
//! turned down before it comes, never clipped, and nothing is shifted in time.
//!
//! The mixer shows it [`LOOK_AHEAD`] samples more than it hands on, so no delay line is needed. The gain moves in straight
//! lines between the borders of short blocks; at each border it is low enough for the blocks on both sides, hence
//! everywhere in between.

use crate::audio::{LOOK_AHEAD, SAMPLE_RATE};

/// Peaks up to here pass untouched: full scale.
const THRESHOLD: f32 = 1.0;

/// Where louder peaks are brought: the largest 16-bit sample.
const CEILING: f32 = 32_767.0 / 32_768.0;

/// The time in which the gain recovers by a factor of e.
const RELEASE_MS: f32 = 80.0;

/// A gain this near to 1 is 1 again: without a snap it would never get there.
const SNAP: f32 = 1e-4;

pub struct Limiter {
    channels: usize,
    gain: f32,
}

impl Limiter {
    pub fn new(channels: usize) -> Self {
        Self { channels, gain: 1.0 }
    }

    /// Whether it lets everything pass: it can then be left alone in silence.
    pub fn is_at_rest(&self) -> bool {
        self.gain == 1.0
    }

    /// Limits the first `frames` of `window` in place; the rest is what comes next.
    pub fn process(&mut self, window: &mut [f32], frames: usize) {
        let block = LOOK_AHEAD * self.channels;
        let (now, ahead) = window.split_at_mut(frames * self.channels);
        let mut needed = now.chunks(block).next().map_or(1.0, needed_gain);
        // Something loud started at this very sample: there was nothing to see it coming.
        self.gain = self.gain.min(needed);
        let mut rest = now;
        while !rest.is_empty() {
            let (here, later) = rest.split_at_mut(block.min(rest.len()));
            let next = if later.is_empty() { &*ahead } else { &*later };
            let needed_next = needed_gain(&next[..block.min(next.len())]);
            let target = needed.min(needed_next).min(self.released(here.len() / self.channels));
            if self.gain != 1.0 || target != 1.0 {
                ramp(here, self.channels, self.gain, target);
            }
            self.gain = target;
            needed = needed_next;
            rest = later;
        }
    }

    fn released(&self, frames: usize) -> f32 {
        let time_constant = RELEASE_MS / 1_000.0 * SAMPLE_RATE as f32;
        let missing = (1.0 - self.gain) * (-(frames as f32) / time_constant).exp();
        if missing < SNAP { 1.0 } else { 1.0 - missing }
    }
}

fn needed_gain(block: &[f32]) -> f32 {
    let peak = block.iter().fold(0.0, |peak: f32, sample| peak.max(sample.abs()));
    if peak > THRESHOLD { CEILING / peak } else { 1.0 }
}

fn ramp(block: &mut [f32], channels: usize, from: f32, to: f32) {
    let step = (to - from) / (block.len() / channels) as f32;
    let top = from.max(to);
    for (index, frame) in block.chunks_exact_mut(channels).enumerate() {
        let gain = (from + step * index as f32).min(top); // rounding must not lift it over both ends
        frame.iter_mut().for_each(|sample| *sample *= gain);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Limits `signal` in frames of `frame` samples, with the look-ahead that the mixer gives.
    fn limit(signal: &[f32], frame: usize) -> Vec<f32> {
        let (mut limiter, mut output) = (Limiter::new(1), Vec::new());
        for start in (0..signal.len()).step_by(frame) {
            let frames = frame.min(signal.len() - start);
            let mut window = vec![0.0; frames + LOOK_AHEAD];
            let seen = (signal.len() - start).min(window.len());
            window[..seen].copy_from_slice(&signal[start..start + seen]);
            limiter.process(&mut window, frames);
            output.extend_from_slice(&window[..frames]);
        }
        output
    }

    fn tone(amplitude: f32, frames: usize) -> Vec<f32> {
        (0..frames).map(|n| (n as f32 * 0.07).sin() * amplitude).collect()
    }

    #[test]
    fn full_scale_passes_bit_for_bit() {
        let signal = [tone(1.0, 5_000), vec![1.0, -1.0, 1.0]].concat();
        assert_eq!(limit(&signal, 960), signal);
    }

    #[test]
    fn nothing_gets_over_full_scale_whatever_the_frame_length() {
        for frame in [1, 47, 240, 960] {
            for amplitude in [1.01, 2.0, 10.0, 1e30] {
                let signal = [tone(0.5, 1_000), tone(amplitude, 3_000), tone(0.5, 1_000)].concat();
                let peak = limit(&signal, frame).iter().fold(0.0, |peak: f32, sample| peak.max(sample.abs()));
                assert!((0.9..=1.0).contains(&peak), "frame {frame}, amplitude {amplitude}: {peak}");
            }
        }
    }

    #[test]
    fn the_gain_moves_before_the_peak_and_without_steps() {
        let mut signal = vec![0.25; 9_600];
        signal[4_800..5_000].fill(2.0);
        let output = limit(&signal, 960);
        assert_eq!(output[..4_320], signal[..4_320], "touched before the look-ahead could see it");
        assert!(output[4_799] < 0.13, "not down yet at the peak: {}", output[4_799]);
        // Apart from the edges of the signal itself no two neighbours differ by more than a gain ramp makes them.
        let jump = output[..4_800].windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max);
        assert!(jump < 0.002, "a click of {jump}");
    }

    #[test]
    fn it_comes_to_rest_and_is_transparent_again() {
        let signal = [tone(4.0, 2_000), tone(0.9, 60_000)].concat();
        assert_eq!(limit(&signal, 960)[60_000..], signal[60_000..]);
    }
}
