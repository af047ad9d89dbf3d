//! Stops that arrive ahead of their requests, where a caller asked for that: on their way here either may overtake the other.

use std::collections::{HashMap, VecDeque};

use crate::audio::{SAMPLE_RATE, Samples};
use crate::session::{RequestId, WallTime};

/// The time for which a stop waits for its request, and for which an end is remembered.
const MEMORY: Samples = 5 * SAMPLE_RATE as Samples;

/// The most names that are remembered of either kind; then the oldest is dropped.
const MOST: usize = 1_000;

#[derive(Default)]
pub struct Tombstones {
    /// The ids to stop on arrival, the time of the stop, and its reason.
    stops: VecDeque<(String, WallTime, String)>,
    /// The ids that ended lately: a stop of these is late, not ahead. An id that ended twice is here twice.
    ended: VecDeque<(RequestId, WallTime)>,
    /// The time when each of them ended last.
    ends: HashMap<RequestId, WallTime>,
}

impl Tombstones {
    /// Remembers a stop of an id that is not live, unless that ended lately.
    pub fn stop(&mut self, request_id: &str, reason: &str, now: WallTime) {
        self.forget(now);
        if !self.ends.contains_key(request_id) {
            self.stops.retain(|(name, ..)| name != request_id);
            self.stops.push_back((request_id.to_owned(), now, reason.to_owned()));
        }
    }

    /// Takes the stop that waits for this id, and returns its reason.
    pub fn meet(&mut self, request_id: &str, now: WallTime) -> Option<String> {
        self.forget(now);
        let index = self.stops.iter().position(|(name, ..)| name == request_id)?;
        self.stops.remove(index).map(|(_, _, reason)| reason)
    }

    pub fn ended(&mut self, request_id: RequestId, now: WallTime) {
        self.ends.insert(request_id.clone(), now);
        self.ended.push_back((request_id, now));
        self.forget(now);
    }

    /// Drops what is too old or too much; both lists are in order of time.
    fn forget(&mut self, now: WallTime) {
        let is_old = |since: WallTime, count: usize| count > MOST || since.0 + MEMORY < now.0;
        while self.stops.front().is_some_and(|(_, since, _)| is_old(*since, self.stops.len())) {
            self.stops.pop_front();
        }
        while self.ended.front().is_some_and(|(_, since)| is_old(*since, self.ended.len())) {
            let Some((name, since)) = self.ended.pop_front() else { return };
            // It may have ended again since.
            if self.ends.get(&name) == Some(&since) {
                self.ends.remove(&name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(samples: Samples) -> WallTime {
        WallTime(samples)
    }

    #[test]
    fn a_stop_waits_five_seconds_for_its_request_and_meets_it_once() {
        let mut tombstones = Tombstones::default();
        tombstones.stop("a", "user", at(100));
        tombstones.stop("b", "user", at(200));
        assert_eq!(tombstones.meet("nobody", at(200)), None);
        assert_eq!(tombstones.meet("a", at(100 + MEMORY)), Some("user".into()));
        assert_eq!(tombstones.meet("a", at(100 + MEMORY)), None);
        assert_eq!(tombstones.meet("b", at(201 + MEMORY)), None, "too late");
    }

    #[test]
    fn of_two_stops_the_later_one_waits() {
        let mut tombstones = Tombstones::default();
        tombstones.stop("a", "first", at(0));
        tombstones.stop("a", "second", at(MEMORY));
        assert_eq!(tombstones.meet("a", at(2 * MEMORY)), Some("second".into()));
        assert_eq!(tombstones.meet("a", at(2 * MEMORY)), None);
    }

    #[test]
    fn what_ended_lately_is_not_stopped_when_it_comes_again() {
        let mut tombstones = Tombstones::default();
        tombstones.ended("a".into(), at(0));
        tombstones.stop("a", "late", at(MEMORY));
        assert_eq!(tombstones.meet("a", at(MEMORY)), None);
        tombstones.stop("a", "ahead", at(MEMORY + 1));
        assert_eq!(tombstones.meet("a", at(MEMORY + 1)), Some("ahead".into()));
    }

    #[test]
    fn where_no_time_passes_the_oldest_names_are_forgotten() {
        let mut tombstones = Tombstones::default();
        for n in 0..=MOST {
            tombstones.stop(&format!("s{n}"), "user", at(0));
            tombstones.ended(format!("e{n}").into(), at(0));
        }
        assert_eq!((tombstones.meet("s0", at(0)), tombstones.meet("s1", at(0))), (None, Some("user".into())));
        assert_eq!((tombstones.ended.len(), &*tombstones.ended[0].0), (MOST, "e1"));
    }
}
