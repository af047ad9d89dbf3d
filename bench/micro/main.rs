//! `cargo bench`: what the parts of the sound path cost, in this process and on this thread, without an output, a server or a clock.
//!
//! An iteration handles one second of sound, of each session where there are several. An `item` is a second of sound, so `item/s` is how many
//! times faster than real time it is. The sound is the music of `examples/audio`. `cargo bench -- mix` runs the benchmarks with that in their names.

mod decode;
mod encode;
mod limit;
mod mix;
mod music;
mod resample;
mod session;

use divan::Bencher;
use divan::counter::ItemsCount;
use speaker_session::internals::audio::{FRAME, SAMPLE_RATE};

/// The frames of a second.
const FRAMES: usize = SAMPLE_RATE as usize / FRAME;

fn main() {
    divan::main();
}

/// Measures an iteration that handles so many seconds of sound.
fn measure<T>(bencher: Bencher, seconds: usize, iteration: impl FnMut() -> T) {
    bencher.counter(ItemsCount::new(seconds)).bench_local(iteration);
}
