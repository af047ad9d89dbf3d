//! The RTP time of packets: the session's time, offset by the connection's time at the first frame, so that silence sent before and between
//! sounds has a time too, though nothing is mixed then.

use std::time::{Duration, Instant};

use crate::audio::{PER_MS, SAMPLE_RATE, Samples};

/// How far silence lags: the next frame may be sent late, and has to come after it.
const BEHIND: Duration = Duration::from_millis(60);

pub struct RtpTime {
    /// The offset of the session's time; known with its first frame.
    shift: Option<Samples>,
    /// The time of the last frame, and when it was sent.
    last: (Samples, Instant),
}

impl RtpTime {
    pub fn new(now: Instant) -> Self {
        Self { shift: None, last: (BEHIND.as_millis() as Samples * PER_MS, now) }
    }

    /// Returns the time of a session's frame that is sent now.
    pub fn of(&mut self, frame: Samples, now: Instant) -> Samples {
        let shift = *self.shift.get_or_insert_with(|| after(self.last, now).wrapping_sub(frame));
        self.last = (frame.wrapping_add(shift), now);
        self.last.0
    }

    /// Returns the time of silence that is sent now, and the instant of that time.
    pub fn of_silence(&self, now: Instant) -> (Samples, Instant) {
        (after(self.last, now) - BEHIND.as_millis() as Samples * PER_MS, now - BEHIND)
    }

    /// Returns the session's time of the last frame, and when it was sent.
    pub fn last_frame(&self) -> Option<(Samples, Instant)> {
        self.shift.map(|shift| (self.last.0.wrapping_sub(shift), self.last.1))
    }
}

fn after((time, at): (Samples, Instant), now: Instant) -> Samples {
    time + (now.saturating_duration_since(at).as_nanos() * u128::from(SAMPLE_RATE) / 1_000_000_000) as Samples
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::FRAME;

    const FRAME_TIME: Duration = Duration::from_millis(20);

    #[test]
    fn silence_continues_time_around_sound() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let ms = |ms: u64| ms * PER_MS;
        let mut time = RtpTime::new(start);
        assert_eq!(time.of_silence(at(0)).0, 0);
        assert_eq!(time.of_silence(at(2_000)), (ms(2_000), at(1_940)));
        assert_eq!(time.last_frame(), None);
        // A session that is five minutes old has its first sound here.
        let frame = ms(300_000);
        assert_eq!(time.of(frame, at(2_500)), ms(2_560));
        assert_eq!(time.of(frame + FRAME as Samples, at(2_520)), ms(2_580));
        assert_eq!(time.last_frame(), Some((frame + FRAME as Samples, at(2_520))));
        assert_eq!(time.of_silence(at(62_520)), (ms(62_520), at(62_460)));
        assert_eq!(time.of(frame + ms(60_020), at(62_520)), ms(62_580));
    }

    #[test]
    fn frame_follows_silence_even_if_early() {
        let start = Instant::now();
        for (early, late) in [(20, 0), (0, 10), (0, 30)] {
            let mut time = RtpTime::new(start);
            time.of(early * PER_MS, start + Duration::from_millis(late));
            let now = start + Duration::from_secs(7);
            let (silence, _) = time.of_silence(now);
            assert!(time.of(7_000 * PER_MS, now) >= silence + FRAME as Samples, "{early} {late}");
        }
    }

    #[test]
    fn session_younger_than_connection_has_time() {
        let start = Instant::now();
        let mut time = RtpTime::new(start);
        time.of(960, start);
        assert_eq!(time.last_frame(), Some((960, start)));
        let mut time = RtpTime::new(start);
        time.of(u64::from(u32::MAX), start + FRAME_TIME);
        assert_eq!(time.last_frame(), Some((u64::from(u32::MAX), start + FRAME_TIME)));
    }
}
