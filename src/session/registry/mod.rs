//! Which playbacks live, and the overlap policy: a pure function of request and state to actions.
//!
//! Nothing here plays, waits or reads a clock. The caller's thread asks it under its lock, so that an answer (accepted,
//! duplicate, too many) is immediate and `playbacks()` is never stale; the session's actor moves playbacks along.

mod action;
mod admission;
mod control;
mod crossfade;
mod queue;
mod rules;
mod tombstones;

use super::playback::{Info, Phase, Playback};
use crate::audio::{Samples, to_ms};
use crate::error::{Result, SpeakerError};
use crate::event::EventKind;
use crate::mixer::PlaybackId;

pub use super::playback::Entry;
pub use action::{Accepted, Action, Ending};
use crossfade::Exit;
pub use rules::{Overlap, Policy, Target};
use tombstones::Tombstones;

pub struct Registry {
    policy: Policy,
    /// Live playbacks in order of arrival, apart from those that wait: in the order of their line. A handful, so they are
    /// simply searched.
    playbacks: Vec<Playback>,
    last: PlaybackId,
    tombstones: Tombstones,
    closed: bool,
}

impl Registry {
    pub fn new(policy: Policy) -> Self {
        Self { policy, playbacks: Vec::new(), last: 0, tombstones: Tombstones::default(), closed: false }
    }

    /// A name for a request that has none.
    pub fn make_up_name(&mut self) -> String {
        self.last += 1;
        format!("playback-{}", self.last)
    }

    /// Enters a request at a time: its place in the session, and what follows for the others. Refused requests change
    /// nothing; one that is over a limit, or was stopped before it came, is told of its end and changes nothing else.
    pub fn play(&mut self, mut entry: Entry, now: Samples) -> Result<Accepted> {
        self.check_name(&entry.request_id)?;
        if let Some(reason) = self.tombstones.meet(&entry.request_id, now) {
            return Ok(self.over(entry, now, EventKind::Stopped { reason, duration_ms: 0.0, position_ms: 0.0 }));
        }
        let Entry { track, stop_other, .. } = entry;
        let waits = !stop_other && self.policy.overlap == Overlap::Queue && self.is_busy(track);
        let leaving = self.gives_way(&entry);
        if let Err(error) = self.check_room(entry.role, waits, leaving.as_ref()) {
            let SpeakerError { code, message } = error;
            let event = EventKind::Failed { code, message, duration_ms: 0.0, position_ms: 0.0 };
            return Ok(self.over(entry, now, event));
        }

        let mut actions = Vec::new();
        if let Some(target) = leaving {
            let exit = Exit::of_replaced(if stop_other { 0 } else { self.policy.crossfade });
            (_, actions) = self.leave(&target, "replaced", exit, now);
        }
        self.last += 1;
        entry.queue_timeout.get_or_insert(self.policy.queue_timeout);
        let phase = if waits { Phase::Queued } else { Phase::Loading };
        let playback = Playback::new(self.last, entry, phase, now);
        let entered = (playback.id, playback.position.clone());
        self.insert(playback);
        self.line_up(track, &mut actions);
        Ok(Accepted { entered: Some(entered), actions })
    }

    /// Its one event is its end.
    fn over(&mut self, entry: Entry, now: Samples, end: EventKind) -> Accepted {
        self.tombstones.ended(entry.request_id.clone(), now);
        Accepted { entered: None, actions: vec![Action::Tell(entry.request_id, end)] }
    }

    /// Stops what is meant: at once what waits or loads, faded what sounds. Says whom it stopped, and where they were.
    pub fn stop(&mut self, target: &Target, reason: &str, fade: Samples, now: Samples) -> (Vec<Info>, Vec<Action>) {
        if let Target::Request(request_id) = target
            && !self.playbacks.iter().any(|playback| target.means(playback))
        {
            self.tombstones.stop(request_id, reason, now);
        }
        let (stopped, mut actions) = self.leave(target, reason, Exit::Fade(fade), now);
        let mut tracks: Vec<_> = stopped.iter().map(|info| info.track).collect();
        tracks.sort_unstable();
        tracks.dedup();
        tracks.into_iter().for_each(|track| self.advance(track, &mut actions));
        (stopped, actions)
    }

    /// The same, and nobody follows yet.
    fn leave(&mut self, target: &Target, reason: &str, exit: Exit, now: Samples) -> (Vec<Info>, Vec<Action>) {
        let (mut stopped, mut actions) = (Vec::new(), Vec::new());
        self.playbacks.retain_mut(|playback| {
            if !target.means(playback) {
                return true;
            }
            let info = playback.info();
            match playback.phase {
                Phase::Stopping => {
                    // A second stop may only make it shorter; the first one's reason stands.
                    actions.extend(exit.hasten(playback));
                    return true;
                }
                Phase::Playing => {
                    playback.phase = Phase::Stopping;
                    playback.reason = reason.to_owned();
                    actions.push(exit.begin(playback));
                }
                Phase::Queued | Phase::Loading => {
                    let position_ms = to_ms(playback.position());
                    let event = EventKind::Stopped { reason: reason.to_owned(), duration_ms: 0.0, position_ms };
                    actions.push(Action::Discard(playback.id));
                    actions.push(Action::Tell(playback.request_id.clone(), event));
                    self.tombstones.ended(playback.request_id.clone(), now);
                }
            }
            stopped.push(info);
            playback.phase == Phase::Stopping
        });
        (stopped, actions)
    }

    /// Its source can be played from.
    pub fn ready(&mut self, id: PlaybackId) -> Vec<Action> {
        let Some(playback) = self.playbacks.iter_mut().find(|playback| playback.id == id) else { return Vec::new() };
        playback.ready = true;
        match playback.phase {
            Phase::Loading if !playback.paused => vec![Action::Start(id)],
            _ => Vec::new(),
        }
    }

    /// Its first sample is about to be mixed: from here on a stop fades it. `false` if it was stopped or paused meanwhile.
    pub fn begin(&mut self, id: PlaybackId) -> bool {
        let waits = |playback: &&mut Playback| playback.id == id && !playback.paused;
        let Some(playback) = self.playbacks.iter_mut().find(waits) else { return false };
        playback.phase = Phase::Playing;
        let track = playback.track;
        self.succeed(track);
        true
    }

    /// It is over, after `played` samples. A playback that is not live was told of before.
    pub fn ended(&mut self, id: PlaybackId, ending: Ending, played: Samples, now: Samples) -> Vec<Action> {
        let Some(index) = self.playbacks.iter().position(|playback| playback.id == id) else { return Vec::new() };
        let playback = self.playbacks.remove(index);
        let (duration_ms, position_ms) = (to_ms(played), to_ms(playback.position()));
        let event = match ending {
            // Heard to its end, even if a stop was on its way.
            Ending::Whole => EventKind::Completed { duration_ms, position_ms },
            Ending::Stopped => EventKind::Stopped { reason: playback.reason, duration_ms, position_ms },
            Ending::Failed(error) => {
                EventKind::Failed { code: error.code, message: error.message, duration_ms, position_ms }
            }
        };
        self.tombstones.ended(playback.request_id.clone(), now);
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
        self.playbacks.iter().map(Playback::info).collect()
    }
}
