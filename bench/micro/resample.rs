//! The resampler, from the rates of most files and of most synthesized speech to the session's.

use divan::{Bencher, black_box};
use speaker_session::internals::audio::SAMPLE_RATE;
use speaker_session::internals::resample::Resampler;

use crate::{measure, music};

/// The samples that a decoder returns at once: a frame of MP3.
const PACKET: usize = 1_152;

#[divan::bench(args = [44_100, 24_000])]
fn from_rate(bencher: Bencher, rate: u32) {
    let mut input = music::second();
    input.truncate(rate as usize);
    let mut resampler = Resampler::new(rate, SAMPLE_RATE, 1);
    let mut output = Vec::new();
    measure(bencher, 1, || {
        for packet in input.chunks(PACKET) {
            output.clear();
            resampler.process(packet, &mut output);
            black_box(&output);
        }
    });
}
