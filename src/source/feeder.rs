//! The producer of one playback: decodes until the ring is full, then gives its thread away.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rtrb::Producer;
use symphonia::core::audio::AudioSpec;
use symphonia::core::io::MediaSource;

use super::decode::{Decoder, Label};
use super::downmix::Downmix;
use super::feed::{Progress, Shared};
use crate::audio::{PREROLL, RING, SAMPLE_RATE};
use crate::error::{Code, Result, SpeakerError};
use crate::resample::Resampler;
use crate::runtime::suspend;

/// Opens the bytes; may suspend the feeder.
pub type OpenInput = Box<dyn FnOnce() -> Result<(Box<dyn MediaSource>, Label)> + Send>;

/// Why the bytes themselves failed, if they did: what a demuxer makes of it is less clear.
pub type InputFailure = Box<dyn Fn() -> Option<SpeakerError> + Send>;

pub struct Feeder {
    pub ring: Producer<f32>,
    pub channels: usize,
    pub shared: Arc<Shared>,
    pub progress: Arc<Progress>,
}

impl Feeder {
    /// Runs on the decode pool until the source ends, fails or is cancelled.
    pub fn run(mut self, open: OpenInput, failure: InputFailure) {
        let result = catch_unwind(AssertUnwindSafe(|| self.decode(open)));
        let result = result.unwrap_or_else(|_| {
            tracing::error!("a decoder panicked: please report the audio that did it");
            Err(SpeakerError::new(Code::Decode, "the decoder gave up on this audio"))
        });
        let _ = self.shared.outcome.set(result.map_err(|error| failure().unwrap_or(error)));
        // Dropping `self` tells the session.
    }

    fn decode(&mut self, open: OpenInput) -> Result<()> {
        let (input, label) = open()?;
        let mut decoder = Decoder::open(input, &label)?;
        let mut path: Option<Path> = None;
        let (mut mixed, mut pcm) = (Vec::new(), Vec::new());
        let end = loop {
            let (spec, samples) = match decoder.next() {
                Ok(Some(block)) => block,
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            };
            let path = match &mut path {
                Some(path) if path.spec == *spec => path,
                other => {
                    // The rate or the layout changed inside the stream: what the old filter holds is heard first.
                    if let Some(old) = other {
                        old.resampler.finish(&mut pcm);
                    }
                    other.insert(Path::new(spec, self.channels))
                }
            };
            mixed.clear();
            path.downmix.process(samples, &mut mixed);
            path.resampler.process(&mixed, &mut pcm);
            self.push(&mut pcm)?;
        };
        // Also after an error: what had come is played.
        if let Some(path) = &mut path {
            path.resampler.finish(&mut pcm);
        }
        self.push(&mut pcm)?;
        end
    }

    /// Hands `pcm` over and empties it, waiting for room as often as needed.
    fn push(&mut self, pcm: &mut Vec<f32>) -> Result<()> {
        let mut rest = pcm.as_slice();
        while !rest.is_empty() {
            let before = self.waiting();
            (_, rest) = self.ring.push_partial_slice(rest);
            let preroll = PREROLL * self.channels;
            if self.progress.eager || (before < preroll && self.waiting() >= preroll) {
                self.progress.notify.notify_one();
            }
            if !rest.is_empty() && self.shared.must_wait(|| self.ring.slots() < RING / 2 * self.channels) {
                suspend();
            }
            if self.shared.cancelled.load(Ordering::Acquire) {
                return Err(SpeakerError::new(Code::Closed, "cancelled"));
            }
        }
        pcm.clear();
        Ok(())
    }

    fn waiting(&self) -> usize {
        RING * self.channels - self.ring.slots()
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        // Reached without an outcome only if the feeder never ran.
        self.shared.outcome.get_or_init(|| Err(SpeakerError::new(Code::Decode, "no memory for a decoder")));
        self.progress.notify.notify_one();
    }
}

/// From one source's rate and layout to the session's.
struct Path {
    spec: AudioSpec,
    downmix: Downmix,
    resampler: Resampler,
}

impl Path {
    fn new(spec: &AudioSpec, channels: usize) -> Self {
        Self {
            spec: spec.clone(),
            downmix: Downmix::new(spec.channels(), channels),
            resampler: Resampler::new(spec.rate(), SAMPLE_RATE, channels),
        }
    }
}
