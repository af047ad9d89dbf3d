//! What a session tells its user: events, and the answers to calls that take time.
//!
//! Both travel the same way in the same order, so a promise settles only after every event that came before it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::error::{Cause, Code, SpeakerError};
use crate::mixer::PlaybackId;
use crate::output::{Participant, Payload, Rpc, Text};

/// One event, numbered in the order of its session.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// 1 for the session's first event, then one more each.
    #[serde(serialize_with = "as_number")]
    pub seq: u64,
    /// The session's time of what is told, in milliseconds: the sample it happened at, not the moment it was told.
    pub at_ms: f64,
    /// The playback it is about, by its name inside, which is never used again; `None` for the session itself.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_optional_number")]
    pub playback: Option<PlaybackId>,
    /// Its `requestId`.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_text")]
    pub request_id: Option<Arc<str>>,
    /// Its track.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub track_id: Option<u32>,
    #[serde(flatten)]
    /// What happened.
    pub kind: EventKind,
}

/// What can happen to a playback or to the session. Times are in milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum EventKind {
    /// Waits in its track's queue.
    Queued {
        /// Its place in line, 1 is next.
        queue_position: usize,
    },
    /// Its first sample was handed to the output.
    Started {
        /// How long after the request that was: on the manual clock in the session's time.
        latency_ms: f64,
        /// How long after the request the first byte of its source was there; `None` on the manual clock, and for what needs none.
        #[serde(skip_serializing_if = "Option::is_none")]
        first_byte_ms: Option<f64>,
    },
    /// Where in its source it is, every `progressIntervalMs` of its sound.
    Progress {
        /// Its place in its source.
        position_ms: f64,
    },
    /// It fell silent and stands still.
    Paused {
        /// Its place in its source.
        position_ms: f64,
    },
    /// It goes on: the next sample of it is handed over.
    Resumed {
        /// Its place in its source.
        position_ms: f64,
    },
    /// Its writer is behind: it is silent from there until more comes.
    Stalled {
        /// Its place in its source.
        position_ms: f64,
    },
    /// What its source says of the sound that follows: of a station.
    Metadata {
        /// What is played; `None` if the station says that nothing is.
        #[serde(skip_serializing_if = "Option::is_none")]
        title: Option<String>,
        /// A page or a picture that belongs to it.
        #[serde(skip_serializing_if = "Option::is_none")]
        url: Option<String>,
        /// The station's name.
        #[serde(skip_serializing_if = "Option::is_none")]
        station: Option<String>,
    },
    /// It goes on from this place in its source.
    Sought {
        /// The place.
        position_ms: f64,
    },
    /// Its last sample was handed to the output.
    Completed {
        /// How long it sounded.
        duration_ms: f64,
        /// Its place in its source.
        position_ms: f64,
        /// How much of that nobody could hear.
        #[serde(skip_serializing_if = "is_zero")]
        unheard_ms: f64,
    },
    /// It was ended early.
    Stopped {
        /// The reason that the stop gave.
        reason: String,
        /// How long it sounded, the fade included.
        duration_ms: f64,
        /// Its place in its source.
        position_ms: f64,
        /// How much of that nobody could hear.
        #[serde(skip_serializing_if = "is_zero")]
        unheard_ms: f64,
    },
    /// It ended with an error.
    Failed {
        /// What went wrong, for programs.
        code: Code,
        /// What went wrong, for people.
        message: String,
        /// For the promise alone: what led to it.
        #[serde(skip_serializing_if = "Option::is_none")]
        cause: Option<Cause>,
        /// How long it sounded.
        duration_ms: f64,
        /// Its place in its source.
        position_ms: f64,
        /// How much of that nobody could hear.
        #[serde(skip_serializing_if = "is_zero")]
        unheard_ms: f64,
    },
    /// The output is open.
    Connected,
    /// The connection to the room is lost and being restored.
    Reconnecting {
        /// Why, in one word.
        reason: String,
    },
    /// The connection is restored.
    Reconnected,
    /// The output is closed, or lost for good.
    Disconnected {
        /// Why, in one word.
        reason: String,
    },
    /// A track was muted, by the server or by this session.
    Muted {
        /// The track.
        track_id: u32,
    },
    /// A track is not muted any more.
    Unmuted {
        /// The track.
        track_id: u32,
    },
    /// Somebody listens to a track for the first time.
    Subscribed {
        /// The track.
        track_id: u32,
        /// The listener's identity, if it is known.
        #[serde(skip_serializing_if = "Option::is_none")]
        identity: Option<String>,
    },
    /// The server took a track out of the room.
    Unpublished {
        /// The track.
        track_id: u32,
        /// Why, for programs.
        code: Code,
        /// Why, for people.
        message: String,
    },
    /// A track is in the room again.
    Republished {
        /// The track.
        track_id: u32,
    },
    /// Somebody else has come into the room.
    ParticipantJoined {
        /// The one who came.
        participant: Box<Participant>,
    },
    /// Somebody else in the room is listed otherwise: by name, metadata, attributes or tracks.
    ParticipantChanged {
        /// Their present state.
        participant: Box<Participant>,
    },
    /// Somebody else has left the room.
    ParticipantLeft {
        /// Their last known state.
        participant: Box<Participant>,
    },
    /// Somebody in the room has sent data.
    Data {
        /// Who, if it was not the server itself.
        identity: Option<String>,
        /// What it is about.
        topic: Option<String>,
        /// The bytes.
        payload: Payload,
        /// Whether it was sent again until it arrived, and in order.
        reliable: bool,
    },
    /// Somebody in the room has sent a text.
    Text {
        /// Who, if it was not the server itself.
        identity: Option<String>,
        /// What it is about.
        topic: Option<String>,
        /// The text.
        text: Text,
        /// What else was said of it.
        attributes: BTreeMap<String, String>,
    },
    /// Frames came too late or not at all, because the machine or the process had no time for them.
    Overloaded {
        /// Frames that were mixed when the next one was due already.
        late_frames: u32,
        /// Frames that were given up.
        lost_frames: u32,
        /// By how much the latest of them was late.
        late_ms: f64,
    },
    /// What was asked for before a mark was heard, or has ended otherwise.
    Mark {
        /// The name that its user gave it.
        name: String,
        /// Its number, by which the promise of it is found.
        mark: u32,
    },
    /// The output failed, and every live playback with it; or the session broke, or the recording failed.
    Error {
        /// What went wrong, for programs.
        code: Code,
        /// What went wrong, for people.
        message: String,
    },
}

/// JavaScript's numbers count to 2⁵³; a larger integer type would reach it as a BigInt.
fn as_number<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(*value as f64)
}

fn is_zero(ms: &f64) -> bool {
    *ms == 0.0
}

impl EventKind {
    /// How long the playback sounded that this ends.
    pub fn sounded_ms(&self) -> Option<f64> {
        match self {
            Self::Completed { duration_ms, .. }
            | Self::Stopped { duration_ms, .. }
            | Self::Failed { duration_ms, .. } => Some(*duration_ms),
            _ => None,
        }
    }

    /// How much somebody could hear of a playback that this ends, in ms.
    pub fn heard_ms(&self) -> Option<f64> {
        match self {
            Self::Completed { duration_ms, unheard_ms, .. }
            | Self::Stopped { duration_ms, unheard_ms, .. }
            | Self::Failed { duration_ms, unheard_ms, .. } => Some(duration_ms - unheard_ms),
            _ => None,
        }
    }
}

fn as_optional_number<S: Serializer>(value: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(value.unwrap_or_default() as f64)
}

fn as_text<S: Serializer>(value: &Option<Arc<str>>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(value.as_deref().unwrap_or_default())
}

/// What is sent to the user's side.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum Message {
    /// Something happened.
    Event(Event),
    /// A message of a remote procedure call has come.
    Rpc {
        /// From whom, if it was not the server itself.
        identity: Option<String>,
        /// The message.
        #[serde(flatten)]
        rpc: Rpc,
    },
    /// The call that was given this ticket is done.
    Settled {
        /// The ticket.
        ticket: u32,
        /// Why the call failed, if it did.
        error: Option<SpeakerError>,
    },
}
