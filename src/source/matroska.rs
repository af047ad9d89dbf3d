//! Matroska and WebM (RFC 9559, over EBML, RFC 8794): read once from start to end, so that files without sizes, cues or an end can be
//! played, as a browser's MediaRecorder writes them.
//!
//! Elements that hold blocks are entered and not measured, so that neither unknown sizes nor wrong ones matter: the next element shows
//! where it belongs. One of the tracks is played; timestamps are ignored.

use std::collections::VecDeque;
use std::ops::Range;

use symphonia::core::audio::Channels;
use symphonia::core::audio::layouts::{CHANNEL_LAYOUT_5P1, CHANNEL_LAYOUT_MONO, CHANNEL_LAYOUT_STEREO};
use symphonia::core::codecs::audio::well_known::{
    CODEC_ID_AAC, CODEC_ID_ALAC, CODEC_ID_FLAC, CODEC_ID_MP1, CODEC_ID_MP2, CODEC_ID_MP3, CODEC_ID_OPUS,
    CODEC_ID_PCM_F32LE, CODEC_ID_PCM_F64LE, CODEC_ID_PCM_S16BE, CODEC_ID_PCM_S16LE, CODEC_ID_PCM_S24BE,
    CODEC_ID_PCM_S24LE, CODEC_ID_PCM_S32BE, CODEC_ID_PCM_S32LE, CODEC_ID_PCM_U8, CODEC_ID_VORBIS,
};
use symphonia::core::codecs::audio::{AudioCodecId, AudioCodecParameters, AudioDecoder};

use super::body::{Body, SharedBody};
use super::decode::{Block, FileDecoder, FileDetails, Step, damaged, decode_packet, decoder, finish, unsupported};
use super::metadata::{MAX_TAG, Metadata};
use super::trim::Trim;
use crate::error::Result;

/// The ID of the element that begins a file.
pub const MAGIC: [u8; 4] = EBML.to_be_bytes();

/// The longest `Tracks` element: codec headers are some kilobytes each.
const MAX_TRACKS: usize = 1 << 20;

/// The number of elements before the tracks that are kept: title and tags, one of each.
const MAX_EARLY: usize = 4;

/// The most tracks that are considered.
const MAX_ENTRIES: usize = 16;

/// The longest block of the played track; and how much of a block is needed to read its track number.
const MAX_BLOCK: u64 = 4 << 20;
const BLOCK_HEADER: usize = 12;

/// The longest element with an unknown ID: a longer one is damage.
const MAX_UNKNOWN: u64 = 64 << 10;

/// More channels than any layout has.
const MAX_CHANNELS: u64 = 64;

/// Element IDs, with the bits that give their length (RFC 9559 §5.1).
const EBML: u32 = 0x1a45_dfa3;
const SEGMENT: u32 = 0x1853_8067;
const TRACKS: u32 = 0x1654_ae6b;
const CLUSTER: u32 = 0x1f43_b675;
const SIMPLE_BLOCK: u32 = 0xa3;
const BLOCK_GROUP: u32 = 0xa0;
const BLOCK: u32 = 0xa1;
const DISCARD_PADDING: u32 = 0x75a2;
const TRACK_ENTRY: u32 = 0xae;
const INFO: u32 = 0x1549_a966;
const TAGS: u32 = 0x1254_c367;

/// The IDs that are skipped: SeekHead, Info, Cues, Chapters, Tags, Attachments, and in clusters Timestamp, Position, PrevSize,
/// SilentTracks, EncryptedBlock; Void and CRC-32.
const SKIPPED_IDS: [u32; 13] = [
    0x114d_9b74,
    0x1549_a966,
    0x1c53_bb6b,
    0x1043_a770,
    0x1254_c367,
    0x1941_a469,
    0xe7,
    0xa7,
    0xab,
    0x5854,
    0xaf,
    0xec,
    0xbf,
];

/// The header of an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Header {
    id: u32,
    /// The length of the header itself.
    length: usize,
    /// The size of the element's content; `None` if it is unknown (RFC 8794 §6.2).
    size: Option<u64>,
}

impl Header {
    /// The longest header: an ID of four bytes and a size of eight.
    const LONGEST: usize = 12;

    /// Reads the header that `bytes` begins with.
    fn read(bytes: &[u8]) -> Option<Self> {
        let id = bytes.first()?.leading_zeros() as usize + 1;
        if id > 4 {
            return None;
        }
        let name = bytes.get(..id)?.iter().fold(0, |name, byte| name << 8 | u32::from(*byte));
        let (size, length) = number(bytes.get(id..)?)?;
        Some(Self { id: name, length: id + length, size })
    }

    /// Reads the header of the next element. Reads not a byte more, since a live stream may have none for a while.
    fn next(body: &mut Body) -> Option<Self> {
        let id = body.peek(1).first()?.leading_zeros() as usize + 1;
        let size = body.peek(id + 1).get(id)?.leading_zeros() as usize + 1;
        Self::read(body.peek((id + size).min(Self::LONGEST)))
    }

    fn is_known(&self) -> bool {
        matches!(self.id, EBML | SEGMENT | TRACKS | CLUSTER | SIMPLE_BLOCK | BLOCK_GROUP)
            || SKIPPED_IDS.contains(&self.id)
    }
}

/// Returns a variable-length number (RFC 8794 §4), and how many bytes it takes; the number is `None` if all its bits are set.
fn number(bytes: &[u8]) -> Option<(Option<u64>, usize)> {
    let first = *bytes.first()?;
    let length = first.leading_zeros() as usize + 1;
    if length > 8 {
        return None;
    }
    let bits = 7 * length as u32;
    let all = bytes.get(..length)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
    let number = all & ((1 << bits) - 1);
    Some((Some(number).filter(|number| *number != (1 << bits) - 1), length))
}

/// Returns the elements in an element, up to the first invalid one.
fn children(mut parent: &[u8]) -> impl Iterator<Item = (u32, &[u8])> {
    std::iter::from_fn(move || {
        let Header { id, length, size } = Header::read(parent)?;
        let rest = parent.get(length..)?;
        let (this, behind) = rest.split_at_checked(usize::try_from(size?).ok()?)?;
        parent = behind;
        Some((id, this))
    })
}

/// Returns the first element with this ID in an element.
fn child(parent: &[u8], id: u32) -> Option<&[u8]> {
    children(parent).find(|(name, _)| *name == id).map(|(_, child)| child)
}

fn unsigned(bytes: &[u8]) -> u64 {
    bytes.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn float(bytes: &[u8]) -> f64 {
    match bytes.len() {
        4 => f64::from(f32::from_bits(unsigned(bytes) as u32)),
        8 => f64::from_bits(unsigned(bytes)),
        _ => 0.0,
    }
}

/// The subjects of tags (TargetTypeValue, RFC 9559 §5.1.8.1.1.1).
const ALBUM: u64 = 50;
const SONG: u64 = 30;

/// Reads the title of the file, or tags about the track with this TrackUID and its album. Other tags are skipped.
fn read_tags(id: u32, content: &[u8], track: u64, metadata: &mut Metadata) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if id == INFO {
        if let Some(title) = child(content, 0x7ba9).map(text) {
            metadata.put("title", &title);
        }
        return;
    }
    for (_, tag) in children(content).filter(|(id, _)| *id == 0x7373) {
        let targets = child(tag, 0x63c0).unwrap_or_default();
        let level = child(targets, 0x68ca).map(unsigned);
        let names = |id: u32, own: u64| {
            children(targets).filter(|(name, _)| *name == id).any(|(_, uid)| ![0, own].contains(&unsigned(uid)))
        };
        // About another track, an edition, a chapter or an attachment.
        let is_other =
            [(0x63c5, track), (0x63c9, 0), (0x63c4, 0), (0x63c6, 0)].into_iter().any(|(id, own)| names(id, own));
        if is_other || level.is_some_and(|level| ![ALBUM, SONG].contains(&level)) {
            continue;
        }
        for (_, simple) in children(tag).filter(|(id, _)| *id == 0x67c8) {
            let Some(name) = child(simple, 0x45a3).map(text) else { continue };
            let value = child(simple, 0x4487).map(text).unwrap_or_default();
            let is_of_album = level == Some(ALBUM);
            metadata.put(tag_key(&name, is_of_album), &value);
        }
    }
}

/// Maps a tag name to the one of other kinds of tags. Few programs write what a tag is about; without that it is about the song.
fn tag_key(name: &str, is_of_album: bool) -> &str {
    const ALBUMS: [(&str, &str); 5] = [
        ("TITLE", "album"),
        ("ARTIST", "albumartist"),
        ("PART_NUMBER", ""),
        ("REPLAYGAIN_GAIN", "replaygain_album_gain"),
        ("COMMENT", ""),
    ];
    let own = ALBUMS.iter().find(|(known, _)| is_of_album && name.eq_ignore_ascii_case(known));
    match own {
        Some((_, own)) => own,
        None if name.eq_ignore_ascii_case("REPLAYGAIN_GAIN") => "replaygain_track_gain",
        None => name,
    }
}

/// A track that can be played.
struct Track {
    number: u64,
    /// The TrackUID, by which tags name it.
    uid: u64,
    decoder: Box<dyn AudioDecoder>,
    /// The sample rate in Hz, by which times are converted to samples.
    rate: u32,
    /// The codec's delay, in samples.
    delay: u64,
    /// The bytes that were stripped from the start of every frame (ContentCompAlgo 3).
    prefix: Vec<u8>,
}

impl Track {
    /// Reads a TrackEntry (RFC 9559 §5.1.4.1); `None` if it is not audio.
    fn read(entry: &[u8]) -> Option<Result<Self>> {
        const SOUND: u64 = 2;
        (unsigned(child(entry, 0x83)?) == SOUND).then(|| Self::open(entry))
    }

    fn open(entry: &[u8]) -> Result<Self> {
        let field = |id| child(entry, id);
        let audio = field(0xe1).unwrap_or_default();
        let name = String::from_utf8_lossy(field(0x86).unwrap_or_default()).into_owned();
        let rate = child(audio, 0xb5).map_or(8_000.0, float) as u32;
        let channels = child(audio, 0x9f).map_or(1, unsigned);
        let bits = child(audio, 0x6264).map_or(0, unsigned);
        let not_played = || unsupported(format!("a codec that is not played ({})", printable(&name)));
        let codec = codec(&name, bits).ok_or_else(not_played)?;
        if !(1..=MAX_CHANNELS).contains(&channels) {
            return Err(unsupported(format!("{channels} channels")));
        }
        let mut parameters = AudioCodecParameters::new();
        parameters.for_codec(codec).with_sample_rate(rate).with_channels(layout(channels as u16));
        if let Some(private) = field(0x63a2) {
            let private = match codec {
                // The metadata blocks of a FLAC file without its frames: the decoder wants the first one.
                CODEC_ID_FLAC => private.get(8..42).ok_or_else(not_played)?,
                _ => private,
            };
            parameters.with_extra_data(private.into());
        }
        let decoder = decoder(&parameters)?;
        let delay = match codec {
            // The Opus header states the same delay.
            CODEC_ID_OPUS => 0,
            _ => samples(field(0x56aa).map_or(0, unsigned), rate),
        };
        let rate = if codec == CODEC_ID_OPUS { crate::audio::SAMPLE_RATE } else { rate };
        let number = field(0xd7).map_or(0, unsigned);
        let uid = field(0x73c5).map_or(0, unsigned);
        Ok(Self { number, uid, decoder, rate, delay, prefix: prefix(entry).ok_or_else(not_played)? })
    }
}

/// Returns the bytes that were stripped from the start of every frame; `None` if the frames are encoded in another way (ContentEncodings,
/// RFC 9559 §5.1.4.1.31).
fn prefix(entry: &[u8]) -> Option<Vec<u8>> {
    const HEADER_STRIPPING: u64 = 3;
    let Some(encodings) = child(entry, 0x6d80) else { return Some(Vec::new()) };
    let mut prefix = Vec::new();
    for (_, encoding) in children(encodings).filter(|(id, _)| *id == 0x6240) {
        let compression = child(encoding, 0x5034)?;
        if unsigned(child(compression, 0x4254)?) != HEADER_STRIPPING {
            return None;
        }
        prefix.extend(child(compression, 0x4255).unwrap_or_default());
    }
    Some(prefix)
}

fn codec(name: &str, bits: u64) -> Option<AudioCodecId> {
    Some(match (name.trim_end_matches('\0'), bits) {
        ("A_OPUS", _) => CODEC_ID_OPUS,
        ("A_VORBIS", _) => CODEC_ID_VORBIS,
        ("A_FLAC", _) => CODEC_ID_FLAC,
        ("A_AAC", _) => CODEC_ID_AAC,
        ("A_ALAC", _) => CODEC_ID_ALAC,
        ("A_MPEG/L1", _) => CODEC_ID_MP1,
        ("A_MPEG/L2", _) => CODEC_ID_MP2,
        ("A_MPEG/L3", _) => CODEC_ID_MP3,
        ("A_PCM/INT/LIT" | "A_PCM/INT/BIG", 8) => CODEC_ID_PCM_U8,
        ("A_PCM/INT/LIT", 16) => CODEC_ID_PCM_S16LE,
        ("A_PCM/INT/LIT", 24) => CODEC_ID_PCM_S24LE,
        ("A_PCM/INT/LIT", 32) => CODEC_ID_PCM_S32LE,
        ("A_PCM/INT/BIG", 16) => CODEC_ID_PCM_S16BE,
        ("A_PCM/INT/BIG", 24) => CODEC_ID_PCM_S24BE,
        ("A_PCM/INT/BIG", 32) => CODEC_ID_PCM_S32BE,
        ("A_PCM/FLOAT/IEEE", 32) => CODEC_ID_PCM_F32LE,
        ("A_PCM/FLOAT/IEEE", 64) => CODEC_ID_PCM_F64LE,
        _ => return None,
    })
}

/// Returns the layout of samples without one of their own.
fn layout(channels: u16) -> Channels {
    match channels {
        1 => CHANNEL_LAYOUT_MONO,
        2 => CHANNEL_LAYOUT_STEREO,
        6 => CHANNEL_LAYOUT_5P1,
        channels => Channels::Discrete(channels),
    }
}

/// Returns the part of a codec's name that is safe to print.
fn printable(name: &str) -> String {
    name.chars().filter(char::is_ascii_graphic).take(40).collect()
}

/// Converts nanoseconds to samples.
fn samples(nanoseconds: u64, rate: u32) -> u64 {
    const SECOND: u128 = 1_000_000_000;
    ((u128::from(nanoseconds) * u128::from(rate) + SECOND / 2) / SECOND) as u64
}

/// A Matroska file.
pub struct Matroska {
    body: SharedBody,
    track: Track,
    trim: Trim,
    /// The current block, its frames that are still to come, and the padding to discard from the last of them, in ns.
    block: Vec<u8>,
    frames: VecDeque<Range<usize>>,
    discard: i64,
    packet: Vec<u8>,
    metadata: Metadata,
    start: u64,
    /// The end of the segment, if it is stated.
    end: Option<u64>,
    /// The stated end of an element that the end of the body cut.
    cut: Option<u64>,
    /// The position where nothing more was found.
    ended_at: Option<u64>,
    /// True within damaged bytes, up to the next cluster or file.
    is_lost: bool,
}

impl Matroska {
    /// Opens the file that begins here.
    pub fn open(shared: &SharedBody) -> Result<Self> {
        let mut body = shared.get();
        let start = body.position();
        let mut end = None;
        // Tags that come before their track is known.
        let mut early = Vec::new();
        let track = loop {
            let header = Header::next(&mut body).ok_or_else(|| damaged("a Matroska file ends before its tracks"))?;
            match (header.id, header.size) {
                (SEGMENT, size) => {
                    body.consume(header.length);
                    end = size.map(|size| body.position().saturating_add(size));
                }
                (TRACKS, Some(size)) if size <= MAX_TRACKS as u64 => {
                    let length = header.length + size as usize;
                    let track = select(body.peek(length).get(header.length..).unwrap_or_default())?;
                    body.consume(length);
                    break track;
                }
                (CLUSTER | TRACKS, _) | (_, None) => return Err(unsupported("a Matroska file without tracks")),
                (_, Some(size)) => {
                    if early.len() < MAX_EARLY
                        && let Some(content) = metadata_content(&mut body, &header)
                    {
                        early.push((header.id, content));
                    }
                    body.skip(size.saturating_add(header.length as u64));
                }
            }
        };
        drop(body);
        let mut metadata = Metadata::default();
        early.iter().for_each(|(id, content)| read_tags(*id, content, track.uid, &mut metadata));
        let trim = Trim::new(track.delay, None);
        Ok(Self {
            body: shared.clone(),
            track,
            trim,
            block: Vec::new(),
            frames: VecDeque::new(),
            discard: 0,
            packet: Vec::new(),
            metadata,
            start,
            end,
            cut: None,
            ended_at: None,
            is_lost: false,
        })
    }

    /// Moves to the next block of the track, or to the end; or returns how many bytes were discarded.
    fn find(&mut self) -> Option<u64> {
        let shared = self.body.clone();
        let mut body = shared.get();
        loop {
            if self.is_lost {
                return Some(self.resync(&mut body));
            }
            let position = body.position();
            let Some(header) = Header::next(&mut body) else {
                // An invalid header, or the end within one.
                let rest = body.peek(Header::LONGEST);
                if rest.len() == Header::LONGEST {
                    return Some(self.start_resync(&mut body));
                }
                let (length, is_cut) = (rest.len(), rest.first().is_some_and(|byte| byte.leading_zeros() < 4));
                self.ended_at = Some(position + length as u64);
                self.cut = is_cut.then_some(position + length as u64 + 1);
                return Some(body.discard(length));
            };
            let is_behind = self.end.is_some_and(|end| position >= end);
            if header.id == EBML || (is_behind && header.id != CLUSTER) {
                self.ended_at = Some(position);
                return None;
            }
            if matches!(header.id, SEGMENT | CLUSTER) {
                body.consume(header.length);
                continue;
            }
            let all = header.size.map_or(u64::MAX, |size| size.saturating_add(header.length as u64));
            let is_sound = header.is_known() || is_followed(&mut body, all);
            let is_block = matches!(header.id, SIMPLE_BLOCK | BLOCK_GROUP);
            if !is_sound
                || header.size.is_none()
                || (is_block && all > MAX_BLOCK && self.is_own_block(&mut body, &header))
            {
                return Some(self.start_resync(&mut body));
            }
            if is_block && self.is_own_block(&mut body, &header) {
                let bytes = body.peek(all as usize);
                let is_whole = bytes.len() as u64 == all;
                self.block.clear();
                self.block.extend_from_slice(bytes.get(header.length..).unwrap_or_default());
                body.consume(all as usize);
                if is_whole {
                    return if self.unpack(header.id) { None } else { Some(all) };
                }
            } else {
                if let Some(content) = metadata_content(&mut body, &header) {
                    read_tags(header.id, &content, self.track.uid, &mut self.metadata);
                }
                if body.skip(all) == all {
                    continue;
                }
            }
            self.cut = Some(position.saturating_add(all));
            self.ended_at = Some(body.position());
            return None;
        }
    }

    /// Discards a byte where no element begins, and everything up to the next cluster or file.
    fn start_resync(&mut self, body: &mut Body) -> u64 {
        self.is_lost = true;
        body.discard(1)
    }

    /// Skips damaged bytes, up to the next cluster or file or as far as was read. Returns how many were discarded.
    fn resync(&mut self, body: &mut Body) -> u64 {
        const NAME: usize = 4;
        body.peek(NAME);
        body.yield_if_due();
        let ahead = body.buffered();
        let begins = |window: &[u8]| *window == CLUSTER.to_be_bytes() || *window == MAGIC;
        let found = ahead.windows(NAME).position(begins);
        let is_end = ahead.len() < NAME;
        // The start of an ID may be all that was read of it.
        let step = found.unwrap_or(if is_end { ahead.len() } else { ahead.len() - NAME + 1 });
        let discarded = body.discard(step);
        self.is_lost = found.is_none();
        if is_end {
            (self.is_lost, self.ended_at) = (false, Some(body.position()));
        }
        discarded
    }

    /// Returns true if the block or group that starts here belongs to the played track.
    fn is_own_block(&self, body: &mut Body, header: &Header) -> bool {
        let number = |bytes: &[u8]| number(bytes).and_then(|(number, _)| number);
        let bytes = body.peek(header.length + header.size.unwrap_or(0).min(BLOCK_HEADER as u64) as usize);
        let inside = bytes.get(header.length..).unwrap_or_default();
        match (header.id, Header::read(inside)) {
            (SIMPLE_BLOCK, _) => number(inside) == Some(self.track.number),
            (_, Some(Header { id: BLOCK, length, .. })) => number(&inside[length..]) == Some(self.track.number),
            // Its block comes later in the group.
            _ => true,
        }
    }

    /// Finds the frames in the current block. Returns false if it is damaged.
    fn unpack(&mut self, id: u32) -> bool {
        self.frames.clear();
        self.discard = 0;
        if id == BLOCK_GROUP {
            let group = std::mem::take(&mut self.block);
            self.discard = child(&group, DISCARD_PADDING).map_or(0, |padding| {
                let unused = 64 - 8 * padding.len().min(8) as u32;
                if padding.is_empty() { 0 } else { (unsigned(padding) << unused).cast_signed() >> unused }
            });
            let Some(block) = child(&group, BLOCK) else { return false };
            self.block.extend_from_slice(block);
        }
        let Some((Some(number), length)) = number(&self.block) else { return false };
        if number != self.track.number {
            return true;
        }
        match frames(&self.block, length) {
            Some(frames) => self.frames.extend(frames),
            None => return false,
        }
        true
    }

    /// Decodes the next frame of the block.
    fn decode(&mut self, frame: Range<usize>, block: &mut Block) -> Result<Step> {
        let frame = &self.block[frame];
        let Track { decoder, prefix, .. } = &mut self.track;
        let packet = if prefix.is_empty() {
            frame
        } else {
            self.packet.clear();
            self.packet.extend_from_slice(prefix);
            self.packet.extend_from_slice(frame);
            &self.packet
        };
        let step = decode_packet(&mut **decoder, packet, block, Step::Discarded(frame.len() as u64))?;
        if matches!(step, Step::Block) {
            self.trim.cut(block);
            if self.frames.is_empty() && self.discard != 0 {
                let discard = samples(self.discard.unsigned_abs(), self.track.rate);
                let heard = (block.samples.len() / block.spec.channels().count().max(1)) as u64;
                let (skip, left) = if self.discard < 0 { (discard, heard) } else { (0, heard.saturating_sub(discard)) };
                Trim::new(skip, Some(left)).cut(block);
            }
        }
        Ok(step)
    }
}

impl FileDecoder for Matroska {
    fn next(&mut self, block: &mut Block) -> Result<Step> {
        loop {
            if let Some(frame) = self.frames.pop_front() {
                return self.decode(frame, block);
            }
            if self.ended_at.is_some() {
                if finish(&mut *self.track.decoder, block) {
                    self.trim.cut(block);
                    return Ok(Step::Block);
                }
                return Ok(Step::End);
            }
            if let Some(discarded) = self.find() {
                return Ok(Step::Discarded(discarded));
            }
        }
    }

    fn details(&mut self) -> FileDetails {
        let (codec, metadata) = (self.track.decoder.codec_info().short_name, self.metadata.clone());
        FileDetails { codec, metadata, samples: None }
    }

    fn missing(&self) -> Option<(u64, u64)> {
        let (ended_at, end) = (self.ended_at?, self.cut.into_iter().chain(self.end).max()?);
        (ended_at < end).then(|| (ended_at - self.start, end - self.start))
    }
}

/// Returns the content of an element with metadata, if metadata was asked for. Consumes nothing.
fn metadata_content(body: &mut Body, header: &Header) -> Option<Vec<u8>> {
    let size = usize::try_from(header.size?).ok().filter(|size| *size <= MAX_TAG)?;
    if !matches!(header.id, INFO | TAGS) || body.metadata().is_none() {
        return None;
    }
    body.peek(header.length + size).get(header.length..).map(<[u8]>::to_vec)
}

/// Returns the track to play: the first playable one of those with the default flag, or else of the others.
fn select(tracks: &[u8]) -> Result<Track> {
    const DEFAULT: u32 = 0x88;
    let entries = children(tracks).filter(|(id, _)| *id == TRACK_ENTRY).map(|(_, entry)| entry).take(MAX_ENTRIES);
    let (defaults, others): (Vec<_>, Vec<_>) =
        entries.partition(|entry| child(entry, DEFAULT).is_none_or(|flag| unsigned(flag) != 0));
    let mut error = None;
    for entry in defaults.into_iter().chain(others) {
        match Track::read(entry) {
            Some(Ok(track)) => return Ok(track),
            Some(Err(failed)) => error = error.or(Some(failed)),
            None => {}
        }
    }
    Err(error.unwrap_or_else(|| unsupported("a Matroska file without an audio track")))
}

/// Returns the ranges of a block's frames; `number` is the length of the track number at its start (RFC 9559 §10.2 and §10.3).
fn frames(block: &[u8], number: usize) -> Option<Vec<Range<usize>>> {
    let flags = *block.get(number + 2)?;
    let mut position = number + 3;
    let lacing = flags >> 1 & 3;
    if lacing == 0 {
        return Some(std::iter::once(position..block.len()).collect());
    }
    let count = usize::from(*block.get(position)?) + 1;
    position += 1;
    let mut sizes = Vec::with_capacity(count);
    match lacing {
        1 => {
            for _ in 1..count {
                let mut size = 0;
                loop {
                    let byte = *block.get(position)?;
                    position += 1;
                    size += usize::from(byte);
                    if byte < 255 {
                        break;
                    }
                }
                sizes.push(size);
            }
        }
        2 => sizes.resize(count - 1, (block.len() - position) / count),
        _ => {
            let mut size = 0_i64;
            for index in 1..count {
                let (value, length) = self::number(block.get(position..)?)?;
                let value = i64::try_from(value?).ok()?;
                // All but the first are signed differences, stored with an offset.
                let middle = if index == 1 { 0 } else { (1 << (7 * length - 1)) - 1 };
                size = size.checked_add(value)?.checked_sub(middle)?;
                position += length;
                sizes.push(usize::try_from(size).ok()?);
            }
        }
    }
    let mut frames = Vec::with_capacity(count);
    for size in sizes {
        let end = position.checked_add(size).filter(|end| *end <= block.len())?;
        frames.push(position..end);
        position = end;
    }
    frames.push(position..block.len());
    Some(frames)
}

/// Returns true if a known element begins after this many bytes, or the body ends there.
fn is_followed(body: &mut Body, length: u64) -> bool {
    if length > MAX_UNKNOWN {
        return false;
    }
    let length = length as usize;
    let behind = body.peek(length + Header::LONGEST);
    behind.len() == length || behind.get(length..).and_then(Header::read).is_some_and(|header| header.is_known())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_headers_and_numbers() {
        assert_eq!(Header::read(&[0xa3, 0x81]), Some(Header { id: 0xa3, length: 2, size: Some(1) }));
        let cluster = [0x1f, 0x43, 0xb6, 0x75, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(Header::read(&cluster), Some(Header { id: CLUSTER, length: 12, size: None }));
        assert_eq!(
            Header::read(&[0x75, 0xa2, 0x40, 0x02]),
            Some(Header { id: DISCARD_PADDING, length: 4, size: Some(2) })
        );
        for nothing in [&[0x08, 0x81][..], &[0xa3], &[0xa3, 0x00, 0, 0, 0, 0, 0, 0, 0, 0], &[0x1f, 0x43]] {
            assert_eq!(Header::read(nothing), None);
        }
    }

    #[test]
    fn reads_tags_of_track_and_album() {
        let element = |id: u32, content: &[u8]| {
            let name: Vec<u8> = id.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
            [&name[..], &[0x40 | (content.len() >> 8) as u8, content.len() as u8], content].concat()
        };
        let simple = |name: &str, value: &str| {
            element(0x67c8, &[element(0x45a3, name.as_bytes()), element(0x4487, value.as_bytes())].concat())
        };
        let tag = |targets: &[Vec<u8>], texts: &[Vec<u8>]| {
            element(0x7373, &[element(0x63c0, &targets.concat()), texts.concat()].concat())
        };
        let level = |level: u8| element(0x68ca, &[level]);
        let tags = [
            tag(
                &[level(50)],
                &[simple("TITLE", "An album"), simple("ARTIST", "A band"), simple("REPLAYGAIN_GAIN", "-1 dB")],
            ),
            tag(&[level(30), element(0x63c5, &[8])], &[simple("TITLE", "Another song")]),
            tag(&[element(0x63c4, &[1])], &[simple("TITLE", "A chapter")]),
            tag(&[level(60)], &[simple("TITLE", "A work")]),
            tag(&[level(30), element(0x63c5, &[7])], &[simple("title", "A song"), simple("PART_NUMBER", "3")]),
            tag(
                &[],
                &[simple("ARTIST", "A singer"), simple("ALBUM_ARTIST", "Others"), simple("REPLAYGAIN_GAIN", "-7.5 dB")],
            ),
        ]
        .concat();
        let mut metadata = Metadata::default();
        read_tags(TAGS, &tags, 7, &mut metadata);
        read_tags(INFO, &element(0x7ba9, b"A file"), 7, &mut metadata);
        let expected = [
            ("title", "A song"),
            ("artist", "A singer"),
            ("album", "An album"),
            ("albumArtist", "A band"),
            ("track", "3"),
        ];
        assert_eq!(metadata.texts(), expected.map(|(name, text)| (name, text.to_owned())));
        assert_eq!(metadata.lufs(), Some(-10.5));
        for length in 0..tags.len() {
            read_tags(TAGS, &tags[..length], 7, &mut Metadata::default());
        }
    }

    #[test]
    fn rounds_times_to_samples() {
        assert_eq!(
            [samples(6_500_000, 48_000), samples(22_675_737, 44_100), samples(u64::MAX, 1)],
            [312, 1_000, 18_446_744_074]
        );
    }

    #[test]
    fn finds_frames_in_every_lacing() {
        let body = [0x81, 0, 0];
        let block = |flags: u8, rest: &[u8]| [&body[..], &[flags], rest].concat();
        // No lacing, then Xiph, fixed-size and EBML lacing: 800, 500 and 1,000 bytes (RFC 9559 §10.3.3).
        let long = |length| vec![1; length];
        for (flags, sizes, length, expected) in [
            (0, &[][..], 9, &[9][..]),
            (2, &[2, 255, 3, 0], 300, &[258, 0, 42]),
            (4, &[2], 9, &[3, 3, 3]),
            (6, &[2, 0x43, 0x20, 0x5e, 0xd3], 2_300, &[800, 500, 1_000]),
        ] {
            let block = block(flags, &[sizes, &long(length)].concat());
            let found = frames(&block, 1).unwrap();
            assert_eq!(found.iter().map(ExactSizeIterator::len).collect::<Vec<_>>(), expected);
        }
        for broken in [block(2, &[2, 255]), block(2, &[1, 9, 0]), block(6, &[2, 0x81, 0x80]), body.to_vec()] {
            assert_eq!(frames(&broken, 1), None);
        }
    }
}
