//! What of a track's samples is heard: an encoder's delay and its padding are not.

use super::decode::Block;

/// Cuts the samples of a track, block by block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trim {
    /// Samples per channel that are still to be skipped.
    skip: u64,
    /// How many are heard behind them; `u64::MAX` if all.
    left: u64,
}

impl Trim {
    /// Skips so many samples per channel, and ends after so many more, if that is known.
    pub fn new(skip: u64, length: Option<u64>) -> Self {
        Self { skip, left: length.unwrap_or(u64::MAX) }
    }

    /// How many of so many samples per channel are heard.
    pub fn heard(&self, samples: u64) -> u64 {
        samples.saturating_sub(self.skip).min(self.left)
    }

    /// Cuts the next block.
    pub fn cut(&mut self, block: &mut Block) {
        let channels = block.spec.channels().count().max(1);
        let samples = block.samples.len() / channels;
        let skip = usize::try_from(self.skip).unwrap_or(usize::MAX).min(samples);
        let heard = usize::try_from(self.left).unwrap_or(usize::MAX).min(samples - skip);
        self.skip -= skip as u64;
        if self.left < u64::MAX {
            self.left -= heard as u64;
        }
        block.samples.truncate((skip + heard) * channels);
        block.samples.drain(..skip * channels);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use symphonia::core::audio::AudioSpec;
    use symphonia::core::audio::layouts::CHANNEL_LAYOUT_STEREO;

    #[test]
    fn both_ends_are_cut_wherever_blocks_end() {
        for at_a_time in [1, 3, 10] {
            let mut trim = Trim::new(4, Some(5));
            let heard = (0..12).collect::<Vec<_>>().chunks(at_a_time).fold(Vec::new(), |mut heard, frames| {
                let samples = frames.iter().flat_map(|frame| [*frame as f32, -*frame as f32]).collect();
                let mut block = Block { spec: AudioSpec::new(48_000, CHANNEL_LAYOUT_STEREO), samples };
                trim.cut(&mut block);
                heard.extend(block.samples.chunks(2).map(|pair| pair[0]));
                heard
            });
            assert_eq!(heard, [4.0, 5.0, 6.0, 7.0, 8.0]);
        }
    }
}
