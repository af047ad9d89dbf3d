//! The native side of a tap; `lib/tap.js` is the public one.

use napi_derive::napi;

use super::output::sample_format;
use crate::engine::Tap;
use crate::output::PcmFormat;
use crate::session::TapOf;

#[napi(object)]
pub struct NativeTapOptions {
    /// The whole output, if both are missing.
    pub track_id: Option<u32>,
    pub request_id: Option<String>,
    pub format: String,
    pub dither: bool,
    pub sample_rate: u32,
    pub channels: u32,
    pub frame_ms: u32,
}

impl NativeTapOptions {
    pub fn of(&self) -> TapOf {
        match (self.track_id, &self.request_id) {
            (Some(track), _) => TapOf::Track(track),
            (None, Some(name)) => TapOf::Playback(name.clone()),
            (None, None) => TapOf::All,
        }
    }

    pub fn into_core(self) -> PcmFormat {
        let Self { format, dither, sample_rate, channels, frame_ms, .. } = self;
        PcmFormat { sample_rate, channels: channels as usize, format: sample_format(&format, dither), frame_ms }
    }
}

#[napi]
pub struct NativeTap {
    tap: Tap,
}

#[napi]
impl NativeTap {
    pub(super) fn new(tap: Tap) -> Self {
        Self { tap }
    }

    /// Acknowledges so many frames. `more` is false if no more will be taken.
    #[napi]
    pub fn took(&self, frames: u32, more: bool) {
        self.tap.took(frames as usize, more);
    }

    #[napi]
    pub fn dropped(&self) -> f64 {
        self.tap.dropped() as f64
    }

    #[napi]
    pub fn close(&self) {
        self.tap.close();
    }
}
