//! The rules by which playbacks meet: pure functions of a request and the shelves.

mod tombstones;

use std::collections::BTreeMap;

use super::line::Line;
use super::playbacks::{Playbacks, Request, Sounding};
use crate::audio::Samples;
use crate::error::{Code, SpeakerError};
use crate::mixer::{PlaybackId, Role};

pub use tombstones::Tombstones;

/// What `stopOther: false` does to a track that plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overlap {
    /// Sounds together with what plays.
    #[default]
    Mix,
    /// Waits its turn on its own track.
    Queue,
    /// Takes the place of what plays on its own track.
    Replace,
}

/// What a `requestId` that is live means for a new request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnDuplicate {
    /// The new one is refused.
    #[default]
    Fail,
    /// The live one is stopped, and the new one takes its name.
    Replace,
}

/// The session's rules.
#[derive(Debug, Clone)]
pub struct Policy {
    /// For tracks that have no rule of their own.
    pub overlap: Overlap,
    /// The rules of single tracks.
    pub track_overlap: BTreeMap<u32, Overlap>,
    /// What a name that is live means.
    pub on_duplicate: OnDuplicate,
    /// For how long one crosses over to what follows or replaces it; 0 for not at all.
    pub crossfade: Samples,
    /// Playbacks that load or sound at once; one `system` more.
    pub max_concurrent: usize,
    /// Playbacks that wait, over all tracks.
    pub max_queued: usize,
    /// The longest a playback may wait for its turn, unless it says otherwise; 0 for ever.
    pub queue_timeout: Samples,
}

impl Default for Policy {
    /// As index.d.ts states.
    fn default() -> Self {
        Self {
            overlap: Overlap::Mix,
            track_overlap: BTreeMap::new(),
            on_duplicate: OnDuplicate::Fail,
            crossfade: 0,
            max_concurrent: 10,
            max_queued: 100,
            queue_timeout: 0,
        }
    }
}

impl Policy {
    /// How much of a playback must be known ahead: twice a crossfade tells which half is the shorter.
    pub fn ahead(&self) -> Samples {
        2 * self.crossfade
    }

    /// What `stopOther: false` means on a track, unless the request says otherwise.
    pub fn overlap_on(&self, track: u32) -> Overlap {
        self.track_overlap.get(&track).copied().unwrap_or(self.overlap)
    }
}

/// What a call is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Everything.
    All,
    /// The playback of this `requestId`.
    Request(String),
    /// Everything on a track.
    Track(u32),
    /// Everything that was asked for with this group.
    Group(String),
    /// Everything but what has one of these roles.
    AllBut(Vec<Role>),
}

impl Target {
    pub(super) fn means(&self, request: &Request) -> bool {
        match self {
            Self::All => true,
            Self::Request(request_id) => *request.name == **request_id,
            Self::Track(track) => request.track == *track,
            Self::Group(group) => request.group.as_deref() == Some(&**group),
            Self::AllBut(roles) => !roles.contains(&request.role),
        }
    }
}

/// What becomes of a request that is admitted.
#[derive(Debug, PartialEq)]
pub struct Admission {
    /// What it displaces.
    pub displaces: Option<Target>,
    /// Whether it waits in line, rather than load at once.
    pub waits: bool,
}

/// Decides about a request: what it displaces, and whether it waits. An error if it is over a limit. `replaced` is the playback whose
/// name it takes, which makes room for it.
pub fn admit(
    playbacks: &Playbacks,
    policy: &Policy,
    request: &Request,
    stop_other: bool,
    replaced: Option<PlaybackId>,
) -> Result<Admission, SpeakerError> {
    let Request { track, overlap, .. } = *request;
    let in_line = |line: &Line| line.len() - usize::from(replaced.is_some_and(|id| line.get(id).is_some()));
    let has_line = playbacks.lines.get(&track).is_some_and(|line| in_line(line) > 0);
    let waits = !stop_other && overlap == Overlap::Queue && (has_line || playbacks.is_active_beside(track, replaced));
    let displaces = match overlap {
        _ if stop_other => Some(Target::All),
        Overlap::Replace => Some(Target::Track(track)),
        _ => None,
    };
    if waits {
        return match policy.max_queued {
            max if playbacks.lines.values().map(in_line).sum::<usize>() >= max => {
                Err(full(Code::QueueFull, "in line (maxQueued)", max))
            }
            _ => Ok(Admission { displaces, waits }),
        };
    }
    let stays = |request: &&Request| {
        Some(request.id) != replaced && displaces.as_ref().is_none_or(|target| !target.means(request))
    };
    // What nears its end makes room for what follows on its track, or did already.
    let makes_room = |other: &Sounding| {
        let follows = overlap == Overlap::Queue && other.request.track == track;
        other.end_approaches && (follows || playbacks.is_active(other.request.track))
    };
    let sounding = playbacks.sounding.iter().filter(|other| other.leaving.is_none() && !makes_room(other));
    let loading = playbacks.loading.iter().map(|loading| &loading.request);
    let staying = sounding.map(|sounding| &sounding.request).chain(loading).filter(stays);
    let (mut active, mut systems) = (0, 0);
    for other in staying {
        active += 1;
        systems += usize::from(other.role == Role::System);
    }
    // One place above the limit is kept for a system message.
    let is_reserved = request.role == Role::System && systems == 0;
    match policy.max_concurrent {
        max if !is_reserved && active - systems.min(1) >= max => {
            Err(full(Code::TooManyPlaybacks, "at once (maxConcurrent)", max))
        }
        _ => Ok(Admission { displaces, waits }),
    }
}

fn full(code: Code, which: &str, max: usize) -> SpeakerError {
    SpeakerError::new(code, format!("Expected at most {max} playbacks {which} but received one more"))
}
