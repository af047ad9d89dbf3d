//! What holds a voice back: while it is shut the voice is silent, so that it can stand still or go on with another reader.

use super::ramp::Ramp;
use crate::audio::{EDGE_FADE, Samples};
use crate::source::PcmReader;

pub struct Gate {
    pub ramp: Ramp,
    pub is_paused: bool,
    /// It is silent, and its voice stands still.
    pub is_held: bool,
    /// It stood still, and that it goes on was not reported yet.
    pub goes_on: bool,
    /// Another place is being loaded.
    pub seeks: bool,
    /// Silent until this is taken back, and takes nothing from its reader: it waits for the place that it seeks, or the process
    /// was halted.
    pub is_blocked: bool,
    /// Taken once it is silent.
    pub next: Option<Next>,
}

/// What a voice goes on with.
pub enum Next {
    /// What is written to its stream after a flush.
    Flushed(PcmReader),
    /// Another place in its source.
    Sought(PcmReader),
}

impl Default for Gate {
    fn default() -> Self {
        let ramp = Ramp::flat(1.0);
        Self { ramp, is_paused: false, is_held: false, goes_on: false, seeks: false, is_blocked: false, next: None }
    }
}

impl Gate {
    /// The position from which on it is silent; `Samples::MAX` if it is not to be.
    pub fn shut_at(&self) -> Samples {
        if self.ramp.to == 0.0 { self.ramp.end() } else { Samples::MAX }
    }

    /// Shuts at once if it is shutting; the voice is silent anyway.
    pub fn shut_sooner(&mut self, here: Samples) {
        if self.shut_at() != Samples::MAX {
            self.ramp = Ramp { at: here, ..Ramp::flat(0.0) };
        }
    }

    /// Rises from silence unless it is to be shut: its voice had nothing to give for a while.
    pub fn rise(&mut self, here: Samples) {
        if self.shut_at() == Samples::MAX {
            self.ramp = Ramp::rise(here, EDGE_FADE as Samples);
        }
    }

    /// Returns true if there is or will be another reader.
    pub fn is_swapping(&self) -> bool {
        self.seeks || self.next.is_some()
    }

    /// Returns true if the other reader can be played from, or has nothing that is on its way.
    pub fn is_fed(&self) -> bool {
        match &self.next {
            Some(Next::Flushed(reader) | Next::Sought(reader)) => !reader.is_coming() || reader.is_ready(),
            None => true,
        }
    }
}
