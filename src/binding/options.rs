//! A session's options as they cross the boundary to JavaScript.

use std::sync::Arc;
use std::time::Duration;

use napi::bindgen_prelude::*;
use napi_derive::napi;
use parking_lot::Mutex;

use super::convert::{NativeNetwork, overlap_of};
use super::output::NativeOutput;
use crate::audio::from_ms;
use crate::engine::{Bell, EngineOptions};
use crate::mixer::Duck;
use crate::output::{PcmSink, Question, Recording};
use crate::session::{Clock, OnDuplicate, Options, Policy};
use crate::source::FetchLimits;

#[napi(object)]
pub struct NativeOptions {
    pub output: NativeOutput,
    pub overlap: String,
    pub track_overlap: Vec<NativeTrackOverlap>,
    pub on_duplicate: String,
    pub duck: Option<NativeDuck>,
    pub max_concurrent: u32,
    pub max_queued: u32,
    pub crossfade_ms: f64,
    pub queue_timeout_ms: f64,
    pub max_duration_ms: f64,
    pub gain: f64,
    pub progress_interval_ms: f64,
    pub fetch_timeout_ms: f64,
    pub min_fetch_bytes_per_second: f64,
    pub stall_timeout_ms: f64,
    pub start_timeout_ms: f64,
    /// Default: that of the process.
    pub network: Option<NativeNetwork>,
}

/// The overlap rule of one track.
#[napi(object)]
pub struct NativeTrackOverlap {
    pub track_id: u32,
    pub overlap: String,
}

#[napi(object)]
pub struct NativeDuck {
    pub db: f64,
    pub attack_ms: f64,
    pub release_ms: f64,
}

impl NativeOptions {
    pub fn into_core(
        self,
        recording: Arc<Mutex<Recording>>,
        sink: PcmSink,
        question: Question,
        readable: Arc<dyn Fn() + Send + Sync>,
        bell: Arc<dyn Bell>,
    ) -> Result<(Options, EngineOptions)> {
        let clock = if self.output.clock == "manual" { Clock::Manual } else { Clock::Realtime };
        let channels = self.output.channels as usize;
        let output = self.output.into_core(recording, sink, question, readable)?;
        let of_track = |rule: NativeTrackOverlap| (rule.track_id, overlap_of(&rule.overlap));
        let options = Options {
            clock,
            channels,
            routing: output.routing(),
            is_continuous: output.is_continuous(),
            policy: Policy {
                overlap: overlap_of(&self.overlap),
                track_overlap: self.track_overlap.into_iter().map(of_track).collect(),
                on_duplicate: match self.on_duplicate.as_str() {
                    "replace" => OnDuplicate::Replace,
                    _ => OnDuplicate::Fail,
                },
                crossfade: from_ms(self.crossfade_ms),
                max_concurrent: self.max_concurrent as usize,
                max_queued: self.max_queued as usize,
                queue_timeout: from_ms(self.queue_timeout_ms),
            },
            duck: self.duck.map(Into::into),
            gain: self.gain as f32,
            max_duration: from_ms(self.max_duration_ms),
            progress_interval: from_ms(self.progress_interval_ms),
            stall_timeout: from_ms(self.stall_timeout_ms),
            start_timeout: from_ms(self.start_timeout_ms),
        };
        let fetch = FetchLimits {
            timeout: Duration::from_secs_f64(self.fetch_timeout_ms / 1_000.0),
            min_bytes_per_second: self.min_fetch_bytes_per_second,
        };
        Ok((options, EngineOptions { output, fetch, bell }))
    }
}

impl From<NativeDuck> for Duck {
    fn from(duck: NativeDuck) -> Self {
        let level = 10_f64.powf(duck.db / 20.0) as f32;
        Self { level, attack: from_ms(duck.attack_ms), release: from_ms(duck.release_ms) }
    }
}
