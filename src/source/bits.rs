//! A bit reader, most significant bit of each byte first, as MPEG writes them. It can be copied to look ahead.

/// The bits that are still to be read.
#[derive(Debug, Clone, Copy)]
pub struct Bits<'a> {
    bytes: &'a [u8],
    /// In bits.
    position: usize,
}

impl<'a> Bits<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    /// Returns the number of bits left.
    pub fn left(&self) -> usize {
        8 * self.bytes.len() - self.position
    }

    /// Reads the next `count` bits, at most 32; returns `None` if fewer are left.
    pub fn take(&mut self, count: usize) -> Option<usize> {
        if count > self.left().min(32) {
            return None;
        }
        let mut value = 0;
        for _ in 0..count {
            value = value << 1 | usize::from(self.bytes[self.position / 8] >> (7 - self.position % 8) & 1);
            self.position += 1;
        }
        Some(value)
    }

    /// Reads one bit; returns true if it is set.
    pub fn is_set(&mut self) -> Option<bool> {
        self.take(1).map(|bit| bit == 1)
    }

    /// Skips `count` bits.
    pub fn skip(&mut self, count: usize) -> Option<()> {
        self.position += Some(count).filter(|count| *count <= self.left())?;
        Some(())
    }

    /// Reads `count` bits into bytes; the last byte is padded with zeros.
    pub fn copy(&mut self, count: usize) -> Option<Vec<u8>> {
        if count > self.left() {
            return None;
        }
        let byte = |at: usize| {
            let bits = (count - at).min(8);
            self.take(bits).map(|value| (value << (8 - bits)) as u8)
        };
        (0..count).step_by(8).map(byte).collect()
    }

    /// Reads the audio object type of an AudioSpecificConfig (ISO/IEC 14496-3 table 1.16).
    pub fn object_type(&mut self) -> Option<usize> {
        match self.take(5)? {
            31 => Some(32 + self.take(6)?),
            kind => Some(kind),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_bits_up_to_the_end() {
        let mut bits = Bits::new(&[0b1010_0110, 0xff, 0x01]);
        let mut ahead = bits;
        assert_eq!((ahead.take(3), ahead.is_set(), ahead.left()), (Some(0b101), Some(false), 20));
        assert_eq!((ahead.skip(21), ahead.skip(20), ahead.take(1), ahead.take(0)), (None, Some(()), None, Some(0)));
        assert_eq!((bits.take(33), bits.take(25), bits.skip(1)), (None, None, Some(())));
        assert_eq!((bits.copy(24), bits.copy(10)), (None, Some(vec![0b0100_1101, 0b1100_0000])));
        assert_eq!((bits.copy(0), bits.left()), (Some(Vec::new()), 13));
        assert_eq!(Bits::new(&[0b1111_1000, 0b0100_0000]).object_type(), Some(34));
        assert_eq!(Bits::new(&[0b0001_0000]).object_type(), Some(2));
    }
}
