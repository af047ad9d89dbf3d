//! For how long something is waited for that may be late: a server, a disk.
//!
//! Nobody is to blame for time in which this process does not run (SIGSTOP, a suspended machine), and what came meanwhile is still to
//! be seen. So the time is measured in slices, none of which counts for much more than it should have lasted.

use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, timeout};

/// In how many slices a time is measured.
const SLICES: u32 = 10;

/// How many more times it is looked whether something came, and how long each.
const LAST_LOOKS: u32 = 5;
const LAST_LOOK: Duration = Duration::from_millis(10);

/// Waits for `step`, for as long as `limit`; `None` if that was not enough.
pub async fn within<T>(limit: Duration, step: impl Future<Output = T>) -> Option<T> {
    Allowance::new(limit).within(step).await
}

/// The time that several steps share.
#[derive(Debug)]
pub struct Allowance {
    limit: Duration,
    spent: Duration,
}

impl Allowance {
    /// So much of it.
    pub fn new(limit: Duration) -> Self {
        Self { limit, spent: Duration::ZERO }
    }

    /// What is left of it.
    pub fn left(&self) -> Duration {
        self.limit.saturating_sub(self.spent)
    }

    /// Waits for a step, for as long as is left; `None` if that was not enough.
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

/// Waits for a slice of `limit` at most. Returns how much time that counts for, too.
pub async fn slice<T>(limit: Duration, step: Pin<&mut impl Future<Output = T>>) -> (Option<T>, Duration) {
    let length = limit / SLICES;
    let begun = Instant::now();
    let value = timeout(length, step).await.ok();
    (value, begun.elapsed().min(length * 2))
}

/// Looks once more. The last slice may have ended with a halt: what came in it is read by another task first.
pub async fn last_look<T>(mut step: Pin<&mut impl Future<Output = T>>) -> Option<T> {
    for _ in 0..LAST_LOOKS {
        if let Ok(value) = timeout(LAST_LOOK, step.as_mut()).await {
            return Some(value);
        }
    }
    None
}
