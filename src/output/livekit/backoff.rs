//! When to try again after something was lost: as LiveKit's own clients do, but for longer, and not all sessions at once.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::time::sleep_until;

/// Attempts to win a lost room back before it counts as lost for good. With full jitter ten, as theirs, can be over within
/// a few seconds; these take a minute on average, and 20 s at least but once in a million.
pub const ATTEMPTS: u32 = 20;

const FIRST: Duration = Duration::from_millis(300);
const LONGEST: Duration = Duration::from_secs(7);

/// A row of attempts at one thing.
#[derive(Debug)]
pub struct Backoff {
    pub attempts: u32,
    random: u64,
}

impl Backoff {
    /// `seed` makes its waits different from others'.
    pub fn new(seed: u64) -> Self {
        // Spread over all bits (Fibonacci hashing), for the first numbers drawn follow it.
        Self { attempts: 0, random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1 }
    }

    /// How long to wait before the next attempt. The first may well succeed at once; the others wait anything up to a limit that
    /// doubles, which spreads those who lost the same server over time ("full jitter").
    pub fn wait(&mut self) -> Duration {
        self.attempts += 1;
        if self.attempts == 1 {
            return Duration::ZERO;
        }
        // xorshift64 (Marsaglia 2003): not for secrets.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        limit(self.attempts - 1).mul_f64(self.random as f64 / u64::MAX as f64)
    }

    /// It is back.
    pub fn done(&mut self) {
        self.attempts = 0;
    }
}

fn limit(attempt: u32) -> Duration {
    FIRST.saturating_mul(1u32.checked_shl(attempt - 1).unwrap_or(u32::MAX)).min(LONGEST)
}

/// Lets the sessions of the process that lost one server come back one after another.
#[derive(Default)]
struct Gate {
    /// By server: when the next attempt is due, if attempts came evenly.
    next: Mutex<HashMap<String, Instant>>,
}

/// The gate of this process.
static GATE: LazyLock<Gate> = LazyLock::new(Gate::default);

/// Waits until an attempt at a server that is due `at` that time may be made. Returns when that is.
pub async fn turn(server: &str, at: Instant) -> Instant {
    sleep_until(at.into()).await;
    let at = GATE.pass(server, at);
    sleep_until(at.into()).await;
    at
}

/// Between two attempts at one server: a hundred a second, about what a server of two cores takes in.
const INTERVAL: Duration = Duration::from_millis(10);

/// How far attempts may be ahead of that: twenty at once.
const BURST: Duration = Duration::from_millis(200);

/// Servers that are remembered; those whose attempts are over are forgotten first.
const MAX_SERVERS: usize = 64;

impl Gate {
    /// Returns when an attempt that is due `at` that time may be made (the generic cell rate algorithm of ITU-T I.371).
    fn pass(&self, server: &str, at: Instant) -> Instant {
        let mut servers = self.next.lock();
        if servers.len() >= MAX_SERVERS && !servers.contains_key(server) {
            servers.retain(|_, next| *next > at);
        }
        let next = servers.entry(server.to_owned()).or_insert(at);
        let slot = next.checked_sub(BURST).map_or(at, |earliest| earliest.max(at));
        *next = (*next).max(at) + INTERVAL;
        slot
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_longer_each_time_up_to_a_limit() {
        let limits: Vec<_> = (1..=7).map(|attempt| limit(attempt).as_millis()).collect();
        assert_eq!(limits, [300, 600, 1_200, 2_400, 4_800, 7_000, 7_000]);
        assert_eq!(limit(99), LONGEST);
        let mut backoff = Backoff::new(7);
        assert_eq!(backoff.wait(), Duration::ZERO);
        assert!((1..=20).all(|attempt| backoff.wait() <= limit(attempt)));
        backoff.done();
        assert_eq!(backoff.wait(), Duration::ZERO);
    }

    #[test]
    fn the_attempts_of_many_are_spread() {
        for (attempt, limit) in [(2, 300), (3, 600), (8, 7_000)] {
            let mut waits: Vec<_> = (0..1_000)
                .map(|seed| {
                    let mut backoff = Backoff::new(seed);
                    (0..attempt).map(|_| backoff.wait()).last().unwrap().as_millis()
                })
                .collect();
            waits.sort_unstable();
            for tenth in [1, 5, 9] {
                let (wait, even) = (waits[tenth * 100], limit * tenth as u128 / 10);
                assert!(wait.abs_diff(even) < limit / 10, "attempt {attempt}: {wait} ms instead of {even}");
            }
        }
    }

    #[test]
    fn the_gate_lets_twenty_pass_at_once_and_then_a_hundred_a_second() {
        let (gate, now) = (Gate::default(), Instant::now());
        let slots: Vec<_> = (0..1_000).map(|_| gate.pass("a", now).duration_since(now).as_millis()).collect();
        assert_eq!(slots[..21], [[0; 20].as_slice(), &[0]].concat());
        assert_eq!((slots[21], slots[22], slots[999]), (10, 20, 9_790));
        assert!(slots.is_sorted());
        assert_eq!(gate.pass("b", now), now, "another server's");
        let later = now + Duration::from_secs(60);
        assert_eq!(gate.pass("a", later), later);
    }

    #[test]
    fn the_gate_forgets_servers_that_nobody_asks_for() {
        let (gate, now) = (Gate::default(), Instant::now());
        for number in 0..10_000 {
            gate.pass(&number.to_string(), now + INTERVAL * 2 * number);
        }
        assert!(gate.next.lock().len() <= MAX_SERVERS);
    }
}
