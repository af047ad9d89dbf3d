//! Reports a session's counts to the metrics of the process. They follow the events: what a frame caused is counted once the frame was
//! handed over, so that no count ever goes back.

use super::{Session, Stats};
use crate::audio::Samples;
use crate::error::Code;
use crate::metrics::Metrics;

/// Counts that are not reported yet.
#[derive(Default)]
pub(super) struct Counts {
    pub requests: u64,
    pub started: u64,
    pub output_errors: u64,
    pub reconnects: u64,
    pub failures: Vec<Code>,
    /// The times from a request to its first sample.
    pub latencies: Vec<Samples>,
    /// The time for which each playback sounded.
    pub durations: Vec<Samples>,
    /// The counts of `stats()` that were reported last.
    reported: Stats,
    active: usize,
    queued: usize,
}

impl Session {
    /// Reports the counts since the last time, unless a frame is in flight.
    pub fn report_counts(&mut self, metrics: &Metrics) {
        if self.outbox.is_holding() {
            return;
        }
        let now = self.stats();
        let active = self.playbacks.loading.len() + self.playbacks.sounding.len();
        let queued = self.playbacks.lines.values().map(|line| line.len()).sum();
        let counts = &mut self.counts;
        let reported = std::mem::replace(&mut counts.reported, now);
        metrics.requests.add(std::mem::take(&mut counts.requests));
        metrics.started.add(std::mem::take(&mut counts.started));
        metrics.completed.add(now.completed - reported.completed);
        metrics.stopped.add(now.stopped - reported.stopped);
        counts.failures.drain(..).for_each(|code| metrics.failures.add(code));
        metrics.output_errors.add(std::mem::take(&mut counts.output_errors));
        metrics.reconnects.add(std::mem::take(&mut counts.reconnects));
        metrics.underruns.add(now.underruns - reported.underruns);
        metrics.late_frames.add(now.late_frames - reported.late_frames);
        metrics.lost_frames.add(now.lost_frames - reported.lost_frames);
        metrics.dropped_frames.add(now.dropped_frames - reported.dropped_frames);
        counts.latencies.drain(..).for_each(|time| metrics.first_frame_latency.add(time));
        counts.durations.drain(..).for_each(|time| metrics.duration.add(time));
        metrics.active.change(std::mem::replace(&mut counts.active, active), active);
        metrics.queued.change(std::mem::replace(&mut counts.queued, queued), queued);
    }
}
