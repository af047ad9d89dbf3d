//! The time that packets bear: the session's, from where the connection's own stood when the first frame came. So silence that is
//! sent before and between sounds has a time too, though nobody mixes it.

use std::time::{Duration, Instant};

use crate::audio::{PER_MS, SAMPLE_RATE, Samples};

/// How far silence stays behind: the next frame may be sent late, and has to come after it.
const BEHIND: Duration = Duration::from_millis(60);

pub struct RtpTime {
    /// What there is to be added to the session's time; known with its first frame.
    shift: Option<Samples>,
    /// The time of the last frame, and when it was sent.
    last: (Samples, Instant),
}

impl RtpTime {
    pub fn new(now: Instant) -> Self {
        Self { shift: None, last: (BEHIND.as_millis() as Samples * PER_MS, now) }
    }

    /// The time of a frame of the session's, which is sent now.
    pub fn of(&mut self, frame: Samples, now: Instant) -> Samples {
        let shift = *self.shift.get_or_insert_with(|| after(self.last, now).wrapping_sub(frame));
        self.last = (frame.wrapping_add(shift), now);
        self.last.0
    }

    /// The time of silence that is sent now, and when that time was.
    pub fn of_silence(&self, now: Instant) -> (Samples, Instant) {
        (after(self.last, now) - BEHIND.as_millis() as Samples * PER_MS, now - BEHIND)
    }

    /// The session's time of the last frame, and when it was sent.
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
    fn silence_before_a_sound_and_behind_it_goes_on_with_its_time() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let ms = |ms: u64| ms * PER_MS;
        let mut time = RtpTime::new(start);
        assert_eq!(time.of_silence(at(0)).0, 0);
        assert_eq!(time.of_silence(at(2_000)), (ms(2_000), at(1_940)));
        assert_eq!(time.last_frame(), None);
        // A session that is five minutes old and has its first sound here.
        let frame = ms(300_000);
        assert_eq!(time.of(frame, at(2_500)), ms(2_560));
        assert_eq!(time.of(frame + FRAME as Samples, at(2_520)), ms(2_580));
        assert_eq!(time.last_frame(), Some((frame + FRAME as Samples, at(2_520))));
        assert_eq!(time.of_silence(at(62_520)), (ms(62_520), at(62_460)));
        assert_eq!(time.of(frame + ms(60_020), at(62_520)), ms(62_580));
    }

    #[test]
    fn a_frame_comes_after_silence_though_it_is_early_or_late() {
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
    fn a_session_that_is_younger_than_its_connection_has_a_time() {
        let start = Instant::now();
        let mut time = RtpTime::new(start);
        time.of(960, start);
        assert_eq!(time.last_frame(), Some((960, start)));
        let mut time = RtpTime::new(start);
        time.of(u64::from(u32::MAX), start + FRAME_TIME);
        assert_eq!(time.last_frame(), Some((u64::from(u32::MAX), start + FRAME_TIME)));
    }
}
