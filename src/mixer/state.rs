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
    /// What follows now may begin only so many samples before the end.
    pub lead: Option<Samples>,
    /// It goes on until what follows begins, and then crosses over to it in so many samples.
    pub leaves: Option<Samples>,
    /// Its half of a crossfade that ends where it does.
    pub cross: Option<Ramp>,
    pub stop: Option<Ramp>,
    /// The edge before the end of its source, if that comes before the stop's.
    pub tail: Option<Ramp>,
    pub underrun: Option<Underrun>,
    /// How often its source was not there in time.
    pub underruns: u64,
    /// What joins it to its neighbours in a queue.
    pub seam: Option<Box<Seam>>,
    pub gate: Gate,
}

/// The reader has nothing more for now: silent from the end of the fall until it is ready.
pub struct Underrun {
    pub fall: Ramp,
    /// For how long it has been silent.
    pub silent: Samples,
    /// True if its stall was reported, or if this silence is no stall.
    pub reported: bool,
    /// True if it had nothing more in the middle of what it played.
    pub is_late: bool,
}

impl Underrun {
    /// Silent from `here` on, which is no stall.
    pub fn silence(here: Samples, silent: Samples) -> Self {
        Self { fall: Ramp::edge(here, here), silent, reported: true, is_late: false }
    }
}
