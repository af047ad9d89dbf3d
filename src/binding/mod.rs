//! The only code that knows Node: it converts and forwards, nothing else.
//!
//! Every call returns at once. Events and answers wait in their session, in order; a bell notifies the environment that one can be taken.
//! It is one weak thread-safe function for all sessions of the environment: libuv visits all of a loop's functions at each wake-up
//! (libuv#1866), so one per session would make every event cost O(sessions). PCM frames go the same way, so everything keeps its
//! order, and an idle session does not keep the process alive.

mod audio_stream;
mod clip;
mod convert;
mod log;
mod options;
mod outgoing;
mod output;
mod probe;
mod question;
mod recorder;
mod snapshot;
mod stream;
mod tap;
mod voice;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use napi::bindgen_prelude::*;
use napi::threadsafe_function::ThreadsafeFunctionCallMode;
use napi_derive::napi;
use parking_lot::Mutex;

use crate::audio::{from_ms, to_ms};
use crate::engine::{self, Capacity, Handle, broken_sessions, open_sessions, set_admission};
use crate::environment;
use crate::error::{Code, SpeakerError};
use crate::event::Message;
use crate::metrics::{Distribution, METRICS};
use crate::net::{Network, Rule};
use crate::output::{
    DataInterest, Description, ListenFailure, OutgoingContent, OutgoingData, Participant, Payload, PcmFrame, PcmSink,
    Recording, Text,
};
use crate::redact::redact_to;
use crate::session::{RequestId, StopRequest};
use crate::source::{CACHE, CLIP_BUDGET, CacheUsage, Origin, SPOOL_BUDGET};
use audio_stream::NativeAudioStream;
use clip::NativeClip;
use convert::{
    NativeAccepted, NativeInterrupt, NativeInterrupted, NativeMove, NativeNetwork, NativePlay, NativePlayback,
    NativeRefusal, NativeRpc, NativeStats, NativeStop, NativeTarget, NativeText, NativeTrackStats, NativeTrackVolume,
    NativeVolume,
};
use options::NativeOptions;
use outgoing::{Outgoing, OutgoingKind, Serialized};
use question::PendingQuestion;
use recorder::NativeRecorder;
use snapshot::{NativeSnapshot, NativeTrackFade};
use stream::{NativeEncoding, NativeStream};
use tap::{NativeTap, NativeTapOptions};
use voice::NativeVoice;

/// Calls `ring` for all sessions of an environment: with the number of a session that has a message to take, or with a frame or a
/// question of one.
#[napi]
pub struct NativeBell {
    ring: Arc<dyn Fn(Outgoing) + Send + Sync>,
    last: AtomicU32,
}

#[napi]
impl NativeBell {
    #[napi(constructor, ts_args_type = "ring: (ring: any) => void")]
    pub fn new(ring: Function<Outgoing, ()>) -> Result<Self> {
        let ring = ring.build_threadsafe_function::<Outgoing>().weak::<true>().callee_handled::<false>().build()?;
        let ring = Arc::new(move |outgoing| {
            ring.call(outgoing, ThreadsafeFunctionCallMode::NonBlocking);
        });
        Ok(Self { ring, last: AtomicU32::new(0) })
    }
}

/// Statistics of all sessions of the process.
#[napi(object)]
#[cfg_attr(test, allow(dead_code, reason = "only Node calls it"))]
pub struct NativeProcessStats {
    pub sessions: f64,
    pub broken: f64,
    pub clips: f64,
    pub clip_bytes: f64,
}

/// Returns statistics of all sessions of the process, including those of worker threads.
#[napi]
#[cfg_attr(test, allow(dead_code, reason = "only Node calls it"))]
pub fn process_stats() -> NativeProcessStats {
    let (clips, bytes) = CLIP_BUDGET.used();
    NativeProcessStats {
        sessions: open_sessions() as f64,
        broken: broken_sessions() as f64,
        clips: clips as f64,
        clip_bytes: bytes as f64,
    }
}

/// Metrics of all sessions of the process.
#[napi(object)]
#[cfg_attr(test, allow(dead_code, reason = "only Node calls it"))]
pub struct NativeMetrics {
    pub requests: f64,
    pub started: f64,
    pub completed: f64,
    pub stopped: f64,
    /// By code, without those that are 0.
    pub failures: HashMap<String, f64>,
    pub output_errors: f64,
    pub reconnects: f64,
    pub underruns: f64,
    pub late_frames: f64,
    pub lost_frames: f64,
    pub dropped_frames: f64,
    pub panics: f64,
    pub active: f64,
    pub queued: f64,
    pub first_frame_latency_ms: NativeHistogram,
    pub duration_ms: NativeHistogram,
}

#[napi(object)]
pub struct NativeHistogram {
    pub count: f64,
    pub sum: f64,
    pub buckets: Vec<NativeBucket>,
}

/// The number of values up to a bound.
#[napi(object)]
pub struct NativeBucket {
    pub upto: f64,
    pub count: f64,
}

impl From<Distribution> for NativeHistogram {
    fn from(Distribution { buckets, count, sum_ms }: Distribution) -> Self {
        let bucket = |(upto, count)| NativeBucket { upto: f64::from(upto), count: count as f64 };
        Self { count: count as f64, sum: sum_ms, buckets: buckets.into_iter().map(bucket).collect() }
    }
}

/// Returns the metrics of all sessions of the process.
#[napi]
#[cfg_attr(test, allow(dead_code, reason = "only Node calls it"))]
pub fn metrics() -> NativeMetrics {
    let failures = METRICS.failures.get().into_iter();
    NativeMetrics {
        requests: METRICS.requests.get() as f64,
        started: METRICS.started.get() as f64,
        completed: METRICS.completed.get() as f64,
        stopped: METRICS.stopped.get() as f64,
        failures: failures.map(|(code, count)| (code.as_str().to_owned(), count as f64)).collect(),
        output_errors: METRICS.output_errors.get() as f64,
        reconnects: METRICS.reconnects.get() as f64,
        underruns: METRICS.underruns.get() as f64,
        late_frames: METRICS.late_frames.get() as f64,
        lost_frames: METRICS.lost_frames.get() as f64,
        dropped_frames: METRICS.dropped_frames.get() as f64,
        panics: METRICS.panics.get() as f64,
        active: METRICS.active.get() as f64,
        queued: METRICS.queued.get() as f64,
        first_frame_latency_ms: METRICS.first_frame_latency.get().into(),
        duration_ms: METRICS.duration.get().into(),
    }
}

/// Options of all sessions of the process. An option that is missing stays as it is.
#[napi(object)]
pub struct NativeProcessOptions {
    pub max_spool_bytes: Option<f64>,
    pub max_clip_bytes: Option<f64>,
    pub network: Option<NativeNetwork>,
    pub max_load: Option<f64>,
    pub refuses_overload: Option<bool>,
}

/// Sets options of the process.
#[napi]
#[cfg_attr(test, allow(dead_code, reason = "only Node calls it"))]
pub fn configure(options: NativeProcessOptions) -> Result<()> {
    if let Some(network) = options.network {
        Network::set_of_process(network.into_core()?, false);
    }
    if let Some(max) = options.max_spool_bytes {
        SPOOL_BUDGET.set_max(max as u64);
    }
    if let Some(max) = options.max_clip_bytes {
        CLIP_BUDGET.set_max(max as u64);
    }
    set_admission(options.max_load, options.refuses_overload);
    Ok(())
}

/// The time that the process has left for more sessions.
#[napi(object)]
#[cfg_attr(test, allow(dead_code, reason = "only Node calls it"))]
pub struct NativeCapacity {
    pub wheels: u32,
    pub load: f64,
    pub busiest: f64,
    pub max_load: f64,
    pub sessions_left: Option<f64>,
    pub exceeded: f64,
    pub refused: f64,
}

/// Returns the time that the process has left for more sessions.
#[napi]
#[cfg_attr(test, allow(dead_code, reason = "only Node calls it"))]
pub fn capacity() -> NativeCapacity {
    let Capacity { wheels, load, busiest, max_load, sessions_left, exceeded, refused } = engine::capacity();
    NativeCapacity {
        wheels: wheels as u32,
        load,
        busiest,
        max_load,
        sessions_left: sessions_left.map(|left| left as f64),
        exceeded: exceeded as f64,
        refused: refused as f64,
    }
}

/// The cache, and what it came to.
#[napi(object)]
#[cfg_attr(test, allow(dead_code, reason = "only Node calls it"))]
pub struct NativeCache {
    pub max_bytes: f64,
    pub bytes: f64,
    pub entries: f64,
    pub hits: f64,
    pub joined: f64,
    pub revalidated: f64,
    pub misses: f64,
}

/// Gives the cache so much room, if that is said, and returns what it holds.
#[napi]
#[cfg_attr(test, allow(dead_code, reason = "only Node calls it"))]
pub fn cache(max_bytes: Option<f64>) -> NativeCache {
    max_bytes.iter().for_each(|max| CACHE.set_max(*max as u64));
    let CacheUsage { max_bytes, bytes, entries } = CACHE.usage();
    NativeCache {
        max_bytes: max_bytes as f64,
        bytes: bytes as f64,
        entries: entries as f64,
        hits: METRICS.cache_hits.get() as f64,
        joined: METRICS.cache_joined.get() as f64,
        revalidated: METRICS.cache_revalidated.get() as f64,
        misses: METRICS.cache_misses.get() as f64,
    }
}

/// Passes the environment variables that hold from now on, where the runtime does not write them through to the process.
#[napi]
#[cfg_attr(test, allow(dead_code, reason = "only Node calls it"))]
pub fn pass_environment(variables: HashMap<String, String>) {
    environment::pass(variables);
}

/// Sets `network` of the process, unless it was set or used before.
#[napi]
#[cfg_attr(test, allow(dead_code, reason = "only Node calls it"))]
pub fn fall_back_to_network(network: NativeNetwork) -> Result<()> {
    Network::set_of_process(network.into_core()?, true);
    Ok(())
}

/// Returns true for a valid rule of `network.allow` and `network.deny`.
#[napi]
#[cfg_attr(test, allow(dead_code, reason = "only Node calls it"))]
pub fn is_network_rule(text: String) -> bool {
    Rule::parse(&text).is_some()
}

/// Returns a text that may be shown: without secrets, and cut to `max` characters.
#[napi]
#[cfg_attr(test, allow(dead_code, reason = "only Node calls it"))]
pub fn redact(text: String, max: u32) -> String {
    redact_to(&text, max as usize)
}

/// The native side of a session; `lib/session.js` is the public one.
#[napi]
pub struct NativeSession {
    handle: Handle,
    /// The number by which the bell names it.
    number: u32,
    /// The samples of the `memory` output.
    recording: Arc<Mutex<Recording>>,
    question: PendingQuestion,
    /// Takes the frames of the output, the taps and the voices.
    frames: PcmSink,
    /// Takes the errors of voices that can't be heard.
    failures: ListenFailure,
    /// The servers and files that its sources may be at. Default: those of the process.
    network: Option<Arc<Network>>,
}

#[napi]
impl NativeSession {
    /// Opens a session, or returns the error.
    #[napi]
    pub fn open(mut options: NativeOptions, bell: &NativeBell) -> Result<Either<NativeSession, NativeRefusal>> {
        log::start();
        let number = bell.last.fetch_add(1, Ordering::Relaxed);
        let sender = |ring: Arc<dyn Fn(Outgoing) + Send + Sync>| move |kind| ring(Outgoing { session: number, kind });
        let [frame, question, message, failure, readable] = [(); 5].map(|()| sender(bell.ring.clone()));
        let frames: PcmSink = Arc::new(move |taken: PcmFrame| frame(OutgoingKind::Frame(taken)));
        let failures: ListenFailure = Arc::new(move |id, error| failure(OutgoingKind::Unheard(id, error)));
        let recording = Arc::<Mutex<Recording>>::default();
        let pending = PendingQuestion::default();
        let question = pending.question(move |number| question(OutgoingKind::Question(number)));
        let readable = Arc::new(move || readable(OutgoingKind::Readable));
        let bell = Arc::new(move || message(OutgoingKind::Message));
        let network = options.network.take().map(NativeNetwork::into_core).transpose()?.map(Arc::new);
        let (options, engine) = options.into_core(recording.clone(), frames.clone(), question, readable, bell)?;
        Ok(match Handle::new(options, engine) {
            Ok(handle) => Either::A(Self { handle, number, recording, question: pending, frames, failures, network }),
            Err(error) => Either::B(error.into()),
        })
    }

    /// Returns the number by which the log names this session.
    #[napi(getter)]
    pub fn id(&self) -> u32 {
        self.handle.number()
    }

    /// Returns the number by which the bell names this session.
    #[napi(getter)]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Returns the next message, in order: an event or an answer.
    #[napi(ts_return_type = "any")]
    pub fn take(&self) -> Option<Serialized<Message>> {
        self.handle.take_message().map(Serialized)
    }

    /// Accepts a request, or returns the error.
    #[napi]
    pub fn play(&self, mut request: NativePlay) -> Result<Either<NativeAccepted, NativeRefusal>> {
        let network = self.network.clone().unwrap_or_else(Network::of_process);
        let origin = request.origin(network)?;
        Ok(self.play_from(request, origin))
    }

    /// Accepts a request for a clip, or returns the error.
    #[napi]
    pub fn play_clip(&self, request: NativePlay, clip: &NativeClip) -> Either<NativeAccepted, NativeRefusal> {
        self.play_from(request, clip.origin())
    }

    /// Accepts a request whose bytes will be written. Returns the writer's end, or the error.
    #[napi]
    pub fn stream(&self, request: NativePlay, encoding: NativeEncoding) -> Either<NativeStream, NativeRefusal> {
        let (pipe, stream) = encoding.open();
        match self.handle.stream(request.into_core(Origin::Stream(stream)), pipe) {
            Ok(stream) => Either::A(NativeStream::new(stream)),
            Err(error) => Either::B(error.into()),
        }
    }

    /// Sets a mark. Returns an error if the session is closed.
    #[napi]
    pub fn mark(&self, name: String, number: u32, target: NativeTarget) -> Option<NativeRefusal> {
        self.handle.mark(name, number.into(), &target.into()).err().map(Into::into)
    }

    /// Stops playbacks. Returns the ids that were stopped.
    #[napi]
    pub fn stop(&self, request: NativeStop) -> Vec<String> {
        let NativeStop { target, reason, fade_out_ms, ahead } = request;
        let request = StopRequest { target: target.into(), reason, fade_out: from_ms(fade_out_ms), after: 0, ahead };
        self.handle.stop(&request).into_iter().map(|info| info.request_id.to_string()).collect()
    }

    /// Stops playbacks. Returns each with its position, and the duration that was heard of each group.
    #[napi]
    pub fn interrupt(&self, request: NativeInterrupt) -> NativeInterrupted {
        self.handle.interrupt(&request.into_core()).into()
    }

    /// Pauses playbacks. Returns the ids that were paused.
    #[napi]
    pub fn pause(&self, target: NativeTarget) -> Vec<String> {
        texts(self.handle.pause(&target.into()))
    }

    /// Resumes playbacks. Returns the ids that were resumed.
    #[napi]
    pub fn resume(&self, target: NativeTarget) -> Vec<String> {
        texts(self.handle.resume(&target.into()))
    }

    /// Seeks in playbacks. Returns the ids that were sought, or the error if none can be.
    #[napi]
    pub fn seek(&self, target: NativeTarget, position_ms: f64) -> Either<Vec<String>, NativeRefusal> {
        match self.handle.seek(&target.into(), from_ms(position_ms)) {
            Ok(sought) => Either::A(texts(sought)),
            Err(error) => Either::B(error.into()),
        }
    }

    /// Changes the volume of playbacks. Returns the ids whose volume was changed.
    #[napi]
    pub fn set_volume(&self, request: NativeVolume) -> Vec<String> {
        let NativeVolume { target, volume, fade_ms } = request;
        texts(self.handle.set_volume(&target.into(), volume as f32, from_ms(fade_ms)))
    }

    /// Moves a playback in its queue. Returns false if it is not queued.
    #[napi(js_name = "move")]
    pub fn move_to(&self, request: NativeMove) -> bool {
        self.handle.move_to(&request.request_id, request.queue_position as usize)
    }

    /// Returns the state from which another session can go on. Files in memory of at most `max_bytes` are copied.
    #[napi]
    pub fn snapshot(&self, max_bytes: f64) -> NativeSnapshot {
        NativeSnapshot::new(self.handle.snapshot(), max_bytes)
    }

    /// Fades everything out, `after_ms` from now, and returns the state at that sample.
    #[napi]
    pub fn hand_over(&self, after_ms: f64, fade_ms: f64, max_bytes: f64) -> NativeSnapshot {
        NativeSnapshot::new(self.handle.hand_over(from_ms(after_ms), from_ms(fade_ms)), max_bytes)
    }

    /// Hands over once another session takes this one's place in the room.
    #[napi]
    pub fn hand_over_when_replaced(&self, hands_over: bool) {
        self.handle.hand_over_when_replaced(hands_over);
    }

    /// Returns the state that was handed over so, once.
    #[napi]
    pub fn take_handed_over(&self, max_bytes: f64) -> Option<NativeSnapshot> {
        self.handle.take_handed_over().map(|snapshot| NativeSnapshot::new(snapshot, max_bytes))
    }

    /// Goes on with the fades of a track, with the first playback on it that goes on.
    #[napi]
    pub fn go_on_fading(&self, track_id: u32, fades: Vec<NativeTrackFade>) {
        for fade in fades {
            self.handle.add_track_fade(track_id, fade.into());
        }
    }

    #[napi]
    pub fn playbacks(&self) -> Vec<NativePlayback> {
        self.handle.playbacks().into_iter().map(Into::into).collect()
    }

    #[napi]
    pub fn stats(&self) -> NativeStats {
        NativeStats::new(self.handle.stats(), &self.handle.playbacks())
    }

    /// Returns the number of samples that the `memory` output has so far, of all channels.
    #[napi]
    pub fn recording_length(&self) -> f64 {
        self.recording.lock().length() as f64
    }

    /// Copies as many of them as fit into an array of zeros. JavaScript allocates it, because there a lack of memory is an exception.
    #[napi]
    pub fn copy_recording(&self, mut samples: Float32ArraySlice) {
        // SAFETY: the caller has just made it, and no other code sees it before this returns.
        self.recording.lock().copy_to(unsafe { samples.as_mut() });
    }

    /// Opens a tap, whose frames carry its `id`, or returns the error.
    #[napi]
    pub fn tap(&self, id: u32, options: NativeTapOptions) -> Either<NativeTap, NativeRefusal> {
        match self.handle.tap(id, &options.of(), options.into_core(), self.frames.clone()) {
            Ok(tap) => Either::A(NativeTap::new(tap)),
            Err(error) => Either::B(error.into()),
        }
    }

    /// Listens to a participant, on the track of this name if one is given. Returns the reader's end, whose frames carry this `id`, or the
    /// error.
    #[napi]
    pub fn listen(
        &self,
        id: u32,
        identity: String,
        track: Option<String>,
        options: NativeTapOptions,
    ) -> Either<NativeVoice, NativeRefusal> {
        let (sink, failure) = (self.frames.clone(), self.failures.clone());
        match self.handle.listen(id, (identity, track), options.into_core(), sink, failure) {
            Ok(listener) => Either::A(NativeVoice::new(listener)),
            Err(error) => Either::B(error.into()),
        }
    }

    /// Accepts a request for a voice, or returns the error.
    #[napi]
    pub fn play_voice(&self, request: NativePlay, voice: &NativeVoice) -> Either<NativeAccepted, NativeRefusal> {
        self.play_from(request, Ok(voice.origin()))
    }

    /// Opens a stream of the encoded mix, or returns the error.
    #[napi]
    pub fn audio_stream(&self) -> Either<NativeAudioStream, NativeRefusal> {
        match self.handle.audio_stream() {
            Ok(stream) => Either::A(NativeAudioStream::new(stream)),
            Err(error) => Either::B(error.into()),
        }
    }

    /// Answers `question` with the token or the address of the server, or with the reason why there is none.
    #[napi]
    pub fn answer(&self, number: u32, answer: Option<String>, reason: Option<String>) {
        self.question.answer(number, answer.ok_or(reason.unwrap_or_default()));
    }

    #[napi(getter)]
    pub fn connection(&self) -> String {
        self.handle.connection().as_str().to_owned()
    }

    /// Sets the name, metadata and attributes of this participant, as others in the room see them.
    #[napi]
    pub fn describe(
        &self,
        name: Option<String>,
        metadata: Option<String>,
        attributes: HashMap<String, String>,
        ticket: u32,
    ) {
        let attributes = attributes.into_iter().collect();
        self.handle.describe(Description { name, metadata, attributes }, ticket.into());
    }

    /// Sends data to these identities in the room, or to all.
    #[napi]
    pub fn send_data(&self, payload: Uint8Array, topic: Option<String>, reliable: bool, to: Vec<String>, ticket: u32) {
        let content = OutgoingContent::Data { payload: Payload(payload.to_vec()), is_reliable: reliable };
        self.handle.send_data(OutgoingData { topic, to, content }, ticket.into());
    }

    /// Sends a text to these identities in the room, or to all.
    #[napi]
    pub fn send_text(&self, text: NativeText, to: Vec<String>, ticket: u32) {
        let NativeText { text, topic, attributes, id, timestamp } = text;
        let attributes = attributes.into_iter().collect();
        let content = OutgoingContent::Text { text: Text(text), attributes, id, timestamp: timestamp as i64 };
        self.handle.send_data(OutgoingData { topic, to, content }, ticket.into());
    }

    /// Sends a message of a remote procedure call to these identities.
    #[napi]
    pub fn send_rpc(&self, rpc: NativeRpc, to: Vec<String>, ticket: u32) {
        self.handle
            .send_data(OutgoingData { topic: None, to, content: OutgoingContent::Rpc(rpc.into()) }, ticket.into());
    }

    /// Sets which kinds of data from others are emitted as events from now on.
    #[napi]
    pub fn hear_data(&self, data: bool, text: bool, rpc: bool) {
        self.handle.hear_data(DataInterest { data, text, rpc });
    }

    /// Returns this participant, or null while no room is joined.
    #[napi(getter, ts_return_type = "any")]
    pub fn local_participant(&self) -> Serialized<Option<Participant>> {
        Serialized(self.handle.local_participant())
    }

    /// Returns the others in the room.
    #[napi(ts_return_type = "any[]")]
    pub fn participants(&self) -> Serialized<Vec<Participant>> {
        Serialized(self.handle.participants())
    }

    #[napi]
    pub fn unpublish(&self, track_id: u32, ticket: u32) {
        self.handle.unpublish(track_id, ticket.into());
    }

    /// Mutes or unmutes a track. Returns an error if the session is closed.
    #[napi]
    pub fn set_muted(&self, track_id: u32, muted: bool) -> Option<NativeRefusal> {
        self.handle.set_muted(track_id, muted).err().map(Into::into)
    }

    /// Sets the pan of a track, or returns the error.
    #[napi]
    pub fn set_track_pan(&self, track_id: u32, pan: f64, fade_ms: f64) -> Option<NativeRefusal> {
        self.handle.set_track_pan(track_id, pan as f32, from_ms(fade_ms)).err().map(Into::into)
    }

    /// Changes the volume of a track. Returns an error if the session is closed.
    #[napi]
    pub fn set_track_volume(&self, track_id: u32, change: NativeTrackVolume) -> Option<NativeRefusal> {
        self.handle.set_track_volume(track_id, change.into()).err().map(Into::into)
    }

    #[napi]
    pub fn track_stats(&self, track_id: u32) -> NativeTrackStats {
        self.handle.track_stats(track_id).into()
    }

    #[napi]
    pub fn connect(&self, ticket: u32) {
        self.handle.connect(ticket.into());
    }

    /// Stops waiting for a `connect`, which settles with `ERR_ABORTED` if it has not settled yet.
    #[napi]
    pub fn abandon(&self, ticket: u32) {
        self.handle.abandon(ticket.into());
    }

    /// Advances the manual clock. Returns an error on another one.
    #[napi]
    pub fn advance(&self, ms: f64, ticket: u32) -> Option<NativeRefusal> {
        self.handle.advance(from_ms(ms), ticket.into()).err().map(Into::into)
    }

    /// Returns the session's time at which a request made now takes effect.
    #[napi]
    pub fn request_time_ms(&self) -> f64 {
        to_ms(self.handle.request_time())
    }

    /// Returns a writer of the recording at this path.
    #[napi]
    pub fn recorder(&self, path: String) -> NativeRecorder {
        NativeRecorder::new(self.handle.recorder(path.into()))
    }

    /// Emits the error of a recording that can't be written.
    #[napi]
    pub fn report(&self, message: String) {
        self.handle.report_error(SpeakerError::new(Code::Record, message));
    }

    #[napi]
    pub fn close(&self, ticket: u32) {
        self.handle.close(ticket.into());
    }

    /// Closes once all accepted playbacks have ended, or after `within_ms`.
    #[napi]
    pub fn drain(&self, within_ms: f64, ticket: u32) {
        self.handle.drain(from_ms(within_ms), ticket.into());
    }
}

impl NativeSession {
    /// Accepts a request for the audio at `origin`, or returns the error.
    fn play_from(
        &self,
        request: NativePlay,
        origin: std::result::Result<Origin, SpeakerError>,
    ) -> Either<NativeAccepted, NativeRefusal> {
        match origin.and_then(|origin| self.handle.play(request.into_core(origin))) {
            Ok(accepted) => Either::A((&accepted).into()),
            Err(error) => Either::B(error.into()),
        }
    }
}

fn texts(ids: Vec<RequestId>) -> Vec<String> {
    ids.iter().map(|id| id.to_string()).collect()
}
