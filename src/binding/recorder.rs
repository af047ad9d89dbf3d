//! The native side of the recording of a session's requests; `lib/recording/recorder.js` is the public one.

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

    /// Writes a text. `ticket` settles when it is written or has failed.
    #[napi]
    pub fn write(&self, text: String, ticket: u32) {
        self.recorder.write(text, ticket.into());
    }
}
