//! The native side of a voice; `lib/voice.js` is the public one.

use napi_derive::napi;

use crate::audio::{PER_MS, to_ms};
use crate::engine::Listener;
use crate::source::Origin;

#[napi(object)]
pub struct NativeVoiceStats {
    pub received_packets: f64,
    pub lost_packets: f64,
    pub late_packets: f64,
    pub recovered_packets: f64,
    pub concealed_ms: f64,
    pub delay_ms: f64,
    pub jitter_ms: f64,
    pub underruns: f64,
}

#[napi]
pub struct NativeVoice {
    listener: Listener,
}

#[napi]
impl NativeVoice {
    pub(super) fn new(listener: Listener) -> Self {
        Self { listener }
    }

    pub(super) fn origin(&self) -> Origin {
        self.listener.origin()
    }

    /// Acknowledges so many frames. Nothing depends on whether more will be taken.
    #[napi]
    pub fn took(&self, frames: u32, _more: bool) {
        self.listener.took(frames as usize);
    }

    #[napi]
    pub fn dropped(&self) -> f64 {
        self.listener.dropped() as f64
    }

    #[napi]
    pub fn stats(&self) -> NativeVoiceStats {
        let stats = self.listener.stats();
        NativeVoiceStats {
            received_packets: stats.received as f64,
            lost_packets: stats.lost as f64,
            late_packets: stats.late as f64,
            recovered_packets: (stats.copies + stats.repeated) as f64,
            concealed_ms: to_ms(stats.concealed),
            delay_ms: to_ms(stats.delay),
            jitter_ms: stats.jitter / PER_MS as f64,
            underruns: self.listener.underruns() as f64,
        }
    }

    #[napi]
    pub fn close(&self) {
        self.listener.close();
    }
}
