//! The producer of one playback: decodes until the ring is full, then gives its thread away.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rtrb::Producer;
use symphonia::core::audio::AudioSpec;

use super::clip::{Clip, Over, Pass};
use super::downmix::Downmix;
use super::media::Media;
use super::shared::Reading;
use crate::audio::{PREROLL, RING, SAMPLE_RATE};
use crate::error::{Code, Result, SpeakerError};
use crate::resample::Resampler;
use crate::runtime::suspend;

pub struct Feeder {
    pub ring: Producer<f32>,
    pub channels: usize,
    pub media: Arc<Media>,
    pub clip: Clip,
    pub reading: Reading,
}

impl Feeder {
    /// Runs on the decode pool until the source ends, fails or is cancelled.
    pub fn run(mut self) {
        let result = catch_unwind(AssertUnwindSafe(|| self.play()));
        let result = result.unwrap_or_else(|_| {
            tracing::error!("a decoder panicked: please report the audio that did it");
            Err(SpeakerError::new(Code::Decode, "the decoder gave up on this audio"))
        });
        self.media.detach(&self.reading.waker);
        let _ = self.reading.shared.outcome.set(result.map_err(|error| self.media.failure().unwrap_or(error)));
        // Dropping `self` tells the session.
    }

    /// One pass after the other. A short one is repeated from memory: to open its source over and over would cost more
    /// than to play it.
    fn play(&mut self) -> Result<()> {
        let Clip { mut from, start, passes, .. } = self.clip;
        let mut short: Option<Over> = None;
        for number in 1..=passes {
            let pass = Pass::new(&self.clip, from, number == passes, self.channels);
            if let Some(short) = &short {
                let mut pcm = Vec::new();
                short.again(pass, &mut pcm);
                self.push(&mut pcm)?;
                continue;
            }
            let over = self.pass(pass)?;
            if passes > 1 && over.end <= start {
                return Err(SpeakerError::new(Code::EmptySource, "Expected audio to loop but received 0 samples"));
            }
            short = over.is_kept().then_some(over);
            from = start;
        }
        Ok(())
    }

    /// Decodes the source from its start.
    fn pass(&mut self, mut pass: Pass) -> Result<Over> {
        let mut decoder = self.media.open(&self.reading)?;
        let mut path: Option<Path> = None;
        let (mut mixed, mut pcm) = (Vec::new(), Vec::new());
        let result = loop {
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
            if !pass.cut(&mut pcm) {
                break Ok(());
            }
            self.push(&mut pcm)?;
            if pass.is_skipping() {
                self.give_way()?;
            }
        };
        // Also after an error: what had come is played.
        if let Some(path) = path.as_mut().filter(|_| !pass.is_cut()) {
            path.resampler.finish(&mut pcm);
            pass.cut(&mut pcm);
        }
        let over = pass.finish(&mut pcm);
        if result.is_ok() {
            // Before what follows it is pushed: who sees that knows where it came from.
            self.reading.shared.end.get_or_init(|| over.end);
        }
        self.push(&mut pcm)?;
        result.map(|()| over)
    }

    /// Lets the others of its thread go on: a long way through what is left out would starve them.
    fn give_way(&self) -> Result<()> {
        self.reading.waker.wake();
        suspend();
        self.check()
    }

    fn check(&self) -> Result<()> {
        match self.reading.shared.cancelled.load(Ordering::Acquire) {
            true => Err(SpeakerError::new(Code::Closed, "cancelled")),
            false => Ok(()),
        }
    }

    /// Hands `pcm` over and empties it, waiting for room as often as needed.
    fn push(&mut self, pcm: &mut Vec<f32>) -> Result<()> {
        let mut rest = pcm.as_slice();
        while !rest.is_empty() {
            let before = self.waiting();
            (_, rest) = self.ring.push_partial_slice(rest);
            let preroll = PREROLL * self.channels;
            if self.reading.progress.eager || (before < preroll && self.waiting() >= preroll) {
                self.reading.progress.tell();
            }
            if !rest.is_empty() && self.reading.shared.must_wait(|| self.ring.slots() < RING / 2 * self.channels) {
                suspend();
            }
            self.check()?;
        }
        pcm.clear();
        Ok(())
    }

    fn waiting(&self) -> usize {
        self.ring.buffer().capacity() - self.ring.slots()
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        // Reached without an outcome only if the feeder never ran.
        self.reading.shared.outcome.get_or_init(|| Err(SpeakerError::new(Code::Decode, "no memory for a decoder")));
        self.reading.progress.tell();
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
