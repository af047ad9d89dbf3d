//! Makes clips: decodes a source to its end, for sessions of either width, as a decode task would for one.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use symphonia::core::audio::AudioSpec;

use super::clip::{CLIPS, Clip, Clips, Room, settle};
use super::decode_task::{Path, outcome};
use super::media::Media;
use super::meter::Running;
use super::ring::{Reading, Shared};
use super::section::Rings;
use super::{FetchLimits, Source};
use crate::error::{Code, Result, SpeakerError};
use crate::runtime::{Pool, Waker};

/// A clip being made, or a source being probed. Dropping it cancels the work.
pub struct Making {
    waker: Waker,
    shared: Arc<Shared>,
}

impl Drop for Making {
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
) -> Making {
    let room = CLIPS.enter();
    let make = move |media: &Arc<Media>, reading: &Reading| {
        let (media, reading) = (media.clone(), reading.clone());
        ClipTask { media, reading, room, kept_bytes }.decode()
    };
    on_pool(pool, source, limits, make, done)
}

/// Runs `work` on all of a source on `pool`, within `limits` if a server sends it, and passes the result to `done`, which must not block.
pub(super) fn on_pool<T: Send + 'static>(
    pool: &Pool,
    source: Source,
    limits: FetchLimits,
    work: impl FnOnce(&Arc<Media>, &Reading) -> Result<T> + Send + 'static,
    done: impl FnOnce(Result<T>) + Send + 'static,
) -> Making {
    let media = Arc::new(Media::new(source, limits));
    let shared = Arc::<Shared>::default();
    let waker = pool.start(|waker| {
        media.attach(&waker);
        let reading = Reading { waker, shared: shared.clone(), progress: Arc::default() };
        let done = Done(Some(Box::new(done)));
        move || done.tell(outcome(&media, &reading.waker, || work(&media, &reading)))
    });
    Making { waker, shared }
}

type Tell<T> = Box<dyn FnOnce(Result<T>) + Send>;

/// Reports the result exactly once, whatever happens to the task.
struct Done<T>(Option<Tell<T>>);

impl<T> Done<T> {
    fn tell(mut self, result: Result<T>) {
        if let Some(tell) = self.0.take() {
            tell(result);
        }
    }
}

impl<T> Drop for Done<T> {
    fn drop(&mut self) {
        // Reached only if the task never ran.
        let Some(tell) = self.0.take() else { return };
        tell(Err(SpeakerError::new(Code::Decode, "no memory for a decoder")));
    }
}

struct ClipTask {
    media: Arc<Media>,
    reading: Reading,
    room: Room,
    kept_bytes: u64,
}

impl ClipTask {
    fn decode(mut self) -> Result<Clips> {
        self.room.grow_to(self.kept_bytes)?;
        let mut decoder = self.media.open(&self.reading)?;
        let (mut mono, mut stereo) = (Mix::new(1), None);
        while let Some((spec, samples)) = decoder.next()? {
            if stereo.is_none() && spec.channels().count() > 1 {
                stereo = Some(mono.widened());
            }
            for mix in std::iter::once(&mut mono).chain(&mut stereo) {
                mix.take(spec, samples);
            }
            self.fit(&mono, stereo.as_ref())?;
            self.reading.take_turns()?;
        }
        mono.finish();
        stereo.iter_mut().for_each(Mix::finish);
        self.fit(&mono, stereo.as_ref())?;
        let bytes = self.room.bytes();
        let room = Arc::new(self.room);
        Ok(Clips::new(mono.into_clip(room.clone()), stereo.map(|stereo| stereo.into_clip(room)), bytes))
    }

    fn fit(&mut self, mono: &Mix, stereo: Option<&Mix>) -> Result<()> {
        let samples = mono.pcm.len() + stereo.map_or(0, |stereo| stereo.pcm.len());
        self.room.grow_to(self.kept_bytes + (samples * size_of::<f32>()) as u64)
    }
}

/// A source mixed for sessions of one width.
struct Mix {
    channels: usize,
    path: Option<Path>,
    pcm: Vec<f32>,
    /// The peak of the first `settled` samples.
    peak: f32,
    settled: usize,
    rings: Rings,
    meter: Running,
    /// True once the ringing before the first sample is known.
    has_begun: bool,
}

impl Mix {
    fn new(channels: usize) -> Self {
        let (pcm, rings) = (Vec::new(), Rings::default());
        let meter = Running::new(channels);
        Self { channels, path: None, pcm, peak: 0.0, settled: 0, rings, meter, has_begun: false }
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
        if self.path.as_ref().is_none_or(|path| path.spec != *spec) {
            self.change();
        }
        let path = self.path.get_or_insert_with(|| Path::new(spec, self.channels));
        path.process(samples, &mut self.pcm);
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
        let Some(mut old) = self.path.take() else { return };
        old.resampler.finish(&mut self.pcm);
        self.begin(&old);
    }

    fn finish(&mut self) {
        let Some(mut last) = self.path.take() else { return };
        self.rings.post = last.resampler.finish_ringing(&mut self.pcm);
        self.settle();
        self.begin(&last);
    }

    fn begin(&mut self, path: &Path) {
        if !std::mem::replace(&mut self.has_begun, true) {
            self.rings.pre = path.resampler.pre_ring().to_vec();
        }
    }

    fn into_clip(self, room: Arc<Room>) -> Clip {
        let Self { channels, pcm, peak, rings, mut meter, .. } = self;
        meter.finish();
        Clip::decoded(channels, pcm, peak, meter.lufs(), rings, room)
    }
}
