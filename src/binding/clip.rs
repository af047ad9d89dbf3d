//! The native side of a clip; `lib/clip.js` is the public one.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use napi::bindgen_prelude::*;
use napi_derive::napi;
use parking_lot::Mutex;

use super::NativeBell;
use super::convert::{NativeNetwork, NativeRefusal, origin_of};
use super::outgoing::{Outgoing, OutgoingKind, Serialized};
use crate::audio::to_ms;
use crate::error::{Code, SpeakerError};
use crate::event::Message;
use crate::ids::Ticket;
use crate::net::Network;
use crate::runtime::{self, DECODERS};
use crate::source::{Clips, DecodeJob, FetchLimits, MemoryFile, Origin, Section, Source, make_clip};

#[napi(object)]
pub struct NativeClipSource {
    pub content_type: Option<String>,
    pub url: Option<String>,
    pub headers: Vec<Vec<String>>,
    pub path: Option<String>,
    pub audio: Option<Uint8Array>,
    pub fetch_timeout_ms: f64,
    pub min_fetch_bytes_per_second: f64,
    /// Default: that of the process.
    pub network: Option<NativeNetwork>,
}

impl NativeClipSource {
    /// Returns the source and the limits of its download, or the error if it may not be read.
    pub(super) fn into_core(self) -> Result<std::result::Result<(Source, FetchLimits), SpeakerError>> {
        let Self { content_type, url, headers, path, audio, network, .. } = self;
        let network = network.map(NativeNetwork::into_core).transpose()?;
        let network = network.map_or_else(Network::of_process, Arc::new);
        let timeout = Duration::from_secs_f64(self.fetch_timeout_ms / 1_000.0);
        let limits = FetchLimits { timeout, min_bytes_per_second: self.min_fetch_bytes_per_second };
        let origin = origin_of(url, headers, path, audio.as_ref(), network)?;
        Ok(origin.map(|origin| (Source::new(origin, content_type, Section::default()), limits)))
    }
}

/// A clip, or one that is being made.
#[napi(custom_finalize)]
pub struct NativeClip {
    /// The number by which the bell names it.
    number: u32,
    made: Arc<Mutex<Option<std::result::Result<Clips, SpeakerError>>>>,
    /// Present until it is made or cancelled.
    making: Option<DecodeJob>,
    /// Present from then on until it is closed.
    clips: Option<Arc<Clips>>,
    /// The bytes that it is made from, unless they are in a file or at a URL: recordings contain them.
    file: Option<MemoryFile>,
    /// The external memory that was reported to V8, in bytes.
    reported_bytes: i64,
}

#[napi]
impl NativeClip {
    /// Begins to make a clip, or returns the error. The bell rings once when it is made or has failed.
    #[napi]
    pub fn make(source: NativeClipSource, bell: &NativeBell) -> Result<Either<NativeClip, NativeRefusal>> {
        if let Err(error) = runtime::start() {
            return Ok(Either::B(error.into()));
        }
        let (source, limits) = match source.into_core()? {
            Ok(source) => source,
            Err(error) => return Ok(Either::B(error.into())),
        };
        let file = match &source.origin {
            Origin::Bytes(file) => Some(file.clone()),
            _ => None,
        };
        let kept = file.as_ref().map_or(0, |file| file.as_ref().len() as u64);
        let number = bell.last.fetch_add(1, Ordering::Relaxed);
        let made = Arc::<Mutex<_>>::default();
        let (answer, ring) = (made.clone(), bell.ring.clone());
        let making = make_clip(&DECODERS, source, kept, limits, move |result| {
            *answer.lock() = Some(result);
            ring(Outgoing { session: number, kind: OutgoingKind::Message });
        });
        Ok(Either::A(Self { number, made, making: Some(making), clips: None, file, reported_bytes: 0 }))
    }

    /// Returns the number by which the bell names this clip.
    #[napi(getter)]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Returns the answer once it is made or has failed, and nothing before that or after `cancel`.
    #[napi(ts_return_type = "any")]
    pub fn take(&mut self, env: Env) -> Result<Option<Serialized<Message>>> {
        let result = self.made.lock().take();
        let Some(result) = result.filter(|_| self.making.take().is_some()) else { return Ok(None) };
        let error = match result {
            Ok(clips) => {
                self.report_bytes(&env, clips.bytes() as i64)?;
                self.clips = Some(Arc::new(clips));
                None
            }
            Err(error) => {
                self.file = None;
                Some(error)
            }
        };
        Ok(Some(Serialized(Message::Settled { ticket: Ticket::default(), error })))
    }

    /// Stops making it.
    #[napi]
    pub fn cancel(&mut self) {
        self.making = None;
        self.file = None;
    }

    #[napi(getter)]
    pub fn duration_ms(&self) -> f64 {
        self.clips.as_ref().map_or(0.0, |clips| to_ms(clips.length()))
    }

    #[napi(getter)]
    pub fn channels(&self) -> u32 {
        self.clips.as_ref().map_or(0, |clips| clips.channels() as u32)
    }

    #[napi(getter)]
    pub fn bytes(&self) -> f64 {
        self.clips.as_ref().map_or(0.0, |clips| clips.bytes() as f64)
    }

    /// Returns a copy of the bytes that it was made from, unless they were in a file or at a URL.
    #[napi]
    pub fn copy_file(&self) -> Option<Buffer> {
        self.file.as_ref().map(|file| file.as_ref().into())
    }

    /// Closes it. Its playbacks continue, and its memory is freed with the last of them.
    #[napi]
    pub fn close(&mut self, env: Env) -> Result<()> {
        self.clips = None;
        self.file = None;
        self.report_bytes(&env, 0)
    }

    fn report_bytes(&mut self, env: &Env, bytes: i64) -> Result<()> {
        env.adjust_external_memory(bytes - self.reported_bytes)?;
        self.reported_bytes = bytes;
        Ok(())
    }

    pub(super) fn origin(&self) -> std::result::Result<Origin, SpeakerError> {
        let closed = || SpeakerError::new(Code::Closed, "Expected an open clip for audio but received a closed one");
        self.clips.clone().map(Origin::Clip).ok_or_else(closed)
    }
}

impl ObjectFinalize for NativeClip {
    fn finalize(mut self, env: Env) -> Result<()> {
        self.report_bytes(&env, 0)
    }
}
