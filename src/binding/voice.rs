//! A voice as JavaScript reads it; `lib/voice.js` is its face.

use napi_derive::napi;

use super::output::sample_format;
use crate::audio::to_ms;
use crate::engine::Listener;
use crate::output::PcmFormat;
use crate::source::Origin;

#[napi(object)]
pub struct NativeListenOptions {
    pub identity: String,
    pub track: Option<String>,
    pub format: String,
    pub dither: bool,
    pub sample_rate: u32,
    pub channels: u32,
    pub frame_ms: u32,
}

impl NativeListenOptions {
    pub fn format(&self) -> PcmFormat {
        let Self { format, dither, sample_rate, channels, frame_ms, .. } = self;
        let format = sample_format(format, *dither);
        PcmFormat { sample_rate: *sample_rate, channels: *channels as usize, format, frame_ms: *frame_ms }
    }
}

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

    /// So many frames were taken. Whether the others will be is of no interest: nothing waits for it.
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
            jitter_ms: stats.jitter * 1_000.0 / f64::from(crate::audio::SAMPLE_RATE),
            underruns: self.listener.underruns() as f64,
        }
    }

    #[napi]
    pub fn close(&self) {
        self.listener.close();
    }
}
