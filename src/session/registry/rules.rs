//! What the policy goes by: the session's rules, and what a call is about.

use crate::audio::Samples;
use crate::mixer::Role;
use crate::session::playback::Playback;

/// What `stopOther: false` does to a track that plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overlap {
    /// Sounds together with what plays.
    Mix,
    /// Waits its turn on its own track.
    Queue,
    /// Takes the place of what plays on its own track.
    Replace,
}

/// The session's rules.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    pub overlap: Overlap,
    /// For how long one crosses over to what follows or replaces it; 0 for not at all, as always where all is mixed.
    pub crossfade: Samples,
    pub max_concurrent: usize,
    pub max_queued: usize,
    /// The longest a playback may wait for its turn, unless it says otherwise; 0 for ever.
    pub queue_timeout: Samples,
}

impl Policy {
    /// How much of a playback must be known ahead: twice a crossfade tells which half is the shorter.
    pub fn ahead(&self) -> Samples {
        if self.overlap == Overlap::Mix { 0 } else { 2 * self.crossfade }
    }

    /// How long before its end a playback lets the next one begin.
    pub fn lead(&self) -> Samples {
        if self.overlap == Overlap::Queue { self.crossfade } else { 0 }
    }
}

/// What a call is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    All,
    Request(String),
    Track(u32),
    /// Everything but what has one of these roles.
    AllBut(Vec<Role>),
}

impl Target {
    pub(super) fn means(&self, playback: &Playback) -> bool {
        match self {
            Self::All => true,
            Self::Request(request_id) => playback.request_id == *request_id,
            Self::Track(track) => playback.track == *track,
            Self::AllBut(roles) => !roles.contains(&playback.role),
        }
    }
}
