//! Blocks of one length, one behind the other, each of which is decoded alone: PCM, A-law, µ-law and ADPCM in AU and CAF.

use symphonia::core::audio::layouts::CHANNEL_LAYOUT_MONO;
use symphonia::core::audio::{Channels, Position};
use symphonia::core::codecs::audio::{AudioCodecId, AudioCodecParameters, AudioDecoder};
use symphonia::core::packet::PacketRef;
use symphonia::core::units::{Duration, Timestamp};

use super::body::SharedBody;
use super::decode::{About, Block, Piece, Step, decode_into, decoder, unsupported};
use crate::error::Result;

/// More channels than any layout has: 64 are seventh-order ambisonics. A decoder takes memory for each.
pub const MAX_CHANNELS: u32 = 64;

/// How many samples a channel are decoded at a time, and the most that a block may have.
const AT_A_TIME: u32 = 512;

/// What blocks hold, and how long they are.
pub struct Layout {
    pub codec: AudioCodecId,
    pub rate: u32,
    pub channels: Channels,
    /// Of a block, in bytes.
    pub bytes: u32,
    /// Of a block, per channel: 1 of PCM.
    pub samples: u32,
}

/// The channels that are there if nothing says which: as many as there are of WAV's, in their order.
pub fn default_channels(count: u32) -> Result<Channels> {
    match count {
        1 => Ok(CHANNEL_LAYOUT_MONO),
        2..=MAX_CHANNELS => {
            Ok(Position::from_count(count).map_or(Channels::Discrete(count as u16), Channels::Positioned))
        }
        _ => Err(unsupported(format!("{count} channels"))),
    }
}

/// Blocks in a body.
pub struct Blocks {
    body: SharedBody,
    decoder: Box<dyn AudioDecoder>,
    block: usize,
    samples: u64,
    /// How many blocks are decoded at a time.
    together: usize,
    /// How many bytes are stated, if that is known, and how many of them are still to come; what is no whole block is passed over.
    stated: Option<u64>,
    left: u64,
    is_over: bool,
    packet: Vec<u8>,
}

impl Blocks {
    /// The blocks that begin here, of so many bytes in all, or to the end of the body.
    pub fn new(body: &SharedBody, layout: &Layout, stated: Option<u64>) -> Result<Self> {
        let Layout { codec, rate, channels, bytes, samples } = layout;
        let is_ordinary = (1..=AT_A_TIME).contains(samples) && (1..=AT_A_TIME * MAX_CHANNELS).contains(bytes);
        if !is_ordinary {
            return Err(unsupported(format!("blocks of {samples} samples in {bytes} bytes")));
        }
        let together = AT_A_TIME / samples;
        let mut parameters = AudioCodecParameters::new();
        parameters
            .for_codec(*codec)
            .with_sample_rate(*rate)
            .with_channels(channels.clone())
            .with_frames_per_block(u64::from(*samples))
            .with_max_frames_per_packet(u64::from(together * samples));
        Ok(Self {
            body: body.clone(),
            decoder: decoder(&parameters)?,
            block: *bytes as usize,
            samples: u64::from(*samples),
            together: together as usize,
            stated,
            left: stated.unwrap_or(u64::MAX),
            is_over: false,
            packet: Vec::new(),
        })
    }
}

impl Piece for Blocks {
    fn next(&mut self, block: &mut Block) -> Result<Step> {
        if self.is_over {
            return Ok(Step::End);
        }
        let mut body = self.body.get();
        body.peek(self.block);
        let there = (body.ahead().len() as u64).min(self.left) as usize / self.block;
        let blocks = there.min(self.together);
        if blocks == 0 {
            self.is_over = true;
            self.left -= body.skip(self.left);
            return Ok(Step::End);
        }
        let length = blocks * self.block;
        self.packet.clear();
        self.packet.extend_from_slice(&body.ahead()[..length]);
        body.consume(length);
        drop(body);
        self.left -= length as u64;
        let samples = Duration::new(blocks as u64 * self.samples);
        let packet = PacketRef::new(0, Timestamp::new(0), samples, &self.packet);
        decode_into(&mut *self.decoder, &packet, block, Step::LeftOut(length as u64))
    }

    fn skip(&mut self, to: u64) -> Option<u64> {
        let block = self.block as u64;
        let (came, all) = (self.stated? / block - self.left / block, self.stated? / block);
        let to = Some(to / self.samples).filter(|to| *to < all)?;
        let skipped = self.body.get().skip(to.checked_sub(came)? * block);
        self.left -= skipped;
        Some((came + skipped / block) * self.samples)
    }

    fn about(&mut self) -> About {
        let samples = self.stated.map(|bytes| bytes / self.block as u64 * self.samples);
        About { codec: self.decoder.codec_info().short_name, samples, ..About::default() }
    }

    fn missing(&self) -> Option<(u64, u64)> {
        let stated = self.stated.filter(|_| self.is_over && self.left > 0)?;
        Some((stated - self.left, stated))
    }
}
