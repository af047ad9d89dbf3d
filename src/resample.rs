//! Resampling from any rate to any other, without shifting time: with `fractional.rs` and `crates/rubato-f32`, the one place that knows
//! rubato.

mod fractional;

use audioadapter_buffers::direct::InterleavedSlice;

use fractional::Fractional;

/// The resampler's step, in milliseconds of input: long enough for a steep anti-aliasing filter, short enough to start fast.
const STEP_MS: usize = 20;

/// The shortest step, in input samples: a filter of that length is steep enough.
const MIN_STEP: usize = 256;

/// The longest step, in milliseconds of input: the filter rings for half of it ([`RINGING`](crate::audio::RINGING)). Odd rates, whose ratio
/// needs longer ones (44,101 Hz: a second), take another resampler.
const MAX_STEP_MS: usize = 32;

/// Resamples one interleaved stream. The whole output, [`finish`](Self::finish) included, is
/// `input · to / from` samples per channel, rounded, and sample 0 of the output is sample 0 of the input.
///
/// A filter rings before the first sample and behind the last; the ringing is dropped. Where another stream follows, it is missing at
/// the seam: two streams that are resampled separately equal both resampled as one if the [post-ring](Self::finish_ringing) of the first
/// is added to the start of the second, and the [pre-ring](Self::pre_ring) of the second to the end of the first.
pub struct Resampler {
    /// `None` where both rates are the same: samples pass untouched.
    filter: Option<Box<dyn Filter>>,
    channels: usize,
    from: u64,
    to: u64,
    /// The input that does not fill a step yet.
    pending: Vec<f32>,
    block: Vec<f32>,
    /// The rest of the filter's delay that is still to be dropped, in output samples per channel.
    delay: usize,
    /// The samples that were dropped for it.
    pre_ring: Vec<f32>,
    consumed: u64,
    produced: u64,
}

impl Resampler {
    /// Creates a resampler between two rates.
    ///
    /// # Panics
    /// If a rate or the number of channels is 0.
    pub fn new(from: u32, to: u32, channels: usize) -> Self {
        let filter = (from != to).then(|| build(from as usize, to as usize, channels));
        let (delay, block) = match &filter {
            Some(filter) => (filter.delay(), vec![0.0; filter.max_output() * channels]),
            None => (0, Vec::new()),
        };
        Self {
            filter,
            channels,
            from: from.into(),
            to: to.into(),
            pending: Vec::new(),
            block,
            delay,
            pre_ring: Vec::new(),
            consumed: 0,
            produced: 0,
        }
    }

    /// Resamples `input` and appends what is ready to `output`.
    pub fn process(&mut self, input: &[f32], output: &mut Vec<f32>) {
        let Some(mut filter) = self.filter.take() else {
            output.extend_from_slice(input);
            return;
        };
        self.consumed += (input.len() / self.channels) as u64;
        self.pending.extend_from_slice(input);
        let mut used = 0;
        let step = filter.step() * self.channels;
        while self.pending.len() - used >= step {
            self.step(&mut *filter, used..used + step, output);
            used += step;
        }
        self.pending.drain(..used);
        self.filter = Some(filter);
    }

    /// Returns the number of input samples per channel after which its state repeats: a new resampler that starts there produces the same output,
    /// bit-identical where it resamples in blocks.
    pub fn cycle(&self) -> u64 {
        let unit = self.from / greatest_common_divisor(self.from as usize, self.to as usize) as u64;
        let block = self.filter.as_ref().map_or(1, |filter| filter.step() as u64);
        if block.is_multiple_of(unit) { block } else { unit }
    }

    /// Returns how long it rings before and behind a stream, in output samples per channel.
    pub fn ring(&self) -> usize {
        self.filter.as_ref().map_or(0, |filter| filter.delay())
    }

    /// Returns the ringing before sample 0 of the output, interleaved. It is complete as soon as sample 0 is out.
    pub fn pre_ring(&self) -> &[f32] {
        &self.pre_ring
    }

    /// Ends the input: appends the tail that the filter still holds. Another stream may follow.
    pub fn finish(&mut self, output: &mut Vec<f32>) {
        self.drain(0, output);
    }

    /// Ends the input as [`finish`](Self::finish) does, and returns the ringing behind the last sample, interleaved.
    pub fn finish_ringing(&mut self, output: &mut Vec<f32>) -> Vec<f32> {
        let ring = self.ring();
        self.drain(ring as u64, output);
        output.split_off(output.len() - ring * self.channels)
    }

    /// Appends the rest of the output, and `beyond` samples per channel more.
    fn drain(&mut self, beyond: u64, output: &mut Vec<f32>) {
        let Some(mut filter) = self.filter.take() else { return };
        let total = (self.consumed * self.to + self.from / 2) / self.from + beyond;
        while self.produced < total {
            self.pending.resize(filter.step() * self.channels, 0.0);
            let before = output.len();
            self.step(&mut *filter, 0..self.pending.len(), output);
            self.pending.clear();
            let surplus = self.produced.saturating_sub(total) as usize * self.channels;
            output.truncate((output.len() - surplus).max(before));
            self.produced = self.produced.min(total);
        }
        filter.reset();
        self.delay = filter.delay();
        self.consumed = 0;
        self.produced = 0;
        self.pending.clear();
        self.filter = Some(filter);
    }

    fn step(&mut self, filter: &mut dyn Filter, range: std::ops::Range<usize>, output: &mut Vec<f32>) {
        let made = filter.process(&self.pending[range], &mut self.block);
        let dropped = made.min(self.delay);
        if self.delay == filter.delay() {
            self.pre_ring.clear(); // that of the stream before
        }
        self.pre_ring.extend_from_slice(&self.block[..dropped * self.channels]);
        self.delay -= dropped;
        self.produced += (made - dropped) as u64;
        output.extend_from_slice(&self.block[dropped * self.channels..made * self.channels]);
    }
}

/// A resampling filter that works in steps and has a delay.
trait Filter: Send {
    /// Returns the length of a step, in input samples per channel.
    fn step(&self) -> usize;

    /// Returns the largest output of a step, in samples per channel.
    fn max_output(&self) -> usize;

    /// Returns the delay, in output samples per channel.
    fn delay(&self) -> usize;

    /// Resamples one step; both sides are interleaved. Returns the number of samples per channel that it wrote
    /// to the start of `output`.
    fn process(&mut self, input: &[f32], output: &mut [f32]) -> usize;

    /// Clears its state.
    fn reset(&mut self);
}

/// A resampler of rubato's with a fixed step.
struct Rubato {
    inner: rubato_f32::Resampler,
    channels: usize,
}

impl Filter for Rubato {
    fn step(&self) -> usize {
        self.inner.input_frames_next()
    }

    fn max_output(&self) -> usize {
        self.inner.output_frames_max()
    }

    fn delay(&self) -> usize {
        self.inner.output_delay()
    }

    fn process(&mut self, input: &[f32], output: &mut [f32]) -> usize {
        let (frames_in, frames_out) = (input.len() / self.channels, output.len() / self.channels);
        let input = InterleavedSlice::new(input, self.channels, frames_in).expect("the slice fits");
        let mut output = InterleavedSlice::new_mut(output, self.channels, frames_out).expect("the slice fits");
        let (_, made) = self
            .inner
            .process_into_buffer(&input, &mut output, None)
            .expect("both buffers have the sizes that the resampler asked for");
        made
    }

    fn reset(&mut self) {
        self.inner.reset();
    }
}

fn build(from: usize, to: usize, channels: usize) -> Box<dyn Filter> {
    let step = (from * STEP_MS / 1_000).max(MIN_STEP);
    // The block is a multiple of this unit, and of even length, or its delay would not be a whole number of samples.
    let unit = from / greatest_common_divisor(from, to);
    let block = [step.div_ceil(unit) * unit, (step.div_ceil(unit) + 1) * unit].into_iter().find(|block| block % 2 == 0);
    let inner = match block {
        Some(block) if block * 1_000 <= from * MAX_STEP_MS => rubato_f32::fft(from, to, block, channels),
        _ if from < to => return Box::new(Fractional::new(from, to, step, channels)),
        // To a lower rate, everything above the new Nyquist frequency must go, which a doubler leaves. Such rates are rarer still.
        _ => rubato_f32::sinc(to as f64 / from as f64, step, channels),
    };
    Box::new(Rubato { inner, channels })
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(rate: u32, hz: f64, frames: usize) -> Vec<f32> {
        (0..frames).map(|n| (n as f64 * hz * std::f64::consts::TAU / f64::from(rate)).sin() as f32 * 0.5).collect()
    }

    fn resample(from: u32, to: u32, input: &[f32], chunk: usize) -> Vec<f32> {
        let (mut resampler, mut output) = (Resampler::new(from, to, 1), Vec::new());
        input.chunks(chunk).for_each(|chunk| resampler.process(chunk, &mut output));
        resampler.finish(&mut output);
        output
    }

    #[test]
    fn keeps_length_and_time_at_every_rate() {
        const RATES: [u32; 14] = [
            8_000, 8_009, 11_025, 16_000, 22_050, 24_000, 32_000, 37_800, 44_100, 44_101, 47_999, 88_200, 96_000,
            192_000,
        ];
        for rate in RATES {
            for frames in [1, 7, 500, rate as usize + 13] {
                let output = resample(rate, 48_000, &tone(rate, 440.0, frames), 700);
                let expected = (frames as f64 * 48_000.0 / f64::from(rate)).round();
                assert!((output.len() as f64 - expected).abs() <= 1.0, "{rate} Hz, {frames}: {}", output.len());
                let ideal = tone(48_000, 440.0, output.len());
                // The filter rings at both ends of the clip, so time is compared in its middle.
                let middle = output.len() / 4..output.len() * 3 / 4;
                let worst = middle.map(|n| (output[n] - ideal[n]).abs()).fold(0.0, f32::max);
                assert!(frames < 1_000 || worst < 0.002, "{rate} Hz: off by {worst}");
            }
        }
    }

    #[test]
    fn two_streams_with_ringing_equal_one() {
        for rate in [8_000, 11_025, 24_000, 44_100, 96_000, 8_009, 44_101] {
            let input: Vec<f32> = (0..2 * rate).map(|n| ((n * 7_919) % 1_009) as f32 / 1_009.0 - 0.5).collect();
            // Both are a whole number of samples long.
            let middle = rate as usize;
            let (mut first, mut second) = (Vec::new(), Vec::new());
            let mut resampler = Resampler::new(rate, 48_000, 1);
            resampler.process(&input[..middle], &mut first);
            let post = resampler.finish_ringing(&mut first);
            resampler.process(&input[middle..], &mut second);
            resampler.finish(&mut second);
            let (seam, ring) = (first.len(), resampler.ring());
            assert_eq!((post.len(), resampler.pre_ring().len()), (ring, ring));
            let mut joined = [first, second].concat();
            joined[seam..].iter_mut().zip(&post).for_each(|(sample, ring)| *sample += ring);
            joined[seam - ring..].iter_mut().zip(resampler.pre_ring()).for_each(|(sample, ring)| *sample += ring);
            let one = resample(rate, 48_000, &input, 700);
            assert_eq!(joined.len(), one.len());
            let worst = joined.iter().zip(&one).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-5, "{rate} Hz: off by {worst}");
        }
        let mut same = Resampler::new(48_000, 48_000, 2);
        assert!(same.finish_ringing(&mut Vec::new()).is_empty() && same.pre_ring().is_empty());
    }

    #[test]
    fn removes_what_would_alias() {
        for (from, to, hz) in [(96_000, 48_000, 30_000.0), (48_000, 16_000, 9_500.0), (48_000, 8_000, 5_000.0)] {
            let output = resample(from, to, &tone(from, hz, from as usize), 960);
            let peak = output[output.len() / 4..output.len() * 3 / 4].iter().fold(0.0, |m: f32, s| m.max(s.abs()));
            assert!(peak < 0.001, "{hz} Hz at {from} → {to} Hz left {peak}");
        }
    }

    #[test]
    fn adds_neither_noise_nor_distortion() {
        // In decibels: the loss of the tone, and the noise.
        for (rate, hz, lost, besides) in [
            (44_100, 1_000.0, 0.01, -115.0),
            (44_101, 1_000.0, 0.01, -115.0),
            (44_101, 10_000.0, 0.01, -115.0),
            (44_101, 20_000.0, 0.01, -115.0),
            (8_009, 3_000.0, 0.01, -115.0),
            (47_999, 21_000.0, 0.01, -115.0),
        ] {
            let output = resample(rate, 48_000, &tone(rate, hz, rate as usize), 700);
            let middle = output.len() / 4..output.len() * 3 / 4;
            // Half a second holds a whole number of periods, so the sine and the cosine of this frequency are orthogonal.
            let wave = |n: usize, shift: f64| ((n as f64 * hz / 48_000.0 + shift) * std::f64::consts::TAU).sin();
            let part = |shift| middle.clone().map(|n| f64::from(output[n]) * wave(n, shift)).sum::<f64>() / 12_000.0;
            let (sine, cosine) = (part(0.0), part(0.25));
            let rest = middle.clone().map(|n| f64::from(output[n]) - sine * wave(n, 0.0) - cosine * wave(n, 0.25));
            let power = rest.map(|rest| rest * rest).sum::<f64>() / 24_000.0;
            let level = (sine * sine + cosine * cosine) / 2.0;
            let (gain, noise) = (10.0 * (level / 0.125).log10(), 10.0 * (power / level).log10());
            assert!(gain.abs() < lost && noise < besides, "{hz} Hz at {rate} Hz: {gain} dB, and {noise} dB besides");
        }
    }

    #[test]
    fn rings_no_longer_than_declared() {
        for rate in (8_000..48_000).step_by(1_009).chain([8_001, 12_799, 44_101, 47_999]) {
            let ring = Resampler::new(rate, 48_000, 1).ring();
            assert!(ring <= crate::audio::RINGING, "{rate} Hz: {ring}");
        }
    }

    #[test]
    fn chunk_size_does_not_matter() {
        let input = tone(48_000, 440.0, 5_000);
        assert_eq!(resample(48_000, 48_000, &input, 77), input);
        for rate in [44_100, 44_101] {
            let input = tone(rate, 440.0, 20_000);
            assert_eq!(resample(rate, 48_000, &input, 1), resample(rate, 48_000, &input, 20_000));
        }
    }

    #[test]
    fn continues_after_finish() {
        let (mut resampler, mut output) = (Resampler::new(16_000, 48_000, 1), Vec::new());
        for _ in 0..3 {
            resampler.process(&tone(16_000, 440.0, 1_600), &mut output);
            resampler.finish(&mut output);
        }
        assert_eq!(output.len(), 3 * 4_800);
    }
}
