//! The output that writes a WAV file: encodes samples and hands them to the threads of the file's disk every half second. `wav_queue.rs`
//! is the queue in between, `wav_file.rs` the file as those threads write it.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::sync::oneshot;

use super::wav_file::{Layout, MAX_BYTES, WavFile};
use super::wav_queue::{MAX_BEHIND, StallTimeout, WavQueue};
use super::{Closing, Output, OutputEvent, SampleFormat, closed};
use crate::audio::{SAMPLE_RATE, Samples};
use crate::dither::Dither;
use crate::error::{Code, Result, SpeakerError};
use crate::mixer::Frame;
use crate::resample::Resampler;
use crate::reserved::ReservedPath;
use crate::runtime::{DISKS, Disk, Lane};

/// Returns the most samples per channel that a file holds, at the session's rate.
pub fn capacity(channels: usize, format: SampleFormat) -> Samples {
    Layout { channels, format }.capacity()
}

pub struct Wav {
    lane: Lane<WavFile>,
    queue: Arc<WavQueue>,
    layout: Layout,
    dither: Option<Dither>,
    /// The conversion to the file's sample rate, if that is not the session's.
    rate: Option<Rate>,
    stage: Stage,
    stall_timeout: StallTimeout,
    /// Something sounded.
    is_heard: bool,
    /// The bytes of samples so far, silence included.
    length: u64,
    /// `length` when the disk was last asked to write everything.
    asked: u64,
    /// The error after which nothing more is written was reported.
    is_failure_reported: bool,
}

/// The state of a conversion to the file's sample rate.
struct Rate {
    resampler: Resampler,
    /// The session's samples for one of the file.
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
    /// Starts to create the file. If nothing sounded it is discarded at the end, unless `keeps_unheard`.
    pub fn create(path: Arc<ReservedPath>, channels: usize, format: SampleFormat, keeps_unheard: bool) -> Self {
        let layout = Layout { channels, format };
        let queue = Arc::new(WavQueue::new(
            path.clone(),
            (layout.rate() * MAX_BEHIND) as usize * layout.frame_bytes() as usize,
        ));
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
            stall_timeout: StallTimeout::default(),
            is_heard: false,
            length: 0,
            asked: 0,
            is_failure_reported: false,
        };
        wav.call(move |file| file.open(path));
        wav
    }

    fn call(&self, call: impl FnOnce(&mut WavFile) + Send + 'static) {
        let pending_calls = self.queue.begin_call();
        self.lane.call(move |file| pending_calls.make(|| call(file)));
    }

    /// Reserves `bytes` more bytes of samples. Returns their offset.
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

    /// Queues samples at the file's rate.
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

    /// Flushes the resampler's tail when no sound follows at once, so that the file is as long as the elapsed time.
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

    /// Writes out every half second, so that a killed process leaves a playable file.
    fn write_at_times(&mut self) {
        let half_a_second = u64::from(self.layout.rate() / 2) * self.layout.frame_bytes();
        if self.length - self.asked >= half_a_second {
            self.write_out();
        }
    }

    /// Asks the disk to write everything.
    fn write_out(&mut self) {
        if self.length > self.asked {
            self.asked = self.length;
            // A call that is already queued will write this too.
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
                std::task::ready!(self.stall_timeout.poll_end(&self.queue, context));
                // If the file opens after all, it is discarded.
                self.call(|file| drop(file.discard()));
                self.queue.give_up()
            }
            Err(failure) => failure,
        };
        self.stage = Stage::Gone;
        Poll::Ready(OutputEvent::Lost { error: failure, reason: "failed".to_owned() })
    }

    fn poll_open(&mut self, context: &mut Context<'_>) -> Poll<OutputEvent> {
        let failure = self.queue.failure().filter(|_| !std::mem::replace(&mut self.is_failure_reported, true));
        if let Some(failure) = failure {
            return Poll::Ready(OutputEvent::Failed(failure));
        }
        self.stall_timeout.poll_end(&self.queue, context).map(|()| OutputEvent::Failed(self.queue.late()))
    }

    /// Makes the last call, and waits for its answer while the disk makes progress.
    fn last(&mut self, call: impl FnOnce(&mut WavFile) -> Result<()> + Send + 'static) -> Closing {
        if std::mem::replace(&mut self.stage, Stage::Gone) == Stage::Gone {
            return closed(Ok(()));
        }
        let (answered, answer) = oneshot::channel();
        self.call(move |file| drop(answered.send(call(file))));
        let queue = self.queue.clone();
        queue.set_in_time();
        Box::pin(async move {
            let mut stall_timeout = StallTimeout::default();
            tokio::select! {
                biased;
                result = answer => result.unwrap_or_else(|_| Err(queue.broken())),
                () = poll_fn(|context| stall_timeout.poll_end(&queue, context)) => Err(queue.give_up()),
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

    /// Skips without dither: skipped silence stays zero, and a sparse file omits it.
    fn skip(&mut self, samples: Samples) -> Result<()> {
        if self.rate.is_none() {
            return self.put_silence(samples);
        }
        let settled = self.settle();
        // Even if that failed, because time has passed.
        if let Some(rate) = &mut self.rate {
            rate.received = rate.received.saturating_add(samples);
        }
        settled.and(self.settle())
    }

    fn rest(&mut self) -> Result<()> {
        self.settle()?;
        self.write_out();
        self.queue.failure().map_or(Ok(()), Err)
    }

    /// On the manual clock a slow disk is waited for, so that nothing is lost.
    fn has_room(&self) -> bool {
        self.queue.is_idle()
    }

    fn give_up(&mut self, _now: Instant) -> Closing {
        self.queue.give_up();
        self.last(WavFile::discard)
    }

    fn close(&mut self, _now: Instant) -> Closing {
        let is_heard = self.is_heard;
        // The last call reports the error.
        let _ = self.settle();
        self.last(move |file| file.finish(is_heard))
    }
}

impl Drop for Wav {
    /// Writes out what is queued if the driver panicked before it closed the output.
    fn drop(&mut self) {
        if self.stage != Stage::Gone {
            self.write_out();
        }
    }
}
