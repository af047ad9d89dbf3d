//! Vorbis (the Vorbis I specification §3.2.1, §4.2.4): how large the tables are that a few bytes of its headers ask for.

use symphonia::core::errors::Result;
use symphonia::core::io::{BitReaderRtl, ReadBitsRtl};

/// The most entries of codebooks, and values of their vectors, that are held for one stream: 16 MiB of floats. What the
/// reference encoder writes has some hundred thousand.
const MAX_VALUES: u64 = 4 << 20;

/// The identification header, and the name before the codebooks, which Symphonia's demuxer hands on behind each other.
const BEFORE_CODEBOOKS: usize = 30 + 7;

const SYNC: u32 = 0x56_4342;

/// Returns true if a decoder that is set up with these headers holds no more than it should. Damaged ones are the decoder's to refuse.
pub fn is_bounded(headers: &[u8]) -> bool {
    values(headers.get(BEFORE_CODEBOOKS..).unwrap_or_default()).is_none_or(|values| values <= MAX_VALUES)
}

/// How many entries and values the codebooks have together, as far as that is of interest; `None` if they are damaged.
fn values(codebooks: &[u8]) -> Option<u64> {
    let mut bits = BitReaderRtl::new(codebooks);
    let count = bits.read_bits_leq32(8).ok()? + 1;
    let mut values = 0;
    for _ in 0..count {
        values += codebook(&mut bits).ok()??;
        if values > MAX_VALUES {
            break;
        }
    }
    Some(values)
}

/// The entries and values of the next codebook; `None` if it is none.
fn codebook(bits: &mut BitReaderRtl<'_>) -> Result<Option<u64>> {
    if bits.read_bits_leq32(24)? != SYNC {
        return Ok(None);
    }
    let (dimensions, entries) = (bits.read_bits_leq32(16)?, bits.read_bits_leq32(24)?);
    let all = u64::from(entries) * (1 + u64::from(dimensions));
    if all > MAX_VALUES {
        return Ok(Some(all));
    }
    let is_ordered = bits.read_bool()?;
    if is_ordered {
        bits.read_bits_leq32(5)?;
        let mut left = entries;
        while left > 0 {
            let Some(rest) = left.checked_sub(bits.read_bits_leq32(32 - left.leading_zeros())?) else {
                return Ok(None);
            };
            left = rest;
        }
    } else if bits.read_bool()? {
        for _ in 0..entries {
            if bits.read_bool()? {
                bits.ignore_bits(5)?;
            }
        }
    } else {
        bits.ignore_bits(entries * 5)?;
    }
    let kind = bits.read_bits_leq32(4)?;
    if kind == 0 {
        return Ok(Some(u64::from(entries)));
    }
    bits.ignore_bits(64)?;
    let width = bits.read_bits_leq32(4)? + 1;
    bits.read_bool()?;
    let multiplicands = if kind == 1 { root(entries, dimensions) } else { entries * dimensions };
    bits.ignore_bits(multiplicands * width)?;
    Ok(Some(all))
}

/// The largest number of which this power is no more than `of`.
fn root(of: u32, power: u32) -> u32 {
    let fits = |number: &u32| {
        (0..power).try_fold(1, |all: u32, _| all.checked_mul(*number).filter(|all| *all <= of)).is_some()
    };
    match power {
        0 => 0,
        1 => of,
        _ => (1..).take_while(fits).last().unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bits behind each other, least significant first.
    fn pack(fields: &[(u32, u32)]) -> Vec<u8> {
        let bits: Vec<u8> =
            fields.iter().flat_map(|(value, width)| (0..*width).map(move |bit| (value >> bit & 1) as u8)).collect();
        bits.chunks(8).map(|byte| byte.iter().rev().fold(0, |byte, bit| byte << 1 | bit)).collect()
    }

    /// A codebook whose codewords all have 17 bits.
    const ORDERED: [(u32, u32); 4] = [(1, 1), (16, 5), (131_072, 18), (1, 4)];
    const LOOKUP: [(u32, u32); 4] = [(0, 32), (0, 32), (3, 4), (0, 1)];

    #[test]
    fn codebooks_are_counted_however_they_are_written() {
        let head = |dimensions, entries| vec![(SYNC, 24), (dimensions, 16), (entries, 24)];
        let dense = |entries: u32, kind| {
            [head(2, entries), vec![(0, 2)], vec![(0, 5); entries as usize], vec![(kind, 4)]].concat()
        };
        let sparse =
            [head(3, 4), vec![(0, 1), (1, 1), (0, 1), (1, 1), (7, 5), (0, 1), (1, 1), (7, 5), (0, 4)]].concat();
        let books = [
            (dense(9, 0), 9),
            ([dense(9, 1), LOOKUP.to_vec(), vec![(0, 3 * 4)]].concat(), 27),
            ([dense(5, 2), LOOKUP.to_vec(), vec![(0, 10 * 2), (0, 10 * 2)]].concat(), 15),
            (sparse, 4),
            ([head(1, 131_072), ORDERED[..3].to_vec(), vec![(0, 4)]].concat(), 131_072),
        ];
        let all: Vec<_> = books.iter().flat_map(|(book, _)| book.clone()).collect();
        let count = books.len() as u32 - 1;
        let expected = books.iter().map(|(_, values)| values).sum();
        assert_eq!(values(&pack(&[&[(count, 8)], &all[..]].concat())), Some(expected));
        assert_eq!(values(&pack(&[&[(count + 1, 8)], &all[..]].concat())), None, "one is missing");
    }

    #[test]
    fn gigabytes_in_a_few_bytes_are_not_bounded() {
        let book = [&[(SYNC, 24), (31, 16), (131_072, 24)], &ORDERED[..], &LOOKUP, &[(0, 4)]].concat();
        for (count, expected) in [(1, true), (2, false), (256, false)] {
            let codebooks = pack(&[vec![(count - 1, 8)], book.repeat(count as usize)].concat());
            assert_eq!(is_bounded(&[vec![0; BEFORE_CODEBOOKS], codebooks].concat()), expected, "{count}");
        }
        assert!(is_bounded(&[]));
    }

    #[test]
    fn roots_are_whole() {
        let roots = [
            (0, 2, 0),
            (1, 5, 1),
            (8, 3, 2),
            (26, 3, 2),
            (27, 3, 3),
            (131_072, 16, 2),
            (131_072, 32, 1),
            (7, 1, 7),
            (7, 0, 0),
        ];
        for (of, power, expected) in roots {
            assert_eq!(root(of, power), expected, "{of}, {power}");
        }
    }
}
