//! What changes of a voice while it plays.

use super::envelope::Ramp;
use super::gate::Gate;
use crate::audio::Samples;

#[derive(Default)]
pub struct State {
    /// Samples per channel handed on.
    pub played: Samples,
    pub started: bool,
    /// It was told that what follows may begin.
    pub is_near: bool,
    /// For what follows now, it may do so only so many samples before the end.
    pub lead: Option<Samples>,
    /// It goes on until what follows begins, and then crosses over to it in so many samples.
    pub leaves: Option<Samples>,
    /// Its half of a crossfade that ends where it does.
    pub cross: Option<Ramp>,
    pub stop: Option<Ramp>,
    pub dry: Option<Dry>,
    pub gate: Gate,
}

/// The feed ran dry: silent from the end of the fall until it is ready.
pub struct Dry {
    pub fall: Ramp,
    /// For how long it has been silent.
    pub silent: Samples,
    /// Whether its stall was told, or is none.
    pub told: bool,
}
