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
        let size = size.iter().fold(0, |size, byte| size << 8 | u64::from(*byte));
        match (size, head.get(8..)) {
            (0, _) => u64::MAX,
            (1, Some(long)) => long.iter().fold(0, |size, byte| size << 8 | u64::from(*byte)),
            (2..=7, _) => 0,
            (size, _) => size,
        }
    }
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
