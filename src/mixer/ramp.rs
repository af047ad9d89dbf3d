//! Ramps from one level to another without a click: pure functions of a playback's position, with no state to advance.

use std::f32::consts::FRAC_PI_2;

use crate::audio::{EDGE_FADE, Samples};

/// The shape of a ramp.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Curve {
    /// A straight line.
    Straight,
    /// A sine, with which a rise and a fall over the same samples have the same power together at each of them: a crossfade of two
    /// uncorrelated sounds is equally loud throughout.
    EqualPower,
}

/// A ramp from one level to another: flat before it, flat behind it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ramp {
    /// The last position that has the level it comes from.
    pub at: Samples,
    /// Its length in samples.
    pub length: Samples,
    /// The linear level before it.
    pub from: f32,
    /// The linear level behind it.
    pub to: f32,
    /// Its shape.
    pub curve: Curve,
}

impl Ramp {
    /// Makes a constant level.
    pub const fn flat(level: f32) -> Self {
        Self { at: 0, length: 0, from: level, to: level, curve: Curve::Straight }
    }

    /// Makes a rise from silence.
    pub const fn rise(at: Samples, length: Samples) -> Self {
        Self { at, length, from: 0.0, to: 1.0, curve: Curve::Straight }
    }

    /// Makes a fall to silence.
    pub const fn fall(at: Samples, length: Samples) -> Self {
        Self { at, length, from: 1.0, to: 0.0, curve: Curve::Straight }
    }

    /// Makes a fall to silence over the last samples before `end`: [`EDGE_FADE`] of them, or as many as lie between `here` and there.
    pub fn edge(here: Samples, end: Samples) -> Self {
        let length = (end - here).min(EDGE_FADE as Samples);
        Self::fall(end - length, length)
    }

    /// Makes a ramp from the level of this one at `here` to another level.
    pub fn toward(self, level: f32, here: Samples, length: Samples) -> Self {
        Self { at: here, length, from: self.level(here), to: level, curve: Curve::Straight }
    }

    /// Makes one half of a crossfade.
    pub const fn cross(at: Samples, length: Samples, from: f32, to: f32) -> Self {
        Self { at, length, from, to, curve: Curve::EqualPower }
    }

    /// Returns the first position that has the level it goes to.
    pub fn end(&self) -> Samples {
        self.at + self.length
    }

    /// Returns the level at a position.
    pub fn level(&self, position: Samples) -> f32 {
        match position.saturating_sub(self.at) {
            0 if position < self.end() => self.from,
            done if done >= self.length || self.from == self.to => self.to,
            done => {
                let level = self.straight(done as f32, (self.length - done) as f32, self.length as f32);
                match self.curve {
                    Curve::Straight => level,
                    Curve::EqualPower => (level * FRAC_PI_2).sin(),
                }
            }
        }
    }

    /// Returns the level on a straight line, of whose `length` samples so many are `done` and so many `left`.
    #[inline]
    fn straight(&self, done: f32, left: f32, length: f32) -> f32 {
        (self.from * left + self.to * done) / length
    }

    /// Fills in the levels from a position on: what [`level`](Self::level) returns for each, to the last bit, in a form that
    /// compilers vectorize.
    pub fn levels(&self, here: Samples, levels: &mut [f32]) {
        let index = |position: Samples| position.saturating_sub(here).min(levels.len() as Samples) as usize;
        let (start, end) = (index(self.end().min(self.at + 1)), index(self.end()));
        levels[..start].fill(self.from);
        levels[end..].fill(self.to);
        let on_its_way = &mut levels[start..end];
        let first = here + start as Samples;
        let Ok(length) = i32::try_from(self.length) else {
            // 12 hours and more.
            on_its_way.iter_mut().zip(first..).for_each(|(level, position)| *level = self.level(position));
            return;
        };
        if self.from == self.to {
            on_its_way.fill(self.to);
            return;
        }
        for (level, index) in on_its_way.iter_mut().zip(0..) {
            let done = (first - self.at) as i32 + index;
            *level = self.straight(done as f32, (length - done) as f32, length as f32);
        }
        if self.curve == Curve::EqualPower {
            on_its_way.iter_mut().for_each(|level| *level = (*level * FRAC_PI_2).sin());
        }
    }

    /// Returns true if it has one level from `here` up to `last`, both included.
    pub fn is_flat(&self, here: Samples, last: Samples) -> bool {
        last <= self.at || here >= self.end() || self.from == self.to
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rise_starts_silent_and_stays_up() {
        let rise = Ramp::rise(10, 4);
        assert_eq!([9, 10, 11, 13, 14, 99].map(|p| rise.level(p)), [0.0, 0.0, 0.25, 0.75, 1.0, 1.0]);
        assert_eq!(Ramp::rise(0, 0).level(0), 1.0);
    }

    #[test]
    fn fall_ends_silent() {
        let fall = Ramp { from: 0.5, ..Ramp::edge(10, 14) };
        assert_eq!([0, 10, 12, 13, 14, 99].map(|p| fall.level(p)), [0.5, 0.5, 0.25, 0.125, 0.0, 0.0]);
        assert_eq!(Ramp::edge(5, 5).level(5), 0.0);
        assert_eq!(Ramp::edge(100, 103).length, 3);
        assert_eq!(Ramp::edge(0, 1_000).at, 760);
    }

    #[test]
    fn levels_are_those_of_each_position() {
        let (hour, year) = (172_800_000, 1_513_728_000_000);
        let shapes = [(1.0, 0.0), (0.0, 1.0), (0.3, 0.7), (0.5, 0.5)];
        for (at, length) in [(0, 0), (0, 1), (7, 0), (7, 5), (7, 200), (1_000, 10), (50, hour), (50, year), (year, 480)]
        {
            for ((from, to), curve) in
                shapes.into_iter().flat_map(|shape| [(shape, Curve::Straight), (shape, Curve::EqualPower)])
            {
                let ramp = Ramp { at, length, from, to, curve };
                for here in
                    [0, 1, 6, 7, 8, 50, 990, at.saturating_sub(1), at, at + length / 2, at + length, at + length + 1]
                {
                    let mut levels = [f32::NAN; 64];
                    ramp.levels(here, &mut levels);
                    let each = (here..).take(64).map(|position| ramp.level(position).to_bits());
                    assert!(levels.iter().map(|level| level.to_bits()).eq(each), "{ramp:?} from {here}");
                }
            }
        }
    }

    #[test]
    fn crossfade_keeps_equal_power() {
        let (fall, rise) = (Ramp::cross(100, 48, 1.0, 0.0), Ramp::cross(0, 48, 0.0, 1.0));
        assert_eq!(
            [(99, 0), (100, 0), (148, 48)].map(|(a, b)| (fall.level(a), rise.level(b))),
            [(1.0, 0.0), (1.0, 0.0), (0.0, 1.0)]
        );
        for n in 0..=48 {
            let power = fall.level(100 + n).powi(2) + rise.level(n).powi(2);
            assert!((power - 1.0).abs() < 1e-6, "{power} at {n}");
        }
        assert!((fall.level(124) - rise.level(24)).abs() < 1e-6);
    }

    #[test]
    fn ramps_join_without_a_step() {
        let up = Ramp::rise(10, 4).toward(0.0, 12, 2);
        assert_eq!([11, 12, 13, 14].map(|p| up.level(p)), [0.5, 0.5, 0.25, 0.0]);
        assert_eq!([(0, 12), (12, 13), (14, 20)].map(|(here, last)| up.is_flat(here, last)), [true, false, true]);
    }
}
