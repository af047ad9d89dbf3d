//! The amount of a stream that is buffered before playback: it grows while the writer is late now and then.

use crate::audio::{PREROLL, SAMPLE_RATE, Samples};

/// The bounds of the prebuffer, in samples per channel. It does not adapt if they are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prebuffer {
    /// The amount at first, and again after [`STEADY`].
    pub least: usize,
    /// The limit, however late the writer is.
    pub most: usize,
}

impl Default for Prebuffer {
    fn default() -> Self {
        Self { least: PREROLL, most: PREROLL }
    }
}

/// The time after which a punctual writer no longer counts as late: half a minute.
const STEADY: Samples = 30 * SAMPLE_RATE as Samples;

/// The amount to buffer before a stream goes on. Counted in samples, so that the sound does not depend on when anybody looked.
#[derive(Debug, Default)]
pub struct PrebufferTarget {
    /// The amount before the writer was late.
    before: usize,
    /// The samples played when the writer was last late.
    late_at: Samples,
}

impl PrebufferTarget {
    pub fn new(bounds: Prebuffer) -> Self {
        Self { before: bounds.least, late_at: 0 }
    }

    /// Notes that the writer is late after `played` samples, while `wanted` was the target.
    pub fn note_underrun(&mut self, bounds: Prebuffer, wanted: usize, played: Samples) {
        self.before = if played - self.late_at >= STEADY { bounds.least } else { wanted };
        self.late_at = played;
    }

    /// Returns true if the current silence has changed the `wanted` target, and so may still turn out to be a pause of the writer's.
    pub fn may_adapt(&self, wanted: usize) -> bool {
        wanted != self.before
    }

    /// Returns the amount to buffer after a silence of this length: as much more as would have covered it. A silence longer than the limit
    /// is a pause of the writer's, and changes nothing.
    pub fn adapted(&self, bounds: Prebuffer, silent: Samples) -> usize {
        let covering = usize::try_from(silent).ok().and_then(|silent| self.before.checked_add(silent));
        covering.filter(|covering| *covering <= bounds.most).unwrap_or(self.before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prebuffer_grows_by_the_writers_delay() {
        let bounds = Prebuffer { least: 1_000, most: 10_000 };
        let mut target = PrebufferTarget::new(bounds);
        target.note_underrun(bounds, 1_000, 500);
        assert_eq!(
            [1, 4_000, 9_000, 9_001, u64::MAX].map(|silent| target.adapted(bounds, silent)),
            [1_001, 5_000, 10_000, 1_000, 1_000]
        );
        target.note_underrun(bounds, 5_000, 500 + STEADY - 1);
        assert_eq!(target.adapted(bounds, 2_000), 7_000);
        target.note_underrun(bounds, 7_000, 500 + 2 * STEADY - 1);
        assert_eq!(target.adapted(bounds, 0), 1_000, "it was in time for long");
    }
}
