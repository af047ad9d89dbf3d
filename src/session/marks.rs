//! Marks: each is told once what was asked for before it was heard, or has ended otherwise.

use std::collections::{BTreeSet, HashSet};

use super::policy::Target;
use super::{Session, WallTime};
use crate::audio::Samples;
use crate::error::Result;
use crate::event::EventKind;
use crate::mixer::{PlaybackId, Written};

/// A mark that is not reached yet.
pub struct Mark {
    /// Tells the session's marks apart.
    number: u32,
    name: String,
    awaits: Awaited,
}

enum Awaited {
    /// The ends of all of these.
    Ends(BTreeSet<PlaybackId>),
    /// That what was written to this stream so far is heard, if that can be told before its end.
    Written(PlaybackId, Option<Written>),
}

impl Session {
    /// Tells once everything that is live now and meant has ended, at once if nothing is. `number` names this mark alone.
    pub fn mark(&mut self, name: String, number: u32, target: &Target, at: WallTime) -> Result<()> {
        self.wall = at;
        self.check_live()?;
        let ids: BTreeSet<_> = self.meant_or_leaving(target).into_iter().collect();
        match ids.is_empty() {
            true => self.note(None, EventKind::Mark { name, mark: number }),
            false => self.marks.push(Mark { number, name, awaits: Awaited::Ends(ids) }),
        }
        Ok(())
    }

    /// Tells once what was `written` to a stream was heard or dropped; where no sample can be told from a byte, once the stream has ended.
    pub fn mark_stream(
        &mut self,
        id: PlaybackId,
        written: Option<Written>,
        name: String,
        number: u32,
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
            self.note(None, EventKind::Mark { name, mark: number });
        } else {
            self.marks.push(Mark { number, name, awaits: Awaited::Written(id, written) });
            self.hand_marks(id);
        }
        Ok(())
    }

    /// Lets the voice of a stream tell of the marks that stand in what it reads.
    pub(super) fn hand_marks(&mut self, id: PlaybackId) {
        let Self { playbacks, marks, .. } = self;
        let Some(sounding) = playbacks.sounding(id).filter(|sounding| sounding.flushing.is_none()) else { return };
        let its = marks.iter().filter_map(|mark| match mark.awaits {
            Awaited::Written(its, Some(written)) if its == id => Some((mark.number, written)),
            _ => None,
        });
        sounding.voice.set_marks(its.collect());
    }

    /// What was written to a stream and not heard is dropped: nobody has to wait for it.
    pub(super) fn drop_marks(&mut self, id: PlaybackId) {
        self.tell_marks(self.now(), |mark| matches!(mark.awaits, Awaited::Written(its, _) if its == id));
        if let Some(sounding) = self.playbacks.sounding(id) {
            sounding.voice.set_marks(Vec::new());
        }
    }

    /// A voice has come to a mark.
    pub(super) fn reach_mark(&mut self, number: u32, at: Samples) {
        self.tell_marks(at, |mark| mark.number == number);
    }

    /// A playback is over.
    pub(super) fn end_marks(&mut self, id: PlaybackId) {
        self.tell_marks(self.now(), |mark| match &mut mark.awaits {
            Awaited::Ends(ids) => ids.remove(&id) && ids.is_empty(),
            Awaited::Written(its, _) => *its == id,
        });
    }

    fn tell_marks(&mut self, at: Samples, mut is_reached: impl FnMut(&mut Mark) -> bool) {
        let Self { marks, outbox, .. } = self;
        for Mark { name, number, .. } in marks.extract_if(.., |mark| is_reached(mark)) {
            outbox.note(at, None, EventKind::Mark { name, mark: number });
        }
    }
}

impl Mark {
    /// Returns true if it waits for something, and that is among these.
    pub fn awaits_some_of(&self, live: &HashSet<PlaybackId>) -> bool {
        match &self.awaits {
            Awaited::Ends(ids) => !ids.is_empty() && ids.iter().all(|id| live.contains(id)),
            Awaited::Written(id, _) => live.contains(id),
        }
    }
}
