//! Determines container, codec, length, tags and loudness of a source without playing it.

use std::sync::Arc;

use super::clip_task::{DecodeJob, run_on_pool};
use super::decode::Details;
use super::media::Media;
use super::meter::{Loudness, Meter};
use super::ring::DecodeContext;
use super::{FetchLimits, Source};
use crate::error::Result;
use crate::runtime::Pool;

/// Local audio that states no length is counted up to this many bytes; the length of anything longer is estimated.
const COUNTED_BYTES: u64 = 64 << 20;

/// The number of bytes that an estimate is made from: some ten seconds.
const ESTIMATED_FROM: u64 = 256 << 10;

/// The properties of a source.
#[derive(Debug, Clone, Default)]
pub struct Probed {
    /// The container format.
    pub container: &'static str,
    /// The codec or sample format.
    pub codec: &'static str,
    /// The rate of the first samples, in Hz; 0 if there are none.
    pub rate: u32,
    /// The channels of the first samples; 0 if there are none.
    pub channels: usize,
    /// The length in ms, if it can be known.
    pub duration_ms: Option<f64>,
    /// True if the length was counted, or the file states it in samples.
    pub is_exact: bool,
    /// The tags.
    pub metadata: Vec<(&'static str, String)>,
    /// The loudness stated by the tags, in LUFS.
    pub tagged_lufs: Option<f64>,
    /// The measured loudness, if that was asked for.
    pub loudness: Option<Loudness>,
}

/// Examines `source` on `pool` and passes the result to `done`, which must not block; a server has to keep to `limits`. All of it is
/// decoded only if it is to be `measured`, or if that is the only way to know its length. Fails as a playback of the same data would.
pub fn probe(
    pool: &Pool,
    source: Source,
    measured: bool,
    limits: FetchLimits,
    done: impl FnOnce(Result<Probed>) + Send + 'static,
) -> DecodeJob {
    run_on_pool(pool, source, limits, move |media, context| look(media, context, measured), done)
}

fn look(media: &Arc<Media>, context: &DecodeContext, measured: bool) -> Result<Probed> {
    let mut decoder = media.open_as(context, true, false)?;
    let mut length = Counted::default();
    let mut meter = measured.then(Meter::default);
    let mut probed = Probed::default();
    // The end of the first samples, for an estimate.
    let mut first: Option<(f64, u64)> = None;
    let mut details = Details::default();
    let mut is_whole = true;
    while let Some((spec, samples)) = decoder.next()? {
        let count = spec.channels().count().max(1);
        length.add(spec.rate(), (samples.len() / count) as u64);
        if let Some(meter) = &mut meter {
            meter.take(spec, samples)?;
        }
        if probed.rate == 0 {
            (probed.rate, probed.channels) = (spec.rate(), count);
        }
        context.yield_if_due()?;
        if first.is_none() {
            details = decoder.details();
            first = Some((length.ms(), details.position));
        }
        if meter.is_some() {
            continue;
        }
        let is_stated = details.file.samples.is_some();
        let is_local = details.bytes.is_some_and(|bytes| bytes <= COUNTED_BYTES);
        let bytes = details.bytes.or_else(|| media.length());
        if is_stated || bytes.is_none() || (!is_local && decoder.details().position > ESTIMATED_FROM) {
            is_whole = false;
            break;
        }
    }
    let Details { container, file, position, bytes } = decoder.details();
    let stated = file.samples.filter(|_| probed.rate > 0);
    let estimated = || {
        let ((from_ms, from), all) = (first?, bytes.or_else(|| media.length())?);
        let (ms, read) = (length.ms() - from_ms, position.checked_sub(from).filter(|read| *read > 0)?);
        Some(from_ms + ms * all.saturating_sub(from) as f64 / read as f64)
    };
    (probed.duration_ms, probed.is_exact) = match stated {
        _ if is_whole => (Some(length.ms()), true),
        Some(samples) => (Some(samples as f64 * 1_000.0 / f64::from(probed.rate)), true),
        None => (estimated(), false),
    };
    probed.metadata = file.metadata.texts();
    probed.tagged_lufs = file.metadata.lufs();
    probed.loudness = meter.map(Meter::finish).transpose()?;
    Ok(Probed { container, codec: file.codec, ..probed })
}

/// The samples per channel that were counted, by rate.
#[derive(Default)]
struct Counted(Vec<(u32, u64)>);

impl Counted {
    fn add(&mut self, rate: u32, samples: u64) {
        match self.0.iter_mut().find(|(known, _)| *known == rate) {
            Some((_, count)) => *count += samples,
            None => self.0.push((rate, samples)),
        }
    }

    fn ms(&self) -> f64 {
        // The sum of nothing would be −0.
        self.0.iter().fold(0.0, |ms, (rate, samples)| ms + *samples as f64 * 1_000.0 / f64::from(*rate))
    }
}
