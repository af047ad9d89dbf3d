//! What a session tells the process of what it counts. It follows the events: what a frame brought about is counted once that was handed
//! over, so that no count ever goes back.

use super::{Session, Stats};
use crate::audio::Samples;
use crate::error::Code;
use crate::metrics::Metrics;

/// What was counted and is not told yet.
#[derive(Default)]
pub(super) struct Counts {
    pub requests: u64,
    pub started: u64,
    pub output_errors: u64,
    pub reconnects: u64,
    pub failures: Vec<Code>,
    /// From a request to its first sample.
    pub latencies: Vec<Samples>,
    /// How long each sounded.
    pub durations: Vec<Samples>,
    /// What was told of the counts that `stats()` has.
    told: Stats,
    active: usize,
    queued: usize,
}

impl Session {
    /// Tells what was counted since the last time, unless it is about a frame that is in flight.
    pub fn tell_counts(&mut self, metrics: &Metrics) {
        if self.outbox.is_holding() {
            return;
        }
        let now = self.stats();
        let active = self.playbacks.loading.len() + self.playbacks.sounding.len();
        let queued = self.playbacks.lines.values().map(|line| line.len()).sum();
        let counts = &mut self.counts;
        let told = std::mem::replace(&mut counts.told, now);
        metrics.requests.add(std::mem::take(&mut counts.requests));
        metrics.started.add(std::mem::take(&mut counts.started));
        metrics.completed.add(now.completed - told.completed);
        metrics.stopped.add(now.stopped - told.stopped);
        counts.failures.drain(..).for_each(|code| metrics.failures.add(code));
        metrics.output_errors.add(std::mem::take(&mut counts.output_errors));
        metrics.reconnects.add(std::mem::take(&mut counts.reconnects));
        metrics.underruns.add(now.underruns - told.underruns);
        metrics.late_frames.add(now.late_frames - told.late_frames);
        metrics.lost_frames.add(now.lost_frames - told.lost_frames);
        metrics.dropped_frames.add(now.dropped_frames - told.dropped_frames);
        counts.latencies.drain(..).for_each(|time| metrics.first_frame_latency.add(time));
        counts.durations.drain(..).for_each(|time| metrics.duration.add(time));
        metrics.active.change(std::mem::replace(&mut counts.active, active), active);
        metrics.queued.change(std::mem::replace(&mut counts.queued, queued), queued);
    }
}
