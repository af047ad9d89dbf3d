//! How a voice is held back: it falls silent, stands still or goes on from another place, and rises again.

use super::What;
use super::envelope::Ramp;
use super::gate::Next;
use super::state::{Dry, State};
use super::voice::Voice;
use crate::audio::{EDGE_FADE, Samples};
use crate::source::Feed;

impl Voice {
    /// Lets it fall silent, and stand still from there.
    pub fn pause(&mut self) {
        self.state.gate.is_paused = true;
        self.turn_back();
        self.shut();
    }

    pub fn resume(&mut self) {
        let here = self.state.played;
        let gate = &mut self.state.gate;
        gate.goes_on = std::mem::take(&mut gate.is_held);
        if std::mem::take(&mut gate.is_paused) && gate.next.is_none() {
            gate.ramp = gate.ramp.toward(1.0, here, EDGE_FADE as Samples);
        }
    }

    /// Whether it stands still, paused.
    pub fn is_held(&self) -> bool {
        self.state.gate.is_held
    }

    /// Whether it is silent for as long as its writer is behind, and nothing else is to become of it: nobody need mix it.
    pub fn is_dormant(&self) -> bool {
        let State { dry, stop, leaves, gate, .. } = &self.state;
        let silent = dry.as_ref().is_some_and(|dry| dry.told && dry.silent > 0);
        let stays = stop.is_none() && leaves.is_none() && gate.shut_at() == Samples::MAX && !gate.is_swapping();
        silent && stays && self.patience == Samples::MAX && self.feed.is_starved() && !self.feed.is_ready()
    }

    /// Whether it goes on after it stood still: to be told once.
    pub fn goes_on(&mut self) -> bool {
        std::mem::take(&mut self.state.gate.goes_on)
    }

    /// Another feed of it, to be swapped in.
    pub fn seek(&mut self, place: Samples) -> Option<Feed> {
        let feed = self.feed.sought(place)?;
        self.state.gate.seeks = true;
        self.turn_back();
        Some(feed)
    }

    /// There will be no other feed but one that is here already.
    pub fn give_up_seek(&mut self) {
        self.state.gate.seeks = false;
    }

    /// Goes on from another place once it is silent; at once if it is, and then says so.
    pub fn go_to(&mut self, feed: Feed) -> Option<What> {
        self.state.gate.seeks = false;
        // What is on its way out stays where it is.
        if self.state.stop.is_some() || self.state.leaves.is_some() {
            return None;
        }
        self.swap(Next::Sought(feed))
    }

    /// Goes on with what is written from now on, once it is silent.
    pub fn flush(&mut self) -> Option<What> {
        let feed = self.feed.flushed()?;
        self.swap(Next::Flushed(feed))
    }

    fn swap(&mut self, next: Next) -> Option<What> {
        self.state.gate.next = Some(next);
        if self.state.gate.ramp.level(self.state.played) == 0.0 {
            return self.exchange();
        }
        self.shut();
        None
    }

    /// It is silent: goes on with the other feed, if there is one, and hands the spent one out.
    pub fn exchange(&mut self) -> Option<What> {
        let (feed, is_sought) = match self.state.gate.next.take()? {
            Next::Flushed(mut feed) => {
                feed.follow(&self.feed);
                (feed, false)
            }
            Next::Sought(feed) => (feed, true),
        };
        let here = self.state.played;
        let silent = self.state.dry.take().map_or(0, |dry| dry.silent);
        // Nothing was written yet: that is no stall.
        let dry = Dry { fall: Ramp::edge(here, here), silent, told: true };
        self.state.dry = (!feed.is_ready()).then_some(dry);
        let spent = std::mem::replace(&mut self.feed, feed);
        self.tell_place();
        Some(What::Swapped { spent, sought: is_sought.then(|| self.feed.place()) })
    }

    /// It is silent: stands still, if it is paused, and rises if not.
    pub fn hold_or_rise(&mut self) -> Option<What> {
        let gate = &mut self.state.gate;
        if !gate.is_paused {
            gate.ramp = Ramp::rise(self.state.played, EDGE_FADE as Samples);
            return None;
        }
        gate.is_held = true;
        Some(What::Paused(self.feed.place()))
    }

    /// Falls silent; what does already goes on falling.
    fn shut(&mut self) {
        let (here, end) = (self.state.played, self.fall_end(EDGE_FADE as Samples));
        let gate = &mut self.state.gate;
        if gate.shut_at() == Samples::MAX {
            gate.ramp = gate.ramp.toward(0.0, here, end - here);
        }
    }
}
