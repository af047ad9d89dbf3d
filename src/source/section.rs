//! The part of a source that is played, how often, and its end: cut after the resampler, so exact to the sample for every format.

use crate::audio::{EDGE_FADE, RING, Samples};

/// A part of a source. Samples are counted at the session's rate, from the source's first one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Section {
    /// The start of the first pass; differs from the others after a seek.
    pub from: Samples,
    /// The start of the other passes.
    pub start: Samples,
    /// The end of a pass, unless the source ends before.
    pub end: Samples,
    /// The number of passes, this first one included.
    pub passes: u64,
    /// The length of the fade-out at the end of the last pass.
    pub fade_out: Samples,
}

impl Default for Section {
    /// Returns the whole source, once.
    fn default() -> Self {
        Self { from: 0, start: 0, end: Samples::MAX, passes: 1, fade_out: 0 }
    }
}

impl Section {
    /// Returns the section that is left after a seek to `position`, with `played` samples played before.
    pub fn sought(self, position: Samples, played: Samples, end: Option<Samples>) -> Self {
        let (done, _) = self.progress(played, end);
        Self { from: position, passes: self.passes.saturating_sub(done).max(1), ..self }
    }

    /// Returns the position in the source after `played` samples of it; `end` is where its passes turned out to end.
    pub fn position(&self, played: Samples, end: Option<Samples>) -> Samples {
        self.progress(played, end).1
    }

    /// Returns the number of finished passes, and the position in the current one.
    fn progress(&self, played: Samples, end: Option<Samples>) -> (u64, Samples) {
        let end = end.unwrap_or(Samples::MAX);
        let first = end.saturating_sub(self.from);
        if played < first {
            return (0, self.from + played);
        }
        let length = end.saturating_sub(self.start).max(1);
        let done = 1 + (played - first) / length;
        if done < self.passes { (done, self.start + (played - first) % length) } else { (done, end) }
    }
}

/// Cuts one pass out of a decoder's output.
pub struct Pass {
    from: Samples,
    end: Samples,
    channels: usize,
    /// The position of the next sample.
    at: Samples,
    /// True if the source goes on behind the end.
    is_cut: bool,
    fade_out: usize,
    /// The samples held back because they may turn out to be the end: at most `hold` per channel.
    held: Vec<f32>,
    hold: usize,
    /// True if another pass follows at the source's own end, from its start.
    is_joined: bool,
    /// All of its samples, if it is short and will be played again.
    kept: Option<Vec<f32>>,
}

/// The ringing of a resampler's filter beyond both ends of a source (`Resampler`): interleaved, empty where nothing is resampled.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rings {
    /// The ringing before its first sample.
    pub pre: Vec<f32>,
    /// The ringing behind its last sample.
    pub post: Vec<f32>,
}

/// A finished pass.
pub struct FinishedPass {
    /// The position of its end.
    pub end: Samples,
    is_cut: bool,
    kept: Option<Vec<f32>>,
    /// The ringing of the filter, if the source's own end was reached.
    rings: Option<Rings>,
}

impl Pass {
    pub fn new(section: &Section, from: Samples, is_last: bool, channels: usize) -> Self {
        let edge = if section.end == Samples::MAX { 0 } else { EDGE_FADE };
        let fade_out = if is_last { section.fade_out as usize } else { 0 };
        let hold = if is_last { fade_out.max(edge) } else { 0 };
        let kept = (!is_last && from == section.start).then(Vec::new);
        let is_joined = !is_last && section.start == 0;
        let held = Vec::new();
        Self { from, end: section.end, channels, at: 0, is_cut: false, fade_out, held, hold, is_joined, kept }
    }

    /// Sets the length of the filter's ringing, `ring` samples. Where another pass follows, that pass's pre-ring is added to the end of
    /// this one, so as many samples are held back.
    pub fn expect_ring(&mut self, ring: usize) {
        if self.is_joined {
            self.hold = self.hold.max(ring);
        }
    }

    /// Takes the next samples, and leaves in `pcm` those to pass on. Returns false once no more are needed.
    pub fn cut(&mut self, pcm: &mut Vec<f32>) -> bool {
        let length = (pcm.len() / self.channels) as Samples;
        let wanted = (self.end - self.at).min(length);
        let skipped = self.from.saturating_sub(self.at).min(wanted);
        pcm.truncate(wanted as usize * self.channels);
        pcm.drain(..skipped as usize * self.channels);
        self.at += wanted;
        self.is_cut = wanted < length;
        self.kept = self.kept.take().filter(|kept| kept.len() + pcm.len() <= RING * self.channels);
        if let Some(kept) = &mut self.kept {
            kept.extend_from_slice(pcm);
        }
        if self.hold > 0 {
            self.held.append(pcm);
            let free = self.held.len().saturating_sub(self.hold * self.channels);
            pcm.extend(self.held.drain(..free));
        }
        !self.is_cut
    }

    /// Returns the position where it begins.
    pub fn from(&self) -> Samples {
        self.from
    }

    /// Goes on with the sample at another position; none before it is needed.
    pub fn skip_to(&mut self, position: Samples) {
        self.at = position;
    }

    /// Moves the current position back by this many samples: the decoder turned out to be nearer to the start.
    pub fn move_back(&mut self, samples: Samples) {
        self.at = self.at.saturating_sub(samples);
    }

    /// Returns true if it ended by a cut, and not at the source's own end.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Emits the samples held back, faded out where that is asked for or the cut needs it. `rings` are those of the source, if its own end
    /// was reached.
    pub fn finish(self, pcm: &mut Vec<f32>, rings: Option<Rings>) -> FinishedPass {
        let Self { at: end, is_cut, is_joined, channels, held, kept, .. } = self;
        let fall = match (is_joined, is_cut) {
            (true, _) => 0,
            (false, true) => self.hold,
            (false, false) => self.fade_out,
        };
        let length = fall.min(held.len() / channels);
        let steady = held.len() - length * channels;
        pcm.extend_from_slice(&held[..steady]);
        for (index, frame) in held[steady..].chunks_exact(channels).enumerate() {
            let level = (length - index) as f32 / length as f32;
            pcm.extend(frame.iter().map(|sample| sample * level));
        }
        if let Some(Rings { pre, .. }) = rings.as_ref().filter(|_| is_joined) {
            // A pass shorter than the ring gets as much as fits.
            let both = pcm.iter_mut().rev().zip(pre.iter().rev());
            both.for_each(|(sample, ring)| *sample += ring);
        }
        FinishedPass { end, is_cut, kept, rings }
    }
}

impl FinishedPass {
    /// Returns true if it can be played again from memory.
    pub fn is_repeatable(&self) -> bool {
        self.kept.is_some()
    }

    /// Returns the ringing of the filter behind its end, if that is the source's own.
    pub fn post_ring(&self) -> Option<&[f32]> {
        self.rings.as_ref().map(|rings| rings.post.as_slice())
    }

    /// Plays it once more as `pass`.
    pub fn repeat(&self, pass: Pass, pcm: &mut Vec<f32>) {
        let held = self.kept.clone().unwrap_or_default();
        Pass { at: self.end, is_cut: self.is_cut, held, ..pass }.finish(pcm, self.rings.clone());
    }
}

/// The ringing of one pass's filter that is still to be added to the start of the next.
#[derive(Default)]
pub struct Seam {
    ring: Vec<f32>,
    added: usize,
}

impl Seam {
    pub fn after(finished: &FinishedPass, section: &Section) -> Self {
        let ring = finished.post_ring().filter(|_| section.start == 0);
        Self { ring: ring.unwrap_or_default().to_vec(), added: 0 }
    }

    /// Adds it to the next samples.
    pub fn add(&mut self, pcm: &mut [f32]) {
        let rest = &self.ring[self.added..];
        pcm.iter_mut().zip(rest).for_each(|(sample, ring)| *sample += ring);
        self.added += rest.len().min(pcm.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cuts 1, 2, 3 … `length` into passes, fed in pieces of seven.
    fn cut(section: Section, length: usize) -> (Vec<f32>, Samples) {
        let source: Vec<f32> = (1..=length).map(|n| n as f32).collect();
        let (mut pass, mut heard) = (Pass::new(&section, section.from, true, 1), Vec::new());
        for piece in source.chunks(7) {
            let mut pcm = piece.to_vec();
            let more = pass.cut(&mut pcm);
            heard.append(&mut pcm);
            if !more {
                break;
            }
        }
        let FinishedPass { end, .. } = pass.finish(&mut heard, None);
        (heard, end)
    }

    #[test]
    fn sections_are_cut_exactly_and_faded() {
        let section = |start, end| Section { from: start, start, end, ..Section::default() };
        let (heard, end) = cut(section(10, 1_010), 2_000);
        assert_eq!((heard.len(), end, heard[0], heard[759]), (1_000, 1_010, 11.0, 770.0));
        assert_eq!([heard[760], heard[880], heard[999]], [771.0, 891.0 * 0.5, 1_010.0 / 240.0]);
        for (start, end) in [(10, 2_000), (10, 5_000), (10, Samples::MAX)] {
            let (heard, end) = cut(section(start, end), 2_000);
            assert_eq!((heard.len(), end, heard[1_989]), (1_990, 2_000, 2_000.0), "the source's own end is left alone");
        }
        assert_eq!(cut(section(2_000, 3_000), 2_000), (Vec::new(), 2_000), "nothing is there");
    }

    #[test]
    fn fade_out_ends_at_either_end() {
        let (heard, _) = cut(Section { fade_out: 1_000, ..Section::default() }, 2_000);
        assert_eq!([heard[999], heard[1_000], heard[1_500], heard[1_999]], [1_000.0, 1_001.0, 750.5, 2.0]);
        let (heard, _) = cut(Section { fade_out: 1_000, end: 1_500, ..Section::default() }, 2_000);
        assert_eq!((heard.len(), heard[500], heard[1_000]), (1_500, 501.0, 500.5));
        let (heard, _) = cut(Section { fade_out: 1_000, ..Section::default() }, 4);
        assert_eq!(heard, [1.0, 1.5, 1.5, 1.0]);
    }

    #[test]
    fn joined_passes_end_with_the_pre_ring() {
        let section = Section { passes: 3, ..Section::default() };
        let rings = Rings { pre: vec![10.0, 20.0, 30.0], post: vec![5.0] };
        for (length, expected) in [(5, vec![1.0, 1.0, 11.0, 21.0, 31.0]), (2, vec![21.0, 31.0])] {
            let (mut pass, mut heard) = (Pass::new(&section, 0, false, 1), Vec::new());
            pass.expect_ring(3);
            for _ in 0..length {
                let mut pcm = vec![1.0];
                pass.cut(&mut pcm);
                heard.append(&mut pcm);
            }
            let finished = pass.finish(&mut heard, Some(rings.clone()));
            assert_eq!((heard, finished.post_ring()), (expected.clone(), Some(&[5.0][..])));
            for (is_last, expected) in [(false, expected), (true, vec![1.0; length])] {
                let mut again = Vec::new();
                finished.repeat(Pass::new(&section, 0, is_last, 1), &mut again);
                assert_eq!(again, expected);
            }
            let (mut seam, mut next) = (Seam::after(&finished, &section), [[1.0; 1]; 2]);
            next.iter_mut().for_each(|pcm| seam.add(pcm));
            assert_eq!(next, [[6.0], [1.0]]);
        }
    }

    #[test]
    fn position_follows_passes_and_seeks() {
        let section = Section { from: 100, start: 100, passes: 3, ..Section::default() };
        let end = Some(300);
        let positions = [0, 199, 200, 399, 400, 599, 600].map(|played| section.position(played, end));
        assert_eq!(positions, [100, 299, 100, 299, 100, 299, 300]);
        assert_eq!(section.position(70, None), 170, "before the end is known");
        let sought = section.sought(250, 210, end);
        assert_eq!((sought.from, sought.passes), (250, 2));
        assert_eq!([0, 49, 50, 249, 250].map(|played| sought.position(played, end)), [250, 299, 100, 299, 300]);
        let beyond = Section { passes: 1, ..section }.sought(9_000, 10, end);
        assert_eq!((beyond.position(0, end), beyond.passes), (300, 1));
    }
}
