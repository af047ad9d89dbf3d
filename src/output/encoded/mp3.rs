//! MP3 at a constant bitrate without a bit reservoir, so that each frame can be decoded without those before it, which a listener that arrives did
//! not get. Only this file uses the crate rusty_mp3.

use rusty_mp3::encode::Mp3Encode;
use rusty_mp3::encoder_header;
use rusty_mp3::header::FrameHeader;

use crate::audio::SAMPLE_RATE;
use crate::error::Result;
use crate::output::failed;

/// The samples of a frame, of each channel.
const FRAME: usize = 1_152;

pub struct Mp3 {
    encoder: Mp3Encode,
    header: FrameHeader,
    /// The samples that wait for a whole frame, by channel.
    waiting: Vec<Vec<f32>>,
}

impl Mp3 {
    /// Creates an encoder for 1 or 2 channels, at the bitrate of MP3 that is nearest to this one.
    pub fn new(channels: usize, bitrate: u32) -> Result<Self> {
        let header = encoder_header(SAMPLE_RATE, channels as u16, bitrate / 1_000);
        let header = header.map_err(|error| failed("the MP3 encoder can't be made", error))?;
        Ok(Self { encoder: Mp3Encode::new(), header, waiting: vec![Vec::with_capacity(2 * FRAME); channels] })
    }

    /// Encodes interleaved samples, and appends each frame that they complete.
    pub fn encode(&mut self, samples: &[f32], frames: &mut Vec<Vec<u8>>) -> Result<()> {
        let channels = self.waiting.len();
        for (channel, waiting) in self.waiting.iter_mut().enumerate() {
            waiting.extend(samples.iter().skip(channel).step_by(channels));
        }
        while self.waiting[0].len() >= FRAME {
            let block: Vec<&[f32]> = self.waiting.iter().map(|waiting| &waiting[..FRAME]).collect();
            let frame = self.encoder.encode_frame(&self.header, &block, None);
            frames.push(frame.map_err(|error| failed("a frame of MP3 can't be encoded", error))?);
            self.waiting.iter_mut().for_each(|waiting| drop(waiting.drain(..FRAME)));
        }
        Ok(())
    }
}
