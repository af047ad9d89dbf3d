//! Native FLAC (RFC 9639), frame by frame: changes between frames are played as they come.
//!
//! A frame does not state its length. It ends where its checksum is right and another frame, a tag, another file or the end follows.

use symphonia::core::checksum::{Crc8Ccitt, Crc16Ansi};
use symphonia::core::codecs::audio::well_known::CODEC_ID_FLAC;
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder};
use symphonia::core::io::Monitor;

use super::body::{Body, SharedBody};
use super::decode::{Block, FileDecoder, FileDetails, Step, damaged, decode_packet, decoder};
use super::files::{self, MAX_JUNK, find_start};
use super::metadata::Tag;
use super::tags;
use crate::error::Result;

/// `fLaC`, and the header of a `STREAMINFO` block that is the only metadata block.
pub const STREAM_INFO_ALONE: &[u8] = b"fLaC\x80\0\0\x22";

/// The magic number, its length with the header of the first metadata block, and the length of `STREAMINFO`, which should be that block.
const NAME: &[u8] = b"fLaC";
const HEAD: usize = NAME.len() + 4;
const STREAM_INFO: u64 = 34;

/// The first metadata block type that is undefined, so that no file has it (RFC 9639 §8.1).
const UNDEFINED: u8 = 7;

/// The type of the metadata block that is a tag.
const VORBIS_COMMENT: u8 = 4;

/// The type of the metadata block with the seek table, the length of a seek point, and the most that is read of the table.
const SEEK_TABLE: u8 = 3;
const POINT: usize = 18;
const MAX_TABLE: u64 = 1 << 20;

/// A frame that begins at most this many seconds before a sample is near enough: the rest is decoded. And the number of tries to find one.
const NEAR_SECONDS: u64 = 2;
const MAX_LOOKS: usize = 12;

/// The longest frame header: sync and codes, a number of seven bytes, block size, rate and checksum.
const MAX_HEADER: usize = 16;

/// The most bytes of metadata before the first frame: a few pictures.
const MAX_METADATA: u64 = 64 << 20;

/// The number of candidate ends that are tried: wrong ones with a matching checksum are rare.
const MAX_ENDS: usize = 8;

/// The most bytes searched in a row for the ends of frames that have none: each header may claim megabytes.
const MAX_SEARCH: usize = 64 << 20;

/// The parameters of a decoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct StreamInfo {
    rate: u32,
    channels: u8,
    bits: u8,
    /// The largest block, in samples per channel.
    block: u16,
}

/// The parameters of a stream without `STREAMINFO`.
const NO_STREAM_INFO: StreamInfo = StreamInfo { rate: 0, channels: 1, bits: 0, block: 0 };

impl StreamInfo {
    /// Reads a `STREAMINFO` block: the parameters, and the samples per channel that it states; 0 is unknown.
    fn read(info: &[u8; 34]) -> (Self, u64) {
        let [_, _, block @ .., _, _, _, _, _, _] = info.first_chunk::<10>().unwrap_or(&[0; 10]);
        let packed = info[10..18].iter().fold(0, |packed, byte| packed << 8 | u64::from(*byte));
        let decoder_info = Self {
            rate: (packed >> 44) as u32,
            channels: (packed >> 41 & 7) as u8 + 1,
            bits: (packed >> 36 & 31) as u8 + 1,
            block: u16::from_be_bytes(*block),
        };
        (decoder_info, packed & 0xf_ffff_ffff)
    }

    /// Writes a `STREAMINFO` block for frames with these parameters.
    fn write(&self) -> [u8; 34] {
        let mut info = [0; 34];
        let block = self.block.max(16).to_be_bytes();
        info[..2].copy_from_slice(&block);
        info[2..4].copy_from_slice(&block);
        let packed = u64::from(self.rate) << 44 | u64::from(self.channels - 1) << 41 | u64::from(self.bits - 1) << 36;
        info[10..18].copy_from_slice(&packed.to_be_bytes());
        info
    }

    fn decoder(&self) -> Result<Box<dyn AudioDecoder>> {
        let mut parameters = AudioCodecParameters::new();
        parameters.for_codec(CODEC_ID_FLAC).with_extra_data(self.write().into());
        decoder(&parameters)
    }

    /// Returns true if a decoder with these parameters can decode `frame` too.
    fn covers(&self, frame: &Self) -> bool {
        Self { block: 0, ..*self } == Self { block: 0, ..*frame } && self.block >= frame.block
    }

    /// Returns more bytes than a frame can take: twice its samples uncompressed.
    fn longest(&self) -> usize {
        let samples = usize::from(self.block) * (usize::from(self.bits) + 1) / 8 + 16;
        2 * samples * usize::from(self.channels) + MAX_HEADER
    }
}

/// A FLAC file.
pub struct Flac {
    body: SharedBody,
    info: StreamInfo,
    /// The parameters of the current decoder.
    decoder_info: StreamInfo,
    decoder: Box<dyn AudioDecoder>,
    frame: Vec<u8>,
    /// The samples per channel that the file states, and how many came.
    stated: u64,
    received: u64,
    /// The number that the first frame gives to its first sample, and the length of that frame.
    first: Option<(u64, u16)>,
    /// The position of the first frame, and the seek table: samples and the bytes from there.
    frames: u64,
    table: Vec<(u64, u64)>,
    is_cut: bool,
    /// Bytes searched for the ends of frames since the last frame that has one.
    searched: usize,
    /// True once no frame of it can be found any more.
    is_lost: bool,
}

impl Flac {
    /// Returns true if `head` begins a FLAC file.
    pub fn detect(head: &[u8]) -> bool {
        head.starts_with(NAME) && head.len() >= HEAD && head[4] & 0x7f < UNDEFINED
    }

    /// Opens the file that begins here.
    pub fn open(shared: &SharedBody) -> Result<Self> {
        let mut body = shared.get();
        body.skip(NAME.len() as u64);
        let first = body.position();
        let (mut described, mut is_last, mut table) = (None, false, Vec::new());
        while !is_last {
            if body.position() - first > MAX_METADATA {
                return Err(damaged("more metadata than a FLAC file has"));
            }
            let [kind, length @ ..] = body.peek(4) else { break };
            let (kind, length) = (*kind, length.iter().fold(0, |length, byte| length << 8 | u64::from(*byte)));
            is_last = kind & 0x80 != 0;
            body.consume(4);
            match kind & 0x7f {
                // It should be the first block, and is not in every file.
                0 if length >= STREAM_INFO && described.is_none() => {
                    described = body.peek(STREAM_INFO as usize).first_chunk().map(StreamInfo::read);
                }
                SEEK_TABLE if table.is_empty() => table = seek_points(body.peek(length.min(MAX_TABLE) as usize)),
                VORBIS_COMMENT => body.note_tag(Tag::Vorbis, 0, length),
                _ => {}
            }
            body.skip(length);
        }
        // Without it, frames that state all their parameters can be played nevertheless.
        let (info, stated) = match described {
            Some(described) => described,
            None => (
                header(body.peek(MAX_HEADER), &NO_STREAM_INFO)
                    .ok_or_else(|| damaged("a FLAC file without a description"))?,
                0,
            ),
        };
        let frames = body.position();
        drop(body);
        let decoder = info.decoder()?;
        Ok(Self {
            body: shared.clone(),
            info,
            decoder_info: info,
            decoder,
            frame: Vec::new(),
            stated,
            received: 0,
            first: None,
            frames,
            table,
            is_cut: false,
            searched: 0,
            is_lost: false,
        })
    }
}

impl FileDecoder for Flac {
    fn next(&mut self, block: &mut Block) -> Result<Step> {
        let mut body = self.body.get();
        let Some(frame) = header(body.peek(MAX_HEADER), &self.info).filter(|_| !self.is_lost) else {
            if self.is_lost {
                return Ok(Step::End);
            }
            let (discarded, is_found) = seek_to_frame(&mut body, &self.info);
            self.is_lost = !is_found;
            return Ok(Step::Discarded(discarded));
        };
        let end = end(&mut body, &self.info, &frame);
        if !matches!(end, End::At(_)) {
            self.searched += body.buffered().len().min(frame.longest());
            self.is_lost = self.searched > MAX_SEARCH;
        }
        let length = match end {
            End::At(length) => length,
            End::Damaged(length) => return Ok(Step::Discarded(body.discard(length))),
            End::Behind(ends) => {
                let mut fits = |length: &usize| {
                    body.yield_if_due();
                    let Some(bytes) = body.buffered().get(..*length) else { return false };
                    let decoder = frame.decoder();
                    let step = decoder.and_then(|mut decoder| decode_packet(&mut *decoder, bytes, block, Step::End));
                    matches!(step, Ok(Step::Block))
                };
                match ends.into_iter().find(|length| fits(length)) {
                    Some(length) => length,
                    None if body.buffered().len() > frame.longest() => return Ok(Step::Discarded(body.discard(1))),
                    None => {
                        self.is_cut = true;
                        body.skip(u64::MAX);
                        return Ok(Step::End);
                    }
                }
            }
        };
        self.frame.clear();
        self.frame.extend_from_slice(&body.buffered()[..length]);
        body.consume(length);
        drop(body);
        if !self.decoder_info.covers(&frame) {
            self.decoder_info = frame;
            self.decoder = frame.decoder()?;
        }
        self.received += u64::from(frame.block);
        self.first = self.first.or_else(|| Some((number(&self.frame, frame.block)?, frame.block)));
        (self.searched, self.is_lost) = (0, false);
        decode_packet(&mut *self.decoder, &self.frame, block, Step::Discarded(length as u64))
    }

    fn skip(&mut self, to: u64) -> Option<u64> {
        let mut body = self.body.get();
        let end = body.length().filter(|_| to < self.stated)?;
        let (number, block) = self.first?;
        // The bounds of the search, as position and sample: `low` is the start of a frame at or before the sample.
        let (mut low, mut high) = ((body.position(), self.received), (end, self.stated));
        let mut listed = self
            .table
            .iter()
            .rev()
            .find(|(sample, _)| *sample <= to)
            .map(|(_, bytes)| self.frames.saturating_add(*bytes));
        let near = u64::from(self.info.rate) * NEAR_SECONDS;
        for _ in 0..MAX_LOOKS {
            if to.saturating_sub(low.1) <= near || high.0 <= low.0 {
                break;
            }
            let between = || {
                let aim = (to - near / 2).saturating_sub(low.1);
                let part = u128::from(aim) * u128::from(high.0 - low.0) / u128::from((high.1 - low.1).max(1));
                low.0 + part as u64
            };
            let position = listed.take().filter(|position| (low.0..high.0).contains(position)).unwrap_or_else(between);
            body.seek(position);
            match frame_from(&mut body, &self.info, block) {
                Some(found) => {
                    let (at, sample) = (body.position(), found.saturating_sub(number));
                    match sample {
                        _ if at >= high.0 || sample >= self.stated => high.0 = position,
                        _ if sample > to => high = (position, sample),
                        _ if sample > low.1 => low = (at, sample),
                        _ => break,
                    }
                }
                None => high.0 = position,
            }
        }
        body.seek(low.0);
        self.received = low.1;
        Some(low.1)
    }

    fn details(&mut self) -> FileDetails {
        FileDetails { codec: "flac", samples: Some(self.stated).filter(|stated| *stated > 0), ..FileDetails::default() }
    }

    fn missing(&self) -> Option<(u64, u64)> {
        // A total may be wrong, but the encoder that wrote it wrote whole frames.
        (self.is_cut && self.received < self.stated).then_some((self.received, self.stated))
    }
}

/// Returns the samples and bytes of a table's seek points, without placeholders (RFC 9639 §8.5).
fn seek_points(table: &[u8]) -> Vec<(u64, u64)> {
    let long = |bytes: &[u8]| bytes.iter().fold(0, |long, byte| long << 8 | u64::from(*byte));
    let seek_points = table.chunks_exact(POINT).map(|point| (long(&point[..8]), long(&point[8..16])));
    seek_points.filter(|(sample, _)| *sample < u64::MAX).collect()
}

/// Returns the number of the first sample of the frame with this header: the coded number counts blocks of one length, or samples (§9.1.5).
fn number(head: &[u8], block: u16) -> Option<u64> {
    let first = *head.get(4)?;
    let bytes = (first.leading_ones() as usize).max(1);
    let begun = if bytes == 1 { u64::from(first) } else { u64::from(first) & (0x7f_u64 >> bytes) };
    let number = head.get(5..4 + bytes)?.iter().fold(begun, |number, byte| number << 6 | u64::from(byte & 0x3f));
    let counts_samples = head.get(1)? & 1 == 1;
    Some(if counts_samples { number } else { number * u64::from(block) })
}

/// Moves to the next whole frame with the parameters of the stream. Returns the number of its first sample.
fn frame_from(body: &mut Body, info: &StreamInfo, block: u16) -> Option<u64> {
    let mut searched = 0;
    while searched <= MAX_JUNK {
        let from = body.position();
        let (_, is_frame) = seek_to_frame(body, info);
        let head = body.peek(MAX_HEADER).to_vec();
        let frame = header(&head, info).filter(|frame| is_frame && info.covers(frame));
        if let Some(frame) = frame {
            if matches!(end(body, info, &frame), End::At(_)) {
                return number(&head, block);
            }
            // The header claims this much, and all of it was searched.
            searched += body.buffered().len().min(frame.longest()) as u64;
        }
        if body.is_at_end() {
            return None;
        }
        body.consume(1);
        searched += body.position() - from;
    }
    None
}

/// Reads the frame header that `head` begins with, if it does (RFC 9639 §9.1); missing values come from the stream's `info`.
fn header(head: &[u8], info: &StreamInfo) -> Option<StreamInfo> {
    let [0xff, 0xf8 | 0xf9, sizes, kinds, number, ..] = *head else { return None };
    let number = match number.leading_ones() {
        0 => 1,
        1 | 8 => return None,
        bytes => bytes as usize,
    };
    let mut position = 4 + number;
    let mut field = |bytes: usize| {
        let field = head.get(position..position + bytes)?;
        position += bytes;
        Some(field.iter().fold(0, |field, byte| field << 8 | u32::from(*byte)))
    };
    let block = match sizes >> 4 {
        0 => return None,
        1 => 192,
        code @ 2..=5 => 576 << (code - 2),
        6 => field(1)? + 1,
        7 => field(2)? + 1,
        code => 256 << (code - 8),
    };
    let rate = match sizes & 15 {
        0 => info.rate,
        code @ 1..=11 => [88_200, 176_400, 192_000, 8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000]
            [usize::from(code) - 1],
        12 => field(1)? * 1_000,
        13 => field(2)?,
        14 => field(2)? * 10,
        _ => return None,
    };
    let channels = match kinds >> 4 {
        independent @ 0..=7 => independent + 1,
        8..=10 => 2,
        _ => return None,
    };
    let bits = match kinds & 15 {
        0 => info.bits,
        2 => 8,
        4 => 12,
        8 => 16,
        10 => 20,
        12 => 24,
        14 => 32,
        _ => return None,
    };
    let checksum = field(1)? as u8;
    let mut crc = Crc8Ccitt::new(0);
    crc.process_buf_bytes(&head[..position - 1]);
    (crc.crc() == checksum && block <= 0xffff && rate > 0 && bits > 0).then_some(StreamInfo {
        rate,
        channels,
        bits,
        block: block as u16,
    })
}

/// The end of a frame.
enum End {
    /// The length in bytes.
    At(usize),
    /// Unknown: before the end of the body, or of the longest possible frame, with something else after it; one of these lengths, if any.
    Behind(Vec<usize>),
    /// None: the frame is damaged, and something else may begin this many bytes from here.
    Damaged(usize),
}

/// Finds the end of the `frame` that starts here.
fn end(body: &mut Body, info: &StreamInfo, frame: &StreamInfo) -> End {
    let (mut crc, mut checked) = (Crc16Ansi::new(0), 0);
    let mut next = None;
    let mut at = 1;
    while at <= frame.longest() {
        let ahead = body.buffered();
        let found = ahead.get(at..).and_then(find_start);
        let candidate = found.map_or(ahead.len(), |found| at + found);
        if candidate > frame.longest() {
            break;
        }
        // Reads far enough ahead to recognize a candidate.
        if ahead.len() < candidate + tags::HEAD && body.fill() {
            at = candidate.max(1);
            continue;
        }
        if !body.yield_if_due() {
            return End::Damaged(0);
        }
        let ahead = body.buffered();
        let is_end = candidate == ahead.len();
        if is_end || is_boundary(&ahead[candidate..], info) {
            crc.process_buf_bytes(&ahead[checked..candidate]);
            checked = candidate;
            if crc.crc() == 0 {
                return End::At(candidate);
            }
        }
        if is_end {
            break;
        }
        if next.is_none() && header(&ahead[candidate..], info).is_some() {
            next = Some(candidate);
        }
        at = candidate + 1;
    }
    match next {
        Some(next) => End::Damaged(next),
        None => End::Behind(right_checksums(&body.buffered()[..frame.longest().min(body.buffered().len())])),
    }
}

fn is_boundary(head: &[u8], info: &StreamInfo) -> bool {
    header(head, info).is_some() || tags::detect(head) || files::detect(head)
}

/// Returns the first lengths at which the checksum of everything before is right.
fn right_checksums(bytes: &[u8]) -> Vec<usize> {
    let (mut crc, mut positions) = (Crc16Ansi::new(0), Vec::new());
    for (index, byte) in bytes.iter().enumerate() {
        crc.process_byte(*byte);
        if crc.crc() == 0 && index > MAX_HEADER / 2 {
            positions.push(index + 1);
            if positions.len() == MAX_ENDS {
                break;
            }
        }
    }
    positions
}

/// Moves to the next frame, file or tag, or to the end. Returns how many bytes were discarded, and true if it is a frame.
fn seek_to_frame(body: &mut Body, info: &StreamInfo) -> (u64, bool) {
    let (from, mut discarded) = (body.position(), 0);
    loop {
        let run = body.position() - from;
        body.peek(tags::HEAD);
        let head = body.buffered();
        if header(head, info).is_some() {
            return (discarded, true);
        }
        if head.is_empty() || run > MAX_JUNK || tags::detect(head) || files::detect(head) {
            return (discarded, false);
        }
        let step = find_start(&head[1..]).map_or(head.len(), |step| 1 + step);
        discarded += body.discard(step);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_the_stream_info_it_read() {
        let decoder_info = StreamInfo { rate: 44_100, channels: 2, bits: 24, block: 4_096 };
        assert_eq!(StreamInfo::read(&decoder_info.write()), (decoder_info, 0));
    }

    #[test]
    fn bounds_the_search_for_frame_ends() {
        // At 192 kHz and 8 channels of 16 bits, a header claims up to two megabytes.
        let info = StreamInfo { rate: 192_000, channels: 8, bits: 16, block: 0xffff };
        let mut head = vec![0xff, 0xf8, 0x70, 0x78, 0, 0xff, 0xfe];
        let mut crc = Crc8Ccitt::new(0);
        crc.process_buf_bytes(&head);
        // No subframe begins like this, whatever its checksum.
        head.extend([crc.crc(), 0x80]);
        head.resize(256, 0);
        assert!(header(&head, &info).is_some());
        let file = [b"fLaC\x80\0\0\x22", &info.write()[..], &head.repeat(16 << 10)].concat();
        for body in super::super::body::tests::bodies(&file) {
            let (mut flac, mut block) = (Flac::open(&SharedBody::new(body)).unwrap(), Block::default());
            let mut steps = 0;
            while matches!(flac.next(&mut block).unwrap(), Step::Discarded(_)) {
                steps += 1;
            }
            assert!(steps <= MAX_SEARCH / info.longest() + 2, "{steps} heads were looked behind");
        }
    }

    #[test]
    fn reads_headers_and_checks_checksums() {
        let info = StreamInfo { rate: 11_025, channels: 1, bits: 20, block: 0 };
        let head = |bytes: &[u8]| {
            let mut crc = Crc8Ccitt::new(0);
            crc.process_buf_bytes(bytes);
            let whole = [bytes, &[crc.crc()], &[0; 8]].concat();
            let mut broken = whole.clone();
            broken[bytes.len()] ^= 1;
            assert_eq!(header(&broken, &info), None);
            header(&whole, &info)
        };
        let decoder_info = |rate, channels, bits, block| Some(StreamInfo { rate, channels, bits, block });
        assert_eq!(head(&[0xff, 0xf8, 0xc9, 0xa8, 0]), decoder_info(44_100, 2, 16, 4_096));
        assert_eq!(head(&[0xff, 0xf9, 0x10, 0x00, 0xc2, 0xa2]), decoder_info(11_025, 1, 20, 192));
        assert_eq!(head(&[0xff, 0xf8, 0x6c, 0x7e, 0, 99, 96]), decoder_info(96_000, 8, 32, 100));
        assert_eq!(head(&[0xff, 0xf8, 0x7e, 0x12, 0, 0x12, 0x34, 0x03, 0x73]), decoder_info(8_830, 2, 8, 0x1235));
        for nothing in [[0xff, 0xf8, 0x09, 0xa8, 0], [0xff, 0xf8, 0xcf, 0xa8, 0], [0xff, 0xf8, 0xc9, 0xb8, 0]] {
            assert_eq!(head(&nothing), None);
        }
    }
}
