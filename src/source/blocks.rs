//! Blocks of one fixed length, each of which is decoded alone: PCM, A-law, µ-law and ADPCM in AU and CAF.

use symphonia::core::audio::layouts::CHANNEL_LAYOUT_MONO;
use symphonia::core::audio::{Channels, Position};
use symphonia::core::codecs::audio::{AudioCodecId, AudioCodecParameters, AudioDecoder};
use symphonia::core::packet::PacketRef;
use symphonia::core::units::{Duration, Timestamp};

use super::body::SharedBody;
use super::decode::{Block, FileDecoder, FileDetails, Step, decode_into, decoder, unsupported};
use crate::error::Result;

/// More channels than any layout has: 64 are seventh-order ambisonics. Decoders allocate memory for each.
pub const MAX_CHANNELS: u32 = 64;

/// The number of samples per channel that are decoded at a time, and the most that a block may have.
const AT_A_TIME: u32 = 512;

/// The content and size of blocks.
pub struct BlockLayout {
    pub codec: AudioCodecId,
    pub rate: u32,
    pub channels: Channels,
    /// The size of a block in bytes.
    pub bytes: u32,
    /// The samples per channel of a block: 1 for PCM.
    pub samples: u32,
}

/// Returns the channels of a file that does not name them: the first ones of WAV's, in WAV's order.
pub fn default_channels(count: u32) -> Result<Channels> {
    match count {
        1 => Ok(CHANNEL_LAYOUT_MONO),
        2..=MAX_CHANNELS => {
            Ok(Position::from_count(count).map_or(Channels::Discrete(count as u16), Channels::Positioned))
        }
        _ => Err(unsupported(format!("{count} channels"))),
    }
}

/// The blocks in a body.
pub struct Blocks {
    body: SharedBody,
    decoder: Box<dyn AudioDecoder>,
    block: usize,
    samples: u64,
    /// The number of blocks decoded at a time.
    together: usize,
    /// The stated number of bytes, if it is known, and how many of them are still to come; an incomplete block at the end is skipped.
    stated: Option<u64>,
    left: u64,
    is_over: bool,
    packet: Vec<u8>,
}

impl Blocks {
    /// Opens the blocks that start here: `stated` bytes in all, or to the end of the body.
    pub fn new(body: &SharedBody, layout: &BlockLayout, stated: Option<u64>) -> Result<Self> {
        let BlockLayout { codec, rate, channels, bytes, samples } = layout;
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

impl FileDecoder for Blocks {
    fn next(&mut self, block: &mut Block) -> Result<Step> {
        if self.is_over {
            return Ok(Step::End);
        }
        let mut body = self.body.get();
        body.peek(self.block);
        let there = (body.buffered().len() as u64).min(self.left) as usize / self.block;
        let blocks = there.min(self.together);
        if blocks == 0 {
            self.is_over = true;
            self.left -= body.skip(self.left);
            return Ok(Step::End);
        }
        let length = blocks * self.block;
        self.packet.clear();
        self.packet.extend_from_slice(&body.buffered()[..length]);
        body.consume(length);
        drop(body);
        self.left -= length as u64;
        let samples = Duration::new(blocks as u64 * self.samples);
        let packet = PacketRef::new(0, Timestamp::new(0), samples, &self.packet);
        decode_into(&mut *self.decoder, &packet, block, Step::Discarded(length as u64))
    }

    fn skip(&mut self, to: u64) -> Option<u64> {
        let block = self.block as u64;
        let (received, all) = (self.stated? / block - self.left / block, self.stated? / block);
        let to = Some(to / self.samples).filter(|to| *to < all)?;
        let skipped = self.body.get().skip(to.checked_sub(received)? * block);
        self.left -= skipped;
        Some((received + skipped / block) * self.samples)
    }

    fn details(&mut self) -> FileDetails {
        let samples = self.stated.map(|bytes| bytes / self.block as u64 * self.samples);
        FileDetails { codec: self.decoder.codec_info().short_name, samples, ..FileDetails::default() }
    }

    fn missing(&self) -> Option<(u64, u64)> {
        let stated = self.stated.filter(|_| self.is_over && self.left > 0)?;
        Some((stated - self.left, stated))
    }
}
