//! Which playbacks live, and the overlap policy: a pure function of request and state to actions.
//!
//! Nothing here plays, waits or reads a clock. The caller's thread asks it under its lock, so that an answer (accepted,
//! duplicate, too many) is immediate and `playbacks()` is never stale; the session's actor moves playbacks along.

mod action;
mod queue;
mod rules;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::playback::{Info, Phase, Playback};
use crate::audio::{EDGE_FADE, Samples, to_ms};
use crate::error::{Code, Result, SpeakerError};
use crate::event::EventKind;
use crate::mixer::PlaybackId;

pub use action::{Accepted, Action, Ending, Entry};
pub use rules::{Overlap, Policy, Target};

pub struct Registry {
    policy: Policy,
    /// Live playbacks in order of arrival; a handful, so they are simply searched.
    playbacks: Vec<Playback>,
    last: PlaybackId,
    closed: bool,
}

impl Registry {
    pub fn new(policy: Policy) -> Self {
        Self { policy, playbacks: Vec::new(), last: 0, closed: false }
    }

    /// A name for a request that has none.
    pub fn make_up_name(&mut self) -> String {
        self.last += 1;
        format!("playback-{}", self.last)
    }

    /// Enters a request: its place in the session, and what follows for the others. Refused requests change nothing.
    pub fn play(&mut self, entry: Entry) -> Result<Accepted> {
        let Entry { request_id, track, stop_other } = entry;
        if self.closed {
            return Err(SpeakerError::new(Code::Closed, "Expected an open session for playAudio but it is closed"));
        }
        if self.playbacks.iter().any(|playback| playback.request_id == request_id) {
            let message = format!("Expected a requestId that is not live for playAudio but received \"{request_id}\"");
            return Err(SpeakerError::new(Code::DuplicateRequest, message));
        }
        let overlap = self.policy.overlap;
        let waits = !stop_other && overlap == Overlap::Queue && self.is_busy(track);
        let gives_way = |playback: &Playback| match (stop_other, overlap) {
            (true, _) => Some(Target::All),
            (false, Overlap::Replace) if playback.track == track => Some(Target::Track(track)),
            _ => None,
        };
        let stays = |playback: &&Playback| playback.is_active() && gives_way(playback).is_none();
        let active = self.playbacks.iter().filter(stays).count();
        let queued = self.playbacks.iter().filter(|playback| playback.phase == Phase::Queued).count();
        let Policy { max_concurrent, max_queued, .. } = self.policy;
        if waits && queued >= max_queued {
            let message = format!("too many queued playbacks (max {max_queued})");
            return Err(SpeakerError::new(Code::QueueFull, message));
        }
        if !waits && active >= max_concurrent {
            let message = format!("too many concurrent playbacks (max {max_concurrent})");
            return Err(SpeakerError::new(Code::TooManyPlaybacks, message));
        }

        let mut actions = Vec::new();
        if let Some(target) = self.playbacks.iter().find_map(gives_way) {
            (_, actions) = self.stop(&target, "replaced", EDGE_FADE as Samples);
        }
        let phase = if waits { Phase::Queued } else { Phase::Loading };
        let position: Arc<AtomicU64> = Arc::default();
        self.last += 1;
        let id = self.last;
        self.playbacks.push(Playback::new(id, request_id.clone(), track, phase, position.clone()));
        if waits {
            let place = self.line(track).count();
            actions.push(Action::Tell(request_id, EventKind::Queued { position: place }));
        }
        self.open_next(track, &mut actions);
        Ok(Accepted { id, position, actions })
    }

    /// Stops what is meant: at once what waits or loads, faded what sounds. Says whom it stopped.
    pub fn stop(&mut self, target: &Target, reason: &str, fade: Samples) -> (Vec<String>, Vec<Action>) {
        let meant = |playback: &Playback| match target {
            Target::All => true,
            Target::Request(request_id) => playback.request_id == *request_id,
            Target::Track(track) => playback.track == *track,
        };
        let (mut stopped, mut actions, mut tracks) = (Vec::new(), Vec::new(), Vec::new());
        self.playbacks.retain_mut(|playback| {
            if !meant(playback) {
                return true;
            }
            match playback.phase {
                Phase::Stopping => {
                    // A second stop may only make it shorter; the first one's reason stands.
                    actions.push(Action::Fade(playback.id, fade));
                    return true;
                }
                Phase::Playing => {
                    playback.phase = Phase::Stopping;
                    playback.reason = reason.to_owned();
                    actions.push(Action::Fade(playback.id, fade));
                }
                Phase::Queued | Phase::Loading => {
                    let event = EventKind::Stopped { reason: reason.to_owned(), position_ms: 0.0 };
                    actions.push(Action::Discard(playback.id));
                    actions.push(Action::Tell(playback.request_id.clone(), event));
                }
            }
            stopped.push(playback.request_id.clone());
            tracks.push(playback.track);
            playback.phase == Phase::Stopping
        });
        tracks.sort_unstable();
        tracks.dedup();
        tracks.into_iter().for_each(|track| self.advance(track, &mut actions));
        (stopped, actions)
    }

    /// Its source can be played from.
    pub fn ready(&mut self, id: PlaybackId) -> Vec<Action> {
        let Some(playback) = self.playbacks.iter_mut().find(|playback| playback.id == id) else { return Vec::new() };
        playback.ready = true;
        match playback.phase {
            Phase::Loading => vec![Action::Start(id)],
            _ => Vec::new(),
        }
    }

    /// Its first sample is about to be mixed: from here on a stop fades it. `false` if it was stopped meanwhile.
    pub fn begin(&mut self, id: PlaybackId) -> bool {
        let playback = self.playbacks.iter_mut().find(|playback| playback.id == id);
        playback.map(|playback| playback.phase = Phase::Playing).is_some()
    }

    /// It is over, `played` samples in. A playback that is not live was told of before.
    pub fn ended(&mut self, id: PlaybackId, ending: Ending, played: Samples) -> Vec<Action> {
        let Some(index) = self.playbacks.iter().position(|playback| playback.id == id) else { return Vec::new() };
        let playback = self.playbacks.remove(index);
        let position_ms = to_ms(played);
        let event = match ending {
            // Heard to its end, even if a stop was on its way.
            Ending::Whole => EventKind::Completed { duration_ms: position_ms },
            Ending::Stopped => EventKind::Stopped { reason: playback.reason, position_ms },
            Ending::Failed(error) => EventKind::Failed { code: error.code, message: error.message, position_ms },
        };
        let mut actions = vec![Action::Tell(playback.request_id, event)];
        self.advance(playback.track, &mut actions);
        actions
    }

    /// Takes no more requests.
    pub fn close(&mut self) {
        self.closed = true;
    }

    pub fn live(&self) -> impl Iterator<Item = PlaybackId> {
        self.playbacks.iter().map(|playback| playback.id)
    }

    pub fn infos(&self) -> Vec<Info> {
        let place = |playback: &Playback| self.line(playback.track).position(|other| other.id == playback.id);
        self.playbacks.iter().map(|playback| playback.info(place(playback).map(|index| index + 1))).collect()
    }
}
