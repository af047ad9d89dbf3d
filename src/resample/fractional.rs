//! Rates whose ratio is that of large numbers (44,101 Hz), to a higher one. rubato's FFT doubles the rate, and does the filtering; between
//! samples that stand twice as close as they need to, a short kernel finds any other.
//!
//! The doubled sound has nothing between a quarter of its rate and three quarters, so the kernel may fall as slowly there. What it lets
//! through is 125 dB below the sound.

use std::sync::LazyLock;

use rubato::{Fft, FixedSync, WindowFunction};

use super::{Filter, Rubato};

/// The length of the kernel: it looks at half of that many samples on either side.
const TAPS: usize = 32;
const HALF: usize = TAPS / 2;

/// At how many places between two samples the kernel is known; in between it is a straight line.
const PHASES: usize = 512;

/// The kernel at each place, and at the next sample. It is the same for all rates.
static KERNEL: LazyLock<Box<[[f32; TAPS]]>> = LazyLock::new(|| {
    let row =
        |phase| std::array::from_fn(|tap| kernel((tap + 1) as f64 - HALF as f64 - phase as f64 / PHASES as f64) as f32);
    (0..=PHASES).map(row).collect()
});

/// A sinc, under the square of Blackman and Harris's window.
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
    /// In output samples per channel. It is a whole number, for the first of them is put where that is so.
    delay: usize,
    doubled: Vec<f32>,
    /// The doubled samples of each channel that are still looked at.
    planes: Vec<Vec<f32>>,
    /// Where in them the next output sample is, and how far behind that place, in parts of `to`.
    place: usize,
    rest: u64,
}

impl Fractional {
    /// From one rate to a higher one, in steps of some `step` input samples.
    ///
    /// # Panics
    /// If a rate, `step` or the number of channels is 0.
    pub fn new(from: usize, to: usize, step: usize, channels: usize) -> Self {
        // A length that FFTs like, and no longer a delay than others have: the kernel adds to it.
        let step = step.saturating_sub(HALF).max(16) / 16 * 16;
        let doubler =
            Fft::new_custom(from, 2 * from, step, 1, channels, WindowFunction::BlackmanHarris2, FixedSync::Both)
                .expect("the rates and the step are positive");
        let doubler = Rubato { inner: Box::new(doubler), channels };
        let (from, to) = (2 * from as u64, to as u64);
        let reach = (doubler.delay() + HALF) as u64;
        let mut filter = Self {
            doubled: vec![0.0; doubler.most() * channels],
            doubler,
            channels,
            from,
            to,
            delay: (reach * to).div_ceil(from) as usize,
            planes: vec![Vec::new(); channels],
            place: 0,
            rest: 0,
        };
        filter.begin();
        filter
    }

    /// So much silence before the first doubled sample that the first output sample can be found.
    fn silence(&self) -> usize {
        TAPS + self.from.div_ceil(self.to) as usize
    }

    fn begin(&mut self) {
        let silence = self.silence();
        for plane in &mut self.planes {
            plane.clear();
            plane.resize(silence, 0.0);
        }
        let zero = (silence + self.doubler.delay()) as u64;
        let first = zero * self.to - self.delay as u64 * self.from;
        (self.place, self.rest) = ((first / self.to) as usize, first % self.to);
    }
}

impl Filter for Fractional {
    fn step(&self) -> usize {
        self.doubler.step()
    }

    fn most(&self) -> usize {
        // What of the silence is left may be in the first step.
        let samples = (self.doubler.most() + self.silence()) as u64;
        (samples * self.to).div_ceil(self.from) as usize
    }

    fn delay(&self) -> usize {
        self.delay
    }

    fn process(&mut self, input: &[f32], output: &mut [f32]) -> usize {
        let Self { doubler, channels, from, to, doubled, planes, place, rest, .. } = self;
        let count = doubler.process(input, doubled);
        for (channel, plane) in planes.iter_mut().enumerate() {
            plane.extend(doubled[..count * *channels].iter().skip(channel).step_by(*channels));
        }
        let (whole, part) = ((*from / *to) as usize, *from % *to);
        let scale = PHASES as f32 / *to as f32;
        let known = planes[0].len();
        let mut made = 0;
        for frame in output.chunks_exact_mut(*channels) {
            if *place + HALF >= known {
                break;
            }
            let between = *rest as f32 * scale;
            let phase = (between as usize).min(PHASES - 1);
            let (near, far, weight) = (&KERNEL[phase], &KERNEL[phase + 1], between - phase as f32);
            let taps: [f32; TAPS] = std::array::from_fn(|tap| near[tap] + weight * (far[tap] - near[tap]));
            for (sample, plane) in frame.iter_mut().zip(planes.iter()) {
                *sample = sum(&taps, &plane[*place + 1 - HALF..][..TAPS]);
            }
            *place += whole;
            *rest += part;
            if *rest >= *to {
                *rest -= *to;
                *place += 1;
            }
            made += 1;
        }
        let gone = (*place + 1 - HALF).min(known);
        planes.iter_mut().for_each(|plane| drop(plane.drain(..gone)));
        *place -= gone;
        made
    }

    fn reset(&mut self) {
        self.doubler.reset();
        self.begin();
    }
}

/// The sum of the products, in lanes: else the order of a sum forbids to add several at once.
fn sum(taps: &[f32; TAPS], samples: &[f32]) -> f32 {
    let mut lanes = [0.0; 8];
    for (taps, samples) in taps.as_chunks::<8>().0.iter().zip(samples.as_chunks::<8>().0) {
        for ((lane, tap), sample) in lanes.iter_mut().zip(taps).zip(samples) {
            *lane += tap * sample;
        }
    }
    lanes.iter().sum()
}
