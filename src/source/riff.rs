//! Files of chunks: WAV (RIFF, and RF64 of EBU Tech 3306), AIFF and AIFF-C, as they are written and not only as they should be.
//!
//! The lengths in a header are often wrong: programs that write into a pipe do not know them. So chunks are walked here, and
//! the demuxer gets a header that says nothing but the format, and no tag. The most common samples need no demuxer, which would
//! keep 64 KiB at hand for each file that plays.

use symphonia::core::audio::AudioSpec;
use symphonia::default::formats::{AiffReader, WavReader};

use super::body::{Body, SharedBody};
use super::container::{Contained, Extent, Window};
use super::decode::{About, Block, Piece, Step, damaged, unsupported};
use super::file;
use super::metadata::Tag;
use super::raw::{self, Raw};
use super::tags;
use crate::error::Result;

/// A length that states nothing: what is written where it is not known is 0x7fff_ffff, 0xffff_ffff, or a little less.
const UNKNOWN: u64 = 0x7fff_0000;

/// The longest description of a format; longer ones are none.
const MAX_FORMAT: u64 = 4 << 10;

/// More channels than any layout has: 64 are seventh-order ambisonics. A decoder takes memory for each.
const MAX_CHANNELS: u16 = 64;

/// How many samples a channel are decoded at a time.
const AT_A_TIME: usize = 512;

/// `wFormatTag` of samples as they are played.
const INTEGERS: u16 = 1;
const FLOATS: u16 = 3;

/// The name and the length of a chunk, and those of a file with its kind.
const CHUNK_HEADER: usize = 8;
const FILE_HEADER: usize = 12;

/// The kinds of files of chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Riff {
    /// Little-endian.
    Wav,
    /// Big-endian.
    Aiff,
}

impl Riff {
    /// The kind of file that `head` begins, if it does.
    pub fn begins(head: &[u8]) -> Option<Self> {
        let kind = head.get(8..FILE_HEADER)?;
        match &head[..4] {
            b"RIFF" | b"RF64" | b"BW64" if kind == b"WAVE" => Some(Self::Wav),
            b"FORM" if kind == b"AIFF" || kind == b"AIFC" => Some(Self::Aiff),
            _ => None,
        }
    }

    /// Opens the file that begins here.
    pub fn open(self, shared: &SharedBody) -> Result<Box<dyn Piece>> {
        let mut body = shared.get();
        let end = body.place() + CHUNK_HEADER as u64 + self.chunk(&mut body).map_or(0, |chunk| chunk.length);
        let kind = body.peek(FILE_HEADER)[CHUNK_HEADER..].to_vec();
        body.consume(FILE_HEADER);
        let Parts { format, samples } = self.parts(&mut body)?;
        if body.metadata().is_some() && body.is_seekable() {
            let from = body.place();
            let align = self.align(&format);
            let mut behind = Samples { riff: self, length: samples, align, end, is_given: false };
            let length = behind.more(&mut body);
            body.skip(length);
            behind.finish(&mut body);
            body.seek(from);
        }
        drop(body);
        if self.channels(&format) > MAX_CHANNELS {
            return Err(unsupported(format!("{} channels", self.channels(&format))));
        }
        let align = self.align(&format);
        let stated = samples.filter(|_| self.is_linear(&format)).map(|bytes| bytes / align);
        let extent = Samples { riff: self, length: samples, align, end, is_given: false };
        if let Some(raw) = self.raw(&format) {
            let rate = self.word(&format, 4).unwrap_or(0) as u32;
            return Ok(Box::new(Plain::new(shared, extent, raw, rate, self.channels(&format).into())));
        }
        Ok(match self {
            Self::Wav => {
                let head =
                    [&b"RIFF\xff\xff\xff\xffWAVEfmt "[..], &le(&format), &format, b"data\xff\xff\xff\xff"].concat();
                let window = Window::new(shared, head, extent);
                Box::new(Contained::open::<WavReader<'_>>(window, false)?.with_samples(stated))
            }
            Self::Aiff => {
                let length = (format.len() as u32).to_be_bytes();
                let samples = b"SSND\xff\xff\x00\x00\0\0\0\0\0\0\0\0";
                let head = [&b"FORM\xff\xff\xff\xff"[..], &kind, b"COMM", &length, &format, samples].concat();
                let window = Window::new(shared, head, extent);
                Box::new(Contained::open::<AiffReader<'_>>(window, false)?.with_samples(stated))
            }
        })
    }

    /// Finds the description of the format and goes to the samples.
    fn parts(self, body: &mut Body) -> Result<Parts> {
        let (mut format, mut long) = (None, None);
        // Where the samples are, if they came before their description.
        let mut passed = None;
        while let Some(chunk) = self.chunk(body) {
            body.consume(CHUNK_HEADER);
            chunk.note(body);
            match &chunk.name {
                b"data" | b"SSND" => {
                    let offset = if self == Self::Aiff { 8 + self.word(body.peek(8), 0).unwrap_or(0) } else { 0 };
                    let samples = (body.place() + offset, self.samples(&chunk, offset, long, body));
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
            if let (Some(format), Some((place, samples))) = (&mut format, passed) {
                match place.checked_sub(body.place()) {
                    Some(on) => {
                        body.skip(on);
                    }
                    None => body.seek(place),
                }
                return Ok(Parts { format: std::mem::take(format), samples });
            }
            self.skip(body, chunk.length);
        }
        Err(unsupported("a file without samples"))
    }

    /// How many bytes of samples there are, if that is known.
    fn samples(self, chunk: &Chunk, offset: u64, long: Option<u64>, body: &mut Body) -> Option<u64> {
        match long {
            Some(long) if chunk.length == u64::from(u32::MAX) => Some(long),
            // A writer that never came back to its header; unless there is really nothing but other chunks.
            _ if chunk.length == 0 && !is_chunk(body.peek(CHUNK_HEADER)) => None,
            _ => Some(chunk.length).filter(|length| *length < UNKNOWN).map(|length| length.saturating_sub(offset)),
        }
    }

    fn channels(self, format: &[u8]) -> u16 {
        match self {
            Self::Wav => self.short(format, 2),
            Self::Aiff => self.short(format, 0),
        }
    }

    /// Returns true if each sample is written by itself, so that their number is known by that of their bytes.
    fn is_linear(self, format: &[u8]) -> bool {
        const G711: [u16; 2] = [6, 7];
        const EXTENSIBLE: u16 = 0xfffe;
        let tag = self.short(format, 0);
        self == Self::Aiff || [INTEGERS, FLOATS, EXTENSIBLE].contains(&tag) || G711.contains(&tag)
    }

    /// How samples of one channel or two are written, if that needs no codec.
    fn raw(self, format: &[u8]) -> Option<Raw> {
        let raw = match (self, self.short(format, 0), self.short(format, 14)) {
            (Self::Wav, INTEGERS, 16) => Raw::Pcm16,
            (Self::Wav, FLOATS, 32) => Raw::F32,
            _ => return None,
        };
        let channels = self.channels(format);
        let is_packed = self.align(format) == u64::from(channels) * raw.bytes() as u64;
        (matches!(channels, 1 | 2) && is_packed && self.word(format, 4) != Some(0)).then_some(raw)
    }

    /// Bytes of a sample for each channel, or of a block.
    fn align(self, format: &[u8]) -> u64 {
        let align = match self {
            Self::Wav => u64::from(self.short(format, 12)),
            Self::Aiff => u64::from(self.channels(format)) * u64::from(self.short(format, 6).div_ceil(8)),
        };
        align.max(1)
    }

    fn short(self, bytes: &[u8], place: usize) -> u16 {
        let short = bytes.get(place..).and_then(<[u8]>::first_chunk).copied().unwrap_or_default();
        if self == Self::Wav { u16::from_le_bytes(short) } else { u16::from_be_bytes(short) }
    }

    fn word(self, bytes: &[u8], place: usize) -> Option<u64> {
        let word = bytes.get(place..)?.first_chunk()?;
        Some(u64::from(if self == Self::Wav { u32::from_le_bytes(*word) } else { u32::from_be_bytes(*word) }))
    }

    fn chunk(self, body: &mut Body) -> Option<Chunk> {
        let head = body.peek(CHUNK_HEADER);
        Some(Chunk { name: *head.first_chunk()?, length: self.word(head, 4)? })
    }

    fn skip(self, body: &mut Body, length: u64) {
        body.skip(length);
        self.pad(body, length);
    }

    /// Goes from the end of a chunk of so many bytes to the next. Chunks begin at even places; some writers forget it.
    fn pad(self, body: &mut Body, length: u64) {
        let head = body.peek(tags::HEAD);
        if length % 2 == 1 && !is_chunk(head) && !file::begins(head) {
            body.skip(1);
        }
    }
}

struct Parts {
    format: Vec<u8>,
    /// The length of the samples, if it is known.
    samples: Option<u64>,
}

struct Chunk {
    name: [u8; 4],
    length: u64,
}

impl Chunk {
    /// If it is a tag, and somebody wants to know what it says: reads it, which begins here.
    fn note(&self, body: &mut Body) {
        if let Some(tag) = Tag::of_chunk(self.name) {
            body.note_tag(tag, 0, self.length);
        }
    }
}

/// Returns true if `head` begins a chunk that stands beside the samples.
fn is_chunk(head: &[u8]) -> bool {
    const NAMES: [&[u8]; 28] = [
        b"data", b"LIST", b"fact", b"id3 ", b"ID3 ", b"bext", b"cue ", b"smpl", b"inst", b"iXML", b"axml", b"PEAK",
        b"JUNK", b"PAD ", b"acid", b"DISP", b"_PMX", b"afsp", b"SSND", b"COMM", b"NAME", b"AUTH", b"ANNO", b"(c) ",
        b"MARK", b"COMT", b"INST", b"APPL",
    ];
    NAMES.iter().any(|name| head.starts_with(name))
}

fn le(bytes: &[u8]) -> [u8; 4] {
    (bytes.len() as u32).to_le_bytes()
}

/// The samples, and the chunks behind them.
struct Samples {
    riff: Riff,
    /// In bytes, if it is known; else they go to the end of the body.
    length: Option<u64>,
    align: u64,
    /// Where the file says that it ends.
    end: u64,
    is_given: bool,
}

impl Extent for Samples {
    fn more(&mut self, _body: &mut Body) -> u64 {
        match self.length {
            _ if std::mem::replace(&mut self.is_given, true) => 0,
            // A part of a sample is none.
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
            let has_name = chunk.name.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ');
            let is_inside = has_name && body.place() + CHUNK_HEADER as u64 + chunk.length <= self.end;
            if file::begins(body.peek(FILE_HEADER)) || !(is_inside || is_chunk(&chunk.name)) {
                break;
            }
            body.consume(CHUNK_HEADER);
            chunk.note(body);
            self.riff.skip(body, chunk.length);
        }
        0
    }
}

/// A WAV of raw samples.
struct Plain {
    body: SharedBody,
    samples: Samples,
    raw: Raw,
    spec: AudioSpec,
    /// Bytes of a sample for each channel.
    frame: usize,
    /// How many bytes of samples are still to come, or many if that is not known.
    left: u64,
    /// Samples per channel, if their number is known.
    stated: Option<u64>,
    is_over: bool,
}

impl Plain {
    fn new(body: &SharedBody, mut samples: Samples, raw: Raw, rate: u32, channels: usize) -> Self {
        let left = samples.more(&mut body.get());
        let (spec, frame) = (raw::spec(rate, channels), raw.bytes() * channels);
        let stated = samples.length.map(|bytes| bytes / frame as u64);
        Self { body: body.clone(), samples, raw, spec, frame, left, stated, is_over: false }
    }
}

impl Piece for Plain {
    fn next(&mut self, block: &mut Block) -> Result<Step> {
        if self.is_over {
            return Ok(Step::End);
        }
        let mut body = self.body.get();
        body.peek(self.frame);
        let there = (body.ahead().len() as u64).min(self.left) as usize / self.frame;
        let length = there.min(AT_A_TIME) * self.frame;
        if length == 0 {
            self.is_over = true;
            self.left -= body.skip(self.left);
            return Ok(Step::LeftOut(self.samples.finish(&mut body)));
        }
        block.spec.clone_from(&self.spec);
        self.raw.decode(&body.ahead()[..length], &mut block.samples);
        body.consume(length);
        self.left -= length as u64;
        Ok(Step::Block)
    }

    fn about(&mut self) -> About {
        let codec = match self.raw {
            Raw::Pcm16 => "pcm_s16le",
            Raw::F32 => "pcm_f32le",
        };
        About { codec, samples: self.stated, ..About::default() }
    }

    fn missing(&self) -> Option<(u64, u64)> {
        self.samples.missing(self.left)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::super::decode::{Decode, Label};
    use super::super::file::Files;
    use super::super::read_ahead::tests::{SOON, decode};
    use super::*;
    use crate::error::Code;

    const SAMPLES: usize = 12_345;

    /// A WAV of a format, of which so many bytes of samples are stated and these are there.
    fn wav(tag: u16, channels: u16, bits: u16, stated: usize, samples: &[u8]) -> Vec<u8> {
        let align = channels * bits / 8;
        let mut format = [&tag.to_le_bytes()[..], &channels.to_le_bytes(), &44_100_u32.to_le_bytes()].concat();
        format.extend((44_100 * u32::from(align)).to_le_bytes());
        format.extend([align.to_le_bytes(), bits.to_le_bytes()].concat());
        let parts: [&[u8]; 8] =
            [b"RIFF", &[0xff; 4], b"WAVEfmt ", &le(&format), &format, b"data", &(stated as u32).to_le_bytes(), samples];
        parts.concat()
    }

    /// The same as `WAVE_FORMAT_EXTENSIBLE`, which goes through a demuxer.
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

    /// What a body sounds like, and how it ends.
    fn played(bytes: Vec<u8>) -> (Vec<f32>, Option<Code>) {
        let (_task, result) = decode(move |task| {
            let (mut all, body) = (Vec::new(), Body::new(Box::new(Cursor::new(bytes)), task));
            let mut files = match Files::open(body, &Label::default()) {
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
    fn samples_are_the_same_with_and_without_a_demuxer() {
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
    fn a_file_behind_raw_samples_is_played_too() {
        let bytes: Vec<u8> = (0..2 * SAMPLES).map(|n| (n % 251) as u8).collect();
        let (one, two) =
            (wav(1, 1, 16, bytes.len(), &bytes), wav(1, 1, 16, bytes.len() / 2, &bytes[..bytes.len() / 2]));
        let (heard, end) = played([one, two].concat());
        assert_eq!((heard.len(), end), (SAMPLES + SAMPLES / 2, None));
    }
}
