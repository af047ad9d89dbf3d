//! What participants of a room send each other besides sound.

use std::collections::BTreeMap;
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

/// A text that is somebody's own: no log shows it.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Text(pub String);

impl fmt::Debug for Text {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} bytes", self.0.len())
    }
}

/// One message of a remote procedure call. `id` names the call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "rpc", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Rpc {
    /// A method is called.
    Request {
        /// The call.
        id: String,
        /// What is to be done.
        method: String,
        /// With what.
        payload: Text,
        /// For how long the caller waits.
        timeout_ms: u32,
        /// How payloads are written: 1 is a text.
        version: u32,
    },
    /// The call has come.
    Ack {
        /// The call.
        id: String,
    },
    /// The method's answer.
    Response {
        /// The call.
        id: String,
        /// The answer.
        payload: Text,
    },
    /// The method failed, or there is none.
    Error {
        /// The call.
        id: String,
        /// What went wrong, for programs.
        code: u32,
        /// What went wrong, for people.
        message: Text,
        /// More of it.
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

/// What is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingData {
    /// What it is about, for whoever receives it.
    pub topic: Option<String>,
    /// The identities that are to receive it; everybody else, if empty.
    pub to: Vec<String>,
    /// What it is.
    pub what: OutgoingWhat,
}

/// What is to be sent, besides to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutgoingWhat {
    /// A packet of data.
    Data {
        /// The bytes.
        payload: Payload,
        /// Sent again until it arrives, and in order; if not, once.
        is_reliable: bool,
    },
    /// A text of any length.
    Text {
        /// The text.
        text: Text,
        /// What else is said of it.
        attributes: BTreeMap<String, String>,
        /// Tells it from all others.
        id: String,
        /// When it was written, in milliseconds since 1970.
        timestamp: i64,
    },
    /// A message of a remote procedure call.
    Rpc(Rpc),
}

/// What has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncomingData {
    /// The sender's identity; none if the server itself sent it.
    pub identity: Option<String>,
    /// Its topic, if the sender gave one.
    pub topic: Option<String>,
    /// What it is.
    pub what: IncomingWhat,
}

/// What has come, besides from whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IncomingWhat {
    /// A packet of data.
    Data {
        /// The bytes.
        payload: Payload,
        /// True if it came by the channel that loses nothing and keeps the order.
        is_reliable: bool,
    },
    /// A whole text.
    Text {
        /// The text.
        text: Text,
        /// What else was said of it.
        attributes: BTreeMap<String, String>,
    },
    /// A message of a remote procedure call.
    Rpc(Rpc),
}

/// Which of what others send is to be told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hears {
    /// Packets of data.
    pub data: bool,
    /// Texts.
    pub text: bool,
    /// Remote procedure calls.
    pub rpc: bool,
}

impl OutgoingData {
    /// About how many bytes it takes while it waits.
    pub fn cost(&self) -> usize {
        let to: usize = self.to.iter().map(|identity| identity.len() + size_of::<String>()).sum();
        let what = match &self.what {
            OutgoingWhat::Data { payload, .. } => payload.0.len(),
            OutgoingWhat::Text { text, attributes, .. } => text.0.len() + cost(attributes),
            OutgoingWhat::Rpc(rpc) => rpc.cost(),
        };
        OVERHEAD + self.topic.as_ref().map_or(0, String::len) + to + what
    }
}

impl IncomingData {
    /// About how many bytes it takes while it waits.
    pub fn cost(&self) -> usize {
        let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let what = match &self.what {
            IncomingWhat::Data { payload, .. } => payload.0.len(),
            IncomingWhat::Text { text, attributes } => text.0.len() + cost(attributes),
            IncomingWhat::Rpc(rpc) => rpc.cost(),
        };
        OVERHEAD + length(&self.identity) + length(&self.topic) + what
    }

    /// Whether it was to arrive whatever happens.
    pub fn is_reliable(&self) -> bool {
        !matches!(self.what, IncomingWhat::Data { is_reliable: false, .. })
    }
}

/// About how many bytes attributes take.
pub fn cost(attributes: &BTreeMap<String, String>) -> usize {
    attributes.iter().map(|(key, value)| key.len() + value.len() + 2 * size_of::<String>()).sum()
}
