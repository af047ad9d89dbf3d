//! One track's Opus encoder: the one place that knows libopus, for sending.

use opus::{Application, Bitrate, Channels, Encoder as Opus};

use super::super::failed;
use crate::audio::SAMPLE_RATE;
use crate::error::Result;

/// RFC 6716 §3.2.1: no Opus frame is longer, but for three bytes of header.
const MAX_PACKET: usize = 1_275;

/// A packet that short says only that silence goes on (RFC 6716 §2.1.9).
const SILENCE: usize = 2;

/// The loss, in percent, that forward error correction is made for.
const EXPECTED_LOSS: i32 = 10;

/// How a track is encoded.
#[derive(Debug, Clone, Copy)]
pub struct Encoding {
    /// In bit/s.
    pub bitrate: i32,
    /// 0–10: more is better and costs more.
    pub complexity: i32,
    /// Sends nothing where a sound itself is silent.
    pub dtx: bool,
    /// Each packet repeats the one before it (RFC 2198).
    pub red: bool,
    /// Each packet carries a coarse copy of the one before it, where Opus codes speech.
    pub fec: bool,
}

pub struct Encoder {
    opus: Opus,
    dtx: bool,
    packet: Vec<u8>,
}

impl Encoder {
    pub fn new(channels: usize, encoding: Encoding) -> Result<Self> {
        let channels = if channels == 2 { Channels::Stereo } else { Channels::Mono };
        let Encoding { bitrate, complexity, dtx, fec, .. } = encoding;
        let create = || {
            let mut opus = Opus::new(SAMPLE_RATE, channels, Application::Audio)?;
            opus.set_bitrate(Bitrate::Bits(bitrate))?;
            opus.set_complexity(complexity)?;
            opus.set_dtx(dtx)?;
            opus.set_inband_fec(fec)?;
            opus.set_packet_loss_perc(if fec { EXPECTED_LOSS } else { 0 })?;
            Ok(opus)
        };
        let opus = create().map_err(|error: opus::Error| failed("the Opus encoder can't be made", error))?;
        Ok(Self { opus, dtx, packet: vec![0; MAX_PACKET] })
    }

    /// One 20 ms frame, interleaved, as one packet; none where it need not be sent.
    pub fn encode(&mut self, samples: &[f32]) -> Result<Option<&[u8]>> {
        let length = self
            .opus
            .encode_float(samples, &mut self.packet)
            .map_err(|error| failed("a frame can't be encoded", error))?;
        Ok((!self.dtx || length > SILENCE).then(|| &self.packet[..length]))
    }
}
