//! The output that hands frames to a callback, at the callback's rate and frame length.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Closing, Output, SampleFormat, closed};
use crate::audio::{SAMPLE_RATE, Samples, to_s16};
use crate::error::Result;
use crate::mixer::Frame;
use crate::resample::Resampler;
use crate::source::Progress;

/// Frames that may wait for the callback: a realtime clock drops newer ones, a manual clock waits.
const MAX_WAITING: usize = 64;

/// Takes frames, without blocking.
pub type PcmSink = Arc<dyn Fn(PcmFrame) + Send + Sync>;

/// One frame for the callback. Dropping it makes room for another.
pub struct PcmFrame {
    pub data: Vec<u8>,
    /// The session's time of its first sample, in milliseconds.
    pub at_ms: f64,
    waiting: Arc<AtomicUsize>,
    progress: Arc<Progress>,
}

impl Drop for PcmFrame {
    fn drop(&mut self) {
        self.waiting.fetch_sub(1, Ordering::AcqRel);
        if self.progress.eager {
            self.progress.notify.notify_one();
        }
    }
}

pub struct Pcm {
    sample_rate: u32,
    channels: usize,
    format: SampleFormat,
    /// Samples per channel in one of the callback's frames.
    frame: usize,
    realtime: bool,
    sink: PcmSink,
    progress: Arc<Progress>,
    resampler: Resampler,
    resampled: Vec<f32>,
    pending: VecDeque<f32>,
    /// The session's time so far.
    received: Samples,
    /// The time of the next frame, in samples of the callback's rate.
    position: u64,
    waiting: Arc<AtomicUsize>,
    dropped: u64,
}

impl Pcm {
    pub fn new(
        sample_rate: u32,
        channels: usize,
        format: SampleFormat,
        frame: usize,
        realtime: bool,
        sink: PcmSink,
        progress: Arc<Progress>,
    ) -> Self {
        Self {
            sample_rate,
            channels,
            format,
            frame,
            realtime,
            sink,
            progress,
            resampler: Resampler::new(SAMPLE_RATE, sample_rate, channels),
            resampled: Vec::new(),
            pending: VecDeque::new(),
            received: 0,
            position: 0,
            waiting: Arc::default(),
            dropped: 0,
        }
    }

    fn hand_over(&mut self) {
        let samples = self.frame * self.channels;
        while self.pending.len() >= samples {
            let at_ms = self.position as f64 * 1_000.0 / f64::from(self.sample_rate);
            self.position += self.frame as u64;
            let frame = self.pending.drain(..samples);
            if self.realtime && self.waiting.load(Ordering::Acquire) >= MAX_WAITING {
                self.dropped += 1;
                continue;
            }
            let mut data = Vec::with_capacity(samples * self.format.bytes());
            match self.format {
                SampleFormat::S16 => frame.for_each(|sample| data.extend_from_slice(&to_s16(sample).to_le_bytes())),
                SampleFormat::F32 => frame.for_each(|sample| data.extend_from_slice(&sample.to_le_bytes())),
            }
            self.waiting.fetch_add(1, Ordering::AcqRel);
            let (waiting, progress) = (self.waiting.clone(), self.progress.clone());
            (self.sink)(PcmFrame { data, at_ms, waiting, progress });
        }
    }
}

impl Output for Pcm {
    fn write(&mut self, frame: &Frame) -> Result<()> {
        self.received += (frame.samples.len() / self.channels) as Samples;
        self.resampler.process(frame.samples, &mut self.resampled);
        self.pending.extend(self.resampled.drain(..));
        self.hand_over();
        Ok(())
    }

    /// Silence is not handed over: the next frame's time tells how long it was.
    fn skip(&mut self, samples: Samples) -> Result<()> {
        self.rest()?;
        self.received += samples;
        // What filled the last frame may reach into the silence.
        self.position = self.position.max(self.received * u64::from(self.sample_rate) / u64::from(SAMPLE_RATE));
        Ok(())
    }

    /// The resampler's tail goes out, and the last frame is filled with silence: nothing is held back or lost.
    fn rest(&mut self) -> Result<()> {
        self.resampler.finish(&mut self.resampled);
        self.pending.extend(self.resampled.drain(..));
        let samples = self.frame * self.channels;
        self.pending.resize(self.pending.len().next_multiple_of(samples), 0.0);
        self.hand_over();
        Ok(())
    }

    fn has_room(&self) -> bool {
        self.waiting.load(Ordering::Acquire) < MAX_WAITING
    }

    fn dropped(&self) -> u64 {
        self.dropped
    }

    fn close(&mut self) -> Closing {
        closed(self.rest())
    }
}
