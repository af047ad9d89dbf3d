//! The session actor: the one task that owns all that sounds, and the only one that publishes events.
//!
//! Tick order: mix → (a voice ends: the registry says what follows, and mixing goes on at that sample) → hand the frame
//! over → publish. So an event is told after its sample was handed over, never before.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::mpsc::UnboundedReceiver;

use super::command::Command;
use super::publisher::Publisher;
use super::registry::{Ending, Registry};
use super::stage::{Stage, Wake};
use super::{Counters, Options};
use crate::audio::{FRAME, Samples};
use crate::error::{Code, SpeakerError};
use crate::event::{EventKind, Sink};
use crate::mixer::{Notice, PlaybackId, What};
use crate::output::{Meanwhile, News, Watch};
use crate::source::Progress;

pub struct Actor {
    pub(super) registry: Arc<Mutex<Registry>>,
    pub(super) commands: UnboundedReceiver<Command>,
    /// Commands in order of arrival; the manual clock makes those behind an `advance` wait for it.
    pub(super) inbox: VecDeque<Command>,
    /// What is in the inbox is being done.
    pub(super) busy: bool,
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
    pub(super) max_duration: Samples,
}

impl Actor {
    pub fn new(
        options: Options,
        registry: Arc<Mutex<Registry>>,
        counters: Arc<Counters>,
        progress: Arc<Progress>,
        watch: Option<Watch>,
        sink: Sink,
        commands: UnboundedReceiver<Command>,
    ) -> Self {
        Self {
            registry,
            commands,
            inbox: VecDeque::new(),
            busy: false,
            closing: false,
            max_duration: options.max_duration,
            stage: Stage::new(options, progress),
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
                    Wake::Frame => {
                        self.tick(FRAME);
                    }
                    Wake::News(news) => self.hear(news),
                    Wake::Source => {
                        // A stream that was dormant may go on.
                        let woken = self.stage.wake();
                        self.check(woken);
                    }
                },
                () = Watch::alarm(self.watch, self.deadline) => {}
                command = self.commands.recv() => self.receive(command.unwrap_or(Command::Close(None))),
            }
            self.poll_sources();
            // On a manual clock `advance` does it: how fast a place loads must not come between calls at one time.
            if self.watch.is_some() {
                self.swap_sought();
            }
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
        // First of all: who comes while the others are told connects anew.
        drop(self.stage.disconnect());
        let (connecting, was_connected) =
            (std::mem::take(&mut self.connecting), std::mem::take(&mut self.was_connected));
        self.fail_live(&error);
        if was_connected {
            self.tell(None, EventKind::Disconnected { reason });
        }
        connecting.into_iter().for_each(|ticket| self.settle(ticket, Some(error.clone())));
    }

    pub(super) fn answer_connects(&mut self, error: Option<SpeakerError>) {
        for ticket in std::mem::take(&mut self.connecting) {
            self.settle(ticket, error.clone());
        }
    }

    /// Mixes so many samples and hands them over. Says how many it were: fewer on a clock that waits, if a source is wanted
    /// from a sample in between on.
    pub(super) fn tick(&mut self, frames: usize) -> usize {
        self.stage.mixer.begin(frames);
        loop {
            let registry = &self.registry;
            let begun = self.stage.begin(|id| registry.lock().begin(id));
            self.check(begun);
            let more = self.stage.mixer.mix(&mut self.notices);
            self.digest();
            if !more || self.stage.must_wait() {
                break;
            }
        }
        let mixed = self.stage.mixer.finish();
        let handed_over = self.stage.hand_over(mixed);
        self.check(handed_over);
        self.publish();
        mixed
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

    pub(super) fn tell_of(&mut self, id: PlaybackId, at: Samples, event: EventKind) {
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
