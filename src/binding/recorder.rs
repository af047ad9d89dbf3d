//! The file of a session's requests as JavaScript writes it; `lib/recording/recorder.js` is its face.

use napi_derive::napi;

use crate::engine::Recorder;

#[napi]
pub struct NativeRecorder {
    recorder: Recorder,
}

#[napi]
impl NativeRecorder {
    pub(super) fn new(recorder: Recorder) -> Self {
        Self { recorder }
    }

    /// Settles when the text is written, or can't be.
    #[napi]
    pub fn write(&self, text: String, ticket: u32) {
        self.recorder.write(text, ticket);
    }
}
