//! The gain reduction, held and smoothed: a sliding maximum, then the mean of its last values.
//!
//! The mean of a maximum that is held at least as long is never less than needed: it gets there in a straight line,
//! just in time. The maximum is computed as by van Herk (1992): time is divided into blocks as long as the hold, so that every
//! span of that length is the end of one block and the beginning of the next, whose maxima are known. The mean is a running
//! sum of integers, so that it is exact and comes back to 0.

use super::AHEAD;
use crate::audio::PER_MS;

/// A reduction of the whole signal, in fixed point.
pub const ALL: i32 = 1 << 30;

/// The length of the mean: the present sample and all foreseen ones.
const SMOOTH: usize = AHEAD + 1;

/// The hold time of a peak: until it is past, and 20 ms more. That is half a period of 20 Hz in all, so the gain does not
/// move within the waves of a steady tone, which would distort it.
const HOLD: usize = SMOOTH + 20 * PER_MS as usize;

/// Room for two blocks and all foreseen samples, which may be taken back.
const NEEDED: usize = (2 * HOLD + AHEAD).next_power_of_two();

/// Room for the mean before the foreseen samples.
const HELD: usize = (SMOOTH + AHEAD).next_power_of_two();

pub struct Reduction {
    /// The reduction that each sample needs, and its maximum over [`HOLD`], by place.
    needed: Box<[i32; NEEDED]>,
    held: Box<[i32; HELD]>,
    /// The maxima of the last block, from behind each place to the block's end.
    before: Box<[i32; HOLD]>,
    /// The maximum of the current block so far.
    within: i32,
    /// The place of the next sample.
    place: usize,
    /// The sum of the last [`SMOOTH`] held values.
    sum: u64,
}

impl Reduction {
    pub fn new() -> Self {
        let (needed, held, before) = (Box::new([0; NEEDED]), Box::new([0; HELD]), Box::new([0; HOLD]));
        Self { needed, held, before, within: 0, place: 2 * NEEDED, sum: 0 }
    }

    /// Returns true if nothing is held.
    pub fn is_none(&self) -> bool {
        self.held[(self.place - 1) % HELD] == 0
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.needed.fill(0);
        self.held.fill(0);
        self.before.fill(0);
        (self.within, self.sum) = (0, 0);
    }

    /// Takes the reductions that the next samples need, and replaces them by the smoothed ones of the samples [`AHEAD`] earlier; both as
    /// parts of [`ALL`].
    pub fn push(&mut self, samples: &mut [i32]) {
        let mut rest = samples;
        while !rest.is_empty() {
            let offset = self.place % HOLD;
            let (here, later) = rest.split_at_mut(rest.len().min(HOLD - offset));
            self.push_within_block(here, offset);
            if self.place.is_multiple_of(HOLD) {
                self.begin_block(self.place);
            }
            rest = later;
        }
    }

    fn push_within_block(&mut self, samples: &mut [i32], offset: usize) {
        let (mut within, mut sum) = (self.within, self.sum);
        let places = self.place..self.place + samples.len();
        for ((sample, before), place) in samples.iter_mut().zip(&self.before[offset..]).zip(places) {
            self.needed[place % NEEDED] = *sample;
            within = within.max(*sample);
            let held = within.max(*before);
            self.held[place % HELD] = held;
            sum = sum + held as u64 - self.held[(place - SMOOTH) % HELD] as u64;
            *sample = (sum / SMOOTH as u64) as i32;
        }
        (self.within, self.sum) = (within, sum);
        self.place += samples.len();
    }

    /// Takes back the last `count` samples, at most [`AHEAD`], because others come instead.
    pub fn take_back(&mut self, count: usize) {
        self.place -= count;
        let (place, block) = (self.place, self.place - self.place % HOLD);
        self.begin_block(block);
        self.within = (block..place).map(|place| self.needed[place % NEEDED]).max().unwrap_or(0);
        self.sum = (place - SMOOTH..place).map(|place| self.held[place % HELD] as u64).sum();
    }

    fn begin_block(&mut self, block: usize) {
        self.within = 0;
        let mut maximum = 0;
        for (offset, before) in self.before.iter_mut().enumerate().rev() {
            *before = maximum;
            maximum = maximum.max(self.needed[(block - HOLD + offset) % NEEDED]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(reduction: &mut Reduction, needed: i32) -> f32 {
        let mut sample = [needed];
        reduction.push(&mut sample);
        sample[0] as f32 / ALL as f32
    }

    #[test]
    fn reaches_the_peak_in_a_line_and_holds() {
        let mut reduction = Reduction::new();
        let means: Vec<f32> =
            (0..2 * HOLD).map(|place| push(&mut reduction, if place == 0 { ALL / 2 } else { 0 })).collect();
        assert!(means.windows(2).all(|pair| (pair[1] - pair[0]).abs() < 0.51 / SMOOTH as f32), "a step");
        assert!(means[SMOOTH - 1..HOLD].iter().all(|mean| *mean == 0.5), "not held");
        assert!(means[HOLD + SMOOTH..].iter().all(|mean| *mean == 0.0) && reduction.is_none());
    }

    #[test]
    fn is_never_less_than_needed() {
        let mut reduction = Reduction::new();
        let needed: Vec<i32> = noise(3).collect();
        let means: Vec<f32> = needed.iter().map(|needed| push(&mut reduction, *needed)).collect();
        assert!(needed.iter().zip(&means[AHEAD..]).all(|(needed, mean)| *mean >= *needed as f32 / ALL as f32 - 1e-6));
    }

    #[test]
    fn take_back_leaves_no_trace() {
        let (mut straight, mut corrected) = (Reduction::new(), Reduction::new());
        for (index, needed) in noise(1).enumerate() {
            assert_eq!(push(&mut straight, needed), push(&mut corrected, needed));
            if index % 77 == 0 {
                noise(2).take(AHEAD).for_each(|other| _ = push(&mut corrected, other));
                corrected.take_back(AHEAD);
            }
        }
    }

    /// Mostly nothing, now and then something of any size.
    fn noise(seed: u64) -> impl Iterator<Item = i32> {
        let mut state = seed;
        (0..5 * HOLD).map(move |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            if (state >> 40).is_multiple_of(300) { (state >> 34) as i32 } else { 0 }
        })
    }
}
