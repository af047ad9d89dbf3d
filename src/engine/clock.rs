//! The clocks: the only code of the core that reads one. They say when the mixer owes a frame, and how long something waits.

use std::pin::Pin;
use std::time::Duration;

use once_cell::sync::Lazy;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::audio::{FRAME, PER_MS, SAMPLE_RATE, Samples};
use crate::session::WallTime;

const FRAME_TIME: Duration = Duration::from_millis(FRAME as u64 / PER_MS);

/// Frames that are owed at most. A process that slept longer goes on from now: to hurry through seconds helps nobody.
const MAX_LATE: u32 = 25;

/// The frames of all sessions are due at multiples of this since [`EPOCH`]: a thousand sessions wake the process not at a
/// thousand moments but at two of every frame. Short enough that nobody sees that a first frame is not the frame's time
/// before the second.
const GRID: Duration = Duration::from_millis(10);

static EPOCH: Lazy<Instant> = Lazy::new(Instant::now);

/// Absolute deadlines, one frame apart, so that no delay adds up. Parked in silence: then it costs nothing.
pub struct FrameClock {
    start: Instant,
    /// When the next frame is due; `None` while parked.
    due: Option<Instant>,
    timer: Pin<Box<Sleep>>,
    /// The next frame is wanted before it is due.
    early: bool,
    /// Frames that were given up because the process came too late.
    pub lost: u64,
}

impl FrameClock {
    pub fn start() -> Self {
        let start = Instant::now();
        Self { start, due: None, timer: Box::pin(sleep_until(start)), early: false, lost: 0 }
    }

    /// Waits until a frame is due; for ever while parked.
    pub async fn due(&mut self) {
        let Some(due) = self.due else { return std::future::pending().await };
        if self.early {
            return;
        }
        if self.timer.deadline() != due {
            self.timer.as_mut().reset(due);
        }
        self.timer.as_mut().await;
    }

    /// How many samples of time are lost behind the frame that is due: 0, unless the process was halted.
    pub fn lost(&self) -> Samples {
        let Some(due) = self.due else { return 0 };
        let late = Instant::now().saturating_duration_since(due + FRAME_TIME);
        match late > FRAME_TIME * MAX_LATE {
            true => (late.as_nanos() / FRAME_TIME.as_nanos()) as Samples * FRAME as Samples,
            false => 0,
        }
    }

    /// A frame was mixed, and `lost` samples of time are given up behind it.
    pub fn step(&mut self, lost: Samples) {
        let Some(due) = self.due else { return };
        self.early = false;
        let frames = (lost / FRAME as Samples) as u32;
        if frames > 0 {
            tracing::warn!(frames, "the process was halted; going on from now");
        }
        self.due = Some(due + FRAME_TIME * (1 + frames));
        self.lost += u64::from(frames);
    }

    /// Lets the next frame go out at once, since what it carries can't wait: it is one frame ahead of its time then, never
    /// more. The ones after it are due as before.
    pub fn hasten(&mut self) {
        self.early |= self.due.is_some_and(|due| due <= Instant::now() + FRAME_TIME);
    }

    pub fn is_awake(&self) -> bool {
        self.due.is_some()
    }

    pub fn park(&mut self) {
        self.early = false;
        self.due = None;
    }

    /// Makes a frame due now if none is. Says what the session's time is now, and that it may be behind it.
    pub fn wake(&mut self) -> Option<Samples> {
        if self.due.is_some() {
            return None;
        }
        let now = Instant::now();
        let off = now.saturating_duration_since(*EPOCH).as_nanos() % GRID.as_nanos();
        self.due = Some(now - Duration::from_nanos(off as u64));
        Some(samples(now.saturating_duration_since(self.start)))
    }
}

/// The wall clock in samples since the session was made: for what takes its time in silence too.
#[derive(Debug, Clone, Copy)]
pub struct Watch {
    start: Instant,
}

impl Watch {
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }

    pub fn now(&self) -> WallTime {
        WallTime(samples(self.start.elapsed()))
    }

    /// Waits for a time of a watch; for ever if there is none, or no watch to measure it by.
    pub async fn alarm(watch: Option<Self>, time: Option<WallTime>) {
        match watch.zip(time) {
            Some((watch, WallTime(time))) => {
                sleep_until(watch.start + Duration::from_secs_f64(time as f64 / f64::from(SAMPLE_RATE))).await;
            }
            None => std::future::pending().await,
        }
    }
}

fn samples(time: Duration) -> Samples {
    (time.as_nanos() * u128::from(SAMPLE_RATE) / 1_000_000_000) as Samples
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::{advance, pause};

    #[tokio::test]
    async fn frames_are_due_at_absolute_times_and_waking_tells_the_time() {
        pause();
        let mut clock = FrameClock::start();
        advance(Duration::from_millis(105)).await;
        assert_eq!(clock.wake(), Some(105 * PER_MS));
        assert_eq!(clock.wake(), None, "awake already");
        let woken = Instant::now();
        clock.due().await;
        advance(Duration::from_millis(7)).await; // the tick itself took long
        assert_eq!(clock.lost(), 0);
        clock.step(0);
        clock.due().await;
        // The first one was due up to a step of the grid ago; and Tokio's timer has a grain of 1 ms.
        assert!((10..=21).contains(&woken.elapsed().as_millis()), "{:?}", woken.elapsed());
    }

    #[tokio::test]
    async fn one_frame_can_go_out_early_and_the_next_is_due_as_before() {
        pause();
        let mut clock = FrameClock::start();
        clock.hasten();
        assert!(!clock.early, "parked");
        clock.wake();
        let woken = clock.due.unwrap();
        clock.due().await;
        clock.step(0);
        for early in [true, false] {
            clock.hasten();
            assert_eq!(clock.early, early, "no more than one is early");
            clock.due().await;
            clock.step(0);
        }
        assert_eq!(clock.due, Some(woken + FRAME_TIME * 3));
        assert!(Instant::now() >= woken + FRAME_TIME * 2);
    }

    #[tokio::test]
    async fn a_watch_reaches_the_time_it_is_told_and_not_before() {
        pause();
        let watch = Watch::start();
        assert_eq!(watch.now(), WallTime(0));
        Watch::alarm(Some(watch), Some(WallTime(250 * PER_MS))).await;
        assert!((250 * PER_MS..=251 * PER_MS).contains(&watch.now().0), "{:?}", watch.now());
        Watch::alarm(Some(watch), Some(WallTime(100 * PER_MS))).await; // gone already
        assert!(watch.now().0 <= 251 * PER_MS);
    }

    #[tokio::test]
    async fn a_short_delay_is_made_up_for_and_a_long_one_is_given_up() {
        pause();
        let mut clock = FrameClock::start();
        clock.wake();
        advance(Duration::from_millis(220)).await;
        assert_eq!(clock.lost(), 0);
        clock.step(0);
        advance(Duration::from_secs(10)).await;
        let lost = clock.lost();
        assert_eq!(lost, 509 * FRAME as Samples);
        clock.step(lost);
        assert_eq!(clock.lost, 509);
        assert!(clock.due.unwrap() <= Instant::now());
    }
}
