//! Encodes blocks of 20 ms, and collects them to pieces.

use super::broadcast::Piece;
use super::mp3::Mp3;
use super::{Codec, EncodedFormat, WAV};
use crate::audio::{FRAME, Samples};
use crate::error::Result;
use crate::output::libopus::{LOOK_AHEAD, MAX_PACKET, Opus};

/// The complexity of Opus, as of rooms: higher is better and costs more.
const COMPLEXITY: i32 = 5;

/// The silent blocks behind the end of MP3: a decoder is 1,057 samples behind the encoder.
const MP3_TAIL: usize = 2;

enum Coding {
    Opus(Opus),
    Mp3(Box<Mp3>),
    Wav,
}

pub struct Encoder {
    coding: Coding,
    /// The samples of a block, of all channels.
    block: usize,
    channels: usize,
    /// The blocks in a piece, and those in this one so far.
    blocks: usize,
    done: usize,
    packets: Vec<Vec<u8>>,
}

impl Encoder {
    pub fn new(format: EncodedFormat) -> Result<Self> {
        let EncodedFormat { codec, channels, bitrate, piece, .. } = format;
        Ok(Self {
            coding: match codec {
                // Chromium's audio element reads 32 KiB at a time. A silence of 3 bytes a packet would take it a minute to read, and the
                // sound behind it would wait for that.
                Codec::Opus => {
                    Coding::Opus(Opus::new(channels, bitrate as i32, COMPLEXITY, false)?.with_constant_bitrate()?)
                }
                Codec::Mp3 => Coding::Mp3(Box::new(Mp3::new(channels, bitrate)?)),
                Codec::Wav => Coding::Wav,
            },
            block: FRAME * channels,
            channels,
            blocks: piece as usize / FRAME,
            done: 0,
            packets: Vec::new(),
        })
    }

    /// Encodes a block; an empty one is silence. Returns the piece that it completes.
    pub fn push(&mut self, block: &[f32]) -> Result<Option<Piece>> {
        if block.is_empty() {
            let silence = [0.0; 2 * FRAME];
            self.encode(&silence[..self.block])?;
        } else {
            self.encode(block)?;
        }
        self.done += 1;
        if self.done < self.blocks {
            return Ok(None);
        }
        self.done = 0;
        // MP3 of 20 ms may be none of its frames of 24.
        let packets = std::mem::take(&mut self.packets);
        Ok((!packets.is_empty()).then_some(Piece { packets, padding: 0 }))
    }

    fn encode(&mut self, block: &[f32]) -> Result<()> {
        match &mut self.coding {
            Coding::Opus(opus) => {
                let mut packet = [0; MAX_PACKET];
                let length = opus.encode(block, &mut packet)?;
                self.packets.push(packet[..length].to_vec());
            }
            Coding::Mp3(mp3) => mp3.encode(block, &mut self.packets)?,
            Coding::Wav => {
                let mut bytes = Vec::new();
                WAV.write(block, None, &mut bytes);
                self.packets.push(bytes);
            }
        }
        Ok(())
    }

    /// Encodes the last samples, less than a block, and what the codec still holds. Returns the last piece.
    pub fn finish(&mut self, rest: &[f32]) -> Result<Piece> {
        if matches!(self.coding, Coding::Wav) {
            self.encode(rest)?;
            return Ok(Piece { packets: std::mem::take(&mut self.packets), padding: 0 });
        }
        let mut padding = 0;
        if !rest.is_empty() {
            let mut block = rest.to_vec();
            block.resize(self.block, 0.0);
            self.encode(&block)?;
            padding = (self.block - rest.len()) / self.channels;
        }
        let tail = if matches!(self.coding, Coding::Opus(_)) { 1 } else { MP3_TAIL };
        for _ in 0..tail {
            self.encode(&[0.0; 2 * FRAME][..self.block])?;
        }
        let padding = (padding + FRAME) as Samples - LOOK_AHEAD;
        Ok(Piece { packets: std::mem::take(&mut self.packets), padding })
    }
}
