//! The level of a voice's samples: its gain and all its ramps, multiplied. Always in one order, or the last bit would depend on how
//! time is cut into steps.

use super::ramp::Ramp;
use super::sum::GAINS;
use crate::audio::Samples;

/// The gain of a voice and its ramps, over its next samples.
pub struct Levels {
    pub gain: f32,
    /// Ramps over the session's time, which is `now` at the first sample: of its role, and of its track.
    pub over_time: [Ramp; 3],
    pub now: Samples,
    /// Ramps over the voice's own positions, of which the first is `here`.
    pub ramps: [Ramp; 6],
    /// Two falls, of which the lower one holds.
    pub falls: [Ramp; 2],
    pub here: Samples,
}

impl Levels {
    /// Returns the gain, if it is the same for the next `length` samples.
    pub fn flat(&self, length: usize) -> Option<f32> {
        let length = length as Samples;
        let is_flat = |ramp: &Ramp, from: Samples| ramp.is_flat(from, from + length);
        let all_are = self.ramps.iter().chain(&self.falls).all(|ramp| is_flat(ramp, self.here));
        (all_are && self.over_time.iter().all(|ramp| is_flat(ramp, self.now))).then(|| {
            let gain = self.over_time.iter().fold(self.gain, |gain, ramp| gain * ramp.level(self.now));
            let ramps = self.ramps.iter().fold(gain, |gain, ramp| gain * ramp.level(self.here));
            let [stop, tail] = self.falls.map(|fall| fall.level(self.here));
            ramps * stop.min(tail)
        })
    }

    /// Fills in the gains of the samples behind the first `passed`, [`GAINS`] at most.
    pub fn gains(&self, passed: usize, gains: &mut [f32]) {
        let passed = passed as Samples;
        let here = self.here + passed;
        gains.fill(self.gain);
        self.over_time.iter().for_each(|ramp| apply(ramp, self.now + passed, gains));
        self.ramps.iter().for_each(|ramp| apply(ramp, here, gains));
        let [mut stop, mut tail] = [[0.0; GAINS]; 2];
        self.falls[0].levels(here, &mut stop[..gains.len()]);
        self.falls[1].levels(here, &mut tail[..gains.len()]);
        gains.iter_mut().zip(stop).zip(tail).for_each(|((gain, stop), tail)| *gain *= stop.min(tail));
    }
}

/// Multiplies each gain by the level of a ramp, from a position on.
fn apply(ramp: &Ramp, from: Samples, gains: &mut [f32]) {
    if ramp.is_flat(from, from + gains.len() as Samples) {
        let level = ramp.level(from);
        gains.iter_mut().for_each(|gain| *gain *= level);
    } else {
        let mut levels = [0.0; GAINS];
        ramp.levels(from, &mut levels[..gains.len()]);
        gains.iter_mut().zip(levels).for_each(|(gain, level)| *gain *= level);
    }
}
