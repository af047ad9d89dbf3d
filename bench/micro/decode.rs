//! A second of a file, as a playback's decode task reads it into a ring: opened, decoded, mixed down, resampled and cut. The task runs on
//! this thread, and the file is in memory.

use std::sync::Arc;

use divan::{Bencher, black_box};
use speaker_session::internals::audio::SAMPLE_RATE;
use speaker_session::internals::runtime::Pool;
use speaker_session::internals::source::{
    DriverNotifier, FetchLimits, MemoryFile, Opening, Origin, Section, Source, open,
};

use crate::{measure, music};

/// The files: MP3 at 22.05 kHz and FLAC at 32 kHz, which are resampled, and WAV at 48 kHz, which is not; all are mono.
#[divan::bench(args = ["welcome.mp3", "music.flac", "chime.wav"])]
fn file(bencher: Bencher, name: &str) {
    let file = MemoryFile::of(&std::fs::read(music::path(name)).expect("the example can be read"));
    let (pool, mut worker) = Pool::by_hand();
    // As on the manual clock: the ring holds a second.
    let notifier = Arc::new(DriverNotifier::new(true));
    let section = Section { end: SAMPLE_RATE.into(), ..Section::default() };
    measure(bencher, 1, || {
        let opening = Opening::Source(Source::new(Origin::Bytes(file.clone()), None, section));
        let mut reader = open(&pool, opening, 1, 0, FetchLimits::default(), notifier.clone());
        let mut heard = 0;
        while reader.buffered() != (0, true) {
            while worker.run_next() {}
            let (waiting, _) = reader.buffered();
            let peek = reader.peek(waiting);
            black_box(peek.slices());
            peek.take(waiting);
            heard += waiting;
            if let Some(waker) = reader.refill() {
                waker.wake();
            }
        }
        assert_eq!(heard, SAMPLE_RATE as usize, "{:?}", reader.outcome());
        drop(reader);
        while worker.run_next() {}
    });
}
