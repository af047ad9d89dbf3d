//! Outputs as they cross the boundary to JavaScript, in both directions. Values and names are those of index.d.ts.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use napi::bindgen_prelude::*;
use napi_derive::napi;
use parking_lot::Mutex;

use crate::audio::from_ms;
use crate::g711::Law;
use crate::output::{Broadcast, Codec, ConnectionStats, EncodedFormat, EncodedOptions, Encoding, IceTransport};
use crate::output::{LiveKitOptions, OutputOptions, PcmFormat, PcmSink, Quality, Question, Recording, SampleFormat};
use crate::output::{StartWhen, Tokens, TrackOptions, TrackSource, UnheardPolicy};
use crate::reserved::ReservedPath;

#[napi(object)]
pub struct NativeOutput {
    pub r#type: String,
    pub clock: String,
    pub channels: u32,
    pub format: String,
    pub dither: bool,
    pub path: Option<String>,
    pub keep_unheard: bool,
    pub continuous: bool,
    pub sample_rate: u32,
    pub frame_ms: u32,
    pub url: Option<String>,
    pub codec: Option<String>,
    pub burst_ms: f64,
    pub chunk_ms: f64,
    pub bitrate: i32,
    pub complexity: i32,
    pub dtx: bool,
    pub red: bool,
    pub encode_once: bool,
    pub ice_transport: String,
    pub connect_timeout_ms: f64,
    pub on_reconnect: String,
    pub on_mute: String,
    pub start_when: String,
    pub subscribe_timeout_ms: f64,
    pub linger_ms: f64,
    pub tracks: Vec<NativeTrack>,
}

/// The settings of a track of a room.
#[napi(object)]
pub struct NativeTrack {
    pub track_id: u32,
    pub name: Option<String>,
    pub source: String,
    pub publish_at_once: bool,
}

impl NativeTrack {
    fn terms(self) -> TrackOptions {
        let source = match self.source.as_str() {
            "screenShareAudio" => TrackSource::ScreenShareAudio,
            "unknown" => TrackSource::Unknown,
            _ => TrackSource::Microphone,
        };
        TrackOptions { name: self.name, source }
    }
}

/// The quality of the connection, as the receivers report it.
#[napi(object)]
pub struct NativeLink {
    pub quality: Option<String>,
    pub loss: Option<f64>,
    pub jitter_ms: Option<f64>,
    pub round_trip_ms: Option<f64>,
}

impl NativeOutput {
    pub fn into_core(
        self,
        recording: Arc<Mutex<Recording>>,
        sink: PcmSink,
        question: Question,
        readable: Arc<dyn Fn() + Send + Sync>,
    ) -> Result<OutputOptions> {
        let format = sample_format(&self.format, self.dither);
        let Self { sample_rate, frame_ms, channels, .. } = self;
        let pcm = PcmFormat { sample_rate, channels: channels as usize, format, frame_ms };
        Ok(match (self.r#type.as_str(), &self.path) {
            ("wav", Some(path)) => OutputOptions::Wav {
                path: Arc::new(ReservedPath::new(PathBuf::from(path))),
                format,
                keeps_unheard: self.keep_unheard,
            },
            ("pcm", _) => OutputOptions::Pcm { format: pcm, is_continuous: self.continuous, sink },
            ("livekit", _) => OutputOptions::LiveKit(self.into_room(question)),
            ("stream" | "http", _) => {
                let format = self.encoded_format();
                let broadcast = Arc::new(Broadcast::new(format, move || readable()));
                let serve = (self.r#type == "http").then_some(question);
                OutputOptions::Encoded(EncodedOptions { format, broadcast, serve })
            }
            ("memory", _) => OutputOptions::Memory { recording },
            ("none", _) => OutputOptions::None,
            (other, _) => return Err(Error::from_reason(format!("no such output: {other}"))),
        })
    }

    fn encoded_format(&self) -> EncodedFormat {
        EncodedFormat {
            codec: match self.codec.as_deref() {
                Some("mp3") => Codec::Mp3,
                Some("wav") => Codec::Wav,
                _ => Codec::Opus,
            },
            channels: self.channels as usize,
            bitrate: self.bitrate as u32,
            burst: from_ms(self.burst_ms),
            piece: from_ms(self.chunk_ms),
        }
    }

    fn into_room(self, token: Question) -> LiveKitOptions {
        let Self { bitrate, complexity, dtx, red, .. } = self;
        let at_once = self.tracks.iter().filter(|track| track.publish_at_once);
        LiveKitOptions {
            url: self.url.unwrap_or_default(),
            tokens: Tokens::new(token),
            encoding: Encoding { bitrate, complexity, dtx, red },
            encode_once: self.encode_once,
            ice_transport: match self.ice_transport.as_str() {
                "tcp" => IceTransport::Tcp,
                "relay" => IceTransport::Relay,
                _ => IceTransport::All,
            },
            timeout: duration(self.connect_timeout_ms),
            on_reconnect: unheard_policy(&self.on_reconnect),
            on_mute: unheard_policy(&self.on_mute),
            start_when: match self.start_when.as_str() {
                "published" => StartWhen::Published,
                _ => StartWhen::Subscribed,
            },
            subscribe_timeout: duration(self.subscribe_timeout_ms),
            linger: duration(self.linger_ms),
            publish_at_once: at_once.map(|track| track.track_id).collect(),
            tracks: self.tracks.into_iter().map(|track| (track.track_id, track.terms())).collect(),
        }
    }
}

fn unheard_policy(name: &str) -> UnheardPolicy {
    match name {
        "continue" => UnheardPolicy::Continue,
        "drop" => UnheardPolicy::Drop,
        _ => UnheardPolicy::Pause,
    }
}

fn duration(ms: f64) -> Duration {
    Duration::from_secs_f64(ms / 1_000.0)
}

pub fn sample_format(name: &str, dither: bool) -> SampleFormat {
    match name {
        "f32" => SampleFormat::F32,
        "mulaw" => SampleFormat::G711(Law::Mu),
        "alaw" => SampleFormat::G711(Law::A),
        _ => SampleFormat::S16 { dither },
    }
}

impl NativeLink {
    /// Returns `None` before the first report.
    pub fn of(link: ConnectionStats) -> Option<Self> {
        let quality = link.quality.map(|quality| match quality {
            Quality::Excellent => "excellent".to_owned(),
            Quality::Good => "good".to_owned(),
            Quality::Poor => "poor".to_owned(),
            Quality::Lost => "lost".to_owned(),
        });
        let ms = |time: Duration| time.as_secs_f64() * 1_000.0;
        (link != ConnectionStats::default()).then(|| Self {
            quality,
            loss: link.report.map(|report| f64::from(report.loss)),
            jitter_ms: link.report.map(|report| ms(report.jitter)),
            round_trip_ms: link.report.and_then(|report| report.round_trip).map(ms),
        })
    }
}
