//! When to come again after a room was lost: as LiveKit's own clients do, but for longer.

use std::time::Duration;

/// With full jitter ten, as theirs, can be over within a few seconds; these take a minute on average, and 20 s at least but
/// once in a million.
const ATTEMPTS: u32 = 20;
const FIRST: Duration = Duration::from_millis(300);
const LONGEST: Duration = Duration::from_secs(7);

/// The attempts to join a lost room again.
#[derive(Debug, Default)]
pub struct Rejoin {
    attempts: u32,
}

impl Rejoin {
    pub fn is_going_on(&self) -> bool {
        self.attempts > 0
    }

    /// How long to wait before the next attempt; `None` when there were enough. `chance` (0–1) spreads those who lost
    /// the same server over time ("full jitter").
    pub fn next(&mut self, chance: f64) -> Option<Duration> {
        self.attempts += 1;
        let longest = FIRST.saturating_mul(1 << (self.attempts - 1)).min(LONGEST);
        (self.attempts <= ATTEMPTS).then(|| longest.mul_f64(chance))
    }

    /// It is back.
    pub fn done(&mut self) {
        self.attempts = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_longer_each_time_up_to_a_limit_and_gives_up() {
        let mut rejoin = Rejoin::default();
        assert!(!rejoin.is_going_on());
        let waits: Vec<_> = std::iter::from_fn(|| rejoin.next(1.0)).map(|wait| wait.as_millis()).collect();
        assert_eq!(waits[..5], [300, 600, 1_200, 2_400, 4_800]);
        assert_eq!(waits[5..], [7_000; 15]);
        rejoin.done();
        assert_eq!(rejoin.next(0.5), Some(Duration::from_millis(150)));
    }
}
