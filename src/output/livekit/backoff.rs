//! When to try again after something was lost: as LiveKit's own clients do, but for longer.

use std::time::Duration;

use super::track::random;

/// Attempts to join a lost room anew before it counts as lost for good. With full jitter ten, as theirs, can be over within
/// a few seconds; these take a minute on average, and 20 s at least but once in a million.
pub const ATTEMPTS: u32 = 20;

const FIRST: Duration = Duration::from_millis(300);
const LONGEST: Duration = Duration::from_secs(7);

/// A row of attempts at one thing.
#[derive(Debug, Default)]
pub struct Backoff {
    pub attempts: u32,
}

impl Backoff {
    pub fn is_going_on(&self) -> bool {
        self.attempts > 0
    }

    /// How long to wait before the next attempt: anything up to a limit that doubles, which spreads those who lost the
    /// same server over time ("full jitter").
    pub fn wait(&mut self) -> Duration {
        self.attempts += 1;
        limit(self.attempts).mul_f64(f64::from(random()) / f64::from(u32::MAX))
    }

    /// It is back.
    pub fn done(&mut self) {
        self.attempts = 0;
    }
}

fn limit(attempt: u32) -> Duration {
    FIRST.saturating_mul(1u32.checked_shl(attempt - 1).unwrap_or(u32::MAX)).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_longer_each_time_up_to_a_limit() {
        let limits: Vec<_> = (1..=7).map(|attempt| limit(attempt).as_millis()).collect();
        assert_eq!(limits, [300, 600, 1_200, 2_400, 4_800, 7_000, 7_000]);
        assert_eq!(limit(99), LONGEST);
        let mut backoff = Backoff::default();
        assert!(!backoff.is_going_on());
        assert!((1..=20).all(|attempt| backoff.wait() <= limit(attempt)));
        backoff.done();
        assert!(!backoff.is_going_on());
    }
}
