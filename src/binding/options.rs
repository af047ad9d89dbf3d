//! A session's options as they cross the border.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use napi::bindgen_prelude::*;
use napi_derive::napi;
use parking_lot::Mutex;

use crate::audio::from_ms;
use crate::mixer::Duck;
use crate::output::{Encoding, IceTransport, LiveKitOptions, OutputOptions, PcmSink, SampleFormat, TokenSource};
use crate::session::{Clock, Options, Overlap, Policy};

#[napi(object)]
pub struct NativeOptions {
    pub output: NativeOutput,
    pub overlap: String,
    pub duck: Option<NativeDuck>,
    pub max_concurrent: u32,
    pub max_queued: u32,
    pub queue_timeout_ms: f64,
    pub max_duration_ms: f64,
    pub gain: f64,
    pub progress_interval_ms: f64,
    pub fetch_timeout_ms: f64,
}

#[napi(object)]
pub struct NativeDuck {
    pub db: f64,
    pub attack_ms: f64,
    pub release_ms: f64,
}

#[napi(object)]
pub struct NativeOutput {
    pub r#type: String,
    pub clock: String,
    pub channels: u32,
    pub format: String,
    pub path: Option<String>,
    pub sample_rate: u32,
    pub frame_ms: u32,
    pub url: Option<String>,
    pub bitrate: i32,
    pub complexity: i32,
    pub ice_transport: String,
    pub connect_timeout_ms: f64,
}

impl NativeOptions {
    pub fn into_core(self, store: Arc<Mutex<Vec<f32>>>, sink: PcmSink, token: TokenSource) -> Result<Options> {
        let NativeOutput { clock, channels, format, path, sample_rate, frame_ms, .. } = self.output;
        let NativeOutput { bitrate, complexity, connect_timeout_ms, .. } = self.output;
        let format = if format == "f32" { SampleFormat::F32 } else { SampleFormat::S16 };
        let output = match (self.output.r#type.as_str(), path) {
            ("wav", Some(path)) => OutputOptions::Wav { path: PathBuf::from(path), format },
            ("pcm", _) => OutputOptions::Pcm { sample_rate, format, frame_ms, sink },
            ("livekit", _) => OutputOptions::LiveKit(LiveKitOptions {
                url: self.output.url.unwrap_or_default(),
                token,
                encoding: Encoding { bitrate, complexity },
                ice_transport: match self.output.ice_transport.as_str() {
                    "tcp" => IceTransport::Tcp,
                    "relay" => IceTransport::Relay,
                    _ => IceTransport::All,
                },
                timeout: Duration::from_secs_f64(connect_timeout_ms / 1_000.0),
            }),
            ("memory", _) => OutputOptions::Memory { store },
            (other, _) => return Err(Error::from_reason(format!("no such output: {other}"))),
        };
        let overlap = match self.overlap.as_str() {
            "queue" => Overlap::Queue,
            "replace" => Overlap::Replace,
            _ => Overlap::Mix,
        };
        Ok(Options {
            output,
            clock: if clock == "manual" { Clock::Manual } else { Clock::Realtime },
            channels: channels as usize,
            policy: Policy {
                overlap,
                max_concurrent: self.max_concurrent as usize,
                max_queued: self.max_queued as usize,
                queue_timeout: from_ms(self.queue_timeout_ms),
            },
            duck: self.duck.map(Into::into),
            gain: self.gain as f32,
            max_duration: from_ms(self.max_duration_ms),
            progress_interval: from_ms(self.progress_interval_ms),
            fetch_timeout: Duration::from_secs_f64(self.fetch_timeout_ms / 1_000.0),
        })
    }
}

impl From<NativeDuck> for Duck {
    fn from(duck: NativeDuck) -> Self {
        let level = 10_f64.powf(duck.db / 20.0) as f32;
        Self { level, attack: from_ms(duck.attack_ms), release: from_ms(duck.release_ms) }
    }
}
