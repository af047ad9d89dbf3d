//! A playback from acceptance to its terminal event: `Queued → Loading → Playing → Stopping`, any of which may be the last.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::audio::Samples;
use crate::mixer::{PlaybackId, Role};
use crate::source::Seekable;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Queued,
    /// Until its first sample is mixed.
    Loading,
    Playing,
    /// Fading out.
    Stopping,
}

/// One line of `playbacks()`.
#[derive(Debug, Clone, PartialEq)]
pub struct Info {
    pub request_id: String,
    pub track: u32,
    pub role: Role,
    pub phase: Phase,
    /// In any phase but the last.
    pub paused: bool,
    /// Place in line, 1 is next; only while queued.
    pub place: Option<usize>,
    pub position: Samples,
}

/// A request, as far as the policy goes by it.
#[derive(Debug, Clone)]
pub struct Entry {
    pub request_id: String,
    pub track: u32,
    pub role: Role,
    pub stop_other: bool,
    /// Waits in front of those with less; 0 as a rule.
    pub priority: i32,
    /// The longest it may wait for its turn, 0 for ever; `None` for what the session says.
    pub queue_timeout: Option<Samples>,
    pub seekable: Seekable,
}

/// One accepted request, as the registry keeps it.
pub struct Playback {
    pub id: PlaybackId,
    pub request_id: String,
    pub track: u32,
    pub role: Role,
    pub phase: Phase,
    pub priority: i32,
    /// When it was taken, and the longest it may wait for its turn from then on; 0 for ever.
    since: Samples,
    pub queue_timeout: Samples,
    /// Place in line as it was told, 1 is next; only while queued.
    pub place: Option<usize>,
    /// Its source is open (the next in line is opened ahead of its turn).
    pub opened: bool,
    pub ready: bool,
    pub paused: bool,
    /// So near to its end that the next in line has its turn.
    pub near: bool,
    /// It is replaced, and goes on until another begins on its track.
    pub leaving: bool,
    pub reason: String,
    pub position: Arc<AtomicU64>,
    pub seekable: Seekable,
}

impl Playback {
    pub fn new(id: PlaybackId, entry: Entry, phase: Phase, now: Samples) -> Self {
        let Entry { request_id, track, role, priority, seekable, .. } = entry;
        let queue_timeout = entry.queue_timeout.unwrap_or(0);
        let (reason, position) = (String::new(), Arc::default());
        Self {
            id,
            request_id,
            track,
            role,
            phase,
            priority,
            since: now,
            queue_timeout,
            place: None,
            opened: false,
            ready: false,
            paused: false,
            near: false,
            leaving: false,
            reason,
            position,
            seekable,
        }
    }

    /// As `playbacks()` tells it.
    pub fn info(&self) -> Info {
        let position = self.position();
        let Self { track, role, phase, paused, place, .. } = *self;
        Info { request_id: self.request_id.clone(), track, role, phase, paused, place, position }
    }

    /// Where in its source it is.
    pub fn position(&self) -> Samples {
        self.position.load(Ordering::Relaxed)
    }

    /// When it has waited long enough, if it waits and is not to wait for ever.
    pub fn deadline(&self) -> Option<Samples> {
        (self.phase == Phase::Queued && self.queue_timeout > 0).then_some(self.since + self.queue_timeout)
    }

    /// Takes one of the `maxConcurrent` places, and its track: what fades out, or crosses over, takes none.
    pub fn is_active(&self) -> bool {
        matches!(self.phase, Phase::Loading | Phase::Playing) && !self.near
    }
}
