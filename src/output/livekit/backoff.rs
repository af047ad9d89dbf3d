//! The backoff of reconnect attempts, as in LiveKit's own clients but for longer, and spread over the sessions of the process.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::time::sleep_until;

/// The number of attempts before a lost room counts as lost for good. Ten with full jitter, as in LiveKit's clients, can be over within
/// a few seconds; these take a minute on average, and less than 20 s only once in a million cases.
pub const ATTEMPTS: u32 = 20;

const FIRST: Duration = Duration::from_millis(300);
const MAX_DELAY: Duration = Duration::from_secs(7);

/// A series of attempts.
#[derive(Debug)]
pub struct Backoff {
    pub attempts: u32,
    random: u64,
}

impl Backoff {
    /// Creates a backoff; `seed` makes its delays differ from others'.
    pub fn new(seed: u64) -> Self {
        // Spread over all bits (Fibonacci hashing), because the first numbers drawn follow the seed.
        Self { attempts: 0, random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1 }
    }

    /// Returns the delay before the next attempt. The first one is 0, because it may well succeed; later ones are random up to a limit that
    /// doubles, which spreads sessions that lost the same server ("full jitter").
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

    /// Resets the series after a success.
    pub fn done(&mut self) {
        self.attempts = 0;
    }
}

fn limit(attempt: u32) -> Duration {
    FIRST.saturating_mul(1u32.checked_shl(attempt - 1).unwrap_or(u32::MAX)).min(MAX_DELAY)
}

/// A rate limit for the process's attempts at each server.
#[derive(Default)]
struct RateLimiter {
    /// The theoretical arrival time of the next attempt, by server.
    next: Mutex<HashMap<String, Instant>>,
}

/// The rate limit of this process.
static RATE_LIMITER: LazyLock<RateLimiter> = LazyLock::new(RateLimiter::default);

/// Waits until an attempt at a server that is due at `at` is allowed. Returns the time of the attempt.
pub async fn wait_for_turn(server: &str, at: Instant) -> Instant {
    sleep_until(at.into()).await;
    let at = RATE_LIMITER.slot(server, at);
    sleep_until(at.into()).await;
    at
}

/// The interval of attempts at one server: a hundred a second, about what a server with two cores can take.
const INTERVAL: Duration = Duration::from_millis(10);

/// The tolerated burst: twenty attempts at once.
const BURST: Duration = Duration::from_millis(200);

/// The most servers that are remembered; those without pending attempts are forgotten first.
const MAX_SERVERS: usize = 64;

impl RateLimiter {
    /// Returns when an attempt that is due at `at` is allowed (the generic cell rate algorithm of ITU-T I.371).
    fn slot(&self, server: &str, at: Instant) -> Instant {
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
    fn delays_grow_up_to_limit() {
        let limits: Vec<_> = (1..=7).map(|attempt| limit(attempt).as_millis()).collect();
        assert_eq!(limits, [300, 600, 1_200, 2_400, 4_800, 7_000, 7_000]);
        assert_eq!(limit(99), MAX_DELAY);
        let mut backoff = Backoff::new(7);
        assert_eq!(backoff.wait(), Duration::ZERO);
        assert!((1..=20).all(|attempt| backoff.wait() <= limit(attempt)));
        backoff.done();
        assert_eq!(backoff.wait(), Duration::ZERO);
    }

    #[test]
    fn spreads_attempts_of_many_sessions() {
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
    fn allows_burst_then_hundred_a_second() {
        let (limiter, now) = (RateLimiter::default(), Instant::now());
        let slots: Vec<_> = (0..1_000).map(|_| limiter.slot("a", now).duration_since(now).as_millis()).collect();
        assert_eq!(slots[..21], [[0; 20].as_slice(), &[0]].concat());
        assert_eq!((slots[21], slots[22], slots[999]), (10, 20, 9_790));
        assert!(slots.is_sorted());
        assert_eq!(limiter.slot("b", now), now, "another server's");
        let later = now + Duration::from_secs(60);
        assert_eq!(limiter.slot("a", later), later);
    }

    #[test]
    fn forgets_idle_servers() {
        let (limiter, now) = (RateLimiter::default(), Instant::now());
        for number in 0..10_000 {
            limiter.slot(&number.to_string(), now + INTERVAL * 2 * number);
        }
        assert!(limiter.next.lock().len() <= MAX_SERVERS);
    }
}
