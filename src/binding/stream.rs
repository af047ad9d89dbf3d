//! The native side of a stream; `lib/stream.js` is the public one.

use std::sync::Arc;

use napi_derive::napi;

use super::convert::{NativeAccepted, NativeRefusal};
use crate::audio::{from_ms, to_ms};
use crate::engine::Stream;
use crate::g711::Law;
use crate::session::StreamStats;
use crate::source::{self, Encoding, PipeWriter, Prebuffer, Raw};

#[napi(object)]
pub struct NativeEncoding {
    /// `pcm16`, `f32`, `mulaw`, `alaw`, `g722`, or a file format if it is known.
    pub format: Option<String>,
    pub sample_rate: u32,
    pub channels: u32,
    /// The first bytes follow at once.
    pub more: bool,
    /// The duration that is buffered before playing, at least and at most.
    pub prebuffer_ms: NativePrebuffer,
}

#[napi(object)]
pub struct NativePrebuffer {
    pub min_ms: f64,
    pub max_ms: f64,
}

#[napi(object)]
pub struct NativeStreamStats {
    pub buffered_ms: f64,
    pub prebuffer_ms: f64,
    pub underruns: f64,
}

impl NativeEncoding {
    pub fn open(self) -> (Arc<PipeWriter>, source::Stream) {
        let Self { format, sample_rate: rate, channels, more, prebuffer_ms } = self;
        let raw = |format| Encoding::Raw { format, rate, channels: channels as usize };
        let encoding = match format.as_deref() {
            Some("pcm16") => raw(Raw::Pcm16),
            Some("f32") => raw(Raw::F32),
            Some("mulaw") => raw(Raw::G711(Law::Mu)),
            Some("alaw") => raw(Raw::G711(Law::A)),
            Some("g722") => raw(Raw::G722),
            _ => Encoding::File(format),
        };
        let (pipe, stream) = source::Stream::new(encoding, more);
        let [least, most] = [prebuffer_ms.min_ms, prebuffer_ms.max_ms].map(|ms| from_ms(ms) as usize);
        (pipe, source::Stream { prebuffer: Prebuffer { least, most }, ..stream })
    }
}

#[napi]
pub struct NativeStream {
    stream: Stream,
}

#[napi]
impl NativeStream {
    pub(super) fn new(stream: Stream) -> Self {
        Self { stream }
    }

    /// Returns its `requestId`, and the number in its events.
    #[napi(getter)]
    pub fn accepted(&self) -> NativeAccepted {
        self.stream.accepted().into()
    }

    /// Returns its statistics until its playback has ended.
    #[napi]
    pub fn stats(&self) -> Option<NativeStreamStats> {
        let StreamStats { buffered, prebuffer, underruns } = self.stream.stats()?;
        Some(NativeStreamStats {
            buffered_ms: to_ms(buffered),
            prebuffer_ms: to_ms(prebuffer),
            underruns: underruns as f64,
        })
    }

    /// Copies as many bytes as there is room for and returns their number, or nothing once the playback has ended. `more` says that
    /// others follow at once.
    #[napi]
    pub fn write(&self, bytes: &[u8], more: bool) -> Option<u32> {
        self.stream.write(bytes, more).map(|taken| taken as u32)
    }

    #[napi]
    pub fn when_room(&self, ticket: u32) {
        self.stream.when_writable(ticket.into());
    }

    #[napi]
    pub fn end(&self) {
        self.stream.end();
    }

    #[napi]
    pub fn fail(&self, message: String) {
        self.stream.fail(message);
    }

    /// Sets a mark behind so many bytes that were written since the last flush. Returns an error if the session is closed.
    #[napi]
    pub fn mark(&self, name: String, number: u32, bytes: f64) -> Option<NativeRefusal> {
        self.stream.mark(name, number.into(), bytes as u64).err().map(Into::into)
    }

    #[napi]
    pub fn flush(&self, more: bool, ticket: u32) {
        self.stream.flush(more, ticket.into());
    }
}
