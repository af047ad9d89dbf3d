//! The only code that knows Node: converts and forwards, nothing else.
//!
//! Every call returns at once. Events, answers and PCM frames come back through one weak thread-safe function, so they
//! keep their order and an idle session does not keep the process alive.

mod convert;
mod log;
mod options;
mod outgoing;
mod output;
mod stream;
mod tap;
mod token;

use std::sync::Arc;

use napi::bindgen_prelude::*;
use napi::threadsafe_function::ThreadsafeFunctionCallMode;
use napi_derive::napi;
use parking_lot::Mutex;

use crate::audio::{from_ms, to_ms};
use crate::error::{Code, SpeakerError};
use crate::output::{PcmFrame, PcmSink};
use crate::session::{Handle, StopRequest};
use crate::source::Origin;
use convert::{
    NativeInterrupt, NativeMove, NativePlay, NativePlayback, NativeRefusal, NativeStats, NativeStop, NativeTarget,
    NativeVolume,
};
use options::NativeOptions;
use outgoing::Outgoing;
use stream::{NativeEncoding, NativeStream};
use tap::{NativeTap, NativeTapOptions};
use token::Tokens;

/// A session; `lib/session.js` is its face.
#[napi]
pub struct NativeSession {
    handle: Handle,
    /// What the `memory` output keeps.
    store: Arc<Mutex<Vec<f32>>>,
    tokens: Tokens,
    /// Where frames go, the output's and the taps'.
    frames: PcmSink,
}

#[napi]
impl NativeSession {
    #[napi(constructor, ts_args_type = "options: NativeOptions, receive: (message: any) => void")]
    pub fn new(options: NativeOptions, receive: Function<Outgoing, ()>) -> Result<Self> {
        log::start();
        let receive =
            receive.build_threadsafe_function::<Outgoing>().weak::<true>().callee_handled::<false>().build()?;
        let receive = Arc::new(receive);
        let taking = receive.clone();
        let frames: PcmSink = Arc::new(move |frame: PcmFrame| {
            taking.call(Outgoing::Frame(frame), ThreadsafeFunctionCallMode::NonBlocking);
        });
        let store = Arc::<Mutex<Vec<f32>>>::default();
        let (tokens, asking) = (Tokens::default(), receive.clone());
        let token = tokens.source(move |number| {
            asking.call(Outgoing::TokenWanted(number), ThreadsafeFunctionCallMode::NonBlocking);
        });
        let options = options.into_core(store.clone(), frames.clone(), token)?;
        let sink = Arc::new(move |message| {
            receive.call(Outgoing::Message(message), ThreadsafeFunctionCallMode::NonBlocking);
        });
        Ok(Self { handle: Handle::new(options, sink), store, tokens, frames })
    }

    /// Takes a request: its `requestId`, or why it is refused.
    #[napi]
    pub fn play(&self, mut request: NativePlay) -> Result<Either<String, NativeRefusal>> {
        let origin = request.origin()?;
        Ok(match self.handle.play(request.into_core(origin)) {
            Ok(request_id) => Either::A(request_id),
            Err(error) => Either::B(error.into()),
        })
    }

    /// Takes a request whose bytes will be written: the writer's end, or why it is refused.
    #[napi]
    pub fn stream(&self, request: NativePlay, encoding: NativeEncoding) -> Either<NativeStream, NativeRefusal> {
        let (pipe, stream) = encoding.open();
        match self.handle.stream(request.into_core(Origin::Stream(stream)), pipe) {
            Ok(stream) => Either::A(NativeStream::new(stream)),
            Err(error) => Either::B(error.into()),
        }
    }

    /// Says whom it stopped.
    #[napi]
    pub fn stop(&self, request: NativeStop) -> Vec<String> {
        let NativeStop { target, reason, fade_out_ms } = request;
        let request = StopRequest { target: target.into(), reason, fade_out: from_ms(fade_out_ms) };
        self.handle.stop(&request).into_iter().map(|info| info.request_id).collect()
    }

    /// Says whom it stopped, and where they were.
    #[napi]
    pub fn interrupt(&self, request: NativeInterrupt) -> Vec<NativePlayback> {
        self.handle.stop(&request.into_core()).into_iter().map(Into::into).collect()
    }

    /// Says whom it paused.
    #[napi]
    pub fn pause(&self, target: NativeTarget) -> Vec<String> {
        self.handle.pause(&target.into())
    }

    /// Says whom it resumed.
    #[napi]
    pub fn resume(&self, target: NativeTarget) -> Vec<String> {
        self.handle.resume(&target.into())
    }

    /// Says whom it sought, or why it can't.
    #[napi]
    pub fn seek(&self, target: NativeTarget, position_ms: f64) -> Either<Vec<String>, NativeRefusal> {
        match self.handle.seek(&target.into(), from_ms(position_ms)) {
            Ok(sought) => Either::A(sought),
            Err(error) => Either::B(error.into()),
        }
    }

    /// Says whose volume it changed.
    #[napi]
    pub fn set_volume(&self, request: NativeVolume) -> Vec<String> {
        let NativeVolume { target, volume, fade_ms } = request;
        self.handle.set_volume(&target.into(), volume as f32, from_ms(fade_ms))
    }

    /// Whether it waited, and so stands there now.
    #[napi(js_name = "move")]
    pub fn move_to(&self, request: NativeMove) -> bool {
        self.handle.move_to(&request.request_id, request.position as usize)
    }

    #[napi]
    pub fn playbacks(&self) -> Vec<NativePlayback> {
        self.handle.playbacks().into_iter().map(Into::into).collect()
    }

    #[napi]
    pub fn stats(&self) -> NativeStats {
        NativeStats::new(self.handle.counters(), &self.handle.playbacks())
    }

    /// The samples that the `memory` output has so far.
    #[napi]
    pub fn recording(&self) -> Float32Array {
        Float32Array::new(self.store.lock().clone())
    }

    /// A tap whose frames bear its `id`, or why there is none.
    #[napi]
    pub fn tap(&self, id: u32, options: NativeTapOptions) -> Either<NativeTap, NativeRefusal> {
        match self.handle.tap(id, options.into_core(), self.frames.clone()) {
            Ok(tap) => Either::A(NativeTap::new(tap)),
            Err(error) => Either::B(error.into()),
        }
    }

    /// Answers `tokenWanted`: the token, or why there is none.
    #[napi]
    pub fn give_token(&self, number: u32, token: Option<String>, reason: Option<String>) {
        self.tokens.answer(number, token.ok_or(reason.unwrap_or_default()));
    }

    #[napi]
    pub fn connect(&self, ticket: u32) {
        self.handle.connect(ticket);
    }

    /// Waits for a `connect` no longer; it settles with `ERR_ABORTED` if it has not yet.
    #[napi]
    pub fn give_up(&self, ticket: u32) {
        self.handle.give_up(ticket);
    }

    /// Why not, if the clock is not manual.
    #[napi]
    pub fn advance(&self, ms: f64, ticket: u32) -> Option<NativeRefusal> {
        self.handle.advance(from_ms(ms), ticket).err().map(Into::into)
    }

    /// The time by which the session waits: on a realtime clock since it was made, in silence too.
    #[napi]
    pub fn now_ms(&self) -> f64 {
        to_ms(self.handle.now())
    }

    /// Tells that the recording can't be written.
    #[napi]
    pub fn report(&self, message: String) {
        self.handle.report(SpeakerError::new(Code::Record, message));
    }

    #[napi]
    pub fn close(&self, ticket: u32) {
        self.handle.close(ticket);
    }
}
