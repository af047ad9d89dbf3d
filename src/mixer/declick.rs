//! Pause, seek, flush and halts of the process without a click: the fall to silence and the rise out of it ([`Declick`]), and the voice's
//! methods that use it.

use super::MixerEventKind;
use super::ramp::Ramp;
use super::voice::{State, Underrun, Voice};
use crate::audio::{EDGE_FADE, Samples};
use crate::source::PcmReader;

/// The fall to silence and the rise out of it, in the middle of a playback. While it is silent, the voice can stand still or go on with
/// another reader.
pub struct Declick {
    pub ramp: Ramp,
    pub is_paused: bool,
    /// It is paused and silent: the voice takes nothing from its reader.
    pub is_frozen: bool,
    /// It was resumed, and that is not reported yet.
    pub resume_unreported: bool,
    /// Another place of its source is being loaded.
    pub is_seeking: bool,
    /// It is or falls silent and takes nothing from its reader until this is cleared: it waits for the place that it seeks, or the
    /// process was halted.
    pub is_waiting: bool,
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

impl Default for Declick {
    fn default() -> Self {
        let ramp = Ramp::flat(1.0);
        Self {
            ramp,
            is_paused: false,
            is_frozen: false,
            resume_unreported: false,
            is_seeking: false,
            is_waiting: false,
            next: None,
        }
    }
}

impl Declick {
    /// Returns the position from which on it is silent; `Samples::MAX` if it does not fall.
    pub fn silent_from(&self) -> Samples {
        if self.ramp.to == 0.0 { self.ramp.end() } else { Samples::MAX }
    }

    /// Ends a fall at once; the voice is silent anyway.
    pub fn finish_fall(&mut self, here: Samples) {
        if self.silent_from() != Samples::MAX {
            self.ramp = Ramp { at: here, ..Ramp::flat(0.0) };
        }
    }

    /// Rises from silence, unless it is falling: the voice had no samples for a while.
    pub fn rise(&mut self, here: Samples) {
        if self.silent_from() == Samples::MAX {
            self.ramp = Ramp::rise(here, EDGE_FADE as Samples);
        }
    }

    /// Returns true if another reader is there or on its way.
    pub fn is_swapping(&self) -> bool {
        self.is_seeking || self.next.is_some()
    }

    /// Returns true if the next reader, if there is one, can be played from or will get no more.
    pub fn is_fed(&self) -> bool {
        match &self.next {
            Some(Next::Flushed(reader) | Next::Sought(reader)) => !reader.is_filling() || reader.is_ready(),
            None => true,
        }
    }
}

impl Voice {
    /// Falls silent within 5 ms, and stands still from there.
    pub fn pause(&mut self) {
        self.state.declick.is_paused = true;
        self.rearm_end_approaching();
        if std::mem::take(&mut self.state.declick.resume_unreported) {
            // It was resumed, and no sample followed: it stands still as before.
            if std::mem::take(&mut self.state.declick.is_waiting) {
                self.state.underrun = None;
            }
            self.state.declick.is_frozen = true;
            self.state.declick.ramp = Ramp { at: self.state.played, ..Ramp::flat(0.0) };
        } else {
            self.fade_out();
        }
    }

    /// Goes on; if it seeks a place, it stays silent until that is loaded.
    pub fn resume(&mut self) {
        let here = self.state.played;
        let declick = &mut self.state.declick;
        if !std::mem::take(&mut declick.is_paused) {
            return;
        }
        let was_frozen = std::mem::take(&mut declick.is_frozen);
        declick.resume_unreported |= was_frozen;
        if declick.is_seeking {
            // The old place must not sound again.
            if was_frozen {
                self.wait_silently();
            } else {
                declick.is_waiting = true;
            }
        } else if declick.next.is_none() {
            declick.ramp = declick.ramp.toward(1.0, here, EDGE_FADE as Samples);
        }
    }

    /// Returns true if it is paused and stands still.
    pub fn is_frozen(&self) -> bool {
        self.state.declick.is_frozen
    }

    /// Returns true if it is silent until its writer goes on, and nothing else is about to happen to it: it need not be mixed.
    pub fn is_dormant(&self) -> bool {
        let State { underrun, stop, crosses_out, declick, .. } = &self.state;
        let silent = underrun.as_ref().is_some_and(|underrun| underrun.stall_reported && underrun.silent > 0);
        let stays =
            stop.is_none() && crosses_out.is_none() && declick.silent_from() == Samples::MAX && !declick.is_swapping();
        let starves = self.reader.is_starved() && !self.reader.is_ready();
        silent && stays && starves && self.stall_timeout == Samples::MAX && !self.reader.may_adapt()
    }

    /// Returns true once after a resume, so that it is reported once.
    pub fn take_resumed(&mut self) -> bool {
        !self.state.declick.is_waiting && std::mem::take(&mut self.state.declick.resume_unreported)
    }

    /// Starts a seek: another place is being loaded, and [`seek_to`](Self::seek_to) will bring it. It goes on as it is until then.
    pub fn seek(&mut self) {
        self.state.declick.is_seeking = true;
        if self.state.declick.resume_unreported {
            // It stood still, and the old place must not sound again.
            self.wait_silently();
        }
        self.rearm_end_approaching();
    }

    /// Ends a seek whose reader has not come.
    pub fn give_up_seek(&mut self) {
        self.state.declick.is_seeking = false;
        self.end_wait();
    }

    /// Goes on from another place once it is silent, and returns the event if it is already. Returns the event, too, if the reader of an
    /// earlier seek is displaced by this one.
    pub fn seek_to(&mut self, reader: PcmReader) -> Result<Option<MixerEventKind>, PcmReader> {
        self.state.declick.is_seeking = false;
        // A voice that is being stopped stays where it is.
        if self.state.stop.is_some() || self.state.crosses_out.is_some() {
            self.end_wait();
            return Err(reader);
        }
        Ok(self.change_reader(Next::Sought(reader)))
    }

    /// Goes on with what is written after a flush, once it is silent.
    pub fn flush_to(&mut self, reader: PcmReader) -> Option<MixerEventKind> {
        self.change_reader(Next::Flushed(reader))
    }

    fn change_reader(&mut self, next: Next) -> Option<MixerEventKind> {
        if let Some(Next::Flushed(spent) | Next::Sought(spent)) = self.state.declick.next.replace(next) {
            // It is falling already.
            return Some(MixerEventKind::Swapped { spent, sought: None });
        }
        let here = self.state.played;
        let is_waiting = self.state.declick.is_waiting && self.is_silent_at(here);
        if is_waiting || self.state.declick.ramp.level(here) == 0.0 {
            return self.swap_reader();
        }
        self.fade_out();
        None
    }

    /// Returns true if it fell silent for want of samples before `here`.
    pub(super) fn is_silent_at(&self, here: Samples) -> bool {
        self.state.underrun.as_ref().is_some_and(|underrun| underrun.fall.end() <= here)
    }

    /// Goes on with the next reader, if there is one, and returns the spent one; called while it is silent.
    pub fn swap_reader(&mut self) -> Option<MixerEventKind> {
        let (reader, is_sought) = match self.state.declick.next.take()? {
            Next::Flushed(mut reader) => {
                reader.continue_after(&self.reader);
                (reader, false)
            }
            Next::Sought(reader) => (reader, true),
        };
        let here = self.state.played;
        let silent = self.state.underrun.take().map_or(0, |underrun| underrun.silent);
        // Waiting for the first write is no stall.
        self.state.underrun = (!reader.is_ready()).then(|| Underrun::silence(here, silent));
        if std::mem::take(&mut self.state.declick.is_waiting) && self.state.underrun.is_none() {
            self.state.declick.rise(here);
        }
        self.state.tail = None;
        let spent = std::mem::replace(&mut self.reader, reader);
        Some(MixerEventKind::Swapped { spent, sought: is_sought.then(|| self.reader.position()) })
    }

    /// Stands still if it is paused, and rises if not; called while it is silent.
    pub fn freeze_or_rise(&mut self) -> Option<MixerEventKind> {
        let here = self.state.played;
        let declick = &mut self.state.declick;
        if declick.is_paused {
            declick.is_frozen = true;
            return Some(MixerEventKind::Paused(self.reader.position()));
        }
        if declick.is_waiting {
            self.wait_silently();
        } else {
            declick.ramp = Ramp::rise(here, EDGE_FADE as Samples);
        }
        None
    }

    /// Falls silent within the next frame, because the process was halted, and takes nothing from its reader until
    /// [`fade_in_after_halt`](Self::fade_in_after_halt).
    pub fn fade_out_for_halt(&mut self) {
        if self.is_frozen() || self.state.stop.is_some() {
            return;
        }
        if self.state.declick.resume_unreported {
            // It is still silent: no sample may come before its resume is reported.
            return self.wait_silently();
        }
        self.state.declick.is_waiting = true;
        self.fade_out();
    }

    /// Returns true if it is silent and takes nothing from its reader, until the place that it seeks is loaded or a halt is over.
    pub fn is_waiting(&self) -> bool {
        self.state.declick.is_waiting && self.is_silent_at(self.state.played)
    }

    /// Is silent from here on, and takes nothing from its reader.
    fn wait_silently(&mut self) {
        let here = self.state.played;
        self.state.declick.is_waiting = true;
        self.state.declick.ramp = Ramp::flat(1.0);
        self.state.underrun = Some(Underrun::silence(here, 0));
    }

    /// Rises again after a halt, unless the place that it seeks is not loaded yet.
    pub fn fade_in_after_halt(&mut self) {
        if !self.state.declick.is_seeking {
            self.end_wait();
        }
    }

    fn end_wait(&mut self) {
        let here = self.state.played;
        if std::mem::take(&mut self.state.declick.is_waiting) && self.is_silent_at(here) {
            self.state.underrun = None;
            self.state.declick.rise(here);
        }
    }

    /// Falls silent; a fall under way goes on.
    fn fade_out(&mut self) {
        let (here, end) = (self.state.played, self.fall_end(EDGE_FADE as Samples));
        let declick = &mut self.state.declick;
        if declick.silent_from() == Samples::MAX {
            declick.ramp = declick.ramp.toward(0.0, here, end - here);
        }
    }
}
