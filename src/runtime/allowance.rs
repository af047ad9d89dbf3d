//! Timeouts for a server or a disk that may be late.
//!
//! Time in which this process does not run (SIGSTOP, a suspended machine) does not count, and what arrived meanwhile must still be
//! seen. So the time is measured in slices, none of which counts for much more than it should have lasted.

use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, timeout};

/// The number of slices in which a time is measured.
const SLICES: u32 = 10;

/// The number of polls after a timeout, and the length of each.
const LAST_LOOKS: u32 = 5;
const LAST_LOOK: Duration = Duration::from_millis(10);

/// Waits for `step` up to `limit`. Returns `None` on a timeout.
pub async fn within<T>(limit: Duration, step: impl Future<Output = T>) -> Option<T> {
    Allowance::new(limit).within(step).await
}

/// A timeout that several steps share.
#[derive(Debug)]
pub struct Allowance {
    limit: Duration,
    spent: Duration,
}

impl Allowance {
    /// Creates one of this length.
    pub fn new(limit: Duration) -> Self {
        Self { limit, spent: Duration::ZERO }
    }

    /// Returns the time that is left.
    pub fn left(&self) -> Duration {
        self.limit.saturating_sub(self.spent)
    }

    /// Waits for a step for the time that is left. Returns `None` on a timeout.
    pub async fn within<T>(&mut self, step: impl Future<Output = T>) -> Option<T> {
        tokio::pin!(step);
        while self.spent < self.limit {
            let (value, time) = slice(self.limit, step.as_mut()).await;
            self.spent += time;
            if value.is_some() {
                return value;
            }
        }
        last_look(step).await
    }
}

/// Waits for at most a slice of `limit`. Also returns the time that this counts for.
pub async fn slice<T>(limit: Duration, step: Pin<&mut impl Future<Output = T>>) -> (Option<T>, Duration) {
    let length = limit / SLICES;
    let begun = Instant::now();
    let value = timeout(length, step).await.ok();
    (value, begun.elapsed().min(length * 2))
}

/// Polls a few times more. The process may have been halted in the last slice, and what arrived is read by another task first.
pub async fn last_look<T>(mut step: Pin<&mut impl Future<Output = T>>) -> Option<T> {
    for _ in 0..LAST_LOOKS {
        if let Ok(value) = timeout(LAST_LOOK, step.as_mut()).await {
            return Some(value);
        }
    }
    None
}
