//! AAC in LATM (ISO/IEC 14496-3 §1.7), as digital television sends it: LOAS frames, each with some packets and, now and then, the decoder
//! configuration.

use std::collections::VecDeque;

use symphonia::core::codecs::audio::well_known::CODEC_ID_AAC;
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder};

use super::bits::Bits;
use super::body::SharedBody;
use super::decode::{Block, FileDecoder, FileDetails, Step, decode_packet, decoder, end};
use super::frames::{self, NextFrame};
use crate::error::Result;

/// The header of a frame (AudioSyncStream, §1.7.2): a sync word of 11 bits and the length of what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    length: usize,
}

impl frames::FrameHeader for Header {
    const BYTES: usize = 3;

    fn read(head: &[u8]) -> Option<Self> {
        let [0x56, high @ 0xe0..=0xff, low, ..] = *head else { return None };
        let inside = usize::from(high & 0x1f) << 8 | usize::from(low);
        (inside > 0).then_some(Self { length: Self::BYTES + inside })
    }

    fn length(&self) -> usize {
        self.length
    }

    fn is_compatible(&self, _: &Self) -> bool {
        true
    }
}

/// The layout of a stream's frames (StreamMuxConfig, §1.7.3): one program with one layer, as in all real streams.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mux {
    /// The AudioSpecificConfig.
    config: Vec<u8>,
    /// The number of packets in a frame.
    packets: usize,
    /// The length of each packet in bytes, where it is fixed.
    fixed: Option<usize>,
}

/// Reads a LatmGetValue: the number of its bytes, then the bytes.
fn value(bits: &mut Bits<'_>) -> Option<usize> {
    let bytes = bits.take(2)? + 1;
    bits.take(8 * bytes)
}

impl Mux {
    fn read(bits: &mut Bits<'_>) -> Option<Self> {
        let version = bits.take(1)?;
        if version == 1 {
            // audioMuxVersionA, an undefined syntax.
            if bits.is_set()? {
                return None;
            }
            value(bits)?;
        }
        let is_same_time = bits.is_set()?;
        let packets = bits.take(6)? + 1;
        let (programs, layers) = (bits.take(4)?, bits.take(3)?);
        if !is_same_time || (programs, layers) != (0, 0) {
            return None;
        }
        let length = if version == 1 { value(bits)? } else { config_length(bits)? };
        let config = bits.copy(length)?;
        let fixed = match bits.take(3)? {
            0 => {
                bits.skip(8)?;
                None
            }
            1 => Some(bits.take(9)? + 20),
            _ => return None,
        };
        if bits.is_set()? {
            // Other data stands after the packets, and is skipped with the frame.
            if version == 1 {
                value(bits)?;
            } else {
                while bits.is_set()? {
                    bits.skip(8)?;
                }
                bits.skip(8)?;
            }
        }
        if bits.is_set()? {
            bits.skip(8)?;
        }
        Some(Self { config, packets, fixed })
    }
}

/// Returns the length in bits of the AudioSpecificConfig (§1.6.2.1) that starts here, for the object types that may be played.
fn config_length(bits: &Bits<'_>) -> Option<usize> {
    const SBR: usize = 5;
    const PS: usize = 29;
    let mut ahead = *bits;
    let rate = |bits: &mut Bits<'_>| if bits.take(4)? == 15 { bits.skip(24) } else { Some(()) };
    let first = ahead.object_type()?;
    rate(&mut ahead)?;
    let channels = ahead.take(4)?;
    let core = if matches!(first, SBR | PS) {
        rate(&mut ahead)?;
        ahead.object_type()?
    } else {
        first
    };
    // Main, LC, SSR and LTP (GASpecificConfig, §4.4.1), with a known channel configuration.
    if !(1..=4).contains(&core) || channels == 0 {
        return None;
    }
    ahead.skip(1)?;
    if ahead.is_set()? {
        ahead.skip(14)?;
    }
    ahead.skip(1)?;
    Some(bits.left() - ahead.left())
}

/// A stream of LOAS frames.
pub struct Latm {
    body: SharedBody,
    last: Option<Header>,
    mux: Option<Mux>,
    decoder: Option<Box<dyn AudioDecoder>>,
    packets: VecDeque<Vec<u8>>,
}

impl Latm {
    pub fn new(body: &SharedBody) -> Self {
        Self { body: body.clone(), last: None, mux: None, decoder: None, packets: VecDeque::new() }
    }

    /// Reads the payload of a frame (AudioMuxElement, §1.7.3). Returns `None` if it can't be played, or not yet.
    fn unpack(&mut self, frame: &[u8]) -> Option<()> {
        let mut bits = Bits::new(frame);
        if !bits.is_set()? {
            let mux = Mux::read(&mut bits)?;
            if self.mux.as_ref().is_none_or(|known| known.config != mux.config) {
                self.decoder = None;
            }
            self.mux = Some(mux);
        }
        let mux = self.mux.as_ref()?;
        for _ in 0..mux.packets {
            let length = match mux.fixed {
                Some(length) => length,
                None => {
                    let mut length = 0;
                    loop {
                        let more = bits.take(8)?;
                        length += more;
                        if more < 255 {
                            break length;
                        }
                    }
                }
            };
            self.packets.push_back(bits.copy(8 * length)?);
        }
        Some(())
    }
}

impl FileDecoder for Latm {
    fn next(&mut self, block: &mut Block) -> Result<Step> {
        if let (Some(packet), Some(decoder)) = (self.packets.pop_front(), &mut self.decoder) {
            return decode_packet(&mut **decoder, &packet, block, Step::Discarded(packet.len().max(1) as u64));
        }
        let shared = self.body.clone();
        let mut body = shared.get();
        let header = match frames::next(&mut body, self.last) {
            NextFrame::Frame(header) => header,
            NextFrame::Cut => {
                body.skip(u64::MAX);
                return Ok(end(&mut self.decoder, block));
            }
            NextFrame::Other => return Ok(end(&mut self.decoder, block)),
        };
        self.last = Some(header);
        let frame = body.peek(header.length)[<Header as frames::FrameHeader>::BYTES..].to_vec();
        body.consume(header.length);
        drop(body);
        self.packets.clear();
        let is_read = self.unpack(&frame).is_some();
        if !is_read {
            self.packets.clear();
            // In a stream that is joined in its middle, the first frames may carry no configuration.
            let is_known = self.mux.is_some();
            return Ok(Step::Discarded(if is_known { header.length as u64 } else { 0 }));
        }
        if let (None, Some(mux)) = (&self.decoder, &self.mux) {
            let mut parameters = AudioCodecParameters::new();
            parameters.for_codec(CODEC_ID_AAC).with_extra_data(mux.config.clone().into());
            self.decoder = Some(decoder(&parameters)?);
        }
        Ok(Step::Discarded(0))
    }

    fn continues(&self) -> bool {
        true
    }

    fn details(&mut self) -> FileDetails {
        let codec = self.decoder.as_ref().map_or("aac", |decoder| decoder.codec_info().short_name);
        FileDetails { codec, ..FileDetails::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::frames::FrameHeader as _;
    use super::*;

    /// Bits, written as letters.
    fn bytes(bits: &str) -> Vec<u8> {
        let bits: Vec<u8> = bits.bytes().filter(|bit| *bit != b' ').map(|bit| bit - b'0').collect();
        bits.chunks(8).map(|byte| byte.iter().enumerate().fold(0, |all, (at, bit)| all | bit << (7 - at))).collect()
    }

    fn mux(bits: &str) -> Option<Mux> {
        Mux::read(&mut Bits::new(&bytes(bits)))
    }

    #[test]
    fn headers_state_the_frame_length() {
        assert_eq!(Header::read(&[0x56, 0xe1, 0x02]), Some(Header { length: 261 }));
        for nothing in [[0x56, 0xc1, 0x02], [0x57, 0xe1, 0x02], [0x56, 0xe0, 0x00]] {
            assert_eq!(Header::read(&nothing), None);
        }
    }

    #[test]
    fn reads_both_versions_of_configurations() {
        // AAC-LC at 48 kHz in stereo, one packet of variable length; with other data and a checksum.
        let lc = "00010 0011 0010 000";
        let expected = |packets, fixed| Some(Mux { config: vec![0x11, 0x90], packets, fixed });
        assert_eq!(mux(&format!("0 1 000000 0000 000 {lc} 000 11111111 0 0")), expected(1, None));
        assert_eq!(
            mux(&format!("0 1 000001 0000 000 {lc} 001 000000101 1 1 00000000 0 00001000 1 11111111")),
            expected(2, Some(25))
        );
        assert_eq!(
            mux(&format!("1 0 00 11111111 1 000000 0000 000 00 00010000 {lc} 000 11111111 1 00 00001000 0")),
            expected(1, None)
        );
        // SBR on top of it, which states its rate once more.
        let sbr = mux("0 1 000000 0000 000 00101 0110 0010 0011 00010 000 000 11111111 0 0").unwrap();
        assert_eq!(sbr.config, [0x2b, 0x11, 0x88, 0x00]);
        for other in [
            "1 1 1",
            "0 0 000000 0000 000",
            "0 1 000000 0001 000",
            "0 1 000000 0000 001",
            &format!("0 1 000000 0000 000 {lc} 011"),
            "0 1 000000 0000 000 10111 0011 0010 000",
            "0 1 000000 0000 000 00010 0011 0000 000",
            &format!("0 1 000000 0000 000 {lc}"),
            "",
        ] {
            assert_eq!(mux(other), None, "{other}");
        }
    }
}
