//! A session's options as they cross the border.

use std::sync::Arc;
use std::time::Duration;

use napi::bindgen_prelude::*;
use napi_derive::napi;
use parking_lot::Mutex;

use super::output::NativeOutput;
use crate::audio::from_ms;
use crate::mixer::Duck;
use crate::output::{PcmSink, TokenSource};
use crate::session::{Clock, Options, Overlap, Policy};

#[napi(object)]
pub struct NativeOptions {
    pub output: NativeOutput,
    pub overlap: String,
    pub duck: Option<NativeDuck>,
    pub max_concurrent: u32,
    pub max_queued: u32,
    pub crossfade_ms: f64,
    pub queue_timeout_ms: f64,
    pub max_duration_ms: f64,
    pub gain: f64,
    pub progress_interval_ms: f64,
    pub fetch_timeout_ms: f64,
    pub stall_timeout_ms: f64,
}

#[napi(object)]
pub struct NativeDuck {
    pub db: f64,
    pub attack_ms: f64,
    pub release_ms: f64,
}

impl NativeOptions {
    pub fn into_core(self, store: Arc<Mutex<Vec<f32>>>, sink: PcmSink, token: TokenSource) -> Result<Options> {
        let clock = if self.output.clock == "manual" { Clock::Manual } else { Clock::Realtime };
        let channels = self.output.channels as usize;
        let overlap = match self.overlap.as_str() {
            "queue" => Overlap::Queue,
            "replace" => Overlap::Replace,
            _ => Overlap::Mix,
        };
        Ok(Options {
            output: self.output.into_core(store, sink, token)?,
            clock,
            channels,
            policy: Policy {
                overlap,
                crossfade: from_ms(self.crossfade_ms),
                max_concurrent: self.max_concurrent as usize,
                max_queued: self.max_queued as usize,
                queue_timeout: from_ms(self.queue_timeout_ms),
            },
            duck: self.duck.map(Into::into),
            gain: self.gain as f32,
            max_duration: from_ms(self.max_duration_ms),
            progress_interval: from_ms(self.progress_interval_ms),
            fetch_timeout: Duration::from_secs_f64(self.fetch_timeout_ms / 1_000.0),
            stall_timeout: from_ms(self.stall_timeout_ms),
        })
    }
}

impl From<NativeDuck> for Duck {
    fn from(duck: NativeDuck) -> Self {
        let level = 10_f64.powf(duck.db / 20.0) as f32;
        Self { level, attack: from_ms(duck.attack_ms), release: from_ms(duck.release_ms) }
    }
}
