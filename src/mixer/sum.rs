//! The buffer that voices are summed in. The first one is written rather than added, so it need not be cleared before.

/// The number of samples whose gains are computed at once.
pub const GAINS: usize = 64;

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

    /// Adds two slices of whole frames, one behind the other, with a gain for each frame: `gains` fills in those from an index on.
    pub fn add_behind(&mut self, first: &[f32], second: &[f32], gains: impl Fn(usize, &mut [f32])) {
        let (length, channels) = (first.len() + second.len(), self.channels);
        let (head, tail) = self.samples()[..length].split_at_mut(first.len());
        for (sum, samples, passed) in [(head, first, 0), (tail, second, first.len() / channels)] {
            let parts = sum.chunks_mut(GAINS * channels).zip(samples.chunks(GAINS * channels));
            for (index, (sum, samples)) in parts.enumerate() {
                let mut all = [0.0; GAINS];
                let gains_of_part = &mut all[..samples.len() / channels];
                gains(passed + index * GAINS, gains_of_part);
                if channels == 1 {
                    let frames = sum.iter_mut().zip(samples).zip(gains_of_part);
                    frames.for_each(|((sum, sample), gain)| *sum += sample * *gain);
                    continue;
                }
                let frames = sum.chunks_exact_mut(channels).zip(samples.chunks_exact(channels)).zip(gains_of_part);
                for ((sum, samples), gain) in frames {
                    sum.iter_mut().zip(samples).for_each(|(sum, sample)| *sum += sample * *gain);
                }
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
