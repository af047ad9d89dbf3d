//! Taps: each gets a copy of what the output took, all streams summed.

use std::sync::Arc;

use super::backlog::Backlog;
use super::pcm::{Pcm, PcmFormat, PcmSink};
use crate::audio::Samples;
use crate::mixer::Frame;

/// A tap to be opened.
pub struct TapRequest {
    /// Tells the session's taps apart.
    pub id: u32,
    /// What its frames are like.
    pub format: PcmFormat,
    /// Takes them.
    pub sink: PcmSink,
    /// Counts those that wait for its reader.
    pub backlog: Arc<Backlog>,
}

struct Tap {
    id: u32,
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
    /// What sounded in the frame; empty if nothing did.
    sum: Vec<f32>,
}

impl Taps {
    /// None yet, for an output of so many channels.
    pub fn new(channels: usize) -> Self {
        Self { channels, taps: Vec::new(), sum: Vec::new() }
    }

    /// Opens a tap, from session time `now` on.
    pub fn open(&mut self, request: TapRequest, now: Samples) {
        let TapRequest { id, format, sink, backlog } = request;
        let pcm = Pcm::new(format, Some(id), now, sink, backlog.clone());
        self.taps.push(Tap { id, backlog, channels: format.channels, pcm, converted: Vec::new() });
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
    }

    /// The frame is complete, of so many samples; silence if the output took nothing that sounds.
    pub fn hand_over(&mut self, samples: Samples) {
        if self.sum.is_empty() {
            return self.skip(samples);
        }
        for tap in &mut self.taps {
            convert(&self.sum, self.channels, tap.channels, &mut tap.converted);
            tap.pcm.take(&tap.converted);
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
