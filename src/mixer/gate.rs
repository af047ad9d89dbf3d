//! What holds a voice back for a while: it falls silent, stands still, and rises again.

use super::envelope::Ramp;
use crate::audio::{EDGE_FADE, Samples};

pub struct Gate {
    ramp: Ramp,
    pub is_paused: bool,
    /// It is silent, and its voice stands still.
    pub is_held: bool,
    goes_on: bool,
}

impl Default for Gate {
    fn default() -> Self {
        Self { ramp: Ramp::flat(1.0), is_paused: false, is_held: false, goes_on: false }
    }
}

impl Gate {
    pub fn ramp(&self) -> Ramp {
        self.ramp
    }

    /// The position from which on it is silent, if it is to be.
    pub fn shut_at(&self) -> Samples {
        if self.ramp.to == 0.0 { self.ramp.end() } else { Samples::MAX }
    }

    /// Falls silent until `end`. What falls already goes on falling.
    pub fn shut(&mut self, here: Samples, end: Samples) {
        if self.shut_at() == Samples::MAX {
            self.ramp = self.ramp.toward(0.0, here, end - here);
        }
    }

    /// Is shut already, if it is to be: nothing can be heard.
    pub fn shut_sooner(&mut self, here: Samples) {
        if self.shut_at() != Samples::MAX {
            self.ramp = Ramp { at: here, ..Ramp::flat(0.0) };
        }
    }

    /// Rises from where it is.
    pub fn resume(&mut self, here: Samples) {
        self.goes_on = std::mem::take(&mut self.is_held);
        if std::mem::take(&mut self.is_paused) {
            self.ramp = self.ramp.toward(1.0, here, EDGE_FADE as Samples);
        }
    }

    /// Rises from silence, if it is not to be shut: its voice had nothing to give for a while.
    pub fn rise(&mut self, here: Samples) {
        if self.shut_at() == Samples::MAX {
            self.ramp = Ramp::rise(here, EDGE_FADE as Samples);
        }
    }

    /// Whether it goes on after it was held: to be told once.
    pub fn goes_on(&mut self) -> bool {
        std::mem::take(&mut self.goes_on)
    }
}
