//! One track's Opus encoder: the one place that knows libopus, for sending.

use opus::{Application, Bitrate, Channels, Encoder as Opus};

use super::super::failed;
use crate::audio::SAMPLE_RATE;
use crate::error::Result;

/// RFC 6716 §3.2.1: no Opus frame is longer, but for three bytes of header.
const MAX_PACKET: usize = 1_275;

/// How a track is encoded.
#[derive(Debug, Clone, Copy)]
pub struct Encoding {
    /// In bit/s.
    pub bitrate: i32,
    /// 0–10: more is better and costs more.
    pub complexity: i32,
}

pub struct Encoder {
    opus: Opus,
    packet: Vec<u8>,
}

impl Encoder {
    pub fn new(channels: usize, encoding: Encoding) -> Result<Self> {
        let channels = if channels == 2 { Channels::Stereo } else { Channels::Mono };
        let create = || {
            let mut opus = Opus::new(SAMPLE_RATE, channels, Application::Audio)?;
            opus.set_bitrate(Bitrate::Bits(encoding.bitrate))?;
            opus.set_complexity(encoding.complexity)?;
            Ok(opus)
        };
        let opus = create().map_err(|error: opus::Error| failed("the Opus encoder can't be made", error))?;
        Ok(Self { opus, packet: vec![0; MAX_PACKET] })
    }

    /// One 20 ms frame, interleaved, as one packet.
    pub fn encode(&mut self, samples: &[f32]) -> Result<&[u8]> {
        let length = self
            .opus
            .encode_float(samples, &mut self.packet)
            .map_err(|error| failed("a frame can't be encoded", error))?;
        Ok(&self.packet[..length])
    }
}
