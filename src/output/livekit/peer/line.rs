//! A media line that sends: its sequence numbers and redundancy.

use std::time::{Duration, Instant};

use str0m::Rtc;
use str0m::rtp::{ExtensionValues, RtpWrite, SeqNo, Ssrc};

use super::red::{MAX_DEPTH, Red};
use super::{Mid, Pt};
use crate::output::livekit::track::Packet;

pub struct Line {
    pub mid: Mid,
    /// The sender's SSRC in str0m.
    sender: Ssrc,
    /// The next sequence number. The first one is random, and low enough that no receiver takes it for one after a wrap.
    next: SeqNo,
    /// Redundant audio, if the server has agreed to it.
    red: Option<Red>,
    /// The number of earlier packets that each packet repeats.
    depth: usize,
}

/// The fraction of lost packets from which two losses in a row are frequent: each packet then repeats the two before it.
const LOSSY: f32 = 0.03;

impl Line {
    /// Creates an agreed line. `red` is the payload type of redundant audio, if it is used. Returns None if there is no such line.
    pub fn new(rtc: &mut Rtc, mid: Mid, red: Option<Pt>) -> Option<Self> {
        let mut api = rtc.direct_api();
        let stream = api.stream_tx_by_mid(mid, None)?;
        // Nothing is retransmitted, because it would arrive too late.
        stream.set_rtx_cache(0, Duration::ZERO, None);
        Some(Self { mid, sender: stream.ssrc(), next: SeqNo::default(), red: red.map(Red::new), depth: 1 })
    }

    /// Sets the fraction of packets that the receiver reports as lost.
    pub fn set_loss(&mut self, loss: f32) {
        self.depth = if loss < LOSSY { 1 } else { MAX_DEPTH };
    }

    /// Passes a packet to str0m, which turns it into a datagram when it is next given the time. `opus` is the payload type of Opus; the
    /// packet's timestamp is `time`, at the instant `at`.
    pub fn write(&mut self, rtc: &mut Rtc, opus: Pt, (time, at): (u32, Instant), packet: &Packet) {
        let mut api = rtc.direct_api();
        let Some(stream) = api.stream_tx(&self.sender) else { return };
        let number = self.next;
        self.next = (*number + 1).into();
        let (pt, payload) = match &mut self.red {
            Some(red) => (red.pt, red.wrap(opus, time, &packet.data, packet.first, self.depth)),
            None => (opus, packet.data.clone()),
        };
        let (audio_level, voice_activity) = (Some(packet.level), Some(packet.is_audible()));
        let extensions = ExtensionValues { audio_level, voice_activity, ..ExtensionValues::default() };
        stream.write_rtp(RtpWrite::new(pt, number, time, at, payload).marker(packet.first).ext_vals(extensions));
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use str0m::media::{Direction, MediaKind};
    use str0m::net::{Protocol, Receive};
    use str0m::rtp::{RedDecoder, RtpPacket};
    use str0m::{Candidate, Event, Input, Output, RtcConfig};

    use super::*;

    const FRAME: u32 = 960;
    const OPUS: u8 = 111;

    /// A sender and a receiver without a network between them, on a simulated clock.
    struct Pair {
        sides: [Rtc; 2],
        mid: Mid,
        now: Instant,
        heard: Vec<RtpPacket>,
    }

    impl Pair {
        fn connected(red: bool) -> Self {
            let now = Instant::now();
            let mut sides = [1, 2].map(|port| {
                let mut rtc = RtcConfig::new().clear_codecs().enable_opus(true, red).set_rtp_mode(true).build(now);
                let address = SocketAddr::from(([127, 0, 0, 1], port));
                rtc.add_local_candidate(Candidate::host(address, "udp").unwrap());
                rtc
            });
            let mut change = sides[0].sdp_api();
            let mid = change.add_media(MediaKind::Audio, Direction::SendOnly, None, None, None);
            let (offer, pending) = change.apply().unwrap();
            let answer = sides[1].sdp_api().accept_offer(offer).unwrap();
            sides[0].sdp_api().accept_answer(pending, answer).unwrap();
            let mut pair = Self { sides, mid, now, heard: Vec::new() };
            for _ in 0..500 {
                pair.pass(Duration::from_millis(10));
                if pair.sides.iter().all(Rtc::is_connected) {
                    return pair;
                }
            }
            panic!("they do not find each other");
        }

        /// Advances the clock, while everything sent arrives.
        fn pass(&mut self, time: Duration) {
            self.now += time;
            self.sides.iter_mut().for_each(|rtc| rtc.handle_input(Input::Timeout(self.now)).unwrap());
            loop {
                let mut sent = Vec::new();
                for (side, rtc) in self.sides.iter_mut().enumerate() {
                    loop {
                        match rtc.poll_output().unwrap() {
                            Output::Timeout(_) => break,
                            Output::Transmit(transmit) => sent.push((1 - side, transmit)),
                            Output::Event(Event::RtpPacket(packet)) => self.heard.push(packet),
                            Output::Event(_) => {}
                        }
                    }
                }
                if sent.is_empty() {
                    return;
                }
                for (to, transmit) in sent {
                    let (from, at) = (transmit.source, transmit.destination);
                    let receive = Receive::new(Protocol::Udp, from, at, &transmit.contents).unwrap();
                    self.sides[to].handle_input(Input::Receive(self.now, receive)).unwrap();
                }
            }
        }

        fn line(&mut self, red: Option<Pt>) -> Line {
            Line::new(&mut self.sides[0], self.mid, red).unwrap()
        }

        /// Sends a packet `frames` after the first one's time.
        fn send(&mut self, line: &mut Line, frames: u32, packet: &Packet) {
            // It wraps after the second packet.
            let time = (u32::MAX - FRAME).wrapping_add(frames * FRAME);
            line.write(&mut self.sides[0], OPUS.into(), (time, self.now), packet);
            self.pass(Duration::from_millis(20));
        }
    }

    fn packet(byte: u8, first: bool) -> Packet {
        Packet { data: vec![byte; 80].into(), level: -30, first }
    }

    #[test]
    fn packets_carry_number_time_and_loudness() {
        let mut pair = Pair::connected(false);
        let mut line = pair.line(None);
        // Close to where the number wraps, as after 22 minutes.
        line.next = 65_534.into();
        for n in 0..5 {
            pair.send(&mut line, u32::from(n), &packet(n, n == 0));
        }
        // Silence after a pause.
        pair.pass(Duration::from_secs(2));
        pair.send(&mut line, 105, &Packet { level: -127, ..packet(5, true) });

        let header = |packet: &RtpPacket| (*packet.seq_no, packet.header.timestamp, packet.header.marker);
        let start = u32::MAX - FRAME;
        let at = |frames: u32| start.wrapping_add(frames * FRAME);
        assert_eq!(
            pair.heard.iter().map(header).collect::<Vec<_>>(),
            [
                (65_534, at(0), true),
                (65_535, at(1), false),
                (65_536, at(2), false),
                (65_537, at(3), false),
                (65_538, at(4), false),
                (65_539, at(105), true),
            ]
        );
        for (n, heard) in pair.heard.iter().enumerate() {
            assert_eq!((&*heard.payload, heard.header.payload_type), (&[n as u8; 80][..], OPUS.into()));
            let values = &heard.header.ext_vals;
            let loud = if n < 5 { (Some(-30), Some(true)) } else { (Some(-127), Some(false)) };
            assert_eq!((values.audio_level, values.voice_activity), loud);
        }
        assert_eq!(pair.heard[0].header.ext_vals.mid, Some(pair.mid));
    }

    #[test]
    fn first_number_is_in_lower_half() {
        let mut pair = Pair::connected(false);
        for _ in 0..200 {
            let first = *pair.line(None).next;
            assert!((1..1 << 15).contains(&first), "{first}");
        }
    }

    #[test]
    fn red_packets_have_own_payload_type() {
        let mut pair = Pair::connected(true);
        let red = Pt::from(63);
        let mut line = pair.line(Some(red));
        for n in 0..3 {
            pair.send(&mut line, u32::from(n), &packet(n, n == 0));
        }
        assert_eq!(pair.heard.len(), 3);
        for (n, heard) in pair.heard.iter().enumerate() {
            assert_eq!(heard.header.payload_type, red);
            let blocks = RedDecoder::decode(&heard.payload).unwrap();
            let blocks: Vec<_> = blocks.iter().map(|block| (block.timestamp_offset, block.payload.to_vec())).collect();
            let own = (0, vec![n as u8; 80]);
            let expected = if n == 0 { vec![own] } else { vec![(FRAME, vec![n as u8 - 1; 80]), own] };
            assert_eq!(blocks, expected);
        }
    }

    #[test]
    fn repeats_more_under_loss() {
        let mut pair = Pair::connected(true);
        let mut line = pair.line(Some(63.into()));
        let mut n = 0;
        for (loss, repeated) in [(0.0, 1), (0.03, 2), (1.0, 2), (0.029, 1)] {
            line.set_loss(loss);
            for _ in 0..3 {
                pair.send(&mut line, n, &packet(n as u8, n == 0));
                n += 1;
            }
            let last = pair.heard.last().unwrap();
            assert_eq!(RedDecoder::decode(&last.payload).unwrap().len(), repeated + 1, "{loss}");
        }
    }
}
