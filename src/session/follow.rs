//! What happened, and what follows from it: sources and the mixer tell, the registry says what is to be done.

use super::actor::Actor;
use super::command::Command;
use super::loading::Loaded;
use super::registry::{Action, Ending, Registry};
use crate::audio::{Samples, to_ms};
use crate::error::{Code, SpeakerError};
use crate::event::EventKind;
use crate::mixer::{End, Notice, PlaybackId, What};

impl Actor {
    pub(super) fn poll_sources(&mut self) {
        while let Some((id, loaded)) = self.stage.loading.poll() {
            match loaded {
                Loaded::Ready => {
                    self.follow(|registry| registry.ready(id));
                }
                Loaded::Failed(error) => self.end(id, Ending::Failed(error), 0),
            }
        }
    }

    /// Lets what is sought go on from there.
    pub(super) fn swap_sought(&mut self) {
        while let Some((id, feed)) = self.stage.loading.take_sought() {
            self.notices.extend(self.stage.mixer.go_to(id, feed));
            self.digest();
        }
    }

    /// Turns what the mixer noticed into events, and into what follows.
    pub(super) fn digest(&mut self) {
        for Notice { id, at, what } in std::mem::take(&mut self.notices) {
            match what {
                What::Started => self.tell_of(id, at, EventKind::Started),
                What::Paused(place) => self.tell_of(id, at, EventKind::Paused { position_ms: to_ms(place) }),
                What::Resumed(place) => self.tell_of(id, at, EventKind::Resumed { position_ms: to_ms(place) }),
                What::Near => {
                    self.follow(|registry| registry.near(id));
                }
                What::Progress(place) => {
                    self.tell_of(id, at, EventKind::Progress { position_ms: to_ms(place) });
                }
                What::Stalled(played) => {
                    self.tell_of(id, at, EventKind::Stalled { position_ms: to_ms(played) });
                }
                What::Swapped { spent, sought } => {
                    drop(spent);
                    let told = sought.map(|place| EventKind::Sought { position_ms: to_ms(place) });
                    told.into_iter().for_each(|event| self.tell_of(id, at, event));
                }
                What::Ended { why, played, feed } => {
                    let ending = match (why, feed.outcome()) {
                        (End::Source, Some(Err(error))) => Ending::Failed(error.clone()),
                        (End::Source, _) => Ending::Whole,
                        (End::Stop, _) => Ending::Stopped,
                        (End::Limit, _) => {
                            let message =
                                format!("Expected at most {} ms of audio but received more", to_ms(self.max_duration));
                            Ending::Failed(SpeakerError::new(Code::MaxDuration, message))
                        }
                        (End::Stall, _) => {
                            let message = "the writer of the stream sent nothing for stallTimeoutMs";
                            Ending::Failed(SpeakerError::new(Code::Stalled, message))
                        }
                    };
                    self.end(id, ending, played);
                }
            }
        }
    }

    pub(super) fn end(&mut self, id: PlaybackId, ending: Ending, played: Samples) {
        self.requests.remove(&id);
        self.stage.discard(id);
        let now = self.now();
        self.follow(|registry| registry.ended(id, ending, played, now));
    }

    pub(super) fn perform(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Open(id) => self.stage.loading.open(id),
                Action::Start(id) => {
                    let cued = self.stage.cue(id);
                    self.check(cued);
                }
                Action::Fade(id, samples) => {
                    self.notices.extend(self.stage.stop(id, samples));
                    self.digest();
                }
                Action::Pause(id) => {
                    let paused = self.stage.pause(id);
                    self.check(paused);
                }
                Action::Resume(id) => {
                    let resumed = self.stage.resume(id);
                    self.check(resumed);
                }
                Action::Seek(id, place) => self.stage.seek(id, place),
                Action::Volume(id, volume, fade) => self.stage.set_volume(id, volume, fade),
                Action::Leave(id, samples) => self.stage.mixer.leave(id, samples),
                Action::Discard(id) => {
                    self.requests.remove(&id);
                    self.stage.discard(id);
                }
                Action::Tell(request_id, event) => self.tell(Some(request_id), event),
            }
        }
        self.deadline = self.registry.lock().deadline();
    }

    /// Does what follows, as the registry says. In real time calls go on meanwhile: those that it took before are done before,
    /// so that all is done and told in the order in which it decides. On a manual clock what was called behind an
    /// `advance` waits for it.
    pub(super) fn follow(&mut self, question: impl FnOnce(&mut Registry) -> Vec<Action>) {
        let registry = self.registry.clone();
        let mut registry = registry.lock();
        if self.watch.is_none() {
            let actions = question(&mut registry);
            drop(registry);
            return self.perform(actions);
        }
        while let Ok(command) = self.commands.try_recv() {
            self.receive(command);
        }
        self.inbox.push_back(Command::Apply(question(&mut registry)));
        drop(registry);
        self.catch_up();
    }
}
