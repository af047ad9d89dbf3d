//! Crossfades between two playbacks of one track: when the next one may begin, and how both cross over.
//!
//! In a queue a playback reports when its end is near: the next one begins then, and both cross over up to that end. A playback
//! that is replaced goes on until its successor begins, and crosses over then. A crossfade takes half of each at most, so that a
//! short one is not over before it has risen.

use super::Mixer;
use super::ramp::Ramp;
use super::voice::{State, Voice};
use crate::audio::{EDGE_FADE, Samples};

impl Mixer {
    /// Returns true if a playback of this length, if that is known, may begin on a track at the next sample; if not,
    /// [`MixerEventKind::EndApproaching`](super::MixerEventKind) is reported when it may.
    pub fn may_start<V: AsMut<Voice>>(voices: &mut [V], track: u32, length: Option<Samples>) -> bool {
        let mut on_track = voices.iter_mut().map(V::as_mut).filter(|voice| voice.track == track);
        on_track.all(|voice| voice.lets_start(length))
    }
}

impl Voice {
    /// Returns after how many samples its end is so near that the next playback may begin; `None` if that is not known, or was reported.
    pub(super) fn end_approaches_in(&self) -> Option<Samples> {
        let left = self.left().filter(|_| self.lead > 0 && !self.state.end_reported && self.state.stop.is_none())?;
        if self.state.declick.is_paused {
            return None;
        }
        Some(left.saturating_sub(self.state.lead.unwrap_or(self.max_lead(left))))
    }

    /// Returns true if a playback of this length, if that is known, may begin on its track: where it is too early for a short one,
    /// the approaching end is reported again.
    fn lets_start(&mut self, length: Option<Samples>) -> bool {
        let State { stop: None, cross: None, crosses_out: None, .. } = self.state else { return true };
        if self.state.declick.is_paused {
            // While it is paused its end does not approach.
            return true;
        }
        let Some(left) = self.left().filter(|_| self.lead > 0) else { return true };
        if left == 0 {
            // It ends at this sample, which is handled first.
            return false;
        }
        let lead = self.max_lead(left).min(length.map_or(Samples::MAX, |length| length / 2));
        (self.state.lead, self.state.end_reported) = (Some(lead), left <= lead);
        self.state.end_reported
    }

    /// Re-arms [`EndApproaching`](super::MixerEventKind::EndApproaching), so that it is reported again.
    pub(super) fn rearm_end_approaching(&mut self) {
        (self.state.end_reported, self.state.lead) = (false, None);
    }

    /// Crosses over to a voice that begins now on its track, if its end is near or it was replaced.
    pub(super) fn cross_over(&mut self, coming: &mut Self) {
        let Some(longest) = self.crossfade_length() else { return };
        let half = coming.left().map_or(Samples::MAX, |length| length / 2);
        // A voice that ends by itself falls up to its end, whatever comes.
        // A cut is never shorter than an edge, however short the coming voice is.
        let edge = (EDGE_FADE as Samples).min(longest);
        let length = if self.state.crosses_out.is_some() { longest.min(half).max(edge) } else { longest };
        let fall = Ramp::cross(self.state.played, length, 1.0, 0.0);
        match self.state.crosses_out {
            Some(_) => self.state.stop = Some(fall),
            None => self.state.cross = Some(fall),
        }
        let rise = Ramp::cross(0, length.min(half), 0.0, 1.0);
        if rise.length > coming.rise.length {
            coming.rise = rise;
        }
    }

    /// Returns for how many samples it can cross over with a voice that begins now; `None` if it does not.
    fn crossfade_length(&self) -> Option<Samples> {
        let State { stop: None, cross: None, crosses_out, end_reported, .. } = self.state else { return None };
        match (crosses_out, self.left()) {
            (Some(length), left) => Some(length.min(left.unwrap_or(length))),
            (None, left) => left.filter(|_| end_reported),
        }
    }

    /// Returns the longest time before its end at which another may begin.
    fn max_lead(&self, left: Samples) -> Samples {
        self.lead.min((self.state.played + left) / 2)
    }

    /// Returns the samples left to its end, if that is known and nothing ends it before.
    pub(super) fn left(&self) -> Option<Samples> {
        let left = self.reader.remaining().filter(|_| !self.state.declick.is_swapping())?;
        (self.state.played + left <= self.limit).then_some(left)
    }
}
