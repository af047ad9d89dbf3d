//! The resamplers of rubato for `f32`, a crate of its own because rubato and the FFT below it are generic: they are compiled where they are
//! created, and would be a sixth of the code of speaker-session, in each of its builds.

use rubato::{Async, Fft, FixedAsync, FixedSync, SincInterpolationParameters, SincInterpolationType, WindowFunction};

/// Any of them.
pub type Resampler = Box<dyn rubato::Resampler<f32>>;

/// Creates a resampler by FFT between two rates, with a fixed `block` of input samples per channel: a multiple of what the rates' ratio
/// needs, or it is rounded up to one.
///
/// # Panics
/// If a rate, `block` or `channels` is 0.
#[inline(never)]
pub fn fft(from: usize, to: usize, block: usize, channels: usize) -> Resampler {
    let window = WindowFunction::BlackmanHarris2;
    let inner = Fft::new_custom(from, to, block, 1, channels, window, FixedSync::Both);
    Box::new(inner.expect("the rates, the block and the number of channels are positive"))
}

/// Creates a resampler by windowed sincs for any ratio (output by input), with a fixed `block` of input samples per channel.
///
/// # Panics
/// If `block` or `channels` is 0, or `ratio` is not positive.
#[inline(never)]
pub fn sinc(ratio: f64, block: usize, channels: usize) -> Resampler {
    let parameters = SincInterpolationParameters {
        sinc_len: 128,
        f_cutoff: None,
        // As quiet as 20 bits are, and cheaper than a cubic one.
        oversampling_factor: 512,
        interpolation: SincInterpolationType::Linear,
        window: WindowFunction::BlackmanHarris2,
    };
    let inner = Async::new_sinc(ratio, 1.0, &parameters, block, channels, FixedAsync::Input);
    Box::new(inner.expect("the ratio, the block and the number of channels are positive"))
}
