//! Marks: each is reported once everything requested before it was heard, or has ended otherwise.

use std::collections::{BTreeSet, HashSet};

use super::policy::Target;
use super::{Session, WallTime};
use crate::audio::Samples;
use crate::error::Result;
use crate::event::EventKind;
use crate::ids::{MarkId, PlaybackId};
use crate::mixer::Written;

/// A mark that is not reached yet.
pub struct Mark {
    id: MarkId,
    name: String,
    awaits: Awaited,
}

enum Awaited {
    /// The end of each of these.
    Ends(BTreeSet<PlaybackId>),
    /// The moment when everything written to this stream so far was heard; `None` if only its end can be told.
    Written(PlaybackId, Option<Written>),
}

impl Session {
    /// Sets a mark that is reported once every live playback of the target has ended, at once if there is none.
    pub fn mark(&mut self, name: String, mark: MarkId, target: &Target, at: WallTime) -> Result<()> {
        self.wall = at;
        self.check_live()?;
        let ids: BTreeSet<_> = self.matching_or_stopping(target).into_iter().collect();
        if ids.is_empty() {
            self.note(None, EventKind::Mark { name, mark });
        } else {
            self.marks.push(Mark { id: mark, name, awaits: Awaited::Ends(ids) });
        }
        Ok(())
    }

    /// Sets a mark that is reported once everything `written` to a stream was heard or dropped; where bytes can't be mapped to samples, once
    /// the stream has ended.
    pub fn mark_stream(
        &mut self,
        id: PlaybackId,
        written: Option<Written>,
        name: String,
        mark: MarkId,
        at: WallTime,
    ) -> Result<()> {
        self.wall = at;
        self.check_live()?;
        let is_nothing = written.is_some_and(|written| written.bytes == 0);
        let is_heard = written.is_some_and(|written| {
            let sounding = self.playbacks.sounding(id).filter(|sounding| sounding.flushing.is_none());
            sounding.is_some_and(|sounding| sounding.voice.has_heard(written))
        });
        if is_nothing || is_heard || self.playbacks.request(id).is_none() {
            self.note(None, EventKind::Mark { name, mark });
        } else {
            self.marks.push(Mark { id: mark, name, awaits: Awaited::Written(id, written) });
            self.hand_marks(id);
        }
        Ok(())
    }

    /// Hands the marks of a stream to its voice, which reports them.
    pub(super) fn hand_marks(&mut self, id: PlaybackId) {
        let Self { playbacks, marks, .. } = self;
        let Some(sounding) = playbacks.sounding(id).filter(|sounding| sounding.flushing.is_none()) else { return };
        let its = marks.iter().filter_map(|mark| match mark.awaits {
            Awaited::Written(its, Some(written)) if its == id => Some((mark.id, written)),
            _ => None,
        });
        sounding.voice.set_marks(its.collect());
    }

    /// Reports the marks of a stream whose unheard rest was dropped.
    pub(super) fn drop_marks(&mut self, id: PlaybackId) {
        self.emit_marks(self.now(), |mark| matches!(mark.awaits, Awaited::Written(its, _) if its == id));
        if let Some(sounding) = self.playbacks.sounding(id) {
            sounding.voice.set_marks(Vec::new());
        }
    }

    /// Reports a mark that a voice has reached.
    pub(super) fn reach_mark(&mut self, mark: MarkId, at: Samples) {
        self.emit_marks(at, |each| each.id == mark);
    }

    /// Reports the marks that waited for the end of this playback alone.
    pub(super) fn end_marks(&mut self, id: PlaybackId) {
        self.emit_marks(self.now(), |mark| match &mut mark.awaits {
            Awaited::Ends(ids) => ids.remove(&id) && ids.is_empty(),
            Awaited::Written(its, _) => *its == id,
        });
    }

    fn emit_marks(&mut self, at: Samples, mut is_reached: impl FnMut(&mut Mark) -> bool) {
        let Self { marks, outbox, .. } = self;
        for Mark { name, id: mark, .. } in marks.extract_if(.., |mark| is_reached(mark)) {
            outbox.note(at, None, EventKind::Mark { name, mark });
        }
    }
}

impl Mark {
    /// Returns true if it waits for something, and all of that is among the live playbacks.
    pub fn awaits_some_of(&self, live: &HashSet<PlaybackId>) -> bool {
        match &self.awaits {
            Awaited::Ends(ids) => !ids.is_empty() && ids.iter().all(|id| live.contains(id)),
            Awaited::Written(id, _) => live.contains(id),
        }
    }
}
