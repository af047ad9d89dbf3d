//! Makes clips: decodes a source to its end, for sessions of either width, as a decode task would for one.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use symphonia::core::audio::AudioSpec;

use super::clip::{CLIP_BUDGET, Clip, ClipReservation, Clips, settle};
use super::decode_task::{Converter, outcome};
use super::media::Media;
use super::meter::RunningMeter;
use super::ring::{DecodeContext, SourceState};
use super::section::Rings;
use super::{FetchLimits, Source};
use crate::error::{Code, Result, SpeakerError};
use crate::runtime::{Pool, Waker};

/// A clip being made, or a source being probed. Dropping it cancels the work.
pub struct DecodeJob {
    waker: Waker,
    shared: Arc<SourceState>,
}

impl Drop for DecodeJob {
    fn drop(&mut self) {
        self.shared.cancelled.store(true, Ordering::Release);
        self.waker.wake();
    }
}

/// Decodes all of `source` on `pool`, within `limits` if a server sends it, and passes the result to `done`, which must not block. Fails as
/// a playback of it would, and with `ERR_CLIPS_FULL` as soon as it exceeds the process's clip budget, of which
/// `kept_bytes` are taken by what is kept beside it.
pub fn make_clip(
    pool: &Pool,
    source: Source,
    kept_bytes: u64,
    limits: FetchLimits,
    done: impl FnOnce(Result<Clips>) + Send + 'static,
) -> DecodeJob {
    let reservation = CLIP_BUDGET.reserve();
    let make = move |media: &Arc<Media>, context: &DecodeContext| {
        let (media, context) = (media.clone(), context.clone());
        ClipTask { media, context, reservation, kept_bytes }.decode()
    };
    run_on_pool(pool, source, limits, make, done)
}

/// Runs `work` on all of a source on `pool`, within `limits` if a server sends it, and passes the result to `done`, which must not block.
pub(super) fn run_on_pool<T: Send + 'static>(
    pool: &Pool,
    source: Source,
    limits: FetchLimits,
    work: impl FnOnce(&Arc<Media>, &DecodeContext) -> Result<T> + Send + 'static,
    done: impl FnOnce(Result<T>) + Send + 'static,
) -> DecodeJob {
    let media = Arc::new(Media::new(source, limits));
    let shared = Arc::<SourceState>::default();
    let waker = pool.start(|waker| {
        media.attach(&waker);
        let context = DecodeContext { waker, shared: shared.clone(), notifier: Arc::default() };
        let done = Completion(Some(Box::new(done)));
        move || done.report(outcome(&media, &context.waker, || work(&media, &context)))
    });
    DecodeJob { waker, shared }
}

type Callback<T> = Box<dyn FnOnce(Result<T>) + Send>;

/// Reports the result exactly once, whatever happens to the task.
struct Completion<T>(Option<Callback<T>>);

impl<T> Completion<T> {
    fn report(mut self, result: Result<T>) {
        if let Some(report) = self.0.take() {
            report(result);
        }
    }
}

impl<T> Drop for Completion<T> {
    fn drop(&mut self) {
        // Reached only if the task never ran.
        let Some(report) = self.0.take() else { return };
        report(Err(SpeakerError::new(Code::Decode, "no memory for a decoder")));
    }
}

struct ClipTask {
    media: Arc<Media>,
    context: DecodeContext,
    reservation: ClipReservation,
    kept_bytes: u64,
}

impl ClipTask {
    fn decode(mut self) -> Result<Clips> {
        self.reservation.grow_to(self.kept_bytes)?;
        let mut decoder = self.media.open(&self.context)?;
        let (mut mono, mut stereo) = (Mix::new(1), None);
        while let Some((spec, samples)) = decoder.next()? {
            if stereo.is_none() && spec.channels().count() > 1 {
                stereo = Some(mono.widened());
            }
            for mix in std::iter::once(&mut mono).chain(&mut stereo) {
                mix.take(spec, samples);
            }
            self.fit(&mono, stereo.as_ref())?;
            self.context.yield_if_due()?;
        }
        mono.finish();
        if let Some(stereo) = &mut stereo {
            stereo.finish();
        }
        self.fit(&mono, stereo.as_ref())?;
        let bytes = self.reservation.bytes();
        let reservation = Arc::new(self.reservation);
        Ok(Clips::new(mono.into_clip(reservation.clone()), stereo.map(|stereo| stereo.into_clip(reservation)), bytes))
    }

    fn fit(&mut self, mono: &Mix, stereo: Option<&Mix>) -> Result<()> {
        let samples = mono.pcm.len() + stereo.map_or(0, |stereo| stereo.pcm.len());
        self.reservation.grow_to(self.kept_bytes + (samples * size_of::<f32>()) as u64)
    }
}

/// A source mixed for sessions of one width.
struct Mix {
    channels: usize,
    converter: Option<Converter>,
    pcm: Vec<f32>,
    /// The peak of the first `settled` samples.
    peak: f32,
    settled: usize,
    rings: Rings,
    meter: RunningMeter,
    /// True once the ringing before the first sample is known.
    has_begun: bool,
}

impl Mix {
    fn new(channels: usize) -> Self {
        let (pcm, rings) = (Vec::new(), Rings::default());
        let meter = RunningMeter::new(channels);
        Self { channels, converter: None, pcm, peak: 0.0, settled: 0, rings, meter, has_begun: false }
    }

    /// Makes the stereo mix from the mono one: both sides are the same so far.
    fn widened(&mut self) -> Self {
        self.change();
        let both = |samples: &[f32]| samples.iter().flat_map(|sample| [*sample; 2]).collect::<Vec<_>>();
        let rings = Rings { pre: both(&self.rings.pre), post: Vec::new() };
        let mut wide = Self { pcm: both(&self.pcm), rings, has_begun: self.has_begun, ..Self::new(2) };
        wide.settle();
        wide
    }

    fn take(&mut self, spec: &AudioSpec, samples: &[f32]) {
        if self.converter.as_ref().is_none_or(|converter| converter.spec != *spec) {
            self.change();
        }
        let converter = self.converter.get_or_insert_with(|| Converter::new(spec, self.channels));
        converter.process(samples, &mut self.pcm);
        self.settle();
    }

    /// Settles and measures the samples that came since the last call.
    fn settle(&mut self) {
        self.peak = self.peak.max(settle(&mut self.pcm[self.settled..]));
        self.meter.take(&self.pcm[self.settled..]);
        self.settled = self.pcm.len();
    }

    /// Flushes the old filter's rest: the rate or the layout changes.
    fn change(&mut self) {
        let Some(mut old) = self.converter.take() else { return };
        old.resampler.finish(&mut self.pcm);
        self.begin(&old);
    }

    fn finish(&mut self) {
        let Some(mut last) = self.converter.take() else { return };
        self.rings.post = last.resampler.finish_ringing(&mut self.pcm);
        self.settle();
        self.begin(&last);
    }

    fn begin(&mut self, converter: &Converter) {
        if !std::mem::replace(&mut self.has_begun, true) {
            self.rings.pre = converter.resampler.pre_ring().to_vec();
        }
    }

    fn into_clip(self, reservation: Arc<ClipReservation>) -> Clip {
        let Self { channels, pcm, peak, rings, mut meter, .. } = self;
        meter.finish();
        Clip::decoded(channels, pcm, peak, meter.lufs(), rings, reservation)
    }
}
