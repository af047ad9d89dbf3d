//! The producer of one playback: decodes until the ring is full, then yields its thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rtrb::Producer;
use symphonia::core::audio::AudioSpec;

use super::downmix::Downmix;
use super::levelling::{Leveller, PriorLoudness};
use super::media::Media;
use super::ring::DecodeContext;
use super::section::{FinishedPass, Pass, Rings, Seam, Section};
use crate::audio::{PREROLL, SAMPLE_RATE, Samples};
use crate::error::{Code, Result, SpeakerError};
use crate::resample::Resampler;
use crate::runtime::Waker;

pub struct DecodeTask {
    pub ring: Producer<f32>,
    /// The room for samples per channel of which half must be free before decoding continues.
    pub room: usize,
    pub channels: usize,
    pub media: Arc<Media>,
    pub section: Section,
    pub context: DecodeContext,
    /// The number of samples, over all channels, that were put into the ring.
    pub pushed: usize,
    /// The loudness of the part that was heard before.
    pub prior_loudness: Option<PriorLoudness>,
}

impl DecodeTask {
    /// Runs on the decode pool until the source ends, fails or is cancelled.
    pub fn run(mut self) {
        let (media, waker) = (self.media.clone(), self.context.waker.clone());
        let result = outcome(&media, &waker, || self.play());
        let _ = self.context.shared.outcome.set(result);
        // Dropping `self` notifies the session.
    }

    /// Plays one pass after the other. A short one is repeated from memory: opening its source over and over would cost more than playing
    /// it.
    fn play(&mut self) -> Result<()> {
        let Section { mut from, start, passes, .. } = self.section;
        let mut short: Option<FinishedPass> = None;
        // The loudness of the whole source, once a pass has reached its end.
        let mut known = None;
        let mut seam = Seam::default();
        for number in 1..=passes {
            let is_last = number == passes;
            let pass = Pass::new(&self.section, from, is_last, self.channels);
            if let Some(short) = &short {
                let mut pcm = Vec::new();
                short.repeat(pass, &mut pcm);
                seam.add(&mut pcm);
                seam = Seam::after(short, &self.section);
                self.publish_post_ring(short, is_last);
                self.push(&mut pcm)?;
                continue;
            }
            let finished = self.pass(pass, seam, is_last, &mut known)?;
            if passes > 1 && finished.end <= start {
                return Err(SpeakerError::new(Code::EmptySource, "Expected audio to loop but received 0 samples"));
            }
            seam = Seam::after(&finished, &self.section);
            short = finished.is_repeatable().then_some(finished);
            from = start;
        }
        Ok(())
    }

    /// Publishes the ringing before `pcm`, scaled by the gain of its first sample, if the source and the reader start there.
    fn publish_pre_ring(&self, pcm: &[f32], pre_ring: &[f32], gain: f32) {
        if self.section.from == 0 && !pcm.is_empty() {
            self.context.shared.pre_ring.get_or_init(|| scaled(pre_ring, gain));
        }
    }

    /// Publishes the ringing after the end, if this is the end of the reader.
    fn publish_post_ring(&self, finished: &FinishedPass, is_last: bool) {
        if let Some(ring) = finished.post_ring().filter(|_| is_last && self.section.fade_out == 0) {
            let _ = self.context.shared.post_ring.set(ring.to_vec());
        }
    }

    /// Decodes the source from its start.
    fn pass(&mut self, mut pass: Pass, mut seam: Seam, is_last: bool, known: &mut Option<f64>) -> Result<FinishedPass> {
        let (shared, levels) = (self.context.shared.clone(), self.media.loudness_target());
        let mut leveller = levels.map(|(target, ahead)| {
            Leveller::new(target, self.channels, *known, self.prior_loudness, ahead, &shared.measured)
        });
        let skips = leveller.is_none() && pass.from() >= SKIPPED;
        let mut decoder = self.media.open_as(&self.context, leveller.is_some() && known.is_none(), skips)?;
        let mut converter: Option<Converter> = None;
        let mut pre_ring: Option<Vec<f32>> = None;
        let mut pcm = Vec::new();
        // Samples per channel of the source that precede the wanted ones.
        let mut surplus = 0;
        let result = loop {
            if let Some(position) = decoder.position() {
                self.pass_on_metadata(position);
            }
            let (spec, samples) = match decoder.next() {
                Ok(Some(block)) => block,
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            };
            let is_first = converter.is_none();
            let converter = match &mut converter {
                Some(converter) if converter.spec == *spec => converter,
                other => {
                    if let Some(old) = other.as_ref().filter(|_| surplus > 0) {
                        pass.move_back(old.in_session(surplus));
                        surplus = 0;
                    }
                    // The rate or the layout changed inside the stream: the old filter's rest is heard first.
                    if let Some(old) = other {
                        old.resampler.finish(&mut pcm);
                        pre_ring.get_or_insert_with(|| old.resampler.pre_ring().to_vec());
                    }
                    let converter = other.insert(Converter::new(spec, self.channels));
                    pass.expect_ring(converter.resampler.ring());
                    converter
                }
            };
            let channels = spec.channels().count().max(1);
            let dropped = surplus.min((samples.len() / channels) as u64);
            surplus -= dropped;
            converter.process(&samples[dropped as usize * channels..], &mut pcm);
            if is_first && skips {
                let entry = converter.entry(pass.from());
                if let Some(position) = decoder.skip(entry) {
                    pcm.clear();
                    *converter = Converter::new(&converter.spec, self.channels);
                    surplus = entry.saturating_sub(position);
                    pass.skip_to(converter.in_session(entry));
                    continue;
                }
            }
            if let Some(leveller) = &mut leveller {
                if is_first {
                    leveller.set_tagged(decoder.details().file.metadata.lufs(), &converter.spec);
                }
                leveller.process(&mut pcm);
            }
            if !pass.cut(&mut pcm) {
                break Ok(());
            }
            seam.add(&mut pcm);
            let pre = pre_ring.as_deref().unwrap_or(converter.resampler.pre_ring());
            self.publish_pre_ring(&pcm, pre, first_gain(leveller.as_ref()));
            self.push(&mut pcm)?;
            self.context.yield_if_due()?;
        };
        if let Some(converter) = converter.as_ref().filter(|_| surplus > 0) {
            pass.move_back(converter.in_session(surplus));
        }
        let mut post = None;
        // Done after an error too: what had come is played.
        if let Some(converter) = converter.as_mut().filter(|_| !pass.is_cut()) {
            post = Some(converter.resampler.finish_ringing(&mut pcm));
            if let Some(leveller) = &mut leveller {
                leveller.finish(&mut pcm);
            }
            pass.cut(&mut pcm);
        }
        let pre = pre_ring.or(converter.map(|converter| converter.resampler.pre_ring().to_vec())).unwrap_or_default();
        let pre = scaled(&pre, first_gain(leveller.as_ref()));
        let last = leveller.as_ref().map_or(1.0, |leveller| leveller.edges().1);
        let post = post.map(|post| scaled(&post, last));
        if result.is_ok() && !pass.is_cut() {
            *known = leveller.and_then(|leveller| leveller.lufs());
        }
        let post = post.filter(|_| result.is_ok() && !pass.is_cut());
        let finished = pass.finish(&mut pcm, post.map(|post| Rings { pre: pre.clone(), post }));
        self.publish_pre_ring(&pcm, &pre, 1.0);
        seam.add(&mut pcm);
        if result.is_ok() {
            // Set before what follows is pushed, so that a reader that sees that sample knows its position.
            self.context.shared.end.get_or_init(|| finished.end);
            self.publish_post_ring(&finished, is_last);
        }
        self.push(&mut pcm)?;
        result.map(|()| finished)
    }

    /// Passes on the metadata that belongs to the next samples, with their position in the ring.
    fn pass_on_metadata(&self, position: u64) {
        while let Some(metadata) = self.media.take_metadata(position) {
            self.context.shared.push_metadata((self.pushed / self.channels) as Samples, metadata);
        }
    }

    /// Writes `pcm` to the ring and empties it, waiting for room as often as needed.
    fn push(&mut self, pcm: &mut Vec<f32>) -> Result<()> {
        let mut rest = pcm.as_slice();
        while !rest.is_empty() {
            let before = self.waiting();
            let before_all = rest.len();
            (_, rest) = self.ring.push_partial_slice(rest);
            self.pushed += before_all - rest.len();
            let wanted = self.context.shared.prebuffer_target.load(Ordering::Relaxed);
            let preroll = PREROLL.max(wanted) * self.channels;
            self.context.note_change();
            if before < preroll && self.waiting() >= preroll {
                self.context.notifier.notify();
            }
            if !rest.is_empty() && self.context.shared.must_wait(|| self.ring.slots() < self.room / 2 * self.channels) {
                self.context.suspend();
            }
            self.context.check()?;
        }
        pcm.clear();
        Ok(())
    }

    fn waiting(&self) -> usize {
        self.ring.buffer().capacity() - self.ring.slots()
    }
}

impl Drop for DecodeTask {
    fn drop(&mut self) {
        // Reached without an outcome only if the decode task never ran.
        self.context.shared.outcome.get_or_init(|| Err(SpeakerError::new(Code::Decode, "no memory for a decoder")));
        self.context.notifier.notify();
    }
}

fn first_gain(leveller: Option<&Leveller<'_>>) -> f32 {
    leveller.map_or(1.0, |leveller| leveller.edges().0)
}

fn scaled(samples: &[f32], gain: f32) -> Vec<f32> {
    samples.iter().map(|sample| sample * gain).collect()
}

/// Runs `decode` on `media`, and maps its failure to the error that explains it best.
pub fn outcome<T>(media: &Media, waker: &Waker, decode: impl FnOnce() -> Result<T>) -> Result<T> {
    let result = catch_unwind(AssertUnwindSafe(decode)).unwrap_or_else(|_| {
        tracing::error!("a decoder panicked: please report the audio that did it");
        Err(SpeakerError::new(Code::Decode, "the decoder gave up on this audio"))
    });
    media.detach(waker);
    result.map_err(|error| match error.code {
        // A read error explains more; but what was found in bytes that did arrive is true, however many were still to come.
        Code::File | Code::Stream => media.failure().unwrap_or(error),
        _ => error,
    })
}

/// Samples per channel nearer to the start than this are decoded and dropped: that takes less time than seeking.
const SKIPPED: Samples = 5 * SAMPLE_RATE as Samples;

/// The run-up that goes through the resampler before the audible part; its filter is shorter.
const RUN_UP: Samples = SAMPLE_RATE as Samples / 2;

/// The conversion from a source's rate and layout to the session's.
pub struct Converter {
    pub spec: AudioSpec,
    downmix: Downmix,
    mixed: Vec<f32>,
    pub resampler: Resampler,
}

impl Converter {
    pub fn new(spec: &AudioSpec, channels: usize) -> Self {
        Self {
            spec: spec.clone(),
            downmix: Downmix::new(spec.channels(), channels),
            mixed: Vec::new(),
            resampler: Resampler::new(spec.rate(), SAMPLE_RATE, channels),
        }
    }

    /// Converts samples per channel of the source to the session's rate; exact for those of an [`entry`](Self::entry).
    fn in_session(&self, samples: u64) -> Samples {
        let samples = u128::from(samples) * u128::from(SAMPLE_RATE) / u128::from(self.spec.rate());
        Samples::try_from(samples).unwrap_or(Samples::MAX)
    }

    /// Returns the sample of the source from which decoding gives, from `position` on, the same as decoding from the start. `position` is
    /// in the session's samples.
    fn entry(&self, position: Samples) -> u64 {
        let begins = u128::from(position.saturating_sub(RUN_UP));
        let entry = u64::try_from(begins * u128::from(self.spec.rate()) / u128::from(SAMPLE_RATE)).unwrap_or(u64::MAX);
        let cycle = self.resampler.cycle();
        entry / cycle * cycle
    }

    /// Converts the next samples of the source, and appends the finished ones to `pcm`.
    pub fn process(&mut self, samples: &[f32], pcm: &mut Vec<f32>) {
        if self.downmix.is_identity() {
            return self.resampler.process(samples, pcm);
        }
        self.mixed.clear();
        self.downmix.process(samples, &mut self.mixed);
        self.resampler.process(&self.mixed, pcm);
    }
}
