//! The mixer's reports to its session.

use super::voice::End;
use crate::audio::Samples;
use crate::ids::{MarkId, PlaybackId};
use crate::source::PcmReader;

/// Something that happened to a voice at a sample of the session's time.
pub struct MixerEvent {
    /// The playback that the voice belongs to.
    pub id: PlaybackId,
    /// The session's time.
    pub at: Samples,
    /// The kind of event.
    pub kind: MixerEventKind,
}

/// The kinds of [`MixerEvent`]. Places are in the voice's source.
pub enum MixerEventKind {
    /// Its first sample is mixed.
    Started,
    /// It fell silent and stands still at this place.
    Paused(Samples),
    /// It goes on from this place.
    Resumed(Samples),
    /// Its end is so near that the next playback of its track may begin.
    EndApproaching,
    /// Another interval of it was mixed, up to this place.
    Progress(Samples),
    /// It fell silent at this place because its writer is behind.
    Stalled(Samples),
    /// Everything written to its stream before this mark was mixed.
    Marked(MarkId),
    /// It goes on with another reader; the spent one is to be dropped.
    Swapped {
        /// The reader before.
        spent: PcmReader,
        /// The place from which it goes on, after a seek.
        sought: Option<Samples>,
    },
    /// It fell silent for good.
    Ended(End),
}
