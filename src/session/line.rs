//! One track's line: its waiting playbacks, their order and their deadlines.
//!
//! Everything but a move or a stop by name costs O(log n): tens of thousands may wait.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use super::WallTime;
use super::playbacks::{Loadable, Request};
use crate::audio::Samples;
use crate::ids::PlaybackId;
use crate::source::Source;

/// A playback that waits for its turn.
pub struct Waiting {
    pub request: Request,
    /// Kept while it waits, because a source that was opened ahead of its turn may be dropped again.
    pub source: Source,
    /// Its reader, if it was opened ahead of its turn.
    pub ahead: Option<Loadable>,
    pub is_paused: bool,
    /// Its effective priority: its own, or that of its neighbours if it was moved.
    pub class: i32,
    /// The longest wait, 0 for no limit.
    pub timeout: Samples,
    /// When it expires, in the line's time; while it is paused, the time that was left.
    deadline: Samples,
}

impl Waiting {
    /// Returns the place in its source where it will begin.
    pub fn position(&self) -> Samples {
        self.ahead.as_ref().map_or(self.source.section.from, Loadable::position)
    }
}

/// The line's own time, which stands still while the playbacks that occupy the track are paused.
#[derive(Default)]
struct LineClock {
    stopped: Option<WallTime>,
    held: Samples,
}

impl LineClock {
    fn now(&self, wall: WallTime) -> Samples {
        self.stopped.unwrap_or(wall).0.saturating_sub(self.held)
    }

    fn run(&mut self, runs: bool, wall: WallTime) {
        match (self.stopped, runs) {
            (None, false) => self.stopped = Some(wall),
            (Some(since), true) => {
                self.held += wall.0.saturating_sub(since.0);
                self.stopped = None;
            }
            _ => {}
        }
    }
}

#[derive(Default)]
pub struct Line {
    /// The order: a queue for each priority, the higher first.
    order: BTreeMap<Reverse<i32>, VecDeque<PlaybackId>>,
    waiting: HashMap<PlaybackId, Waiting>,
    deadlines: BTreeSet<(Samples, PlaybackId)>,
    clock: LineClock,
    /// The playback that was last reported to be first in line.
    pub first_reported: Option<PlaybackId>,
    /// The playback whose source was opened ahead of its turn.
    pub opened: Option<PlaybackId>,
}

impl Line {
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Adds a playback behind all of the same priority or more; returns its position in line, 1 is next.
    pub fn push(&mut self, request: Request, source: Source, timeout: Samples, wall: WallTime) -> usize {
        let (id, class) = (request.id, request.priority);
        let deadline = self.clock.now(wall) + timeout;
        if timeout > 0 {
            self.deadlines.insert((deadline, id));
        }
        self.order.entry(Reverse(class)).or_default().push_back(id);
        self.waiting.insert(id, Waiting { request, source, ahead: None, is_paused: false, class, timeout, deadline });
        self.order.range(..=Reverse(class)).map(|(_, ids)| ids.len()).sum()
    }

    pub fn first(&self) -> Option<PlaybackId> {
        self.order.values().find_map(|ids| ids.front()).copied()
    }

    pub fn get(&self, id: PlaybackId) -> Option<&Waiting> {
        self.waiting.get(&id)
    }

    pub fn get_mut(&mut self, id: PlaybackId) -> Option<&mut Waiting> {
        self.waiting.get_mut(&id)
    }

    /// Returns those that wait, in order of their turn.
    pub fn iter(&self) -> impl Iterator<Item = &Waiting> {
        self.order.values().flatten().filter_map(|id| self.waiting.get(id))
    }

    pub fn ids(&self) -> Vec<PlaybackId> {
        self.order.values().flatten().copied().collect()
    }

    pub fn remove(&mut self, id: PlaybackId) -> Option<Waiting> {
        let waiting = self.waiting.remove(&id)?;
        self.deadlines.remove(&(waiting.deadline, id));
        self.leave_order(id, waiting.class);
        if self.first_reported == Some(id) {
            self.first_reported = None;
        }
        Some(waiting)
    }

    /// Removes all, in order of their turn.
    pub fn clear(&mut self) -> Vec<Waiting> {
        let ids = self.ids();
        self.order.clear();
        self.deadlines.clear();
        self.first_reported = None;
        ids.iter().filter_map(|id| self.waiting.remove(id)).collect()
    }

    /// Moves a playback to a position, 1 is next and beyond the end is the end; returns its new position. It takes the priority
    /// of its neighbours from then on.
    pub fn move_to(&mut self, id: PlaybackId, queue_position: usize) -> usize {
        let Some(class) = self.waiting.get(&id).map(|waiting| waiting.class) else { return 0 };
        self.leave_order(id, class);
        let position = queue_position.clamp(1, self.waiting.len());
        let class_of = |ids: &[PlaybackId], at: usize| ids.get(at).map(|id| self.waiting[id].class);
        let ids = self.ids();
        let before = position.checked_sub(2).and_then(|at| class_of(&ids, at));
        let behind = class_of(&ids, position - 1);
        let class = class.min(before.unwrap_or(i32::MAX)).max(behind.unwrap_or(i32::MIN));
        let higher: usize = self.order.range(..Reverse(class)).map(|(_, ids)| ids.len()).sum();
        self.order.entry(Reverse(class)).or_default().insert(position - 1 - higher, id);
        if let Some(waiting) = self.waiting.get_mut(&id) {
            waiting.class = class;
        }
        position
    }

    fn leave_order(&mut self, id: PlaybackId, class: i32) {
        let Some(ids) = self.order.get_mut(&Reverse(class)) else { return };
        // Usually it is the next in line that leaves.
        if ids.front() == Some(&id) {
            ids.pop_front();
        } else if let Some(index) = ids.iter().rposition(|other| *other == id) {
            ids.remove(index);
        }
        if ids.is_empty() {
            self.order.remove(&Reverse(class));
        }
    }

    /// Pauses or resumes one; its wait stands still while it is paused. Returns false if nothing changes.
    pub fn pause(&mut self, id: PlaybackId, paused: bool, wall: WallTime) -> bool {
        let now = self.clock.now(wall);
        let Some(waiting) = self.waiting.get_mut(&id).filter(|waiting| waiting.is_paused != paused) else {
            return false;
        };
        waiting.is_paused = paused;
        if waiting.timeout > 0 {
            if paused {
                self.deadlines.remove(&(waiting.deadline, id));
                waiting.deadline = waiting.deadline.saturating_sub(now);
            } else {
                waiting.deadline += now;
                self.deadlines.insert((waiting.deadline, id));
            }
        }
        true
    }

    /// Asserts that the order, the map and the deadlines agree, and returns the requests in order of their turn.
    pub(super) fn check_invariants(&self) -> impl Iterator<Item = &Request> {
        let in_order: Vec<_> = self.order.iter().flat_map(|(class, ids)| ids.iter().map(|id| (*id, class.0))).collect();
        assert_eq!(in_order.len(), self.waiting.len(), "the order and the map differ");
        assert!(self.order.values().all(|ids| !ids.is_empty()), "an empty class is kept");
        for (id, class) in &in_order {
            let waiting = self.waiting.get(id).expect("whatever is in the order waits");
            assert_eq!((waiting.request.id, waiting.class), (*id, *class));
        }
        let measured = self.waiting.values().filter(|waiting| waiting.timeout > 0 && !waiting.is_paused);
        let deadlines: BTreeSet<_> = measured.map(|waiting| (waiting.deadline, waiting.request.id)).collect();
        assert_eq!(deadlines, self.deadlines);
        let ahead = self.waiting.values().filter(|waiting| waiting.ahead.is_some() && !waiting.request.is_stream);
        assert!(ahead.count() <= 1, "more than one source is open ahead of its turn");
        assert!(self.is_empty() || self.first_reported == self.first(), "the first has no event");
        self.iter().map(|waiting| &waiting.request)
    }

    /// Returns what is left of a playback's longest wait; 0 for no limit.
    pub fn wait_left(&self, waiting: &Waiting, wall: WallTime) -> Samples {
        match waiting.timeout {
            0 => 0,
            _ if waiting.is_paused => waiting.deadline.max(1),
            _ => waiting.deadline.saturating_sub(self.clock.now(wall)).max(1),
        }
    }

    /// Stops or restarts the line's time.
    pub fn run(&mut self, runs: bool, wall: WallTime) {
        self.clock.run(runs, wall);
    }

    /// Returns when the next one expires.
    pub fn deadline(&self) -> Option<WallTime> {
        let (deadline, _) = self.deadlines.first().filter(|_| self.clock.stopped.is_none())?;
        Some(WallTime(deadline + self.clock.held))
    }

    /// Removes the next one that has expired.
    pub fn expire(&mut self, wall: WallTime) -> Option<Waiting> {
        let (deadline, id) = *self.deadlines.first().filter(|_| self.clock.stopped.is_none())?;
        (deadline <= self.clock.now(wall)).then(|| self.remove(id)).flatten()
    }
}
