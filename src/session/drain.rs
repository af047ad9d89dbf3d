//! Draining: a session takes no more requests, and closes once the accepted ones are over.

use super::{Advance, Lifecycle, Session, WallTime};
use crate::audio::Samples;
use crate::ids::Ticket;

impl Session {
    /// Takes no more requests, waits for the accepted ones to end, and closes as [`close`](Self::close) does; what is left after
    /// `within` is stopped then. Of two drains the one that ends first holds.
    pub fn drain(&mut self, within: Samples, ticket: Ticket, at: WallTime) {
        self.wall = at;
        let until = WallTime(self.wall().0.saturating_add(within));
        match &mut self.lifecycle {
            Lifecycle::Open => self.lifecycle = Lifecycle::Draining { until },
            Lifecycle::Draining { until: earlier } => *earlier = until.min(*earlier),
            _ => return self.close(Some(ticket), at),
        }
        self.closing.push(ticket);
        self.outbox.wakes_driver = true;
        if self.is_drained() {
            self.close(None, at);
        }
    }

    /// Closes a draining session once nothing is left or its time is over. Returns true if it did.
    pub fn end_drain(&mut self, at: WallTime) -> bool {
        self.wall = at;
        let is_over = self.drain_deadline().is_some_and(|until| self.is_drained() || until <= self.wall());
        if is_over {
            self.close(None, at);
        }
        is_over
    }

    /// Returns when a draining session closes at the latest.
    pub(super) fn drain_deadline(&self) -> Option<WallTime> {
        match self.lifecycle {
            Lifecycle::Draining { until } => Some(until),
            _ => None,
        }
    }

    /// Returns how far the manual clock is to go: to the end of the next `advance`, or of the drain.
    pub(super) fn time_wanted(&self) -> Option<Samples> {
        let advance = self.advances.front().map(|Advance { left, .. }| *left);
        let drain = self.drain_deadline().map(|WallTime(until)| until.saturating_sub(self.now()));
        advance.into_iter().chain(drain).min()
    }

    /// Returns true if nothing is left to wait for: playbacks, accepted `advance` calls and data to be sent.
    pub(super) fn is_drained(&self) -> bool {
        self.playbacks.is_empty() && self.advances.is_empty() && !self.sends.are_waiting()
    }
}
