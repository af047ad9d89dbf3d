//! The clocks: when a frame is due ([`FrameClock`]), and the time by which waiting is measured ([`WallClock`]). No other code of the core
//! reads a clock.

use std::time::{Duration, Instant};

use crate::audio::{FRAME, FRAME_TIME, SAMPLE_RATE, Samples, samples};
use crate::runtime::round_down;
use crate::session::WallTime;

/// The most frames that are caught up. A process that slept longer goes on from now: hurrying through seconds helps nobody.
const MAX_OWED: u32 = 25;

/// The delay from which on a frame counts as late: the next one is due by then. With less it may just have its turn at the end of a long
/// round, as regularly as others at the start.
const LATE: Duration = FRAME_TIME;

/// The most that a frame is moved at once towards the moments that all sessions share: less than any network's jitter.
const MAX_SHIFT: Duration = Duration::from_millis(1);

/// Absolute deadlines, one frame apart, so that delays do not add up. The first one is now, and the others move to the same moments for
/// all sessions, a little each, the nearer way: a first sample does not wait, and soon all sessions are ticked together. In silence it is
/// parked and costs nothing. Time is an argument.
pub struct FrameClock {
    start: Instant,
    /// When the next frame is due; `None` while parked.
    due: Option<Instant>,
    /// The next frame is wanted before it is due.
    early: bool,
    /// The number of frames that were mixed late.
    pub late: u64,
    /// The delay of the last frame, if it was late.
    pub lateness: Duration,
    /// The number of frames that were skipped because the process was halted.
    pub lost: u64,
}

impl FrameClock {
    pub fn start(now: Instant) -> Self {
        Self { start: now, due: None, early: false, late: 0, lateness: Duration::ZERO, lost: 0 }
    }

    /// Returns when the session's time began.
    pub fn epoch(&self) -> Instant {
        self.start
    }

    /// Returns when the next frame is to be mixed; `None` while parked.
    pub fn next(&self) -> Option<Instant> {
        self.due.map(|due| if self.early { due - FRAME_TIME } else { due })
    }

    pub fn is_due(&self, now: Instant) -> bool {
        self.next().is_some_and(|next| next <= now)
    }

    /// Returns how many samples of time are lost behind the frame that is due: 0, unless the process was halted.
    pub fn lost(&self, now: Instant) -> Samples {
        let Some(due) = self.due else { return 0 };
        let late = now.saturating_duration_since(due + FRAME_TIME);
        if late > FRAME_TIME * MAX_OWED {
            (late.as_nanos() / FRAME_TIME.as_nanos()) as Samples * FRAME as Samples
        } else {
            0
        }
    }

    /// Advances by a frame that was mixed, and by `lost` samples of time that are skipped behind it.
    pub fn step(&mut self, lost: Samples, now: Instant) {
        let Some(due) = self.due else { return };
        let is_late = now > due + LATE;
        self.late += u64::from(is_late);
        self.lateness = if is_late { now - due } else { Duration::ZERO };
        self.early = false;
        let frames = (lost / FRAME as Samples) as u32;
        if frames > 0 {
            tracing::warn!(frames, "the process was halted; going on from now");
        }
        self.due = Some(aligned(due + FRAME_TIME * (1 + frames)));
        self.lost += u64::from(frames);
    }

    /// Makes the next frame due at once, because what it carries can't wait: it is one frame ahead of its time then, never
    /// more. The frames after it are due as before.
    pub fn hasten(&mut self, now: Instant) {
        self.early |= self.due.is_some_and(|due| due <= now + FRAME_TIME);
    }

    pub fn is_awake(&self) -> bool {
        self.due.is_some()
    }

    pub fn park(&mut self) {
        self.early = false;
        self.due = None;
    }

    /// Makes a frame due now if the clock is parked. Returns the time now, which the session may have to catch up to.
    pub fn wake(&mut self, now: Instant) -> Option<Samples> {
        if self.due.is_some() {
            return None;
        }
        self.due = Some(now);
        Some(samples(now.saturating_duration_since(self.start)))
    }
}

/// Returns a deadline moved towards the nearest moment that all sessions share.
fn aligned(due: Instant) -> Instant {
    let behind = due - round_down(due, FRAME_TIME);
    if behind <= FRAME_TIME / 2 { due - behind.min(MAX_SHIFT) } else { due + (FRAME_TIME - behind).min(MAX_SHIFT) }
}

/// The wall clock in samples since the session was made; it goes on in silence.
#[derive(Debug, Clone, Copy)]
pub struct WallClock {
    start: Instant,
}

impl WallClock {
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }

    pub fn now(&self) -> WallTime {
        WallTime(samples(self.start.elapsed()))
    }

    /// Converts a time of this clock to an instant.
    pub fn instant(&self, WallTime(time): WallTime) -> Instant {
        self.start + Duration::from_secs_f64(time as f64 / f64::from(SAMPLE_RATE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::PER_MS;

    #[test]
    fn frames_align_between_sessions() {
        let start = round_down(Instant::now() + FRAME_TIME, FRAME_TIME);
        let at = |ms| start + Duration::from_millis(ms);
        for woken in 105..145 {
            let mut clock = FrameClock::start(at(5));
            assert_eq!(clock.wake(at(woken)), Some((woken - 5) * PER_MS));
            assert_eq!(clock.wake(at(woken)), None, "awake already");
            assert!(clock.is_due(at(woken)) && !clock.is_due(at(woken - 1)), "the first one at once");
            let mut due = at(woken);
            for frame in 1..=20 {
                clock.step(0, due + Duration::from_millis(7)); // no delay adds up
                let apart = clock.next().unwrap() - due;
                assert!(apart.abs_diff(FRAME_TIME) <= MAX_SHIFT, "{apart:?}");
                due = clock.next().unwrap();
                let apart = due - at(woken + 20 * frame).min(due);
                assert!(apart <= FRAME_TIME / 2 && at(woken + 20 * frame) <= due + FRAME_TIME / 2);
            }
            assert_eq!(due, round_down(due, FRAME_TIME), "woken after {woken} ms");
            assert_eq!(clock.late, 0);
            clock.step(0, due + Duration::from_millis(21));
            assert_eq!(clock.late, 1);
        }
    }

    #[test]
    fn hastens_one_frame_only() {
        let start = round_down(Instant::now() + FRAME_TIME, FRAME_TIME);
        let mut clock = FrameClock::start(start);
        clock.hasten(start);
        assert!(!clock.early, "parked");
        clock.wake(start);
        clock.step(0, start);
        for early in [true, false] {
            clock.hasten(start);
            assert_eq!(clock.is_due(start), early, "no more than one is early");
            clock.step(0, start);
        }
        assert_eq!((clock.next(), clock.late), (Some(start + FRAME_TIME * 3), 0));
    }

    #[test]
    fn converts_wall_time_to_an_instant() {
        let clock = WallClock::start();
        let later = clock.instant(WallTime(250 * PER_MS));
        assert_eq!(later - clock.start, Duration::from_millis(250));
        assert!(clock.now() < WallTime(250 * PER_MS) || Instant::now() >= later);
    }

    #[test]
    fn catches_up_short_delays_and_skips_long_ones() {
        let start = round_down(Instant::now() + FRAME_TIME, FRAME_TIME);
        let mut clock = FrameClock::start(start);
        clock.wake(start);
        let short = start + Duration::from_millis(220);
        assert_eq!(clock.lost(short), 0);
        clock.step(0, short);
        let long = short + Duration::from_secs(10);
        let lost = clock.lost(long);
        assert_eq!(lost, 509 * FRAME as Samples);
        clock.step(lost, long);
        assert_eq!(clock.lost, 509);
        assert!(clock.is_due(long));
    }
}
