//! The calls of a stream's writer in any order, against a model: every sample written after the last flush is played, once, and a writer
//! that waits for room is notified.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use speaker_session::internals::source::{Encoding, Opening, Origin, PcmReader, Raw, Section, Source, Stream};

use super::media::{Bench, Heard};
use super::run::{Failure, Seen};

/// The most bytes of an input that are used: further ones would only take time.
const MAX_CALLS: usize = 160;

/// Runs an input: a list of calls, and of the bytes that are written.
pub fn run(input: &[u8], plan: u64, bench: &mut Bench, seen: &mut Seen) -> Result<(), Failure> {
    let encoding = Encoding::Raw { format: Raw::Pcm16, rate: 48_000, channels: 1 };
    let (pipe, stream) = Stream::new(encoding, false);
    let source = Source::new(Origin::Stream(stream), None, Section::default());
    let eager = plan.is_multiple_of(2);
    let mut ear = Ear::new(bench.open(Opening::Source(source), 1, eager));
    let (asked, told) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let mut calls = input[..input.len().min(MAX_CALLS)].iter();
    while let Some(call) = calls.next() {
        match call % 8 {
            0..=2 => {
                // Sometimes more than it holds.
                let count = usize::from(*calls.next().unwrap_or(&0)) * if call & 0x80 != 0 { 500 } else { 1 };
                let bytes: Vec<u8> =
                    (0..count).map(|n| calls.as_slice().get(n % 64).map_or(n as u8, |byte| byte ^ n as u8)).collect();
                match pipe.write(&bytes, call & 8 != 0) {
                    Some(taken) if taken <= bytes.len() => ear.written.extend(&bytes[..taken]),
                    taken => {
                        return Err(Failure::new("write", format!("{taken:?} of {} bytes were taken", bytes.len())));
                    }
                }
            }
            3 | 4 => drop(bench.run(seen)),
            5 => drop(ear.heard.take(&mut ear.reader)?),
            6 => {
                pipe.flush(call & 8 != 0);
                let next = ear.reader.flushed_opening().expect("it is a stream");
                let old = std::mem::replace(&mut ear, Ear::new(bench.open(next, 1, eager)));
                old.check(false)?;
            }
            // Only one may be outstanding.
            _ if asked.load(Ordering::Relaxed) == told.load(Ordering::Relaxed) => {
                asked.fetch_add(1, Ordering::Relaxed);
                let told = told.clone();
                pipe.when_writable(move || {
                    told.fetch_add(1, Ordering::Relaxed);
                });
            }
            _ => {}
        }
    }
    pipe.end(Ok(()));
    loop {
        let ran = bench.run(seen);
        let (took, ended) = ear.heard.take(&mut ear.reader)?;
        if ended {
            break;
        }
        if !ran && took == 0 {
            return Err(Failure::new(
                "stuck",
                format!("{} bytes were written, {} samples heard", ear.written.len(), ear.heard.samples),
            ));
        }
    }
    seen.sound(ear.heard.samples);
    ear.check(true)?;
    bench.run(seen);
    bench.is_clear()?;
    match (asked.into_inner(), told.load(Ordering::Relaxed)) {
        (asked, told) if asked == told => Ok(()),
        (asked, told) => {
            Err(Failure::new("room", format!("a writer asked {asked} times for room and was told {told} times")))
        }
    }
}

/// A reader, and the bytes that were written for it.
struct Ear {
    reader: PcmReader,
    heard: Heard,
    written: Vec<u8>,
}

impl Ear {
    fn new(reader: PcmReader) -> Self {
        Self { reader, heard: Heard::keeping(), written: Vec::new() }
    }

    /// Checks the samples: all of them, unless a flush cut them off.
    fn check(self, is_whole: bool) -> Result<(), Failure> {
        let written = self.written.as_chunks().0.iter().map(|sample| f32::from(i16::from_le_bytes(*sample)) / 32_768.0);
        let heard = self.heard.kept.unwrap_or_default();
        let is_begun = heard.iter().copied().eq(written.clone().take(heard.len()));
        let outcome = self.reader.outcome();
        let is_sound = match outcome {
            Some(Err(error)) => {
                self.written.is_empty() && error.code == speaker_session::internals::error::Code::EmptySource
            }
            _ => true,
        };
        if is_begun && is_sound && (!is_whole || heard.len() == written.len()) {
            return Ok(());
        }
        let what = format!("{} samples were written, {} heard, {outcome:?}", written.len(), heard.len());
        Err(Failure::new("heard", what))
    }
}
