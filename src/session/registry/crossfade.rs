//! Who crosses over to whom: the next in line begins before the present one's end, and what is replaced goes on until its
//! successor begins.

use super::{Action, Registry};
use crate::audio::{EDGE_FADE, Samples};
use crate::mixer::PlaybackId;
use crate::session::playback::{Phase, Playback};

/// How what sounds comes to its end.
#[derive(Debug, Clone, Copy)]
pub enum Exit {
    Fade(Samples),
    /// It crosses over to its successor in so many samples.
    Cross(Samples),
}

impl Exit {
    /// For what is replaced, with a crossfade or without.
    pub fn of_replaced(crossfade: Samples) -> Self {
        match crossfade {
            0 => Self::Fade(EDGE_FADE as Samples),
            samples => Self::Cross(samples),
        }
    }

    pub fn begin(self, playback: &mut Playback) -> Action {
        let was_paused = std::mem::take(&mut playback.paused);
        match self {
            Self::Fade(samples) => Action::Fade(playback.id, samples),
            // Nothing of it is heard that could cross over.
            Self::Cross(_) if was_paused => Action::Fade(playback.id, EDGE_FADE as Samples),
            Self::Cross(samples) => {
                playback.leaving = true;
                Action::Leave(playback.id, samples)
            }
        }
    }

    /// For one that is on its way out already: only a fade makes it shorter.
    pub fn hasten(self, playback: &mut Playback) -> Option<Action> {
        match self {
            Self::Fade(samples) => {
                playback.leaving = false;
                Some(Action::Fade(playback.id, samples))
            }
            Self::Cross(_) => None,
        }
    }
}

impl Registry {
    /// Its end is so near that what follows crosses over with it.
    pub fn near(&mut self, id: PlaybackId) -> Vec<Action> {
        let mut actions = Vec::new();
        if let Some(playback) = self.playbacks.iter_mut().find(|playback| playback.id == id) {
            playback.near = true;
            let track = playback.track;
            self.advance(track, &mut actions);
        }
        actions
    }

    /// One begins on a track: what it replaces is crossing over to it.
    pub(super) fn succeed(&mut self, track: u32) {
        self.playbacks
            .iter_mut()
            .filter(|playback| playback.track == track)
            .for_each(|playback| playback.leaving = false);
    }

    /// What was replaced ends if no successor is left to wait for.
    pub(super) fn release(&mut self, track: u32, actions: &mut Vec<Action>) {
        let on_track = |playback: &&mut Playback| playback.track == track;
        if self.playbacks.iter_mut().filter(on_track).any(|playback| playback.phase == Phase::Loading) {
            return;
        }
        for playback in self.playbacks.iter_mut().filter(on_track).filter(|playback| playback.leaving) {
            actions.extend(Exit::Fade(EDGE_FADE as Samples).hasten(playback));
        }
    }
}
