//! AAC in ADTS (ISO/IEC 13818-7 §6.2), frame by frame: changes between frames are played as they come.

use symphonia::core::audio::Channels;
use symphonia::core::audio::layouts::{
    CHANNEL_LAYOUT_AAC_3P0, CHANNEL_LAYOUT_AAC_4P0, CHANNEL_LAYOUT_AAC_5P0, CHANNEL_LAYOUT_AAC_5P1,
    CHANNEL_LAYOUT_AAC_7P1, CHANNEL_LAYOUT_MONO, CHANNEL_LAYOUT_STEREO,
};
use symphonia::core::codecs::audio::well_known::CODEC_ID_AAC;
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder};

use super::body::SharedBody;
use super::decode::{Block, FileDecoder, FileDetails, LEAD_IN, Step, decode_packet, decoder, end, finish, may_skip};
use super::frames::{self, NextFrame};
use crate::error::Result;

/// Sample rates in Hz, by index (ISO/IEC 14496-3 table 1.18).
pub const RATES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];

/// The header of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    profile: u8,
    rate: u32,
    /// The channel configuration (ISO/IEC 14496-3 table 1.19); 0, a layout that the stream itself describes, is not played.
    channels: u8,
    bytes: usize,
    length: usize,
    /// The number of packets in the frame.
    packets: u8,
}

impl frames::FrameHeader for Header {
    const BYTES: usize = 7;

    fn read(head: &[u8]) -> Option<Self> {
        let [0xff, kind @ (0xf0 | 0xf1 | 0xf8 | 0xf9), a, b, c, d, e, ..] = *head else { return None };
        // With or without a checksum after it.
        let bytes = if kind & 1 == 0 { 9 } else { 7 };
        let length = usize::from(b & 3) << 11 | usize::from(c) << 3 | usize::from(d >> 5);
        let rate = *RATES.get(usize::from(a >> 2 & 15))?;
        let channels = (a & 1) << 2 | b >> 6;
        (length > bytes).then_some(Self { profile: a >> 6, rate, channels, bytes, length, packets: 1 + (e & 3) })
    }

    fn length(&self) -> usize {
        self.length
    }

    fn is_compatible(&self, other: &Self) -> bool {
        (self.profile, self.rate, self.channels) == (other.profile, other.rate, other.channels)
    }
}

impl Header {
    fn layout(&self) -> Option<Channels> {
        match self.channels {
            1 => Some(CHANNEL_LAYOUT_MONO),
            2 => Some(CHANNEL_LAYOUT_STEREO),
            3 => Some(CHANNEL_LAYOUT_AAC_3P0),
            4 => Some(CHANNEL_LAYOUT_AAC_4P0),
            5 => Some(CHANNEL_LAYOUT_AAC_5P0),
            6 => Some(CHANNEL_LAYOUT_AAC_5P1),
            7 => Some(CHANNEL_LAYOUT_AAC_7P1),
            _ => None,
        }
    }
}

/// A stream of ADTS frames.
pub struct Adts {
    body: SharedBody,
    last: Option<Header>,
    decoder: Option<Box<dyn AudioDecoder>>,
    packet: Vec<u8>,
    /// The number of frames decoded so far, and of samples per channel in the last one.
    received: u64,
    samples: u64,
}

impl Adts {
    pub fn new(body: &SharedBody) -> Self {
        Self { body: body.clone(), last: None, decoder: None, packet: Vec::new(), received: 0, samples: 0 }
    }
}

impl FileDecoder for Adts {
    fn next(&mut self, block: &mut Block) -> Result<Step> {
        let mut body = self.body.get();
        let header = match frames::next(&mut body, self.last) {
            NextFrame::Frame(header) => header,
            NextFrame::Cut => {
                body.skip(u64::MAX);
                return Ok(end(&mut self.decoder, block));
            }
            NextFrame::Other => return Ok(end(&mut self.decoder, block)),
        };
        let is_compatible = self.last.is_some_and(|last| frames::FrameHeader::is_compatible(&last, &header));
        if let Some(mut decoder) = self.decoder.take_if(|_| !is_compatible)
            && finish(&mut *decoder, block)
        {
            return Ok(Step::Block);
        }
        self.packet.clear();
        self.packet.extend_from_slice(&body.peek(header.length)[header.bytes.min(header.length)..]);
        body.consume(header.length);
        drop(body);
        if self.decoder.is_none() {
            let mut parameters = AudioCodecParameters::new();
            parameters.for_codec(CODEC_ID_AAC).with_sample_rate(header.rate);
            header.layout().map(|layout| parameters.with_channels(layout));
            self.last = Some(header);
            self.decoder = Some(decoder(&parameters)?);
        }
        let discarded = Step::Discarded(header.length as u64);
        match &mut self.decoder {
            Some(decoder) if header.packets == 1 => {
                let step = decode_packet(&mut **decoder, &self.packet, block, discarded)?;
                if let Step::Block = step {
                    self.received += 1;
                    self.samples = (block.samples.len() / block.spec.channels().count().max(1)) as u64;
                }
                Ok(step)
            }
            _ => Ok(discarded),
        }
    }

    fn skip(&mut self, to: u64) -> Option<u64> {
        self.decoder.as_ref().filter(|decoder| may_skip(&***decoder))?;
        let wanted = to.saturating_sub(LEAD_IN).checked_div(self.samples)?;
        let mut body = self.body.get();
        while self.received < wanted
            && let NextFrame::Frame(header) = frames::next(&mut body, self.last)
            && header.packets == 1
            && self.last.is_some_and(|last| frames::FrameHeader::is_compatible(&last, &header))
        {
            body.consume(header.length);
            self.received += 1;
        }
        self.decoder.as_mut()?.reset();
        Some(self.received * self.samples)
    }

    fn continues(&self) -> bool {
        true
    }

    fn details(&mut self) -> FileDetails {
        FileDetails {
            codec: self.decoder.as_ref().map_or("aac", |decoder| decoder.codec_info().short_name),
            ..FileDetails::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::frames::FrameHeader as _;
    use super::*;

    #[test]
    fn headers_match_the_standard() {
        let head = [0xff, 0xf1, 0x50, 0x80, 0x2e, 0x7f, 0xfc];
        let header = Header::read(&head).unwrap();
        assert_eq!((header.profile, header.rate, header.channels), (1, 44_100, 2));
        assert_eq!((header.length, header.bytes, header.packets), (0x2e << 3 | 3, 7, 1));
        assert_eq!(Header::read(&[0xff, 0xf0, 0x50, 0x80, 0x2e, 0x7f, 0xfc]).unwrap().bytes, 9);
        for nothing in [[0xff, 0xf1, 0x74, 0x80, 0x2e, 0x7f, 0xfc], [0xff, 0xf1, 0x50, 0x80, 0x00, 0xff, 0xfc]] {
            assert_eq!(Header::read(&nothing), None);
        }
    }
}
