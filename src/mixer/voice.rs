//! One playback as the mixer sees it: a feed, a gain, and the envelopes at its edges.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::envelope::{Fall, Rise};
use crate::audio::{EDGE_FADE, Samples};
use crate::source::Feed;

/// Names a playback inside its session; never used twice.
pub type PlaybackId = u64;

/// Why a voice fell silent for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The source had no more; its outcome says whether that was the end or a failure.
    Source,
    /// It was told to stop, and the fade is over.
    Stop,
    /// It reached the longest time a playback may take.
    Limit,
}

/// What a voice is started with.
pub struct Voice {
    pub id: PlaybackId,
    pub track: u32,
    pub feed: Feed,
    /// Linear; 1 leaves every sample as it is, 0 is silence that takes its time.
    pub gain: f32,
    /// The position at which it ends with [`End::Limit`].
    pub limit: Samples,
    /// From when it rises: only a user's fade-in at the start; the first sample of a clip is not ours to soften.
    pub rise: Rise,
    /// Where it is, for other threads to read.
    pub position: Arc<AtomicU64>,
    /// Samples between progress notices; 0 for none.
    pub report_every: Samples,
    pub(super) state: State,
}

/// What changes while it plays.
#[derive(Default)]
pub(super) struct State {
    /// Samples per channel handed on.
    pub played: Samples,
    pub started: bool,
    stop: Option<Fall>,
    /// The feed ran dry: silent from there until it is ready again.
    dry: Option<Fall>,
}

impl Voice {
    pub fn new(id: PlaybackId, track: u32, feed: Feed) -> Self {
        let rise = Rise { from: 0, length: 0 };
        let (position, state) = (Arc::default(), State::default());
        Self { id, track, feed, gain: 1.0, limit: Samples::MAX, rise, position, report_every: 0, state }
    }

    /// Ends it `fade` samples from here. Of two stops the one that ends first holds.
    pub(super) fn stop(&mut self, fade: Samples) {
        let here = self.state.played;
        // Only what would still sound can be faded: a starved or nearly done source ends sooner.
        let sounding = (here + self.feed.level().0 as Samples).min(self.audible_until());
        let end = sounding.min(here + fade);
        if self.state.stop.is_none_or(|stop| end < stop.end) {
            let from = self.state.stop.map_or(1.0, |stop| stop.level(here));
            self.state.stop = Some(Fall { end, length: end - here, from });
        }
    }

    /// Looks at the next `window` samples; says after how many it ends, and why, if that is known to be among them.
    pub(super) fn prepare(&mut self, window: usize, underruns: &mut u64) -> Option<(usize, End)> {
        let here = self.state.played;
        let (waiting, ended) = self.feed.level();
        if self.state.dry.is_some_and(|dry| dry.end <= here) && self.feed.is_ready() {
            self.state.dry = None;
            self.rise = Rise { from: here, length: EDGE_FADE as Samples };
        }
        let source = if ended { waiting as Samples } else { Samples::MAX };
        let stop = self.state.stop.map_or(Samples::MAX, |stop| stop.end - here);
        let left = source.min(stop).min(self.limit - here);
        // Dry before the window is full: it fades over what is left rather than breaking off in some later frame.
        if !ended && (waiting as Samples) < left.min(window as Samples) && self.state.dry.is_none() {
            self.state.dry = Some(Fall::edge(here, here + waiting as Samples));
            *underruns += 1;
        }
        let why = match left {
            _ if left == stop => End::Stop,
            _ if left == source => End::Source,
            _ => End::Limit,
        };
        (left <= window as Samples).then_some((left as usize, why))
    }

    /// Adds its next samples onto `window` (interleaved, `channels` wide) and moves on by `frames` of them.
    pub(super) fn render(&mut self, window: &mut [f32], channels: usize, frames: usize) {
        let here = self.state.played;
        let limit = Fall::edge(self.limit.saturating_sub(EDGE_FADE as Samples), self.limit);
        let end = self.audible_until();
        let room = (window.len() / channels).min((end - here) as usize);
        let (rise, stop, dry, gain) = (self.rise, self.state.stop, self.state.dry, self.gain);
        let peek = self.feed.peek(room);
        let (sounding, (first, second)) = (peek.frames(), peek.slices());
        let last = here + sounding as Samples;
        let flat = rise.level(here) == 1.0
            && limit.level(last) == 1.0
            && [stop, dry].iter().flatten().all(|fall| fall.level(last) == 1.0);
        let samples = first.iter().chain(second);
        if flat {
            window.iter_mut().zip(samples).for_each(|(sum, sample)| *sum += sample * gain);
        } else {
            for (index, (sum, sample)) in window.iter_mut().zip(samples).enumerate() {
                let position = here + (index / channels) as Samples;
                let falls = [stop, dry].iter().flatten().fold(1.0, |level, fall| level * fall.level(position));
                *sum += sample * gain * rise.level(position) * limit.level(position) * falls;
            }
        }
        let taken = sounding.min(frames);
        peek.take(taken);
        self.state.played += taken as Samples;
        self.position.store(self.state.played, Ordering::Relaxed);
    }

    /// Whether `frames` samples, or what is left of it, wait: where not, a clock that can wait should.
    pub(super) fn is_fed(&self, frames: usize) -> bool {
        let (waiting, ended) = self.feed.level();
        let stop = self.state.stop.map_or(Samples::MAX, |stop| stop.end);
        let left = stop.min(self.limit) - self.state.played;
        ended || waiting as Samples >= left.min(frames as Samples)
    }

    fn audible_until(&self) -> Samples {
        let stop = self.state.stop.map_or(Samples::MAX, |stop| stop.end);
        let dry = self.state.dry.map_or(Samples::MAX, |dry| dry.end);
        stop.min(dry).min(self.limit).max(self.state.played)
    }
}
