//! What the policy answers.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::audio::Samples;
use crate::error::SpeakerError;
use crate::event::EventKind;
use crate::mixer::PlaybackId;

/// What the actor is to do, in this order.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Start loading its source.
    Open(PlaybackId),
    /// Let it sound from the next sample on.
    Start(PlaybackId),
    /// Fade it out over so many samples; it ends when the mixer says so.
    Fade(PlaybackId, Samples),
    /// Let it go on until another begins on its track, and cross over to that in so many samples.
    Leave(PlaybackId, Samples),
    /// Let it fall silent and stand still, or not begin.
    Pause(PlaybackId),
    /// Let it go on from where it stands.
    Resume(PlaybackId),
    /// Go on from another place in its source.
    Seek(PlaybackId, Samples),
    /// Bring it to a volume over so many samples.
    Volume(PlaybackId, f32, Samples),
    /// Forget its source: it never sounded.
    Discard(PlaybackId),
    /// Tell the user.
    Tell(String, EventKind),
}

/// How a playback ended, as the mixer or its source tells it.
#[derive(Debug)]
pub enum Ending {
    Whole,
    Stopped,
    Failed(SpeakerError),
}

/// A request that was taken.
#[derive(Debug)]
pub struct Accepted {
    /// Its name inside, and where in its source it is, for the mixer to write; `None` if it was over at once.
    pub entered: Option<(PlaybackId, Arc<AtomicU64>)>,
    pub actions: Vec<Action>,
}
