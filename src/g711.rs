//! G.711, the codec of telephone lines: one byte per sample, in steps that grow with its level (ITU-T G.711, tables 1 and 2).

/// The sample rate of a telephone line, in Hz.
pub const RATE: u32 = 8_000;

/// The companding law.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Law {
    /// µ-law: North America and Japan.
    Mu,
    /// A-law: everywhere else.
    A,
}

impl Law {
    /// Encodes a 16-bit sample. All samples between two decision values of the tables have the same byte.
    pub fn encode(self, sample: i16) -> u8 {
        match self {
            Self::Mu => mu(sample),
            Self::A => a(sample),
        }
    }

    /// Decodes a byte to the middle of the samples that have it.
    pub fn decode(self, byte: u8) -> i16 {
        let plain = if self == Self::Mu { !byte } else { byte ^ 0x55 };
        let (segment, step) = (plain >> 4 & 7, i32::from(plain & 0xf));
        let (is_negative, level) = match self {
            Self::Mu => (plain & 0x80 != 0, (((step << 3) + 132) << segment) - 132),
            Self::A if segment == 0 => (plain & 0x80 == 0, (step << 4) + 8),
            Self::A => (plain & 0x80 == 0, ((step << 4) + 264) << (segment - 1)),
        };
        (if is_negative { -level } else { level }) as i16
    }

    /// Returns the byte of silence.
    pub fn silence(self) -> u8 {
        self.encode(0)
    }
}

/// Returns the distance from zero, where both halves have a zero of their own: −1 is in the first step, as 0 is.
fn magnitude(sample: i16) -> u16 {
    (if sample < 0 { !sample } else { sample }) as u16
}

/// Returns the segment of a level, which is its highest bit counted from bit `lowest` on, and its step: the four bits behind it.
fn segment(level: u16, lowest: u32) -> (u8, u8) {
    let segment = (15 - level.leading_zeros()) - lowest;
    (segment as u8, ((level >> (segment + lowest - 4)) & 0xf) as u8)
}

/// Encodes 14 bits. With 33 added, segments begin at powers of two. All bits are inverted.
fn mu(sample: i16) -> u8 {
    const BIAS: u16 = 33;
    const LOUDEST: u16 = 8_158;
    let level = (magnitude(sample) >> 2).min(LOUDEST) + BIAS;
    let (segment, step) = segment(level, 5);
    !(sign(sample < 0) | segment << 4 | step)
}

/// Encodes 13 bits. The first two segments have steps of the same size, and every other bit is inverted.
fn a(sample: i16) -> u8 {
    let level = magnitude(sample) >> 4;
    let (segment, step) = if level < 16 { (0, level as u8) } else { segment(level, 3) };
    (sign(sample >= 0) | segment << 4 | step) ^ 0x55
}

fn sign(is_set: bool) -> u8 {
    if is_set { 0x80 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the decision values of half the table, in 16-bit units, from the first one and each segment's step and number of steps.
    fn decisions(first: i32, segments: &[(i32, usize)]) -> Vec<i32> {
        let mut values = vec![0, first];
        for &(step, count) in segments {
            for _ in 0..count {
                values.push(values[values.len() - 1] + step);
            }
        }
        values
    }

    /// Returns a byte's number in its half, as the table counts them, and true if it is positive.
    fn read(law: Law, byte: u8) -> (usize, bool) {
        let plain = if law == Law::Mu { !byte } else { byte ^ 0x55 };
        let is_positive = (plain & 0x80 == 0) == (law == Law::Mu);
        (usize::from(plain & 0x7f), is_positive)
    }

    #[test]
    fn encodes_by_the_standards_tables() {
        // Table 2a: 1, then 15 steps of 2, and 16 each of 4, 8 … 256, in 14 bits. Table 1a: 32 steps of 2 in 13 bits with a sign, and 16
        // each of 4, 8 … 128.
        let mu = decisions(4, &[(8, 15), (16, 16), (32, 16), (64, 16), (128, 16), (256, 16), (512, 16), (1_024, 16)]);
        let a = decisions(16, &[(16, 31), (32, 16), (64, 16), (128, 16), (256, 16), (512, 16), (1_024, 16)]);
        assert_eq!((mu[128], a[128]), (8_159 * 4, 4_096 * 8), "the ends of both tables");
        for (law, values) in [(Law::Mu, mu), (Law::A, a)] {
            for sample in i16::MIN..=i16::MAX {
                let level = i32::from(if sample < 0 { !sample } else { sample });
                let number = values[1..128].iter().take_while(|value| **value <= level).count();
                assert_eq!(read(law, law.encode(sample)), (number, sample >= 0), "{law:?} of {sample}");
            }
        }
    }

    #[test]
    fn decoding_inverts_encoding() {
        for byte in 0..=u8::MAX {
            assert_eq!(Law::A.encode(Law::A.decode(byte)), byte);
            // µ-law has two zeros.
            let back = Law::Mu.encode(Law::Mu.decode(byte));
            assert!(back == byte || (byte == 0x7f && back == 0xff), "{byte:#x}");
        }
        // The ends of tables 2a and 1a, in 16 bits.
        assert_eq!([0x80, 0x00, 0xff].map(|byte| Law::Mu.decode(byte)), [8_031 * 4, -8_031 * 4, 0]);
        assert_eq!([0xaa, 0x2a, 0xd5].map(|byte| Law::A.decode(byte)), [4_032 * 8, -4_032 * 8, 8]);
    }

    #[test]
    fn encodes_as_ffmpeg_does() {
        // At a decision value the two may differ by a step.
        // ffmpeg -f s16le -ar 8000 -i - -c:a pcm_mulaw -f mulaw - | xxd -i; the same with pcm_alaw and alaw
        const SAMPLES: [i16; 12] = [0, 8, -8, 104, -104, 1_000, -1_000, 10_000, -10_000, 20_000, 32_767, -32_768];
        const MU: [u8; 12] = [0xff, 0xfe, 0x7e, 0xf2, 0x72, 0xce, 0x4e, 0x9c, 0x1c, 0x8c, 0x80, 0x00];
        const A: [u8; 12] = [0xd5, 0xd5, 0x55, 0xd3, 0x53, 0xfa, 0x7a, 0xb6, 0x36, 0xa6, 0xaa, 0x2a];
        assert_eq!(SAMPLES.map(|sample| Law::Mu.encode(sample)), MU);
        assert_eq!(SAMPLES.map(|sample| Law::A.encode(sample)), A);
        assert_eq!((Law::Mu.silence(), Law::A.silence()), (0xff, 0xd5));
    }
}
