//! How long sound is kept back: as long as packets are late, and not longer.
//!
//! A packet's offset is when it came less the time it bears. The least offset of the last seconds is that of a packet that nothing
//! held up; how much more another's is, is its lateness. Clocks that drift apart move the least offset along.

use std::collections::VecDeque;

use crate::audio::PER_MS;

pub(super) const MS: i64 = PER_MS as i64;

/// The least offset is that of so many periods.
const PERIODS: usize = 8;
const PERIOD: i64 = 1_000 * MS;

/// Of each such block the latest packet counts, so that one halt of the network is one halt and not fifty packets.
const BLOCK: i64 = 100 * MS;

/// The steps of lateness, and how many there are. The last holds all that is later.
const STEP: i64 = 10 * MS;
const STEPS: usize = 40;

/// The share of blocks whose latest packet has to be in time.
const IN_TIME: f32 = 0.97;

/// So many blocks are remembered, ten seconds' worth: the older ones fade.
const MEMORY: f32 = 100.0;

/// A frame is asked for whole, and its last sample is needed with its first.
const FRAME: i64 = crate::audio::FRAME as i64;

/// How late the caller may be, and by how much the delay may swing.
const MARGIN: i64 = 5 * MS;

/// All times in samples.
pub struct Delay {
    /// The least offset of each period that had a packet: which period, and the offset.
    least: VecDeque<(i64, i64)>,
    /// How much of the last blocks' latest packets was so late.
    shares: [f32; STEPS],
    blocks: f32,
    /// Which block it is now, and how late its latest packet was.
    block: Option<(i64, i64)>,
    target: i64,
    /// RFC 3550 §6.4.1: jitter, and the last packet's offset.
    jitter: f64,
    last: Option<i64>,
}

impl Delay {
    pub fn new() -> Self {
        let target = FRAME + STEP + MARGIN;
        let shares = [0.0; STEPS];
        Self { least: VecDeque::new(), shares, blocks: 0.0, block: None, target, jitter: 0.0, last: None }
    }

    /// A packet has come that bears this time.
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

    /// What bears this time has come in another way: repeated in a packet behind it.
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

    /// The sender's clock was set anew, or another sends: offsets are other ones, and what is known of the network stays.
    pub fn jumped(&mut self) {
        self.last = None;
    }

    /// The least offset.
    pub fn base(&self) -> i64 {
        self.least.iter().map(|(_, offset)| *offset).min().unwrap_or_default()
    }

    /// How much later sound is to be heard than a packet that nothing held up had it: 35 to 425 ms.
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

    /// So many seconds of packets, each as late as `late` says of its number, on a clock that is `drift` too fast.
    fn after(delay: &mut Delay, from: i64, seconds: i64, drift: f64, late: impl Fn(i64) -> i64) {
        for number in from * 50..(from + seconds) * 50 {
            let sent = (number * FRAME) as f64 * (1.0 - drift);
            delay.arrived(number * FRAME, sent as i64 + late(number) * MS);
        }
    }

    #[test]
    fn the_delay_is_that_of_the_latest_packets_and_comes_down_again() {
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
    fn one_halt_is_borne_and_many_are_not() {
        let mut delay = Delay::new();
        // Packets of 400 ms come all at once, the first as much too late.
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
