//! How much of a stream is gathered before it is played: more while its writer is late now and then.

use crate::audio::{PREROLL, SAMPLE_RATE, Samples};

/// Between how much and how much, in samples per channel. The same twice does not adapt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prebuffer {
    /// At first, and again after [`STEADY`].
    pub least: usize,
    /// However late the writer is.
    pub most: usize,
}

impl Default for Prebuffer {
    fn default() -> Self {
        Self { least: PREROLL, most: PREROLL }
    }
}

/// A writer that was in time for so long is not late any more: half a minute.
const STEADY: Samples = 30 * SAMPLE_RATE as Samples;

/// How much is gathered before a stream goes on. Counted in samples, so that what is heard does not depend on when anybody looked.
#[derive(Debug, Default)]
pub struct Target {
    /// Before the writer was late.
    before: usize,
    /// How much of the stream had been played when its writer was late last.
    late_at: Samples,
}

impl Target {
    pub fn new(bounds: Prebuffer) -> Self {
        Self { before: bounds.least, late_at: 0 }
    }

    /// The writer is late after `played` samples, while `wanted` was to be gathered.
    pub fn begin(&mut self, bounds: Prebuffer, wanted: usize, played: Samples) {
        self.before = if played - self.late_at >= STEADY { bounds.least } else { wanted };
        self.late_at = played;
    }

    /// Returns true if the silence that lasts has changed what is `wanted`, and so may be no rest.
    pub fn learns(&self, wanted: usize) -> bool {
        wanted != self.before
    }

    /// How much to gather now that nothing came for so long: as much more as would have covered that. A silence that is longer than all
    /// that may be gathered is a rest, of which nothing is learned.
    pub fn after(&self, bounds: Prebuffer, silent: Samples) -> usize {
        let covering = usize::try_from(silent).ok().and_then(|silent| self.before.checked_add(silent));
        covering.filter(|covering| *covering <= bounds.most).unwrap_or(self.before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_gathered_covers_how_late_the_writer_was() {
        let bounds = Prebuffer { least: 1_000, most: 10_000 };
        let mut target = Target::new(bounds);
        target.begin(bounds, 1_000, 500);
        assert_eq!(
            [1, 4_000, 9_000, 9_001, u64::MAX].map(|silent| target.after(bounds, silent)),
            [1_001, 5_000, 10_000, 1_000, 1_000]
        );
        target.begin(bounds, 5_000, 500 + STEADY - 1);
        assert_eq!(target.after(bounds, 2_000), 7_000);
        target.begin(bounds, 7_000, 500 + 2 * STEADY - 1);
        assert_eq!(target.after(bounds, 0), 1_000, "it was in time for long");
    }
}
