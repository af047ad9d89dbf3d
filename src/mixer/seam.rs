//! A voice that follows another without a gap: what the filters of both resamplers ring beyond their source's own ends is added to
//! the other one, as if one filter had gone over both.

use crate::audio::Samples;

/// What is added to a voice's samples at its ends, interleaved.
#[derive(Default)]
pub struct Seam {
    /// From its first sample on.
    head: Vec<f32>,
    /// From this position on.
    tail: Option<(Samples, Vec<f32>)>,
    /// The samples with what is added to them.
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

    /// The samples in `first` and `second`, which begin at position `here`, with what is to be added; `None` if nothing is.
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
