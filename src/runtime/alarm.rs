//! When the next turn is due: code that is polled asks for it with [`wake_at`], and whatever polls the code (a wheel, or [`timed`])
//! provides it.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use once_cell::sync::Lazy;
use tokio::time::sleep_until;

static EPOCH: Lazy<Instant> = Lazy::new(Instant::now);

thread_local! {
    static NEXT: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Rounds `at` down to a multiple of `step`. The multiples are the same for the whole process, so that everything that is timed by
/// them happens together.
pub fn round_down(at: Instant, step: Duration) -> Instant {
    let off = at.saturating_duration_since(*EPOCH).as_nanos() % step.as_nanos();
    at - Duration::from_nanos(off as u64)
}

/// Rounds `at` up to a multiple of `step`; see [`round_down`].
pub fn round_up(at: Instant, step: Duration) -> Instant {
    let before = round_down(at, step);
    if before == at { at } else { before + step }
}

/// Asks for another turn at this time at the latest. Works in a turn of a wheel and under [`timed`].
pub fn wake_at(at: Instant) {
    NEXT.set(Some(NEXT.get().map_or(at, |next| next.min(at))));
}

/// Runs a turn. Also returns the time of the next one, if the turn asked for one.
pub fn turn<T>(turn: impl FnOnce() -> T) -> (T, Option<Instant>) {
    NEXT.set(None);
    let result = turn();
    (result, NEXT.take())
}

/// Polls code that needs the time and [`wake_at`], outside of a wheel.
pub async fn timed<T>(mut poll: impl FnMut(&mut Context<'_>, Instant) -> Poll<T>) -> T {
    let mut sleep = pin!(sleep_until(tokio::time::Instant::now()));
    poll_fn(|context| {
        loop {
            let (result, next) = turn(|| poll(context, tokio::time::Instant::now().into_std()));
            let Some(next) = next.filter(|_| result.is_pending()) else { return result };
            sleep.as_mut().reset(next.into());
            if sleep.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_to_shared_multiples() {
        let step = Duration::from_millis(20);
        let down = round_down(Instant::now() + step, step);
        for ms in 1..20 {
            let between = down + Duration::from_millis(ms);
            assert_eq!((round_down(between, step), round_up(between, step)), (down, down + step));
        }
        assert_eq!((round_down(down, step), round_up(down, step)), (down, down));
    }

    #[test]
    fn keeps_the_earliest_time() {
        let now = Instant::now();
        let at = |ms| now + Duration::from_millis(ms);
        let asked = turn(|| [30, 10, 20].map(at).into_iter().for_each(wake_at)).1;
        assert_eq!(asked, Some(at(10)));
        assert_eq!(turn(|| ()).1, None, "each turn asks anew");
    }

    #[tokio::test(start_paused = true)]
    async fn timed_gives_turns_without_a_wheel() {
        let start = Instant::now();
        let mut turns = 0;
        timed(|_, now| {
            turns += 1;
            let due = tokio::time::Instant::from_std(start) + Duration::from_millis(100);
            if now >= due.into_std() {
                return Poll::Ready(());
            }
            wake_at(due.into_std());
            Poll::Pending
        })
        .await;
        assert_eq!(turns, 2);
    }
}
