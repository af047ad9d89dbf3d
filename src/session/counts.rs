//! Reports a session's counts to the metrics of the process. They follow the events: what a frame caused is counted once the frame was
//! handed over, so that no count ever goes back.

use super::Session;
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
    reported: Reported,
    active: usize,
    queued: usize,
}

/// The counts of `stats()`, as last reported.
#[derive(Default)]
struct Reported {
    completed: u64,
    stopped: u64,
    underruns: u64,
    late_frames: u64,
    lost_frames: u64,
    dropped_frames: u64,
}

/// Returns what a count has grown by since it was last reported.
fn growth(reported: &mut u64, count: u64) -> u64 {
    count - std::mem::replace(reported, count)
}

impl Session {
    /// Reports the counts since the last time, unless a frame is in flight.
    pub fn report_counts(&mut self, metrics: &Metrics) {
        if self.outbox.is_holding() {
            return;
        }
        let active = self.playbacks.loading.len() + self.playbacks.sounding.len();
        let queued = self.playbacks.lines.values().map(|line| line.len()).sum();
        let Self { counts, stats, mixer, .. } = self;
        let reported = &mut counts.reported;
        metrics.requests.add(std::mem::take(&mut counts.requests));
        metrics.started.add(std::mem::take(&mut counts.started));
        metrics.completed.add(growth(&mut reported.completed, stats.completed));
        metrics.stopped.add(growth(&mut reported.stopped, stats.stopped));
        counts.failures.drain(..).for_each(|code| metrics.failures.add(code));
        metrics.output_errors.add(std::mem::take(&mut counts.output_errors));
        metrics.reconnects.add(std::mem::take(&mut counts.reconnects));
        metrics.underruns.add(growth(&mut reported.underruns, mixer.underruns()));
        metrics.late_frames.add(growth(&mut reported.late_frames, stats.late_frames));
        metrics.lost_frames.add(growth(&mut reported.lost_frames, stats.lost_frames));
        metrics.dropped_frames.add(growth(&mut reported.dropped_frames, stats.dropped_frames));
        counts.latencies.drain(..).for_each(|time| metrics.first_frame_latency.add(time));
        counts.durations.drain(..).for_each(|time| metrics.duration.add(time));
        metrics.active.change(std::mem::replace(&mut counts.active, active), active);
        metrics.queued.change(std::mem::replace(&mut counts.queued, queued), queued);
    }
}
