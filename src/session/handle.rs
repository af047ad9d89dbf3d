//! A session as its caller holds it. Every method returns at once; what takes time answers through the sink.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use parking_lot::Mutex;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::actor::Actor;
use super::command::{Command, Upcoming};
use super::playback::Info;
use super::registry::{Accepted, Action, Entry, Registry, Target};
use super::{Clock, Counters, Options, Stream, Tap};
use crate::audio::Samples;
use crate::error::{Code, Result, SpeakerError};
use crate::event::{Message, Sink};
use crate::mixer::{PlaybackId, Role};
use crate::output::{Backlog, PcmFormat, PcmSink, TapRequest, Watch};
use crate::runtime::RUNTIME;
use crate::source::{Origin, Pipe, Progress, Source};

/// What to play, and how. Values are checked by whoever builds it.
#[derive(Debug, Clone)]
pub struct PlayRequest {
    /// Unique among live playbacks; made up if missing.
    pub request_id: Option<String>,
    pub track: u32,
    pub role: Role,
    pub stop_other: bool,
    /// Waits in front of those with less; 0 as a rule.
    pub priority: i32,
    /// The longest it may wait for its turn, 0 for ever; `None` for what the session says.
    pub queue_timeout: Option<Samples>,
    /// Linear, and so is the gain on top of it.
    pub volume: f32,
    pub gain: f32,
    pub fade_in: Samples,
    /// In place of the session's.
    pub stall_timeout: Option<Samples>,
    pub source: Source,
}

#[derive(Debug, Clone)]
pub struct StopRequest {
    pub target: Target,
    pub reason: String,
    pub fade_out: Samples,
}

/// Dropping it closes the session.
pub struct Handle {
    options: Options,
    registry: Arc<Mutex<Registry>>,
    counters: Arc<Counters>,
    progress: Arc<Progress>,
    /// As the actor has it.
    watch: Option<Watch>,
    /// Unbounded, since it can't grow by itself: the registry bounds what lives, and each call came from outside.
    commands: UnboundedSender<Command>,
    sink: Sink,
}

impl Handle {
    pub fn new(options: Options, sink: Sink) -> Self {
        let registry = Arc::new(Mutex::new(Registry::new(options.policy)));
        let counters = Arc::<Counters>::default();
        let ahead = options.policy.ahead() as usize;
        let eager = options.clock == Clock::Manual;
        let progress = Arc::new(Progress { eager, ahead, ..Progress::default() });
        let (commands, receiver) = unbounded_channel();
        let watch = (options.clock == Clock::Realtime).then(Watch::start);
        let (told, waking) = (counters.clone(), progress.clone());
        let actor = Actor::new(options.clone(), registry.clone(), told, waking, watch, sink.clone(), receiver);
        RUNTIME.spawn(async {
            actor.run().await;
            tracing::info!(tasks = RUNTIME.metrics().num_alive_tasks(), "a session ended");
        });
        Self { options, registry, counters, progress, watch, commands, sink }
    }

    /// Takes a request and says its `requestId`: it ends in exactly one terminal event. One that is over a limit is taken
    /// too, and fails; any other that can't be taken is refused here and has no event.
    pub fn play(&self, request: PlayRequest) -> Result<String> {
        self.take(request).map(|(request_id, _)| request_id)
    }

    /// Takes a request whose source is what `pipe` is the writer's end of.
    pub fn stream(&self, request: PlayRequest, pipe: Arc<Pipe>) -> Result<Stream> {
        let (request_id, id) = self.take(request)?;
        Ok(Stream::new(request_id, id, pipe, self.commands.downgrade(), self.sink.clone()))
    }

    /// As [`play`](Self::play); names the playback too, if there is one.
    fn take(&self, request: PlayRequest) -> Result<(String, Option<PlaybackId>)> {
        // Held while sending, so that the actor sees calls in the order in which the registry took them.
        let mut registry = self.registry.lock();
        let request_id = request.request_id.unwrap_or_else(|| registry.make_up_name());
        let PlayRequest { track, role, stop_other, priority, queue_timeout, .. } = request;
        let seekable = request.source.seekable.clone();
        let request_name = request_id.clone();
        let entry = Entry { request_id: request_name, track, role, stop_other, priority, queue_timeout, seekable };
        let Accepted { entered, actions } = registry.play(entry, self.now())?;
        let Some((id, position)) = entered else {
            let _ = self.commands.send(Command::Apply(actions));
            return Ok((request_id, None));
        };
        position.store(request.source.clip.from, Relaxed);
        let upcoming = Upcoming {
            id,
            request_id: request_id.clone(),
            track,
            role,
            volume: request.volume,
            gain: request.gain * self.options.gain,
            fade_in: request.fade_in,
            position,
            stall_timeout: match request.source.origin {
                Origin::Stream(_) => request.stall_timeout.unwrap_or(self.options.stall_timeout),
                _ => 0,
            },
            source: Some(request.source),
        };
        let _ = self.commands.send(Command::Play(Box::new(upcoming), actions));
        Ok((request_id, Some(id)))
    }

    /// Stops what is meant, from the next sample on; says whom, and where they were. To stop nothing is no error, and who
    /// is stopped by name before they come ends when they do.
    pub fn stop(&self, request: &StopRequest) -> Vec<Info> {
        self.apply(|registry| registry.stop(&request.target, &request.reason, request.fade_out, self.now()))
    }

    /// Holds back what is meant; says whom.
    pub fn pause(&self, target: &Target) -> Vec<String> {
        self.apply(|registry| registry.pause(target))
    }

    /// Lets go on what is paused; says whom.
    pub fn resume(&self, target: &Target) -> Vec<String> {
        self.apply(|registry| registry.resume(target))
    }

    /// Brings what is meant to a volume over the next `fade` samples; says whom.
    pub fn set_volume(&self, target: &Target, volume: f32, fade: Samples) -> Vec<String> {
        self.apply(|registry| registry.set_volume(target, volume, fade))
    }

    /// Moves what is meant to a place in its source; says whom.
    pub fn seek(&self, target: &Target, place: Samples) -> Result<Vec<String>> {
        self.apply(|registry| registry.seek(target, place))
    }

    /// Moves what waits to a place in its line; `false` if it does not wait.
    pub fn move_to(&self, request_id: &str, place: usize) -> bool {
        self.apply(|registry| registry.move_to(request_id, place))
    }

    /// What lives, in order of arrival; what waits, in order of its turn.
    pub fn playbacks(&self) -> Vec<Info> {
        self.registry.lock().infos()
    }

    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Lets `sink` have what is handed to the output from now on. `id` tells the session's taps apart.
    pub fn tap(&self, id: u32, format: PcmFormat, sink: PcmSink) -> Result<Tap> {
        let backlog = Arc::new(Backlog::new(self.progress.clone()));
        let request = TapRequest { id, format, sink, backlog: backlog.clone() };
        self.commands.send(Command::Tap(Box::new(request))).map_err(|_| closed())?;
        Ok(Tap::new(id, backlog, self.commands.downgrade()))
    }

    /// Opens the output, once; `playAudio` does it by itself.
    pub fn connect(&self, ticket: u32) {
        self.send(Command::Connect(ticket), ticket);
    }

    /// Ends the wait of a `connect`, and the attempt if nobody else wants the output.
    pub fn give_up(&self, ticket: u32) {
        let _ = self.commands.send(Command::GiveUp(ticket));
    }

    /// Moves the manual clock; settles when that time has been mixed.
    pub fn advance(&self, samples: Samples, ticket: u32) -> Result<()> {
        if self.options.clock != Clock::Manual {
            let message = "Expected clock: 'manual' for advance but received 'realtime'";
            return Err(SpeakerError::new(Code::UnsupportedOperation, message));
        }
        self.send(Command::Advance(samples, ticket), ticket);
        Ok(())
    }

    /// Stops everything, closes the output, ends the session. A second time it settles with the first.
    pub fn close(&self, ticket: u32) {
        self.send(Command::Close(Some(ticket)), ticket);
    }

    /// Tells, among the events, of what failed outside.
    pub fn report(&self, error: SpeakerError) {
        let _ = self.commands.send(Command::Report(error));
    }

    /// The time by which the registry measures: on a manual clock that of the last sample handed over.
    pub fn now(&self) -> Samples {
        self.watch.map_or_else(|| self.counters.now.load(Relaxed), |watch| watch.now())
    }

    fn apply<T>(&self, decide: impl FnOnce(&mut Registry) -> (T, Vec<Action>)) -> T {
        let mut registry = self.registry.lock();
        let (answer, actions) = decide(&mut registry);
        let _ = self.commands.send(Command::Apply(actions));
        answer
    }

    fn send(&self, command: Command, ticket: u32) {
        let closes = matches!(command, Command::Close(_));
        if self.commands.send(command).is_err() {
            let error = (!closes).then(closed);
            (self.sink)(Message::Settled { ticket, error });
        }
    }
}

/// The answer of a session that has ended.
pub fn closed() -> SpeakerError {
    SpeakerError::new(Code::Closed, "Expected an open session but it is closed")
}
