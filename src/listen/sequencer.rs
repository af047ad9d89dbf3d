//! The order and times of packets: RTP sequence numbers and timestamps without wraps, across restarts of the sender.

/// The limits of a jump in sequence numbers (RFC 3550 §A.1). A packet beyond them belongs to a restarted sender, if a second one follows
/// it.
const AHEAD: i64 = 3_000;
const BEHIND: i64 = 100;

/// The deviation in samples from which a timestamp counts as a reset of the sender's clock.
const OFF: i64 = 48_000;

/// The place of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The number, one more than that of the packet before it, also after a restart.
    pub number: i64,
    /// The time in samples on the listener's clock, as if nothing had held the packet up.
    pub time: i64,
    /// True for the first packet of a sender, or after a jump of its clock.
    pub is_fresh: bool,
}

/// The kind of a packet that has no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misplaced {
    Duplicate,
    Stray,
}

struct Source {
    id: u32,
    /// The highest number, with and without its wrap, and the time of that packet.
    highest: i64,
    sequence: u16,
    timestamp: u32,
    time: i64,
    /// Bit sets of the last 128 packets: those received, and those repeated in others. The lowest bit is the highest number.
    seen: u128,
    repeated: u128,
    /// The number that would follow a packet that was far off.
    expected: Option<u16>,
}

/// The sequence of all senders, one after the other.
#[derive(Default)]
pub struct Sequencer {
    source: Option<Source>,
    received: u64,
}

impl Sequencer {
    /// Returns the place of a packet that came at `arrival`, where a packet that was not held up comes `base` after its time.
    pub fn place(
        &mut self,
        (id, sequence, timestamp): (u32, u16, u32),
        arrival: i64,
        base: i64,
    ) -> Result<Place, Misplaced> {
        let Some(source) = self.source.as_mut().filter(|source| source.id == id) else {
            return Ok(self.begin((id, sequence, timestamp), arrival - base));
        };
        let distance = i64::from(sequence.wrapping_sub(source.sequence) as i16);
        let time = source.time + i64::from(timestamp.wrapping_sub(source.timestamp) as i32);
        if !(-BEHIND..=AHEAD).contains(&distance) {
            let follows = source.expected.replace(sequence.wrapping_add(1)) == Some(sequence);
            return if follows {
                Ok(self.begin((id, sequence, timestamp), arrival - base))
            } else {
                Err(Misplaced::Stray)
            };
        }
        let number = source.highest + distance;
        if distance <= 0 {
            let bit = 1 << -distance;
            if source.seen & bit != 0 {
                return Err(Misplaced::Duplicate);
            }
            if number < 0 || time > source.time {
                return Err(Misplaced::Stray);
            }
            source.seen |= bit;
            self.received += 1;
            return Ok(Place { number, time, is_fresh: false });
        }
        if time < source.time || (arrival - time - base).abs() > OFF {
            return Ok(self.begin((id, sequence, timestamp), arrival - base));
        }
        source.seen = source.seen.checked_shl(distance as u32).unwrap_or_default() | 1;
        source.repeated = source.repeated.checked_shl(distance as u32).unwrap_or_default();
        (source.highest, source.sequence, source.timestamp, source.time) = (number, sequence, timestamp, time);
        source.expected = None;
        self.received += 1;
        Ok(Place { number, time, is_fresh: false })
    }

    /// Places a sender's first packet, after the last of the sender before it.
    fn begin(&mut self, (id, sequence, timestamp): (u32, u16, u32), time: i64) -> Place {
        let (highest, time) =
            self.source.as_ref().map_or((0, time), |before| (before.highest + 1, time.max(before.time + 1)));
        let source = Source { id, highest, sequence, timestamp, time, seen: u128::MAX, repeated: 0, expected: None };
        self.source = Some(source);
        self.received += 1;
        Place { number: highest, time, is_fresh: true }
    }

    /// Returns true if the packet with this number was received, was noted by [`Self::note_repeated`], or is too old to matter.
    pub fn is_known(&self, number: i64) -> bool {
        let known = |source: &Source| {
            let bit = u32::try_from(source.highest - number).ok().and_then(|bit| 1_u128.checked_shl(bit));
            bit.is_none_or(|bit| (source.seen | source.repeated) & bit != 0)
        };
        number < 0 || self.source.as_ref().is_none_or(known)
    }

    /// Notes that the content of the packet with this number was received in another.
    pub fn note_repeated(&mut self, number: i64) {
        if let Some(source) = &mut self.source
            && let Some(bit) = u32::try_from(source.highest - number).ok().and_then(|bit| 1_u128.checked_shl(bit))
        {
            source.repeated |= bit;
        }
    }

    /// Returns the number of received packets, each counted once.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Returns the number of packets missing so far.
    pub fn lost(&self) -> u64 {
        let expected = self.source.as_ref().map_or(0, |source| (source.highest + 1) as u64);
        expected.saturating_sub(self.received)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: i64 = 960;

    /// Returns a packet's ids, on a sender's clock and count that wrap soon.
    fn packet(number: i64) -> (u32, u16, u32) {
        (1, (65_530 + number) as u16, (u32::MAX - 1_000).wrapping_add((number * FRAME) as u32))
    }

    /// Returns a sequencer that has received these packets, each in time.
    fn sequencer(numbers: impl IntoIterator<Item = i64>) -> Sequencer {
        let mut sequencer = Sequencer::default();
        numbers.into_iter().for_each(|number| assert!(sequencer.place(packet(number), number * FRAME, 0).is_ok()));
        sequencer
    }

    #[test]
    fn numbers_and_times_continue_over_wraps() {
        let mut sequencer = Sequencer::default();
        for number in 0..200_000 {
            let place = Place { number, time: number * FRAME, is_fresh: number == 0 };
            assert_eq!(sequencer.place(packet(number), number * FRAME, 0), Ok(place));
        }
        assert_eq!((sequencer.received(), sequencer.lost()), (200_000, 0));
    }

    #[test]
    fn late_packet_is_placed_once() {
        let mut sequencer = sequencer([0, 1, 4, 5, 9]);
        assert_eq!((sequencer.received(), sequencer.lost()), (5, 5));
        let late = Place { number: 3, time: 3 * FRAME, is_fresh: false };
        assert_eq!(sequencer.place(packet(3), 10 * FRAME, 0), Ok(late));
        assert_eq!(sequencer.place(packet(3), 10 * FRAME, 0), Err(Misplaced::Duplicate));
        assert_eq!(sequencer.place(packet(9), 10 * FRAME, 0), Err(Misplaced::Duplicate));
        assert_eq!((sequencer.received(), sequencer.lost()), (6, 4));
        // From before the first packet.
        assert!(sequencer.place(packet(-1), 10 * FRAME, 0).is_err());
    }

    #[test]
    fn knows_repeated_packets() {
        let mut sequencer = sequencer([0, 1, 4]);
        assert_eq!(
            [-1, 0, 1, 2, 3, 4].map(|number| sequencer.is_known(number)),
            [true, true, true, false, false, true]
        );
        sequencer.note_repeated(3);
        assert_eq!([2, 3].map(|number| sequencer.is_known(number)), [false, true]);
        // That does not count as received.
        assert_eq!(sequencer.lost(), 2);
        assert_eq!(sequencer.place(packet(3), 5 * FRAME, 0).map(|place| place.number), Ok(3));
    }

    #[test]
    fn new_sender_continues_the_sequence() {
        let mut sequencer = sequencer(0..10);
        let place = sequencer.place((2, 7, 7), 500 * FRAME, 0);
        assert_eq!(place, Ok(Place { number: 10, time: 500 * FRAME, is_fresh: true }));
        assert_eq!(sequencer.place((2, 8, 967), 501 * FRAME, 0).map(|place| place.time), Ok(501 * FRAME));
        assert_eq!(sequencer.lost(), 0);
    }

    #[test]
    fn accepts_clock_reset_but_no_stray() {
        let mut sequencer = sequencer(0..10);
        let (id, sequence, timestamp) = packet(10);
        // An hour ahead, and then back.
        let ahead = sequencer.place((id, sequence, timestamp.wrapping_add(172_800_000)), 10 * FRAME, 0).unwrap();
        assert_eq!((ahead.time, ahead.is_fresh), (10 * FRAME, true));
        let back = sequencer.place(packet(11), 11 * FRAME, 0).unwrap();
        assert_eq!((back.time, back.is_fresh), (11 * FRAME, true));
        // The clock stood still while the sender was muted for a minute.
        let mute = sequencer.place(packet(12), 3_012 * FRAME, 0).unwrap();
        assert_eq!((mute.time, mute.is_fresh), (3_012 * FRAME, true));
        assert_eq!(sequencer.place((1, 30_000, 5), 3_013 * FRAME, 0), Err(Misplaced::Stray));
        assert_eq!(sequencer.place(packet(13), 3_013 * FRAME, 0).map(|place| place.number), Ok(13));
        // Two in a row are a restarted sender.
        assert_eq!(sequencer.place((1, 30_000, 5), 3_014 * FRAME, 0), Err(Misplaced::Stray));
        let anew = sequencer.place((1, 30_001, 965), 3_015 * FRAME, 0).unwrap();
        assert_eq!((anew.number, anew.time, anew.is_fresh), (14, 3_015 * FRAME, true));
    }
}
