//! The state from which another session, maybe of another process, can go on: what plays, loads and waits, and the settings of the tracks.

use std::sync::Arc;

use super::playbacks::{Loadable, Phase, Request, Sounding};
use super::policy::Target;
use super::{Session, WallTime};
use crate::audio::Samples;
use crate::event::EventKind;
use crate::ids::PlaybackId;
use crate::mixer::{Continuation, TrackFade, TrackSettings};
use crate::source::MemoryFile;

/// The reason in `stopped` events of what another session goes on with.
const HANDED_OVER: &str = "handedOver";

/// So many passes are a loop without an end, whatever was played of it.
pub const ENDLESS: u64 = u64::MAX / 2;

/// The state of a session at a sample.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// The session's time.
    pub at: Samples,
    /// Playbacks that play and load, in order of arrival, then those that wait, in order of their turn.
    pub playbacks: Vec<PlaybackSnapshot>,
    /// The tracks that were used or set.
    pub tracks: Vec<TrackSettings>,
}

/// The state of a playback that its request does not tell.
#[derive(Debug, Clone)]
pub struct PlaybackSnapshot {
    /// Its internal id.
    pub id: PlaybackId,
    /// Its phase.
    pub phase: Phase,
    /// It is paused.
    pub is_paused: bool,
    /// Its place in its source.
    pub position: Samples,
    /// The passes that are left, this one included; at least [`ENDLESS`] for a loop without an end.
    pub passes: u64,
    /// The length of the fade-out at the end of its source, unless that has begun.
    pub fade_out: Samples,
    /// The target of its volume.
    pub volume: f32,
    /// Its priority in line: that of its neighbours if it was moved.
    pub priority: i32,
    /// What is left of its longest wait; 0 for no limit, or if it does not wait.
    pub wait_left: Samples,
    /// The state of its voice, if it has sounded.
    pub voice: Option<Continuation>,
    /// The reason of its stop, if it fades out.
    pub stop_reason: Option<Arc<str>>,
    /// Its source, if that is a file in memory.
    pub file: Option<MemoryFile>,
}

impl Session {
    /// Returns the state that the session will have after `after` more samples, if nothing else happens until then.
    pub fn snapshot(&mut self, after: Samples, at: WallTime) -> Snapshot {
        self.wall = at;
        let wall = self.wall();
        let sounding = self.playbacks.sounding.iter().map(|sounding| snapshot_of_sounding(sounding, after));
        let loading =
            self.playbacks.loading.iter().map(|loading| {
                unstarted(&loading.request, Phase::Loading, loading.is_paused, loading.source.position())
            });
        let mut playbacks: Vec<_> = sounding.chain(loading).collect();
        playbacks.sort_by_key(|playback| playback.id);
        for line in self.playbacks.lines.values() {
            playbacks.extend(line.iter().map(|waiting| PlaybackSnapshot {
                priority: waiting.class,
                wait_left: line.wait_left(waiting, wall),
                ..unstarted(&waiting.request, Phase::Queued, waiting.is_paused, waiting.position())
            }));
        }
        let mut tracks = self.mixer.track_settings(after);
        // Only a track that is a stream of its own is muted by the output.
        for stream in self.output.muted_by_user() {
            match tracks.iter_mut().find(|track| track.id == stream) {
                Some(track) => track.is_muted = true,
                None => tracks.push(TrackSettings { is_muted: true, ..TrackSettings::new(stream) }),
            }
        }
        Snapshot { at: self.now() + after, playbacks, tracks }
    }

    /// Fades everything out over `fade` samples, which begin `after` samples from now, and returns the state at the first of them. What ends by
    /// then anyway is left to its end, and is not in that state; what waits or loads is stopped at once.
    pub fn hand_over(&mut self, after: Samples, fade: Samples, at: WallTime) -> Snapshot {
        let mut snapshot = self.snapshot(after, at);
        let stays = |sounding: &&Sounding| {
            let ends = sounding.voice.ends_in().is_some_and(|left| left <= after + fade);
            ends || after > 0 && sounding.voice.is_falling()
        };
        let staying: Vec<PlaybackId> =
            self.playbacks.sounding.iter().filter(stays).map(|sounding| sounding.request.id).collect();
        snapshot.playbacks.retain(|playback| !staying.contains(&playback.id));
        let mut ids = self.playbacks.matching(&Target::All);
        ids.retain(|id| !staying.contains(id));
        self.stop_these(ids, HANDED_OVER, after, fade);
        snapshot
    }

    /// Hands over once another session takes this one's place in the room, instead of failing what is live.
    pub fn hand_over_when_replaced(&mut self, hands_over: bool) {
        self.hands_over = hands_over;
    }

    /// Takes the state that was handed over to the session that took this one's place.
    pub fn take_handed_over(&mut self) -> Option<Snapshot> {
        self.handed_over.take()
    }

    /// Ends everything at this sample, and keeps the state at it: the output is lost to the session that goes on with it.
    pub(super) fn hand_over_all(&mut self) {
        self.handed_over = Some(self.snapshot(0, self.wall));
        self.end_tracks(
            |_, _| true,
            |duration_ms, position_ms, unheard_ms| EventKind::Stopped {
                reason: HANDED_OVER.to_owned(),
                duration_ms,
                position_ms,
                unheard_ms,
            },
        );
    }

    /// Goes on with a fade of a track that began in another session, together with the first playback on it that does.
    pub fn add_track_fade(&mut self, track: u32, fade: TrackFade) {
        self.track_fades.push((track, fade));
    }

    pub(super) fn go_on_fading(&mut self, track: u32) {
        let Self { track_fades, mixer, .. } = self;
        for (track, fade) in track_fades.extract_if(.., |(id, _)| *id == track) {
            mixer.go_on_fading(track, fade);
        }
    }

    /// Returns when the next playback may start that another session hands over at a certain time.
    pub(super) fn hold_deadline(&self) -> Option<WallTime> {
        let held = self.playbacks.loading.iter().map(|loading| loading.request.held_until);
        held.filter(|until| *until > self.wall()).min()
    }
}

fn snapshot_of_sounding(sounding: &Sounding, after: Samples) -> PlaybackSnapshot {
    let Sounding { request, voice, stopping, sought, .. } = sounding;
    let (mut state, mut section) = voice.continuation(after);
    if sought.is_some() {
        // Where it goes on, the end may not be near.
        (state.cross, section.fade_out) = (None, request.fade_out);
    }
    let (position, passes) = match sought.as_ref().map(|sought| &sought.source) {
        Some(Loadable::Reading(reader)) => (reader.from(), reader.section_after(0).passes),
        Some(Loadable::Opening { place, .. }) => (*place, section.passes),
        None => (section.from, section.passes),
    };
    let has_sounded = state.played > 0;
    PlaybackSnapshot {
        phase: if stopping.is_some() { Phase::Stopping } else { Phase::Playing },
        volume: voice.volume.to,
        voice: has_sounded.then_some(state),
        stop_reason: stopping.as_ref().filter(|_| has_sounded).map(|stopping| stopping.reason.clone()),
        passes,
        fade_out: section.fade_out,
        ..unstarted(request, Phase::Playing, sounding.paused_by_user, position)
    }
}

/// Returns the state of a playback that has not started in this session.
fn unstarted(request: &Request, phase: Phase, is_paused: bool, position: Samples) -> PlaybackSnapshot {
    PlaybackSnapshot {
        id: request.id,
        phase,
        is_paused,
        position,
        passes: request.passes,
        fade_out: request.fade_out,
        volume: request.volume,
        priority: request.priority,
        wait_left: 0,
        voice: request.continued.as_ref().and_then(|continued| continued.voice),
        stop_reason: request.continued.as_ref().and_then(|continued| continued.stop_reason.clone()),
        file: request.file.clone(),
    }
}
