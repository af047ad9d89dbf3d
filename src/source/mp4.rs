//! MP4 (ISO/IEC 14496-12): where a file of boxes ends, and if it can be played while it downloads.

use std::io::{self, Read, Seek, SeekFrom};

use symphonia::default::formats::IsoMp4Reader;

use super::body::{Body, SharedBody};
use super::container::{Contained, Extent, Window};
use super::decode::Piece;
use crate::error::Result;

/// Opens the file that begins here.
pub fn open(shared: &SharedBody) -> Result<Box<dyn Piece>> {
    let mut body = shared.get();
    let window = match body.length() {
        Some(_) => {
            let start = body.place();
            let mut boxes = Boxes::default();
            while let length @ 1.. = boxes.more(&mut body) {
                body.skip(length);
            }
            let end = body.place();
            body.seek(start);
            Window::seekable(shared, start, end)
        }
        None => Window::new(shared, Vec::new(), Boxes::default()),
    };
    drop(body);
    Ok(Box::new(Contained::open::<IsoMp4Reader<'_>>(window, true)?))
}

/// The longest description of a fragment, in bytes, and the most samples that it may describe: a fragment is some seconds.
const MAX_FRAGMENT: u64 = 16 << 20;
const MAX_SAMPLES: u64 = 1 << 20;

/// Box behind box, up to what is none, or begins another file.
#[derive(Default)]
struct Boxes {
    is_inside: bool,
}

impl Extent for Boxes {
    fn more(&mut self, body: &mut Body) -> u64 {
        let Some(Header { kind, length, size }) = Header::read(body.peek(Header::LONG)) else { return 0 };
        let is_name = |byte: &u8| byte.is_ascii_graphic() || matches!(byte, b' ' | 0xa9);
        if !kind.iter().all(is_name) || (std::mem::replace(&mut self.is_inside, true) && kind == *b"ftyp") {
            return 0;
        }
        // The demuxer counts to whatever number of samples a fragment claims, without reading a byte for them.
        let is_ordinary = kind != *b"moof"
            || (size <= MAX_FRAGMENT
                && samples(body.peek(size as usize).get(length..).unwrap_or_default()) <= MAX_SAMPLES);
        if is_ordinary { size } else { 0 }
    }
}

/// The header of a box (§4.2).
struct Header {
    kind: [u8; 4],
    /// Of the header itself.
    length: usize,
    /// Of the box with it; `u64::MAX` if it goes to the end of what it is in.
    size: u64,
}

impl Header {
    /// With a size of 64 bits.
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

/// How many samples are described by the runs (`trun`) in a fragment's tracks (`traf`).
fn samples(fragment: &[u8]) -> u64 {
    let tracks = children(fragment).filter(|(kind, _)| kind == b"traf");
    let runs = tracks.flat_map(|(_, track)| children(track)).filter(|(kind, _)| kind == b"trun");
    runs.map(|(_, run)| run.get(4..8).map_or(0, be)).sum()
}

/// The boxes in a box, up to the first that is none.
fn children(mut parent: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    std::iter::from_fn(move || {
        let Header { kind, length, size } = Header::read(parent)?;
        let (this, rest) = parent.split_at(size.min(parent.len() as u64) as usize);
        parent = rest;
        Some((kind, this.get(length..)?))
    })
}

fn be(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Returns true if `body` is an MP4 whose samples (`mdat`) come before their index (`moov`), as encoders that do not know the
/// length write it (ISO/IEC 14496-12 §8.1): nothing can be decoded until its last bytes are here. Leaves the body at 0.
pub fn index_comes_last(body: &mut (impl Read + Seek)) -> io::Result<bool> {
    let answer = scan(body);
    body.seek(SeekFrom::Start(0))?;
    match answer {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        answer => answer,
    }
}

/// The most boxes before the index or the samples; a film has five.
const MAX_BOXES: usize = 1_000;

fn scan(body: &mut (impl Read + Seek)) -> io::Result<bool> {
    let mut place = 0;
    for _ in 0..MAX_BOXES {
        let mut head = [0; Header::LONG];
        body.seek(SeekFrom::Start(place))?;
        body.read_exact(&mut head[..8])?;
        match &head[4..8] {
            b"mdat" => return Ok(true),
            kind if place == 0 && kind != b"ftyp" => return Ok(false),
            b"moov" => return Ok(false),
            _ => {}
        }
        if be(&head[..4]) == 1 {
            body.read_exact(&mut head[8..])?;
        }
        // Behind a box that goes to the end of the file there is nothing, and behind a damaged one nothing is known.
        let size = Header::read(&head).map_or(u64::MAX, |header| header.size);
        if size == u64::MAX {
            return Ok(false);
        }
        place = place.saturating_add(size);
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
    fn tells_where_the_index_is() {
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
    fn an_index_behind_boxes_without_end_is_not_looked_for() {
        let many = |count| [vec![b"ftyp"], vec![b"free"; count], vec![b"mdat"]].concat();
        assert!(index_comes_last(&mut atoms(&many(MAX_BOXES - 2))).unwrap());
        assert!(!index_comes_last(&mut atoms(&many(MAX_BOXES - 1))).unwrap());
    }
}
