//! What the caller's side tells the actor.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::registry::Action;
use crate::audio::Samples;
use crate::error::SpeakerError;
use crate::mixer::{PlaybackId, Role};
use crate::output::TapRequest;
use crate::source::Source;

pub enum Command {
    /// A request the registry took, and what follows from it.
    Play(Box<Upcoming>, Vec<Action>),
    /// What follows from any other call.
    Apply(Vec<Action>),
    Connect(u32),
    /// Who waits under this ticket of `connect` waits no longer.
    GiveUp(u32),
    /// A stream was flushed.
    Flush(PlaybackId, u32),
    Tap(Box<TapRequest>),
    Untap(u32),
    /// Something failed that is outside of what sounds.
    Report(SpeakerError),
    /// Move the manual clock by so many samples.
    Advance(Samples, u32),
    /// The last one; without a ticket if the handle is simply gone.
    Close(Option<u32>),
}

/// What the actor needs to make a playback sound.
pub struct Upcoming {
    pub id: PlaybackId,
    pub request_id: String,
    pub track: u32,
    pub role: Role,
    pub volume: f32,
    pub gain: f32,
    pub fade_in: Samples,
    pub position: Arc<AtomicU64>,
    /// How long a stream may be silent because its writer is behind; 0 for ever.
    pub stall_timeout: Samples,
    /// Until it is opened.
    pub source: Option<Source>,
}
