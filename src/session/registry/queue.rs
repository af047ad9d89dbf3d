//! The lines: who waits on which track, in which order, for how long, and whose turn it is.

use super::{Action, Registry};
use crate::audio::{Samples, to_ms};
use crate::error::Code;
use crate::event::EventKind;
use crate::mixer::PlaybackId;
use crate::session::playback::{Phase, Playback};

impl Registry {
    /// Puts a playback where it belongs: one that waits behind everyone in its line who came before it with the same
    /// priority or more.
    pub(super) fn insert(&mut self, playback: Playback) {
        let track = playback.track;
        let overtaken = |other: &&Playback| other.priority >= playback.priority;
        let behind = self.line(track).filter(overtaken).last().map(|other| other.id);
        let place = match (playback.phase, behind) {
            (Phase::Queued, Some(id)) => self.index(id).map(|index| index + 1),
            (Phase::Queued, None) => self.line(track).next().and_then(|first| self.index(first.id)),
            _ => None,
        };
        self.playbacks.insert(place.unwrap_or(self.playbacks.len()), playback);
    }

    /// Moves what waits to a place in its line, 1 is next and beyond the end is the end. `false` if it does not wait.
    pub fn move_to(&mut self, request_id: &str, place: usize) -> (bool, Vec<Action>) {
        let mut actions = Vec::new();
        let waits = |playback: &Playback| playback.request_id == request_id && playback.phase == Phase::Queued;
        let Some(index) = self.playbacks.iter().position(waits) else { return (false, actions) };
        let playback = self.playbacks.remove(index);
        let track = playback.track;
        let others: Vec<_> = self.line(track).map(|other| other.id).collect();
        let target = match others.get(place.saturating_sub(1)) {
            Some(next) => self.index(*next),
            None => others.last().and_then(|last| self.index(*last)).map(|last| last + 1),
        };
        self.playbacks.insert(target.unwrap_or(index), playback);
        self.line_up(track, &mut actions);
        (true, actions)
    }

    /// When the next one has waited long enough.
    pub fn deadline(&self) -> Option<Samples> {
        self.playbacks.iter().filter_map(Playback::deadline).min()
    }

    /// Gives up what has waited long enough.
    pub fn expire(&mut self, now: Samples) -> Vec<Action> {
        let (mut actions, mut tracks) = (Vec::new(), Vec::new());
        let is_over = |playback: &mut Playback| playback.deadline().is_some_and(|deadline| deadline <= now);
        for playback in self.playbacks.extract_if(.., is_over) {
            let message = format!("waited for its turn longer than {} ms", to_ms(playback.queue_timeout));
            let event = EventKind::Failed {
                code: Code::QueueTimeout,
                message,
                duration_ms: 0.0,
                position_ms: to_ms(playback.position()),
            };
            self.tombstones.ended(playback.request_id.clone(), now);
            actions.extend([Action::Discard(playback.id), Action::Tell(playback.request_id, event)]);
            tracks.push(playback.track);
        }
        tracks.sort_unstable();
        tracks.dedup();
        tracks.into_iter().for_each(|track| self.line_up(track, &mut actions));
        actions
    }

    pub(super) fn is_busy(&self, track: u32) -> bool {
        self.playbacks
            .iter()
            .any(|playback| playback.track == track && (playback.is_active() || playback.phase == Phase::Queued))
    }

    /// Gives a free track to the next in line.
    pub(super) fn advance(&mut self, track: u32, actions: &mut Vec<Action>) {
        self.release(track, actions);
        if !self.playbacks.iter().any(|playback| playback.track == track && playback.is_active()) {
            let waits = |playback: &&mut Playback| playback.track == track && playback.phase == Phase::Queued;
            if let Some(next) = self.playbacks.iter_mut().find(waits) {
                next.phase = Phase::Loading;
                if next.ready && !next.paused {
                    actions.push(Action::Start(next.id));
                }
            }
        }
        self.line_up(track, actions);
    }

    /// Tells who waits where, if that is news, and opens what loads and the first that waits behind it, so that it can
    /// start without a gap.
    pub(super) fn line_up(&mut self, track: u32, actions: &mut Vec<Action>) {
        let mut places = 0;
        for playback in self.playbacks.iter_mut().filter(|playback| playback.track == track) {
            let waits = playback.phase == Phase::Queued;
            places += usize::from(waits);
            let place = waits.then_some(places);
            if playback.place != place {
                playback.place = place;
                let event = place.map(|position| EventKind::Queued { position });
                actions.extend(event.map(|event| Action::Tell(playback.request_id.clone(), event)));
            }
            if (!waits || places == 1) && !playback.opened {
                playback.opened = true;
                actions.push(Action::Open(playback.id));
            }
        }
    }

    fn line(&self, track: u32) -> impl Iterator<Item = &Playback> {
        self.playbacks.iter().filter(move |playback| playback.track == track && playback.phase == Phase::Queued)
    }

    fn index(&self, id: PlaybackId) -> Option<usize> {
        self.playbacks.iter().position(|playback| playback.id == id)
    }
}
