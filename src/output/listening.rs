//! A voice that a session listens to: what becomes of its frames, whoever sends it.

use std::sync::Arc;

use parking_lot::Mutex;

use super::backlog::Backlog;
use super::pcm::{Pcm, PcmFormat, PcmSink};
use crate::audio::Samples;
use crate::error::SpeakerError;
use crate::listen::{Frame, Stats, What};
use crate::source::Speech;

/// Tells a voice's reader why it can't be heard.
pub type ListenFailure = Arc<dyn Fn(u32, SpeakerError) + Send + Sync>;

/// Whom to listen to, and how.
pub struct ListenRequest {
    /// Tells the session's voices and taps apart.
    pub id: u32,
    /// Whose voice.
    pub identity: String,
    /// The name of their track; without it their microphone, or else the first of what they publish.
    pub track: Option<String>,
    /// What frames are to be like.
    pub format: PcmFormat,
    /// Takes them.
    pub sink: PcmSink,
    /// Counts those that wait for the reader.
    pub backlog: Arc<Backlog>,
    /// Called at most once.
    pub failure: ListenFailure,
}

/// What a session, its output and the reader share of a voice.
pub struct Listening {
    /// As in [`ListenRequest`].
    pub id: u32,
    /// As in [`ListenRequest`].
    pub identity: String,
    /// As in [`ListenRequest`].
    pub track: Option<String>,
    /// 1 or 2.
    pub channels: usize,
    speech: Arc<Speech>,
    backlog: Arc<Backlog>,
    failure: ListenFailure,
    state: Mutex<State>,
}

struct State {
    pcm: Pcm,
    /// The session's time behind the last sound.
    time: Samples,
    is_speaking: bool,
    /// What earlier tracks of this participant have come to, and the one that is listened to.
    before: Stats,
    now: Stats,
}

impl Listening {
    /// Nothing is heard yet.
    pub fn new(request: ListenRequest) -> Arc<Self> {
        let ListenRequest { id, identity, track, format, sink, backlog, failure } = request;
        let pcm = Pcm::new(format, Some(id), 0, sink, backlog.clone());
        let state = State { pcm, time: 0, is_speaking: false, before: Stats::default(), now: Stats::default() };
        let (channels, speech) = (format.channels, Speech::new(format.channels));
        Arc::new(Self { id, identity, track, channels, speech, backlog, failure, state: Mutex::new(state) })
    }

    /// What plays it reads from here.
    pub fn speech(&self) -> &Arc<Speech> {
        &self.speech
    }

    /// Takes the next frame, whose first sample was said at `at`, in the session's time. Silence is not handed on: the next
    /// frame's time tells how long it was.
    pub fn hear(&self, frame: &Frame, at: Samples, stats: Stats) {
        let state = &mut *self.state.lock();
        state.now = stats;
        if frame.what == What::Silence {
            return self.pause(state);
        }
        // Within a sound time goes on with its samples, though some may have been cut out or put in.
        if !state.is_speaking && at > state.time {
            state.pcm.pass(at - state.time);
            state.time = at;
        }
        state.is_speaking = true;
        state.pcm.take(frame.samples);
        state.time += (frame.samples.len() / self.channels) as Samples;
        self.speech.put(frame.samples);
    }

    /// The track is gone; another one may come.
    pub fn lose_track(&self) {
        let state = &mut *self.state.lock();
        self.pause(state);
        state.before = state.before.and(&state.now);
        state.now = Stats::default();
    }

    fn pause(&self, state: &mut State) {
        if std::mem::take(&mut state.is_speaking) {
            state.pcm.flush();
            self.speech.fall_silent();
        }
    }

    /// It can't be heard.
    pub fn fail(&self, error: SpeakerError) {
        self.end();
        (self.failure)(self.id, error);
    }

    /// Nothing more is heard.
    pub fn end(&self) {
        self.pause(&mut self.state.lock());
        self.speech.end();
    }

    /// Returns the counts of all tracks that were listened to, and the delays of the last one.
    pub fn stats(&self) -> Stats {
        let state = self.state.lock();
        state.before.and(&state.now)
    }

    /// So many frames were taken by the reader.
    pub fn took(&self, frames: usize) {
        self.backlog.leave(frames);
    }

    /// Frames that the reader did not take in time.
    pub fn dropped(&self) -> u64 {
        self.backlog.dropped()
    }
}
