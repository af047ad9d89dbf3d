//! A stream in the mixer: a writer and a real decode task, unlike other sources that run dry.

use std::sync::Arc;
use std::thread::yield_now;
use std::time::Duration;

use speaker_session::internals::audio::FRAME;
use speaker_session::internals::mixer::{Mixer, MixerEventKind, Routing, Scratch, Voice};
use speaker_session::internals::runtime::DECODERS;
use speaker_session::internals::source::{
    self, DriverNotifier, Encoding, FetchLimits, Opening, Origin, PcmReader, PipeWriter, Raw, Section, Source, Stream,
};

/// Makes a stream of raw mono samples at the session's own rate: they are played as they are written.
fn stream() -> (Arc<PipeWriter>, PcmReader) {
    let (pipe, stream) = Stream::new(Encoding::Raw { format: Raw::F32, rate: 48_000, channels: 1 }, false);
    let source = Source::new(Origin::Stream(stream), None, Section::default());
    (pipe, open(Opening::Source(source)))
}

fn open(opening: Opening) -> PcmReader {
    let limits = FetchLimits { timeout: Duration::ZERO, min_bytes_per_second: 0.0 };
    source::open(&DECODERS, opening, 1, 0, limits, Arc::new(DriverNotifier::default()))
}

fn write(pipe: &PipeWriter, samples: usize, level: f32) {
    let bytes: Vec<u8> = (0..samples).flat_map(|_| level.to_le_bytes()).collect();
    assert_eq!(pipe.write(&bytes, false), Some(bytes.len()));
}

/// A mixer with one voice.
struct Desk {
    mixer: Mixer,
    voices: Vec<Voice>,
    scratch: Scratch,
}

impl Desk {
    fn new(mut voice: Voice) -> Self {
        let mut mixer = Mixer::new(1, Routing::Mixdown, None);
        mixer.start::<Voice>(&mut voice, &mut []);
        Self { mixer, voices: vec![voice], scratch: Scratch::default() }
    }

    /// Mixes this many frames, each once everything written is decoded. Returns the samples and the events.
    fn mix(&mut self, frames: usize) -> (Vec<f32>, Vec<String>) {
        let (mut output, mut reported) = (Vec::new(), Vec::new());
        for _ in 0..frames {
            while !Mixer::is_fed(&mut self.voices, FRAME) {
                yield_now();
            }
            let mut events = Vec::new();
            self.mixer.begin(FRAME, &mut self.scratch);
            while self.mixer.mix(&mut self.voices, &mut self.scratch, &mut events) {
                for event in events.drain(..) {
                    let at = event.at;
                    reported.push(match event.kind {
                        MixerEventKind::Started => format!("started@{at}"),
                        MixerEventKind::Stalled(place) => format!("stalled {place}@{at}"),
                        MixerEventKind::Swapped { .. } => format!("swapped@{at}"),
                        MixerEventKind::Ended(why) => format!("{why:?} {}@{at}", self.voices.remove(0).played()),
                        _ => unreachable!("nothing else is asked for"),
                    });
                }
            }
            self.mixer.finish(&mut self.scratch);
            let before = output.len();
            self.scratch.frames().for_each(|frame| output.extend_from_slice(frame.samples));
            output.resize(before + FRAME, 0.0);
            self.voices.iter().filter_map(|voice| voice.reader.refill()).for_each(|waker| waker.wake());
        }
        (output, reported)
    }

    /// Makes the voice go on with what is written from now on.
    fn flush(&mut self) {
        let flushed = self.voices[0].reader.flushed_opening().expect("it is a stream");
        // It fades first; of two flushes the reader of the first is no longer used.
        let what = self.voices[0].flush_to(open(flushed));
        assert!(matches!(what, None | Some(MixerEventKind::Swapped { sought: None, .. })));
    }
}

#[test]
fn stall_is_reported_and_times_out() {
    let (pipe, reader) = stream();
    let mut voice = Voice::new(1.into(), 0, reader);
    voice.stall_timeout = 5_000;
    let mut desk = Desk::new(voice);
    write(&pipe, 2_000, 0.5);
    let (output, reported) = desk.mix(5);
    assert_eq!(reported, ["started@0", "stalled 2000@2000"]);
    assert_eq!((output[1_760], output[1_880], output[2_000]), (0.5, 0.25, 0.0));
    write(&pipe, 2_000, 0.5);
    let (output, reported) = desk.mix(8);
    assert_eq!(reported, ["stalled 4000@6800", "Stall 4000@11800"]);
    assert_eq!((output[0], output[120], output[240], output[1_999]), (0.0, 0.25, 0.5, 0.5 / 240.0));
}

#[test]
fn new_samples_follow_a_flush_at_once() {
    let (pipe, reader) = stream();
    let mut desk = Desk::new(Voice::new(1.into(), 0, reader));
    write(&pipe, 20_000, 0.5);
    desk.mix(2);
    pipe.flush(false);
    desk.flush();
    write(&pipe, 3_000, 0.25);
    let (output, reported) = desk.mix(1);
    assert_eq!(reported, ["swapped@2160"]);
    assert_eq!((output[0], output[120], output[240], output[360], output[480]), (0.5, 0.25, 0.0, 0.125, 0.25));
    pipe.end(Ok(()));
    let (_, reported) = desk.mix(3);
    assert_eq!(reported, ["Source 5160@5160"]);
}

#[test]
fn two_flushes_count_once_without_a_stall() {
    let (pipe, reader) = stream();
    let mut desk = Desk::new(Voice::new(1.into(), 0, reader));
    write(&pipe, 4_000, 0.5);
    desk.mix(1);
    for _ in 0..2 {
        pipe.flush(false);
        desk.flush();
    }
    let (output, reported) = desk.mix(10);
    assert_eq!(reported, ["swapped@1200"]);
    assert!(output[240..].iter().all(|sample| *sample == 0.0));
    assert_eq!(desk.mixer.underruns(), 0);
}
