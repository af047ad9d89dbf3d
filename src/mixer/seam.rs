//! The seam between two voices that follow each other without a gap: the ringing of each resampler's filter beyond the end of its source
//! is added to the other voice, as if one filter had gone over both.

use crate::audio::Samples;

/// The ringing that is added to a voice's samples at its ends, interleaved.
#[derive(Default)]
pub struct Seam {
    /// Added from its first sample on.
    head: Vec<f32>,
    /// Added from this position on.
    tail: Option<(Samples, Vec<f32>)>,
    /// The samples with the ringing added.
    sum: Vec<f32>,
}

impl Seam {
    /// Adds the ringing behind the end of the voice before it.
    pub fn follow(&mut self, ringing: Vec<f32>) {
        self.head = ringing;
    }

    /// Adds the ringing before the start of the voice that follows; `from` is its first position.
    pub fn lead_to(&mut self, from: Samples, ringing: Vec<f32>) {
        self.tail = Some((from, ringing));
    }

    /// Returns the samples of `first` and `second`, which begin at position `here`, with the ringing added; `None` if there is none.
    pub fn add(&mut self, here: Samples, channels: usize, first: &[f32], second: &[f32]) -> Option<&[f32]> {
        let length = first.len() + second.len();
        let end = here + (length / channels) as Samples;
        let head = (here as usize) * channels < self.head.len();
        let reaches =
            |(from, ringing): &(Samples, Vec<f32>)| here < from + (ringing.len() / channels) as Samples && *from < end;
        let tail = self.tail.as_ref().filter(|tail| reaches(tail));
        if !head && tail.is_none() {
            return None;
        }
        self.sum.clear();
        self.sum.extend_from_slice(first);
        self.sum.extend_from_slice(second);
        if head {
            let ringing = &self.head[here as usize * channels..];
            self.sum.iter_mut().zip(ringing).for_each(|(sample, ring)| *sample += ring);
        }
        if let Some((from, ringing)) = tail {
            let into = here.saturating_sub(*from) as usize * channels;
            let behind = from.saturating_sub(here) as usize * channels;
            self.sum[behind..].iter_mut().zip(&ringing[into..]).for_each(|(sample, ring)| *sample += ring);
        }
        Some(&self.sum)
    }
}
