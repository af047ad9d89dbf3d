//! Taps: copies of the written audio, of all streams, of one track or of one playback.

use std::sync::Arc;

use super::backlog::Backlog;
use super::pcm::{Pcm, PcmFormat, PcmSink};
use crate::audio::Samples;
use crate::mixer::{Frame, Stem};

/// The audio that a tap copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TapTarget {
    /// All streams, summed.
    All,
    /// Nothing, because the playback has ended already.
    Nothing,
    /// One stream.
    Stream(u32),
    /// A part of a stream: one track of a mixdown, or one playback.
    Stem(Stem),
}

/// A request to open a tap.
pub struct TapRequest {
    /// The tap's id, unique in the session.
    pub id: u32,
    /// The audio to copy.
    pub target: TapTarget,
    /// The format of its frames.
    pub format: PcmFormat,
    /// The callback that takes them.
    pub sink: PcmSink,
    /// The count of frames that wait for the reader.
    pub backlog: Arc<Backlog>,
}

struct Tap {
    id: u32,
    target: TapTarget,
    /// The sound of this frame, if the tap copies a part; empty in silence.
    part: Vec<f32>,
    backlog: Arc<Backlog>,
    channels: usize,
    pcm: Pcm,
    converted: Vec<f32>,
}

/// The end of a tap reaches its reader however the tap goes, also if the session breaks.
impl Drop for Tap {
    fn drop(&mut self) {
        self.pcm.end();
        self.backlog.expect_reader(false);
    }
}

/// The taps of a session. Without any, the methods do nothing.
pub struct Taps {
    /// The channels of the streams.
    channels: usize,
    taps: Vec<Tap>,
    /// The sum of all streams in this frame; empty in silence.
    sum: Vec<f32>,
}

impl Taps {
    /// Creates an empty set for an output of `channels` channels.
    pub fn new(channels: usize) -> Self {
        Self { channels, taps: Vec::new(), sum: Vec::new() }
    }

    /// Opens a tap, from session time `now` on.
    pub fn open(&mut self, request: TapRequest, now: Samples) {
        let TapRequest { id, target, format, sink, backlog } = request;
        let pcm = Pcm::new(format, Some(id), now, sink, backlog.clone());
        self.taps.push(Tap {
            id,
            target,
            part: Vec::new(),
            backlog,
            channels: format.channels,
            pcm,
            converted: Vec::new(),
        });
    }

    /// Flushes a tap whose audio has ended, and closes it.
    pub fn end(&mut self, id: u32) {
        self.taps.extract_if(.., |tap| tap.id == id).for_each(|mut tap| tap.pcm.flush());
    }

    /// Closes a tap.
    pub fn close(&mut self, id: u32) {
        self.taps.retain(|tap| tap.id != id);
    }

    /// Adds a frame of one stream that the output has accepted.
    pub fn add(&mut self, frame: &Frame) {
        if self.taps.is_empty() || !frame.sounding {
            return;
        }
        if self.sum.is_empty() {
            self.sum.extend_from_slice(frame.samples);
        } else {
            self.sum.iter_mut().zip(frame.samples).for_each(|(sum, sample)| *sum += sample);
        }
        self.add_part(TapTarget::Stream(frame.stream), frame.samples);
    }

    /// Adds a part of a frame that the output has accepted.
    pub fn add_stem(&mut self, stem: Stem, samples: &[f32]) {
        self.add_part(TapTarget::Stem(stem), samples);
    }

    fn add_part(&mut self, target: TapTarget, samples: &[f32]) {
        for tap in self.taps.iter_mut().filter(|tap| tap.target == target) {
            tap.part.clear();
            tap.part.extend_from_slice(samples);
        }
    }

    /// Emits the frame of `samples` samples to every tap; silence where nothing was added.
    pub fn hand_over(&mut self, samples: Samples) {
        for tap in &mut self.taps {
            let sounds = if tap.target == TapTarget::All { &self.sum } else { &tap.part };
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

    /// Advances by silence.
    pub fn skip(&mut self, samples: Samples) {
        self.taps.iter_mut().for_each(|tap| tap.pcm.pass(samples));
    }

    /// Flushes what is buffered, because nothing follows for a while.
    pub fn rest(&mut self) {
        self.taps.iter_mut().for_each(|tap| tap.pcm.flush());
    }

    /// Returns true if no tap makes a manual clock wait.
    pub fn have_room(&self) -> bool {
        self.taps.iter().all(|tap| tap.backlog.has_room())
    }
}

/// Converts between mono and stereo: mono is the mean of left and right, and stereo repeats mono on both sides.
fn convert(samples: &[f32], from: usize, to: usize, converted: &mut Vec<f32>) {
    converted.clear();
    match (from, to) {
        (2, 1) => converted.extend(samples.chunks_exact(2).map(|pair| (pair[0] + pair[1]) / 2.0)),
        (1, 2) => converted.extend(samples.iter().flat_map(|sample| [*sample; 2])),
        _ => converted.extend_from_slice(samples),
    }
}
