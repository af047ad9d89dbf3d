//! Loudness normalization: brings a source to the requested loudness, by its tags or by what was measured of it so far.
//!
//! The gain at a position is a pure function of the source up to there and a little beyond, in steps of 100 ms: so it does not depend on
//! how fast the source comes, how its bytes are split, or who reads them again. A reader that continues from another position gets how far
//! the one before it was heard ([`PriorLoudness`]), and does not start measuring anew.

use std::collections::VecDeque;

use parking_lot::Mutex;
use symphonia::core::audio::AudioSpec;

use super::meter::RunningMeter;
use crate::audio::{PER_MS, Samples};

/// The length of a step, for which one gain holds and which is measured at once, in samples per channel.
const STEP: usize = 100 * PER_MS as usize;

/// The number of steps measured before the first is passed on, for sources at hand: three seconds, which is all of most prompts.
pub const LOCAL_LOOKAHEAD: usize = 30;

/// The same for downloads: nothing can be measured of less than a block of 400 ms (ITU-R BS.1770-5).
pub const DOWNLOAD_LOOKAHEAD: usize = 4;

/// The most dB by which the gain rises or falls per step while it is not right yet.
const MAX_RISE: f64 = 0.6;
const MAX_FALL: f64 = 1.2;

/// The most measured steps that are kept: a day.
const MAX_STEPS: usize = 864_000;

/// The level that a second channel with the same sound adds, in dB: a mono source is played on both sides of a stereo session, and a mono
/// session plays the mean of a stereo source.
const BOTH_SIDES: f64 = 3.01;

/// The requested loudness.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LoudnessTarget {
    /// The loudness in LUFS.
    pub lufs: f64,
    /// The highest gain in dB.
    pub max_gain: f64,
}

impl LoudnessTarget {
    /// Returns the gain in dB for a source of this loudness.
    fn gain(&self, lufs: f64) -> f64 {
        (self.lufs - lufs).min(self.max_gain)
    }

    /// Returns the linear gain for a source of this loudness; 1 for silence.
    pub fn linear(&self, lufs: Option<f64>) -> f32 {
        lufs.map_or(1.0, |lufs| linear(self.gain(lufs)))
    }
}

fn linear(db: f64) -> f32 {
    10.0_f64.powf(db / 20.0) as f32
}

/// The loudness of a source up to the end of each step, written by its decode task and read by its reader.
#[derive(Debug, Default)]
pub struct MeasuredLoudness(Mutex<Vec<Option<f32>>>);

impl MeasuredLoudness {
    /// Returns what was measured up to `position`; `before` is what was known when the reader started.
    pub fn up_to(&self, position: Samples, before: Option<PriorLoudness>) -> Option<PriorLoudness> {
        let steps = self.0.lock();
        let step = (position as usize / STEP).min(steps.len().saturating_sub(1));
        let lufs = *steps.get(step)?;
        let found = PriorLoudness { until: step as u32, lufs };
        Some(before.filter(|before| before.until > found.until).unwrap_or(found))
    }

    fn push(&self, lufs: Option<f64>) {
        let mut steps = self.0.lock();
        if steps.len() < MAX_STEPS {
            steps.push(lufs.map(|lufs| lufs as f32));
        }
    }
}

/// The measurement that applied when a source had been heard up to a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PriorLoudness {
    until: u32,
    lufs: Option<f32>,
}

impl PriorLoudness {
    /// Returns the same measurement for what is written to a stream after a flush, which starts a new source: it holds until as much of
    /// that was measured as is measured ahead of sources at hand.
    pub fn after_flush(self) -> Self {
        Self { until: LOCAL_LOOKAHEAD as u32, ..self }
    }
}

/// A leveller for one pass of a source.
pub struct Leveller<'a> {
    target: LoudnessTarget,
    channels: usize,
    measured: &'a MeasuredLoudness,
    meter: RunningMeter,
    /// The loudness of the whole source, if it is known: nothing is measured then.
    known: Option<f64>,
    prior: Option<PriorLoudness>,
    ahead: usize,
    /// Samples per channel that were measured, and that were passed on.
    taken: usize,
    released: usize,
    held: Vec<f32>,
    /// The loudness up to `ahead` steps after each step that is still to be passed on.
    levels: VecDeque<Option<f64>>,
    level: Option<f64>,
    is_finished: bool,
    /// The gain in dB at the end of the current step; `None` before the first.
    gain: Option<f64>,
    /// The linear gain at the start and at the end of the current step.
    from: f32,
    to: f32,
    first: f32,
}

impl<'a> Leveller<'a> {
    /// Levels a source whose loudness is `known`, if it is, or of which `prior` was measured before; `ahead` steps are measured first.
    pub fn new(
        target: LoudnessTarget,
        channels: usize,
        known: Option<f64>,
        prior: Option<PriorLoudness>,
        ahead: usize,
        measured: &'a MeasuredLoudness,
    ) -> Self {
        // Without a step ahead, nothing is known of the first one.
        let levels = if ahead == 0 { VecDeque::from([None]) } else { VecDeque::new() };
        Self {
            target,
            channels,
            measured,
            meter: RunningMeter::new(channels),
            known,
            prior,
            ahead,
            taken: 0,
            released: 0,
            held: Vec::new(),
            levels,
            level: None,
            is_finished: false,
            gain: None,
            from: 1.0,
            to: 1.0,
            first: 1.0,
        }
    }

    /// Sets the loudness from the tags; called before the first samples, which are of `spec`.
    pub fn set_tagged(&mut self, lufs: Option<f64>, spec: &AudioSpec) {
        let lufs = lufs.map(|lufs| match (spec.channels().count(), self.channels) {
            (1, 2) => lufs + BOTH_SIDES,
            (2.., 1) => lufs - BOTH_SIDES,
            _ => lufs,
        });
        self.known = self.known.or(lufs);
    }

    /// Takes the session's next samples, and leaves in `pcm` those that can be passed on.
    pub fn process(&mut self, pcm: &mut Vec<f32>) {
        if let Some(known) = self.known {
            let gain = self.target.linear(Some(known));
            (self.from, self.to, self.first) = (gain, gain, gain);
            pcm.iter_mut().for_each(|sample| *sample *= gain);
            return;
        }
        let mut rest = &pcm[..];
        while !rest.is_empty() {
            let length = (STEP - self.taken % STEP) * self.channels;
            let (piece, behind) = rest.split_at(length.min(rest.len()));
            self.meter.take(piece);
            self.taken += piece.len() / self.channels;
            rest = behind;
            if self.taken.is_multiple_of(STEP) {
                self.note_step();
            }
        }
        self.held.append(pcm);
        self.release(pcm);
    }

    /// Takes the last samples, and leaves everything that remains in `pcm`: the whole source is measured.
    pub fn finish(&mut self, pcm: &mut Vec<f32>) {
        self.process(pcm);
        if self.known.is_none() {
            self.meter.finish();
            self.is_finished = true;
            self.level = self.meter.lufs();
            self.release(pcm);
        }
    }

    /// Returns the loudness of the whole source, once it is finished.
    pub fn lufs(&self) -> Option<f64> {
        self.known.or_else(|| self.meter.lufs())
    }

    /// Returns the linear gain of its first sample, and of its last so far.
    pub fn edges(&self) -> (f32, f32) {
        (self.first, self.to)
    }

    /// Records the loudness after a measured step.
    fn note_step(&mut self) {
        let lufs = self.meter.lufs();
        self.measured.push(lufs);
        if self.taken / STEP >= self.ahead {
            self.levels.push_back(lufs);
        }
    }

    /// Appends the samples that can be passed on.
    fn release(&mut self, pcm: &mut Vec<f32>) {
        let mut done = 0;
        while done < self.held.len() {
            let position = self.released % STEP;
            if position == 0 && !self.next_step() {
                break;
            }
            let length = ((STEP - position) * self.channels).min(self.held.len() - done);
            let (from, to) = (self.from, self.to);
            for (frame, index) in self.held[done..done + length].chunks_exact_mut(self.channels).zip(position..) {
                let gain = from + (to - from) * (index as f32 / STEP as f32);
                frame.iter_mut().for_each(|sample| *sample *= gain);
            }
            done += length;
            self.released += length / self.channels;
        }
        pcm.extend(self.held.drain(..done));
    }

    /// Computes the gain for the next step; returns false if it is not known yet.
    fn next_step(&mut self) -> bool {
        match self.levels.pop_front() {
            Some(level) => self.level = level,
            None if !self.is_finished => return false,
            None => {}
        }
        let step = self.released / STEP + self.ahead;
        let level = self
            .prior
            .filter(|prior| step < prior.until as usize)
            .map_or(self.level, |prior| prior.lufs.map(f64::from));
        let wanted = level.map(|lufs| self.target.gain(lufs));
        let is_first = self.gain.is_none();
        let before = self.gain.unwrap_or_default();
        let gain = match wanted {
            None => before,
            Some(wanted) if is_first => wanted,
            Some(wanted) => wanted.clamp(before - MAX_FALL, before + MAX_RISE),
        };
        self.gain = Some(gain);
        self.from = if is_first { linear(gain) } else { self.to };
        self.to = linear(gain);
        if is_first {
            self.first = self.from;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::SAMPLE_RATE;

    const TARGET: LoudnessTarget = LoudnessTarget { lufs: -16.0, max_gain: 12.0 };

    /// A tone of 997 Hz, `ms` long, which measures −3.01 LUFS in mono at full scale.
    fn tone(ms: usize, db: f64) -> Vec<f32> {
        let turn = std::f64::consts::TAU * 997.0 / f64::from(SAMPLE_RATE);
        (0..ms * PER_MS as usize).map(|n| ((turn * n as f64).sin() * 10.0_f64.powf(db / 20.0)) as f32).collect()
    }

    /// Levels samples that are passed in pieces of this many.
    fn levelled(leveller: &mut Leveller<'_>, source: &[f32], piece: usize) -> Vec<f32> {
        let mut all = Vec::new();
        for piece in source.chunks(piece) {
            let mut pcm = piece.to_vec();
            leveller.process(&mut pcm);
            all.extend(pcm);
        }
        let mut rest = Vec::new();
        leveller.finish(&mut rest);
        all.extend(rest);
        assert_eq!(all.len(), source.len());
        all
    }

    /// Returns the gain in dB over 10 ms from a position in ms on.
    fn gain(source: &[f32], output: &[f32], ms: usize) -> f64 {
        let window = ms * PER_MS as usize..(ms + 10) * PER_MS as usize;
        let power = |samples: &[f32]| samples[window.clone()].iter().map(|s| f64::from(*s).powi(2)).sum::<f64>();
        10.0 * (power(output) / power(source)).log10()
    }

    #[test]
    fn gain_does_not_depend_on_chunks() {
        for ahead in [0, DOWNLOAD_LOOKAHEAD, LOCAL_LOOKAHEAD] {
            for (ms, db) in [(50, -20.0), (399, -20.0), (1_234, -30.0), (8_000, 0.0)] {
                let source = tone(ms, db);
                let mut outputs = [1, 7, 480, 4_800, 1 << 20].map(|piece| {
                    let measured = MeasuredLoudness::default();
                    let mut leveller = Leveller::new(TARGET, 1, None, None, ahead, &measured);
                    levelled(&mut leveller, &source, piece)
                });
                let output = outputs[0].clone();
                assert!(outputs.iter_mut().all(|other| *other == output), "{ahead} {ms}");
                let right = (-16.0 + 3.01 - db).min(12.0);
                let there = if ahead == 0 { if ms > 4_000 { 4_000 } else { continue } } else { 0 };
                let got = gain(&source, &output, there);
                assert!((got - right).abs() < 0.3, "{got} and not {right} of {ms} ms, {ahead} ahead");
            }
        }
    }

    #[test]
    fn gain_moves_slowly_and_ignores_silence() {
        let source = [tone(2_000, -40.0), vec![0.0; 48_000], tone(4_000, -10.0)].concat();
        let measured = MeasuredLoudness::default();
        let output = levelled(&mut Leveller::new(TARGET, 1, None, None, 0, &measured), &source, 333);
        let gains: Vec<_> = (0..20).chain(30..69).map(|n| gain(&source, &output, n * 100)).collect();
        assert!(gains.windows(2).take(19).all(|pair| (-0.01..0.7).contains(&(pair[1] - pair[0]))), "{gains:?}");
        assert!(gains.windows(2).skip(20).all(|pair| (-1.3..0.7).contains(&(pair[1] - pair[0]))), "{gains:?}");
        assert!((gains[58] + 3.0).abs() < 0.5, "{gains:?}");
        let silence = vec![0.0; 100_000];
        let mut leveller = Leveller::new(TARGET, 1, None, None, DOWNLOAD_LOOKAHEAD, &measured);
        assert_eq!(levelled(&mut leveller, &silence, 1_000), silence);
        assert_eq!((leveller.lufs(), leveller.edges()), (None, (1.0, 1.0)));
    }

    #[test]
    fn prior_loudness_is_not_measured_again() {
        let source = [tone(3_000, -6.0), tone(3_000, -30.0)].concat();
        let measured = MeasuredLoudness::default();
        levelled(&mut Leveller::new(TARGET, 1, None, None, DOWNLOAD_LOOKAHEAD, &measured), &source, 480);
        let heard = measured.up_to(2_500 * PER_MS, None).unwrap();
        let output =
            levelled(&mut Leveller::new(TARGET, 1, None, Some(heard), DOWNLOAD_LOOKAHEAD, &measured), &source, 480);
        assert!((gain(&source, &output, 0) - (-16.0 + 3.01 + 6.0)).abs() < 0.2);
        assert_eq!(measured.up_to(100, Some(heard)), Some(heard), "the one that was heard further");
        let quiet = tone(1_000, -30.0);
        let mut leveller = Leveller::new(TARGET, 1, None, Some(heard.after_flush()), 0, &measured);
        let output = levelled(&mut leveller, &quiet, 480);
        assert!((gain(&quiet, &output, 900) - (-16.0 + 3.01 + 6.0)).abs() < 0.2, "after a flush");
        assert_eq!(MeasuredLoudness::default().up_to(0, None), None);
    }

    #[test]
    fn known_loudness_is_not_measured() {
        let source = tone(500, -20.0);
        let measured = MeasuredLoudness::default();
        for (channels, output, lufs) in [(1, 1, -10.0), (2, 2, -10.0), (1, 2, -6.99), (2, 1, -13.01), (6, 1, -13.01)] {
            let layout = symphonia::core::audio::Channels::Discrete(channels);
            let mut leveller = Leveller::new(TARGET, output, None, None, 0, &measured);
            leveller.set_tagged(Some(-10.0), &AudioSpec::new(44_100, layout));
            let heard = levelled(&mut leveller, &source, 960);
            assert!((gain(&source, &heard, 0) - (-16.0 - lufs)).abs() < 0.01, "{channels} into {output}");
        }
        assert_eq!(measured.up_to(0, None), None);
    }
}
