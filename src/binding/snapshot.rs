//! A session's state as another session can go on from it, at the boundary to JavaScript: `lib/description.js` makes JSON of it.

use napi::bindgen_prelude::*;
use napi_derive::napi;

use super::convert::state_of;
use crate::audio::{from_ms, to_ms};
use crate::mixer::{Continuation, Curve, Ramp, TrackFade, TrackSettings};
use crate::session::{Continued, ENDLESS, Phase, PlaybackSnapshot, Snapshot};

/// A ramp, in ms of what was played of its playback.
#[napi(object)]
pub struct NativeRamp {
    pub from: f64,
    pub to: f64,
    pub at_ms: f64,
    pub length_ms: f64,
    pub equal_power: bool,
}

/// The way in which a playback goes on.
#[napi(object)]
pub struct NativeContinued {
    /// The place in its source.
    pub from_ms: f64,
    /// It waits in line, if its track is occupied.
    pub waits: bool,
    pub paused: bool,
    /// The time for which it does not start.
    pub hold_ms: f64,
    /// The length of its rise from silence.
    pub fade_in_ms: f64,
    pub voice: Option<NativeVoiceState>,
    pub stop_reason: Option<String>,
}

/// The state of a voice.
#[napi(object)]
pub struct NativeVoiceState {
    pub heard_ms: f64,
    pub volume: NativeRamp,
    pub rise: NativeRamp,
    pub cross: Option<NativeRamp>,
    pub stop: Option<NativeRamp>,
}

/// The rest of a fade of a track's volume, or of its two sides.
#[napi(object)]
pub struct NativeTrackFade {
    /// One level, or those of the left and the right channel.
    pub from: Vec<f64>,
    pub rest_ms: f64,
}

#[napi(object)]
pub struct NativeSnapshot {
    pub at_ms: f64,
    pub playbacks: Vec<NativePlaybackSnapshot>,
    pub tracks: Vec<NativeTrackSettings>,
}

#[napi(object)]
pub struct NativePlaybackSnapshot {
    /// The number in its events.
    pub playback: f64,
    pub state: String,
    /// It waits in line, also if it is paused there.
    pub waits: bool,
    pub position_ms: f64,
    /// The passes that are left; no limit if missing.
    pub passes: Option<f64>,
    pub fade_out_ms: f64,
    pub volume: f64,
    pub priority: i32,
    pub queue_timeout_ms: f64,
    pub voice: Option<NativeVoiceState>,
    pub stop_reason: Option<String>,
    /// The size of its source, if that is a file in memory.
    pub bytes: Option<f64>,
    /// That file, unless it is too large.
    pub audio: Option<Uint8Array>,
}

#[napi(object)]
pub struct NativeTrackSettings {
    pub track_id: u32,
    pub volume: f64,
    pub gain: f64,
    pub pan: f64,
    pub muted: bool,
    pub fades: Vec<NativeTrackFade>,
}

impl From<Ramp> for NativeRamp {
    fn from(Ramp { at, length, from, to, curve }: Ramp) -> Self {
        Self {
            from: f64::from(from),
            to: f64::from(to),
            at_ms: to_ms(at),
            length_ms: to_ms(length),
            equal_power: curve == Curve::EqualPower,
        }
    }
}

impl From<NativeRamp> for Ramp {
    fn from(NativeRamp { from, to, at_ms, length_ms, equal_power }: NativeRamp) -> Self {
        Self {
            at: from_ms(at_ms),
            length: from_ms(length_ms),
            from: from as f32,
            to: to as f32,
            curve: if equal_power { Curve::EqualPower } else { Curve::Straight },
        }
    }
}

impl From<Continuation> for NativeVoiceState {
    fn from(Continuation { played, volume, rise, cross, stop, .. }: Continuation) -> Self {
        Self {
            heard_ms: to_ms(played),
            volume: volume.into(),
            rise: rise.into(),
            cross: cross.map(Into::into),
            stop: stop.map(Into::into),
        }
    }
}

impl From<NativeContinued> for Continued {
    fn from(continued: NativeContinued) -> Self {
        let fade_in = from_ms(continued.fade_in_ms);
        let voice = |NativeVoiceState { heard_ms, volume, rise, cross, stop }| Continuation {
            played: from_ms(heard_ms),
            volume: volume.into(),
            rise: rise.into(),
            cross: cross.map(Into::into),
            stop: stop.map(Into::into),
            fade_in,
        };
        Self {
            waits: continued.waits,
            is_paused: continued.paused,
            hold: from_ms(continued.hold_ms),
            voice: continued.voice.map(voice),
            stop_reason: continued.stop_reason.map(Into::into),
        }
    }
}

impl From<TrackFade> for NativeTrackFade {
    fn from(fade: TrackFade) -> Self {
        let (from, rest) = match fade {
            TrackFade::Level(from, rest) => (vec![from], rest),
            TrackFade::Sides(from, rest) => (from.to_vec(), rest),
        };
        Self { from: from.into_iter().map(f64::from).collect(), rest_ms: to_ms(rest) }
    }
}

impl From<NativeTrackFade> for TrackFade {
    fn from(NativeTrackFade { from, rest_ms }: NativeTrackFade) -> Self {
        match from[..] {
            [left, right] => Self::Sides([left as f32, right as f32], from_ms(rest_ms)),
            _ => Self::Level(from.first().map_or(1.0, |level| *level as f32), from_ms(rest_ms)),
        }
    }
}

impl From<TrackSettings> for NativeTrackSettings {
    fn from(settings: TrackSettings) -> Self {
        Self {
            track_id: settings.id,
            volume: f64::from(settings.volume),
            gain: f64::from(settings.gain),
            pan: f64::from(settings.pan),
            muted: settings.is_muted,
            fades: settings.level_fade.into_iter().chain(settings.pan_fade).map(Into::into).collect(),
        }
    }
}

impl NativeSnapshot {
    /// Files in memory of at most `max_bytes` are copied.
    pub fn new(Snapshot { at, playbacks, tracks }: Snapshot, max_bytes: f64) -> Self {
        Self {
            at_ms: to_ms(at),
            playbacks: playbacks.into_iter().map(|playback| native_playback(playback, max_bytes)).collect(),
            tracks: tracks.into_iter().map(Into::into).collect(),
        }
    }
}

fn native_playback(playback: PlaybackSnapshot, max_bytes: f64) -> NativePlaybackSnapshot {
    let file = playback.file.as_ref().map(AsRef::as_ref);
    NativePlaybackSnapshot {
        playback: u64::from(playback.id) as f64,
        state: state_of(playback.phase, playback.is_paused).to_owned(),
        waits: playback.phase == Phase::Queued,
        position_ms: to_ms(playback.position),
        passes: (playback.passes < ENDLESS).then_some(playback.passes as f64),
        fade_out_ms: to_ms(playback.fade_out),
        volume: f64::from(playback.volume),
        priority: playback.priority,
        queue_timeout_ms: to_ms(playback.wait_left),
        voice: playback.voice.map(Into::into),
        stop_reason: playback.stop_reason.map(|reason| reason.to_string()),
        bytes: file.map(|file: &[u8]| file.len() as f64),
        audio: file.filter(|file| file.len() as f64 <= max_bytes).map(|file| file.to_vec().into()),
    }
}
