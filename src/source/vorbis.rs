//! Checks the codebooks of a Vorbis stream before a decoder allocates memory for them.

use symphonia::core::errors::Result;
use symphonia::core::io::{BitReaderRtl, ReadBitsRtl};

/// The most entries of all codebooks of a stream, and the most numbers in them: the most that libvorbis makes, for six channels at its best
/// quality, are 19,413 and 87,952.
const MAX_ENTRIES: u64 = 1 << 15;
const MAX_NUMBERS: u64 = 1 << 19;

/// The start of a stream's third header, which holds its codebooks.
const SETUP: &[u8] = b"\x05vorbis";

/// Returns true if the codebooks in `headers` are of an ordinary size. A few bytes may claim 16 million entries of 65,535 numbers, and
/// decoders allocate memory for them before they look further.
pub fn is_ordinary(headers: &[u8]) -> bool {
    let setup = headers.windows(SETUP.len()).position(|window| window == SETUP);
    // A missing setup header, or one that ends early, is for the decoder to report.
    setup.is_none_or(|setup| size(&headers[setup + SETUP.len()..]).is_ok_and(|size| size.is_none_or(Size::is_ordinary)))
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Size {
    entries: u64,
    numbers: u64,
}

impl Size {
    fn is_ordinary(self) -> bool {
        self.entries <= MAX_ENTRIES && self.numbers <= MAX_NUMBERS
    }
}

/// Returns the size of all codebooks, up to the first that is too large; `None` if they are invalid (Vorbis I §3.2.1). A codebook whose
/// code words leave gaps is invalid too: a table for long words with nothing beside them takes kilobytes for each.
fn size(setup: &[u8]) -> Result<Option<Size>> {
    let mut bits = BitReaderRtl::new(setup);
    let mut size = Size::default();
    for _ in 0..=bits.read_bits_leq32(8)? {
        if bits.read_bits_leq32(24)? != 0x56_4342 {
            return Ok(None);
        }
        let dimensions = bits.read_bits_leq32(16)?;
        let entries = bits.read_bits_leq32(24)?;
        size.entries += u64::from(entries);
        size.numbers += u64::from(entries) * u64::from(dimensions);
        if !size.is_ordinary() {
            break;
        }
        if !is_complete(&mut bits, entries)? {
            return Ok(Some(Size { entries: u64::MAX, numbers: u64::MAX }));
        }
        let kind = bits.read_bits_leq32(4)?;
        let values = match kind {
            0 => continue,
            1 => u64::from(root(entries, dimensions)),
            2 => u64::from(entries) * u64::from(dimensions),
            _ => return Ok(None),
        };
        bits.ignore_bits(64)?;
        let width = bits.read_bits_leq32(4)? + 1;
        bits.ignore_bits(1 + values as u32 * width)?;
    }
    Ok(Some(size))
}

/// Reads the lengths of the code words. Returns true if they fill their tree, or there is only one.
fn is_complete(bits: &mut BitReaderRtl<'_>, entries: u32) -> Result<bool> {
    // The share of each word in the tree, in parts of 2^32.
    let (mut used, mut filled) = (0_u64, 0_u64);
    let mut add = |length: u32, count: u32| {
        used += u64::from(count);
        filled = filled.saturating_add(u64::from(count) << 32_u32.saturating_sub(length));
    };
    if bits.read_bool()? {
        let mut length = bits.read_bits_leq32(5)? + 1;
        let mut entry = 0;
        while entry < entries {
            let rest = entries - entry;
            let count = bits.read_bits_leq32(32 - rest.leading_zeros())?;
            if length > 32 || count > rest {
                return Ok(false);
            }
            add(length, count);
            (entry, length) = (entry + count, length + 1);
        }
    } else {
        let is_sparse = bits.read_bool()?;
        for _ in 0..entries {
            if !is_sparse || bits.read_bool()? {
                add(bits.read_bits_leq32(5)? + 1, 1);
            }
        }
    }
    Ok(used <= 1 || filled == 1 << 32)
}

/// Returns the largest number whose power of `dimensions` is no more than `entries`.
fn root(entries: u32, dimensions: u32) -> u32 {
    let fits = |root: u32| root.checked_pow(dimensions).is_some_and(|power| power <= entries);
    // From two dimensions on, at most the square root.
    match dimensions {
        0 => 0,
        1 => entries,
        _ => (0..).take_while(|root| fits(*root)).last().unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stream with its headers in one page.
    const ORDINARY: &[u8] = include_bytes!("../../__test__/fixtures/tone-vorbis.ogg");

    /// Returns the header of a codebook, up to its number of entries: the number of codebooks, the magic word, dimensions, entries.
    fn codebook(dimensions: u16, entries: u32) -> Vec<u8> {
        let entries = entries.to_le_bytes();
        [SETUP, &[0], b"BCV", &dimensions.to_le_bytes(), &entries[..3], &[0; 64]].concat()
    }

    #[test]
    fn accepts_ordinary_streams() {
        let at = ORDINARY.windows(SETUP.len()).position(|window| window == SETUP).unwrap();
        let size = size(&ORDINARY[at + SETUP.len()..]).unwrap().unwrap();
        assert!((1_000..MAX_ENTRIES).contains(&size.entries) && size.numbers >= size.entries, "{size:?}");
        assert!(is_ordinary(ORDINARY));
    }

    #[test]
    fn refuses_absurd_codebooks() {
        // Sixteen words of four bits each, in order of their lengths; and fifteen.
        let words =
            |count: u8| [SETUP, &[0], b"BCV", &[2, 0, count, 0, 0, 0x07 | count << 6, count >> 2, 0, 0]].concat();
        assert!(is_ordinary(&words(16)));
        assert!(!is_ordinary(&words(15)), "its tree has a gap");
        assert!(!is_ordinary(&codebook(1, 0xff_ffff)));
        assert!(!is_ordinary(&codebook(0xffff, 100)));
        assert!(!is_ordinary(&codebook(8, MAX_ENTRIES as u32)));
    }

    #[test]
    fn roots_match_the_specification() {
        assert_eq!([(81, 4), (80, 4), (16, 2), (7, 1), (1, 9), (0, 3)].map(|(n, d)| root(n, d)), [3, 2, 4, 7, 1, 0]);
    }
}
