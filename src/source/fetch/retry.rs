//! When to retry a request, and after what delay.

use std::hash::{BuildHasher, Hasher};
use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};

/// The most retries of a request, in a row.
const MAX_RETRIES: u32 = 3;

/// The same for a live stream, which is retried for longer: its server may be restarting.
const MAX_RETRIES_LIVE: u32 = 10;

/// The longest wait before the first retry; each later one may be twice as long, up to a limit.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Retries of one request, in a row.
#[derive(Debug)]
pub struct Retries {
    left: u32,
    next: Duration,
}

impl Retries {
    /// Starts the count at 0.
    pub fn new(is_live: bool) -> Self {
        Self { left: if is_live { MAX_RETRIES_LIVE } else { MAX_RETRIES }, next: FIRST_WAIT }
    }

    /// Returns the wait before the next attempt, at random, so that clients that met one failure do not come back together; added to the
    /// delay that the server asks for, if any. `None` if there were enough.
    pub fn wait(&mut self, after: Option<Duration>) -> Option<Duration> {
        self.left = self.left.checked_sub(1)?;
        let wait = self.next.mul_f64(0.5 + random() / 2.0);
        self.next = (self.next * 2).min(LONGEST_WAIT);
        Some(after.unwrap_or_default().saturating_add(wait))
    }
}

/// Returns a number from 0 to 1; not for secrets.
fn random() -> f64 {
    std::collections::hash_map::RandomState::new().build_hasher().finish() as f64 / u64::MAX as f64
}

/// Returns true if the server may soon answer with another status.
pub fn is_transient(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    )
}

/// Returns the delay that a server asks for: seconds, or until a date (RFC 9110 §10.2.3).
pub fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    match value.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => Some(httpdate::parse_http_date(value).ok()?.duration_since(now).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_retry_after_seconds_and_dates() {
        let now = httpdate::parse_http_date("Sun, 29 Nov 2026 18:00:00 GMT").unwrap();
        for (value, expected) in [
            ("0", Some(0)),
            (" 7 ", Some(7)),
            ("18446744073709551615", Some(u64::MAX)),
            ("Sun, 29 Nov 2026 18:00:30 GMT", Some(30)),
            ("Sunday, 29-Nov-26 18:01:00 GMT", Some(60)),
            ("Sun, 29 Nov 2026 17:59:00 GMT", Some(0)),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]);
            assert_eq!(retry_after(&headers, now), expected.map(Duration::from_secs), "{value}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }

    #[test]
    fn waits_grow_and_are_bounded() {
        let mut retries = Retries::new(true);
        let waits: Vec<_> = std::iter::from_fn(|| retries.wait(None)).collect();
        assert_eq!(waits.len(), MAX_RETRIES_LIVE as usize);
        for (index, wait) in waits.iter().enumerate() {
            let most = (FIRST_WAIT * (1 << index)).min(LONGEST_WAIT);
            assert!((most / 2..=most).contains(wait), "{index}: {wait:?}");
        }
        let after = Duration::from_secs(5);
        let mut retries = Retries::new(false);
        assert!((after..=after + FIRST_WAIT).contains(&retries.wait(Some(after)).unwrap()));
        assert!(retries.wait(Some(Duration::MAX)).is_some(), "it does not overflow");
        assert!(retries.wait(None).is_some() && retries.wait(None).is_none());
    }
}
