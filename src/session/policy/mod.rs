//! The rules of admission and overlap: pure functions of a request and the shelves.

mod tombstones;

use std::collections::BTreeMap;

use super::line::Line;
use super::playbacks::{Playbacks, Request, Sounding};
use crate::audio::Samples;
use crate::error::{Code, SpeakerError};
use crate::ids::PlaybackId;
use crate::mixer::Role;

pub use tombstones::Tombstones;

/// The effect of a request with `stopOther: false` on a track that plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overlap {
    /// It plays at once, mixed with what plays.
    #[default]
    Mix,
    /// It waits for its turn on its track.
    Queue,
    /// It replaces what plays on its track.
    Replace,
}

/// The treatment of a new request whose `requestId` is live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnDuplicate {
    /// The new one fails.
    #[default]
    Fail,
    /// The live one is stopped, and the new one takes its name.
    Replace,
}

/// The session's rules.
#[derive(Debug, Clone)]
pub struct Policy {
    /// The rule of tracks that have none of their own.
    pub overlap: Overlap,
    /// The rules of single tracks.
    pub track_overlap: BTreeMap<u32, Overlap>,
    /// The rule for a `requestId` that is live.
    pub on_duplicate: OnDuplicate,
    /// The length of crossfades to the next or the replacing playback; 0 for none.
    pub crossfade: Samples,
    /// The most playbacks that load or sound at once; one `system` more.
    pub max_concurrent: usize,
    /// The most playbacks that wait, over all tracks.
    pub max_queued: usize,
    /// The longest wait for a turn, unless the request says otherwise; 0 for no limit.
    pub queue_timeout: Samples,
}

impl Default for Policy {
    /// Returns the defaults that index.d.ts states.
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
    /// Returns how much of a playback must be decoded ahead: twice a crossfade tells which half is the shorter.
    pub fn ahead(&self) -> Samples {
        2 * self.crossfade
    }

    /// Returns the rule of a track, for requests that have none of their own.
    pub fn overlap_on(&self, track: u32) -> Overlap {
        self.track_overlap.get(&track).copied().unwrap_or(self.overlap)
    }
}

/// The playbacks that a call applies to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Everything.
    All,
    /// The playback of this `requestId`.
    Request(String),
    /// Everything on a track.
    Track(u32),
    /// Everything in this group.
    Group(String),
    /// Everything except these roles.
    AllBut(Vec<Role>),
}

impl Target {
    pub(super) fn matches(&self, request: &Request) -> bool {
        match self {
            Self::All => true,
            Self::Request(request_id) => *request.name == **request_id,
            Self::Track(track) => request.track == *track,
            Self::Group(group) => request.group.as_deref() == Some(&**group),
            Self::AllBut(roles) => !roles.contains(&request.role),
        }
    }
}

/// The decision about an admitted request.
#[derive(Debug, PartialEq)]
pub struct Admission {
    /// The playbacks that it stops.
    pub displaces: Option<Target>,
    /// It waits in line rather than load at once.
    pub waits: bool,
}

/// Decides what a request displaces, and whether it waits. Fails if it is over a limit. `replaced` is the playback whose
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
        Some(request.id) != replaced && displaces.as_ref().is_none_or(|target| !target.matches(request))
    };
    // A playback that nears its end makes room for the next one of its track, or did already.
    let makes_room = |other: &Sounding| {
        let follows = overlap == Overlap::Queue && other.request.track == track;
        other.end_approaches && (follows || playbacks.is_active(other.request.track))
    };
    let sounding = playbacks.sounding.iter().filter(|other| other.stopping.is_none() && !makes_room(other));
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
