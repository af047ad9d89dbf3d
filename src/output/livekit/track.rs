//! The packets of one track.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::clip_packets::{CLIP_PACKETS, Reading};
use super::encoder::{Encoder, Encoding, SILENT_PACKET};
use crate::error::Result;
use crate::mixer::Frame;

/// Silent frames sent after the last sound: they let the receiver fade out.
const TAIL: u32 = 10;

/// The first of these are encoded, which empties the encoder's look-ahead. The others are the same for every track, and behind them
/// a receiver does not know any more what was sent before.
const ENCODED_TAIL: u32 = 3;

/// What sends nothing for so long though it is not silent has been cut off.
const CUT_OFF_AFTER: Duration = Duration::from_secs(1);

pub struct Track {
    pub stream: u32,
    channels: usize,
    encoding: Encoding,
    /// Whether clips are encoded once for all tracks.
    encode_once: bool,
    coding: Coding,
    /// Packets sent that were encoded for all.
    shared: u64,
    /// Whether a packet was sent since this was asked last.
    has_sent: bool,
    /// How often it was asked since the track was published.
    asked: u32,
    /// Silent frames still to be sent.
    tail: u32,
    /// The packet before the next one was not sent.
    gap: bool,
    /// When its last packet was sent, and the last one that can be heard.
    sent: Option<Instant>,
    sounded: Option<Instant>,
}

/// Where the next packet comes from.
#[derive(Default)]
enum Coding {
    /// The receiver has heard silence, or nothing. Most tracks of most sessions never leave this.
    #[default]
    Silence,
    /// An encoder of its own.
    Live(Encoder),
    /// A clip that is encoded once for all.
    Shared(Reading),
}

/// The loudness of silence, in dBFS (RFC 6464 §3).
pub const SILENT: i8 = -127;

pub struct Packet {
    pub data: Arc<[u8]>,
    /// In dBFS.
    pub level: i8,
    /// Whether silence, in which nothing was sent, came before it.
    pub first: bool,
}

impl Packet {
    pub fn is_audible(&self) -> bool {
        self.level > SILENT
    }
}

impl Track {
    pub fn new(stream: u32, channels: usize, encoding: Encoding, encode_once: bool) -> Self {
        Self {
            stream,
            channels,
            encoding,
            encode_once,
            coding: Coding::Silence,
            shared: 0,
            has_sent: false,
            asked: 0,
            tail: 0,
            gap: true,
            sent: None,
            sounded: None,
        }
    }

    /// How many packets were sent that were encoded for all.
    pub fn shared(&self) -> u64 {
        self.shared
    }

    /// Whether the last sound and its tail are sent.
    pub fn is_silent(&self) -> bool {
        self.tail == 0
    }

    /// A packet is sent.
    pub fn sent_at(&mut self, packet: &Packet, now: Instant) {
        self.sent = Some(now);
        if packet.is_audible() {
            self.sounded = Some(now);
        }
    }

    /// When listeners have heard what was sent last, whose buffers are so much behind; nothing if they have heard nothing. What sounds may
    /// be cut off from them, and is not waited for without end.
    pub fn heard_by(&self, linger: Duration) -> Option<Instant> {
        let sounded = self.sounded.map(|at| at + linger);
        let ends = self.sent.filter(|_| !self.is_silent()).map(|at| at + CUT_OFF_AFTER);
        sounded.max(ends)
    }

    /// What comes next is the first packet of a new publication.
    pub fn reset(&mut self) {
        (self.tail, self.gap, self.coding) = (0, true, Coding::Silence);
        (self.has_sent, self.asked) = (false, 0);
        (self.sent, self.sounded) = (None, None);
    }

    /// Returns the frame's packet; none in silence, nor while nothing of the track is let through.
    pub fn encode(&mut self, frame: &Frame, is_muted: bool) -> Result<Option<Packet>> {
        if frame.sounding {
            self.tail = TAIL + 1;
        } else if self.tail == 0 {
            return Ok(None);
        }
        self.tail -= 1;
        self.prepare(frame, is_muted)?;
        let (data, level) = match &mut self.coding {
            _ if is_muted => (None, SILENT),
            Coding::Silence => (Some(SILENT_PACKET.into()), SILENT),
            Coding::Live(encoder) => (encoder.encode(frame.samples)?.map(Arc::from), level(frame.samples)),
            Coding::Shared(reading) => {
                let (data, level) = reading.next();
                self.shared += u64::from(data.is_some());
                (data, level)
            }
        };
        self.has_sent |= data.is_some();
        let first = std::mem::replace(&mut self.gap, data.is_none() || self.tail == 0);
        Ok(data.map(|data| Packet { data, level, first }))
    }

    /// Decides where a frame's packet comes from. What is muted goes on, later, from where it is, and holds no clip until then.
    fn prepare(&mut self, frame: &Frame, is_muted: bool) -> Result<()> {
        self.coding = match std::mem::take(&mut self.coding) {
            Coding::Shared(reading) if is_muted => Coding::Live(reading.into_encoder()?),
            same if is_muted => same,
            _ if self.tail < TAIL - ENCODED_TAIL => Coding::Silence,
            Coding::Silence if frame.sounding => self.begin(frame)?,
            Coding::Shared(reading) if !reading.goes_on(frame)? => Coding::Live(reading.into_encoder()?),
            same => same,
        };
        Ok(())
    }

    fn begin(&self, frame: &Frame) -> Result<Coding> {
        let Self { channels, encoding, encode_once, .. } = *self;
        let reading = match encode_once {
            true => CLIP_PACKETS.begin(frame, channels, encoding, ENCODED_TAIL as usize)?,
            false => None,
        };
        Ok(match reading {
            Some(reading) => Coding::Shared(reading),
            None => Coding::Live(Encoder::after_silence(channels, encoding)?),
        })
    }

    /// A packet of silence, to be sent where nothing else is. What follows it comes after silence as before.
    pub fn silence(&mut self) -> &'static [u8] {
        self.coding = Coding::Silence;
        SILENT_PACKET
    }

    /// Whether nothing was sent since this was asked last. `may_speak` says that it is in the room and not muted.
    pub fn has_been_silent(&mut self, may_speak: bool) -> bool {
        self.asked = if may_speak { self.asked.saturating_add(1) } else { 0 };
        !std::mem::take(&mut self.has_sent) && may_speak
    }

    /// Whether [`Self::has_been_silent`] was asked less often than so since it may speak.
    pub fn is_younger(&self, asked: u32) -> bool {
        self.asked < asked
    }
}

/// The loudness of a frame, in dBFS.
pub fn level(samples: &[f32]) -> i8 {
    // Side by side: one sum would wait for each of its additions.
    let (blocks, rest) = samples.as_chunks::<16>();
    let mut sums = [0.0; 16];
    blocks.iter().for_each(|block| sums.iter_mut().zip(block).for_each(|(sum, sample)| *sum += sample * sample));
    let rest: f32 = rest.iter().map(|sample| sample * sample).sum();
    let power = (sums.iter().sum::<f32>() + rest) / samples.len() as f32;
    // The logarithm of nothing is −∞, which is clamped too.
    (10.0 * power.log10()).clamp(f32::from(SILENT), 0.0) as i8
}

/// Not for secrets: tells the tracks of one participant's sessions apart.
pub fn random() -> u32 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new().build_hasher().finish() as u32
}

#[cfg(test)]
mod tests {
    use opus::{Channels, Decoder};

    use super::*;
    use crate::audio::{FRAME, SAMPLE_RATE};

    const ENCODING: Encoding = Encoding { bitrate: 64_000, complexity: 5, dtx: false, red: false };

    fn frame(samples: &[f32], sounding: bool) -> Frame<'_> {
        Frame { stream: 0, at: 0, samples, sounding, part: None }
    }

    #[test]
    fn sends_its_sound_and_a_tail_and_then_nothing() {
        let mut track = Track::new(0, 1, ENCODING, true);
        let (loud, silent) = ([0.5; FRAME], [0.0; FRAME]);
        assert!(track.encode(&frame(&silent, false), false).unwrap().is_none());
        for round in 0..2 {
            let firsts = [true, false].map(|_| track.encode(&frame(&loud, true), false).unwrap().unwrap().first);
            assert_eq!(firsts, [true, false], "round {round}");
            let tail = (0..50).filter(|_| track.encode(&frame(&silent, false), false).unwrap().is_some()).count();
            assert_eq!(tail, TAIL as usize);
            assert!(track.is_silent());
        }
    }

    #[test]
    fn sends_nothing_while_it_is_muted_and_marks_what_comes_after() {
        let mut track = Track::new(0, 1, ENCODING, true);
        let mut first = |muted| track.encode(&frame(&[0.5; FRAME], true), muted).unwrap().map(|packet| packet.first);
        assert_eq!(
            [false, false, true, true, false, false].map(&mut first),
            [Some(true), Some(false), None, None, Some(true), Some(false)]
        );
    }

    #[test]
    fn sends_little_of_silence_inside_a_sound_with_dtx() {
        let mut track = Track::new(0, 1, Encoding { dtx: true, ..ENCODING }, true);
        let sent = (0..100).filter(|_| track.encode(&frame(&[0.0; FRAME], true), false).unwrap().is_some()).count();
        assert!(sent < 50, "{sent} of 100 packets of silence");
        assert!(track.encode(&frame(&[0.5; FRAME], true), false).unwrap().unwrap().first);
    }

    /// The peaks of both halves of what a packet decodes to.
    fn peaks(decoder: &mut Decoder, packet: &[u8]) -> [f32; 2] {
        let mut samples = [0.0; FRAME];
        assert_eq!(decoder.decode_float(packet, &mut samples, false).unwrap(), FRAME);
        let (early, late) = samples.split_at(FRAME / 2);
        [early, late].map(|half| half.iter().fold(0.0, |peak, sample| sample.abs().max(peak)))
    }

    #[test]
    fn an_encoder_goes_behind_a_sound_and_the_next_one_is_whole() {
        let tone: [f32; FRAME] = std::array::from_fn(|n| 0.5 * (n as f32 * std::f32::consts::TAU / 96.0).sin());
        for packets in [0, 1, 2, 3, 50] {
            let mut track = Track::new(0, 1, ENCODING, true);
            let mut decoder = Decoder::new(SAMPLE_RATE, Channels::Mono).unwrap();
            for is_first in [true, false] {
                for n in 0..10 {
                    let packet = track.encode(&frame(&tone, true), false).unwrap().unwrap();
                    let heard = peaks(&mut decoder, &packet.data);
                    let whole = if n == 0 { &heard[1..] } else { &heard[..] };
                    assert!(
                        is_first || whole.iter().all(|peak| (0.45..0.55).contains(peak)),
                        "{packets}, {n}: {heard:?}"
                    );
                }
                for _ in 0..TAIL {
                    peaks(&mut decoder, &track.encode(&frame(&[0.0; FRAME], false), false).unwrap().unwrap().data);
                }
                for _ in 0..packets {
                    peaks(&mut decoder, track.silence());
                }
                assert!(matches!(track.coding, Coding::Silence));
            }
        }
    }

    #[test]
    fn loudness_is_in_decibels_below_full_scale() {
        assert_eq!([1.0, 0.5, 0.0].map(|amplitude| level(&[amplitude; FRAME])), [0, -6, -127]);
    }
}
