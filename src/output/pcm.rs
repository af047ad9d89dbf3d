//! The output that hands frames to a callback, at the callback's rate and frame length. Each tap has one too.

use std::sync::Arc;
use std::time::Instant;

use super::backlog::Backlog;
use super::{Closing, Output, SampleFormat, closed};
use crate::audio::{SAMPLE_RATE, Samples, to_ms};
use crate::dither::Dither;
use crate::error::Result;
use crate::mixer::Frame;
use crate::resample::Resampler;

/// Takes frames, without blocking.
pub type PcmSink = Arc<dyn Fn(PcmFrame) + Send + Sync>;

/// What frames are to be like.
#[derive(Debug, Clone, Copy)]
pub struct PcmFormat {
    /// In Hz.
    pub sample_rate: u32,
    /// 1 or 2.
    pub channels: usize,
    /// How samples are written.
    pub format: SampleFormat,
    /// The length of a frame in milliseconds.
    pub frame_ms: u32,
}

impl PcmFormat {
    /// Samples per channel in a frame.
    fn frame(self) -> usize {
        (self.sample_rate * self.frame_ms) as usize / 1_000
    }
}

/// One frame for JavaScript. For the output's callback it counts as taken when it is dropped; for a tap, when its reader says so.
pub struct PcmFrame {
    /// Which tap it is for; `None` for the output's callback.
    pub tap: Option<u32>,
    /// Its samples, interleaved and little-endian; none at the end of a tap.
    pub data: Vec<u8>,
    /// The session's time of its first sample, in milliseconds.
    pub at_ms: f64,
    backlog: Arc<Backlog>,
}

impl Drop for PcmFrame {
    fn drop(&mut self) {
        if self.tap.is_none() {
            self.backlog.leave(1);
        }
    }
}

pub struct Pcm {
    format: PcmFormat,
    tap: Option<u32>,
    sink: PcmSink,
    backlog: Arc<Backlog>,
    resampler: Resampler,
    resampled: Vec<f32>,
    dither: Option<Dither>,
    pending: Vec<f32>,
    /// The session's time so far.
    received: Samples,
    /// The time of the next frame, in samples of the callback's rate.
    position: u64,
}

impl Pcm {
    pub fn new(format: PcmFormat, tap: Option<u32>, received: Samples, sink: PcmSink, backlog: Arc<Backlog>) -> Self {
        let resampler = Resampler::new(SAMPLE_RATE, format.sample_rate, format.channels);
        let (resampled, pending) = (Vec::new(), Vec::new());
        let position = at_rate(received, format.sample_rate);
        let dither = format.format.dither(tap.map_or(0, |id| u64::from(id) + 1));
        Self { format, tap, sink, backlog, resampler, resampled, dither, pending, received, position }
    }

    /// Takes samples in the callback's channels.
    pub fn take(&mut self, samples: &[f32]) {
        self.resample(samples);
        self.add_dither();
        self.hand_over();
    }

    fn resample(&mut self, samples: &[f32]) {
        self.received += (samples.len() / self.format.channels) as Samples;
        self.resampler.process(samples, &mut self.resampled);
    }

    /// Dither belongs to what was mixed; silence that fills a frame stays silent.
    fn add_dither(&mut self) {
        if let Some(dither) = &mut self.dither {
            self.resampled.iter_mut().for_each(|sample| *sample = dither.add(*sample));
        }
    }

    /// Silence is not handed over: the next frame's time tells how long it was. Only what is too short to fill the frame
    /// that sound has begun is part of it.
    pub fn pass(&mut self, samples: Samples) {
        if samples < self.to_fill() {
            self.take_silence(samples);
            return;
        }
        self.flush();
        self.received += samples;
        // What filled the last frame may reach into the silence.
        self.position = self.position.max(at_rate(self.received, self.format.sample_rate));
    }

    /// Silence is handed over as sound is.
    fn take_silence(&mut self, samples: Samples) {
        self.resample(&vec![0.0; samples as usize * self.format.channels]);
        self.hand_over();
    }

    /// The resampler's tail goes out, and the last frame is filled with silence: nothing is held back or lost.
    pub fn flush(&mut self) {
        self.resampler.finish(&mut self.resampled);
        self.add_dither();
        self.pending.append(&mut self.resampled);
        let samples = self.format.frame() * self.format.channels;
        self.pending.resize(self.pending.len().next_multiple_of(samples), 0.0);
        self.hand_over();
    }

    /// Says that nothing follows, by a frame without samples.
    pub fn end(&self) {
        let (data, at_ms) = (Vec::new(), to_ms(self.received));
        (self.sink)(PcmFrame { tap: self.tap, data, at_ms, backlog: self.backlog.clone() });
    }

    /// Samples that are missing to the end of the frame that sound has begun; 0 if it has begun none.
    fn to_fill(&self) -> Samples {
        let (rate, frame) = (self.format.sample_rate, self.format.frame() as u64);
        let begun = at_rate(self.received, rate).saturating_sub(self.position).next_multiple_of(frame);
        let end = ((self.position + begun) * u64::from(SAMPLE_RATE)).div_ceil(u64::from(rate));
        if begun > 0 { end.saturating_sub(self.received) } else { 0 }
    }

    fn hand_over(&mut self) {
        self.pending.append(&mut self.resampled);
        let samples = self.format.frame() * self.format.channels;
        while self.pending.len() >= samples {
            let at_ms = self.position as f64 * 1_000.0 / f64::from(self.format.sample_rate);
            self.position += self.format.frame() as u64;
            if !self.backlog.enter() {
                self.pending.drain(..samples);
                continue;
            }
            let mut data = Vec::with_capacity(samples * self.format.format.bytes());
            self.format.format.write(&self.pending[..samples], None, &mut data);
            self.pending.drain(..samples);
            (self.sink)(PcmFrame { tap: self.tap, data, at_ms, backlog: self.backlog.clone() });
        }
    }
}

/// A time in samples of another rate.
fn at_rate(time: Samples, rate: u32) -> u64 {
    (time * u64::from(rate)).div_ceil(u64::from(SAMPLE_RATE))
}

impl Output for Pcm {
    fn write(&mut self, frame: &Frame, _now: Instant) -> Result<bool> {
        self.take(frame.samples);
        Ok(true)
    }

    fn skip(&mut self, samples: Samples) -> Result<()> {
        self.pass(samples);
        Ok(())
    }

    fn rest(&mut self) -> Result<()> {
        self.flush();
        Ok(())
    }

    fn has_room(&self) -> bool {
        self.backlog.lets_go_on()
    }

    fn dropped(&self) -> u64 {
        self.backlog.dropped()
    }

    fn close(&mut self, _now: Instant) -> Closing {
        closed(self.rest())
    }
}

/// The same with frames in silence too. Dither belongs to what was mixed there as well.
pub struct Continuous {
    pcm: Pcm,
}

impl Continuous {
    pub fn new(pcm: Pcm) -> Self {
        Self { pcm }
    }
}

impl Output for Continuous {
    fn write(&mut self, frame: &Frame, _now: Instant) -> Result<bool> {
        match frame.sounding {
            true => self.pcm.take(frame.samples),
            false => self.pcm.take_silence((frame.samples.len() / self.pcm.format.channels) as Samples),
        }
        Ok(true)
    }

    fn skip(&mut self, samples: Samples) -> Result<()> {
        self.pcm.take_silence(samples);
        Ok(())
    }

    /// Frames that come all at once would be heard late by whoever plays them one by one: time jumps.
    fn lose(&mut self, samples: Samples) -> Result<()> {
        self.pcm.pass(samples);
        Ok(())
    }

    fn has_room(&self) -> bool {
        self.pcm.has_room()
    }

    fn dropped(&self) -> u64 {
        self.pcm.dropped()
    }

    fn close(&mut self, now: Instant) -> Closing {
        self.pcm.close(now)
    }
}
