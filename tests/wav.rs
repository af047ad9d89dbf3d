//! The file of a WAV output at any time, and after an end without a close.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use speaker_session::internals::error::Result;
use speaker_session::internals::mixer::Frame;
use speaker_session::internals::output::{Closing, Output, OutputEvent, OutputOptions, SampleFormat};
use speaker_session::internals::reserved::ReservedPath;
use speaker_session::internals::runtime::RUNTIME;
use speaker_session::internals::source::DriverNotifier;

const OLD: &[u8] = b"what was there";

/// Makes a folder with `old.wav` in it.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("there is room");
    fs::write(folder.path().join("old.wav"), OLD).expect("there is room");
    folder
}

fn open(path: &Path) -> Box<dyn Output> {
    open_as(path, 1, SampleFormat::S16 { dither: false })
}

fn open_as(path: &Path, channels: usize, format: SampleFormat) -> Box<dyn Output> {
    let path = Arc::new(ReservedPath::new(path.to_path_buf()));
    let options = OutputOptions::Wav { path, format, keeps_unheard: true };
    let mut output = options.open(channels, &Arc::new(DriverNotifier::default()), Instant::now());
    assert!(!output.is_connected(), "nobody waits for a disk");
    assert!(matches!(next_event(&mut *output), OutputEvent::Connected));
    output
}

/// Returns the next event of the output.
fn next_event(output: &mut dyn Output) -> OutputEvent {
    RUNTIME.block_on(std::future::poll_fn(|context| output.poll(context, Instant::now())))
}

/// Waits until the disk has done its work.
fn settle(output: &dyn Output) {
    let late = Instant::now() + Duration::from_secs(20);
    while !output.has_room() {
        assert!(Instant::now() < late, "the disk has nothing to do");
        std::thread::sleep(Duration::from_micros(100));
    }
}

fn ended(closing: Closing) -> Result<()> {
    RUNTIME.block_on(closing)
}

fn names(folder: &Path) -> Vec<PathBuf> {
    let mut names: Vec<PathBuf> =
        fs::read_dir(folder).expect("it is there").map(|entry| entry.unwrap().file_name().into()).collect();
    names.sort();
    names
}

#[test]
fn abandoned_output_leaves_no_file() {
    let folder = folder();
    for name in ["old.wav", "new.wav"] {
        let mut output = open(&folder.path().join(name));
        assert_eq!(names(folder.path()).len(), 2);
        ended(output.give_up(Instant::now())).expect("it is removed");
        assert_eq!(names(folder.path()), [PathBuf::from("old.wav")]);
        assert_eq!(fs::read(folder.path().join("old.wav")).unwrap(), OLD);
    }
}

#[test]
fn dropped_output_leaves_a_valid_file() {
    let folder = folder();
    let mut output = open(&folder.path().join("old.wav"));
    output.skip(480).expect("there is room");
    drop(output);
    let late = Instant::now() + Duration::from_secs(20);
    let part = loop {
        let part = fs::read(folder.path().join("old.wav.part")).expect("it is there");
        if part[40..44] == 960_u32.to_le_bytes() {
            break part;
        }
        assert!(Instant::now() < late, "it is never written");
    };
    assert_eq!(part.len(), 44 + 960);
    assert_eq!(fs::read(folder.path().join("old.wav")).unwrap(), OLD);
}

/// An operation on an output.
#[derive(Debug, Clone)]
enum Step {
    Write(usize),
    Skip(u64),
    Rest,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1_usize..=960).prop_map(Step::Write),
        2 => (0_u64..=2_000).prop_map(Step::Skip),
        1 => (20_000_u64..=60_000).prop_map(Step::Skip),
        1 => Just(Step::Rest),
    ]
}

/// Returns the samples of a file, by a reader that shares no code with its writer.
fn read(path: &Path) -> Vec<f32> {
    let mut reader = hound::WavReader::open(path).expect("it is valid");
    match reader.spec().sample_format {
        hound::SampleFormat::Int => {
            reader.samples::<i16>().map(|sample| f32::from(sample.unwrap()) / 32_768.0).collect()
        }
        hound::SampleFormat::Float => reader.samples().map(|sample| sample.unwrap()).collect(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn file_is_valid_at_any_time(
        steps in prop::collection::vec(step(), 1..60),
        channels in 1_usize..=2,
        is_float in any::<bool>(),
    ) {
        let folder = folder();
        let path = folder.path().join("new.wav");
        let format = if is_float { SampleFormat::F32 } else { SampleFormat::S16 { dither: false } };
        let mut output = open_as(&path, channels, format);
        let mut expected = Vec::new();
        for step in steps {
            match step {
                Step::Write(frames) => {
                    let first = expected.len();
                    let samples: Vec<f32> =
                        (first..first + frames * channels).map(|n| (n % 30_000 + 1) as f32 / 32_768.0).collect();
                    output.write(&Frame { stream: 0, at: 0, samples: &samples, sounding: true, part: None }, Instant::now()).unwrap();
                    expected.extend(samples);
                }
                Step::Skip(frames) => {
                    output.skip(frames).unwrap();
                    expected.resize(expected.len() + frames as usize * channels, 0.0);
                }
                Step::Rest => output.rest().unwrap(),
            }
            // As a clock does that waits for the disk.
            settle(&*output);
            let there = read(&path);
            prop_assert_eq!(&there[..], &expected[..there.len()]);
            prop_assert!(expected.len() - there.len() < 24_000 * channels, "more than half a second is held back");
        }
        ended(output.close(Instant::now())).unwrap();
        prop_assert_eq!(read(&path), expected);
    }
}
