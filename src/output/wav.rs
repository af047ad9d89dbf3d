//! The output that writes a WAV file: samples become bytes here, and are handed to the threads of the file's disk every half second. What
//! becomes of them there is `wav_file.rs`'s affair, and what waits in between `wav_queue.rs`'s.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::sync::oneshot;

use super::wav_file::{Layout, MAX_BYTES, WavFile};
use super::wav_queue::{MOST_BEHIND, Patience, Queue};
use super::{Closing, Output, OutputEvent, SampleFormat, closed};
use crate::audio::{SAMPLE_RATE, Samples};
use crate::dither::Dither;
use crate::error::{Code, Result, SpeakerError};
use crate::mixer::Frame;
use crate::resample::Resampler;
use crate::reserved::ReservedPath;
use crate::runtime::{DISKS, Disk, Lane};

/// How many samples per channel a file holds, at the session's rate.
pub fn capacity(channels: usize, format: SampleFormat) -> Samples {
    Layout { channels, format }.capacity()
}

pub struct Wav {
    lane: Lane<WavFile>,
    queue: Arc<Queue>,
    layout: Layout,
    dither: Option<Dither>,
    /// From the session's rate to the file's, if that is another.
    rate: Option<Rate>,
    stage: Stage,
    patience: Patience,
    /// Something was mixed into it.
    is_heard: bool,
    /// The bytes of samples so far, silence included.
    length: u64,
    /// `length` when the disk was asked last to write all that there is.
    asked: u64,
    /// Why nothing more is written was told.
    is_failure_told: bool,
}

/// A file of another rate than the session's.
struct Rate {
    resampler: Resampler,
    /// How many samples of the session make one of the file.
    ratio: Samples,
    /// Samples per channel so far, at the session's rate.
    received: Samples,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Opening,
    Open,
    /// Closed, given up, or never opened.
    Gone,
}

impl Wav {
    /// Begins to create the file. One in which nothing sounded is thrown away, unless `keeps_unheard`.
    pub fn create(path: Arc<ReservedPath>, channels: usize, format: SampleFormat, keeps_unheard: bool) -> Self {
        let layout = Layout { channels, format };
        let queue =
            Arc::new(Queue::new(path.clone(), (layout.rate() * MOST_BEHIND) as usize * layout.frame_bytes() as usize));
        let rate = (layout.rate() != SAMPLE_RATE).then(|| Rate {
            resampler: Resampler::new(SAMPLE_RATE, layout.rate(), channels),
            ratio: Samples::from(SAMPLE_RATE / layout.rate()),
            received: 0,
        });
        let wav = Self {
            lane: DISKS.lane(Disk::of(path.path()), WavFile::new(layout, keeps_unheard, queue.clone())),
            queue,
            layout,
            dither: format.dither(0),
            rate,
            stage: Stage::Opening,
            patience: Patience::default(),
            is_heard: false,
            length: 0,
            asked: 0,
            is_failure_told: false,
        };
        wav.call(move |file| file.open(path));
        wav
    }

    fn call(&self, call: impl FnOnce(&mut WavFile) + Send + 'static) {
        let owed = self.queue.owe();
        self.lane.call(move |file| owed.make(|| call(file)));
    }

    /// Makes room for so many bytes of samples more. Returns where they belong.
    fn grow(&mut self, bytes: u64) -> Result<u64> {
        let at = self.length;
        if at.saturating_add(bytes) > MAX_BYTES {
            let message = "Expected at most 4 GiB for a WAV file but received more";
            self.queue.fail(SpeakerError::new(Code::Output, message));
        }
        self.queue.failure().map_or(Ok(()), Err)?;
        self.length += bytes;
        Ok(at)
    }

    /// Hands over samples at the file's rate.
    fn put(&mut self, samples: &[f32]) -> Result<()> {
        let count = samples.len() * self.layout.format.bytes();
        let at = self.grow(count as u64)?;
        let Self { queue, dither, layout, .. } = self;
        let put = queue.put(at, count, |bytes| layout.format.write(samples, dither.as_mut(), bytes));
        self.write_at_times();
        put
    }

    fn put_silence(&mut self, samples: Samples) -> Result<()> {
        self.grow(samples.saturating_mul(self.layout.frame_bytes()))?;
        let put = self.queue.put_silence(self.length);
        self.write_at_times();
        put
    }

    /// No sound follows at once: hands over what the resampler holds back, so that the file is as long as the time that has passed.
    fn settle(&mut self) -> Result<()> {
        let Some(Rate { resampler, ratio, received }) = &mut self.rate else { return Ok(()) };
        let mut tail = Vec::new();
        resampler.finish(&mut tail);
        let due = received.div_ceil(*ratio).saturating_sub(self.length / self.layout.frame_bytes());
        tail.truncate(usize::try_from(due).unwrap_or(usize::MAX).saturating_mul(self.layout.channels));
        let silence = due - (tail.len() / self.layout.channels) as Samples;
        if !tail.is_empty() {
            self.put(&tail)?;
        }
        self.put_silence(silence)
    }

    /// How much sound is held back at most, so that a process that is killed leaves a file that plays: half a second.
    fn write_at_times(&mut self) {
        let half_a_second = u64::from(self.layout.rate() / 2) * self.layout.frame_bytes();
        if self.length - self.asked >= half_a_second {
            self.write_out();
        }
    }

    /// Asks for all that there is to be written.
    fn write_out(&mut self) {
        if self.length > self.asked {
            self.asked = self.length;
            // One that waits will take this along.
            if self.queue.ask() {
                self.call(WavFile::write);
            }
        }
    }

    fn poll_opening(&mut self, context: &mut Context<'_>) -> Poll<OutputEvent> {
        let failure = match self.queue.is_open() {
            Ok(true) => {
                self.stage = Stage::Open;
                return Poll::Ready(OutputEvent::Connected);
            }
            Ok(false) => {
                std::task::ready!(self.patience.poll_end(&self.queue, context));
                // If it opens all the same, nobody wants it.
                self.call(|file| drop(file.discard()));
                self.queue.give_up()
            }
            Err(failure) => failure,
        };
        self.stage = Stage::Gone;
        Poll::Ready(OutputEvent::Lost(failure, "failed".to_owned()))
    }

    fn poll_open(&mut self, context: &mut Context<'_>) -> Poll<OutputEvent> {
        let failure = self.queue.failure().filter(|_| !std::mem::replace(&mut self.is_failure_told, true));
        if let Some(failure) = failure {
            return Poll::Ready(OutputEvent::Failed(failure));
        }
        self.patience.poll_end(&self.queue, context).map(|()| OutputEvent::Failed(self.queue.late()))
    }

    /// Asks for the last call, and waits for its answer as long as the disk moves.
    fn last(&mut self, call: impl FnOnce(&mut WavFile) -> Result<()> + Send + 'static) -> Closing {
        if std::mem::replace(&mut self.stage, Stage::Gone) == Stage::Gone {
            return closed(Ok(()));
        }
        let (tell, told) = oneshot::channel();
        self.call(move |file| drop(tell.send(call(file))));
        let queue = self.queue.clone();
        queue.set_in_time();
        Box::pin(async move {
            let mut patience = Patience::default();
            tokio::select! {
                biased;
                result = told => result.unwrap_or_else(|_| Err(queue.broken())),
                () = poll_fn(|context| patience.poll_end(&queue, context)) => Err(queue.give_up()),
            }
        })
    }
}

impl Output for Wav {
    fn is_connected(&self) -> bool {
        self.stage == Stage::Open
    }

    fn poll(&mut self, context: &mut Context<'_>, _now: Instant) -> Poll<OutputEvent> {
        self.queue.wakes(context.waker());
        match self.stage {
            Stage::Opening => self.poll_opening(context),
            Stage::Open => self.poll_open(context),
            Stage::Gone => Poll::Pending,
        }
    }

    fn write(&mut self, frame: &Frame, _now: Instant) -> Result<bool> {
        self.is_heard = true;
        let Some(Rate { resampler, received, .. }) = &mut self.rate else {
            return self.put(frame.samples).map(|()| true);
        };
        *received += (frame.samples.len() / self.layout.channels) as Samples;
        let mut samples = Vec::new();
        resampler.process(frame.samples, &mut samples);
        self.put(&samples).map(|()| true)
    }

    /// Dither belongs to what was mixed: silence that was skipped stays silent, and is left out of a file.
    fn skip(&mut self, samples: Samples) -> Result<()> {
        if self.rate.is_none() {
            return self.put_silence(samples);
        }
        let settled = self.settle();
        // Also if that failed: time has passed.
        self.rate.iter_mut().for_each(|rate| rate.received = rate.received.saturating_add(samples));
        settled.and(self.settle())
    }

    fn rest(&mut self) -> Result<()> {
        self.settle()?;
        self.write_out();
        self.queue.failure().map_or(Ok(()), Err)
    }

    /// On the manual clock nothing is lost to a disk that is slow: what was handed to it is waited for.
    fn has_room(&self) -> bool {
        self.queue.is_even()
    }

    fn give_up(&mut self, _now: Instant) -> Closing {
        self.queue.give_up();
        self.last(WavFile::discard)
    }

    fn close(&mut self, _now: Instant) -> Closing {
        let is_heard = self.is_heard;
        // If that fails, the last call says why.
        let _ = self.settle();
        self.last(move |file| file.finish(is_heard))
    }
}

impl Drop for Wav {
    /// Its driver broke before it was closed: what is held back is written, and all else is left as it is.
    fn drop(&mut self) {
        if self.stage != Stage::Gone {
            self.write_out();
        }
    }
}
