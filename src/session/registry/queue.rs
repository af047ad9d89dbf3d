//! The lines: who waits on which track, and whose turn it is.

use super::{Action, Registry};
use crate::session::playback::{Phase, Playback};

impl Registry {
    pub(super) fn line(&self, track: u32) -> impl Iterator<Item = &Playback> {
        self.playbacks.iter().filter(move |playback| playback.track == track && playback.phase == Phase::Queued)
    }

    pub(super) fn is_busy(&self, track: u32) -> bool {
        self.playbacks.iter().any(|playback| playback.track == track && playback.phase != Phase::Stopping)
    }

    /// Gives a free track to the next in line.
    pub(super) fn advance(&mut self, track: u32, actions: &mut Vec<Action>) {
        if self.playbacks.iter().any(|playback| playback.track == track && playback.is_active()) {
            return;
        }
        let next =
            self.playbacks.iter_mut().find(|playback| playback.track == track && playback.phase == Phase::Queued);
        let Some(next) = next else { return };
        next.phase = Phase::Loading;
        if next.ready {
            actions.push(Action::Start(next.id));
        }
        self.open_next(track, actions);
    }

    /// Opens what loads, and the first that waits behind it, so that it can start without a gap.
    pub(super) fn open_next(&mut self, track: u32, actions: &mut Vec<Action>) {
        let mut next_in_line = true;
        for playback in self.playbacks.iter_mut().filter(|playback| playback.track == track) {
            let wanted = match playback.phase {
                Phase::Queued => std::mem::take(&mut next_in_line),
                _ => true,
            };
            if wanted && !playback.opened {
                playback.opened = true;
                actions.push(Action::Open(playback.id));
            }
        }
    }
}
