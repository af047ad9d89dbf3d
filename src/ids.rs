//! The numbers by which playbacks, calls and marks are known. Each has a type of its own, so that none is taken for another.

use std::fmt;

use serde::{Serialize, Serializer};

/// The internal id of a playback, unique in its session and never reused. Later playbacks have higher ones.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlaybackId(u64);

impl PlaybackId {
    /// Returns the id after this one.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// As a number, because a `u64` would reach JavaScript as a BigInt. Numbers are exact up to 2⁵³.
impl Serialize for PlaybackId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0 as f64)
    }
}

/// The ticket of a call that is answered later. The caller gives each call another one.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Ticket(u32);

/// The number of a mark. The caller gives each mark another one.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct MarkId(u32);

/// Converts an id from and to its number, and displays it as that.
macro_rules! numbers {
    ($($id:ident: $number:ty),*) => {$(
        impl From<$number> for $id {
            fn from(number: $number) -> Self {
                Self(number)
            }
        }

        impl From<$id> for $number {
            fn from(id: $id) -> Self {
                id.0
            }
        }

        impl fmt::Display for $id {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(formatter)
            }
        }
    )*};
}

numbers!(PlaybackId: u64, Ticket: u32, MarkId: u32);
