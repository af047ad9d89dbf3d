//! The output that passes frames to a callback, at its sample rate and frame length. Each tap has one too.

use std::sync::Arc;
use std::time::Instant;

use super::backlog::Backlog;
use super::{Closing, Output, SampleFormat, closed};
use crate::audio::{SAMPLE_RATE, Samples, to_ms};
use crate::dither::Dither;
use crate::error::Result;
use crate::mixer::Frame;
use crate::resample::Resampler;

/// A callback that takes frames without blocking.
pub type PcmSink = Arc<dyn Fn(PcmFrame) + Send + Sync>;

/// The format of frames.
#[derive(Debug, Clone, Copy)]
pub struct PcmFormat {
    /// The sample rate in Hz.
    pub sample_rate: u32,
    /// The number of channels, 1 or 2.
    pub channels: usize,
    /// The encoding of samples.
    pub format: SampleFormat,
    /// The length of a frame in milliseconds.
    pub frame_ms: u32,
}

impl PcmFormat {
    /// Returns the samples per channel in a frame.
    fn frame(self) -> usize {
        (self.sample_rate * self.frame_ms) as usize / 1_000
    }
}

/// A frame for JavaScript. One of the output's callback counts as taken when it is dropped, one of a tap when its reader reports it.
pub struct PcmFrame {
    /// The tap that it is for; None for the output's callback.
    pub tap: Option<u32>,
    /// The samples, interleaved and little-endian; empty at the end of a tap.
    pub data: Vec<u8>,
    /// The session's time of its first sample, in milliseconds.
    pub at_ms: f64,
    backlog: Arc<Backlog>,
}

impl Drop for PcmFrame {
    fn drop(&mut self) {
        if self.tap.is_none() {
            self.backlog.release(1);
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
        Self {
            format,
            tap,
            sink,
            backlog,
            resampler,
            resampled: Vec::new(),
            dither: format.format.dither(tap.map_or(0, |id| u64::from(id) + 1)),
            pending: Vec::new(),
            received,
            position: at_rate(received, format.sample_rate),
        }
    }

    /// Writes samples with the callback's channels.
    pub fn take(&mut self, samples: &[f32]) {
        self.resample(samples);
        self.add_dither();
        self.hand_over();
    }

    fn resample(&mut self, samples: &[f32]) {
        self.received += (samples.len() / self.format.channels) as Samples;
        self.resampler.process(samples, &mut self.resampled);
    }

    /// Adds dither, before silence is appended to fill a frame: that stays silent.
    fn add_dither(&mut self) {
        if let Some(dither) = &mut self.dither {
            self.resampled.iter_mut().for_each(|sample| *sample = dither.add(*sample));
        }
    }

    /// Advances by silence, which is not emitted: its length follows from the next frame's time. Only silence too short to complete
    /// the frame that sound has begun becomes part of that frame.
    pub fn pass(&mut self, samples: Samples) {
        if samples < self.to_fill() {
            self.take_silence(samples);
            return;
        }
        self.flush();
        self.received += samples;
        // The padding of the last frame may reach into the silence.
        self.position = self.position.max(at_rate(self.received, self.format.sample_rate));
    }

    /// Writes silence like sound.
    fn take_silence(&mut self, samples: Samples) {
        self.resample(&vec![0.0; samples as usize * self.format.channels]);
        self.hand_over();
    }

    /// Flushes the resampler and fills the last frame with silence, so that nothing is buffered or lost.
    pub fn flush(&mut self) {
        self.resampler.finish(&mut self.resampled);
        self.add_dither();
        self.pending.append(&mut self.resampled);
        let samples = self.format.frame() * self.format.channels;
        self.pending.resize(self.pending.len().next_multiple_of(samples), 0.0);
        self.hand_over();
    }

    /// Signals the end by a frame without samples.
    pub fn end(&self) {
        (self.sink)(PcmFrame {
            tap: self.tap,
            data: Vec::new(),
            at_ms: to_ms(self.received),
            backlog: self.backlog.clone(),
        });
    }

    /// Returns the samples missing to the end of the frame that sound has begun; 0 if it has begun none.
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
            if !self.backlog.push() {
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

/// Converts a time to samples of another rate, rounded up.
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
        self.backlog.has_room()
    }

    fn dropped(&self) -> u64 {
        self.backlog.dropped()
    }

    fn close(&mut self, _now: Instant) -> Closing {
        closed(self.rest())
    }
}

/// A [`Pcm`] output that emits frames in silence too. Silence is not dithered here either.
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
        if frame.sounding {
            self.pcm.take(frame.samples);
        } else {
            self.pcm.take_silence((frame.samples.len() / self.pcm.format.channels) as Samples);
        }
        Ok(true)
    }

    fn skip(&mut self, samples: Samples) -> Result<()> {
        self.pcm.take_silence(samples);
        Ok(())
    }

    /// Skips lost time without frames: a burst of them would delay whoever plays them one by one.
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
