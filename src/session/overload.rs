//! Overload: frames that come too late or not at all because the machine is busy. It is reported when they are many, and at most
//! once a second.

use super::WallTime;
use crate::audio::{SAMPLE_RATE, Samples, to_ms};
use crate::event::EventKind;

/// The shortest time between two reports, and the time for which late frames that were not reported count.
const SECOND: Samples = SAMPLE_RATE as Samples;

/// The number of late frames that is reported: one or two in a row are seldom heard in a room.
const MANY_LATE: u32 = 5;

/// The late frames since the last report, or in the last second.
#[derive(Default)]
pub(super) struct Overload {
    since: WallTime,
    reported_at: Option<WallTime>,
    late_frames: u32,
    lost_frames: u32,
    /// The largest delay among them.
    late: Samples,
}

impl Overload {
    /// Counts the frames that were late or lost since the last call, by `late` at most. Returns the event, if it is due.
    pub fn count(&mut self, at: WallTime, late_frames: u32, lost_frames: u32, late: Samples) -> Option<EventKind> {
        let is_new = late_frames > 0 || lost_frames > 0;
        if !is_new && !self.is_reportable() {
            return None;
        }
        if !self.is_reportable() && at.0 >= self.since.0 + SECOND {
            *self = Self { since: at, reported_at: self.reported_at, ..Self::default() };
        }
        self.late_frames += late_frames;
        self.lost_frames += lost_frames;
        self.late = self.late.max(late);
        let is_time = self.reported_at.is_none_or(|reported_at| at.0 >= reported_at.0 + SECOND);
        if !is_time || !self.is_reportable() {
            return None;
        }
        let Self { late_frames, lost_frames, late, .. } = *self;
        *self = Self { since: at, reported_at: Some(at), ..Self::default() };
        Some(EventKind::Overloaded { late_frames, lost_frames, late_ms: to_ms(late) })
    }

    fn is_reportable(&self) -> bool {
        self.late_frames >= MANY_LATE || self.lost_frames > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::PER_MS;

    /// Returns the reports about frames, each given by its time and its delay in ms.
    fn reports(frames: impl IntoIterator<Item = (u64, u64)>) -> Vec<(u64, u32, f64)> {
        let mut overload = Overload::default();
        let count = |(ms, late): (u64, u64)| match overload.count(
            WallTime(ms * PER_MS),
            u32::from(late > 0),
            0,
            late * PER_MS,
        )? {
            EventKind::Overloaded { late_frames, lost_frames: 0, late_ms } => Some((ms, late_frames, late_ms)),
            other => panic!("{other:?}"),
        };
        frames.into_iter().filter_map(count).collect()
    }

    #[test]
    fn ignores_a_few_late_frames() {
        assert_eq!(reports((0..4).map(|n| (20 * n, 30))), []);
        // Many over a long time are not reported either.
        assert_eq!(reports((0..100).map(|n| (300 * n, 30))), []);
    }

    #[test]
    fn reports_many_at_once_then_every_second() {
        let frames = (0..150).map(|n| (20 * n, 30 + n % 7));
        assert_eq!(reports(frames), [(80, 5, 34.0), (1_080, 50, 36.0), (2_080, 50, 36.0)]);
    }

    #[test]
    fn delays_a_second_report() {
        let late = (0..20).map(|n| (20 * n, 30));
        let fine = (20..100).map(|n| (20 * n, 0));
        assert_eq!(reports(late.chain(fine)), [(80, 5, 30.0), (1_080, 15, 30.0)]);
    }

    #[test]
    fn reports_a_lost_frame_at_once() {
        let mut overload = Overload::default();
        let reported = overload.count(WallTime(0), 1, 60, 1_200 * PER_MS);
        assert_eq!(reported, Some(EventKind::Overloaded { late_frames: 1, lost_frames: 60, late_ms: 1_200.0 }));
        assert_eq!(overload.count(WallTime(PER_MS), 0, 0, 0), None);
    }
}
