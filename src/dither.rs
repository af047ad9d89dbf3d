//! Dither for 16 bits: noise with a triangular distribution of ±1 step (TPDF), added before samples are rounded.
//!
//! Rounding alone distorts quiet sound and drops sound below half a step. With this noise the error is zero on average
//! and equally loud for any signal, see Lipshitz, Wannamaker and Vanderkooy, “Quantization and Dither: A Theoretical
//! Survey” (JAES 40 (5), 1992). The numbers follow from the seed alone, so the same mix gives the same bytes.

/// One step of 16 bits.
const STEP: f32 = 1.0 / 32_768.0;

/// A generator of dither.
pub struct Dither {
    state: u64,
}

impl Dither {
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// Returns the sample with noise added, to be rounded next.
    pub fn add(&mut self, sample: f32) -> f32 {
        let random = self.next();
        // The difference of two uniform distributions is a triangular one.
        let (one, other) = ((random >> 40) as f32, ((random >> 16) & 0xff_ffff) as f32);
        sample + (one - other) * (STEP / (1 << 24) as f32)
    }

    /// Returns the next number of SplitMix64.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::to_s16;

    const COUNT: usize = 96_000;

    fn noise(seed: u64) -> Vec<f64> {
        let mut dither = Dither::new(seed);
        (0..COUNT).map(|_| f64::from(dither.add(0.0) / STEP)).collect()
    }

    fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
        let count = values.len() as f64;
        values.sum::<f64>() / count
    }

    #[test]
    fn noise_is_triangular_within_one_step() {
        let noise = noise(1);
        assert!(noise.iter().all(|value| value.abs() < 1.0));
        assert!(mean(noise.iter().copied()).abs() < 0.005);
        assert!((mean(noise.iter().map(|value| value * value)) - 1.0 / 6.0).abs() < 0.003, "not its variance");
        for edge in [0.25, 0.5, 0.75] {
            let within = noise.iter().filter(|value| value.abs() < edge).count() as f64 / COUNT as f64;
            assert!((within - (1.0 - (1.0 - edge).powi(2))).abs() < 0.01, "{within} are within {edge}");
        }
    }

    #[test]
    fn neighbours_and_seeds_are_uncorrelated() {
        let (one, other) = (noise(1), noise(2));
        for lag in 1..10 {
            let alike = mean(one[lag..].iter().zip(&one).map(|(a, b)| a * b)) * 6.0;
            assert!(alike.abs() < 0.02, "{alike} at {lag}");
        }
        assert!(mean(one.iter().zip(&other).map(|(a, b)| a * b)).abs() < 0.005);
        assert_eq!(one, noise(1));
    }

    #[test]
    fn rounding_error_is_zero_on_average() {
        let mut dither = Dither::new(3);
        for tenth in -10..=10 {
            let level = 1_000.0 + tenth as f32 / 10.0;
            let errors = (0..COUNT).map(|_| f64::from(to_s16(dither.add(level * STEP))) - f64::from(level));
            let (errors, squares): (Vec<_>, Vec<_>) = errors.map(|error| (error, error * error)).unzip();
            assert!(mean(errors.into_iter()).abs() < 0.01, "at {level}");
            assert!((mean(squares.into_iter()) - 0.25).abs() < 0.01, "as loud everywhere: {level}");
        }
    }

    #[test]
    fn tone_below_one_step_survives() {
        let sine = |n: usize| (n as f64 * std::f64::consts::TAU / 48.0).sin();
        let level = |round: &mut dyn FnMut(f32) -> i16| {
            let part = |n| f64::from(round(0.3 * STEP * sine(n) as f32)) * sine(n);
            2.0 * mean((0..COUNT).map(part))
        };
        let mut dither = Dither::new(4);
        assert_eq!(level(&mut to_s16), 0.0);
        let heard = level(&mut |sample| to_s16(dither.add(sample)));
        assert!((heard - 0.3).abs() < 0.02, "{heard}");
    }
}
