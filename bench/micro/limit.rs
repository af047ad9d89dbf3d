//! The limiter, on frames that it changes in place.

use divan::{Bencher, black_box};
use speaker_session::internals::audio::{FRAME, LOOK_AHEAD};
use speaker_session::internals::mixer::Limiter;

use crate::{FRAMES, measure, music};

/// Music whose peak is half of full scale, which passes unchanged, and music whose peak is twice that of full scale.
#[divan::bench(args = [0.5, 2.0])]
fn peak(bencher: Bencher, peak: f32) {
    let mut samples = music::second();
    // The look-ahead of the last frame.
    samples.extend_from_within(..LOOK_AHEAD);
    let own_peak = samples.iter().fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
    samples.iter_mut().for_each(|sample| *sample *= peak / own_peak);
    let mut limiter = Limiter::new(1);
    let mut window = [0.0; FRAME + LOOK_AHEAD];
    measure(bencher, 1, || {
        for frame in 0..FRAMES {
            window.copy_from_slice(&samples[frame * FRAME..][..FRAME + LOOK_AHEAD]);
            limiter.process(&mut window, FRAME);
            black_box(&window);
        }
    });
}
