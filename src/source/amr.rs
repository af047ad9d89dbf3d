//! Stored AMR-NB and AMR-WB (RFC 4867 §5), frame by frame: the only module that uses rvoip-codec-core.

use codec_core::codecs::amr::AmrCodec;
use codec_core::types::{CodecConfig, CodecType, CodedFrame, FrameKind, VariableRateCodec};
use symphonia::core::audio::AudioSpec;

use super::body::{Body, SharedBody};
use super::decode::{Block, FileDecoder, FileDetails, Step, unsupported};
use super::{files, raw, tags};
use crate::error::Result;

/// The bits of a frame header that are always 0, and the quality bit, set in undamaged frames (RFC 4867 §5.3).
const ZEROS: u8 = 0b1000_0011;
const IS_SOUND: u8 = 0b0000_0100;

/// The frame types of comfort noise (types 9 to 11 of NB are comfort noise of other codecs), of lost frames and of frames that were not
/// sent (3GPP TS 26.101 and 26.201, table 1).
const SILENCE_NB: u8 = 8;
const SILENCE_WB: u8 = 9;
const LOST_WB: u8 = 14;
const NOT_SENT: u8 = 15;

/// The two codecs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Band {
    /// 8 kHz.
    Narrow,
    /// 16 kHz.
    Wide,
}

impl Band {
    /// Returns the codec of the file that starts with `head`, if it is AMR. Multichannel files have other magic numbers and are not played.
    pub fn detect(head: &[u8]) -> Option<Self> {
        [Self::Narrow, Self::Wide].into_iter().find(|band| head.starts_with(band.name()))
    }

    fn name(self) -> &'static [u8] {
        match self {
            Self::Narrow => b"#!AMR\n",
            Self::Wide => b"#!AMR-WB\n",
        }
    }

    /// Returns the payload length of a frame type in bytes; `None` for types that do not exist.
    fn length(self, kind: u8) -> Option<usize> {
        let lengths: [u8; 16] = match self {
            Self::Narrow => [12, 13, 15, 17, 19, 20, 26, 31, 5, 6, 5, 5, 255, 255, 255, 0],
            Self::Wide => [17, 23, 32, 36, 40, 46, 50, 58, 60, 5, 255, 255, 255, 255, 0, 0],
        };
        Some(lengths[usize::from(kind)]).filter(|length| *length < 255).map(usize::from)
    }

    /// Returns the length of the frame with this header.
    fn frame(self, header: u8) -> Option<usize> {
        let length = self.length(header >> 3 & 15).filter(|_| header & ZEROS == 0)?;
        Some(1 + length)
    }

    fn codec(self) -> Result<AmrCodec> {
        let kind = if self == Self::Narrow { CodecType::AmrNb } else { CodecType::AmrWb };
        AmrCodec::new(&CodecConfig::new(kind)).map_err(unsupported)
    }
}

/// A file of AMR frames.
pub struct Amr {
    body: SharedBody,
    band: Band,
    codec: AmrCodec,
    spec: AudioSpec,
    /// The mode of the last speech frame; lost frames are concealed in it.
    mode: u8,
    /// False after damage: a header is then trusted only if another one follows its frame.
    is_in_step: bool,
}

impl Amr {
    /// Opens the file that begins here.
    pub fn open(band: Band, body: &SharedBody) -> Result<Self> {
        body.get().skip(band.name().len() as u64);
        let rate = if band == Band::Narrow { 8_000 } else { 16_000 };
        Ok(Self { body: body.clone(), band, codec: band.codec()?, spec: raw::spec(rate, 1), mode: 0, is_in_step: true })
    }

    /// Returns the length of the frame that starts here, if one does.
    fn frame(&self, body: &mut Body) -> Option<usize> {
        let length = self.band.frame(*body.peek(1).first()?)?;
        let is_frame =
            self.is_in_step || body.peek(length + 1).get(length).is_none_or(|next| self.band.frame(*next).is_some());
        // Zeros are padding, but would parse as a frame too.
        (is_frame && body.peek(length).iter().any(|byte| *byte != 0)).then_some(length)
    }

    /// Returns a frame in the form that the decoder takes.
    fn coded(&mut self, header: u8, data: &[u8]) -> CodedFrame {
        let kind = match (self.band, header >> 3 & 15) {
            (Band::Narrow, mode @ ..SILENCE_NB) | (Band::Wide, mode @ ..SILENCE_WB) => {
                self.mode = mode;
                FrameKind::Speech
            }
            (Band::Narrow, SILENCE_NB) | (Band::Wide, SILENCE_WB) => FrameKind::ComfortNoise,
            (Band::Wide, LOST_WB) => FrameKind::Lost,
            (_, NOT_SENT) => FrameKind::NoData,
            // Comfort noise of another codec.
            _ => FrameKind::NoData,
        };
        let data = if kind == FrameKind::NoData { Vec::new() } else { data.to_vec() };
        CodedFrame { kind, mode: self.mode, quality_ok: header & IS_SOUND != 0, data }
    }
}

impl FileDecoder for Amr {
    fn next(&mut self, block: &mut Block) -> Result<Step> {
        let shared = self.body.clone();
        let mut body = shared.get();
        let Some(length) = self.frame(&mut body) else {
            let head = body.peek(tags::HEAD);
            let is_over = head.is_empty() || head[0] == 0 || tags::detect(head) || files::detect(head);
            self.is_in_step = false;
            return Ok(if is_over { Step::End } else { Step::Discarded(body.discard(1)) });
        };
        let bytes = body.peek(length);
        if bytes.len() < length {
            // The number of frames is stated nowhere, so a cut frame is no loss.
            body.skip(u64::MAX);
            return Ok(Step::End);
        }
        let frame = self.coded(bytes[0], &bytes[1..]);
        body.consume(length);
        drop(body);
        self.is_in_step = true;
        let Ok(samples) = self.codec.decode_frame(&frame) else { return Ok(Step::Discarded(length as u64)) };
        block.spec.clone_from(&self.spec);
        block.samples.clear();
        block.samples.extend(samples.iter().map(|sample| f32::from(*sample) / 32_768.0));
        Ok(Step::Block)
    }

    fn details(&mut self) -> FileDetails {
        let codec = if self.band == Band::Narrow { "amr_nb" } else { "amr_wb" };
        FileDetails { codec, ..FileDetails::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_lengths_match_the_standard() {
        for (band, header, length) in [
            (Band::Narrow, 0x04, Some(13)),
            (Band::Narrow, 0x3c, Some(32)),
            (Band::Narrow, 0x44, Some(6)),
            (Band::Narrow, 0x7c, Some(1)),
            (Band::Narrow, 0x64, None),
            (Band::Narrow, 0x3d, None),
            (Band::Wide, 0x04, Some(18)),
            (Band::Wide, 0x44, Some(61)),
            (Band::Wide, 0x4c, Some(6)),
            (Band::Wide, 0x74, Some(1)),
            (Band::Wide, 0x54, None),
            (Band::Wide, 0x84, None),
        ] {
            assert_eq!(band.frame(header), length, "{band:?} {header:#x}");
        }
        assert_eq!((Band::detect(b"#!AMR\n"), Band::detect(b"#!AMR-WB\n")), (Some(Band::Narrow), Some(Band::Wide)));
        assert_eq!(Band::detect(b"#!AMR_MC1.0\n"), None);
    }
}
