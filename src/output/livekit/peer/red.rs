//! Redundant audio (RFC 2198): each packet repeats the one or two before it, so that as many losses in a row are inaudible.

use std::sync::Arc;

use super::Pt;

/// The largest payload that fits into one datagram on every path, in bytes. Repeated packets are left out beyond it.
const MAX_PAYLOAD: usize = 1_120;

/// The limits of a block header's fields: a block's age in samples and its length in bytes.
const MAX_AGE: u32 = (1 << 14) - 1;
const MAX_LENGTH: usize = (1 << 10) - 1;

/// The bit of a header that another block follows.
const FOLLOWED: u8 = 0x80;

/// The header lengths of a repeated block and of the last one.
const REPEATED_HEADER: usize = 4;
const LAST_HEADER: usize = 1;

/// The most packets that one repeats.
pub const MAX_DEPTH: usize = 2;

/// The packets to repeat on a media line.
pub struct Red {
    /// The payload type of redundant audio.
    pub pt: Pt,
    /// The previous packets and their times, the last one first.
    before: [Option<(u32, Arc<[u8]>)>; MAX_DEPTH],
}

impl Red {
    pub fn new(pt: Pt) -> Self {
        Self { pt, before: Default::default() }
    }

    /// Wraps an Opus packet, whose payload type is `opus`, with up to `depth` packets before it. After a pause (`first`) there is nothing
    /// to repeat.
    pub fn wrap(&mut self, opus: Pt, time: u32, packet: &Arc<[u8]>, first: bool, depth: usize) -> Arc<[u8]> {
        if first {
            self.before = Default::default();
        }
        let mut room = MAX_PAYLOAD.saturating_sub(packet.len() + LAST_HEADER);
        let fits = |(at, old): &(u32, Arc<[u8]>)| {
            let age = time.wrapping_sub(*at);
            let is_possible =
                (1..=MAX_AGE).contains(&age) && old.len() <= MAX_LENGTH && old.len() + REPEATED_HEADER <= room;
            room = room.saturating_sub(old.len() + REPEATED_HEADER);
            is_possible.then(|| (age, old.clone()))
        };
        let mut repeated: Vec<_> = self.before.iter().take(depth).flatten().map_while(fits).collect();
        repeated.reverse();

        let opus = *opus & !FOLLOWED;
        let length = repeated.iter().map(|(_, old)| REPEATED_HEADER + old.len()).sum::<usize>();
        let mut payload = Vec::with_capacity(length + LAST_HEADER + packet.len());
        for (age, old) in &repeated {
            let [.., first, second, third] = (age << 10 | old.len() as u32).to_be_bytes();
            payload.extend([opus | FOLLOWED, first, second, third]);
        }
        payload.push(opus);
        repeated.iter().for_each(|(_, old)| payload.extend_from_slice(old));
        payload.extend_from_slice(packet);

        self.before.rotate_right(1);
        self.before[0] = Some((time, packet.clone()));
        payload.into()
    }
}

#[cfg(test)]
mod tests {
    use str0m::rtp::RedDecoder;

    use super::*;

    const OPUS: u8 = 111;
    const FRAME: u32 = 960;

    /// Returns the ages and contents of a payload's blocks, read by independent code.
    fn blocks(payload: &[u8]) -> Vec<(u32, Vec<u8>)> {
        let blocks = RedDecoder::decode(payload).unwrap();
        assert!(blocks.iter().all(|block| block.pt == OPUS), "{blocks:?}");
        assert!(blocks.iter().rev().skip(1).all(|block| !block.is_primary) && blocks.last().unwrap().is_primary);
        blocks.into_iter().map(|block| (block.timestamp_offset, block.payload.to_vec())).collect()
    }

    /// Wraps packets `(time, length, first)`, each filled with its index. Returns their blocks.
    fn wrapped(packets: &[(u32, usize, bool)]) -> Vec<Vec<(u32, Vec<u8>)>> {
        wrapped_to(1, packets)
    }

    /// Wraps packets as above, with a given depth.
    fn wrapped_to(depth: usize, packets: &[(u32, usize, bool)]) -> Vec<Vec<(u32, Vec<u8>)>> {
        let mut red = Red::new(63.into());
        let one = |(index, (time, length, first)): (usize, &(u32, usize, bool))| {
            let packet = vec![index as u8; *length].into();
            blocks(&red.wrap(OPUS.into(), *time, &packet, *first, depth))
        };
        packets.iter().enumerate().map(one).collect()
    }

    #[test]
    fn each_packet_repeats_the_one_before_it() {
        assert_eq!(
            wrapped(&[(0, 3, true), (FRAME, 160, false), (2 * FRAME, 0, false), (3 * FRAME, 1, false)]),
            [
                vec![(0, vec![0; 3])],
                vec![(FRAME, vec![0; 3]), (0, vec![1; 160])],
                vec![(FRAME, vec![1; 160]), (0, vec![])],
                vec![(FRAME, vec![]), (0, vec![3])],
            ]
        );
    }

    #[test]
    fn repeats_two_consecutive_packets_that_fit() {
        let lengths = |packets: &[(u32, usize, bool)]| -> Vec<Vec<(u32, usize)>> {
            let blocks = wrapped_to(2, packets);
            blocks.iter().map(|blocks| blocks.iter().map(|(age, data)| (*age, data.len())).collect()).collect()
        };
        assert_eq!(
            lengths(&[(0, 3, true), (FRAME, 4, false), (2 * FRAME, 5, false), (3 * FRAME, 6, false)])[1..],
            [
                vec![(FRAME, 3), (0, 4)],
                vec![(2 * FRAME, 3), (FRAME, 4), (0, 5)],
                vec![(2 * FRAME, 4), (FRAME, 5), (0, 6)]
            ]
        );
        let behind_a_pause = lengths(&[(0, 3, true), (FRAME, 4, false), (9 * FRAME, 5, true), (10 * FRAME, 6, false)]);
        assert_eq!(behind_a_pause[2..], [vec![(0, 5)], vec![(FRAME, 5), (0, 6)]]);
        // The later one is preferred where there is room for only one, and none is repeated beyond one that is left out.
        assert_eq!(
            lengths(&[(0, 600, true), (FRAME, 500, false), (2 * FRAME, 300, false)])[2],
            [(FRAME, 500), (0, 300)]
        );
        assert_eq!(lengths(&[(0, 10, true), (FRAME, 1_024, false), (2 * FRAME, 9, false)])[2], [(0, 9)]);
        // To the byte: 1,120 less 1 + 300 and twice 4.
        assert_eq!(lengths(&[(0, 311, true), (FRAME, 500, false), (2 * FRAME, 300, false)])[2].len(), 3);
        assert_eq!(lengths(&[(0, 312, true), (FRAME, 500, false), (2 * FRAME, 300, false)])[2].len(), 2);
    }

    #[test]
    fn time_goes_on_where_it_wraps() {
        let blocks = wrapped(&[(u32::MAX - 99, 5, true), (860, 6, false)]);
        assert_eq!(blocks[1], [(FRAME, vec![0; 5]), (0, vec![1; 6])]);
    }

    #[test]
    fn nothing_is_repeated_behind_a_pause() {
        let repeats = |first, second, is_first| wrapped(&[(first, 3, true), (second, 3, is_first)])[1].len() == 2;
        assert!(!repeats(0, FRAME, true));
        assert!(repeats(0, 16_383, false));
        assert!(!repeats(0, 16_384, false)); // more than the field can say
        assert!(!repeats(FRAME, FRAME, false)); // none that is older
        assert!(!repeats(2 * FRAME, FRAME, false));
    }

    #[test]
    fn omits_packets_that_do_not_fit() {
        let blocks = wrapped(&[
            (0, 1_023, true),
            (FRAME, 92, false),
            (2 * FRAME, 1_024, false), // 92 bytes of the last would be one too many
            (3 * FRAME, 3, false),     // 1,024 are more than the field can say
            (4 * FRAME, 1_275, false), // the longest that Opus makes
            (5 * FRAME, 3, false),
            (6 * FRAME, 3, false),
        ]);
        assert_eq!(blocks.iter().map(Vec::len).collect::<Vec<_>>(), [1, 2, 1, 1, 1, 1, 2]);
        assert_eq!(blocks[4], [(0, vec![4; 1_275])]);
    }

    #[test]
    fn equal_packets_give_equal_bytes() {
        let packets: Vec<Arc<[u8]>> = (0..5).map(|index| vec![index; 100].into()).collect();
        let payloads = [0, 77_777].map(|start: u32| {
            let mut red = Red::new(63.into());
            let wrap = |(n, packet)| red.wrap(OPUS.into(), start + n as u32 * FRAME, packet, n == 0, 2);
            packets.iter().enumerate().map(wrap).collect::<Vec<_>>()
        });
        assert_eq!(payloads[0], payloads[1]);
    }
}
