//! A stream as JavaScript writes it; `lib/stream.js` is its face.

use std::sync::Arc;

use napi_derive::napi;

use super::convert::{NativeAccepted, NativeRefusal};
use crate::engine::Stream;
use crate::source::{self, Encoding, Pipe, Raw};

#[napi(object)]
pub struct NativeEncoding {
    /// `pcm16`, `f32`, or a file format if it is known.
    pub format: Option<String>,
    pub sample_rate: u32,
    pub channels: u32,
    /// The first bytes are on their way.
    pub more: bool,
}

impl NativeEncoding {
    pub fn open(self) -> (Arc<Pipe>, source::Stream) {
        let Self { format, sample_rate: rate, channels, more } = self;
        let raw = |format| Encoding::Raw { format, rate, channels: channels as usize };
        let encoding = match format.as_deref() {
            Some("pcm16") => raw(Raw::Pcm16),
            Some("f32") => raw(Raw::F32),
            _ => Encoding::File(format),
        };
        source::Stream::new(encoding, more)
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

    /// Its `requestId`, and the number that its events bear.
    #[napi(getter)]
    pub fn accepted(&self) -> NativeAccepted {
        self.stream.accepted().into()
    }

    /// Copies what there is room for and returns how many bytes; none once the playback has ended. `more` tells that others
    /// follow at once.
    #[napi]
    pub fn write(&self, bytes: &[u8], more: bool) -> Option<u32> {
        self.stream.write(bytes, more).map(|taken| taken as u32)
    }

    #[napi]
    pub fn when_room(&self, ticket: u32) {
        self.stream.when_room(ticket);
    }

    #[napi]
    pub fn end(&self) {
        self.stream.end();
    }

    #[napi]
    pub fn fail(&self, message: String) {
        self.stream.fail(message);
    }

    /// Sets a mark behind so many bytes that were written since the last flush. Why not, if the session is closed.
    #[napi]
    pub fn mark(&self, name: String, number: u32, bytes: f64) -> Option<NativeRefusal> {
        self.stream.mark(name, number, bytes as u64).err().map(Into::into)
    }

    #[napi]
    pub fn flush(&self, more: bool, ticket: u32) {
        self.stream.flush(more, ticket);
    }
}
