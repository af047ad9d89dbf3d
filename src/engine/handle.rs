//! The one way to a session: locks it, calls, unlocks, and then carries out the work that the call left.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::clock::WallClock;
use super::slot::Slot;
use super::{AudioStream, Listener, Recorder, Stream, Tap};
use crate::audio::{Samples, to_ms};
use crate::error::{Code, Result, SpeakerError};
use crate::event::Message;
use crate::ids::{MarkId, Ticket};
use crate::metrics::METRICS;
use crate::mixer::{TrackFade, TrackVolume};
use crate::output::{
    AudioReader, Backlog, DataInterest, Description, ListenFailure, ListenRequest, Listening, OutgoingData,
    OutputOptions, Participant, PcmFormat, PcmSink, TapRequest, TapTarget,
};
use crate::runtime::{self, DECODERS, FETCHES, RUNTIME, Seat, WHEELS};
use crate::scope::Scope;
use crate::session::{
    Accepted, Clock, ConnectionState, Interrupted, Options, PlayRequest, PlaybackInfo, RequestId, Session, Snapshot,
    Stats, StopRequest, TapOf, Target, TrackStats, WallTime, Work,
};
use crate::source::{self, DriverNotifier, FetchLimits, Opening, Origin, PipeWriter};
use crate::sync::{Mutex, MutexGuard};

/// The number of sessions of this process that a panic broke.
static BROKEN: AtomicU64 = AtomicU64::new(0);

/// The number of sessions of this process whose output is not closed yet.
static OPEN: AtomicU64 = AtomicU64::new(0);

/// Returns how many sessions of this process a panic broke.
pub fn broken_sessions() -> u64 {
    BROKEN.load(Ordering::Relaxed)
}

/// Returns how many sessions of this process are not closed.
pub fn open_sessions() -> u64 {
    OPEN.load(Ordering::Relaxed)
}

/// A notification that a message can be taken.
pub trait Bell: Send + Sync {
    /// Announces that one more message can be taken by [`Handle::take_message`]. Must not block, and must not take it itself.
    fn ring(&self);
}

impl<F: Fn() + Send + Sync> Bell for F {
    fn ring(&self) {
        self();
    }
}

/// The options of a session that only the engine needs.
pub struct EngineOptions {
    /// The output.
    pub output: OutputOptions,
    /// The limits for servers.
    pub fetch: FetchLimits,
    /// Rung for each message that can be taken.
    pub bell: Arc<dyn Bell>,
}

/// A session with its lock, clock and output.
pub(super) struct Core {
    session: Mutex<Session>,
    pub options: EngineOptions,
    pub channels: usize,
    pub is_manual: bool,
    pub notifier: Arc<DriverNotifier>,
    pub wall_clock: WallClock,
    /// When the session's time began, in wall time; never on the manual clock.
    pub clock_start: AtomicU64,
    /// The next frame is wanted before it is due.
    pub hastens: AtomicBool,
    /// The output and the taps; locked by its driver alone.
    pub slot: Mutex<Slot>,
    /// Identifies it in the log.
    pub scope: Scope,
    /// Its place among the jobs or, in real time, on a wheel.
    pub seat: Seat,
}

impl Core {
    fn new(options: Options, engine: EngineOptions) -> Self {
        let is_manual = options.clock == Clock::Manual;
        let channels = options.channels;
        Self {
            session: Mutex::new(Session::new(options)),
            options: engine,
            channels,
            is_manual,
            notifier: Arc::new(DriverNotifier::new(is_manual)),
            wall_clock: WallClock::start(),
            clock_start: AtomicU64::new(Samples::MAX),
            hastens: AtomicBool::new(false),
            slot: Mutex::new(Slot::new(channels)),
            scope: Scope::of_new_session(),
            seat: Seat::default(),
        }
    }

    /// Calls the session under its lock, then carries out the work that this left. A panic breaks the session: everything live fails, and
    /// the answer is an error.
    pub fn with<R>(&self, call: impl FnOnce(&mut Session, WallTime) -> R) -> Result<R> {
        let _entered = self.scope.enter();
        self.call(self.session.lock(), call)
    }

    /// As [`with`](Self::with), but returns `None` if the lock is taken.
    pub fn try_with<R>(&self, call: impl FnOnce(&mut Session, WallTime) -> R) -> Option<Result<R>> {
        let _entered = self.scope.enter();
        self.session.try_lock().map(|session| self.call(session, call))
    }

    fn call<R>(
        &self,
        mut session: MutexGuard<'_, Session>,
        call: impl FnOnce(&mut Session, WallTime) -> R,
    ) -> Result<R> {
        let at = self.wall_clock.now();
        let answer = catch_unwind(AssertUnwindSafe(|| call(&mut session, at)));
        if answer.is_err() && session.break_down() {
            BROKEN.fetch_add(1, Ordering::Relaxed);
        }
        session.report_counts(&METRICS);
        let work = session.has_work().then(|| session.take_work());
        drop(session);
        if let Some(work) = work {
            self.carry_out(work);
        }
        answer.map_err(|_| {
            tracing::error!("a session broke by a fault of its own: please report it");
            SpeakerError::new(Code::Internal, "the session broke by a fault of its own: please report it")
        })
    }

    /// Does the work that may not be done under the lock.
    fn carry_out(&self, work: Work) {
        let Work { opens, garbage, wakes, rings, wakes_driver, hastens } = work;
        drop(garbage);
        wakes.iter().for_each(runtime::Waker::wake);
        for mut open in opens {
            let _entered = open.name.clone().map(|name| self.scope.of_request(name).enter());
            let EngineOptions { fetch, .. } = self.options;
            if let Opening::Source(source) = &mut open.what {
                source.reserved = self.options.output.reserved_path().cloned();
            }
            let reader = source::open(&DECODERS, open.what, self.channels, open.ahead, fetch, self.notifier.clone());
            let unwanted = self.with(|session, _| session.opened(open.id, open.number, reader, open.ticket));
            drop(unwanted);
        }
        if hastens {
            self.hastens.store(true, Ordering::Release);
        }
        (0..rings).for_each(|_| self.options.bell.ring());
        if wakes_driver {
            self.notifier.notify();
        }
    }

    /// Breaks the session because its output panicked.
    pub fn break_down(&self) {
        let _ = self.with(|_, _| -> () { std::panic::resume_unwind(Box::new("the output panicked")) });
    }

    /// Counts the end of the session.
    pub fn ended(&self) {
        OPEN.fetch_sub(1, Ordering::Relaxed);
        let tasks = RUNTIME.metrics().num_alive_tasks() + FETCHES.metrics().num_alive_tasks();
        tracing::info!(tasks, open = open_sessions(), "a session ended");
    }
}

/// A caller's handle to a session. Every method returns at once; a call that takes time is answered by a message with the call's
/// ticket. Dropping the handle closes the session.
pub struct Handle {
    core: Arc<Core>,
}

impl Handle {
    /// Makes a session, and opens nothing yet. Fails with `ERR_NO_THREADS` if the operating system refuses the threads that all
    /// sessions share.
    pub fn new(options: Options, engine: EngineOptions) -> Result<Self> {
        let jobs = match options.clock {
            Clock::Manual => Some(runtime::start_manual()?),
            Clock::Realtime => runtime::start().map(|()| None)?,
        };
        let core = Arc::new(Core::new(options, engine));
        OPEN.fetch_add(1, Ordering::Relaxed);
        let weak = Arc::downgrade(&core);
        match jobs {
            Some(jobs) => core.notifier.on_notify(move || {
                if let Some(core) = weak.upgrade() {
                    jobs.notify(core);
                }
            }),
            None => {
                core.notifier.on_notify(move || {
                    if let Some(core) = weak.upgrade() {
                        WHEELS.notify(core);
                    }
                });
                WHEELS.add(core.clone());
            }
        }
        Ok(Self { core })
    }

    /// Calls the session itself; the work that this left is carried out before it returns.
    pub fn with<R>(&self, call: impl FnOnce(&mut Session, WallTime) -> R) -> Result<R> {
        self.core.with(call)
    }

    /// Takes the next message, in order. The bell rings once for each.
    pub fn take_message(&self) -> Option<Message> {
        let message = self.core.session.lock().take_message();
        if let Some(Message::Event(event)) = &message {
            let _entered = self.core.scope.enter();
            let request_id = event.request_id.as_deref();
            tracing::debug!(request_id, event = ?event.kind, seq = event.seq, at_ms = event.at_ms);
        }
        message
    }

    /// Returns its number in the log, which is unique in the process.
    pub fn number(&self) -> u32 {
        self.core.scope.session().unwrap_or_default()
    }

    /// See [`Session::play`].
    pub fn play(&self, request: PlayRequest) -> Result<Accepted> {
        self.with(|session, at| session.play(request, at))?
    }

    /// Plays a request whose source is a stream; `pipe` is the writer's end of it.
    pub fn stream(&self, request: PlayRequest, pipe: Arc<PipeWriter>) -> Result<Stream> {
        let encoding = match &request.source.origin {
            Origin::Stream(stream) => Some(stream.encoding.clone()),
            _ => None,
        };
        Ok(Stream::new(self.play(request)?, pipe, encoding, Arc::downgrade(&self.core)))
    }

    /// See [`Session::mark`].
    pub fn mark(&self, name: String, mark: MarkId, target: &Target) -> Result<()> {
        self.with(|session, at| session.mark(name, mark, target, at))?
    }

    /// See [`Session::stop`].
    pub fn stop(&self, request: &StopRequest) -> Vec<PlaybackInfo> {
        self.with(|session, at| session.stop(request, at)).unwrap_or_default()
    }

    /// See [`Session::interrupt`].
    pub fn interrupt(&self, request: &StopRequest) -> Interrupted {
        let nothing = || Interrupted { at: self.core.session.lock().now(), ..Interrupted::default() };
        self.with(|session, at| session.interrupt(request, at)).unwrap_or_else(|_| nothing())
    }

    /// See [`Session::pause`].
    pub fn pause(&self, target: &Target) -> Vec<RequestId> {
        self.with(|session, at| session.pause(target, at)).unwrap_or_default()
    }

    /// See [`Session::resume`].
    pub fn resume(&self, target: &Target) -> Vec<RequestId> {
        self.with(|session, at| session.resume(target, at)).unwrap_or_default()
    }

    /// See [`Session::set_volume`].
    pub fn set_volume(&self, target: &Target, volume: f32, fade: Samples) -> Vec<RequestId> {
        self.with(|session, at| session.set_volume(target, volume, fade, at)).unwrap_or_default()
    }

    /// See [`Session::seek`].
    pub fn seek(&self, target: &Target, place: Samples) -> Result<Vec<RequestId>> {
        self.with(|session, at| session.seek(target, place, at))?
    }

    /// See [`Session::move_to`].
    pub fn move_to(&self, request_id: &str, queue_position: usize) -> bool {
        self.with(|session, at| session.move_to(request_id, queue_position, at)).unwrap_or(false)
    }

    /// See [`Session::snapshot`].
    pub fn snapshot(&self) -> Snapshot {
        self.with(|session, at| session.snapshot(0, at)).unwrap_or_default()
    }

    /// See [`Session::hand_over`].
    pub fn hand_over(&self, after: Samples, fade: Samples) -> Snapshot {
        self.with(|session, at| session.hand_over(after, fade, at)).unwrap_or_default()
    }

    /// See [`Session::hand_over_when_replaced`].
    pub fn hand_over_when_replaced(&self, hands_over: bool) {
        let _ = self.with(|session, _| session.hand_over_when_replaced(hands_over));
    }

    /// See [`Session::take_handed_over`].
    pub fn take_handed_over(&self) -> Option<Snapshot> {
        self.with(|session, _| session.take_handed_over()).unwrap_or_default()
    }

    /// See [`Session::add_track_fade`].
    pub fn add_track_fade(&self, track: u32, fade: TrackFade) {
        let _ = self.with(|session, _| session.add_track_fade(track, fade));
    }

    /// See [`Session::playbacks`].
    pub fn playbacks(&self) -> Vec<PlaybackInfo> {
        self.core.session.lock().playbacks()
    }

    /// See [`Session::connection`].
    pub fn connection(&self) -> ConnectionState {
        self.core.session.lock().connection()
    }

    /// See [`Session::unpublish`].
    pub fn unpublish(&self, track: u32, ticket: Ticket) {
        let _ = self.with(|session, at| session.unpublish(track, ticket, at));
    }

    /// See [`Session::set_muted`].
    pub fn set_muted(&self, track: u32, muted: bool) -> Result<()> {
        self.with(|session, at| session.set_muted(track, muted, at))?
    }

    /// See [`Session::set_track_pan`].
    pub fn set_track_pan(&self, track: u32, pan: f32, fade: Samples) -> Result<()> {
        self.with(|session, _| session.set_track_pan(track, pan, fade))?
    }

    /// See [`Session::set_track_volume`].
    pub fn set_track_volume(&self, track: u32, change: TrackVolume) -> Result<()> {
        self.with(|session, _| session.set_track_volume(track, change))?
    }

    /// See [`Session::describe`].
    pub fn describe(&self, description: Description, ticket: Ticket) {
        let _ = self.with(|session, _| session.describe(description, ticket));
    }

    /// See [`Session::send_data`].
    pub fn send_data(&self, data: OutgoingData, ticket: Ticket) {
        let _ = self.with(|session, _| session.send_data(data, ticket));
    }

    /// See [`Session::hear_data`].
    pub fn hear_data(&self, hears: DataInterest) {
        let _ = self.with(|session, _| session.hear_data(hears));
    }

    /// See [`Session::local_participant`].
    pub fn local_participant(&self) -> Option<Participant> {
        self.core.session.lock().local_participant()
    }

    /// See [`Session::participants`].
    pub fn participants(&self) -> Vec<Participant> {
        self.core.session.lock().participants()
    }

    /// See [`Session::stats`].
    pub fn stats(&self) -> Stats {
        self.core.session.lock().stats()
    }

    /// See [`Session::track_stats`].
    pub fn track_stats(&self, track: u32) -> TrackStats {
        self.core.session.lock().track_stats(track)
    }

    /// Starts a tap into `sink`; see [`Session::tap`]. `id` is unique among the session's taps.
    pub fn tap(&self, id: u32, of: &TapOf, format: PcmFormat, sink: PcmSink) -> Result<Tap> {
        let backlog = Arc::new(Backlog::new(self.core.notifier.clone()));
        let request = TapRequest { id, target: TapTarget::All, format, sink, backlog: backlog.clone() };
        self.with(|session, _| session.tap(request, of))??;
        Ok(Tap::new(id, backlog, Arc::downgrade(&self.core)))
    }

    /// Starts a stream of the encoded mix, and opens the output for it. Fails for an output that encodes nothing.
    pub fn audio_stream(&self) -> Result<AudioStream> {
        let OutputOptions::Encoded(options) = &self.core.options.output else {
            let message = "Expected an output of type 'stream' or 'http' for audioStream but received another one";
            return Err(SpeakerError::new(Code::UnsupportedOperation, message));
        };
        let reader = AudioReader::new(options.broadcast.clone());
        self.with(|session, _| session.open_for_listener())??;
        Ok(AudioStream::new(reader, self.core.notifier.clone()))
    }

    /// Listens to a participant in every room that is joined, by their identity and the name of their track; see [`ListenRequest`].
    pub fn listen(
        &self,
        id: u32,
        (identity, track): (String, Option<String>),
        format: PcmFormat,
        sink: PcmSink,
        failure: ListenFailure,
    ) -> Result<Listener> {
        let backlog = Arc::new(Backlog::new(self.core.notifier.clone()));
        let listening = Listening::new(ListenRequest { id, identity, track, format, sink, backlog, failure });
        self.with(|session, _| session.listen(listening.clone()))??;
        Ok(Listener::new(listening, Arc::downgrade(&self.core)))
    }

    /// Returns a writer of the recording at this path.
    pub fn recorder(&self, path: PathBuf) -> Recorder {
        Recorder::new(path, &self.core)
    }

    /// See [`Session::connect`].
    pub fn connect(&self, ticket: Ticket) {
        let _ = self.with(|session, _| session.connect(ticket));
    }

    /// See [`Session::abandon`].
    pub fn abandon(&self, ticket: Ticket) {
        let _ = self.with(|session, _| session.abandon(ticket));
    }

    /// See [`Session::advance`]. Fails before anything moves if the output's recording could not hold it.
    pub fn advance(&self, samples: Samples, ticket: Ticket) -> Result<()> {
        let capacity = self.capacity();
        self.with(|session, _| {
            let room = capacity.saturating_sub(session.time_ahead());
            if samples > room {
                let (room, asked) = (to_ms(room).floor(), to_ms(samples));
                let message = format!(
                    "Expected at most {room} ms, all that the recording still holds, for advance but received {asked}"
                );
                return Err(SpeakerError::new(Code::Output, message));
            }
            session.advance(samples, ticket)
        })?
    }

    /// See [`Session::drain`]. On the manual clock it goes no further than the output's recording can hold.
    pub fn drain(&self, within: Samples, ticket: Ticket) {
        let capacity = self.capacity();
        let _ = self.with(|session, at| {
            let room = capacity.saturating_sub(session.now());
            session.drain(within.min(room), ticket, at);
        });
    }

    /// See [`Session::close`].
    pub fn close(&self, ticket: Ticket) {
        let _ = self.with(|session, at| session.close(Some(ticket), at));
    }

    /// Returns how far the manual clock can go: to the end of the output's recording.
    fn capacity(&self) -> Samples {
        let capacity = self.core.options.output.capacity(self.core.channels);
        capacity.filter(|_| self.core.is_manual).unwrap_or(Samples::MAX)
    }

    /// See [`Session::report_error`].
    pub fn report_error(&self, error: SpeakerError) {
        let _ = self.with(|session, _| session.report_error(error));
    }

    /// Returns the session's time at which a request that comes now takes effect. In real time the mix may be a frame ahead of the clock,
    /// and in silence only the clock goes on.
    pub fn request_time(&self) -> Samples {
        let wall = self.core.wall_clock.now().0;
        let start = self.core.clock_start.load(Ordering::Acquire);
        self.core.session.lock().now().max(wall.saturating_sub(start))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let _ = self.with(|session, at| session.close(None, at));
    }
}

#[cfg(all(test, feature = "loom"))]
mod models {
    use super::*;
    use crate::audio::FRAME;
    use crate::mixer::Scratch;
    use crate::output::OutputOptions;
    use crate::session::DriverCounts;
    use crate::source::FetchLimits;
    use crate::sync::channel;
    use loom::thread::spawn;
    use std::time::Duration;

    /// Makes a session without a driver.
    fn undriven(bell: Arc<dyn Bell>) -> Arc<Core> {
        let output = OutputOptions::Memory { recording: Arc::default() };
        let fetch = FetchLimits { timeout: Duration::ZERO, min_bytes_per_second: 0.0 };
        Arc::new(Core::new(Options::new(Clock::Realtime), EngineOptions { output, fetch, bell }))
    }

    #[test]
    fn loom_rings_once_for_each_message() {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model.check(|| {
            let (sender, rings) = channel();
            let sender = Mutex::new(sender);
            let core = undriven(Arc::new(move || sender.lock().send(()).unwrap()));
            let (caller, ticking) = (core.clone(), core.clone());
            let caller = spawn(move || caller.with(|session, _| session.settle(1.into())).unwrap());
            // Events that are noted while a frame is in flight wait for its commit.
            let driver = spawn(move || {
                let mut scratch = Scratch::default();
                ticking.with(|session, at| session.tick(FRAME, at, &mut scratch)).unwrap();
                ticking.with(|session, _| session.settle(2.into())).unwrap();
                ticking.with(|session, _| session.commit(Ok(()), DriverCounts::default())).unwrap();
            });
            let handle = Handle { core };
            for _ in 0..2 {
                rings.recv().unwrap();
                assert!(handle.take_message().is_some(), "a ring for nothing");
            }
            caller.join().unwrap();
            driver.join().unwrap();
            assert!(handle.take_message().is_none(), "a message without a ring");
        });
    }
}
