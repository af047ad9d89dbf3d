//! What becomes of playbacks that nobody can hear: their track is muted or out of the room, or the room is cut off.
//!
//! What is so stands in [`OutputState`](super::output_state::OutputState), and in the mixer of a track that is muted in the mix; here
//! it is brought to what sounds. A track that is held makes its playbacks stand still as a pause does, beside a pause of the
//! user's own; any other goes on and counts what is lost.

use super::Session;
use super::playbacks::Taken;
use crate::audio::{EDGE_FADE, Samples, to_ms};
use crate::error::SpeakerError;
use crate::event::EventKind;
use crate::mixer::PlaybackId;
use crate::output::Meanwhile;

/// How much of a voice nobody could hear, by its own count of samples.
#[derive(Debug, Default)]
pub struct Unheard {
    before: Samples,
    since: Option<Samples>,
}

impl Unheard {
    /// From here on it can be heard, or can't.
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

    pub fn total(&self, played: Samples) -> Samples {
        self.before + self.since.map_or(0, |since| played - since)
    }
}

impl Session {
    /// Something changed in what can be heard: brings what sounds to that, from this sample on.
    pub(super) fn update_hearing(&mut self) {
        let ids: Vec<PlaybackId> = self.playbacks.sounding.iter().map(|sounding| sounding.request.id).collect();
        for id in ids {
            let going = self.is_going(id);
            let Self { playbacks, mixer, output, outbox, .. } = self;
            let Some(sounding) = playbacks.sounding(id) else { continue };
            let stream = mixer.stream_of(sounding.request.track);
            let is_heard = output.is_heard(stream) && !mixer.is_muted(sounding.request.track);
            sounding.unheard.mark(is_heard, sounding.voice.played());
            let holds = output.holds(stream);
            if let Some(leaving) = &mut sounding.leaving {
                // Its successor can't start: it ends without one.
                if holds && std::mem::take(&mut leaving.crosses) {
                    sounding.voice.stop(EDGE_FADE as Samples);
                }
            } else if sounding.is_held != holds {
                sounding.is_held = holds;
                if sounding.is_paused {
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

    /// The server took a stream's track out of the room.
    pub(super) fn unpublished(&mut self, stream: u32, meanwhile: Meanwhile, error: &SpeakerError) {
        self.output.stream_missing(stream, meanwhile);
        self.counts.output_errors += 1;
        let SpeakerError { code, message, .. } = error.clone();
        self.note(None, EventKind::Unpublished { track_id: stream, code, message });
        if meanwhile == Meanwhile::Drop {
            self.fail_tracks(|session, track| session.mixer.stream_of(track) == stream, error);
        }
        self.update_hearing();
    }

    /// The output does not take a stream: what was about to play on it fails, each in turn.
    pub(super) fn refused(&mut self, stream: u32, error: &SpeakerError) {
        self.counts.output_errors += 1;
        self.output.stream_refused(stream);
        let loading = self.playbacks.loading.iter().map(|loading| &loading.request);
        let refused: Vec<PlaybackId> =
            loading.filter(|request| self.mixer.stream_of(request.track) == stream).map(|request| request.id).collect();
        refused.into_iter().for_each(|id| self.fail_unheard(id, error.clone()));
    }

    /// Everything that lives on some tracks fails, but for what was stopped before: only its fade is cut short.
    pub(super) fn fail_tracks(&mut self, is_meant: impl Fn(&Self, u32) -> bool, error: &SpeakerError) {
        let tracks = self.playbacks.tracks().into_iter().filter(|track| is_meant(self, *track)).collect();
        for taken in self.playbacks.take(&tracks) {
            let Taken { request, stopped, played, unheard, position, garbage } = taken;
            let (duration_ms, position_ms, unheard_ms) = (to_ms(played), to_ms(position), to_ms(unheard));
            let event = match stopped {
                Some(reason) => EventKind::Stopped { reason: reason.to_string(), duration_ms, position_ms, unheard_ms },
                None => {
                    let SpeakerError { code, message, cause } = error.clone();
                    EventKind::Failed { code, message, cause, duration_ms, position_ms, unheard_ms }
                }
            };
            self.over(&request, event);
            self.outbox.garbage.push(garbage);
        }
    }
}
