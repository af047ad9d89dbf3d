//! What a source is: container, codec, length, tags and loudness, without playing it.

use std::sync::Arc;

use super::clip_task::{Making, on_pool};
use super::decode::Details;
use super::media::Media;
use super::meter::{Loudness, Meter};
use super::ring::Reading;
use super::{FetchLimits, Source};
use crate::error::Result;
use crate::runtime::Pool;

/// Local audio that states no length is counted up to so many bytes; of what is longer, the length is estimated.
const COUNTED_BYTES: u64 = 64 << 20;

/// How many bytes an estimate is made from: some ten seconds.
const ESTIMATED_FROM: u64 = 256 << 10;

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct Probed {
    /// How the bytes are packed.
    pub container: &'static str,
    /// How its samples are written.
    pub codec: &'static str,
    /// Of the first samples, in Hz; 0 if there is none.
    pub rate: u32,
    /// Of the first samples; 0 if there is none.
    pub channels: usize,
    /// How long it is, in ms, if that can be known.
    pub duration_ms: Option<f64>,
    /// It was counted, or the file states it in samples.
    pub is_exact: bool,
    /// What its tags say.
    pub metadata: Vec<(&'static str, String)>,
    /// How loud its tags say that it is, in LUFS.
    pub tagged_lufs: Option<f64>,
    /// How loud it is, if that was asked for.
    pub loudness: Option<Loudness>,
}

/// Looks at `source` on `pool`, of which a server has to keep to `limits`, and hands what it found to `done`, which must not wait. All of it
/// is decoded only if it is to be `measured`, or that is the one way to know how long it is. Fails as a playback of what was read would.
pub fn probe(
    pool: &Pool,
    source: Source,
    measured: bool,
    limits: FetchLimits,
    done: impl FnOnce(Result<Probed>) + Send + 'static,
) -> Making {
    on_pool(pool, source, limits, move |media, reading| look(media, reading, measured), done)
}

fn look(media: &Arc<Media>, reading: &Reading, measured: bool) -> Result<Probed> {
    let mut decoder = media.open_as(reading, true, false)?;
    let mut length = Counted::default();
    let mut meter = measured.then(Meter::default);
    let mut probed = Probed::default();
    // Where the first samples ended, for an estimate.
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
        reading.take_turns()?;
        if first.is_none() {
            details = decoder.details();
            first = Some((length.ms(), details.place));
        }
        if meter.is_some() {
            continue;
        }
        let is_stated = details.about.samples.is_some();
        let is_local = details.bytes.is_some_and(|bytes| bytes <= COUNTED_BYTES);
        let bytes = details.bytes.or_else(|| media.length());
        if is_stated || bytes.is_none() || (!is_local && decoder.details().place > ESTIMATED_FROM) {
            is_whole = false;
            break;
        }
    }
    let Details { container, about, place, bytes } = decoder.details();
    let stated = about.samples.filter(|_| probed.rate > 0);
    let estimated = || {
        let ((from_ms, from), all) = (first?, bytes.or_else(|| media.length())?);
        let (ms, read) = (length.ms() - from_ms, place.checked_sub(from).filter(|read| *read > 0)?);
        Some(from_ms + ms * all.saturating_sub(from) as f64 / read as f64)
    };
    (probed.duration_ms, probed.is_exact) = match stated {
        _ if is_whole => (Some(length.ms()), true),
        Some(samples) => (Some(samples as f64 * 1_000.0 / f64::from(probed.rate)), true),
        None => (estimated(), false),
    };
    probed.metadata = about.metadata.texts();
    probed.tagged_lufs = about.metadata.lufs();
    probed.loudness = meter.map(Meter::finish).transpose()?;
    Ok(Probed { container, codec: about.codec, ..probed })
}

/// Samples per channel, by their rate.
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
        // A sum of nothing would be −0.
        self.0.iter().fold(0.0, |ms, (rate, samples)| ms + *samples as f64 * 1_000.0 / f64::from(*rate))
    }
}
