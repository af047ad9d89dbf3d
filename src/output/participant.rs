//! Those who are in a room.

use std::collections::BTreeMap;

use serde::Serialize;

/// Somebody in a room, as its server lists them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Participant {
    /// Unique in the room: by this, others are named.
    pub identity: String,
    /// The server's name of this stay in the room.
    pub sid: String,
    /// What people call them.
    pub name: String,
    /// What their application says of them.
    pub metadata: String,
    /// The same, by keys; LiveKit's agents tell their state as `lk.agent.state`.
    pub attributes: BTreeMap<String, String>,
    /// What they are: a person's client, an agent, a caller by telephone…
    pub kind: &'static str,
    /// What they publish, by name.
    pub tracks: Vec<ParticipantTrack>,
    /// Grows with each change of this stay: a server may send an older state behind a newer one.
    #[serde(skip)]
    pub version: u32,
}

/// What somebody publishes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ParticipantTrack {
    /// The server's name of the track.
    pub sid: String,
    /// The publisher's name of it.
    pub name: String,
    /// Audio or video.
    pub kind: &'static str,
    /// What it shows.
    pub source: &'static str,
    /// Nothing comes on it for now.
    pub muted: bool,
}

/// What a room tells of those who are in it.
#[derive(Debug, Clone, PartialEq)]
pub enum Presence {
    /// Ourselves, as the server lists us.
    Local(Participant),
    /// All others, at the moment when the room was joined.
    Others(Vec<Participant>),
    /// Somebody else has come, or is listed otherwise than before.
    Listed(Participant),
    /// Somebody else has left.
    Left {
        /// Who.
        identity: String,
        /// Which stay of theirs has ended: the next one may have begun.
        sid: String,
    },
}

/// What a participant says of itself. What is not said stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Description {
    /// See [`Participant::name`].
    pub name: Option<String>,
    /// See [`Participant::metadata`].
    pub metadata: Option<String>,
    /// See [`Participant::attributes`]. An empty value takes the key away.
    pub attributes: BTreeMap<String, String>,
}

impl Description {
    /// Says this after what was said before.
    pub fn add(&mut self, more: Self) {
        self.name = more.name.or(self.name.take());
        self.metadata = more.metadata.or(self.metadata.take());
        self.attributes.extend(more.attributes);
    }

    /// Returns true if nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
