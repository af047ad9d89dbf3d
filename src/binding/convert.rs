//! The shapes that cross the border. `lib/check.js` has checked every value; names and units are those of index.d.ts.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use napi::bindgen_prelude::*;
use napi_derive::napi;
use parking_lot::Mutex;

use crate::audio::{from_ms, to_ms};
use crate::error::SpeakerError;
use crate::output::{Encoding, LiveKitOptions, OutputOptions, PcmSink, SampleFormat, TokenSource};
use crate::session::{Clock, Counters, Info, Options, Overlap, Phase, PlayRequest, Policy};
use crate::source::{Fetch, Origin, Source};

#[napi(object)]
pub struct NativeOptions {
    pub output: NativeOutput,
    pub overlap: String,
    pub max_concurrent: u32,
    pub max_queued: u32,
    pub max_duration_ms: f64,
    pub gain: f64,
    pub progress_interval_ms: f64,
    pub fetch_timeout_ms: f64,
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
    pub connect_timeout_ms: f64,
}

#[napi(object)]
pub struct NativePlay {
    pub request_id: Option<String>,
    pub track_id: u32,
    pub stop_other: bool,
    pub gain: f64,
    pub fade_in_ms: f64,
    pub content_type: Option<String>,
    pub url: Option<String>,
    pub headers: Vec<Vec<String>>,
    pub path: Option<String>,
    pub audio: Option<Uint8Array>,
}

#[napi(object)]
pub struct NativeStop {
    pub request_id: Option<String>,
    pub track_id: Option<u32>,
    pub reason: String,
    pub fade_out_ms: f64,
}

#[napi(object)]
pub struct NativeRefusal {
    pub code: String,
    pub message: String,
}

#[napi(object)]
pub struct NativePlayback {
    pub request_id: String,
    pub track_id: u32,
    pub state: String,
    pub position_ms: f64,
    pub place: Option<u32>,
}

#[napi(object)]
pub struct NativeStats {
    pub time_ms: f64,
    pub playing: u32,
    pub loading: u32,
    pub queued: u32,
    pub completed: f64,
    pub stopped: f64,
    pub failed: f64,
    pub underruns: f64,
    pub dropped_frames: f64,
    pub lost_frames: f64,
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
            },
            gain: self.gain as f32,
            max_duration: from_ms(self.max_duration_ms),
            progress_interval: from_ms(self.progress_interval_ms),
            fetch_timeout: Duration::from_secs_f64(self.fetch_timeout_ms / 1_000.0),
        })
    }
}

impl NativePlay {
    pub fn into_core(self) -> Result<PlayRequest> {
        let origin = match (self.url, self.path, self.audio) {
            (Some(url), _, _) => {
                let pair =
                    |header: Vec<String>| <[String; 2]>::try_from(header).ok().map(|[name, value]| (name, value));
                Origin::Url(Fetch { url, headers: self.headers.into_iter().filter_map(pair).collect() })
            }
            (_, Some(path), _) => Origin::File(PathBuf::from(path)),
            // Copied once: JavaScript may change its buffer at any time.
            (_, _, Some(audio)) => Origin::Bytes(audio.to_vec()),
            _ => return Err(Error::from_reason("no audio")),
        };
        Ok(PlayRequest {
            request_id: self.request_id,
            track: self.track_id,
            stop_other: self.stop_other,
            gain: self.gain as f32,
            fade_in: from_ms(self.fade_in_ms),
            source: Source { origin, content_type: self.content_type },
        })
    }
}

impl From<SpeakerError> for NativeRefusal {
    fn from(error: SpeakerError) -> Self {
        Self { code: error.code.as_str().to_owned(), message: error.message }
    }
}

impl From<Info> for NativePlayback {
    fn from(info: Info) -> Self {
        let state = match info.phase {
            Phase::Queued => "queued",
            Phase::Loading => "loading",
            Phase::Playing => "playing",
            Phase::Stopping => "stopping",
        };
        Self {
            request_id: info.request_id,
            track_id: info.track,
            state: state.to_owned(),
            position_ms: to_ms(info.position),
            place: info.place.map(|place| place as u32),
        }
    }
}

impl NativeStats {
    pub fn new(counters: &Counters, live: &[Info]) -> Self {
        let count = |phases: &[Phase]| live.iter().filter(|info| phases.contains(&info.phase)).count() as u32;
        Self {
            time_ms: to_ms(counters.now.load(Relaxed)),
            playing: count(&[Phase::Playing, Phase::Stopping]),
            loading: count(&[Phase::Loading]),
            queued: count(&[Phase::Queued]),
            completed: counters.completed.load(Relaxed) as f64,
            stopped: counters.stopped.load(Relaxed) as f64,
            failed: counters.failed.load(Relaxed) as f64,
            underruns: counters.underruns.load(Relaxed) as f64,
            dropped_frames: counters.dropped_frames.load(Relaxed) as f64,
            lost_frames: counters.lost_frames.load(Relaxed) as f64,
        }
    }
}
