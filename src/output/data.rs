//! Data that participants of a room send each other: packets, texts and remote procedure calls.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Serialize, Serializer};

/// The memory that a queued packet takes besides its bytes.
const OVERHEAD: usize = 200;

/// Private bytes, which logs do not show.
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

/// A private text, which logs do not show.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Text(pub String);

impl fmt::Debug for Text {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} bytes", self.0.len())
    }
}

/// A message of a remote procedure call; `id` identifies the call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "rpc", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Rpc {
    /// The call of a method.
    Request {
        /// The call.
        id: String,
        /// The method's name.
        method: String,
        /// The argument.
        payload: Text,
        /// The caller's timeout.
        timeout_ms: u32,
        /// The version of the payload's encoding; 1 is plain text.
        version: u32,
    },
    /// The call was received.
    Ack {
        /// The call.
        id: String,
    },
    /// The method's result.
    Response {
        /// The call.
        id: String,
        /// The result.
        payload: Text,
    },
    /// The method failed or does not exist.
    Error {
        /// The call.
        id: String,
        /// The error code.
        code: u32,
        /// The error message.
        message: Text,
        /// More details.
        data: Text,
    },
}

impl Rpc {
    fn cost(&self) -> usize {
        match self {
            Self::Request { id, method, payload, .. } => id.len() + method.len() + payload.0.len(),
            Self::Ack { id } => id.len(),
            Self::Response { id, payload } => id.len() + payload.0.len(),
            Self::Error { id, message, data, .. } => id.len() + message.0.len() + data.0.len(),
        }
    }
}

/// Data to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingData {
    /// The topic, if any.
    pub topic: Option<String>,
    /// The identities of the receivers; if empty, all others receive it.
    pub to: Vec<String>,
    /// The content.
    pub content: OutgoingContent,
}

/// The content of outgoing data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutgoingContent {
    /// A packet of data.
    Data {
        /// The bytes.
        payload: Payload,
        /// True to retransmit until it arrives, in order; otherwise it is sent once.
        is_reliable: bool,
    },
    /// A text of any length.
    Text {
        /// The text.
        text: Text,
        /// Its attributes.
        attributes: BTreeMap<String, String>,
        /// Its unique id.
        id: String,
        /// The time it was written, in milliseconds since 1970.
        timestamp: i64,
    },
    /// A message of a remote procedure call.
    Rpc(Rpc),
}

/// Received data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncomingData {
    /// The sender's identity; None if the server itself sent it.
    pub identity: Option<String>,
    /// The topic, if the sender gave one.
    pub topic: Option<String>,
    /// The content.
    pub content: IncomingContent,
}

/// The content of received data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IncomingContent {
    /// A packet of data.
    Data {
        /// The bytes.
        payload: Payload,
        /// True if it came over the reliable, ordered channel.
        is_reliable: bool,
    },
    /// A complete text.
    Text {
        /// The text.
        text: Text,
        /// Its attributes.
        attributes: BTreeMap<String, String>,
    },
    /// A message of a remote procedure call.
    Rpc(Rpc),
}

/// The kinds of others' data that the session wants to receive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DataInterest {
    /// Packets of data.
    pub data: bool,
    /// Texts.
    pub text: bool,
    /// Remote procedure calls.
    pub rpc: bool,
}

impl OutgoingData {
    /// Returns about how many bytes it takes while it waits.
    pub fn cost(&self) -> usize {
        let to: usize = self.to.iter().map(|identity| identity.len() + size_of::<String>()).sum();
        let content = match &self.content {
            OutgoingContent::Data { payload, .. } => payload.0.len(),
            OutgoingContent::Text { text, attributes, .. } => text.0.len() + cost(attributes),
            OutgoingContent::Rpc(rpc) => rpc.cost(),
        };
        OVERHEAD + self.topic.as_ref().map_or(0, String::len) + to + content
    }
}

impl IncomingData {
    /// Returns about how many bytes it takes while it waits.
    pub fn cost(&self) -> usize {
        let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let content = match &self.content {
            IncomingContent::Data { payload, .. } => payload.0.len(),
            IncomingContent::Text { text, attributes } => text.0.len() + cost(attributes),
            IncomingContent::Rpc(rpc) => rpc.cost(),
        };
        OVERHEAD + length(&self.identity) + length(&self.topic) + content
    }

    /// Returns true if it was sent reliably.
    pub fn is_reliable(&self) -> bool {
        !matches!(self.content, IncomingContent::Data { is_reliable: false, .. })
    }
}

/// Returns about how many bytes attributes take.
pub fn cost(attributes: &BTreeMap<String, String>) -> usize {
    attributes.iter().map(|(key, value)| key.len() + value.len() + 2 * size_of::<String>()).sum()
}
