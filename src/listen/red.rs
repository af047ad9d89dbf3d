//! Parsing of redundant audio (RFC 2198): a packet that repeats earlier ones.

/// The most blocks of a packet. No sender repeats more, so such a packet is ignored.
const MAX_BLOCKS: usize = 8;

/// One encoding of one frame.
#[derive(Debug, PartialEq, Eq)]
pub struct Block<'a> {
    pub payload_type: u8,
    /// The age relative to the packet's own block, in samples; at most 16,383.
    pub earlier: u32,
    pub data: &'a [u8],
}

/// The blocks of a packet, oldest first and its own last.
#[derive(Clone)]
pub struct Blocks<'a> {
    headers: &'a [u8],
    data: &'a [u8],
}

/// Parses a payload. Returns None if it does not follow the RFC.
pub fn unpack(payload: &[u8]) -> Option<Blocks<'_>> {
    let (mut rest, mut length) = (payload, 0);
    for _ in 0..MAX_BLOCKS {
        let (header, behind) = rest.split_first()?;
        if header & 0x80 == 0 {
            let (headers, data) = payload.split_at(payload.len() - behind.len());
            return (length <= data.len()).then_some(Blocks { headers, data });
        }
        let (fields, behind) = behind.split_first_chunk()?;
        length += self::length(*fields);
        rest = behind;
    }
    None
}

/// Returns the lower 10 of the 24 bits after a block's type.
fn length([_, middle, last]: [u8; 3]) -> usize {
    usize::from(middle & 0x03) << 8 | usize::from(last)
}

impl<'a> Iterator for Blocks<'a> {
    type Item = Block<'a>;

    fn next(&mut self) -> Option<Block<'a>> {
        let (first, behind) = self.headers.split_first()?;
        let payload_type = first & 0x7f;
        // The last header is that byte alone.
        let (earlier, length, behind) = match behind.split_first_chunk() {
            Some((fields, behind)) => (u32::from(fields[0]) << 6 | u32::from(fields[1] >> 2), length(*fields), behind),
            None => (0, self.data.len(), behind),
        };
        // `unpack` has checked the sum of the lengths.
        let (data, others) = self.data.split_at_checked(length)?;
        (self.headers, self.data) = (behind, others);
        Some(Block { payload_type, earlier, data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(payload_type: u8, earlier: u32, length: usize) -> [u8; 4] {
        [0x80 | payload_type, (earlier >> 6) as u8, (earlier << 2) as u8 | (length >> 8) as u8, length as u8]
    }

    fn blocks(payload: &[u8]) -> Option<Vec<Block<'_>>> {
        unpack(payload).map(Iterator::collect)
    }

    #[test]
    fn returns_blocks_oldest_first() {
        let payload =
            [&header(111, 1_920, 3)[..], &header(63, 16_383, 600), &[111], b"old", &[7; 600], b"primary"].concat();
        let block = |payload_type, earlier, data| Block { payload_type, earlier, data };
        assert_eq!(
            blocks(&payload).unwrap(),
            [block(111, 1_920, &b"old"[..]), block(63, 16_383, &[7; 600]), block(111, 0, b"primary")]
        );
        assert_eq!(blocks(b"\x6falone").unwrap(), [block(111, 0, &b"alone"[..])]);
        assert_eq!(blocks(b"\x6f").unwrap(), [block(111, 0, &b""[..])]);
    }

    #[test]
    fn rejects_truncated_and_endless_packets() {
        let whole = [&header(111, 960, 5)[..], &[111], b"older"].concat();
        assert!((0..whole.len()).all(|length| blocks(&whole[..length]).is_none()));
        assert_eq!(blocks(&whole).unwrap().len(), 2);
        let many = |count| [header(111, 960, 0).repeat(count), vec![111]].concat();
        assert_eq!(blocks(&many(MAX_BLOCKS - 1)).unwrap().len(), MAX_BLOCKS);
        assert!(blocks(&many(MAX_BLOCKS)).is_none());
        assert!(blocks(&[0xff; 2_000]).is_none());
    }
}
