//! CAF, Apple's Core Audio Format: chunks with 64-bit lengths around samples or packets, big-endian.
//!
//! Packets have no headers: unless all are of one length, a table (`pakt`) lists their lengths, which Apple's own programs write after
//! them.

use std::io;

use symphonia::core::audio::{Channels, Position, layouts};
use symphonia::core::codecs::audio::well_known::{
    CODEC_ID_AAC, CODEC_ID_ADPCM_IMA_QT, CODEC_ID_ALAC, CODEC_ID_OPUS, CODEC_ID_PCM_ALAW, CODEC_ID_PCM_F32BE,
    CODEC_ID_PCM_F32LE, CODEC_ID_PCM_F64BE, CODEC_ID_PCM_F64LE, CODEC_ID_PCM_MULAW, CODEC_ID_PCM_S8,
    CODEC_ID_PCM_S16BE, CODEC_ID_PCM_S16LE, CODEC_ID_PCM_S24BE, CODEC_ID_PCM_S24LE, CODEC_ID_PCM_S32BE,
    CODEC_ID_PCM_S32LE,
};
use symphonia::core::codecs::audio::{AudioCodecId, AudioCodecParameters, AudioDecoder};
use symphonia::core::packet::PacketRef;
use symphonia::core::units::{Duration, Timestamp};

use super::blocks::{BlockLayout, Blocks, default_channels};
use super::body::{Body, SharedBody};
use super::container::{Extent, Window};
use super::decode::{Block, FileDecoder, FileDetails, LEAD_IN, Step, damaged, decode_into, decoder, unsupported};
use super::files::{self, EmbeddedFrames};
use super::trim::Trim;
use crate::error::Result;

/// The magic number and version of a file, and the length of a chunk header: name and length.
const FILE_HEADER: &[u8] = b"caff\0\x01\0\0";
const CHUNK_HEADER: usize = 12;

/// The length of the chunk `desc`.
const DESCRIPTION: usize = 32;

/// The length of the edit count that precedes the samples in their chunk.
const EDIT_COUNT: u64 = 4;

/// The longest codec or channel description.
const MAX_DESCRIPTION: u64 = 64 << 10;

/// The longest packet table: a day of AAC takes 8 MB.
const MAX_TABLE: u64 = 16 << 20;

/// The length of the table's header: the number of packets and of samples, and how many of these are inaudible at either end.
const TABLE_HEADER: usize = 24;

/// The longest packet: FLAC or ALAC with eight channels takes some hundred kilobytes.
const MAX_PACKET: u64 = 1 << 20;

/// Returns true if `head` begins a CAF file.
pub fn detect(head: &[u8]) -> bool {
    head.starts_with(FILE_HEADER)
}

/// Returns true if a file's packets precede the table that separates them: none is played before all have arrived. `read` fills a slice
/// from a position on.
pub fn table_comes_last(mut read: impl FnMut(u64, &mut [u8]) -> io::Result<()>) -> io::Result<bool> {
    let mut header = [0; CHUNK_HEADER];
    read(0, &mut header[..FILE_HEADER.len()])?;
    if !detect(&header) {
        return Ok(false);
    }
    let mut position = FILE_HEADER.len() as u64;
    while position <= MAX_DESCRIPTION {
        read(position, &mut header)?;
        let length = header.last_chunk().map_or(0, |length| u64::from_be_bytes(*length));
        match &header[..4] {
            b"desc" => {
                let mut description = [0; DESCRIPTION];
                read(position + CHUNK_HEADER as u64, &mut description)?;
                let description = Description::read(&description);
                if description.is_none_or(|description| description.needs_no_table()) {
                    return Ok(false);
                }
            }
            b"pakt" => return Ok(false),
            b"data" => return Ok(true),
            _ => {}
        }
        position = position.saturating_add(CHUNK_HEADER as u64).saturating_add(length);
    }
    Ok(false)
}

/// The content of the chunk `desc`.
struct Description {
    rate: u32,
    codec: [u8; 4],
    flags: u32,
    /// Bytes and samples of a packet, or 0 where they differ.
    bytes: u32,
    samples: u32,
    channels: u32,
    bits: u32,
}

impl Description {
    fn read(bytes: &[u8]) -> Option<Self> {
        let rate = f64::from_be_bytes(*bytes.first_chunk()?);
        let codec = *bytes.get(8..)?.first_chunk()?;
        let word = |at: usize| Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?));
        let (flags, bytes, samples, channels, bits) = (word(12)?, word(16)?, word(20)?, word(24)?, word(28)?);
        Some(Self { rate: rate as u32, codec, flags, bytes, samples, channels, bits })
    }

    fn is_mpeg(&self) -> bool {
        matches!(&self.codec, b".mp1" | b".mp2" | b".mp3")
    }

    /// Returns true if the packet lengths are known without a table: frames of MPEG audio state their own.
    fn needs_no_table(&self) -> bool {
        (self.bytes > 0 && self.samples > 0) || self.is_mpeg()
    }

    /// Returns the codec of fixed-length blocks, and the bytes and samples of one channel in a block.
    fn blocks(&self) -> Option<(AudioCodecId, u32, u32)> {
        let is_float = self.flags & 1 != 0;
        let is_little = self.flags & 2 != 0;
        let pcm = match (is_float, self.bits.div_ceil(8), is_little) {
            (false, 1, _) => CODEC_ID_PCM_S8,
            (false, 2, true) => CODEC_ID_PCM_S16LE,
            (false, 2, false) => CODEC_ID_PCM_S16BE,
            (false, 3, true) => CODEC_ID_PCM_S24LE,
            (false, 3, false) => CODEC_ID_PCM_S24BE,
            (false, 4, true) => CODEC_ID_PCM_S32LE,
            (false, 4, false) => CODEC_ID_PCM_S32BE,
            (true, 4, true) => CODEC_ID_PCM_F32LE,
            (true, 4, false) => CODEC_ID_PCM_F32BE,
            (true, 8, true) => CODEC_ID_PCM_F64LE,
            _ => CODEC_ID_PCM_F64BE,
        };
        let (codec, bytes, samples) = match &self.codec {
            b"lpcm" => (pcm, self.bits.div_ceil(8), 1),
            b"ulaw" => (CODEC_ID_PCM_MULAW, 1, 1),
            b"alaw" => (CODEC_ID_PCM_ALAW, 1, 1),
            b"ima4" => (CODEC_ID_ADPCM_IMA_QT, 34, 64),
            _ => return None,
        };
        // Samples wider than their bits are not read, nor those that no codec has.
        let is_ordinary = bytes.checked_mul(self.channels) == Some(self.bytes) && samples == self.samples && bytes > 0;
        let is_known = codec != CODEC_ID_PCM_F64BE || (is_float && bytes == 8);
        (is_ordinary && is_known).then_some((codec, bytes, samples))
    }
}

/// The chunks that describe the samples, before or after them.
#[derive(Default)]
struct Headers {
    description: Option<Description>,
    cookie: Option<Vec<u8>>,
    channels: Option<Channels>,
    table: Option<Table>,
}

impl Headers {
    /// Reads a chunk. Does not move the body.
    fn read(&mut self, kind: &[u8], length: u64, body: &mut Body) -> Result<()> {
        let limit = if kind == b"pakt" { MAX_TABLE } else { MAX_DESCRIPTION };
        if !matches!(kind, b"desc" | b"kuki" | b"chan" | b"pakt") {
            return Ok(());
        }
        if length > limit {
            return Err(unsupported(format!("a CAF file with a chunk of {length} bytes")));
        }
        let bytes = body.peek(length as usize);
        match kind {
            b"desc" => self.description = Description::read(bytes),
            b"kuki" => self.cookie = Some(bytes.to_vec()),
            b"chan" => self.channels = channels(bytes),
            _ => self.table = Table::read(bytes),
        }
        Ok(())
    }
}

/// The content of the chunk `pakt`.
#[derive(Default)]
struct Table {
    packets: u64,
    /// The number of audible samples, and of the inaudible ones before them.
    valid: u64,
    priming: u64,
    /// The encoded numbers after the header.
    rest: Vec<u8>,
    at: usize,
}

impl Table {
    fn read(bytes: &[u8]) -> Option<Self> {
        let long = |at: usize| Some(i64::from_be_bytes(*bytes.get(at..)?.first_chunk()?).max(0) as u64);
        let (packets, valid) = (long(0)?, long(8)?);
        let priming = i32::from_be_bytes(*bytes.get(16..)?.first_chunk()?).max(0) as u64;
        Some(Self { packets, valid, priming, rest: bytes.get(TABLE_HEADER..)?.to_vec(), at: 0 })
    }

    /// Reads the next number: seven bits per byte, the highest first.
    fn next(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for _ in 0..9 {
            let byte = *self.rest.get(self.at)?;
            self.at += 1;
            number = number << 7 | u64::from(byte & 0x7f);
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}

/// Opens the file that begins here.
pub fn open(shared: &SharedBody) -> Result<Box<dyn FileDecoder>> {
    let mut body = shared.get();
    body.skip(FILE_HEADER.len() as u64);
    let mut headers = Headers::default();
    // The position and length of the samples, if a chunk after them has to be read first.
    let mut passed = None;
    let stated = loop {
        let Some((kind, length)) = chunk(&mut body) else {
            let Some((position, stated)) = passed else { return Err(unsupported("a CAF file without samples")) };
            if headers.table.is_none() {
                return Err(damaged("a CAF file without its table of packets"));
            }
            body.seek(position);
            break stated;
        };
        body.consume(CHUNK_HEADER);
        if &kind != b"data" {
            // Only the samples may be of unknown length.
            let length = length.ok_or_else(|| damaged("a chunk without a length"))?;
            headers.read(&kind, length, &mut body)?;
            body.skip(length);
            continue;
        }
        body.skip(EDIT_COUNT);
        let stated = length.map(|length| length.saturating_sub(EDIT_COUNT));
        let description =
            headers.description.as_ref().ok_or_else(|| damaged("the samples come before their format"))?;
        let is_known = headers.table.is_some() || description.needs_no_table();
        match stated {
            _ if is_known => break stated,
            Some(length) if body.is_seekable() && passed.is_none() => {
                passed = Some((body.position(), stated));
                body.skip(length);
            }
            _ => return Err(unsupported("a CAF file whose table of packets comes last")),
        }
    };
    drop(body);
    let Headers { description, cookie, channels, table } = headers;
    let description = description.ok_or_else(|| damaged("the samples come before their format"))?;
    let channels = match channels.filter(|channels| channels.count() == description.channels as usize) {
        Some(channels) => channels,
        None => default_channels(description.channels)?,
    };
    let (priming, valid) = match &table {
        Some(table) if table.valid > 0 => (table.priming, Some(table.valid)),
        _ => (0, None),
    };
    let samples: Box<dyn FileDecoder> = if description.is_mpeg() {
        let window = Window::new(shared, Vec::new(), Frames { stated, is_given: false });
        Box::new(EmbeddedFrames::open(shared, window)?)
    } else if let Some((codec, bytes, samples)) = description.blocks() {
        let bytes = bytes * description.channels;
        Box::new(Blocks::new(shared, &BlockLayout { codec, rate: description.rate, channels, bytes, samples }, stated)?)
    } else {
        Box::new(Packets::new(shared, &description, channels, cookie, table, stated)?)
    };
    Ok(Box::new(Caf { body: shared.clone(), samples, trim: Trim::new(priming, valid), valid, is_over: false }))
}

/// Reads the name and length of the chunk that starts here; one without a length runs to the end of the body.
fn chunk(body: &mut Body) -> Option<([u8; 4], Option<u64>)> {
    let head = body.peek(CHUNK_HEADER);
    let length = i64::from_be_bytes(*head.get(4..)?.first_chunk()?);
    let name: [u8; 4] = *head.first_chunk()?;
    let has_name = name.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ');
    (has_name && length >= -1).then_some((name, u64::try_from(length).ok()))
}

/// Returns the channels of the chunk `chan`, if its layout is known.
fn channels(bytes: &[u8]) -> Option<Channels> {
    let word = |at: usize| Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?));
    let tag = word(0)?;
    // The tags of CoreAudioBaseTypes.h whose channels are in WAV's order, and the bitmap, which is WAV's.
    Some(match (tag >> 16, tag & 0xffff) {
        (100, _) => layouts::CHANNEL_LAYOUT_MONO,
        (101 | 102, _) => layouts::CHANNEL_LAYOUT_STEREO,
        (113, _) => layouts::CHANNEL_LAYOUT_MPEG_3P0_A,
        (121, _) => layouts::CHANNEL_LAYOUT_MPEG_5P1_A,
        (126, _) => layouts::CHANNEL_LAYOUT_MPEG_7P1_A,
        (1, 0) => Channels::Positioned(Position::from_wave_channel_mask(word(4)?)?),
        _ => return None,
    })
}

/// A CAF file: its audible samples, and the chunks after them.
struct Caf {
    body: SharedBody,
    samples: Box<dyn FileDecoder>,
    trim: Trim,
    /// The number of audible samples per channel, if the table states it.
    valid: Option<u64>,
    is_over: bool,
}

impl FileDecoder for Caf {
    fn next(&mut self, block: &mut Block) -> Result<Step> {
        if self.is_over {
            return Ok(Step::End);
        }
        match self.samples.next(block)? {
            Step::Block => {
                self.trim.cut(block);
                Ok(Step::Block)
            }
            Step::End => {
                self.is_over = true;
                let mut body = self.body.get();
                while let Some((_, Some(length))) = chunk(&mut body).filter(|_| !files::detect(body.peek(CHUNK_HEADER)))
                {
                    body.consume(CHUNK_HEADER);
                    body.skip(length);
                }
                Ok(Step::End)
            }
            discarded => Ok(discarded),
        }
    }

    fn skip(&mut self, to: u64) -> Option<u64> {
        let to = Some(to).filter(|to| self.valid.is_none_or(|valid| *to < valid))?;
        let decoded = self.samples.skip(self.trim.decoded(to))?;
        self.trim.skip_to(decoded);
        Some(self.trim.audible(decoded))
    }

    fn details(&mut self) -> FileDetails {
        let FileDetails { codec, samples, metadata } = self.samples.details();
        FileDetails { codec, samples: self.valid.or(samples), metadata }
    }

    fn missing(&self) -> Option<(u64, u64)> {
        self.samples.missing()
    }
}

/// The extent of a stream of frames.
struct Frames {
    stated: Option<u64>,
    is_given: bool,
}

impl Extent for Frames {
    fn more(&mut self, _body: &mut Body) -> u64 {
        if std::mem::replace(&mut self.is_given, true) { 0 } else { self.stated.unwrap_or(u64::MAX) }
    }

    fn missing(&self, rest: u64) -> Option<(u64, u64)> {
        let stated = self.stated.filter(|_| rest > 0)?;
        Some((stated.saturating_sub(rest), stated))
    }
}

/// The packets of a codec without fixed-length blocks.
struct Packets {
    body: SharedBody,
    decoder: Box<dyn AudioDecoder>,
    /// Bytes and samples of each packet; 0 if the table lists them.
    bytes: u64,
    samples: u64,
    table: Table,
    /// The number of packets so far, and of the samples per channel in them.
    received: u64,
    decoded: u64,
    /// Bytes of packets still to come, or `u64::MAX` if that is unknown.
    left: u64,
    is_cut: bool,
    is_over: bool,
    packet: Vec<u8>,
}

impl Packets {
    fn new(
        body: &SharedBody,
        description: &Description,
        channels: Channels,
        cookie: Option<Vec<u8>>,
        table: Option<Table>,
        stated: Option<u64>,
    ) -> Result<Self> {
        let codec = match &description.codec {
            b"aac " => CODEC_ID_AAC,
            b"alac" => CODEC_ID_ALAC,
            b"opus" => CODEC_ID_OPUS,
            name => {
                return Err(unsupported(format!(
                    "a CAF file with a codec ({}) that is not played",
                    name.escape_ascii()
                )));
            }
        };
        let mut parameters = AudioCodecParameters::new();
        parameters.for_codec(codec).with_sample_rate(description.rate).with_channels(channels);
        if codec == CODEC_ID_OPUS {
            parameters.with_extra_data(opus_head(description)?.into());
        } else if let Some(cookie) = cookie {
            let data = if codec == CODEC_ID_AAC { specific(&cookie) } else { bare(&cookie) };
            parameters.with_extra_data(data.into());
        }
        let (bytes, samples) = (u64::from(description.bytes), u64::from(description.samples));
        let left = stated.unwrap_or(u64::MAX);
        let (body, decoder) = (body.clone(), decoder(&parameters)?);
        let table = table.unwrap_or_default();
        Ok(Self {
            body,
            decoder,
            bytes,
            samples,
            table,
            received: 0,
            decoded: 0,
            left,
            is_cut: false,
            is_over: false,
            packet: Vec::new(),
        })
    }

    /// Returns the bytes and samples of the next packet.
    fn one(&mut self) -> Option<(u64, u64)> {
        if self.bytes > 0 && self.samples > 0 {
            return (self.left > 0).then_some((self.bytes, self.samples));
        }
        if self.received >= self.table.packets {
            return None;
        }
        let bytes = if self.bytes > 0 { self.bytes } else { self.table.next()? };
        let samples = if self.samples > 0 { self.samples } else { self.table.next()? };
        Some((bytes, samples))
    }
}

impl FileDecoder for Packets {
    fn next(&mut self, block: &mut Block) -> Result<Step> {
        if self.is_over {
            return Ok(Step::End);
        }
        let one = self.one();
        let mut body = self.body.get();
        let Some((bytes, samples)) = one.filter(|(bytes, _)| *bytes <= MAX_PACKET.min(self.left)) else {
            // Bytes beyond the table belong to no packet, and a packet longer than the rest of its chunk is not there.
            self.is_over = true;
            let known = if self.left == u64::MAX { 0 } else { self.left };
            let discarded = if one.is_some() { known } else { 0 };
            body.skip(known);
            return Ok(Step::Discarded(discarded));
        };
        self.packet.clear();
        self.packet.extend_from_slice(body.peek(bytes as usize));
        body.consume(bytes as usize);
        drop(body);
        if (self.packet.len() as u64) < bytes {
            (self.is_cut, self.is_over) = (true, true);
            return Ok(Step::End);
        }
        self.received += 1;
        self.left -= bytes;
        self.decoded = self.decoded.saturating_add(samples);
        let packet = PacketRef::new(0, Timestamp::new(0), Duration::new(samples), &self.packet);
        decode_into(&mut *self.decoder, &packet, block, Step::Discarded(bytes))
    }

    fn skip(&mut self, to: u64) -> Option<u64> {
        let to = to.saturating_sub(LEAD_IN);
        let mut bytes = 0;
        loop {
            let before = self.table.at;
            let one = self
                .one()
                .filter(|(length, samples)| *length <= self.left && self.decoded.saturating_add(*samples) <= to);
            let Some((length, samples)) = one else {
                self.table.at = before;
                break;
            };
            self.received += 1;
            self.left -= length;
            self.decoded += samples;
            bytes += length;
        }
        self.decoder.reset();
        self.body.get().skip(bytes);
        Some(self.decoded)
    }

    fn details(&mut self) -> FileDetails {
        FileDetails { codec: self.decoder.codec_info().short_name, ..FileDetails::default() }
    }

    fn missing(&self) -> Option<(u64, u64)> {
        (self.is_cut && self.received < self.table.packets).then_some((self.received, self.table.packets))
    }
}

/// Builds the header of an Opus stream (RFC 7845 §5.1), which CAF lacks; the pre-skip is 0, since the table states the inaudible start.
fn opus_head(description: &Description) -> Result<Vec<u8>> {
    const FAMILY: u8 = 0;
    let channels = u8::try_from(description.channels).ok().filter(|channels| (1..=2).contains(channels));
    let channels =
        channels.ok_or_else(|| unsupported(format!("Opus of {} channels in a CAF file", description.channels)))?;
    let (pre_skip, gain) = ([0; 2], [0; 2]);
    let parts: [&[u8]; 5] = [b"OpusHead\x01", &[channels], &pre_skip, &description.rate.to_le_bytes(), &gain];
    Ok([&parts.concat()[..], &[FAMILY]].concat())
}

/// Extracts the decoder-specific part (tag 5) of an MPEG-4 descriptor (ISO/IEC 14496-1 §7.2.6): `ES_Descriptor`, `DecoderConfigDescriptor`.
/// A cookie that is no descriptor is that part already.
fn specific(cookie: &[u8]) -> Vec<u8> {
    const ELEMENTARY_STREAM: (u8, usize) = (3, 3);
    const CONFIGURATION: (u8, usize) = (4, 13);
    const SPECIFIC: (u8, usize) = (5, 0);
    let mut rest = cookie;
    for (tag, fixed) in [ELEMENTARY_STREAM, CONFIGURATION, SPECIFIC] {
        let Some((_, mut behind)) = rest.split_first().filter(|(found, _)| **found == tag) else {
            return cookie.to_vec();
        };
        let mut length = 0_usize;
        for _ in 0..4 {
            let Some((byte, next)) = behind.split_first() else { return cookie.to_vec() };
            behind = next;
            length = length << 7 | usize::from(byte & 0x7f);
            if byte & 0x80 == 0 {
                break;
            }
        }
        rest = behind.get(fixed..length.min(behind.len())).unwrap_or_default();
    }
    rest.to_vec()
}

/// Returns the bare ALAC description: older files put two MP4 box headers before it, `frma` and `alac`.
fn bare(cookie: &[u8]) -> Vec<u8> {
    const HEADERS: usize = 12 + 12;
    let is_old = cookie.get(4..8).is_some_and(|name| name == b"frma") && cookie.len() > HEADERS;
    (if is_old { &cookie[HEADERS..] } else { cookie }).to_vec()
}
