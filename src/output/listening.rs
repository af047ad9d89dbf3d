//! A remote voice that a session listens to: passes its frames to the reader and to playbacks.

use std::sync::Arc;

use parking_lot::Mutex;

use super::backlog::Backlog;
use super::pcm::{Pcm, PcmFormat, PcmSink};
use crate::audio::Samples;
use crate::error::SpeakerError;
use crate::listen::{Frame, FrameKind, Stats};
use crate::source::Speech;

/// A callback that reports why a voice can't be heard.
pub type ListenFailure = Arc<dyn Fn(u32, SpeakerError) + Send + Sync>;

/// A request to listen to a participant.
pub struct ListenRequest {
    /// The id, unique among the session's voices and taps.
    pub id: u32,
    /// The participant's identity.
    pub identity: String,
    /// The name of the track; without it the microphone, or else the first audio track.
    pub track: Option<String>,
    /// The format of the frames.
    pub format: PcmFormat,
    /// The callback that takes them.
    pub sink: PcmSink,
    /// The count of frames that wait for the reader.
    pub backlog: Arc<Backlog>,
    /// Called at most once.
    pub failure: ListenFailure,
}

/// A voice, as shared by the session, its output and the reader.
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
    /// The session's time at the end of the last sound.
    time: Samples,
    is_speaking: bool,
    /// The statistics of earlier tracks of this participant, and of the current one.
    before: Stats,
    now: Stats,
}

impl Listening {
    /// Creates a voice of which nothing was heard yet.
    pub fn new(request: ListenRequest) -> Arc<Self> {
        let ListenRequest { id, identity, track, format, sink, backlog, failure } = request;
        let pcm = Pcm::new(format, Some(id), 0, sink, backlog.clone());
        let state = State { pcm, time: 0, is_speaking: false, before: Stats::default(), now: Stats::default() };
        Arc::new(Self {
            id,
            identity,
            track,
            channels: format.channels,
            speech: Speech::new(format.channels),
            backlog,
            failure,
            state: Mutex::new(state),
        })
    }

    /// Returns the speech from which playbacks read.
    pub fn speech(&self) -> &Arc<Speech> {
        &self.speech
    }

    /// Receives the next frame, whose first sample was spoken at `at` in the session's time. Silence is not passed on: its length
    /// follows from the next frame's time.
    pub fn receive(&self, frame: &Frame, at: Samples, stats: Stats) {
        let state = &mut *self.state.lock();
        state.now = stats;
        if frame.kind == FrameKind::Silence {
            return self.pause(state);
        }
        // Within a sound, time advances with the samples, even where time stretching removed or inserted some.
        if !state.is_speaking && at > state.time {
            state.pcm.pass(at - state.time);
            state.time = at;
        }
        state.is_speaking = true;
        state.pcm.take(frame.samples);
        state.time += (frame.samples.len() / self.channels) as Samples;
        self.speech.push(frame.samples);
    }

    /// Ends the current track; another may follow.
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

    /// Ends the voice with an error.
    pub fn fail(&self, error: SpeakerError) {
        self.end();
        (self.failure)(self.id, error);
    }

    /// Ends the voice.
    pub fn end(&self) {
        self.pause(&mut self.state.lock());
        self.speech.end();
    }

    /// Returns the counts of all tracks so far, and the delays of the last one.
    pub fn stats(&self) -> Stats {
        let state = self.state.lock();
        state.before.and(&state.now)
    }

    /// Counts frames as taken by the reader.
    pub fn took(&self, frames: usize) {
        self.backlog.release(frames);
    }

    /// Returns the number of frames that the reader did not take in time.
    pub fn dropped(&self) -> u64 {
        self.backlog.dropped()
    }
}
