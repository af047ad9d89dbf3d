//! Which packet comes after which, and when it was said: RTP's numbers and times without their wrap, over restarts of the sender.

/// RFC 3550 §A.1: what is further ahead or behind belongs to a sender that began anew, if a second one follows it.
const AHEAD: i64 = 3_000;
const BEHIND: i64 = 100;

/// A time that is so much off the clock was set anew. In samples.
const OFF: i64 = 48_000;

/// Where a packet belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// One more than that of the packet before it, also behind a restart.
    pub number: i64,
    /// When it was said, in samples on the listener's clock as if nothing had held it up.
    pub time: i64,
    /// It is the first of a sender, or behind a jump of its clock.
    pub is_fresh: bool,
}

/// What a packet is that has no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unplaced {
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
    /// Which of the last 128 packets came, and which of them were repeated in others: the lowest bit is the highest number.
    seen: u128,
    repeated: u128,
    /// What would follow a packet that was far off.
    expected: Option<u16>,
}

/// All senders, one after the other.
#[derive(Default)]
pub struct Order {
    source: Option<Source>,
    received: u64,
}

impl Order {
    /// The place of a packet that came at `arrival`, where one that nothing held up comes `base` after its time.
    pub fn place(
        &mut self,
        (id, sequence, timestamp): (u32, u16, u32),
        arrival: i64,
        base: i64,
    ) -> Result<Place, Unplaced> {
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
                Err(Unplaced::Stray)
            };
        }
        let number = source.highest + distance;
        if distance <= 0 {
            let bit = 1 << -distance;
            if source.seen & bit != 0 {
                return Err(Unplaced::Duplicate);
            }
            if number < 0 || time > source.time {
                return Err(Unplaced::Stray);
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

    /// A sender's first packet, behind the last of the one before it.
    fn begin(&mut self, (id, sequence, timestamp): (u32, u16, u32), time: i64) -> Place {
        let (highest, time) =
            self.source.as_ref().map_or((0, time), |before| (before.highest + 1, time.max(before.time + 1)));
        let source = Source { id, highest, sequence, timestamp, time, seen: u128::MAX, repeated: 0, expected: None };
        self.source = Some(source);
        self.received += 1;
        Place { number: highest, time, is_fresh: true }
    }

    /// True if the packet of this number came, or what it holds was noted by [`Self::note_repeated`], or it is too old to matter.
    pub fn is_known(&self, number: i64) -> bool {
        let known = |source: &Source| {
            let bit = u32::try_from(source.highest - number).ok().and_then(|bit| 1_u128.checked_shl(bit));
            bit.is_none_or(|bit| (source.seen | source.repeated) & bit != 0)
        };
        number < 0 || self.source.as_ref().is_none_or(known)
    }

    /// What the packet of this number holds has come in another.
    pub fn note_repeated(&mut self, number: i64) {
        if let Some(source) = &mut self.source
            && let Some(bit) = u32::try_from(source.highest - number).ok().and_then(|bit| 1_u128.checked_shl(bit))
        {
            source.repeated |= bit;
        }
    }

    /// How many packets came, each counted once.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// How many have not come so far.
    pub fn lost(&self) -> u64 {
        let expected = self.source.as_ref().map_or(0, |source| (source.highest + 1) as u64);
        expected.saturating_sub(self.received)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: i64 = 960;

    /// The packet of a number, on a sender's clock and count that wrap at once.
    fn packet(number: i64) -> (u32, u16, u32) {
        (1, (65_530 + number) as u16, (u32::MAX - 1_000).wrapping_add((number * FRAME) as u32))
    }

    /// An order that has had these packets, each in time.
    fn order(numbers: impl IntoIterator<Item = i64>) -> Order {
        let mut order = Order::default();
        numbers.into_iter().for_each(|number| assert!(order.place(packet(number), number * FRAME, 0).is_ok()));
        order
    }

    #[test]
    fn numbers_and_times_go_on_where_they_wrap() {
        let mut order = Order::default();
        for number in 0..200_000 {
            let place = Place { number, time: number * FRAME, is_fresh: number == 0 };
            assert_eq!(order.place(packet(number), number * FRAME, 0), Ok(place));
        }
        assert_eq!((order.received(), order.lost()), (200_000, 0));
    }

    #[test]
    fn what_comes_late_has_its_place_once() {
        let mut order = order([0, 1, 4, 5, 9]);
        assert_eq!((order.received(), order.lost()), (5, 5));
        let late = Place { number: 3, time: 3 * FRAME, is_fresh: false };
        assert_eq!(order.place(packet(3), 10 * FRAME, 0), Ok(late));
        assert_eq!(order.place(packet(3), 10 * FRAME, 0), Err(Unplaced::Duplicate));
        assert_eq!(order.place(packet(9), 10 * FRAME, 0), Err(Unplaced::Duplicate));
        assert_eq!((order.received(), order.lost()), (6, 4));
        // From before the first that came.
        assert!(order.place(packet(-1), 10 * FRAME, 0).is_err());
    }

    #[test]
    fn what_was_repeated_is_known() {
        let mut order = order([0, 1, 4]);
        assert_eq!([-1, 0, 1, 2, 3, 4].map(|number| order.is_known(number)), [true, true, true, false, false, true]);
        order.note_repeated(3);
        assert_eq!([2, 3].map(|number| order.is_known(number)), [false, true]);
        // It is not received by that.
        assert_eq!(order.lost(), 2);
        assert_eq!(order.place(packet(3), 5 * FRAME, 0).map(|place| place.number), Ok(3));
    }

    #[test]
    fn another_sender_goes_on_when_it_comes() {
        let mut order = order(0..10);
        let place = order.place((2, 7, 7), 500 * FRAME, 0);
        assert_eq!(place, Ok(Place { number: 10, time: 500 * FRAME, is_fresh: true }));
        assert_eq!(order.place((2, 8, 967), 501 * FRAME, 0).map(|place| place.time), Ok(501 * FRAME));
        assert_eq!(order.lost(), 0);
    }

    #[test]
    fn a_clock_that_is_set_anew_is_believed_and_one_stray_packet_is_not() {
        let mut order = order(0..10);
        let (id, sequence, timestamp) = packet(10);
        // An hour ahead, and then back.
        let ahead = order.place((id, sequence, timestamp.wrapping_add(172_800_000)), 10 * FRAME, 0).unwrap();
        assert_eq!((ahead.time, ahead.is_fresh), (10 * FRAME, true));
        let back = order.place(packet(11), 11 * FRAME, 0).unwrap();
        assert_eq!((back.time, back.is_fresh), (11 * FRAME, true));
        // It stood still while the sender was mute for a minute.
        let mute = order.place(packet(12), 3_012 * FRAME, 0).unwrap();
        assert_eq!((mute.time, mute.is_fresh), (3_012 * FRAME, true));
        assert_eq!(order.place((1, 30_000, 5), 3_013 * FRAME, 0), Err(Unplaced::Stray));
        assert_eq!(order.place(packet(13), 3_013 * FRAME, 0).map(|place| place.number), Ok(13));
        // Two in a row are a sender that began anew.
        assert_eq!(order.place((1, 30_000, 5), 3_014 * FRAME, 0), Err(Unplaced::Stray));
        let anew = order.place((1, 30_001, 965), 3_015 * FRAME, 0).unwrap();
        assert_eq!((anew.number, anew.time, anew.is_fresh), (14, 3_015 * FRAME, true));
    }
}
