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
        let head = body.peek(16);
        let Some((size, kind)) = head.first_chunk::<8>().map(|head| head.split_at(4)) else { return 0 };
        let is_name = |byte: &u8| byte.is_ascii_graphic() || matches!(byte, b' ' | 0xa9);
        if !kind.iter().all(is_name) || (std::mem::replace(&mut self.is_inside, true) && kind == b"ftyp") {
            return 0;
        }
        let is_fragment = kind == b"moof";
        let (header, size) = match (be(size), head.get(8..)) {
            (0, _) => (8, u64::MAX),
            (1, Some(long)) => (16, be(long)),
            (size, _) => (8, size),
        };
        if size < header {
            return 0;
        }
        // The demuxer counts to whatever number of samples a fragment claims, without reading a byte for them.
        if is_fragment && size > MAX_FRAGMENT {
            return 0;
        }
        let fragment = if is_fragment { body.peek(size as usize) } else { &[] };
        match samples(fragment.get(header as usize..).unwrap_or_default()) <= MAX_SAMPLES {
            true => size,
            false => 0,
        }
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
        let head = parent.first_chunk::<8>()?;
        let kind = [head[4], head[5], head[6], head[7]];
        let (from, size) = match be(&head[..4]) {
            0 => (8, parent.len() as u64),
            1 => (16, be(parent.get(8..16)?)),
            size => (8, size),
        };
        let end = usize::try_from(size).ok()?.min(parent.len());
        let content = parent.get(from..end)?;
        parent = &parent[end..];
        Some((kind, content))
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
        let mut header = [0; 8];
        body.seek(SeekFrom::Start(place))?;
        body.read_exact(&mut header)?;
        let kind = &header[4..8];
        match kind {
            b"mdat" => return Ok(true),
            _ if place == 0 && kind != b"ftyp" => return Ok(false),
            b"moov" => return Ok(false),
            _ => {}
        }
        let length = match u32::from_be_bytes([header[0], header[1], header[2], header[3]]) {
            1 => {
                let mut long = [0; 8];
                body.read_exact(&mut long)?;
                u64::from_be_bytes(long)
            }
            short => u64::from(short),
        };
        if length < 8 {
            return Ok(false); // 0 is "to the end of the file"; less than a header is damage
        }
        place = place.saturating_add(length);
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
