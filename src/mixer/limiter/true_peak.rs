//! True peaks: those between the samples, where a converter or a resampler will find them. 4× oversampling by a polyphase filter, as in
//! ITU-R BS.1770-4, annex 2. Its phases lie at a quarter, a half and three quarters of the way to the next sample, so that
//! the sample itself is the fourth.

/// The number of samples that the filter needs on each side of a gap.
pub const REACH: usize = 8;

/// The most samples that are measured at once.
pub const CHUNK: usize = 96;

/// Kaiser's β: low, so that the upper end of the band is seen too. The ripple that comes with it measures up to 0.7 dB too
/// much, but hardly ever too little.
const BETA: f64 = 1.5;

/// The margin for peaks between the four measured places: 0.1 dB.
const MARGIN: f64 = 1.0116;

/// The largest samples of a chunk, over all channels.
pub struct Peaks {
    /// At each sample, and at [`REACH`] more that follow.
    pub at: [f32; CHUNK + REACH],
    /// At each sample and in the gap that follows it.
    pub around: [f32; CHUNK],
}

pub struct TruePeak {
    /// For each pair of samples, from the nearest outwards: the weight half-way between them; then, for a quarter of the
    /// way, that of their sum and that of their difference. Three quarters are a quarter seen from the other side.
    weights: [[f32; 3]; REACH],
}

impl TruePeak {
    pub fn new() -> Self {
        let (quarter, half) = (phase(0.25), phase(0.5));
        Self {
            weights: std::array::from_fn(|pair| {
                let (left, right) = (quarter[REACH - 1 - pair], quarter[REACH + pair]);
                [half[REACH + pair], (left + right) / 2.0, (left - right) / 2.0].map(|weight| weight as f32)
            }),
        }
    }

    /// Measures `count` samples of interleaved audio; `signal` begins `REACH - 1` samples earlier and ends [`REACH`] later.
    pub fn measure(&self, signal: &[f32], channels: usize, count: usize) -> Peaks {
        let mut peaks = Peaks { at: [0.0; CHUNK + REACH], around: [0.0; CHUNK] };
        let here = &signal[(REACH - 1) * channels..];
        for (peak, frame) in peaks.at[..count + REACH].iter_mut().zip(here.chunks_exact(channels)) {
            *peak = frame.iter().fold(0.0, |peak, sample| larger(peak, sample.abs()));
        }
        let mut between = [0.0; CHUNK * 2];
        self.interpolate(signal, channels, &mut between[..count * channels]);
        let gaps = between.chunks_exact(channels);
        for ((around, at), gap) in peaks.around[..count].iter_mut().zip(&peaks.at).zip(gaps) {
            *around = gap.iter().fold(*at, |peak, sample| larger(peak, *sample));
        }
        peaks
    }

    /// Computes the largest of the three values between each sample and the next of its channel.
    fn interpolate(&self, signal: &[f32], channels: usize, between: &mut [f32]) {
        let count = between.len();
        let (mut half, mut even, mut odd) = ([0.0; CHUNK * 2], [0.0; CHUNK * 2], [0.0; CHUNK * 2]);
        for (pair, [of_half, of_even, of_odd]) in self.weights.iter().enumerate() {
            let left = &signal[(REACH - 1 - pair) * channels..][..count];
            let right = &signal[(REACH + pair) * channels..][..count];
            let sums = half[..count].iter_mut().zip(&mut even[..count]).zip(&mut odd[..count]);
            for (((half, even), odd), (left, right)) in sums.zip(left.iter().zip(right)) {
                let (sum, difference) = (left + right, left - right);
                *half += of_half * sum;
                *even += of_even * sum;
                *odd += of_odd * difference;
            }
        }
        for (index, peak) in between.iter_mut().enumerate() {
            let (even, odd) = (even[index], odd[index]);
            *peak = larger(half[index].abs(), larger((even + odd).abs(), (even - odd).abs()));
        }
    }
}

/// Returns the larger value, as `f32::max` without its care for NaN, which keeps loops from becoming vector code.
fn larger(one: f32, other: f32) -> f32 {
    if other > one { other } else { one }
}

/// Returns a windowed sinc, `place` of the way from one sample to the next, with a gain of [`MARGIN`] at 0 Hz.
fn phase(place: f64) -> [f64; REACH * 2] {
    let taps: [f64; REACH * 2] = std::array::from_fn(|tap| {
        let distance = tap as f64 - (REACH - 1) as f64 - place;
        let edge = 1.0 - (distance / (REACH as f64 + 0.5)).powi(2);
        let angle = std::f64::consts::PI * distance;
        angle.sin() / angle * bessel(BETA * edge.sqrt())
    });
    let sum: f64 = taps.iter().sum();
    taps.map(|tap| tap / sum * MARGIN)
}

/// Returns the modified Bessel function I₀, of which a Kaiser window is made.
fn bessel(x: f64) -> f64 {
    let (mut sum, mut term) = (1.0, 1.0);
    for k in 1..32 {
        term *= (x / 2.0 / f64::from(k)).powi(2);
        sum += term;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the largest peak that is found in a sine of amplitude 1, without its edges.
    fn peak_of(frequency: f64, phase: f64) -> f32 {
        let sine = |n: usize| (std::f64::consts::TAU * frequency * n as f64 + phase).sin() as f32;
        let signal: Vec<f32> = (0..CHUNK + 2 * REACH - 1).map(sine).collect();
        TruePeak::new().measure(&signal, 1, CHUNK).around.iter().copied().fold(0.0, f32::max)
    }

    #[test]
    fn finds_peaks_between_samples() {
        let hidden = peak_of(0.25, std::f64::consts::FRAC_PI_4); // every sample is ±0.707
        assert!((0.99..1.05).contains(&hidden), "{hidden}");
    }

    #[test]
    fn measures_sines_up_to_18_khz() {
        for step in 1..=150 {
            let (frequency, phase) = (f64::from(step) / 400.0, f64::from(step) * 0.7);
            let decibels = 20.0 * peak_of(frequency, phase).log10();
            assert!((-0.1..0.75).contains(&decibels), "{} Hz: {decibels} dB", frequency * 48_000.0);
        }
    }

    #[test]
    fn measures_the_louder_channel() {
        let stereo: Vec<f32> =
            (0..CHUNK + 2 * REACH - 1).flat_map(|n| [0.5, if n % 2 == 0 { 0.1 } else { -0.1 }]).collect();
        let peaks = TruePeak::new().measure(&stereo, 2, CHUNK);
        assert!(peaks.around.iter().all(|peak| (0.5..0.51).contains(peak)), "{:?}", peaks.around);
    }
}
