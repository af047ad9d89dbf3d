//! A section of a clip, read as a decode task would deliver it: sample for sample the same.

use std::sync::Arc;

use super::clip::Clip;
use super::section::{Rings, Section};
use crate::audio::{EDGE_FADE, Samples};

/// The length of an endless loop: three million years, to which any time can be added without overflow.
const ENDLESS: Samples = Samples::MAX / 4;

/// The reading position of a playback in its clip.
pub struct ClipCursor {
    clip: Arc<Clip>,
    /// The channels of the session; the clip may be mono nevertheless.
    channels: usize,
    section: Section,
    /// The samples that are not the clip's own: the seams of a loop, a fade-out, mono widened to stereo.
    made: Vec<f32>,
}

/// One pass over the section.
struct Pass {
    /// Its start in the clip.
    from: Samples,
    length: Samples,
    is_first: bool,
    is_last: bool,
    /// The position of the next sample within the pass.
    into: Samples,
}

impl ClipCursor {
    pub fn new(clip: Arc<Clip>, channels: usize, section: Section) -> Self {
        Self { clip, channels, section, made: Vec::new() }
    }

    pub fn clip(&self) -> &Arc<Clip> {
        &self.clip
    }

    /// Returns the end of a pass, as a position in the clip.
    pub fn end(&self) -> Samples {
        self.section.end.min(self.clip.length())
    }

    /// Returns true if a second pass has nothing to play.
    pub fn is_empty_loop(&self) -> bool {
        self.section.passes > 1 && self.end() <= self.section.start
    }

    /// Returns the samples per channel of all passes, at most [`ENDLESS`].
    pub fn total(&self) -> Samples {
        let Section { from, start, passes, .. } = self.section;
        let [first, other] = [from, start].map(|from| self.end().saturating_sub(from));
        first.saturating_add(other.saturating_mul(passes - 1)).min(ENDLESS)
    }

    /// Returns the ringing before the first sample, if that is the clip's own first; as
    /// [`PcmReader::pre_ring`](super::PcmReader::pre_ring).
    pub fn pre_ring(&self) -> Option<Vec<f32>> {
        let is_own = self.section.from == 0 && self.end() > 0;
        is_own.then(|| self.wide(&self.clip.rings().pre))
    }

    /// Returns the ringing after the last sample, if that is the clip's own last.
    pub fn post_ring(&self) -> Option<Vec<f32>> {
        let is_own = !self.is_cut() && self.section.fade_out == 0 && !self.is_empty_loop();
        is_own.then(|| self.wide(&self.clip.rings().post))
    }

    /// Returns how many consecutive samples after the first `taken` are the clip's own, unchanged. `Samples::MAX` if they run to the end of
    /// both clip and reader: silence follows in both.
    pub fn unaltered(&self, taken: Samples) -> Samples {
        let Some(pass) = self.pass(taken) else { return 0 };
        let Pass { length, into, .. } = pass;
        let (head, tail) = self.altered_edges(&pass);
        if into < head {
            return 0;
        }
        let is_silent_behind = tail == 0 && pass.is_last && !self.is_cut();
        if is_silent_behind { Samples::MAX } else { (length - tail).saturating_sub(into) }
    }

    /// Returns `frames` samples per channel after the first `taken`, interleaved; no more than there are.
    pub fn read(&mut self, taken: Samples, frames: usize) -> &[f32] {
        if self.clip.channels() == self.channels && self.unaltered(taken) >= frames as Samples {
            let at = self.pass(taken).map_or(0, |pass| pass.from + pass.into) as usize;
            return &self.clip.samples()[at * self.channels..][..frames * self.channels];
        }
        let mut made = std::mem::take(&mut self.made);
        made.clear();
        while made.len() < frames * self.channels {
            let done = made.len() / self.channels;
            let Some(pass) = self.pass(taken + done as Samples) else { break };
            let length = (pass.length - pass.into).min((frames - done) as Samples);
            self.make(&pass, length as usize, &mut made);
        }
        self.made = made;
        &self.made
    }

    /// Appends the next `frames` samples of a pass, with the changes that a decode task makes at its ends, in the same order.
    fn make(&self, pass: &Pass, frames: usize, made: &mut Vec<f32>) {
        let channels = self.channels;
        let first = made.len();
        let at = (pass.from + pass.into) as usize * self.clip.channels();
        self.widen(&self.clip.samples()[at..][..frames * self.clip.channels()], made);
        let pcm = &mut made[first..];
        let fall = self.fall(pass) as usize;
        let (pre, post) = self.seam(pass);
        let [pre_length, post_length] = [pre, post].map(|ring| ring.len() / self.clip.channels());
        for (index, frame) in pcm.chunks_exact_mut(channels).enumerate() {
            let into = pass.into as usize + index;
            // The number of samples to the end, this one included.
            let rest = pass.length as usize - into;
            if rest <= fall {
                let level = rest as f32 / fall as f32;
                frame.iter_mut().for_each(|sample| *sample *= level);
            }
            if rest <= pre_length {
                self.add(frame, pre, pre_length - rest);
            }
            if into < post_length {
                self.add(frame, post, into);
            }
        }
    }

    /// Adds the ringing at position `at` to a frame.
    fn add(&self, frame: &mut [f32], ring: &[f32], at: usize) {
        let ring = &ring[at * self.clip.channels()..][..self.clip.channels()];
        frame.iter_mut().zip(ring.iter().cycle()).for_each(|(sample, ring)| *sample += ring);
    }

    /// Returns the ringing of the neighbouring passes into the end of this one, and into its start.
    fn seam(&self, pass: &Pass) -> (&[f32], &[f32]) {
        let Rings { pre, post } = self.clip.rings();
        let into_end = if self.is_joined() && !pass.is_last { pre.as_slice() } else { &[] };
        let into_start = if self.is_joined() && !pass.is_first { post.as_slice() } else { &[] };
        (into_end, into_start)
    }

    /// Returns how many samples at the start and at the end of a pass differ from the clip's own.
    fn altered_edges(&self, pass: &Pass) -> (Samples, Samples) {
        let (pre, post) = self.seam(pass);
        let [pre, post] = [pre, post].map(|ring| (ring.len() / self.clip.channels()) as Samples);
        (post.min(pass.length), pre.max(self.fall(pass)).min(pass.length))
    }

    /// Returns the length of the fade-out at the end of a pass.
    fn fall(&self, pass: &Pass) -> Samples {
        let edge = if self.is_cut() { EDGE_FADE as Samples } else { 0 };
        let fall = if pass.is_last { self.section.fade_out.max(edge) } else { 0 };
        fall.min(pass.length)
    }

    /// Returns true if the clip continues after the section.
    fn is_cut(&self) -> bool {
        self.section.end < self.clip.length()
    }

    /// Returns true if passes join the clip's own end to its own start.
    fn is_joined(&self) -> bool {
        self.section.start == 0 && !self.is_cut()
    }

    /// Returns the pass with the sample after the first `taken`, if there is one.
    fn pass(&self, taken: Samples) -> Option<Pass> {
        let Section { from, start, passes, .. } = self.section;
        let [first, other] = [from, start].map(|from| self.end().saturating_sub(from));
        if taken < first {
            return Some(Pass { from, length: first, is_first: true, is_last: passes == 1, into: taken });
        }
        let number = 1 + (taken - first).checked_div(other)?;
        let into = (taken - first) % other;
        (number < passes).then_some(Pass {
            from: start,
            length: other,
            is_first: false,
            is_last: number == passes - 1,
            into,
        })
    }

    /// Widens `ring` to the session's channels.
    fn wide(&self, ring: &[f32]) -> Vec<f32> {
        let mut wide = Vec::new();
        self.widen(ring, &mut wide);
        wide
    }

    fn widen(&self, samples: &[f32], wide: &mut Vec<f32>) {
        if self.clip.channels() == self.channels {
            wide.extend_from_slice(samples)
        } else {
            wide.extend(samples.iter().flat_map(|sample| [*sample; 2]))
        }
    }
}
