//! Cuts an encoder's delay and padding from a track's samples.

use super::decode::Block;

/// Cuts the samples of a track, block by block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trim {
    /// The first audible sample per channel among all that are decoded, and the one behind the last.
    from: u64,
    end: u64,
    /// The next sample.
    at: u64,
}

impl Trim {
    /// Makes a trim that skips `skip` samples per channel, and ends after `length` more, if that is known.
    pub fn new(skip: u64, length: Option<u64>) -> Self {
        let end = length.map_or(u64::MAX, |length| skip.saturating_add(length));
        Self { from: skip, end, at: 0 }
    }

    /// Returns the same at twice the rate.
    pub fn doubled(self) -> Self {
        let [from, end, at] = [self.from, self.end, self.at].map(|position| position.saturating_mul(2));
        Self { from, end, at }
    }

    /// Returns how many of this many decoded samples per channel are audible.
    pub fn audible(&self, samples: u64) -> u64 {
        samples.min(self.end).saturating_sub(self.from)
    }

    /// Returns the number, among all that are decoded, of an audible sample.
    pub fn decoded(&self, audible: u64) -> u64 {
        self.from.saturating_add(audible)
    }

    /// Goes on with a sample, by its number among all that are decoded.
    pub fn skip_to(&mut self, decoded: u64) {
        self.at = decoded;
    }

    /// Cuts the next block.
    pub fn cut(&mut self, block: &mut Block) {
        let channels = block.spec.channels().count().max(1);
        let samples = block.samples.len() / channels;
        let within =
            |position: u64| usize::try_from(position.saturating_sub(self.at)).unwrap_or(usize::MAX).min(samples);
        let (from, end) = (within(self.from), within(self.end));
        self.at = self.at.saturating_add(samples as u64);
        block.samples.truncate(end * channels);
        block.samples.drain(..from.min(end) * channels);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use symphonia::core::audio::AudioSpec;
    use symphonia::core::audio::layouts::CHANNEL_LAYOUT_STEREO;

    #[test]
    fn cuts_both_ends_across_blocks() {
        for at_a_time in [1, 3, 10] {
            let mut trim = Trim::new(4, Some(5));
            let audible = (0..12).collect::<Vec<_>>().chunks(at_a_time).fold(Vec::new(), |mut audible, frames| {
                let samples = frames.iter().flat_map(|frame| [*frame as f32, -*frame as f32]).collect();
                let mut block = Block { spec: AudioSpec::new(48_000, CHANNEL_LAYOUT_STEREO), samples };
                trim.cut(&mut block);
                audible.extend(block.samples.chunks(2).map(|pair| pair[0]));
                audible
            });
            assert_eq!(audible, [4.0, 5.0, 6.0, 7.0, 8.0]);
        }
    }
}
