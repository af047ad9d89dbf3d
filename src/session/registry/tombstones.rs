//! Stops that come before their requests: on their way here either may overtake the other.

use std::collections::VecDeque;

use crate::audio::{SAMPLE_RATE, Samples};

/// How long a stop waits for its request, and how long an end is remembered.
const MEMORY: Samples = 5 * SAMPLE_RATE as Samples;

/// The most names that are remembered of either kind; then the oldest is forgotten.
const MOST: usize = 1_000;

#[derive(Default)]
pub struct Tombstones {
    /// Who is to end as soon as they come, since when, and the reason of their stop.
    stops: VecDeque<(String, Samples, String)>,
    /// Who ended lately: a stop of these is late, not early, and their name is free.
    ended: VecDeque<(String, Samples)>,
}

impl Tombstones {
    /// A stop named somebody who does not live.
    pub fn stop(&mut self, request_id: &str, reason: &str, now: Samples) {
        self.forget(now);
        if !self.ended.iter().any(|(name, _)| name == request_id) {
            self.stops.retain(|(name, ..)| name != request_id);
            self.stops.push_back((request_id.to_owned(), now, reason.to_owned()));
        }
    }

    /// Why somebody who comes now is to end at once, if so; their name is free then.
    pub fn meet(&mut self, request_id: &str, now: Samples) -> Option<String> {
        self.forget(now);
        let index = self.stops.iter().position(|(name, ..)| name == request_id)?;
        self.stops.remove(index).map(|(_, _, reason)| reason)
    }

    pub fn ended(&mut self, request_id: String, now: Samples) {
        self.ended.retain(|(name, _)| *name != request_id);
        self.ended.push_back((request_id, now));
        self.forget(now);
    }

    /// Both are in order of time.
    fn forget(&mut self, now: Samples) {
        let is_old = |since: Samples, count: usize| count > MOST || since + MEMORY < now;
        while self.stops.front().is_some_and(|(_, since, _)| is_old(*since, self.stops.len())) {
            self.stops.pop_front();
        }
        while self.ended.front().is_some_and(|(_, since)| is_old(*since, self.ended.len())) {
            self.ended.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_waits_five_seconds_for_its_request_and_meets_it_once() {
        let mut tombstones = Tombstones::default();
        tombstones.stop("a", "user", 100);
        tombstones.stop("b", "user", 200);
        assert_eq!(tombstones.meet("nobody", 200), None);
        assert_eq!(tombstones.meet("a", 100 + MEMORY), Some("user".into()));
        assert_eq!(tombstones.meet("a", 100 + MEMORY), None);
        assert_eq!(tombstones.meet("b", 201 + MEMORY), None, "too late");
    }

    #[test]
    fn of_two_stops_the_later_one_waits() {
        let mut tombstones = Tombstones::default();
        tombstones.stop("a", "first", 0);
        tombstones.stop("a", "second", MEMORY);
        assert_eq!(tombstones.meet("a", 2 * MEMORY), Some("second".into()));
        assert_eq!(tombstones.meet("a", 2 * MEMORY), None);
    }

    #[test]
    fn who_ended_lately_is_not_stopped_before_it_comes_again() {
        let mut tombstones = Tombstones::default();
        tombstones.ended("a".into(), 0);
        tombstones.stop("a", "late", MEMORY);
        assert_eq!(tombstones.meet("a", MEMORY), None);
        tombstones.stop("a", "early", MEMORY + 1);
        assert_eq!(tombstones.meet("a", MEMORY + 1), Some("early".into()));
    }

    #[test]
    fn where_no_time_passes_the_oldest_names_are_forgotten() {
        let mut tombstones = Tombstones::default();
        for n in 0..=MOST {
            tombstones.stop(&format!("s{n}"), "user", 0);
            tombstones.ended(format!("e{n}"), 0);
        }
        assert_eq!((tombstones.meet("s0", 0), tombstones.meet("s1", 0)), (None, Some("user".into())));
        assert_eq!((tombstones.ended.len(), tombstones.ended[0].0.as_str()), (MOST, "e1"));
    }
}
