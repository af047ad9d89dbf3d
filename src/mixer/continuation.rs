//! A voice that goes on in another session, maybe of another process. All ramps of a voice are functions of its count of samples, so the
//! other one takes over that count, and every ramp as it is.

use super::declick::Next;
use super::ramp::Ramp;
use super::voice::Voice;
use crate::audio::Samples;
use crate::source::Section;

/// The state in which a voice goes on elsewhere, apart from its source.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Continuation {
    /// The samples per channel mixed so far.
    pub played: Samples,
    /// Its volume, with the fade under way.
    pub volume: Ramp,
    /// The rise at its start.
    pub rise: Ramp,
    /// Its half of a crossfade, or the fade-out, that ends with its source.
    pub cross: Option<Ramp>,
    /// The fall of its stop.
    pub stop: Option<Ramp>,
    /// The length of the rise from silence with which it goes on.
    pub fade_in: Samples,
}

impl Voice {
    /// Returns its state after `after` more samples, and the part of its source that is left then. While it is paused or has no samples, it
    /// stays where it is.
    pub fn continuation(&self, after: Samples) -> (Continuation, Section) {
        let state = &self.state;
        let moves = !state.declick.is_paused && !state.declick.is_waiting && state.underrun.is_none();
        let after = if moves { after } else { 0 };
        let played = state.played + after;
        let (reader, ahead) = match &state.declick.next {
            Some(Next::Sought(reader)) => (reader, 0),
            _ => (&self.reader, after),
        };
        let mut section = reader.section_after(ahead);
        let mut cross = state.cross;
        // A source that is opened within its fade-out would begin that anew: it goes on as a fall of the voice.
        let left = reader.end().map_or(Samples::MAX, |end| end.saturating_sub(section.from));
        if section.passes == 1 && left < section.fade_out && cross.is_none() {
            let from = left as f32 / section.fade_out as f32;
            cross = Some(Ramp { from, ..Ramp::fall(played, left) });
            section.fade_out = 0;
        }
        // A voice that waits for its successor can't find it elsewhere: its fall begins at once.
        let stop = state.stop.or_else(|| state.crosses_out.map(|length| Ramp::fall(played, length)));
        let Self { volume, rise, .. } = *self;
        (Continuation { played, volume, rise, cross, stop, fade_in: 0 }, section)
    }

    /// Goes on as `before`; called before its first sample.
    pub fn go_on(&mut self, before: &Continuation) {
        let Continuation { played, volume, rise, cross, stop, fade_in } = *before;
        (self.volume, self.rise) = (volume, rise);
        // A stop that is over ends at this sample.
        self.limit = self.limit.max(played);
        let stop = stop.map(|stop| if stop.end() < played { Ramp::edge(played, played) } else { stop });
        (self.state.played, self.state.cross, self.state.stop) = (played, cross, stop);
        self.state.declick.ramp = Ramp::rise(played, fade_in);
    }

    /// Returns true if its fall to silence has begun.
    pub fn is_falling(&self) -> bool {
        self.state.stop.is_some_and(|stop| stop.at <= self.state.played)
    }

    /// Returns the samples after which it ends by itself or by its stop, if that is known.
    pub fn ends_in(&self) -> Option<Samples> {
        match self.state.stop {
            Some(stop) => Some(stop.end().saturating_sub(self.state.played)),
            None => self.source_left(),
        }
    }
}
