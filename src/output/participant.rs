//! The participants of a room.

use std::collections::BTreeMap;

use serde::Serialize;

/// A participant, as the room's server lists it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Participant {
    /// The name by which others refer to it, unique in the room.
    pub identity: String,
    /// The server's id of this stay in the room.
    pub sid: String,
    /// The display name.
    pub name: String,
    /// Metadata set by its application.
    pub metadata: String,
    /// Metadata by keys; LiveKit's agents publish their state as `lk.agent.state`.
    pub attributes: BTreeMap<String, String>,
    /// The kind of participant: a person's client, an agent, a telephone caller…
    pub kind: &'static str,
    /// The published tracks, sorted by name.
    pub tracks: Vec<ParticipantTrack>,
    /// A version that grows with each change of this stay: a server may send an older state after a newer one.
    #[serde(skip)]
    pub version: u32,
}

/// A published track.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ParticipantTrack {
    /// The server's id of the track.
    pub sid: String,
    /// The publisher's name of the track.
    pub name: String,
    /// Audio or video.
    pub kind: &'static str,
    /// The source: a microphone, a camera, a shared screen…
    pub source: &'static str,
    /// True while the publisher sends nothing.
    pub muted: bool,
}

/// A change of who is in a room.
#[derive(Debug, Clone, PartialEq)]
pub enum Presence {
    /// The local participant, as the server lists it.
    Local(Participant),
    /// All other participants when the room was joined.
    Others(Vec<Participant>),
    /// Another participant joined or changed.
    Listed(Participant),
    /// Another participant left.
    Left {
        /// The participant.
        identity: String,
        /// The stay that ended; the next one may have begun.
        sid: String,
    },
}

/// A change of a participant's own description. Unset fields stay as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Description {
    /// See [`Participant::name`].
    pub name: Option<String>,
    /// See [`Participant::metadata`].
    pub metadata: Option<String>,
    /// See [`Participant::attributes`]. An empty value removes the key.
    pub attributes: BTreeMap<String, String>,
}

impl Description {
    /// Merges a later change into this one.
    pub fn add(&mut self, more: Self) {
        self.name = more.name.or(self.name.take());
        self.metadata = more.metadata.or(self.metadata.take());
        self.attributes.extend(more.attributes);
    }

    /// Returns true if nothing is changed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
