//! The messages of a session to its user: events, and the answers to calls that take time.
//!
//! Both come in one order, so a promise settles only after every event that came before it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::error::{Cause, Code, SpeakerError};
use crate::ids::{MarkId, PlaybackId, Ticket};
use crate::output::{Participant, Payload, Rpc, Text};

/// One event, numbered in the order of its session.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// The event's number: 1 for the session's first one.
    #[serde(serialize_with = "as_number")]
    pub seq: u64,
    /// The session's time in milliseconds: of the sample at which it happened, not of the moment it was emitted.
    pub at_ms: f64,
    /// The internal id of its playback, which is never reused; `None` for the session itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub playback: Option<PlaybackId>,
    /// Its `requestId`.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_text")]
    pub request_id: Option<Arc<str>>,
    /// Its track.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub track_id: Option<u32>,
    #[serde(flatten)]
    /// The kind of event.
    pub kind: EventKind,
}

/// The kinds of [`Event`], of a playback or of the session. Times are in milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum EventKind {
    /// It waits in its track's queue.
    Queued {
        /// Its place in line, 1 is next.
        queue_position: usize,
    },
    /// Its first sample was handed to the output.
    Started {
        /// The time since the request; on the manual clock in the session's time.
        latency_ms: f64,
        /// The time from the request to the first byte of its source; `None` on the manual clock, and for a source without bytes to wait for.
        #[serde(skip_serializing_if = "Option::is_none")]
        first_byte_ms: Option<f64>,
    },
    /// Its place in its source, every `progressIntervalMs` of its sound.
    Progress {
        /// Its place in its source.
        position_ms: f64,
    },
    /// It fell silent and stands still.
    Paused {
        /// Its place in its source.
        position_ms: f64,
    },
    /// It goes on: its next sample is handed over.
    Resumed {
        /// Its place in its source.
        position_ms: f64,
    },
    /// Its writer is behind: it is silent from here until more comes.
    Stalled {
        /// Its place in its source.
        position_ms: f64,
    },
    /// The metadata of a station's sound from here on.
    Metadata {
        /// The title; `None` if the station sends an empty one.
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
        /// The time for which it sounded.
        duration_ms: f64,
        /// Its place in its source.
        position_ms: f64,
        /// The part of that time in which nobody could hear it.
        #[serde(skip_serializing_if = "is_zero")]
        unheard_ms: f64,
    },
    /// It was ended early.
    Stopped {
        /// The reason that the stop gave.
        reason: String,
        /// The time for which it sounded, the fade included.
        duration_ms: f64,
        /// Its place in its source.
        position_ms: f64,
        /// The part of that time in which nobody could hear it.
        #[serde(skip_serializing_if = "is_zero")]
        unheard_ms: f64,
    },
    /// It ended with an error.
    Failed {
        /// The error, for programs.
        code: Code,
        /// The error, for people.
        message: String,
        /// The cause of the error, for the promise alone.
        #[serde(skip_serializing_if = "Option::is_none")]
        cause: Option<Cause>,
        /// The time for which it sounded.
        duration_ms: f64,
        /// Its place in its source.
        position_ms: f64,
        /// The part of that time in which nobody could hear it.
        #[serde(skip_serializing_if = "is_zero")]
        unheard_ms: f64,
    },
    /// The output is open.
    Connected,
    /// The connection to the room is lost and being restored.
    Reconnecting {
        /// The reason, in one word.
        reason: String,
    },
    /// The connection is restored.
    Reconnected,
    /// The output is closed, or lost for good.
    Disconnected {
        /// The reason, in one word.
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
    /// Somebody subscribed to a track for the first time.
    Subscribed {
        /// The track.
        track_id: u32,
        /// The subscriber's identity, if it is known.
        #[serde(skip_serializing_if = "Option::is_none")]
        identity: Option<String>,
    },
    /// The server unpublished a track.
    Unpublished {
        /// The track.
        track_id: u32,
        /// The reason, for programs.
        code: Code,
        /// The reason, for people.
        message: String,
    },
    /// A track is published again.
    Republished {
        /// The track.
        track_id: u32,
    },
    /// Another participant joined the room.
    ParticipantJoined {
        /// The participant.
        participant: Box<Participant>,
    },
    /// The name, metadata, attributes or tracks of another participant changed.
    ParticipantChanged {
        /// Their present state.
        participant: Box<Participant>,
    },
    /// Another participant left the room.
    ParticipantLeft {
        /// Their last known state.
        participant: Box<Participant>,
    },
    /// A participant sent data.
    Data {
        /// The sender; `None` for the server itself.
        identity: Option<String>,
        /// Its topic.
        topic: Option<String>,
        /// The bytes.
        payload: Payload,
        /// It was sent reliably and in order.
        reliable: bool,
    },
    /// A participant sent a text.
    Text {
        /// The sender; `None` for the server itself.
        identity: Option<String>,
        /// Its topic.
        topic: Option<String>,
        /// The text.
        text: Text,
        /// Its attributes.
        attributes: BTreeMap<String, String>,
    },
    /// Frames came too late or not at all, because the machine is busy or the process was halted.
    Overloaded {
        /// Frames that were mixed only when the next one was due.
        late_frames: u32,
        /// Frames that were skipped.
        lost_frames: u32,
        /// The largest delay among them.
        late_ms: f64,
    },
    /// Everything requested before a mark was heard, or has ended otherwise.
    Mark {
        /// The name that its user gave it.
        name: String,
        /// Its number, by which its promise is found.
        mark: MarkId,
    },
    /// The output failed, and every live playback with it; or the session broke, or the recording failed.
    Error {
        /// The error, for programs.
        code: Code,
        /// The error, for people.
        message: String,
    },
}

/// Serializes an integer as a number, because a `u64` would reach JavaScript as a BigInt. Numbers are exact up to 2⁵³.
fn as_number<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(*value as f64)
}

fn is_zero(ms: &f64) -> bool {
    *ms == 0.0
}

impl EventKind {
    /// Returns how long the playback that this ends sounded, in ms.
    pub fn sounded_ms(&self) -> Option<f64> {
        match self {
            Self::Completed { duration_ms, .. }
            | Self::Stopped { duration_ms, .. }
            | Self::Failed { duration_ms, .. } => Some(*duration_ms),
            _ => None,
        }
    }

    /// Returns how much of the playback that this ends could be heard, in ms.
    pub fn heard_ms(&self) -> Option<f64> {
        match self {
            Self::Completed { duration_ms, unheard_ms, .. }
            | Self::Stopped { duration_ms, unheard_ms, .. }
            | Self::Failed { duration_ms, unheard_ms, .. } => Some(duration_ms - unheard_ms),
            _ => None,
        }
    }
}

fn as_text<S: Serializer>(value: &Option<Arc<str>>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(value.as_deref().unwrap_or_default())
}

/// A message to JavaScript.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum Message {
    /// Something happened.
    Event(Event),
    /// A message of a remote procedure call.
    Rpc {
        /// The sender; `None` for the server itself.
        identity: Option<String>,
        /// The message.
        #[serde(flatten)]
        rpc: Rpc,
    },
    /// The call with this ticket is done.
    Settled {
        /// The ticket.
        ticket: Ticket,
        /// The error, if the call failed.
        error: Option<SpeakerError>,
    },
}
