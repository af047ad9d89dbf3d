//! The native side of a stream of the encoded mix; `lib/audio-stream.js` is the public one.

use napi::bindgen_prelude::*;
use napi_derive::napi;

use crate::engine::AudioStream;
use crate::output::Read;

#[napi]
pub struct NativeAudioStream {
    stream: AudioStream,
}

#[napi]
impl NativeAudioStream {
    pub(super) fn new(stream: AudioStream) -> Self {
        Self { stream }
    }

    /// Returns the next bytes: null if there are none yet, and none at the end.
    #[napi]
    pub fn read(&self) -> Option<Buffer> {
        match self.stream.read() {
            Read::Bytes(bytes) => Some(bytes.into()),
            Read::Waits => None,
            Read::Ended => Some(Vec::new().into()),
        }
    }

    /// Sets whether a manual clock waits for this reader.
    #[napi]
    pub fn hold(&self, holds: bool) {
        self.stream.hold(holds);
    }

    /// Returns the frames of 20 ms that the reader did not get.
    #[napi]
    pub fn dropped(&self) -> f64 {
        self.stream.dropped() as f64
    }

    #[napi]
    pub fn close(&self) {
        self.stream.close();
    }
}
