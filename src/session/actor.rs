//! The session actor: the one task that owns all that sounds, and the only one that publishes events.
//!
//! Tick order: mix → (a voice ends: the registry says what follows, and mixing goes on at that sample) → hand the frame
//! over → publish. So an event is told after its sample was handed over, never before.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::mpsc::UnboundedReceiver;

use super::command::Command;
use super::loading::Loaded;
use super::patience;
use super::publisher::Publisher;
use super::registry::{Action, Ending, Registry};
use super::stage::{Stage, Wake};
use super::{Counters, Options};
use crate::audio::{FRAME, Samples, to_ms};
use crate::error::{Code, SpeakerError};
use crate::event::{EventKind, Sink};
use crate::mixer::{End, Notice, PlaybackId, What};
use crate::output::{Meanwhile, News, Watch};

pub struct Actor {
    pub(super) registry: Arc<Mutex<Registry>>,
    pub(super) commands: UnboundedReceiver<Command>,
    /// Commands in order of arrival; the manual clock makes those behind an `advance` wait for it.
    pub(super) inbox: VecDeque<Command>,
    pub(super) closing: bool,
    pub(super) stage: Stage,
    pub(super) requests: HashMap<PlaybackId, String>,
    pub(super) notices: Vec<Notice>,
    /// Tickets of `connect` that wait for the output.
    pub(super) connecting: Vec<u32>,
    /// `connected` was told, and `disconnected` was not.
    pub(super) was_connected: bool,
    /// The wall clock of a realtime session; a manual one has its own time only.
    pub(super) watch: Option<Watch>,
    /// When the registry wants to be asked again.
    pub(super) deadline: Option<Samples>,
    publisher: Publisher,
    max_duration: Samples,
}

impl Actor {
    pub fn new(
        options: Options,
        registry: Arc<Mutex<Registry>>,
        counters: Arc<Counters>,
        watch: Option<Watch>,
        sink: Sink,
        commands: UnboundedReceiver<Command>,
    ) -> Self {
        Self {
            registry,
            commands,
            inbox: VecDeque::new(),
            closing: false,
            max_duration: options.max_duration,
            stage: Stage::new(options),
            requests: HashMap::new(),
            notices: Vec::new(),
            connecting: Vec::new(),
            was_connected: false,
            watch,
            deadline: None,
            publisher: Publisher::new(counters, sink),
        }
    }

    pub async fn run(mut self) {
        loop {
            tokio::select! {
                biased;
                wake = self.stage.wait() => match wake {
                    Wake::Frame => self.tick(FRAME),
                    Wake::News(news) => self.hear(news),
                    Wake::Source => {}
                },
                () = patience::end(self.watch, self.deadline) => {}
                command = self.commands.recv() => self.receive(command.unwrap_or(Command::Close(None))),
            }
            self.poll_sources();
            self.expire();
            if let Some(ticket) = self.work_inbox() {
                return self.close(ticket).await;
            }
            let rested = self.stage.rest();
            self.check(rested);
            self.publish();
        }
    }

    /// The output lives by itself: it was joined, a stream was opened, or all is lost.
    fn hear(&mut self, news: News) {
        match news {
            News::Connected => {
                self.was_connected = true;
                self.tell(None, EventKind::Connected);
                self.answer_connects(None);
            }
            News::Opened(_) => {}
            News::Reconnecting(reason) => return self.tell(None, EventKind::Reconnecting { reason }),
            News::Cut(meanwhile) => return self.hold(meanwhile),
            News::Reconnected => {
                self.tell(None, EventKind::Reconnected);
                self.answer_connects(None);
            }
            News::Muted(track, true) => return self.tell(None, EventKind::Muted { track_id: track }),
            News::Muted(track, false) => return self.tell(None, EventKind::Unmuted { track_id: track }),
            News::Link(link) => return *self.publisher.counters().link.lock() = link,
            News::Lost(error, reason) => return self.lose(error, reason),
        }
        let woken = self.stage.wake();
        self.check(woken);
    }

    /// Nothing can be heard until the output is mended.
    fn hold(&mut self, meanwhile: Meanwhile) {
        match meanwhile {
            // Time stands still for what plays, so that no position tells of samples that went nowhere.
            Meanwhile::Pause => self.stage.halt(),
            Meanwhile::Continue => {}
            Meanwhile::Drop => {
                let message = "the LiveKit room can't be reached for now (onReconnect: 'drop')";
                self.fail_live(&SpeakerError::new(Code::Disconnected, message));
            }
        }
    }

    /// The output is gone, and everything that lives with it; the next request connects anew.
    fn lose(&mut self, error: SpeakerError, reason: String) {
        self.fail_live(&error);
        drop(self.stage.disconnect());
        if std::mem::take(&mut self.was_connected) {
            self.tell(None, EventKind::Disconnected { reason });
        }
        self.answer_connects(Some(error));
    }

    pub(super) fn answer_connects(&mut self, error: Option<SpeakerError>) {
        for ticket in std::mem::take(&mut self.connecting) {
            self.settle(ticket, error.clone());
        }
    }

    pub(super) fn tick(&mut self, frames: usize) {
        self.stage.mixer.begin(frames);
        loop {
            let registry = &self.registry;
            let begun = self.stage.begin(|id| registry.lock().begin(id));
            self.check(begun);
            let more = self.stage.mixer.mix(&mut self.notices);
            self.digest();
            if !more {
                break;
            }
        }
        let handed_over = self.stage.hand_over();
        self.check(handed_over);
        self.publish();
    }

    pub(super) fn poll_sources(&mut self) {
        while let Some((id, loaded)) = self.stage.loading.poll() {
            match loaded {
                Loaded::Ready => {
                    let actions = self.registry.lock().ready(id);
                    self.perform(actions);
                }
                Loaded::Failed(error) => self.end(id, Ending::Failed(error), 0),
            }
        }
    }

    /// Turns what the mixer noticed into events, and into what follows.
    pub(super) fn digest(&mut self) {
        for Notice { id, at, what } in std::mem::take(&mut self.notices) {
            match what {
                What::Started => self.tell_of(id, at, EventKind::Started),
                What::Paused(place) => self.tell_of(id, at, EventKind::Paused { position_ms: to_ms(place) }),
                What::Resumed(place) => self.tell_of(id, at, EventKind::Resumed { position_ms: to_ms(place) }),
                What::Progress(place) => {
                    self.tell_of(id, at, EventKind::Progress { position_ms: to_ms(place) });
                }
                What::Stalled(played) => {
                    self.tell_of(id, at, EventKind::Stalled { position_ms: to_ms(played) });
                }
                What::Spent(feed) => drop(feed),
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
        let actions = self.registry.lock().ended(id, ending, played, now);
        self.perform(actions);
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
                Action::Pause(id) => self.stage.pause(id),
                Action::Resume(id) => {
                    let resumed = self.stage.resume(id);
                    self.check(resumed);
                }
                Action::Volume(id, volume, fade) => self.stage.set_volume(id, volume, fade),
                Action::Discard(id) => {
                    self.requests.remove(&id);
                    self.stage.discard(id);
                }
                Action::Tell(request_id, event) => self.tell(Some(request_id), event),
            }
        }
        self.deadline = self.registry.lock().deadline();
    }

    /// If the output failed, everything that lives fails with it; the session may try again.
    pub(super) fn check(&mut self, result: Result<(), SpeakerError>) {
        let Err(error) = result else { return };
        tracing::warn!(%error, "the output failed");
        let SpeakerError { code, message } = error.clone();
        self.publisher.retract(&error);
        self.tell(None, EventKind::Error { code, message });
        self.fail_live(&error);
    }

    fn fail_live(&mut self, error: &SpeakerError) {
        let lost = self.stage.cut();
        // What is still on its way here will meet the output itself.
        let live: Vec<_> = self.registry.lock().live().filter(|id| self.requests.contains_key(id)).collect();
        for id in live {
            let played = lost.iter().find(|notice| notice.id == id).map_or(0, |notice| match notice.what {
                What::Ended { played, .. } => played,
                _ => 0,
            });
            self.end(id, Ending::Failed(error.clone()), played);
        }
    }

    fn tell_of(&mut self, id: PlaybackId, at: Samples, event: EventKind) {
        if let Some(request_id) = self.requests.get(&id) {
            self.publisher.note(at, Some(request_id.clone()), event);
        }
    }

    pub(super) fn tell(&mut self, request_id: Option<String>, event: EventKind) {
        self.publisher.note(self.stage.mixer.now(), request_id, event);
    }

    pub(super) fn settle(&mut self, ticket: u32, error: Option<SpeakerError>) {
        self.publish();
        self.publisher.settle(ticket, error);
    }

    pub(super) fn publish(&mut self) {
        let counters = self.publisher.counters();
        Counters::set(&counters.now, self.stage.mixer.now());
        Counters::set(&counters.underruns, self.stage.mixer.underruns());
        Counters::set(&counters.dropped_frames, self.stage.dropped_frames());
        Counters::set(&counters.lost_frames, self.stage.lost_frames());
        self.publisher.publish();
    }
}
