//! How a voice is held back: it falls silent, stands still or goes on from another place, and rises again.

use super::What;
use super::gate::Next;
use super::ramp::Ramp;
use super::state::{State, Underrun};
use super::voice::Voice;
use crate::audio::{EDGE_FADE, Samples};
use crate::source::PcmReader;

impl Voice {
    /// Falls silent within 5 ms, and stands still from there.
    pub fn pause(&mut self) {
        self.state.gate.is_paused = true;
        self.rearm_end_notice();
        if std::mem::take(&mut self.state.gate.goes_on) {
            // It was resumed, and no sample followed: it stands still as before.
            if std::mem::take(&mut self.state.gate.is_blocked) {
                self.state.underrun = None;
            }
            self.state.gate.is_held = true;
            self.state.gate.ramp = Ramp { at: self.state.played, ..Ramp::flat(0.0) };
        } else {
            self.shut();
        }
    }

    /// Goes on; if it seeks a place, it stays silent until that is loaded.
    pub fn resume(&mut self) {
        let here = self.state.played;
        let gate = &mut self.state.gate;
        if !std::mem::take(&mut gate.is_paused) {
            return;
        }
        let was_held = std::mem::take(&mut gate.is_held);
        gate.goes_on |= was_held;
        if gate.seeks {
            // The old place must not sound again.
            if was_held {
                self.block();
            } else {
                gate.is_blocked = true;
            }
        } else if gate.next.is_none() {
            gate.ramp = gate.ramp.toward(1.0, here, EDGE_FADE as Samples);
        }
    }

    /// Returns true if it is paused and stands still.
    pub fn is_held(&self) -> bool {
        self.state.gate.is_held
    }

    /// Returns true if it is silent until its writer goes on, and nothing else is about to happen to it: it need not be mixed.
    pub fn is_dormant(&self) -> bool {
        let State { underrun, stop, leaves, gate, .. } = &self.state;
        let silent = underrun.as_ref().is_some_and(|underrun| underrun.reported && underrun.silent > 0);
        let stays = stop.is_none() && leaves.is_none() && gate.shut_at() == Samples::MAX && !gate.is_swapping();
        let starves = self.reader.is_starved() && !self.reader.is_ready();
        silent && stays && starves && self.stall_timeout == Samples::MAX && !self.reader.learns()
    }

    /// Returns true once after a resume, so that it is reported once.
    pub fn goes_on(&mut self) -> bool {
        !self.state.gate.is_blocked && std::mem::take(&mut self.state.gate.goes_on)
    }

    /// Another place is being loaded, and [`go_to`](Self::go_to) will bring it. It goes on as it is until then.
    pub fn seek(&mut self) {
        self.state.gate.seeks = true;
        if self.state.gate.goes_on {
            // It stood still, and the old place must not sound again.
            self.block();
        }
        self.rearm_end_notice();
    }

    /// Ends a seek whose reader has not come.
    pub fn give_up_seek(&mut self) {
        self.state.gate.seeks = false;
        self.unblock();
    }

    /// Goes on from another place once it is silent, and returns the event if it is already. Returns the event, too, if the reader of an
    /// earlier seek is displaced by this one.
    pub fn go_to(&mut self, reader: PcmReader) -> Result<Option<What>, PcmReader> {
        self.state.gate.seeks = false;
        // A voice that is being stopped stays where it is.
        if self.state.stop.is_some() || self.state.leaves.is_some() {
            self.unblock();
            return Err(reader);
        }
        Ok(self.swap(Next::Sought(reader)))
    }

    /// Goes on with what is written after a flush, once it is silent.
    pub fn flush_to(&mut self, reader: PcmReader) -> Option<What> {
        self.swap(Next::Flushed(reader))
    }

    fn swap(&mut self, next: Next) -> Option<What> {
        if let Some(Next::Flushed(spent) | Next::Sought(spent)) = self.state.gate.next.replace(next) {
            // It is falling already.
            return Some(What::Swapped { spent, sought: None });
        }
        let here = self.state.played;
        let is_blocked = self.state.gate.is_blocked && self.is_silent_at(here);
        if is_blocked || self.state.gate.ramp.level(here) == 0.0 {
            return self.exchange();
        }
        self.shut();
        None
    }

    /// Returns true if it fell silent for want of samples before `here`.
    pub(super) fn is_silent_at(&self, here: Samples) -> bool {
        self.state.underrun.as_ref().is_some_and(|underrun| underrun.fall.end() <= here)
    }

    /// Goes on with the next reader, if there is one, and returns the spent one; called while it is silent.
    pub fn exchange(&mut self) -> Option<What> {
        let (reader, is_sought) = match self.state.gate.next.take()? {
            Next::Flushed(mut reader) => {
                reader.follow(&self.reader);
                (reader, false)
            }
            Next::Sought(reader) => (reader, true),
        };
        let here = self.state.played;
        let silent = self.state.underrun.take().map_or(0, |underrun| underrun.silent);
        // Waiting for the first write is no stall.
        self.state.underrun = (!reader.is_ready()).then(|| Underrun::silence(here, silent));
        if std::mem::take(&mut self.state.gate.is_blocked) && self.state.underrun.is_none() {
            self.state.gate.rise(here);
        }
        self.state.tail = None;
        let spent = std::mem::replace(&mut self.reader, reader);
        Some(What::Swapped { spent, sought: is_sought.then(|| self.reader.place()) })
    }

    /// Stands still if it is paused, and rises if not; called while it is silent.
    pub fn hold_or_rise(&mut self) -> Option<What> {
        let here = self.state.played;
        let gate = &mut self.state.gate;
        if gate.is_paused {
            gate.is_held = true;
            return Some(What::Paused(self.reader.place()));
        }
        if gate.is_blocked {
            self.block();
        } else {
            gate.ramp = Ramp::rise(here, EDGE_FADE as Samples);
        }
        None
    }

    /// The process was halted: falls silent within the next frame and takes nothing until
    /// [`go_on_after_halt`](Self::go_on_after_halt).
    pub fn fall_silent(&mut self) {
        if self.is_held() || self.state.stop.is_some() {
            return;
        }
        if self.state.gate.goes_on {
            // It is still silent: no sample may come before its resume is reported.
            return self.block();
        }
        self.state.gate.is_blocked = true;
        self.shut();
    }

    /// Returns true if it is silent and takes nothing from its reader, until the place that it seeks is loaded or a halt is over.
    pub fn is_blocked(&self) -> bool {
        self.state.gate.is_blocked && self.is_silent_at(self.state.played)
    }

    /// Is silent from here on, and takes nothing from its reader.
    fn block(&mut self) {
        let here = self.state.played;
        self.state.gate.is_blocked = true;
        self.state.gate.ramp = Ramp::flat(1.0);
        self.state.underrun = Some(Underrun::silence(here, 0));
    }

    /// Rises again after a halt, unless the place that it seeks is not loaded yet.
    pub fn go_on_after_halt(&mut self) {
        if !self.state.gate.seeks {
            self.unblock();
        }
    }

    fn unblock(&mut self) {
        let here = self.state.played;
        if std::mem::take(&mut self.state.gate.is_blocked) && self.is_silent_at(here) {
            self.state.underrun = None;
            self.state.gate.rise(here);
        }
    }

    /// Falls silent; a fall under way goes on.
    fn shut(&mut self) {
        let (here, end) = (self.state.played, self.fall_end(EDGE_FADE as Samples));
        let gate = &mut self.state.gate;
        if gate.shut_at() == Samples::MAX {
            gate.ramp = gate.ramp.toward(0.0, here, end - here);
        }
    }
}
