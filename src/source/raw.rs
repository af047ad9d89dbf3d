//! Raw samples: how they are written down, and what they are.

use symphonia::core::audio::AudioSpec;
use symphonia::core::audio::layouts::{CHANNEL_LAYOUT_MONO, CHANNEL_LAYOUT_STEREO};

/// How raw samples are written down: little-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Raw {
    /// Signed integers of 16 bits.
    Pcm16,
    /// Floats of 32 bits; ±1 is full scale.
    F32,
}

impl Raw {
    /// How many bytes a sample has.
    pub fn bytes(self) -> usize {
        match self {
            Self::Pcm16 => 2,
            Self::F32 => 4,
        }
    }

    /// The samples that are written in `bytes`, in place of those in `samples`. Floats may be anything.
    pub fn decode(self, bytes: &[u8], samples: &mut Vec<f32>) {
        samples.clear();
        match self {
            Self::Pcm16 => {
                let written = bytes.as_chunks().0.iter();
                samples.extend(written.map(|sample| f32::from(i16::from_le_bytes(*sample)) / 32_768.0));
            }
            Self::F32 => samples.extend(bytes.as_chunks().0.iter().map(|sample| f32::from_le_bytes(*sample))),
        }
    }
}

/// What samples of one channel or two are.
pub fn spec(rate: u32, channels: usize) -> AudioSpec {
    AudioSpec::new(rate, if channels == 1 { CHANNEL_LAYOUT_MONO } else { CHANNEL_LAYOUT_STEREO })
}
