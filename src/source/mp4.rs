//! MP4 (ISO/IEC 14496-12): finds the end of a file of boxes, the track to play and its audible part, and whether it can be played while it
//! downloads.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use parking_lot::Mutex;
use symphonia::core::codecs::audio::well_known::CODEC_ID_OPUS;
use symphonia::default::formats::IsoMp4Reader;

use super::body::{Body, SharedBody};
use super::container::{Extent, SymphoniaFile, Window};
use super::decode::FileDecoder;
use super::metadata::Tag;
use super::trim::Trim;
use crate::error::Result;

/// Opens the file that begins here.
pub fn open(shared: &SharedBody) -> Result<Box<dyn FileDecoder>> {
    let mut body = shared.get();
    let mut boxes = Boxes::default();
    let index = boxes.index.clone();
    let window = match body.length() {
        Some(_) => {
            let start = body.position();
            while let length @ 1.. = boxes.more(&mut body) {
                body.skip(length);
            }
            let end = body.position();
            body.seek(start);
            Window::seekable(shared, boxes, start, end)
        }
        None => Window::new(shared, Vec::new(), boxes),
    };
    drop(body);
    let mut file = SymphoniaFile::open::<IsoMp4Reader<'_>>(window, true)?;
    let parameters = file.parameters();
    let (rate, is_opus) = (parameters.sample_rate.unwrap_or(0), parameters.codec == CODEC_ID_OPUS);
    let index = index.lock();
    if !index.has_fragments {
        file.end_as_stated();
    }
    if let Some(trim) = index.trim(rate, is_opus, file.stated()) {
        file.trim(trim);
    }
    drop(index);
    Ok(Box::new(file))
}

/// The longest index: a day of audio takes 30 MB.
const MAX_INDEX: u64 = 32 << 20;

/// The longest fragment header (`moof`) in bytes, and the most samples that it may describe: a fragment is some seconds long.
const MAX_FRAGMENT: u64 = 16 << 20;
const MAX_SAMPLES: u64 = 1 << 20;

/// Consecutive boxes, up to invalid data or the start of another file.
#[derive(Default)]
struct Boxes {
    is_inside: bool,
    index: Arc<Mutex<Index>>,
}

impl Extent for Boxes {
    fn more(&mut self, body: &mut Body) -> u64 {
        let Some(Header { kind, length, size }) = Header::read(body.peek(Header::LONG)) else { return 0 };
        let is_name = |byte: &u8| byte.is_ascii_graphic() || matches!(byte, b' ' | 0xa9);
        if !kind.iter().all(is_name) || (std::mem::replace(&mut self.is_inside, true) && kind == *b"ftyp") {
            return 0;
        }
        if kind == *b"moov" && size <= MAX_INDEX {
            let position = body.position() + length as u64;
            let is_asked = body.metadata().is_some();
            let moov = body.peek(size as usize).get(length..).unwrap_or_default();
            *self.index.lock() = Index::read(moov, position);
            let tag = children(moov).filter(|_| is_asked).find_map(|(kind, content)| items(kind, content));
            if let Some(tag) = tag.map(<[u8]>::to_vec) {
                body.note(Tag::Mp4, &tag);
            }
        }
        // The demuxer loops over whatever number of samples a fragment claims, without reading a byte for them.
        let is_ordinary = kind != *b"moof"
            || (size <= MAX_FRAGMENT
                && samples(body.peek(size as usize).get(length..).unwrap_or_default()) <= MAX_SAMPLES);
        if is_ordinary { size } else { 0 }
    }

    fn patch(&self, position: u64, bytes: &mut [u8]) {
        self.index.lock().hide(position, bytes);
    }
}

/// The content of an index (`moov`): the played track, and its audible part.
#[derive(Debug, Default)]
struct Index {
    /// The positions of box names, in order, that are hidden from the demuxer: tags, pictures and other tracks, whose samples it would look
    /// for.
    hidden: Vec<u64>,
    /// Time units per second, of the edit list's durations and of the track's own times.
    timescale: u64,
    track_timescale: u64,
    edits: Vec<Edit>,
    gapless: Option<Gapless>,
    /// True if the track may continue in fragments after the samples of the index.
    has_fragments: bool,
}

/// A non-empty entry of an edit list (§8.6.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Edit {
    /// The duration; 0 if it runs to the end.
    duration: u64,
    start: u64,
}

/// The tag `iTunSMPB` of Apple's encoders, in samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Gapless {
    delay: u64,
    length: u64,
}

impl Index {
    /// Reads the boxes of an index, the first of which is at `position`.
    fn read(moov: &[u8], position: u64) -> Self {
        let mut index = Self::default();
        let tracks = || {
            placed(moov, position).filter(|child| &child.kind == b"trak").map(|child| {
                let track = Track::read(child.content);
                (child, track)
            })
        };
        let is_sound = |track: &Track| track.handler == *b"soun";
        let mut sounds = tracks().filter(|(_, track)| is_sound(track));
        let Some(first) = sounds.next() else { return index };
        let is_played = |track: &Track| PLAYED.contains(&&track.codec);
        let played = if is_played(&first.1) { None } else { sounds.find(|(_, track)| is_played(track)) };
        let (chosen, track) = played.unwrap_or(first);
        for child in placed(moov, position) {
            match &child.kind {
                b"trak" if child.position != chosen.position => index.hidden.push(child.position),
                b"udta" | b"meta" => {
                    index.hidden.push(child.position);
                    index.gapless = index.gapless.or_else(|| Gapless::find(child.kind, child.content));
                }
                b"mvex" => {
                    index.has_fragments = true;
                    let defaults = placed(child.content, child.inside).filter(|child| &child.kind == b"trex");
                    index.hidden.extend(
                        defaults
                            .filter(|trex| trex.content.get(4..8).map(be) != Some(track.id))
                            .map(|trex| trex.position),
                    );
                }
                b"mvhd" => index.timescale = timescale(child.content),
                _ => {}
            }
        }
        index.hidden.sort_unstable();
        index.track_timescale = track.timescale;
        index.edits = track.edits;
        index
    }

    /// Renames the hidden boxes to `free`.
    fn hide(&self, position: u64, bytes: &mut [u8]) {
        const FREE: [u8; 4] = *b"free";
        let end = position + bytes.len() as u64;
        let first = self.hidden.partition_point(|hidden| *hidden + 4 <= position);
        for hidden in self.hidden[first..].iter().take_while(|hidden| **hidden < end) {
            for (at, byte) in (*hidden..).zip(FREE).filter(|(at, _)| (position..end).contains(at)) {
                bytes[(at - position) as usize] = byte;
            }
        }
    }

    /// Returns the audible part of the track, at a decoder's rate; `stated` is its whole length in its own units.
    fn trim(&self, rate: u32, is_opus: bool, stated: Option<u64>) -> Option<Trim> {
        if let Some(Gapless { delay, length }) = self.gapless {
            return Some(Trim::new(delay, Some(length).filter(|length| *length > 0)));
        }
        let samples = |time: u64, timescale: u64| {
            let samples = (u128::from(time) * u128::from(rate)).div_ceil(u128::from(timescale.max(1)));
            u64::try_from(samples).unwrap_or(u64::MAX)
        };
        let Edit { duration, start } = *self.edits.first()?;
        let skip = samples(start, self.track_timescale);
        // A length is rounded to units that may be milliseconds, so a shorter remainder is not padding.
        let unit = samples(1, self.timescale);
        let length = samples(duration, self.timescale);
        let rest = stated.map(|stated| samples(stated, self.track_timescale).saturating_sub(skip));
        let is_cut =
            duration > 0 && self.edits.len() == 1 && rest.is_none_or(|rest| rest > length.saturating_add(unit));
        // The Opus header states the same start.
        Some(Trim::new(if is_opus { 0 } else { skip }, is_cut.then_some(length)))
    }
}

/// The sample entries that are played.
const PLAYED: [&[u8; 4]; 15] = [
    b"mp4a", b"Opus", b"fLaC", b"alac", b".mp3", b"lpcm", b"sowt", b"twos", b"raw ", b"in24", b"in32", b"fl32",
    b"fl64", b"ulaw", b"alaw",
];

/// The relevant content of a track.
#[derive(Debug, Default)]
struct Track {
    id: u64,
    handler: [u8; 4],
    /// The codec of its first sample entry.
    codec: [u8; 4],
    timescale: u64,
    edits: Vec<Edit>,
}

impl Track {
    fn read(trak: &[u8]) -> Self {
        let find = |parent, name: &[u8; 4]| {
            children(parent).find(|(kind, _)| kind == name).map_or(&[][..], |(_, child)| child)
        };
        let header = find(trak, b"tkhd");
        let id = header.get(if header.first() == Some(&1) { 20..24 } else { 12..16 }).map_or(0, be);
        let media = find(trak, b"mdia");
        let name = |bytes: Option<&[u8]>| bytes.and_then(<[u8]>::first_chunk).copied().unwrap_or_default();
        let descriptions = find(find(find(media, b"minf"), b"stbl"), b"stsd");
        Self {
            id,
            handler: name(find(media, b"hdlr").get(8..)),
            codec: name(descriptions.get(12..)),
            timescale: timescale(find(media, b"mdhd")),
            edits: Edit::read_all(find(find(trak, b"edts"), b"elst")),
        }
    }
}

impl Edit {
    /// Reads an edit list, leaving out empty edits.
    fn read_all(list: &[u8]) -> Vec<Self> {
        let (width, length) = if list.first() == Some(&1) { (8, 20) } else { (4, 12) };
        let entries = list.get(8..).unwrap_or_default().chunks_exact(length);
        let read = |entry: &[u8]| {
            let (duration, start) = (be(&entry[..width]), be(&entry[width..2 * width]));
            // −1 marks an empty edit.
            (start >> (8 * width - 1) == 0).then_some(Self { duration, start })
        };
        entries.filter_map(read).take(2).collect()
    }
}

impl Gapless {
    /// The longest delay that is believed, as in FFmpeg.
    const MAX_DELAY: u64 = 16_384;

    /// Finds the tag in `udta` or `meta`.
    fn find(kind: [u8; 4], content: &[u8]) -> Option<Self> {
        children(items(kind, content)?).filter(|(kind, _)| kind == b"----").find_map(|(_, item)| {
            let part = |name: &[u8; 4]| children(item).find(|(kind, _)| kind == name).map(|(_, part)| part);
            let is_it = part(b"name")?.get(4..)? == b"iTunSMPB";
            is_it.then(|| Self::read(part(b"data")?.get(8..)?)).flatten()
        })
    }

    /// Reads hexadecimal numbers: one that is always 0, the delay, the padding and the length.
    fn read(text: &[u8]) -> Option<Self> {
        let mut numbers =
            std::str::from_utf8(text).ok()?.split_ascii_whitespace().map(|number| u64::from_str_radix(number, 16));
        let delay = numbers.nth(1)?.ok()?;
        let length = numbers.nth(1)?.ok()?;
        (delay <= Self::MAX_DELAY).then_some(Self { delay, length })
    }
}

/// Returns the items of the tag in `udta` or `meta`.
fn items(kind: [u8; 4], content: &[u8]) -> Option<&[u8]> {
    let meta = match &kind {
        b"meta" => content,
        b"udta" => children(content).find(|(kind, _)| kind == b"meta")?.1,
        _ => return None,
    };
    // In QuickTime it has no version field.
    let meta = if meta.get(4..8) == Some(b"hdlr") { meta } else { meta.get(4..)? };
    Some(children(meta).find(|(kind, _)| kind == b"ilst")?.1)
}

/// Returns the time scale of `mvhd` or `mdhd` (§8.2.2, §8.4.2).
fn timescale(header: &[u8]) -> u64 {
    header.get(if header.first() == Some(&1) { 20..24 } else { 12..16 }).map_or(0, be)
}

/// The header of a box (§4.2).
struct Header {
    kind: [u8; 4],
    /// The length of the header itself.
    length: usize,
    /// The size of the box with its header; `u64::MAX` if it runs to the end of its parent.
    size: u64,
}

impl Header {
    /// The length of a header with a 64-bit size.
    const LONG: usize = 16;

    /// Reads the header that `head` begins with; `None` if the box would be shorter than that.
    fn read(head: &[u8]) -> Option<Self> {
        let (size, kind) = head.first_chunk::<8>()?.split_at(4);
        let kind = [kind[0], kind[1], kind[2], kind[3]];
        let (length, size) = match be(size) {
            0 => (8, u64::MAX),
            1 => (Self::LONG, be(head.get(8..Self::LONG)?)),
            size => (8, size),
        };
        (size >= length as u64).then_some(Self { kind, length, size })
    }
}

/// Returns the number of samples in the runs (`trun`) of a fragment's tracks (`traf`).
fn samples(fragment: &[u8]) -> u64 {
    let tracks = children(fragment).filter(|(kind, _)| kind == b"traf");
    let runs = tracks.flat_map(|(_, track)| children(track)).filter(|(kind, _)| kind == b"trun");
    runs.map(|(_, run)| run.get(4..8).map_or(0, be)).sum()
}

/// A box inside another box.
struct Child<'a> {
    kind: [u8; 4],
    content: &'a [u8],
    /// The positions of its kind and of its content.
    position: u64,
    inside: u64,
}

/// Returns the boxes in a box whose content is at `position`, up to the first invalid one.
fn placed(mut parent: &[u8], mut position: u64) -> impl Iterator<Item = Child<'_>> {
    std::iter::from_fn(move || {
        let Header { kind, length, size } = Header::read(parent)?;
        let (this, rest) = parent.split_at(size.min(parent.len() as u64) as usize);
        parent = rest;
        let child =
            Child { kind, content: this.get(length..)?, position: position + 4, inside: position + length as u64 };
        position += this.len() as u64;
        Some(child)
    })
}

/// Returns the boxes in a box, up to the first invalid one.
pub fn children(parent: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    placed(parent, 0).map(|child| (child.kind, child.content))
}

fn be(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Returns true if `body` is an MP4 whose samples (`mdat`) come before their index (`moov`), as encoders write it that do not know the
/// length (ISO/IEC 14496-12 §8.1): nothing can be decoded until its last bytes are here. Leaves the body at 0.
pub fn index_comes_last(body: &mut (impl Read + Seek)) -> io::Result<bool> {
    let answer = scan(body);
    body.seek(SeekFrom::Start(0))?;
    match answer {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        answer => answer,
    }
}

/// Returns the same for a body that is read once, looking only at a short part of its start.
pub fn index_comes_behind(body: &mut Body) -> bool {
    let mut position = 0;
    while position < MAX_START {
        let head = body.peek(position + Header::LONG).get(position..).unwrap_or_default();
        match Header::read(head) {
            Some(Header { kind, .. }) if position == 0 && kind != *b"ftyp" => return false,
            Some(Header { kind, .. }) if kind == *b"mdat" => return true,
            Some(Header { kind, size, .. }) if kind != *b"moov" => position = position.saturating_add(size as usize),
            _ => return false,
        }
    }
    false
}

/// The room before the samples for some boxes that describe the file.
const MAX_START: usize = 64 << 10;

/// The most boxes before the index or the samples; a film has five.
const MAX_BOXES: usize = 1_000;

fn scan(body: &mut (impl Read + Seek)) -> io::Result<bool> {
    let mut position = 0;
    for _ in 0..MAX_BOXES {
        let mut head = [0; Header::LONG];
        body.seek(SeekFrom::Start(position))?;
        body.read_exact(&mut head[..8])?;
        match &head[4..8] {
            b"mdat" => return Ok(true),
            kind if position == 0 && kind != b"ftyp" => return Ok(false),
            b"moov" => return Ok(false),
            _ => {}
        }
        if be(&head[..4]) == 1 {
            body.read_exact(&mut head[8..])?;
        }
        // Nothing follows a box that runs to the end of the file, and what follows a damaged one is unknown.
        let size = Header::read(&head).map_or(u64::MAX, |header| header.size);
        if size == u64::MAX {
            return Ok(false);
        }
        position = position.saturating_add(size);
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn atoms(kinds: &[&[u8; 4]]) -> Cursor<Vec<u8>> {
        let atom = |kind: &&[u8; 4]| [&12u32.to_be_bytes()[..], &kind[..], b"....".as_slice()].concat();
        Cursor::new(kinds.iter().flat_map(atom).collect())
    }

    #[test]
    fn finds_the_position_of_the_index() {
        for (kinds, last) in [
            (&[b"ftyp", b"moov", b"mdat"][..], false),
            (&[b"ftyp", b"free", b"mdat", b"moov"], true),
            (&[b"RIFF", b"mdat"], false),
            (&[b"ftyp"], false),
            (&[], false),
        ] {
            let mut body = atoms(kinds);
            assert_eq!(index_comes_last(&mut body).unwrap(), last, "{kinds:?}");
            assert_eq!(body.position(), 0);
        }
    }

    #[test]
    fn applies_edit_lists_and_gapless_tags() {
        let list = |entries: &[[i32; 3]]| {
            let entries = entries.iter().flatten().flat_map(|field| field.to_be_bytes());
            [0, 0, 0, 0, 0, 0, 0, 1].into_iter().chain(entries).collect::<Vec<u8>>()
        };
        let index = |entries: &[[i32; 3]]| Index {
            timescale: 1_000,
            track_timescale: 44_100,
            edits: Edit::read_all(&list(entries)),
            ..Index::default()
        };
        let trim = |entries: &[[i32; 3]], is_opus, stated| index(entries).trim(44_100, is_opus, stated);
        assert_eq!(trim(&[[1_000, 1_024, 1]], false, Some(46_080)), Some(Trim::new(1_024, Some(44_100))));
        assert_eq!(trim(&[[1_000, 1_024, 1]], true, Some(46_080)), Some(Trim::new(0, Some(44_100))));
        // An empty edit before it; a remainder shorter than a millisecond; to the end; a second part.
        assert_eq!(trim(&[[500, -1, 1], [1_000, 0, 1]], false, Some(44_140)), Some(Trim::new(0, None)));
        assert_eq!(trim(&[[0, 1_024, 1]], false, None), Some(Trim::new(1_024, None)));
        assert_eq!(trim(&[[100, 9, 1], [100, 9_999, 1]], false, None), Some(Trim::new(9, None)));
        assert_eq!(trim(&[], false, None), None);
        let tag = Gapless::read(b" 00000000 00000840 000001CA 00000000003F31F6 00000000");
        assert_eq!(tag, Some(Gapless { delay: 2_112, length: 0x3f_31f6 }));
        assert_eq!(Gapless::read(b"00000000 00FFFFFF 00000000 0000000000000001"), None);
        let tagged = Index { gapless: tag, ..index(&[[1_000, 1_024, 1]]) };
        assert_eq!(tagged.trim(44_100, false, None), Some(Trim::new(2_112, Some(0x3f_31f6))));
    }

    #[test]
    fn hides_names_across_reads() {
        let index = Index { hidden: vec![104, 112], ..Index::default() };
        for at_a_time in [1, 3, 7, 20] {
            let mut bytes = *b"....trak....metatrak";
            for (number, part) in bytes.chunks_mut(at_a_time).enumerate() {
                index.hide(100 + (number * at_a_time) as u64, part);
            }
            assert_eq!(&bytes, b"....free....freetrak");
        }
    }

    #[test]
    fn bounds_the_search_for_the_index() {
        let many = |count| [vec![b"ftyp"], vec![b"free"; count], vec![b"mdat"]].concat();
        assert!(index_comes_last(&mut atoms(&many(MAX_BOXES - 2))).unwrap());
        assert!(!index_comes_last(&mut atoms(&many(MAX_BOXES - 1))).unwrap());
    }
}
