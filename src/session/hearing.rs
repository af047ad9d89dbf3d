//! Playbacks that nobody can hear: their track is muted or unpublished, or the room is cut off.
//!
//! [`OutputState`](super::output_state::OutputState) knows that, and the mixer of a track that is muted in the mix; here it is applied
//! to the playbacks that sound. A stream that pauses makes its playbacks stand still as a pause does, beside a pause of the
//! user's own; on any other they go on, and the unheard time is counted.

use super::Session;
use super::playbacks::Taken;
use crate::audio::{EDGE_FADE, Samples, to_ms};
use crate::error::SpeakerError;
use crate::event::EventKind;
use crate::ids::PlaybackId;
use crate::output::UnheardPolicy;

/// The unheard time of a voice, by its own count of samples.
#[derive(Debug, Default)]
pub struct Unheard {
    before: Samples,
    since: Option<Samples>,
}

impl Unheard {
    /// Notes whether it can be heard from here on.
    pub fn mark(&mut self, is_heard: bool, played: Samples) {
        match (self.since, is_heard) {
            (None, false) => self.since = Some(played),
            (Some(since), true) => {
                self.before += played - since;
                self.since = None;
            }
            _ => {}
        }
    }

    /// Returns the unheard time after `played` samples.
    pub fn total(&self, played: Samples) -> Samples {
        self.before + self.since.map_or(0, |since| played - since)
    }
}

impl Session {
    /// Applies a change of what can be heard to everything that sounds, from this sample on.
    pub(super) fn update_hearing(&mut self) {
        let ids: Vec<PlaybackId> = self.playbacks.sounding.iter().map(|sounding| sounding.request.id).collect();
        for id in ids {
            let going = self.is_ending(id);
            let Self { playbacks, mixer, output, outbox, .. } = self;
            let Some(sounding) = playbacks.sounding(id) else { continue };
            let stream = mixer.stream_of(sounding.request.track);
            let is_heard = output.is_heard(stream) && !mixer.is_muted(sounding.request.track);
            sounding.unheard.mark(is_heard, sounding.voice.played());
            let holds = output.pauses(stream);
            if let Some(stopping) = &mut sounding.stopping {
                // Its successor can't start: it ends without one.
                if holds && std::mem::take(&mut stopping.crosses_out) {
                    sounding.voice.stop(EDGE_FADE as Samples);
                }
            } else if sounding.paused_by_track != holds {
                sounding.paused_by_track = holds;
                if sounding.paused_by_user {
                    continue;
                }
                if holds {
                    sounding.end_approaches &= going;
                    sounding.voice.pause();
                    outbox.hastens = true;
                } else {
                    sounding.voice.resume();
                }
            }
        }
        let tracks: Vec<u32> = self.playbacks.lines.keys().copied().collect();
        tracks.into_iter().for_each(|track| self.update_line(track));
    }

    /// Handles that the server unpublished a stream's track.
    pub(super) fn unpublished(&mut self, stream: u32, policy: UnheardPolicy, error: &SpeakerError) {
        self.output.stream_missing(stream, policy);
        self.counts.output_errors += 1;
        let SpeakerError { code, message, .. } = error.clone();
        self.note(None, EventKind::Unpublished { track_id: stream, code, message });
        if policy == UnheardPolicy::Drop {
            self.fail_tracks(|session, track| session.mixer.stream_of(track) == stream, error);
        }
        self.update_hearing();
    }

    /// Handles that the output refused a stream: each playback that was about to play on it fails, in turn.
    pub(super) fn refused(&mut self, stream: u32, error: &SpeakerError) {
        self.counts.output_errors += 1;
        self.output.stream_refused(stream);
        let loading = self.playbacks.loading.iter().map(|loading| &loading.request);
        let refused: Vec<PlaybackId> =
            loading.filter(|request| self.mixer.stream_of(request.track) == stream).map(|request| request.id).collect();
        refused.into_iter().for_each(|id| self.fail_unstarted(id, error.clone()));
    }

    /// Fails every live playback of some tracks, as [`end_tracks`](Self::end_tracks) ends them.
    pub(super) fn fail_tracks(&mut self, is_meant: impl Fn(&Self, u32) -> bool, error: &SpeakerError) {
        self.end_tracks(is_meant, |duration_ms, position_ms, unheard_ms| {
            let SpeakerError { code, message, cause } = error.clone();
            EventKind::Failed { code, message, cause, duration_ms, position_ms, unheard_ms }
        });
    }

    /// Ends every live playback of some tracks at once, with the event that `end` makes of its duration, its position and the part of it that
    /// nobody could hear, in ms. One that was stopped before only has its fade cut short.
    pub(super) fn end_tracks(
        &mut self,
        is_meant: impl Fn(&Self, u32) -> bool,
        end: impl Fn(f64, f64, f64) -> EventKind,
    ) {
        let tracks = self.playbacks.tracks().into_iter().filter(|track| is_meant(self, *track)).collect();
        for taken in self.playbacks.take(&tracks) {
            let Taken { request, stopped, played, unheard, position, garbage } = taken;
            let (duration_ms, position_ms, unheard_ms) = (to_ms(played), to_ms(position), to_ms(unheard));
            let event = match stopped {
                Some(reason) => EventKind::Stopped { reason: reason.to_string(), duration_ms, position_ms, unheard_ms },
                None => end(duration_ms, position_ms, unheard_ms),
            };
            self.note_end(&request, event);
            self.outbox.garbage.push(garbage);
        }
    }
}
