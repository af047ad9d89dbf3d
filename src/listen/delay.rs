//! The playout delay: as long as packets are late, and not longer.
//!
//! A packet's offset is its arrival less its own time. The least offset of the last seconds is that of a packet that nothing held up; the
//! excess over it is a packet's lateness. The least offset follows clocks that drift apart.

use std::collections::VecDeque;

use crate::audio::PER_MS;

pub(super) const MS: i64 = PER_MS as i64;

/// The number of periods over which the least offset is taken.
const PERIODS: usize = 8;
const PERIOD: i64 = 1_000 * MS;

/// The block of which only the latest packet counts, so that one halt of the network is one halt and not fifty late packets.
const BLOCK: i64 = 100 * MS;

/// The step and number of lateness classes. The last one holds everything later.
const STEP: i64 = 10 * MS;
const STEPS: usize = 40;

/// The share of blocks whose latest packet has to be in time.
const IN_TIME: f32 = 0.97;

/// The number of remembered blocks, ten seconds' worth: older ones fade out.
const MEMORY: f32 = 100.0;

/// The length of a frame, which is requested whole: its last sample is needed with its first.
const FRAME: i64 = crate::audio::FRAME as i64;

/// The margin for a late caller and for swings of the delay.
const MARGIN: i64 = 5 * MS;

/// The estimated delay. All times are in samples.
pub struct Delay {
    /// The least offset of each period that had a packet, with the period's number.
    least: VecDeque<(i64, i64)>,
    /// The shares of the last blocks' latest packets by lateness.
    shares: [f32; STEPS],
    blocks: f32,
    /// The number of the current block, and the lateness of its latest packet.
    block: Option<(i64, i64)>,
    target: i64,
    /// The jitter of RFC 3550 §6.4.1, and the last packet's offset.
    jitter: f64,
    last: Option<i64>,
}

impl Delay {
    pub fn new() -> Self {
        Self {
            least: VecDeque::new(),
            shares: [0.0; STEPS],
            blocks: 0.0,
            block: None,
            target: FRAME + STEP + MARGIN,
            jitter: 0.0,
            last: None,
        }
    }

    /// Handles the arrival of a packet with this time.
    pub fn arrived(&mut self, time: i64, arrival: i64) {
        let (offset, period) = (arrival - time, arrival.div_euclid(PERIOD));
        match self.least.back_mut() {
            Some((last, least)) if *last == period => *least = offset.min(*least),
            _ => self.least.push_back((period, offset)),
        }
        while self.least.front().is_some_and(|(first, _)| period - first >= PERIODS as i64) {
            self.least.pop_front();
        }
        if let Some(last) = self.last.replace(offset) {
            self.jitter += ((offset - last).abs() as f64 - self.jitter) / 16.0;
        }
        self.came_for(time, arrival);
    }

    /// Handles that the sound of this time arrived as a copy in a later packet.
    pub fn came_for(&mut self, time: i64, arrival: i64) {
        let (late, block) = (arrival - time - self.base(), arrival.div_euclid(BLOCK));
        match &mut self.block {
            Some((last, latest)) if *last == block => *latest = late.max(*latest),
            _ => {
                if let Some((_, latest)) = self.block.replace((block, late)) {
                    self.remember(latest);
                }
            }
        }
    }

    fn remember(&mut self, late: i64) {
        self.blocks = (self.blocks + 1.0).min(MEMORY);
        let weight = 1.0 / self.blocks;
        self.shares.iter_mut().for_each(|share| *share *= 1.0 - weight);
        self.shares[usize::try_from(late / STEP).unwrap_or_default().min(STEPS - 1)] += weight;
        let mut sum = 0.0;
        let in_time = self.shares.iter().take_while(|share| {
            sum += **share;
            sum < IN_TIME
        });
        self.target = FRAME + (in_time.count() as i64 + 1).min(STEPS as i64) * STEP + MARGIN;
    }

    /// Handles that the sender's clock was reset or another sender began: its offsets differ, but the network's lateness stays.
    pub fn jumped(&mut self) {
        self.last = None;
    }

    /// Returns the least offset.
    pub fn base(&self) -> i64 {
        self.least.iter().map(|(_, offset)| *offset).min().unwrap_or_default()
    }

    /// Returns the target delay relative to a packet that nothing held up: 35 to 425 ms.
    pub fn target(&self) -> i64 {
        self.target
    }

    pub fn jitter(&self) -> f64 {
        self.jitter
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds seconds of packets, each as late as `late` returns for its number, on a clock that is `drift` too fast.
    fn after(delay: &mut Delay, from: i64, seconds: i64, drift: f64, late: impl Fn(i64) -> i64) {
        for number in from * 50..(from + seconds) * 50 {
            let sent = (number * FRAME) as f64 * (1.0 - drift);
            delay.arrived(number * FRAME, sent as i64 + late(number) * MS);
        }
    }

    #[test]
    fn delay_follows_latest_packets() {
        let mut delay = Delay::new();
        assert_eq!(delay.target(), 35 * MS);
        after(&mut delay, 0, 10, 0.0, |_| 0);
        assert_eq!(delay.target(), 35 * MS);
        after(&mut delay, 10, 10, 0.0, |number| number * 7 % 80);
        assert_eq!(delay.target(), 105 * MS);
        after(&mut delay, 20, 60, 0.0, |_| 0);
        assert_eq!(delay.target(), 35 * MS);
    }

    #[test]
    fn tolerates_one_halt_but_not_many() {
        let mut delay = Delay::new();
        // Packets of 400 ms arrive all at once, the first one 400 ms late.
        let halt = |every: i64| move |number: i64| (400 - number % every * 20).max(0);
        after(&mut delay, 0, 20, 0.0, |_| 0);
        after(&mut delay, 20, 20, 0.0, |number| if number == 1_000 { 400 } else { 0 });
        assert_eq!(delay.target(), 35 * MS);
        after(&mut delay, 40, 20, 0.0, halt(100));
        assert_eq!(delay.target(), 425 * MS);
    }

    #[test]
    fn clocks_that_drift_are_not_late() {
        for drift in [-500e-6, 500e-6] {
            let mut delay = Delay::new();
            after(&mut delay, 0, 3_600, drift, |_| 0);
            assert_eq!(delay.target(), 35 * MS);
            let now = (3_600.0 * 48_000.0 * drift) as i64;
            assert!((delay.base() + now).abs() < 5 * MS, "{} {now}", delay.base());
            assert!(delay.least.len() <= PERIODS);
        }
    }
}
