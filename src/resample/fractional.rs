//! Resampling to a higher rate with a ratio of large numbers (44,101 Hz). rubato's FFT doubles the rate and does the filtering; a short
//! kernel then interpolates between samples that are twice as dense as they need to be.
//!
//! The doubled sound contains nothing between a quarter of its rate and three quarters, so the kernel may fall off as slowly there. Its
//! images are 125 dB below the sound.

use std::sync::LazyLock;

use super::{Filter, Rubato};

/// The length of the kernel, half of it on either side.
const TAPS: usize = 32;
const HALF: usize = TAPS / 2;

/// The number of phases of the kernel between two samples; it is interpolated linearly between them.
const PHASES: usize = 512;

/// The kernel at each phase, and at the next sample. It is the same for all rates.
static KERNEL: LazyLock<Box<[[f32; TAPS]]>> = LazyLock::new(|| {
    let row =
        |phase| std::array::from_fn(|tap| kernel((tap + 1) as f64 - HALF as f64 - phase as f64 / PHASES as f64) as f32);
    (0..=PHASES).map(row).collect()
});

/// Returns the value of a sinc under the square of the Blackman-Harris window.
fn kernel(x: f64) -> f64 {
    use std::f64::consts::PI;
    if x.abs() >= HALF as f64 {
        return 0.0;
    }
    let wave = |n: f64| (n * PI * x / HALF as f64).cos();
    let window = 0.358_75 + 0.488_29 * wave(1.0) + 0.141_28 * wave(2.0) + 0.011_68 * wave(3.0);
    let sinc = if x == 0.0 { 1.0 } else { (PI * x).sin() / (PI * x) };
    sinc * window * window
}

pub struct Fractional {
    doubler: Rubato,
    channels: usize,
    /// The doubled rate.
    from: u64,
    to: u64,
    /// In output samples per channel. It is a whole number, because the first output sample is placed so.
    delay: usize,
    doubled: Vec<f32>,
    /// The doubled samples of each channel that are still needed.
    planes: Vec<Vec<f32>>,
    /// The index in `planes` of the next output sample, and the fraction behind it, in units of `1 / to`.
    index: usize,
    fraction: u64,
}

impl Fractional {
    /// Creates a resampler to a higher rate, in steps of about `step` input samples.
    ///
    /// # Panics
    /// If a rate, `step` or the number of channels is 0.
    pub fn new(from: usize, to: usize, step: usize, channels: usize) -> Self {
        // A length that suits an FFT, and no longer a delay than the others have: the kernel adds to it.
        let step = step.saturating_sub(HALF).max(16) / 16 * 16;
        let doubler = Rubato { inner: rubato_f32::fft(from, 2 * from, step, channels), channels };
        let (from, to) = (2 * from as u64, to as u64);
        let reach = (doubler.delay() + HALF) as u64;
        let mut filter = Self {
            doubled: vec![0.0; doubler.max_output() * channels],
            doubler,
            channels,
            from,
            to,
            delay: (reach * to).div_ceil(from) as usize,
            planes: vec![Vec::new(); channels],
            index: 0,
            fraction: 0,
        };
        filter.start();
        filter
    }

    /// Returns the silence before the first doubled sample that the first output sample needs.
    fn silence(&self) -> usize {
        TAPS + self.from.div_ceil(self.to) as usize
    }

    fn start(&mut self) {
        let silence = self.silence();
        for plane in &mut self.planes {
            plane.clear();
            plane.resize(silence, 0.0);
        }
        let zero = (silence + self.doubler.delay()) as u64;
        let first = zero * self.to - self.delay as u64 * self.from;
        self.index = (first / self.to) as usize;
        self.fraction = first % self.to;
    }
}

impl Filter for Fractional {
    fn step(&self) -> usize {
        self.doubler.step()
    }

    fn max_output(&self) -> usize {
        // The first step may contain the rest of the silence.
        let samples = (self.doubler.max_output() + self.silence()) as u64;
        (samples * self.to).div_ceil(self.from) as usize
    }

    fn delay(&self) -> usize {
        self.delay
    }

    fn process(&mut self, input: &[f32], output: &mut [f32]) -> usize {
        let Self { doubler, channels, from, to, doubled, planes, index, fraction, .. } = self;
        let count = doubler.process(input, doubled);
        for (channel, plane) in planes.iter_mut().enumerate() {
            plane.extend(doubled[..count * *channels].iter().skip(channel).step_by(*channels));
        }
        let (whole, remainder) = ((*from / *to) as usize, *from % *to);
        let scale = PHASES as f32 / *to as f32;
        let known = planes[0].len();
        let mut made = 0;
        for frame in output.chunks_exact_mut(*channels) {
            if *index + HALF >= known {
                break;
            }
            let exact = *fraction as f32 * scale;
            let phase = (exact as usize).min(PHASES - 1);
            let (near, far, weight) = (&KERNEL[phase], &KERNEL[phase + 1], exact - phase as f32);
            let taps: [f32; TAPS] = std::array::from_fn(|tap| near[tap] + weight * (far[tap] - near[tap]));
            for (sample, plane) in frame.iter_mut().zip(planes.iter()) {
                *sample = sum(&taps, &plane[*index + 1 - HALF..][..TAPS]);
            }
            *index += whole;
            *fraction += remainder;
            if *fraction >= *to {
                *fraction -= *to;
                *index += 1;
            }
            made += 1;
        }
        let done = (*index + 1 - HALF).min(known);
        planes.iter_mut().for_each(|plane| drop(plane.drain(..done)));
        *index -= done;
        made
    }

    fn reset(&mut self) {
        self.doubler.reset();
        self.start();
    }
}

/// Returns the sum of the products, in lanes, so that the compiler may vectorize it: it does not reorder a plain sum.
fn sum(taps: &[f32; TAPS], samples: &[f32]) -> f32 {
    let mut lanes = [0.0; 8];
    for (taps, samples) in taps.as_chunks::<8>().0.iter().zip(samples.as_chunks::<8>().0) {
        for ((lane, tap), sample) in lanes.iter_mut().zip(taps).zip(samples) {
            *lane += tap * sample;
        }
    }
    lanes.iter().sum()
}
