//! Metrics over all sessions of the process, whichever thread of JavaScript they belong to. A session reports its counts
//! in small steps (`session/counts.rs`), after the events that they belong to.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use crate::audio::{PER_MS, Samples, to_ms};
use crate::error::Code;

/// The metrics of this process.
pub static METRICS: Metrics = Metrics::new();

/// Upper bounds of the latency from a request to its first sample, in milliseconds: fine around the first frames, for clips and files, and
/// up to what a slow server takes.
pub const LATENCY_BOUNDS: [u32; 15] =
    [5, 10, 20, 40, 60, 100, 150, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000];

/// Upper bounds of the duration of playbacks, in milliseconds: from a chime to the longest that a session allows.
pub const DURATION_BOUNDS: [u32; 15] = [
    100, 250, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 30_000, 60_000, 120_000, 300_000, 600_000, 1_800_000, 3_600_000,
];

/// A count that only ever grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Adds `more` to the count.
    pub fn add(&self, more: u64) {
        // A write would take the cache line from all other threads.
        if more > 0 {
            self.0.fetch_add(more, Ordering::Relaxed);
        }
    }

    /// Returns the count.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A present number: the sum over all sessions.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    const fn new() -> Self {
        Self(AtomicI64::new(0))
    }

    /// Replaces the part of one session, which was `before`, by `now`.
    pub fn change(&self, before: usize, now: usize) {
        if before != now {
            self.0.fetch_add(now as i64 - before as i64, Ordering::Relaxed);
        }
    }

    /// Returns the sum.
    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A histogram of times.
#[derive(Debug)]
pub struct Histogram<const N: usize> {
    bounds: &'static [u32; N],
    buckets: [AtomicU64; N],
    /// Times longer than all bounds.
    beyond: AtomicU64,
    /// The sum of all times, in samples.
    sum: AtomicU64,
}

/// A snapshot of a histogram.
#[derive(Debug, Clone, PartialEq)]
pub struct Distribution {
    /// Upper bounds in milliseconds, each with the number of times up to it: the counts are cumulative.
    pub buckets: Vec<(u32, u64)>,
    /// The number of times.
    pub count: u64,
    /// The sum of all times, in milliseconds.
    pub sum_ms: f64,
}

impl<const N: usize> Histogram<N> {
    const fn new(bounds: &'static [u32; N]) -> Self {
        Self { bounds, buckets: [const { AtomicU64::new(0) }; N], beyond: AtomicU64::new(0), sum: AtomicU64::new(0) }
    }

    /// Counts a time.
    pub fn add(&self, time: Samples) {
        let bucket = self.bounds.iter().position(|bound| time <= Samples::from(*bound) * PER_MS);
        bucket.map_or(&self.beyond, |index| &self.buckets[index]).fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(time, Ordering::Relaxed);
    }

    /// Returns a snapshot.
    pub fn get(&self) -> Distribution {
        let mut count = 0;
        let upto = |(bound, bucket): (&u32, &AtomicU64)| {
            count += bucket.load(Ordering::Relaxed);
            (*bound, count)
        };
        let buckets = self.bounds.iter().zip(&self.buckets).map(upto).collect();
        // Counted from the buckets, so that the two agree however much is counted meanwhile.
        let count = count + self.beyond.load(Ordering::Relaxed);
        Distribution { buckets, count, sum_ms: to_ms(self.sum.load(Ordering::Relaxed)) }
    }
}

/// Failures by their code.
#[derive(Debug)]
pub struct Failures([AtomicU64; Code::ALL.len()]);

impl Failures {
    const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; Code::ALL.len()])
    }

    /// Counts a failure.
    pub fn add(&self, code: Code) {
        self.0[code as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the count of each code, without those that never came.
    pub fn get(&self) -> Vec<(Code, u64)> {
        let counts = Code::ALL.iter().map(|code| (*code, self.0[*code as usize].load(Ordering::Relaxed)));
        counts.filter(|(_, count)| *count > 0).collect()
    }
}

/// The metrics; see index.d.ts for their meaning.
#[derive(Debug)]
#[allow(missing_docs, reason = "index.d.ts has them")]
pub struct Metrics {
    pub requests: Counter,
    pub started: Counter,
    pub completed: Counter,
    pub stopped: Counter,
    pub failures: Failures,
    pub output_errors: Counter,
    pub reconnects: Counter,
    pub underruns: Counter,
    pub late_frames: Counter,
    pub lost_frames: Counter,
    pub dropped_frames: Counter,
    pub panics: Counter,
    pub cache_hits: Counter,
    pub cache_joined: Counter,
    pub cache_revalidated: Counter,
    pub cache_misses: Counter,
    pub active: Gauge,
    pub queued: Gauge,
    pub first_frame_latency: Histogram<15>,
    pub duration: Histogram<15>,
}

impl Metrics {
    /// Makes metrics that have counted nothing.
    pub const fn new() -> Self {
        Self {
            requests: Counter::new(),
            started: Counter::new(),
            completed: Counter::new(),
            stopped: Counter::new(),
            failures: Failures::new(),
            output_errors: Counter::new(),
            reconnects: Counter::new(),
            underruns: Counter::new(),
            late_frames: Counter::new(),
            lost_frames: Counter::new(),
            dropped_frames: Counter::new(),
            panics: Counter::new(),
            cache_hits: Counter::new(),
            cache_joined: Counter::new(),
            cache_revalidated: Counter::new(),
            cache_misses: Counter::new(),
            active: Gauge::new(),
            queued: Gauge::new(),
            first_frame_latency: Histogram::new(&LATENCY_BOUNDS),
            duration: Histogram::new(&DURATION_BOUNDS),
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_cumulative() {
        let histogram = Histogram::new(&LATENCY_BOUNDS);
        [0, 5 * PER_MS, 5 * PER_MS + 1, 20 * PER_MS, 60_001 * PER_MS].into_iter().for_each(|time| histogram.add(time));
        let Distribution { buckets, count, sum_ms } = histogram.get();
        assert_eq!(buckets[..4], [(5, 2), (10, 3), (20, 4), (40, 4)]);
        assert_eq!((buckets[14], count), ((60_000, 4), 5));
        assert_eq!(sum_ms, to_ms(30 * PER_MS + 1) + 60_001.0);
    }

    #[test]
    fn counts_failures_by_code() {
        let failures = Failures::new();
        assert_eq!(failures.get(), []);
        [Code::Decode, Code::TooManyPlaybacks, Code::Decode].into_iter().for_each(|code| failures.add(code));
        assert_eq!(failures.get(), [(Code::TooManyPlaybacks, 1), (Code::Decode, 2)]);
        assert!(Code::ALL.iter().enumerate().all(|(index, code)| *code as usize == index));
    }
}
