//! A stream in the mixer: a writer and a real feeder, told apart from other sources that run dry.

use std::sync::Arc;
use std::thread::yield_now;
use std::time::Duration;

use speaker_session::audio::FRAME;
use speaker_session::mixer::{Mixer, Notice, Routing, Voice, What};
use speaker_session::source::{self, Clip, Encoding, Feed, Media, Origin, Pipe, Progress, Raw, Source, Stream};

/// Raw mono samples at the session's own rate: what is written is what is heard.
fn stream() -> (Arc<Pipe>, Feed) {
    let (pipe, stream) = Stream::new(Encoding::Raw { format: Raw::F32, rate: 48_000, channels: 1 }, false);
    let source = Source::new(Origin::Stream(stream), None, Clip::default());
    let media = Arc::new(Media::new(source, Duration::ZERO));
    (pipe, source::open(media, Clip::default(), 1, Arc::new(Progress::default())))
}

fn write(pipe: &Pipe, samples: usize, level: f32) {
    let bytes: Vec<u8> = (0..samples).flat_map(|_| level.to_le_bytes()).collect();
    assert_eq!(pipe.write(&bytes, false), Some(bytes.len()));
}

/// Mixes so many frames, each when all that was written is decoded; gives the samples and what was told.
fn mix(mixer: &mut Mixer, frames: usize) -> (Vec<f32>, Vec<String>) {
    let (mut output, mut told) = (Vec::new(), Vec::new());
    for _ in 0..frames {
        while !mixer.is_fed(FRAME) {
            yield_now();
        }
        let mut notices = Vec::new();
        mixer.begin(FRAME);
        while mixer.mix(&mut notices) {}
        for Notice { at, what, .. } in notices {
            told.push(match what {
                What::Started => format!("started@{at}"),
                What::Stalled(place) => format!("stalled {place}@{at}"),
                What::Swapped { .. } => format!("swapped@{at}"),
                What::Ended { why, played, .. } => format!("{why:?} {played}@{at}"),
                _ => unreachable!("nobody asked for it"),
            });
        }
        mixer.streams().for_each(|frame| output.extend_from_slice(frame.samples));
        mixer.refill();
    }
    (output, told)
}

#[test]
fn a_stall_is_told_at_its_sample_and_ends_what_has_no_patience_left() {
    let (pipe, feed) = stream();
    let mut mixer = Mixer::new(1, Routing::Mixdown, None);
    let mut voice = Voice::new(1, 0, feed);
    voice.patience = 5_000;
    mixer.start(voice);
    write(&pipe, 2_000, 0.5);
    let (output, told) = mix(&mut mixer, 5);
    assert_eq!(told, ["started@0", "stalled 2000@2000"]);
    assert_eq!((output[1_760], output[1_880], output[2_000]), (0.5, 0.25, 0.0));
    write(&pipe, 2_000, 0.5);
    let (output, told) = mix(&mut mixer, 8);
    assert_eq!(told, ["stalled 4000@6800", "Stall 4000@11800"]);
    assert_eq!((output[0], output[120], output[240], output[1_999]), (0.0, 0.25, 0.5, 0.5 / 240.0));
}

#[test]
fn a_flush_falls_from_where_it_is_and_the_new_samples_follow_at_once() {
    let (pipe, feed) = stream();
    let mut mixer = Mixer::new(1, Routing::Mixdown, None);
    mixer.start(Voice::new(1, 0, feed));
    write(&pipe, 20_000, 0.5);
    mix(&mut mixer, 2);
    pipe.flush(false);
    mixer.flush(1);
    write(&pipe, 3_000, 0.25);
    let (output, told) = mix(&mut mixer, 1);
    assert_eq!(told, ["swapped@2160"]);
    assert_eq!((output[0], output[120], output[240], output[360], output[480]), (0.5, 0.25, 0.0, 0.125, 0.25));
    pipe.end(Ok(()));
    let (_, told) = mix(&mut mixer, 3);
    assert_eq!(told, ["Source 5160@5160"]);
}

#[test]
fn two_flushes_are_one_and_a_flush_of_what_is_silent_tells_no_stall() {
    let (pipe, feed) = stream();
    let mut mixer = Mixer::new(1, Routing::Mixdown, None);
    mixer.start(Voice::new(1, 0, feed));
    write(&pipe, 4_000, 0.5);
    mix(&mut mixer, 1);
    for _ in 0..2 {
        pipe.flush(false);
        mixer.flush(1);
    }
    let (output, told) = mix(&mut mixer, 10);
    assert_eq!(told, ["swapped@1200"]);
    assert!(output[240..].iter().all(|sample| *sample == 0.0));
    assert_eq!(mixer.underruns(), 0);
}
