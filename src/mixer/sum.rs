//! The buffer that voices are summed in. The first one is written rather than added, so it need not be cleared before.

/// The number of samples whose gains are computed at once.
const GAINS: usize = 64;

/// A sum of interleaved samples, which is silence until something is added.
pub struct Sum<'a> {
    samples: &'a mut [f32],
    channels: usize,
    is_empty: bool,
    /// A whole frame of a clip may stay in the clip: it is the only sound, and nothing changes it.
    pub may_lend: bool,
}

impl<'a> Sum<'a> {
    /// Makes an empty sum; the old values in `samples` are ignored.
    pub fn new(samples: &'a mut [f32], channels: usize) -> Self {
        Self { samples, channels, is_empty: true, may_lend: false }
    }

    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Returns the samples per channel.
    pub fn frames(&self) -> usize {
        self.samples.len() / self.channels
    }

    /// Returns true if nothing was added.
    pub fn is_empty(&self) -> bool {
        self.is_empty
    }

    /// Returns the sum.
    pub fn samples(&mut self) -> &mut [f32] {
        if std::mem::take(&mut self.is_empty) {
            self.samples.fill(0.0);
        }
        self.samples
    }

    /// Adds two slices, one behind the other, with one gain.
    pub fn add(&mut self, first: &[f32], second: &[f32], gain: f32) {
        let (head, rest) = self.samples.split_at_mut(first.len());
        let (tail, silence) = rest.split_at_mut(second.len());
        if std::mem::take(&mut self.is_empty) {
            // As if it were added to silence: -0.0 becomes 0.0.
            let write = |(sum, sample): (&mut f32, &f32)| *sum = 0.0 + sample * gain;
            head.iter_mut().zip(first).for_each(write);
            tail.iter_mut().zip(second).for_each(write);
            silence.fill(0.0);
        } else {
            let add = |(sum, sample): (&mut f32, &f32)| *sum += sample * gain;
            head.iter_mut().zip(first).for_each(add);
            tail.iter_mut().zip(second).for_each(add);
        }
    }

    /// Adds two slices, one behind the other, with a gain for each sample: `gains` fills in those from an index on.
    pub fn add_behind(&mut self, first: &[f32], second: &[f32], gains: impl Fn(usize, &mut [f32])) {
        let (length, channels) = (first.len() + second.len(), self.channels);
        let mut samples = first.iter().chain(second);
        for (index, part) in self.samples()[..length].chunks_mut(GAINS * channels).enumerate() {
            let mut all = [0.0; GAINS];
            let of_part = &mut all[..part.len() / channels];
            gains(index * GAINS, of_part);
            for (frame, gain) in part.chunks_exact_mut(channels).zip(of_part) {
                frame.iter_mut().zip(&mut samples).for_each(|(sum, sample)| *sum += sample * *gain);
            }
        }
    }

    /// Adds another sum, and leaves that empty.
    pub fn join(&mut self, other: &mut Self) {
        if !std::mem::replace(&mut other.is_empty, true) {
            self.samples().iter_mut().zip(&*other.samples).for_each(|(sum, sample)| *sum += sample);
        }
    }
}
