//! Chunked files: WAV (RIFF, RF64 and BW64 of EBU Tech 3306 and ITU-R BS.2088, Sony's W64), AIFF and AIFF-C, as they are written in
//! practice and not only as specified.
//!
//! The lengths in a header are often wrong: programs that write into a pipe do not know them. So this module walks the chunks, and the
//! demuxer gets a header with the format only, and no tag. The most common samples need no demuxer, which would keep 64 KiB for each file
//! that plays.

use symphonia::core::audio::AudioSpec;
use symphonia::default::formats::{AiffReader, WavReader};

use super::body::{Body, SharedBody};
use super::container::{Extent, SymphoniaFile, Window};
use super::decode::{Block, FileDecoder, FileDetails, Step, damaged, unsupported};
use super::files::{self, EmbeddedFrames};
use super::flac::{self, Flac};
use super::metadata::Tag;
use super::raw::{self, Raw, RawDecoder};
use super::tags;
use crate::error::Result;
use crate::g711::Law;

/// The least length that states nothing: where the length is unknown, 0x7fff_ffff, 0xffff_ffff, or a little less is written.
const UNKNOWN: u64 = 0x7fff_0000;

/// The longest format chunk; longer ones are invalid.
const MAX_FORMAT: u64 = 4 << 10;

/// The most channels: 64 are seventh-order ambisonics, and no layout has more. A decoder takes memory for each.
const MAX_CHANNELS: u16 = 64;

/// The number of samples per channel that are decoded at a time.
const AT_A_TIME: usize = 512;

/// `wFormatTag` of uncompressed samples and G.722, and of streams of frames: MPEG audio (RFC 2361 A.23), AAC in ADTS, FLAC.
const INTEGERS: u16 = 1;
const FLOATS: u16 = 3;
const A_LAW: u16 = 6;
const MU_LAW: u16 = 7;
const G722: u16 = 0x28f;
const LAYERS_1_AND_2: u16 = 0x50;
const LAYER_3: u16 = 0x55;
const ADTS: u16 = 0x1600;
const FLAC: u16 = 0xf1ac;

/// The position of the FLAC stream info in the format chunk of a WAV, if it is not in the stream.
const FLAC_INFO: std::ops::Range<usize> = 18..18 + 34;

/// The size of a chunk's name and length, except in W64.
const CHUNK_HEADER: usize = 8;

/// The size of the file type behind the name and the length of the first chunk.
const KIND: usize = 4;

/// The range in which samples are searched for in a chunk whose stated length is impossible.
const MAX_SEARCH: u64 = 64 << 10;

/// The names of W64 are GUIDs: those of RIFF, in lower case, and the same 12 bytes behind each except the first.
const W64_FILE: &[u8; 16] = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\0\0";
const W64_CHUNK: &[u8; 12] = b"\xf3\xac\xd3\x11\x8c\xd1\0\xc0\x4f\x8e\xdb\x8a";

/// The kinds of chunked files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Riff {
    /// Little-endian.
    Wav,
    /// Little-endian, with names of 16 bytes and lengths of 8.
    W64,
    /// Big-endian.
    Aiff,
}

impl Riff {
    /// Returns the kind of file that begins with `head`, if any.
    pub fn detect(head: &[u8]) -> Option<Self> {
        if head.starts_with(&W64_FILE[..12]) {
            return Some(Self::W64);
        }
        let kind = head.get(8..12)?;
        match &head[..4] {
            b"RIFF" | b"RF64" | b"BW64" if kind == b"WAVE" => Some(Self::Wav),
            b"FORM" if kind == b"AIFF" || kind == b"AIFC" => Some(Self::Aiff),
            _ => None,
        }
    }

    /// Opens the file that begins at the body's position.
    pub fn open(self, shared: &SharedBody) -> Result<Box<dyn FileDecoder>> {
        let mut body = shared.get();
        let header = self.header();
        let end =
            body.position() + (header as u64).saturating_add(self.chunk(&mut body).map_or(0, |chunk| chunk.length));
        let kind = body.peek(header + KIND).get(header..).unwrap_or_default().to_vec();
        body.skip((header + if self == Self::W64 { W64_FILE.len() } else { KIND }) as u64);
        let Headers { format, samples } = self.parts(&mut body, end)?;
        if body.metadata().is_some() && body.is_seekable() {
            let from = body.position();
            let align = self.align(&format);
            let mut behind = SampleData { riff: self, length: samples, align, end, is_given: false };
            let length = behind.more(&mut body);
            body.skip(length);
            behind.finish(&mut body);
            body.seek(from);
        }
        let head = body.peek(tags::HEAD).to_vec();
        drop(body);
        if self.channels(&format) > MAX_CHANNELS {
            return Err(unsupported(format!("{} channels", self.channels(&format))));
        }
        let align = self.align(&format);
        let stated = samples.filter(|_| self.is_linear(&format)).map(|bytes| bytes / align);
        let extent = SampleData { riff: self, length: samples, align, end, is_given: false };
        if let Some(info) = self.frames(&format, &head) {
            // Frames begin anywhere.
            let window = Window::new(shared, info, SampleData { align: 1, ..extent });
            return Ok(Box::new(EmbeddedFrames::open(shared, window)?));
        }
        if let Some(raw) = self.raw(&format) {
            let rate = self.word(&format, 4).unwrap_or(0) as u32;
            return Ok(Box::new(RawSamples::new(shared, extent, raw, rate, self.channels(&format).into())));
        }
        Ok(match self {
            Self::Wav | Self::W64 => {
                let head =
                    [&b"RIFF\xff\xff\xff\xffWAVEfmt "[..], &le(&format), &format, b"data\xff\xff\xff\xff"].concat();
                let window = Window::new(shared, head, extent);
                Box::new(SymphoniaFile::open::<WavReader<'_>>(window, false)?.with_samples(stated))
            }
            Self::Aiff => {
                let length = (format.len() as u32).to_be_bytes();
                let samples = b"SSND\xff\xff\x00\x00\0\0\0\0\0\0\0\0";
                let head = [&b"FORM\xff\xff\xff\xff"[..], &kind, b"COMM", &length, &format, samples].concat();
                let window = Window::new(shared, head, extent);
                Box::new(SymphoniaFile::open::<AiffReader<'_>>(window, false)?.with_samples(stated))
            }
        })
    }

    /// Finds the format chunk and goes to the samples.
    fn parts(self, body: &mut Body, end: u64) -> Result<Headers> {
        let (mut format, mut long) = (None, None);
        // The position of the samples, if they came before their format.
        let mut passed = None;
        while let Some(chunk) = self.chunk(body) {
            body.consume(self.header());
            chunk.note(body);
            match &chunk.name {
                b"data" | b"SSND" => {
                    let offset = if self == Self::Aiff { 8 + self.word(body.peek(8), 0).unwrap_or(0) } else { 0 };
                    let samples = (body.position() + offset, self.samples(&chunk, offset, long, body));
                    match (&format, body.is_seekable()) {
                        (None, true) => passed = Some(samples),
                        (None, false) => return Err(damaged("the samples come before their format")),
                        (Some(_), _) => passed = passed.or(Some(samples)),
                    }
                }
                b"fmt " | b"COMM" if chunk.length <= MAX_FORMAT => {
                    let mut bytes = body.peek(chunk.length as usize).to_vec();
                    bytes.resize(bytes.len().next_multiple_of(2), 0);
                    format = Some(bytes);
                }
                b"ds64" => long = body.peek(16).last_chunk().map(|length| u64::from_le_bytes(*length)),
                _ => {}
            }
            if let (Some(format), Some((position, samples))) = (&mut format, passed) {
                match position.checked_sub(body.position()) {
                    Some(on) => {
                        body.skip(on);
                    }
                    None => body.seek(position),
                }
                return Ok(Headers { format: std::mem::take(format), samples });
            }
            self.pass(body, chunk.length, end);
        }
        Err(if passed.is_some() { damaged("samples without a format") } else { unsupported("a file without samples") })
    }

    /// Returns the number of bytes of samples, if it is known.
    fn samples(self, chunk: &Chunk, offset: u64, long: Option<u64>, body: &mut Body) -> Option<u64> {
        match long {
            Some(long) if chunk.length == u64::from(u32::MAX) => Some(long),
            _ => {
                Some(chunk.length).filter(|length| *length < self.unknown()).map(|length| length.saturating_sub(offset))
            }
        }
        // 0 is left by a writer that never came back to its header; unless there is really nothing but other chunks.
        .filter(|length| *length > 0 || self.is_chunk(body.peek(self.header())))
    }

    /// Returns the least length that states nothing.
    fn unknown(self) -> u64 {
        if self == Self::W64 { i64::MAX as u64 - W64_FILE.len() as u64 } else { UNKNOWN }
    }

    /// Returns the bytes to insert before a stream of frames, which begins with `head`; `None` if it is no such stream.
    fn frames(self, format: &[u8], head: &[u8]) -> Option<Vec<u8>> {
        match self.short(format, 0) {
            _ if self == Self::Aiff => None,
            LAYERS_1_AND_2 | LAYER_3 | ADTS => Some(Vec::new()),
            FLAC if Flac::detect(head) => Some(Vec::new()),
            FLAC => Some([flac::STREAM_INFO_ALONE, format.get(FLAC_INFO)?].concat()),
            _ => None,
        }
    }

    fn channels(self, format: &[u8]) -> u16 {
        match self {
            Self::Wav | Self::W64 => self.short(format, 2),
            Self::Aiff => self.short(format, 0),
        }
    }

    /// Returns true if each sample is coded by itself, so that the number of samples follows from that of bytes.
    fn is_linear(self, format: &[u8]) -> bool {
        const EXTENSIBLE: u16 = 0xfffe;
        let tag = self.short(format, 0);
        self == Self::Aiff || [INTEGERS, FLOATS, A_LAW, MU_LAW, EXTENSIBLE].contains(&tag)
    }

    /// Returns the format of raw samples of one channel or two, if they need no demuxer.
    fn raw(self, format: &[u8]) -> Option<Raw> {
        let raw = match (self, self.short(format, 0), self.short(format, 14)) {
            (Self::Wav | Self::W64, INTEGERS, 16) => Raw::Pcm16,
            (Self::Wav | Self::W64, FLOATS, 32) => Raw::F32,
            (Self::Wav | Self::W64, A_LAW, 8) => Raw::G711(Law::A),
            (Self::Wav | Self::W64, MU_LAW, 8) => Raw::G711(Law::Mu),
            // The bits per sample are stated as 8, or as 4 for each of two samples.
            (Self::Wav | Self::W64, G722, _) if self.channels(format) == 1 => Raw::G722,
            _ => return None,
        };
        let channels = self.channels(format);
        let is_packed = self.align(format) == u64::from(channels) * raw.bytes() as u64;
        (matches!(channels, 1 | 2) && is_packed && self.word(format, 4) != Some(0)).then_some(raw)
    }

    /// Returns the bytes of one sample of every channel, or of a block.
    fn align(self, format: &[u8]) -> u64 {
        let align = match self {
            Self::Wav | Self::W64 => u64::from(self.short(format, 12)),
            Self::Aiff => u64::from(self.channels(format)) * u64::from(self.short(format, 6).div_ceil(8)),
        };
        align.max(1)
    }

    fn short(self, bytes: &[u8], position: usize) -> u16 {
        let short = bytes.get(position..).and_then(<[u8]>::first_chunk).copied().unwrap_or_default();
        if self == Self::Aiff { u16::from_be_bytes(short) } else { u16::from_le_bytes(short) }
    }

    fn word(self, bytes: &[u8], position: usize) -> Option<u64> {
        let word = bytes.get(position..)?.first_chunk()?;
        Some(u64::from(if self == Self::Aiff { u32::from_be_bytes(*word) } else { u32::from_le_bytes(*word) }))
    }

    /// Returns the size of a chunk's header: its name and its length.
    fn header(self) -> usize {
        if self == Self::W64 { W64_FILE.len() + 8 } else { CHUNK_HEADER }
    }

    fn chunk(self, body: &mut Body) -> Option<Chunk> {
        let head = body.peek(self.header());
        let name = *head.first_chunk()?;
        let length = match self {
            Self::W64 => {
                let length = u64::from_le_bytes(*head.last_chunk().filter(|_| head.len() == self.header())?);
                // It includes the header.
                length.checked_sub(self.header() as u64)?
            }
            _ => self.word(head, 4)?,
        };
        Some(Chunk { name, length })
    }

    /// Returns true if `head` begins a known chunk.
    fn is_chunk(self, head: &[u8]) -> bool {
        match self {
            Self::W64 => head.get(4..16).is_some_and(|tail| tail == W64_CHUNK),
            _ => is_chunk(head),
        }
    }

    /// Skips a chunk, or goes to the samples within it if its length is impossible: it extends beyond the `end` of the file, or no chunk
    /// follows.
    fn pass(self, body: &mut Body, length: u64, end: u64) {
        let position = body.position();
        // A file that does not state its end is believed to have none.
        let end = Some(end).filter(|end| *end > position && *end - position < UNKNOWN);
        let fits = |at: u64, length: u64| end.is_some_and(|end| position + at + length <= end);
        let looked = body.peek(length.min(MAX_SEARCH) as usize + 1 + CHUNK_HEADER);
        let follows = |at: usize| {
            let Some(next) = looked.get(at..).filter(|next| next.len() >= CHUNK_HEADER) else { return true };
            let length = self.word(next, 4).unwrap_or(0);
            let is_short = end.is_none() && length <= MAX_SEARCH;
            is_chunk(next) || (has_name(next) && (is_short || fits((at + CHUNK_HEADER) as u64, length)))
        };
        let is_believed = match length {
            _ if self == Self::W64 => true,
            ..=MAX_SEARCH => follows(length as usize) || (length % 2 == 1 && follows(length as usize + 1)),
            _ => fits(0, length) || (end.is_none() && length < UNKNOWN),
        };
        if is_believed {
            return self.skip(body, length);
        }
        let mut heads = body.peek(MAX_SEARCH as usize).windows(CHUNK_HEADER);
        let samples = heads.position(|head| {
            let length = self.word(head, 4).unwrap_or(0);
            matches!(&head[..4], b"data" | b"SSND")
                && (end.is_none() || length == 0 || length >= UNKNOWN || fits(0, length))
        });
        match samples {
            Some(samples) => body.consume(samples),
            None => self.skip(body, length),
        }
    }

    fn skip(self, body: &mut Body, length: u64) {
        body.skip(length);
        self.pad(body, length);
    }

    /// Skips the padding behind a chunk of this length. Chunks begin at even positions, in W64 at multiples of 8; some writers forget it.
    fn pad(self, body: &mut Body, length: u64) {
        let head = body.peek(tags::HEAD);
        if !self.is_chunk(head) && !files::detect(head) {
            let align = if self == Self::W64 { 8 } else { 2 };
            body.skip(length.wrapping_neg() % align);
        }
    }
}

struct Headers {
    format: Vec<u8>,
    /// The length of the samples, if it is known.
    samples: Option<u64>,
}

struct Chunk {
    name: [u8; 4],
    length: u64,
}

impl Chunk {
    /// Reads the content of a tag chunk at the body's position, if tags are wanted.
    fn note(&self, body: &mut Body) {
        if let Some(tag) = Tag::of_chunk(self.name) {
            body.note_tag(tag, 0, self.length);
        }
    }
}

/// Returns true if `head` begins a known chunk.
fn is_chunk(head: &[u8]) -> bool {
    const NAMES: [&[u8]; 28] = [
        b"data", b"LIST", b"fact", b"id3 ", b"ID3 ", b"bext", b"cue ", b"smpl", b"inst", b"iXML", b"axml", b"PEAK",
        b"JUNK", b"PAD ", b"acid", b"DISP", b"_PMX", b"afsp", b"SSND", b"COMM", b"NAME", b"AUTH", b"ANNO", b"(c) ",
        b"MARK", b"COMT", b"INST", b"APPL",
    ];
    NAMES.iter().any(|name| head.starts_with(name))
}

/// Returns true if `head` begins with a valid chunk name.
fn has_name(head: &[u8]) -> bool {
    head.first_chunk::<4>().is_some_and(|name| name.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' '))
}

fn le(bytes: &[u8]) -> [u8; 4] {
    (bytes.len() as u32).to_le_bytes()
}

/// The samples, and the chunks behind them.
struct SampleData {
    riff: Riff,
    /// The length in bytes, if it is known; otherwise they go to the end of the body.
    length: Option<u64>,
    align: u64,
    /// The end of the file, as stated.
    end: u64,
    is_given: bool,
}

impl Extent for SampleData {
    fn more(&mut self, _body: &mut Body) -> u64 {
        match self.length {
            _ if std::mem::replace(&mut self.is_given, true) => 0,
            // A partial sample at the end is dropped.
            Some(length) => length - length % self.align,
            None => u64::MAX,
        }
    }

    fn missing(&self, rest: u64) -> Option<(u64, u64)> {
        let length = self.length.filter(|_| rest > 0)?;
        Some((length.saturating_sub(rest), length))
    }

    fn finish(&mut self, body: &mut Body) -> u64 {
        let Some(length) = self.length else { return 0 };
        body.skip(length % self.align);
        self.riff.pad(body, length);
        while let Some(chunk) = self.riff.chunk(body) {
            let header = self.riff.header();
            let end = (body.position() + header as u64).saturating_add(chunk.length);
            let head = body.peek(header);
            let is_inside = has_name(head) && end <= self.end;
            if files::detect(head) || !(is_inside || self.riff.is_chunk(head)) {
                break;
            }
            body.consume(header);
            chunk.note(body);
            self.riff.skip(body, chunk.length);
        }
        0
    }
}

/// A WAV of raw samples.
struct RawSamples {
    body: SharedBody,
    samples: SampleData,
    raw: Raw,
    decoder: RawDecoder,
    spec: AudioSpec,
    /// The bytes of one sample of every channel.
    frame: usize,
    /// The bytes of samples still to come, or a great number if that is not known.
    left: u64,
    /// The samples per channel, if their number is known.
    stated: Option<u64>,
    is_over: bool,
}

impl RawSamples {
    fn new(body: &SharedBody, mut samples: SampleData, raw: Raw, rate: u32, channels: usize) -> Self {
        let left = samples.more(&mut body.get());
        let (spec, frame) = (raw::spec(rate, channels), raw.bytes() * channels);
        let stated = samples.length.map(|bytes| bytes / frame as u64 * raw.samples() as u64);
        let decoder = RawDecoder::new(raw);
        Self { body: body.clone(), samples, raw, decoder, spec, frame, left, stated, is_over: false }
    }
}

impl FileDecoder for RawSamples {
    fn next(&mut self, block: &mut Block) -> Result<Step> {
        if self.is_over {
            return Ok(Step::End);
        }
        let mut body = self.body.get();
        body.peek(self.frame);
        let there = (body.buffered().len() as u64).min(self.left) as usize / self.frame;
        let length = there.min(AT_A_TIME) * self.frame;
        if length == 0 {
            self.is_over = true;
            self.left -= body.skip(self.left);
            return Ok(Step::Discarded(self.samples.finish(&mut body)));
        }
        block.spec.clone_from(&self.spec);
        self.decoder.decode(&body.buffered()[..length], &mut block.samples);
        body.consume(length);
        self.left -= length as u64;
        Ok(Step::Block)
    }

    fn skip(&mut self, to: u64) -> Option<u64> {
        // Each sample is coded by itself, except in G.722.
        let stated = self.stated.filter(|stated| to < *stated && self.raw.samples() == 1)?;
        let frame = self.frame as u64;
        let received = stated - self.left / frame;
        let skipped = self.body.get().skip(to.checked_sub(received)? * frame);
        self.left -= skipped;
        Some(received + skipped / frame)
    }

    fn details(&mut self) -> FileDetails {
        let codec = match self.raw {
            Raw::Pcm16 => "pcm_s16le",
            Raw::F32 => "pcm_f32le",
            Raw::G711(Law::Mu) => "pcm_mulaw",
            Raw::G711(Law::A) => "pcm_alaw",
            Raw::G722 => "g722",
        };
        FileDetails { codec, samples: self.stated, ..FileDetails::default() }
    }

    fn missing(&self) -> Option<(u64, u64)> {
        self.samples.missing(self.left)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::super::decode::{Decode, FormatHint};
    use super::super::files::Files;
    use super::super::read_ahead::tests::{SOON, decode};
    use super::*;
    use crate::error::Code;

    const SAMPLES: usize = 12_345;

    /// Returns a WAV of a format, which states `stated` bytes of samples and has these.
    fn wav(tag: u16, channels: u16, bits: u16, stated: usize, samples: &[u8]) -> Vec<u8> {
        let align = channels * bits / 8;
        let mut format = [&tag.to_le_bytes()[..], &channels.to_le_bytes(), &44_100_u32.to_le_bytes()].concat();
        format.extend((44_100 * u32::from(align)).to_le_bytes());
        format.extend([align.to_le_bytes(), bits.to_le_bytes()].concat());
        let parts: [&[u8]; 8] =
            [b"RIFF", &[0xff; 4], b"WAVEfmt ", &le(&format), &format, b"data", &(stated as u32).to_le_bytes(), samples];
        parts.concat()
    }

    /// Returns the same as `WAVE_FORMAT_EXTENSIBLE`, which goes through a demuxer.
    fn extensible(tag: u16, channels: u16, bits: u16, stated: usize, samples: &[u8]) -> Vec<u8> {
        let mut wav = wav(0xfffe, channels, bits, stated, samples);
        let mask = [4_u32, 3][usize::from(channels) - 1];
        let guid = b"\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71";
        let more =
            [&22_u16.to_le_bytes()[..], &bits.to_le_bytes(), &mask.to_le_bytes(), &tag.to_le_bytes(), guid].concat();
        wav.splice(36..36, more);
        wav[16] = 40;
        wav
    }

    /// Plays a body; returns its sound and its error.
    fn played(bytes: Vec<u8>) -> (Vec<f32>, Option<Code>) {
        let (_task, result) = decode(move |task| {
            let (mut all, body) = (Vec::new(), Body::new(Box::new(Cursor::new(bytes)), task));
            let mut files = match Files::open(body, &FormatHint::default()) {
                Ok(files) => files,
                Err(error) => return (all, Some(error.code)),
            };
            loop {
                match files.next() {
                    Ok(Some((spec, samples))) => {
                        assert_eq!(spec.rate(), 44_100);
                        all.extend_from_slice(samples);
                    }
                    Ok(None) => return (all, None),
                    Err(error) => return (all, Some(error.code)),
                }
            }
        });
        result.recv_timeout(SOON).expect("it ends")
    }

    #[test]
    fn raw_samples_match_the_demuxer() {
        for (tag, bits, channels) in [(1, 16, 1), (1, 16, 2), (3, 32, 1), (3, 32, 2)] {
            let frame = usize::from(channels * bits / 8);
            let bytes: Vec<u8> = (0..SAMPLES * frame).map(|n| (n * n / 7 % 251) as u8).collect();
            for (stated, there) in [
                (bytes.len(), bytes.len()),
                (u32::MAX as usize, bytes.len()),
                (u32::MAX as usize, bytes.len() - 1),
                (bytes.len(), bytes.len() / 2),
                (bytes.len() / 3, bytes.len() / 3),
                (0, bytes.len()),
            ] {
                let [ours, theirs] =
                    [wav, extensible].map(|make| played(make(tag, channels, bits, stated, &bytes[..there])));
                assert!(ours.0.len() > SAMPLES / 4, "{} samples", ours.0.len());
                assert!(ours == theirs, "{tag}, {bits}, {channels}: {} of {}", there, stated);
            }
        }
    }

    #[test]
    fn plays_a_second_file_after_raw_samples() {
        let bytes: Vec<u8> = (0..2 * SAMPLES).map(|n| (n % 251) as u8).collect();
        let (one, two) =
            (wav(1, 1, 16, bytes.len(), &bytes), wav(1, 1, 16, bytes.len() / 2, &bytes[..bytes.len() / 2]));
        let (heard, end) = played([one, two].concat());
        assert_eq!((heard.len(), end), (SAMPLES + SAMPLES / 2, None));
    }

    /// Returns a chunk, padded.
    fn chunk(name: &[u8; 4], stated: usize, bytes: &[u8]) -> Vec<u8> {
        [&name[..], &(stated as u32).to_le_bytes(), bytes].concat()
    }

    #[test]
    fn tolerates_invalid_chunks_before_the_samples() {
        let samples: Vec<u8> = (0..2 * SAMPLES).map(|n| (n % 251) as u8).collect();
        let whole = wav(1, 1, 16, samples.len(), &samples);
        let expected = played(whole.clone());
        assert_eq!((expected.0.len(), expected.1), (SAMPLES, None));
        for (what, chunks) in [
            ("odd, padded", chunk(b"LIST", 3, b"abc\0")),
            ("odd, not padded", chunk(b"LIST", 3, b"abc")),
            ("empty", chunk(b"JUNK", 0, b"")),
            ("cut", chunk(b"LIST", 400, b"INFOIART\x04\0\0\0abcd")),
            ("cut, odd", chunk(b"LIST", 401, b"INFOIART\x04\0\0\0abc")),
            ("cut, of gigabytes", chunk(b"bext", 0xffff_fff0, &[1; 600])),
            ("too short", chunk(b"cart", 2, b"\x01\x02\x03\x04\x05\x06")),
            ("two", [chunk(b"fact", 4, &[0; 4]), chunk(b"id3 ", 5, b"ID3\x04\0\0")].concat()),
        ] {
            for riff in [0, 8, 36, whole.len() + chunks.len() - 8, 0xffff_ffff] {
                let mut bytes = [&whole[..36], &chunks, &whole[36..]].concat();
                bytes[4..8].copy_from_slice(&(riff as u32).to_le_bytes());
                let heard = played(bytes);
                assert!(heard == expected, "{what}, {riff} bytes: {} samples, {:?}", heard.0.len(), heard.1);
            }
        }
    }

    /// Returns a 16-bit W64.
    fn w64(stated: u64, samples: &[u8]) -> Vec<u8> {
        let plain = wav(1, 1, 16, 0, &[]);
        let name = |name: &[u8; 4]| [&name[..], W64_CHUNK].concat();
        let parts: [&[u8]; 9] = [
            W64_FILE,
            &(128 + stated).to_le_bytes(),
            &name(b"wave"),
            &name(b"fmt "),
            &(24 + 16_u64).to_le_bytes(),
            &plain[20..36],
            &name(b"data"),
            &(24 + stated).to_le_bytes(),
            samples,
        ];
        parts.concat()
    }

    #[test]
    fn reads_64_bit_lengths() {
        let samples: Vec<u8> = (0..2 * SAMPLES).map(|n| (n % 251) as u8).collect();
        let expected = played(wav(1, 1, 16, samples.len(), &samples));
        assert_eq!(played(w64(samples.len() as u64, &samples)), expected);
        // A writer that never came back to its header.
        for stated in [0, u64::MAX - 1_000, i64::MAX as u64] {
            assert_eq!(played(w64(stated, &samples)), expected, "{stated} bytes");
        }
        assert_eq!(played(w64(2 * samples.len() as u64, &samples)), (expected.0.clone(), Some(Code::Truncated)));
        // The chunks behind begin at multiples of 8, and files behind these are played too.
        let list =
            [&b"list\x2f\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\0\0"[..], &29_u64.to_le_bytes(), b"abcde\0\0\0"].concat();
        let odd = w64(5_001, &samples[..5_001]);
        let twice = [&odd[..], &[0; 7], &w64(8, &samples[..8])].concat();
        assert_eq!(played(twice), ([&expected.0[..2_500], &expected.0[..4]].concat(), None));
        let tail = [&odd[..], &[0; 7], &list].concat();
        assert_eq!(played(tail), (expected.0[..2_500].to_vec(), None));

        let ds64 = |length: u64| {
            let sizes = [length + 72, length, length / 2].map(u64::to_le_bytes).concat();
            [
                &b"RF64\xff\xff\xff\xffWAVEds64\x1c\0\0\0"[..],
                &sizes,
                &[0; 4],
                &wav(1, 1, 16, 0xffff_ffff, &samples)[12..],
            ]
            .concat()
        };
        assert_eq!(played(ds64(samples.len() as u64)), expected);
        assert_eq!(played(ds64(0)), expected, "never finished");
        assert_eq!(played(ds64(1 << 40)), (expected.0, Some(Code::Truncated)));
    }
}
