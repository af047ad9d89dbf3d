//! The types that cross the boundary to JavaScript. `lib/check/` has checked every value; names and units are those of index.d.ts.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use napi::bindgen_prelude::*;
use napi_derive::napi;

use super::output::NativeLink;
use super::snapshot::NativeContinued;
use crate::audio::{Samples, from_ms, to_ms};
use crate::error::{Code, SpeakerError};
use crate::mixer::{Role, TrackVolume};
use crate::net::{Network, Rule};
use crate::output::{Rpc, Text};
use crate::session::{
    Accepted, Interrupted, Overlap, Phase, PlayRequest, PlaybackInfo, Stats, StopRequest, Target, TrackStats,
};
use crate::source::{Fetch, LoudnessTarget, MemoryFile, Origin, Section, Source};

#[napi(object)]
pub struct NativePlay {
    pub request_id: Option<String>,
    pub group: Option<String>,
    pub track_id: u32,
    pub role: String,
    pub stop_other: bool,
    pub overlap: Option<String>,
    pub priority: i32,
    pub queue_timeout_ms: Option<f64>,
    pub volume: f64,
    pub gain: f64,
    pub fade_in_ms: f64,
    pub fade_out_ms: f64,
    pub start_ms: f64,
    pub duration_ms: Option<f64>,
    /// The number of times it is played; unlimited if missing.
    pub passes: Option<u32>,
    pub content_type: Option<String>,
    pub url: Option<String>,
    pub headers: Vec<Vec<String>>,
    pub path: Option<String>,
    pub audio: Option<Uint8Array>,
    pub stall_timeout_ms: Option<f64>,
    /// Unchanged if missing.
    pub loudness: Option<NativeLoudness>,
    /// The way in which it goes on, if another session has accepted it before.
    pub continued: Option<NativeContinued>,
}

/// The wanted loudness of a source.
#[napi(object)]
pub struct NativeLoudness {
    pub target_lufs: f64,
    pub max_gain_db: f64,
}

/// The playbacks that a call is for: all of them if no field is given.
#[napi(object)]
pub struct NativeTarget {
    pub request_id: Option<String>,
    pub track_id: Option<u32>,
    pub group: Option<String>,
}

#[napi(object)]
pub struct NativeVolume {
    pub target: NativeTarget,
    pub volume: f64,
    pub fade_ms: f64,
}

#[napi(object)]
pub struct NativeStop {
    pub target: NativeTarget,
    pub reason: String,
    pub fade_out_ms: f64,
    pub ahead: bool,
}

#[napi(object)]
pub struct NativeInterrupt {
    pub keep: Vec<String>,
    pub reason: String,
    pub after_ms: f64,
    pub fade_out_ms: f64,
}

#[napi(object)]
pub struct NativeInterrupted {
    pub at_ms: f64,
    pub interrupted: Vec<NativePlayback>,
    pub groups: Vec<NativeHeard>,
}

/// The duration that was heard of a group.
#[napi(object)]
pub struct NativeHeard {
    pub group: String,
    pub heard_ms: f64,
}

#[napi(object)]
pub struct NativeMove {
    pub request_id: String,
    pub queue_position: u32,
}

/// A text for other participants of the room.
#[napi(object)]
pub struct NativeText {
    pub text: String,
    pub topic: Option<String>,
    pub attributes: HashMap<String, String>,
    pub id: String,
    /// In milliseconds since 1970.
    pub timestamp: f64,
}

/// A message of a remote procedure call: a request if it has a method, an error if it has a code, a response if it has only a payload,
/// and otherwise an acknowledgement.
#[napi(object)]
pub struct NativeRpc {
    pub id: String,
    pub method: Option<String>,
    pub payload: Option<String>,
    pub timeout_ms: Option<u32>,
    pub code: Option<u32>,
    pub message: Option<String>,
    pub data: Option<String>,
}

impl From<NativeRpc> for Rpc {
    fn from(NativeRpc { id, method, payload, timeout_ms, code, message, data }: NativeRpc) -> Self {
        let text = |text: Option<String>| Text(text.unwrap_or_default());
        match (method, code, payload) {
            (Some(method), _, payload) => {
                let timeout_ms = timeout_ms.unwrap_or_default();
                Self::Request { id, method, payload: text(payload), timeout_ms, version: 1 }
            }
            (None, Some(code), _) => Self::Error { id, code, message: text(message), data: text(data) },
            (None, None, Some(payload)) => Self::Response { id, payload: Text(payload) },
            (None, None, None) => Self::Ack { id },
        }
    }
}

/// An accepted request: its `requestId`, and the number in its events.
#[napi(object)]
pub struct NativeAccepted {
    pub request_id: String,
    pub playback: f64,
}

#[napi(object)]
pub struct NativeRefusal {
    pub code: String,
    pub message: String,
}

#[napi(object)]
pub struct NativePlayback {
    pub request_id: String,
    pub group: Option<String>,
    pub track_id: u32,
    pub role: String,
    pub state: String,
    pub position_ms: f64,
    pub queue_position: Option<u32>,
}

/// A change of a track's volume. A field that is missing stays as it is.
#[napi(object)]
pub struct NativeTrackVolume {
    pub volume: Option<f64>,
    pub gain: Option<f64>,
    pub fade_ms: f64,
}

impl From<NativeTrackVolume> for TrackVolume {
    fn from(NativeTrackVolume { volume, gain, fade_ms }: NativeTrackVolume) -> Self {
        let [volume, gain] = [volume, gain].map(|level| level.map(|level| level as f32));
        Self { volume, gain, fade: from_ms(fade_ms) }
    }
}

#[napi(object)]
pub struct NativeTrackStats {
    pub frames: f64,
    pub underruns: f64,
    pub buffered_ms: f64,
    pub playing: u32,
    pub loading: u32,
    pub queued: u32,
    pub paused: u32,
}

impl From<TrackStats> for NativeTrackStats {
    fn from(TrackStats { counts, buffered, playing, loading, queued, paused }: TrackStats) -> Self {
        let [playing, loading, queued, paused] = [playing, loading, queued, paused].map(|count| count as u32);
        Self {
            frames: counts.frames as f64,
            underruns: counts.underruns as f64,
            buffered_ms: to_ms(buffered),
            playing,
            loading,
            queued,
            paused,
        }
    }
}

#[napi(object)]
pub struct NativeStats {
    pub time_ms: f64,
    pub playing: u32,
    pub loading: u32,
    pub queued: u32,
    pub paused: u32,
    pub completed: f64,
    pub stopped: f64,
    pub failed: f64,
    pub underruns: f64,
    pub dropped_frames: f64,
    pub late_frames: f64,
    pub lost_frames: f64,
    pub shared_packets: f64,
    pub dropped_data: f64,
    pub link: Option<NativeLink>,
}

const ROLES: [(&str, Role); 4] =
    [("system", Role::System), ("voice", Role::Voice), ("media", Role::Media), ("ambient", Role::Ambient)];

fn role_of(name: &str) -> Role {
    ROLES.into_iter().find(|(known, _)| *known == name).map_or(Role::default(), |(_, role)| role)
}

pub fn overlap_of(name: &str) -> Overlap {
    match name {
        "queue" => Overlap::Queue,
        "replace" => Overlap::Replace,
        _ => Overlap::Mix,
    }
}

pub fn state_of(phase: Phase, is_paused: bool) -> &'static str {
    match phase {
        _ if is_paused => "paused",
        Phase::Queued => "queued",
        Phase::Loading => "loading",
        Phase::Playing => "playing",
        Phase::Stopping => "stopping",
    }
}

fn name_of(role: Role) -> &'static str {
    ROLES.into_iter().find(|(_, known)| *known == role).map_or("", |(name, _)| name)
}

/// The servers and files that sources may be at. `lib/check` has validated its rules with `isNetworkRule`.
#[napi(object)]
pub struct NativeNetwork {
    pub is_public: bool,
    pub allow: Vec<String>,
    pub deny: Vec<String>,
    pub files: bool,
}

impl NativeNetwork {
    pub fn into_core(self) -> Result<Network> {
        let rules = |texts: Vec<String>| {
            let parse = |text: String| Rule::parse(&text).ok_or_else(|| Error::from_reason("no rule for servers"));
            texts.into_iter().map(parse).collect::<Result<Vec<_>>>()
        };
        Ok(Network::new(self.is_public, rules(self.allow)?, rules(self.deny)?, self.files))
    }
}

/// Returns the origin of audio that is not a stream, from the first of these that is given, or the error if it is not allowed.
pub fn origin_of(
    url: Option<String>,
    headers: Vec<Vec<String>>,
    path: Option<String>,
    audio: Option<&Uint8Array>,
    network: Arc<Network>,
) -> Result<std::result::Result<Origin, SpeakerError>> {
    Ok(match (url, path, audio) {
        (Some(url), _, _) => {
            let pair = |header: Vec<String>| <[String; 2]>::try_from(header).ok().map(|[name, value]| (name, value));
            Ok(Origin::Url(Fetch::new(url, headers.into_iter().filter_map(pair).collect(), network)))
        }
        (_, Some(_), _) if !network.allows_files() => {
            let message = "Expected an http(s) URL for audioUrl (network takes no files) but received a file";
            Err(SpeakerError::new(Code::UrlBlocked, message))
        }
        (_, Some(path), _) => Ok(Origin::File(PathBuf::from(path))),
        (_, _, Some(audio)) => Ok(Origin::Bytes(MemoryFile::of(audio))),
        _ => return Err(Error::from_reason("no audio")),
    })
}

impl NativePlay {
    /// Returns the origin of its audio, if it is neither a stream nor a clip, or the error if it is not allowed.
    pub fn origin(&mut self, network: Arc<Network>) -> Result<std::result::Result<Origin, SpeakerError>> {
        let headers = std::mem::take(&mut self.headers);
        origin_of(self.url.take(), headers, self.path.take(), self.audio.as_ref(), network)
    }

    pub fn into_core(self, origin: Origin) -> PlayRequest {
        let start = from_ms(self.start_ms);
        let section = Section {
            from: self.continued.as_ref().map_or(start, |continued| from_ms(continued.from_ms)),
            start,
            end: self.duration_ms.map_or(Samples::MAX, |ms| start + from_ms(ms)),
            passes: self.passes.map_or(u64::MAX, u64::from),
            fade_out: from_ms(self.fade_out_ms),
        };
        let mut source = Source::new(origin, self.content_type, section);
        let loudness =
            |NativeLoudness { target_lufs, max_gain_db }| LoudnessTarget { lufs: target_lufs, max_gain: max_gain_db };
        source.loudness = self.loudness.map(loudness);
        PlayRequest {
            request_id: self.request_id,
            group: self.group,
            track: self.track_id,
            role: role_of(&self.role),
            stop_other: self.stop_other,
            overlap: self.overlap.as_deref().map(overlap_of),
            priority: self.priority,
            queue_timeout: self.queue_timeout_ms.map(from_ms),
            volume: self.volume as f32,
            gain: self.gain as f32,
            fade_in: from_ms(self.fade_in_ms),
            stall_timeout: self.stall_timeout_ms.map(from_ms),
            source,
            continued: self.continued.map(Into::into),
        }
    }
}

impl NativeInterrupt {
    pub fn into_core(self) -> StopRequest {
        let keep = self.keep.iter().map(|name| role_of(name)).collect();
        StopRequest {
            target: Target::AllBut(keep),
            reason: self.reason,
            fade_out: from_ms(self.fade_out_ms),
            after: from_ms(self.after_ms),
            ahead: false,
        }
    }
}

impl From<Interrupted> for NativeInterrupted {
    fn from(Interrupted { at, playbacks, groups }: Interrupted) -> Self {
        let heard =
            |(group, heard): (Arc<str>, Samples)| NativeHeard { group: group.to_string(), heard_ms: to_ms(heard) };
        Self {
            at_ms: to_ms(at),
            interrupted: playbacks.into_iter().map(Into::into).collect(),
            groups: groups.into_iter().map(heard).collect(),
        }
    }
}

impl From<NativeTarget> for Target {
    fn from(target: NativeTarget) -> Self {
        match (target.request_id, target.track_id, target.group) {
            (Some(request_id), ..) => Self::Request(request_id),
            (None, Some(track), _) => Self::Track(track),
            (None, None, Some(group)) => Self::Group(group),
            (None, None, None) => Self::All,
        }
    }
}

impl From<&Accepted> for NativeAccepted {
    fn from(accepted: &Accepted) -> Self {
        Self { request_id: accepted.request_id.to_string(), playback: u64::from(accepted.id) as f64 }
    }
}

impl From<SpeakerError> for NativeRefusal {
    fn from(error: SpeakerError) -> Self {
        Self { code: error.code.as_str().to_owned(), message: error.message }
    }
}

impl From<PlaybackInfo> for NativePlayback {
    fn from(info: PlaybackInfo) -> Self {
        Self {
            request_id: info.request_id.to_string(),
            group: info.group.as_deref().map(str::to_owned),
            track_id: info.track,
            role: name_of(info.role).to_owned(),
            state: state_of(info.phase, info.is_paused).to_owned(),
            position_ms: to_ms(info.position),
            queue_position: info.queue_position.map(|position| position as u32),
        }
    }
}

impl NativeStats {
    pub fn new(stats: Stats, live: &[PlaybackInfo]) -> Self {
        let count = |phases: &[Phase]| {
            live.iter().filter(|info| !info.is_paused && phases.contains(&info.phase)).count() as u32
        };
        Self {
            time_ms: to_ms(stats.now),
            playing: count(&[Phase::Playing, Phase::Stopping]),
            loading: count(&[Phase::Loading]),
            queued: count(&[Phase::Queued]),
            paused: live.iter().filter(|info| info.is_paused).count() as u32,
            completed: stats.completed as f64,
            stopped: stats.stopped as f64,
            failed: stats.failed as f64,
            underruns: stats.underruns as f64,
            dropped_frames: stats.dropped_frames as f64,
            late_frames: stats.late_frames as f64,
            lost_frames: stats.lost_frames as f64,
            shared_packets: stats.shared_packets as f64,
            dropped_data: stats.dropped_data as f64,
            link: NativeLink::of(stats.link),
        }
    }
}
