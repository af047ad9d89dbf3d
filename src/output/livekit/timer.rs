//! A timer for code that is told the time: it is set to an instant and reads no clock.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::time::{Sleep, sleep_until};

pub struct Timer {
    due: Instant,
    /// What wakes us then, or before.
    sleep: Pin<Box<Sleep>>,
}

impl Timer {
    /// Needs tokio's context.
    pub fn at(due: Instant) -> Self {
        Self { due, sleep: Box::pin(sleep_until(due.into())) }
    }

    pub fn set(&mut self, due: Instant) {
        self.due = due;
        // To set tokio's timer costs more than to be woken by one that was set too early.
        if self.sleep.is_elapsed() || due < self.sleep.deadline().into_std() {
            self.sleep.as_mut().reset(due.into());
        }
    }

    /// Ready with the time once it is due, until it is set again.
    pub fn poll(&mut self, context: &mut Context<'_>, mut now: Instant) -> Poll<Instant> {
        while self.due > now {
            ready!(self.sleep.as_mut().poll(context));
            // It has run out since `now` was read.
            now = now.max(self.sleep.deadline().into_std());
            if self.due > now {
                self.sleep.as_mut().reset(self.due.into());
            }
        }
        Poll::Ready(now)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_due_by_the_time_that_it_is_told() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut timer = Timer::at(at(100));
        poll_fn(|context| {
            assert!(timer.poll(context, at(99)).is_pending());
            assert_eq!(timer.poll(context, at(100)), Poll::Ready(at(100)));
            assert_eq!(timer.poll(context, at(170)), Poll::Ready(at(170)), "until it is set again");
            timer.set(at(200));
            assert!(timer.poll(context, at(199)).is_pending());
            Poll::Ready(())
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn it_wakes_when_it_is_due_and_ends_though_the_time_was_read_before() {
        let start = tokio::time::Instant::now();
        let mut timer = Timer::at(start.into_std() + Duration::from_millis(50));
        timer.set(start.into_std() + Duration::from_millis(100)); // by the old timer first
        let now = poll_fn(|context| timer.poll(context, start.into_std())).await;
        assert_eq!(now, start.into_std() + Duration::from_millis(100));
        assert_eq!(start.elapsed().as_millis() / 2, 50);
    }
}
