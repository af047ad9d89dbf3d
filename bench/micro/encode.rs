//! Opus, as a track of a room encodes its frames.

use divan::{Bencher, black_box};
use speaker_session::internals::audio::FRAME;
use speaker_session::internals::output::{Encoder, Encoding};

use crate::{measure, music};

/// The complexity: the default one, and the highest.
#[divan::bench(args = [5, 10])]
fn complexity(bencher: Bencher, complexity: i32) {
    let samples = music::second();
    let encoding = Encoding { bitrate: 64_000, complexity, dtx: false, red: false };
    let mut encoder = Encoder::new(1, encoding).expect("libopus makes an encoder");
    measure(bencher, 1, || {
        for frame in samples.chunks_exact(FRAME) {
            black_box(encoder.encode(frame).expect("it can be encoded"));
        }
    });
}
