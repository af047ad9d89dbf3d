//! What is done to playbacks while they live.

use std::sync::atomic::Ordering::Relaxed;

use super::{Action, Registry, Target};
use crate::audio::{Samples, to_ms};
use crate::error::{Code, Result, SpeakerError};
use crate::event::EventKind;
use crate::mixer::PlaybackId;
use crate::session::playback::{Phase, Playback};

impl Registry {
    /// Holds back what is meant; says whom. What waits keeps its place in line, and its turn if that comes.
    pub fn pause(&mut self, target: &Target) -> (Vec<String>, Vec<Action>) {
        let going = self.going();
        self.control(target, |playback, actions| {
            if playback.phase == Phase::Stopping || std::mem::replace(&mut playback.paused, true) {
                return false;
            }
            // Its end is not near any more, unless the next one has its turn.
            playback.near &= going.contains(&playback.id);
            actions.push(Action::Pause(playback.id));
            // Of what plays the mixer tells, once it is silent.
            if playback.phase != Phase::Playing {
                let event = EventKind::Paused { position_ms: to_ms(playback.position()) };
                actions.push(Action::Tell(playback.request_id.clone(), event));
            }
            true
        })
    }

    /// Lets go on what is meant and paused; says whom.
    pub fn resume(&mut self, target: &Target) -> (Vec<String>, Vec<Action>) {
        self.control(target, |playback, actions| {
            if !std::mem::take(&mut playback.paused) {
                return false;
            }
            // Also if it is not known to play: it may have begun before the actor hears of its pause.
            actions.push(Action::Resume(playback.id));
            if playback.phase != Phase::Playing {
                let event = EventKind::Resumed { position_ms: to_ms(playback.position()) };
                actions.push(Action::Tell(playback.request_id.clone(), event));
            }
            if playback.phase == Phase::Loading && playback.ready {
                actions.push(Action::Start(playback.id));
            }
            true
        })
    }

    /// Changes the volume of what is meant over the next `fade` samples, of what fades out too; says whose.
    pub fn set_volume(&mut self, target: &Target, volume: f32, fade: Samples) -> (Vec<String>, Vec<Action>) {
        self.control(target, |playback, actions| {
            actions.push(Action::Volume(playback.id, volume, fade));
            true
        })
    }

    /// Moves what is meant to another place in its source; says whom. If one of them can't be sought, none is; who is on its
    /// way out stays where it is.
    pub fn seek(&mut self, target: &Target, place: Samples) -> (Result<Vec<String>>, Vec<Action>) {
        let going = self.going();
        let stays = |playback: &Playback| going.contains(&playback.id);
        let is_fixed = |playback: &&Playback| target.means(playback) && !stays(playback) && !playback.seekable.get();
        if let Some(Playback { request_id, .. }) = self.playbacks.iter().find(is_fixed) {
            let message =
                format!("Expected a source that has an end for seekAudio but that of \"{request_id}\" has none yet");
            return (Err(SpeakerError::new(Code::NotSeekable, message)), Vec::new());
        }
        let (names, actions) = self.control(target, |playback, actions| {
            if stays(playback) {
                return false;
            }
            actions.push(Action::Seek(playback.id, place));
            playback.near = false;
            // Of what plays the mixer tells, once it is there.
            if playback.phase != Phase::Playing {
                playback.ready = false;
                playback.position.store(place, Relaxed);
                let event = EventKind::Sought { position_ms: to_ms(place) };
                actions.push(Action::Tell(playback.request_id.clone(), event));
            }
            true
        });
        (Ok(names), actions)
    }

    /// Who fades out, or crosses over to one that has its turn.
    fn going(&self) -> Vec<PlaybackId> {
        let has_turn = |track| self.playbacks.iter().any(|other| other.track == track && other.is_active());
        let is_going =
            |playback: &&Playback| playback.phase == Phase::Stopping || playback.near && has_turn(playback.track);
        self.playbacks.iter().filter(is_going).map(|playback| playback.id).collect()
    }

    /// Does something to everyone who is meant; says to whom it applied.
    fn control(
        &mut self,
        target: &Target,
        mut act: impl FnMut(&mut Playback, &mut Vec<Action>) -> bool,
    ) -> (Vec<String>, Vec<Action>) {
        let mut actions = Vec::new();
        let meant = |playback: &&mut Playback| target.means(playback);
        let names = self
            .playbacks
            .iter_mut()
            .filter(meant)
            .filter_map(|playback| act(playback, &mut actions).then(|| playback.request_id.clone()));
        (names.collect(), actions)
    }
}
