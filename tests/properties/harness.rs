//! The only file that knows how a session is made, called and listened to: calls in, answers and messages out.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use parking_lot::Mutex;
use speaker_session::internals::audio::Samples;
use speaker_session::internals::engine::{EngineOptions, Handle};
use speaker_session::internals::error::Code;
use speaker_session::internals::event::Message;
use speaker_session::internals::ids::Ticket;
use speaker_session::internals::mixer::TrackVolume;
use speaker_session::internals::output::{OutputOptions, Recording};
use speaker_session::internals::session::{Clock, Options, Phase, PlayRequest, Policy, RequestId, Stats, StopRequest};
use speaker_session::internals::source::{FetchLimits, MemoryFile, Origin, Section, Source};

use crate::calls::{Call, Play, Setup};
use crate::support::wav;

/// Nothing here takes this long, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(20);

/// The immediate answer of a call.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// The playbacks it applied to.
    Names(Vec<String>),
    Moved(bool),
    /// Its ticket settled.
    Settled(Option<Code>),
    Refused(Code),
}

/// The counts of the session.
#[derive(Debug, Clone, PartialEq)]
pub struct Counts {
    pub completed: u64,
    pub stopped: u64,
    pub failed: u64,
    pub underruns: u64,
}

/// A session on the manual clock that keeps its samples in memory.
pub struct Rig {
    handle: Handle,
    /// One for each message that can be taken.
    rings: Receiver<()>,
    recording: Arc<Mutex<Recording>>,
    last_ticket: u32,
}

impl Rig {
    pub fn new(setup: &Setup) -> Self {
        let recording = Arc::<Mutex<Recording>>::default();
        let (sender, rings) = channel();
        let sender = Mutex::new(sender);
        let options = Options {
            policy: Policy {
                overlap: setup.overlap,
                crossfade: setup.crossfade,
                max_concurrent: setup.max_concurrent,
                max_queued: setup.max_queued,
                ..Policy::default()
            },
            gain: setup.gain,
            max_duration: setup.max_duration,
            progress_interval: setup.progress,
            ..Options::new(Clock::Manual)
        };
        let engine = EngineOptions {
            output: OutputOptions::Memory { recording: recording.clone() },
            fetch: FetchLimits { timeout: Duration::from_secs(1), min_bytes_per_second: 0.0 },
            bell: Arc::new(move || {
                let _ = sender.lock().send(());
            }),
        };
        Self { handle: Handle::new(options, engine).expect("there are threads"), rings, recording, last_ticket: 0 }
    }

    /// Makes a call and waits until it is done; returns its answer and the messages meanwhile, in order.
    pub fn perform(&mut self, call: &Call) -> (Answer, Vec<Message>) {
        let answer = match call {
            Call::Play(play) => match self.handle.play(request(play)) {
                Ok(accepted) => Answer::Names(names([accepted.request_id])),
                Err(error) => Answer::Refused(error.code),
            },
            Call::Stop(target, after, fade_out) => {
                let (target, reason) = (target.clone(), "user".into());
                let request = StopRequest { target, reason, fade_out: *fade_out, after: *after, ahead: true };
                Answer::Names(names(self.handle.stop(&request).into_iter().map(|info| info.request_id)))
            }
            Call::Pause(target) => Answer::Names(names(self.handle.pause(target))),
            Call::Resume(target) => Answer::Names(names(self.handle.resume(target))),
            Call::Seek(target, place) => match self.handle.seek(target, *place) {
                Ok(sought) => Answer::Names(names(sought)),
                Err(error) => Answer::Refused(error.code),
            },
            Call::SetVolume(target, volume, fade) => {
                Answer::Names(names(self.handle.set_volume(target, *volume, *fade)))
            }
            Call::SetTrackVolume { track, volume, gain, fade } => {
                let change = TrackVolume { volume: *volume, gain: *gain, fade: *fade };
                match self.handle.set_track_volume(*track, change) {
                    Ok(()) => Answer::Names(Vec::new()),
                    Err(error) => Answer::Refused(error.code),
                }
            }
            Call::Move(name, place) => Answer::Moved(self.handle.move_to(name, *place)),
            Call::Connect => return self.until_settled(|handle, ticket| handle.connect(ticket)),
            Call::Advance(samples) => {
                let advance = |handle: &Handle, ticket| handle.advance(*samples, ticket).expect("the clock is manual");
                return self.until_settled(advance);
            }
            Call::Close => return self.until_settled(Handle::close),
            Call::Drain(within) => return self.until_settled(|handle, ticket| handle.drain(*within, ticket)),
        };
        let reported = self.rings.try_iter().filter_map(|()| self.handle.take_message()).collect();
        (answer, reported)
    }

    fn until_settled(&mut self, ask: impl FnOnce(&Handle, Ticket)) -> (Answer, Vec<Message>) {
        self.last_ticket += 1;
        let asked = self.last_ticket.into();
        ask(&self.handle, asked);
        let mut reported = Vec::new();
        loop {
            if self.rings.recv_timeout(PATIENCE).is_err() {
                let stuck = format!("{:?} {:?}", self.handle.playbacks(), self.handle.stats());
                let loading = self.handle.with(|session, _| session.describe_loading());
                let stuck = format!("{loading:?} {stuck}");
                self.handle.connect(u32::MAX.into());
                let more: Vec<_> = (0..5).map_while(|_| self.rings.recv_timeout(Duration::from_secs(2)).ok()).collect();
                let messages: Vec<_> = more.iter().map(|()| self.handle.take_message()).collect();
                panic!("every ticket settles: {stuck}; after another call: {messages:?}");
            }
            reported.push(self.handle.take_message().expect("one message for each ring"));
            if let Some(Message::Settled { ticket, error }) = reported.last()
                && *ticket == asked
            {
                let code = error.as_ref().map(|error| error.code);
                return (Answer::Settled(code), reported);
            }
        }
    }

    /// Returns the samples that were handed over so far.
    pub fn samples(&self) -> Vec<f32> {
        self.recording.lock().to_vec()
    }

    pub fn counts(&self) -> Counts {
        let Stats { completed, stopped, failed, underruns, .. } = self.handle.stats();
        Counts { completed, stopped, failed, underruns }
    }

    /// Returns the live playbacks.
    pub fn live(&self) -> Vec<String> {
        names(self.handle.playbacks().into_iter().map(|info| info.request_id))
    }

    /// Returns the number of playbacks that are stopping.
    pub fn stopping(&self) -> usize {
        self.handle.playbacks().iter().filter(|info| info.phase == Phase::Stopping).count()
    }

    /// Drops the session; returns its last messages.
    pub fn leave(mut self) -> Vec<Message> {
        let (_, mut reported) = self.until_settled(Handle::close);
        reported.pop();
        reported
    }
}

fn names(ids: impl IntoIterator<Item = RequestId>) -> Vec<String> {
    ids.into_iter().map(|id| id.to_string()).collect()
}

fn request(play: &Play) -> PlayRequest {
    let section = Section {
        from: play.start,
        start: play.start,
        end: play.duration.map_or(Samples::MAX, |duration| play.start + duration),
        passes: play.passes,
        fade_out: play.fade_out,
    };
    let source = Source::new(Origin::Bytes(MemoryFile::of(&wav(play.source()))), None, section);
    PlayRequest {
        request_id: Some(play.name.clone()),
        track: play.track,
        role: play.role,
        stop_other: play.stop_other,
        priority: play.priority,
        volume: play.volume,
        gain: play.gain,
        fade_in: play.fade_in,
        ..PlayRequest::new(source)
    }
}
