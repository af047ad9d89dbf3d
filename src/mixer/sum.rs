//! What voices are summed in. The first that comes is written, so nothing has to be emptied before.

/// Of how many samples the gains are known at once.
const GAINS: usize = 64;

/// A sum of samples, interleaved, which is silence as long as nothing comes.
pub struct Sum<'a> {
    samples: &'a mut [f32],
    channels: usize,
    is_empty: bool,
    /// A whole frame of a clip may stay where it lies: nothing else comes, and nothing is done to it.
    pub may_lend: bool,
}

impl<'a> Sum<'a> {
    /// Whatever is in `samples`, it counts for nothing.
    pub fn new(samples: &'a mut [f32], channels: usize) -> Self {
        Self { samples, channels, is_empty: true, may_lend: false }
    }

    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Samples per channel.
    pub fn frames(&self) -> usize {
        self.samples.len() / self.channels
    }

    /// Returns true if nothing was added.
    pub fn is_empty(&self) -> bool {
        self.is_empty
    }

    /// What it is.
    pub fn samples(&mut self) -> &mut [f32] {
        if std::mem::take(&mut self.is_empty) {
            self.samples.fill(0.0);
        }
        self.samples
    }

    /// Adds what is in two pieces, one behind the other, behind one gain.
    pub fn add(&mut self, first: &[f32], second: &[f32], gain: f32) {
        let (head, rest) = self.samples.split_at_mut(first.len());
        let (tail, silence) = rest.split_at_mut(second.len());
        if std::mem::take(&mut self.is_empty) {
            // As if it were added to silence, which has no sign.
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

    /// The same behind gains that `gains` says of the samples from a place on.
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

    /// Adds another, which is empty then.
    pub fn join(&mut self, other: &mut Self) {
        if !std::mem::replace(&mut other.is_empty, true) {
            self.samples().iter_mut().zip(&*other.samples).for_each(|(sum, sample)| *sum += sample);
        }
    }
}
