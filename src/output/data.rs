//! What participants of a room send each other besides sound.

use std::fmt;

use serde::{Serialize, Serializer};

/// What a packet takes besides its bytes, while it waits.
const OVERHEAD: usize = 200;

/// Bytes that are somebody's own: no log shows them.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload(pub Vec<u8>);

impl fmt::Debug for Payload {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} bytes", self.0.len())
    }
}

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

/// What is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingData {
    /// The bytes.
    pub payload: Payload,
    /// What it is about, for whoever receives it.
    pub topic: Option<String>,
    /// Sent again until it arrives, and in order; if not, once.
    pub is_reliable: bool,
    /// The identities that are to receive it; everybody else, if empty.
    pub to: Vec<String>,
}

/// What has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncomingData {
    /// Who sent it, if it was not the server itself.
    pub identity: Option<String>,
    /// What it is about.
    pub topic: Option<String>,
    /// The bytes.
    pub payload: Payload,
    /// Whether it was sent again until it arrived, and in order.
    pub is_reliable: bool,
}

impl OutgoingData {
    /// About how many bytes it takes while it waits.
    pub fn cost(&self) -> usize {
        let to: usize = self.to.iter().map(|identity| identity.len() + size_of::<String>()).sum();
        OVERHEAD + self.payload.0.len() + self.topic.as_ref().map_or(0, String::len) + to
    }
}

impl IncomingData {
    /// About how many bytes it takes while it waits.
    pub fn cost(&self) -> usize {
        cost(&self.identity, &self.topic, &self.payload)
    }
}

/// About how many bytes take what has come, while they wait.
pub fn cost(identity: &Option<String>, topic: &Option<String>, payload: &Payload) -> usize {
    let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    OVERHEAD + payload.0.len() + length(identity) + length(topic)
}
