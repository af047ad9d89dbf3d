//! Finds out if an MP4 body can be played while it downloads.

use std::io::{self, Read, Seek, SeekFrom};

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

fn scan(body: &mut (impl Read + Seek)) -> io::Result<bool> {
    let mut place = 0;
    loop {
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
}
