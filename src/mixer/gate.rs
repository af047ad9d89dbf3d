//! What holds a voice back: while it is shut the voice is silent, so that it can stand still or go on with another reader.

use super::ramp::Ramp;
use crate::audio::{EDGE_FADE, Samples};
use crate::source::PcmReader;

pub struct Gate {
    pub ramp: Ramp,
    pub is_paused: bool,
    /// It is paused and silent: the voice takes nothing from its reader.
    pub is_held: bool,
    /// It was resumed, and that is not reported yet.
    pub goes_on: bool,
    /// Another place is being loaded.
    pub seeks: bool,
    /// It is or falls silent and takes nothing from its reader until this is cleared: it waits for the place that it seeks, or the
    /// process was halted.
    pub is_blocked: bool,
    /// The reader to go on with once it is silent.
    pub next: Option<Next>,
}

/// The reader that a voice goes on with.
pub enum Next {
    /// Of what is written to its stream after a flush.
    Flushed(PcmReader),
    /// Of another place in its source.
    Sought(PcmReader),
}

impl Default for Gate {
    fn default() -> Self {
        let ramp = Ramp::flat(1.0);
        Self { ramp, is_paused: false, is_held: false, goes_on: false, seeks: false, is_blocked: false, next: None }
    }
}

impl Gate {
    /// Returns the position from which on it is silent; `Samples::MAX` if it does not fall.
    pub fn shut_at(&self) -> Samples {
        if self.ramp.to == 0.0 { self.ramp.end() } else { Samples::MAX }
    }

    /// Ends a fall at once; the voice is silent anyway.
    pub fn shut_sooner(&mut self, here: Samples) {
        if self.shut_at() != Samples::MAX {
            self.ramp = Ramp { at: here, ..Ramp::flat(0.0) };
        }
    }

    /// Rises from silence, unless it is falling: the voice had no samples for a while.
    pub fn rise(&mut self, here: Samples) {
        if self.shut_at() == Samples::MAX {
            self.ramp = Ramp::rise(here, EDGE_FADE as Samples);
        }
    }

    /// Returns true if another reader is there or on its way.
    pub fn is_swapping(&self) -> bool {
        self.seeks || self.next.is_some()
    }

    /// Returns true if the next reader, if there is one, can be played from or will get no more.
    pub fn is_fed(&self) -> bool {
        match &self.next {
            Some(Next::Flushed(reader) | Next::Sought(reader)) => !reader.is_coming() || reader.is_ready(),
            None => true,
        }
    }
}
