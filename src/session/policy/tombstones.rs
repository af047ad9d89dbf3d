//! Stops that arrive ahead of their requests, where a caller asked for that: on their way here either may overtake the other.

use std::collections::{HashMap, VecDeque};

use crate::audio::{SAMPLE_RATE, Samples};
use crate::session::{RequestId, WallTime};

/// The time for which a stop waits for its request, and for which an end is remembered.
const LIFETIME: Samples = 5 * SAMPLE_RATE as Samples;

/// The most names that are remembered of either kind; then the oldest is dropped.
const MAX_NAMES: usize = 1_000;

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
    pub fn take_stop(&mut self, request_id: &str, now: WallTime) -> Option<String> {
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
        let is_old = |since: WallTime, count: usize| count > MAX_NAMES || since.0 + LIFETIME < now.0;
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
    fn stop_waits_five_seconds_for_its_request() {
        let mut tombstones = Tombstones::default();
        tombstones.stop("a", "user", at(100));
        tombstones.stop("b", "user", at(200));
        assert_eq!(tombstones.take_stop("nobody", at(200)), None);
        assert_eq!(tombstones.take_stop("a", at(100 + LIFETIME)), Some("user".into()));
        assert_eq!(tombstones.take_stop("a", at(100 + LIFETIME)), None);
        assert_eq!(tombstones.take_stop("b", at(201 + LIFETIME)), None, "too late");
    }

    #[test]
    fn later_stop_replaces_earlier_one() {
        let mut tombstones = Tombstones::default();
        tombstones.stop("a", "first", at(0));
        tombstones.stop("a", "second", at(LIFETIME));
        assert_eq!(tombstones.take_stop("a", at(2 * LIFETIME)), Some("second".into()));
        assert_eq!(tombstones.take_stop("a", at(2 * LIFETIME)), None);
    }

    #[test]
    fn late_stop_does_not_hit_a_reused_id() {
        let mut tombstones = Tombstones::default();
        tombstones.ended("a".into(), at(0));
        tombstones.stop("a", "late", at(LIFETIME));
        assert_eq!(tombstones.take_stop("a", at(LIFETIME)), None);
        tombstones.stop("a", "ahead", at(LIFETIME + 1));
        assert_eq!(tombstones.take_stop("a", at(LIFETIME + 1)), Some("ahead".into()));
    }

    #[test]
    fn drops_the_oldest_names_over_the_limit() {
        let mut tombstones = Tombstones::default();
        for n in 0..=MAX_NAMES {
            tombstones.stop(&format!("s{n}"), "user", at(0));
            tombstones.ended(format!("e{n}").into(), at(0));
        }
        assert_eq!((tombstones.take_stop("s0", at(0)), tombstones.take_stop("s1", at(0))), (None, Some("user".into())));
        assert_eq!((tombstones.ended.len(), &*tombstones.ended[0].0), (MAX_NAMES, "e1"));
    }
}
