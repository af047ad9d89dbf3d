//! Files in containers: the only module that uses Symphonia's demuxers, and the part of a body that they may see.
//!
//! A demuxer reads ahead as it likes, so it gets a window of the body that ends where the file ends.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use symphonia::core::codecs::audio::well_known::{
    CODEC_ID_AAC, CODEC_ID_MP1, CODEC_ID_MP2, CODEC_ID_MP3, CODEC_ID_OPUS,
};
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder};
use symphonia::core::errors::Error;
use symphonia::core::formats::probe::{Hint, Probe, ProbeableFormat};
use symphonia::core::formats::{FormatReader, SeekMode, SeekTo, Track, TrackType};
use symphonia::core::io::{MediaSource, MediaSourceStream};
use symphonia::core::packet::Packet;
use symphonia::core::units::Timestamp;

use super::body::{Body, SharedBody};
use super::decode::{
    Block, FileDecoder, FileDetails, LEAD_IN, Step, damaged, decode_into, decoder, finish, may_skip, unsupported,
};
use super::metadata::Metadata;
use super::trim::Trim;
use super::{mpeg, opus};
use crate::error::Result;

/// The most that a demuxer reads to open a file: the index of a day of audio takes 30 MB.
const MAX_INDEX: u64 = 32 << 20;

/// The most that it reads for one packet: some kilobytes of audio, or some megabytes if there is video beside it.
const MAX_PACKET: u64 = 16 << 20;

/// The most samples per channel in a packet: those of FLAC and ALAC, whose blocks are the longest.
const LONGEST_PACKET: u64 = 65_536;

/// The most that Symphonia's `MediaSourceStream` reads ahead at once.
const READ_AHEAD: usize = 32 << 10;

/// The end of a file, found while it is read.
pub trait Extent: Send + Sync {
    /// Returns how many bytes from here on belong to the file, until the next call; 0 at the end of the file.
    fn more(&mut self, body: &mut Body) -> u64;

    /// Returns how many bytes came and how many were stated exactly, if the end of the body cut the file; `rest` is the part of what
    /// [`more`](Self::more) returned that the body did not deliver.
    fn missing(&self, rest: u64) -> Option<(u64, u64)> {
        let _ = rest;
        None
    }

    /// Patches bytes that were read at a position.
    fn patch(&self, position: u64, bytes: &mut [u8]) {
        let _ = (position, bytes);
    }

    /// Moves to the end of the file. Returns how many bytes within it were damaged and discarded.
    fn finish(&mut self, body: &mut Body) -> u64 {
        let _ = body;
        0
    }
}

/// The part of a body that a demuxer sees.
#[derive(Clone)]
pub struct Window(Arc<Mutex<View>>);

struct View {
    body: SharedBody,
    part: Part,
    /// Bytes delivered before the body: a patched header.
    head: Vec<u8>,
    given: usize,
    /// Bytes read in all, and since the last packet; and the limit of the latter.
    all: u64,
    read: u64,
    max: u64,
}

/// The visible part of a body.
enum Part {
    /// From here on, read once. `left` is what the extent granted and was not read yet.
    Extent { extent: Box<dyn Extent>, left: u64 },
    /// Between two positions found by the extent; seekable.
    Range { extent: Box<dyn Extent>, start: u64, end: u64 },
}

impl Window {
    /// Opens the file that starts here and ends as `extent` says, read from start to end, after `head`.
    pub fn new(body: &SharedBody, head: Vec<u8>, extent: impl Extent + 'static) -> Self {
        Self::view(body, head, Part::Extent { extent: Box::new(extent), left: 0 })
    }

    /// Opens the file between two positions of a seekable body, which `extent` found.
    pub fn seekable(body: &SharedBody, extent: impl Extent + 'static, start: u64, end: u64) -> Self {
        Self::view(body, Vec::new(), Part::Range { extent: Box::new(extent), start, end })
    }

    fn view(body: &SharedBody, head: Vec<u8>, part: Part) -> Self {
        let view = View { body: body.clone(), part, head, given: 0, all: 0, read: 0, max: MAX_INDEX };
        Self(Arc::new(Mutex::new(view)))
    }

    /// Moves to the end of the visible part. Returns how many bytes within it were damaged and discarded.
    pub fn finish(&self) -> u64 {
        let mut view = self.get();
        let View { body, part, .. } = &mut *view;
        let mut body = body.get();
        match part {
            Part::Range { end, .. } => {
                body.seek(*end);
                0
            }
            Part::Extent { extent, left } => {
                *left -= body.skip(*left);
                extent.finish(&mut body)
            }
        }
    }

    /// Returns how many bytes came and how many were stated exactly, if the end of the body cut the file.
    pub fn missing(&self) -> Option<(u64, u64)> {
        match &self.get().part {
            Part::Extent { extent, left } => extent.missing(*left),
            Part::Range { .. } => None,
        }
    }

    /// Lifts the read limit, for readers that have limits of their own.
    pub fn without_limit(self) -> Self {
        self.get().max = u64::MAX;
        self
    }

    fn get(&self) -> MutexGuard<'_, View> {
        self.0.lock()
    }
}

impl View {
    /// Returns true if one read or one packet exceeds its limit; such a file ends here.
    fn is_endless(&self) -> bool {
        self.read > self.max
    }

    /// Reads on; returns 0 at the end.
    fn read_on(&mut self, buffer: &mut [u8]) -> usize {
        if self.is_endless() {
            return 0;
        }
        let mut body = self.body.get();
        let limit = match &mut self.part {
            Part::Range { end, .. } => end.saturating_sub(body.position()),
            Part::Extent { extent, left } => {
                if *left == 0 {
                    *left = extent.more(&mut body);
                }
                *left
            }
        };
        let length = limit.min(buffer.len() as u64) as usize;
        let position = body.position();
        let read = body.read(&mut buffer[..length]);
        match &mut self.part {
            Part::Extent { extent, left } => {
                *left -= read as u64;
                extent.patch(position, &mut buffer[..read]);
            }
            Part::Range { extent, .. } => extent.patch(position, &mut buffer[..read]),
        }
        self.read += read as u64;
        self.all += read as u64;
        read
    }
}

impl Read for Window {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut view = self.get();
        if view.given < view.head.len() {
            let rest = &view.head[view.given..];
            let length = rest.len().min(buffer.len());
            buffer[..length].copy_from_slice(&rest[..length]);
            view.given += length;
            return Ok(length);
        }
        let mut filled = 0;
        loop {
            let read = view.read_on(&mut buffer[filled..]);
            filled += read;
            // A read-ahead may be short; but a packet that is read past that buffer would be taken for complete.
            if read == 0 || filled == buffer.len() || buffer.len() <= READ_AHEAD {
                return Ok(filled);
            }
        }
    }
}

impl Seek for Window {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let view = self.get();
        let Part::Range { start, end, .. } = view.part else { return Err(io::ErrorKind::Unsupported.into()) };
        let mut body = view.body.get();
        let target = match to {
            SeekFrom::Start(position) => start.checked_add(position),
            SeekFrom::Current(delta) => body.position().checked_add_signed(delta),
            SeekFrom::End(delta) => end.checked_add_signed(delta),
        };
        let target = target.filter(|target| *target >= start).ok_or(io::ErrorKind::InvalidInput)?;
        body.seek(target);
        Ok(target - start)
    }
}

impl MediaSource for Window {
    fn is_seekable(&self) -> bool {
        matches!(self.get().part, Part::Range { .. })
    }

    fn byte_len(&self) -> Option<u64> {
        match self.get().part {
            Part::Range { start, end, .. } => Some(end - start),
            Part::Extent { .. } => None,
        }
    }
}

/// A file that one of Symphonia's demuxers splits into packets.
pub struct SymphoniaFile {
    window: Window,
    format: Box<dyn FormatReader>,
    codec: Box<dyn AudioDecoder>,
    /// The track that is played; `None` within a chained stream that can't be played, which started at `unplayed`.
    track: Option<u32>,
    unplayed: u64,
    /// Bytes of such chained streams.
    discarded: u64,
    /// The track's length in its own units, if the container states it exactly; and how much of it came.
    stated: Option<u64>,
    received: u64,
    /// True if nothing of the track can come after that.
    ends_as_stated: bool,
    /// The audible part, if not all of it is.
    trim: Option<Trim>,
    /// Packets up to this time, in the track's own units, are only decoded for the sake of those after it.
    lead_in: u64,
    /// True if its samples are at twice the rate that the container states.
    is_doubled: bool,
    /// The samples per channel that the file states, of whatever track; and the metadata of its tags.
    samples: Option<u64>,
    metadata: Metadata,
    /// True once nothing more comes.
    is_over: bool,
}

impl SymphoniaFile {
    /// Opens the visible part of `window` with one demuxer. `is_exact`: the length that it states is reliable.
    pub fn open<F: for<'a> ProbeableFormat<'a>>(window: Window, is_exact: bool) -> Result<Self> {
        let mut probe = Probe::default();
        probe.register_format::<F>();
        let stream = MediaSourceStream::new(Box::new(window.clone()), Default::default());
        let mut format = probe
            .probe(&Hint::new(), stream, Default::default(), Default::default())
            .map_err(|error| unsupported(format!("a file that can't be opened ({error})")))?;
        let (codec, track, stated) = select(&*format)?;
        let samples = format.tracks().iter().find(|found| found.id == track).and_then(samples).filter(|_| is_exact);
        let mut metadata = Metadata::default();
        let is_asked = window.get().body.get().metadata().is_some();
        if let Some(revision) = format.metadata().skip_to_latest().filter(|_| is_asked) {
            metadata.take(revision);
        }
        let mut view = window.get();
        (view.read, view.max) = (0, MAX_PACKET);
        drop(view);
        let stated = stated.filter(|_| is_exact);
        let track = Some(track);
        Ok(Self {
            window,
            format,
            codec,
            track,
            unplayed: 0,
            discarded: 0,
            stated,
            received: 0,
            ends_as_stated: false,
            trim: None,
            lead_in: 0,
            is_doubled: false,
            samples,
            metadata,
            is_over: false,
        })
    }

    /// Returns the codec parameters of the track.
    pub fn parameters(&self) -> &AudioCodecParameters {
        self.codec.codec_params()
    }

    /// Returns the track's length in its own units, if the container states it exactly.
    pub fn stated(&self) -> Option<u64> {
        self.stated
    }

    /// Ends the track at its stated length: errors after that do not matter.
    pub fn end_as_stated(&mut self) {
        self.ends_as_stated = true;
    }

    /// Plays only a part of the track.
    pub fn trim(&mut self, trim: Trim) {
        self.samples = self.samples.map(|samples| trim.audible(samples));
        self.trim = Some(trim);
    }

    /// Sets the samples per channel, known from elsewhere than the demuxer.
    pub fn with_samples(self, samples: Option<u64>) -> Self {
        Self { samples, ..self }
    }

    /// Removes the inaudible part of a block.
    fn cut(&mut self, block: &mut Block) {
        // HE-AAC doubles the rate that its container may state, in which lengths are counted too.
        let AudioCodecParameters { codec, sample_rate, .. } = self.parameters();
        let doubled = *codec == CODEC_ID_AAC && *sample_rate == Some(block.spec.rate() / 2);
        if !block.samples.is_empty() && doubled && !std::mem::replace(&mut self.is_doubled, true) {
            self.samples = self.samples.map(|samples| 2 * samples);
            self.trim = self.trim.map(Trim::doubled);
        }
        if let Some(trim) = &mut self.trim {
            trim.cut(block);
        }
    }

    /// Returns the next packet of the track; `None` at the end.
    fn packet(&mut self) -> Result<Option<Packet>> {
        loop {
            let packet = self.format.next_packet();
            let mut view = self.window.get();
            if view.is_endless() {
                return Err(damaged(&format!("a packet of more than {MAX_PACKET} bytes")));
            }
            view.read = 0;
            let all = view.all;
            drop(view);
            let is_over = match packet {
                Ok(Some(packet)) if self.track == Some(packet.track_id) => return Ok(Some(packet)),
                Ok(Some(_)) => continue,
                Ok(None) => true,
                Err(Error::IoError(error)) if error.kind() == io::ErrorKind::UnexpectedEof => true,
                Err(Error::ResetRequired) => false,
                // A demuxer may look for more after the last packet and fail.
                Err(_)
                    if self.ends_as_stated
                        && self.stated.is_some_and(|stated| (1..=self.received).contains(&stated)) =>
                {
                    true
                }
                Err(error) => return Err(damaged(&error.to_string())),
            };
            if self.track.take().is_none() {
                self.discarded += all.saturating_sub(self.unplayed);
            }
            self.unplayed = all;
            if is_over {
                return Ok(None);
            }
            // A chained Ogg stream: another song starts in the same body.
            if let Ok((codec, track, _)) = select(&*self.format) {
                (self.codec, self.track) = (codec, Some(track));
            }
        }
    }
}

impl FileDecoder for SymphoniaFile {
    fn next(&mut self, block: &mut Block) -> Result<Step> {
        if self.is_over {
            return Ok(Step::End);
        }
        let Some(packet) = self.packet()? else {
            if finish(&mut *self.codec, block) {
                self.cut(block);
                return Ok(Step::Block);
            }
            self.is_over = true;
            return Ok(Step::Discarded(self.discarded + self.window.finish()));
        };
        self.received = self.received.saturating_add(packet.dur.get());
        let discarded = Step::Discarded(packet.data.len() as u64);
        let mut step = decode_into(&mut *self.codec, &packet.as_packet_ref(), block, discarded)?;
        let samples = packet.dur.get();
        if matches!(step, Step::Discarded(_)) && self.received <= self.lead_in && samples <= LONGEST_PACKET {
            block.samples.clear();
            block.samples.resize(samples as usize * block.spec.channels().count(), 0.0);
            step = Step::Block;
        }
        if matches!(step, Step::Block) {
            self.cut(block);
        }
        Ok(step)
    }

    fn skip(&mut self, to: u64) -> Option<u64> {
        // In a fragmented file, each fragment would have to be looked at.
        let stated = self.stated.filter(|_| self.ends_as_stated && self.window.is_seekable())?;
        let (track_id, parameters) = (self.track.filter(|_| may_skip(&*self.codec))?, self.parameters());
        let is_mpeg = [CODEC_ID_MP1, CODEC_ID_MP2, CODEC_ID_MP3].contains(&parameters.codec);
        let lead_in = if is_mpeg { mpeg::LEAD_IN * 1_152 } else { LEAD_IN };
        let pre_skip = opus::pre_skip(parameters);
        let rate = parameters.sample_rate?;
        let track = self.format.tracks().iter().find(|track| track.id == track_id)?;
        // Requires that the track's units are samples.
        track.time_base.filter(|base| (base.numer.get(), base.denom.get()) == (1, rate))?;
        let decoded = self.trim.map_or(to, |trim| trim.decoded(to)).saturating_add(pre_skip);
        let enter = decoded.checked_sub(lead_in).filter(|enter| (self.received + 1..stated).contains(enter))?;
        let enter = Timestamp::new(i64::try_from(enter).ok()?);
        let sought = self.format.seek(SeekMode::Accurate, SeekTo::Timestamp { ts: enter, track_id }).ok()?;
        self.codec.reset();
        (self.received, self.lead_in) = (u64::try_from(sought.actual_ts.get()).ok()?, decoded);
        let given = self.received.saturating_sub(pre_skip);
        if let Some(trim) = &mut self.trim {
            trim.skip_to(given);
        }
        Some(self.trim.map_or(given, |trim| trim.audible(given)))
    }

    fn details(&mut self) -> FileDetails {
        let codec = self.codec.codec_info().short_name;
        // The stated length of Opus includes the pre-skip, which the decoder leaves out.
        let samples = self.samples.filter(|_| self.parameters().codec != CODEC_ID_OPUS);
        FileDetails { codec, samples, metadata: self.metadata.clone() }
    }

    fn missing(&self) -> Option<(u64, u64)> {
        let stated = self.stated.filter(|stated| self.received < *stated).map(|stated| (self.received, stated));
        stated.or_else(|| self.window.missing())
    }
}

/// Returns the samples per channel of a track.
fn samples(track: &Track) -> Option<u64> {
    let rate = track.codec_params.as_ref()?.audio()?.sample_rate?;
    let units = track.duration?.get();
    let base = track.time_base?;
    let all = u128::from(units) * u128::from(base.numer.get()) * u128::from(rate) / u128::from(base.denom.get());
    u64::try_from(all).ok().filter(|samples| *samples > 0)
}

fn select(format: &dyn FormatReader) -> Result<(Box<dyn AudioDecoder>, u32, Option<u64>)> {
    let track = format.default_track(TrackType::Audio).ok_or_else(|| unsupported("a file without an audio track"))?;
    let parameters = track.codec_params.as_ref().and_then(|parameters| parameters.audio());
    let parameters = parameters.ok_or_else(|| unsupported("an unknown codec"))?;
    Ok((decoder(parameters)?, track.id, track.duration.map(|duration| duration.get())))
}
