//! Raw samples: their formats, and a decoder.

use audio_codec::Decoder as _;
use audio_codec::g722::G722Decoder;
use symphonia::core::audio::AudioSpec;
use symphonia::core::audio::layouts::{CHANNEL_LAYOUT_MONO, CHANNEL_LAYOUT_STEREO};

use crate::g711::Law;

/// The format of raw samples; little-endian if a sample has more than one byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Raw {
    /// Signed integers of 16 bits.
    Pcm16,
    /// Floats of 32 bits; ±1 is full scale.
    F32,
    /// One byte per sample (G.711).
    G711(Law),
    /// One byte for two samples of one channel at 16 kHz (ITU-T G.722, 64 kbit/s).
    G722,
}

impl Raw {
    /// Returns the size of the smallest unit that can be decoded, in bytes.
    pub fn bytes(self) -> usize {
        match self {
            Self::Pcm16 => 2,
            Self::F32 => 4,
            Self::G711(_) | Self::G722 => 1,
        }
    }

    /// Returns the number of samples in that unit.
    pub fn samples(self) -> usize {
        if self == Self::G722 { 2 } else { 1 }
    }
}

/// A decoder of raw samples.
pub struct RawDecoder {
    raw: Raw,
    /// The state for G.722, which codes only the difference from a prediction.
    g722: Option<Box<G722Decoder>>,
    decoded: Vec<i16>,
}

impl RawDecoder {
    pub fn new(raw: Raw) -> Self {
        let g722 = (raw == Raw::G722).then(|| Box::new(G722Decoder::new()));
        Self { raw, g722, decoded: Vec::new() }
    }

    /// Replaces the content of `samples` with the samples in `bytes`. Floats may be anything.
    pub fn decode(&mut self, bytes: &[u8], samples: &mut Vec<f32>) {
        let scaled = |sample: i16| f32::from(sample) / 32_768.0;
        samples.clear();
        match self.raw {
            Raw::Pcm16 => samples.extend(bytes.as_chunks().0.iter().map(|sample| scaled(i16::from_le_bytes(*sample)))),
            Raw::F32 => samples.extend(bytes.as_chunks().0.iter().map(|sample| f32::from_le_bytes(*sample))),
            Raw::G711(law) => samples.extend(bytes.iter().map(|sample| scaled(law.decode(*sample)))),
            Raw::G722 => {
                let Some(decoder) = &mut self.g722 else { return };
                self.decoded.resize(decoder.max_decode_samples(bytes.len()), 0);
                // It fails only if there is too little room.
                let decoded = decoder.decode_into(bytes, &mut self.decoded).unwrap_or(0);
                samples.extend(self.decoded[..decoded].iter().map(|sample| scaled(*sample)));
            }
        }
    }
}

/// Returns the audio format of one channel or two.
pub fn spec(rate: u32, channels: usize) -> AudioSpec {
    AudioSpec::new(rate, if channels == 1 { CHANNEL_LAYOUT_MONO } else { CHANNEL_LAYOUT_STEREO })
}
