//! What changes of a voice while it plays.

use super::gate::Gate;
use super::ramp::Ramp;
use super::seam::Seam;
use crate::audio::Samples;

#[derive(Default)]
pub struct State {
    /// Samples per channel mixed.
    pub played: Samples,
    pub started: bool,
    /// It was reported that what follows may begin.
    pub end_reported: bool,
    /// The lead of the playback that is next, if that is shorter: half of its length.
    pub lead: Option<Samples>,
    /// It was replaced: it goes on until its successor begins, and crosses over to that in so many samples.
    pub leaves: Option<Samples>,
    /// Its half of a crossfade that ends with its source.
    pub cross: Option<Ramp>,
    pub stop: Option<Ramp>,
    /// The edge before the end of its source, if that comes before the stop's.
    pub tail: Option<Ramp>,
    pub underrun: Option<Underrun>,
    /// The number of times that its source was not ready in time.
    pub underruns: u64,
    /// Joins it to its neighbours in a queue without a gap.
    pub seam: Option<Box<Seam>>,
    pub gate: Gate,
}

/// An underrun: silence from the end of a fall until the reader has samples again.
pub struct Underrun {
    pub fall: Ramp,
    /// The time for which it has been silent.
    pub silent: Samples,
    /// Its stall was reported, or this silence is no stall.
    pub reported: bool,
    /// The samples ran out in the middle of the source.
    pub is_late: bool,
}

impl Underrun {
    /// Makes a silence from `here` on, which is no stall.
    pub fn silence(here: Samples, silent: Samples) -> Self {
        Self { fall: Ramp::edge(here, here), silent, reported: true, is_late: false }
    }
}
