//! Taps: each gets a copy of what the output took, of all streams, of one track or of one playback.

use std::sync::Arc;

use super::backlog::Backlog;
use super::pcm::{Pcm, PcmFormat, PcmSink};
use crate::audio::Samples;
use crate::mixer::{Frame, Stem};

/// What a tap has a copy of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tapped {
    /// All streams, summed.
    All,
    /// Nothing, for it is over already.
    Nothing,
    /// One stream.
    Stream(u32),
    /// A part of a stream: one track where tracks are mixed down, or one playback.
    Stem(Stem),
}

/// A tap to be opened.
pub struct TapRequest {
    /// Tells the session's taps apart.
    pub id: u32,
    /// What it has a copy of.
    pub of: Tapped,
    /// What its frames are like.
    pub format: PcmFormat,
    /// Takes them.
    pub sink: PcmSink,
    /// Counts those that wait for its reader.
    pub backlog: Arc<Backlog>,
}

struct Tap {
    id: u32,
    of: Tapped,
    /// What sounded in the frame, if it has a copy of a part; empty if nothing did.
    part: Vec<f32>,
    backlog: Arc<Backlog>,
    channels: usize,
    pcm: Pcm,
    converted: Vec<f32>,
}

/// The taps of a session. Without any, its methods do nothing.
pub struct Taps {
    /// Of the streams.
    channels: usize,
    taps: Vec<Tap>,
    /// What sounded in the frame, of all streams; empty if nothing did.
    sum: Vec<f32>,
}

impl Taps {
    /// None yet, for an output of so many channels.
    pub fn new(channels: usize) -> Self {
        Self { channels, taps: Vec::new(), sum: Vec::new() }
    }

    /// Opens a tap, from session time `now` on.
    pub fn open(&mut self, request: TapRequest, now: Samples) {
        let TapRequest { id, of, format, sink, backlog } = request;
        let pcm = Pcm::new(format, Some(id), now, sink, backlog.clone());
        let (part, converted) = (Vec::new(), Vec::new());
        self.taps.push(Tap { id, of, part, backlog, channels: format.channels, pcm, converted });
    }

    /// What a tap is of is over: hands over what is held back, says that nothing follows, and closes it.
    pub fn end(&mut self, id: u32) {
        for mut tap in self.taps.extract_if(.., |tap| tap.id == id) {
            tap.pcm.flush();
            tap.pcm.end();
            tap.backlog.expect_reader(false);
        }
    }

    /// Closes a tap.
    pub fn close(&mut self, id: u32) {
        self.taps.retain(|tap| tap.id != id);
    }

    /// The output has taken a frame of one stream.
    pub fn add(&mut self, frame: &Frame) {
        if self.taps.is_empty() || !frame.sounding {
            return;
        }
        if self.sum.is_empty() {
            self.sum.extend_from_slice(frame.samples);
        } else {
            self.sum.iter_mut().zip(frame.samples).for_each(|(sum, sample)| *sum += sample);
        }
        self.add_part(Tapped::Stream(frame.stream), frame.samples);
    }

    /// The output has taken a frame of which this is a part.
    pub fn add_stem(&mut self, stem: Stem, samples: &[f32]) {
        self.add_part(Tapped::Stem(stem), samples);
    }

    fn add_part(&mut self, of: Tapped, samples: &[f32]) {
        for tap in self.taps.iter_mut().filter(|tap| tap.of == of) {
            tap.part.clear();
            tap.part.extend_from_slice(samples);
        }
    }

    /// The frame is complete, of so many samples; silence if the output took nothing that sounds.
    pub fn hand_over(&mut self, samples: Samples) {
        for tap in &mut self.taps {
            let sounds = if tap.of == Tapped::All { &self.sum } else { &tap.part };
            if sounds.is_empty() {
                tap.pcm.pass(samples);
            } else {
                convert(sounds, self.channels, tap.channels, &mut tap.converted);
                tap.pcm.take(&tap.converted);
            }
            tap.part.clear();
        }
        self.sum.clear();
    }

    /// Silence passes.
    pub fn skip(&mut self, samples: Samples) {
        self.taps.iter_mut().for_each(|tap| tap.pcm.pass(samples));
    }

    /// Nothing follows for a while: hands over what is held back.
    pub fn rest(&mut self) {
        self.taps.iter_mut().for_each(|tap| tap.pcm.flush());
    }

    /// Returns true if no tap holds a manual clock.
    pub fn let_go_on(&self) -> bool {
        self.taps.iter().all(|tap| tap.backlog.lets_go_on())
    }
}

/// Mono is the mean of left and right, as everywhere; stereo has it on both sides.
fn convert(samples: &[f32], from: usize, to: usize, converted: &mut Vec<f32>) {
    converted.clear();
    match (from, to) {
        (2, 1) => converted.extend(samples.chunks_exact(2).map(|pair| (pair[0] + pair[1]) / 2.0)),
        (1, 2) => converted.extend(samples.iter().flat_map(|sample| [*sample; 2])),
        _ => converted.extend_from_slice(samples),
    }
}
