//! What the mixer has to tell.

use super::voice::{End, PlaybackId, Voice};
use crate::audio::Samples;
use crate::source::Feed;

/// What happened in a mix, at which sample of the session's time.
pub struct Notice {
    pub id: PlaybackId,
    pub at: Samples,
    pub what: What,
}

pub enum What {
    Started,
    /// It fell silent and stands still, at this place in the source.
    Paused(Samples),
    /// It goes on from there.
    Resumed(Samples),
    /// Its end is so near that what follows on its track may begin.
    Near,
    /// Another interval of it was handed on, up to this place in the source.
    Progress(Samples),
    /// It fell silent after so many samples of it, for its writer is behind.
    Stalled(Samples),
    /// It goes on with another feed, and this one is to be dropped; from this place in the source, if that was sought.
    Swapped {
        spent: Feed,
        sought: Option<Samples>,
    },
    Ended {
        why: End,
        played: Samples,
        feed: Feed,
    },
}

impl Notice {
    pub(super) fn ended(voice: Voice, at: Samples, why: End) -> Self {
        voice.tell_place();
        Self { id: voice.id, at, what: What::Ended { why, played: voice.state.played, feed: voice.feed } }
    }
}
