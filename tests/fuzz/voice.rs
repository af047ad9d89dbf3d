//! RTP packets of a remote participant, at times that the input states.

use std::time::{Duration, Instant};

use opus::{Application, Bitrate, Channels, Encoder};
use speaker_session::internals::listen::{Format, FrameKind, JitterBuffer, Packet};

use super::media::{Bench, check_samples};
use super::network::{join, parts};
use super::run::{Failure, Seen};

const OPUS: u8 = 111;
const RED: u8 = 63;

/// The most memory of a jitter buffer: 64 KiB of packets, and four times as much for its lists, its decoder and its decoded samples.
const MAX_BYTES: usize = 320 << 10;

/// The size of the header of a payload: its type, the sender and the marker in a byte; the number; the time; the milliseconds since the
/// last packet; the number of frames to take.
const HEADER: usize = 9;

/// Returns a voice as CELT and as SILK with FEC, alone and with redundant copies.
pub fn seeds() -> Vec<Vec<u8>> {
    [(Application::Audio, 0_usize), (Application::Audio, 2), (Application::Voip, 0), (Application::Voip, 1)]
        .map(|(application, copies)| {
            let mut encoder = Encoder::new(48_000, Channels::Mono, application).expect("a known rate");
            encoder.set_bitrate(Bitrate::Bits(16_000)).expect("it is allowed");
            encoder.set_inband_fec(true).expect("it is a switch");
            encoder.set_packet_loss_perc(25).expect("it is a share");
            let sample = |n: usize| 0.4 * (n as f32 * 0.02).sin() * (n as f32 * 0.0007).cos();
            let frame = |frame: usize| (frame * 960..(frame + 1) * 960).map(sample).collect::<Vec<_>>();
            let encoded: Vec<_> =
                (0..12).map(|number| encoder.encode_vec_float(&frame(number), 300).expect("it has room")).collect();
            let packet = |number: usize| {
                let old = &encoded[number.saturating_sub(copies)..number];
                let mut packet = vec![u8::from(copies > 0) | u8::from(number == 0) << 2];
                packet.extend((number as u16).to_be_bytes());
                packet.extend((number as u32 * 960).to_be_bytes());
                packet.extend([20, 1]);
                for (at, copy) in old.iter().enumerate() {
                    let (earlier, length) = ((old.len() - at) * 960, copy.len());
                    packet.extend([
                        0x80 | OPUS,
                        (earlier >> 6) as u8,
                        (earlier << 2 | length >> 8) as u8,
                        length as u8,
                    ]);
                }
                packet.extend((copies > 0).then_some(OPUS));
                packet.extend(old.iter().chain([&encoded[number]]).flatten());
                packet
            };
            let packets: Vec<_> = (0..encoded.len()).filter(|number| number % 5 != 3).map(packet).collect();
            join(&packets.iter().map(Vec::as_slice).collect::<Vec<_>>())
        })
        .to_vec()
}

/// Checks that a jitter buffer emits finite frames and stays small, whatever arrives.
pub fn run(input: &[u8], plan: u64, _bench: &mut Bench, seen: &mut Seen) -> Result<(), Failure> {
    let format = Format { opus: OPUS, red: Some(RED), channels: 1 + plan as usize % 2 };
    let mut buffer = JitterBuffer::new(format).expect("one or two channels");
    let mut now = Instant::now();
    for part in parts(input) {
        let Some((header, payload)) = part.split_first_chunk::<HEADER>() else { continue };
        let [kind, s0, s1, t0, t1, t2, t3, wait, asked] = *header;
        now += Duration::from_millis(wait.into());
        let packet = Packet {
            ssrc: (kind >> 3).into(),
            payload_type: match kind & 3 {
                0 => OPUS,
                1 => RED,
                _ => kind,
            },
            sequence: u16::from_be_bytes([s0, s1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            marker: kind & 4 != 0,
            payload,
        };
        buffer.receive(&packet, now);
        for frame in 0..asked % 8 {
            let frame = buffer.next(now + Duration::from_millis(20) * frame.into());
            if frame.samples.len() != 960 * format.channels {
                return Err(Failure::new("frame", format!("a frame has {} samples", frame.samples.len())));
            }
            check_samples(frame.samples)?;
            seen.trait_of(match frame.kind {
                FrameKind::Decoded => 1,
                FrameKind::Concealed => 2,
                FrameKind::Silence => 4,
            });
        }
        if buffer.bytes() > MAX_BYTES {
            return Err(Failure::new("ear", format!("it holds {} bytes", buffer.bytes())));
        }
    }
    let stats = buffer.stats();
    for count in [stats.received, stats.lost, stats.late, stats.invalid, stats.copies, stats.repeated, stats.concealed]
    {
        seen.trait_of(count as usize);
    }
    seen.outcome("listened", "");
    Ok(())
}
