//! The packets of one track.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::clip_packets::{CLIP_PACKETS, ClipReader};
use super::encoder::{Encoder, Encoding, SILENT_PACKET};
use crate::error::Result;
use crate::mixer::Frame;

/// The silent frames sent after the last sound, which let the receiver fade out.
const TAIL: u32 = 10;

/// The number of these frames that are encoded, which flushes the encoder's look-ahead. The others are the same for every track, and after
/// them a receiver has no memory of what was sent before.
const ENCODED_TAIL: u32 = 3;

/// How long a track that is not silent may send nothing before it counts as cut off.
const CUT_OFF_AFTER: Duration = Duration::from_secs(1);

pub struct Track {
    pub stream: u32,
    channels: usize,
    encoding: Encoding,
    /// True if clips are encoded once for all tracks.
    encode_once: bool,
    coding: Coding,
    /// The number of packets sent from the shared cache.
    shared: u64,
    /// True if a packet was sent since the last check.
    has_sent: bool,
    /// The number of checks since the track was published.
    asked: u32,
    /// The silent frames still to be sent.
    tail: u32,
    /// True if the packet before the next one was not sent.
    gap: bool,
    /// The times of the last packet, and of the last audible one.
    sent: Option<Instant>,
    sounded: Option<Instant>,
}

/// The origin of the next packet.
#[derive(Default)]
enum Coding {
    /// Silence: the receiver has heard silence, or nothing. Most tracks of most sessions never leave this state.
    #[default]
    Silence,
    /// The track's own encoder.
    Live(Encoder),
    /// The shared packets of a clip.
    Shared(ClipReader),
}

/// The loudness of silence, in dBFS (RFC 6464 §3).
pub const SILENT: i8 = -127;

pub struct Packet {
    pub data: Arc<[u8]>,
    /// The loudness in dBFS.
    pub level: i8,
    /// True if silence, in which nothing was sent, precedes it.
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

    /// Returns the number of packets sent from the shared cache.
    pub fn shared(&self) -> u64 {
        self.shared
    }

    /// Returns true if the last sound and its tail were sent.
    pub fn is_silent(&self) -> bool {
        self.tail == 0
    }

    /// Notes that a packet was sent.
    pub fn sent_at(&mut self, packet: &Packet, now: Instant) {
        self.sent = Some(now);
        if packet.is_audible() {
            self.sounded = Some(now);
        }
    }

    /// Returns when listeners, whose buffers lag by `linger`, have heard the last sound; None if there was none. A track that was cut off
    /// in the middle of a sound does not delay this without end.
    pub fn heard_by(&self, linger: Duration) -> Option<Instant> {
        let sounded = self.sounded.map(|at| at + linger);
        let ends = self.sent.filter(|_| !self.is_silent()).map(|at| at + CUT_OFF_AFTER);
        sounded.max(ends)
    }

    /// Resets the track: the next packet is the first of a new publication.
    pub fn reset(&mut self) {
        (self.tail, self.gap, self.coding) = (0, true, Coding::Silence);
        (self.has_sent, self.asked) = (false, 0);
        (self.sent, self.sounded) = (None, None);
    }

    /// Encodes a frame. Returns no packet in silence, or while the track is muted.
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
            Coding::Shared(reader) => {
                let (data, level) = reader.next();
                self.shared += u64::from(data.is_some());
                (data, level)
            }
        };
        self.has_sent |= data.is_some();
        let first = std::mem::replace(&mut self.gap, data.is_none() || self.tail == 0);
        Ok(data.map(|data| Packet { data, level, first }))
    }

    /// Decides where a frame's packet comes from. A muted track continues later with an encoder of its own, so that it holds no clip
    /// meanwhile.
    fn prepare(&mut self, frame: &Frame, is_muted: bool) -> Result<()> {
        self.coding = match std::mem::take(&mut self.coding) {
            Coding::Shared(reader) if is_muted => Coding::Live(reader.into_encoder()?),
            same if is_muted => same,
            _ if self.tail < TAIL - ENCODED_TAIL => Coding::Silence,
            Coding::Silence if frame.sounding => self.begin(frame)?,
            Coding::Shared(reader) if !reader.goes_on(frame)? => Coding::Live(reader.into_encoder()?),
            same => same,
        };
        Ok(())
    }

    fn begin(&self, frame: &Frame) -> Result<Coding> {
        let Self { channels, encoding, encode_once, .. } = *self;
        let reader =
            if encode_once { CLIP_PACKETS.begin(frame, channels, encoding, ENCODED_TAIL as usize)? } else { None };
        Ok(match reader {
            Some(reader) => Coding::Shared(reader),
            None => Coding::Live(Encoder::after_silence(channels, encoding)?),
        })
    }

    /// Returns a packet of silence, for when nothing else is sent. Sound after it starts as after silence.
    pub fn silence(&mut self) -> &'static [u8] {
        self.coding = Coding::Silence;
        SILENT_PACKET
    }

    /// Returns true if nothing was sent since the last call. `may_speak` is true if the track is published and not muted.
    pub fn has_been_silent(&mut self, may_speak: bool) -> bool {
        self.asked = if may_speak { self.asked.saturating_add(1) } else { 0 };
        !std::mem::take(&mut self.has_sent) && may_speak
    }

    /// Returns true if [`Self::has_been_silent`] was called fewer than `asked` times since the track could speak.
    pub fn is_younger(&self, asked: u32) -> bool {
        self.asked < asked
    }
}

/// Returns the loudness of a frame in dBFS.
pub fn level(samples: &[f32]) -> i8 {
    // Sixteen sums in parallel: each addition to a single one would wait for the one before.
    let (blocks, rest) = samples.as_chunks::<16>();
    let mut sums = [0.0; 16];
    blocks.iter().for_each(|block| sums.iter_mut().zip(block).for_each(|(sum, sample)| *sum += sample * sample));
    let rest: f32 = rest.iter().map(|sample| sample * sample).sum();
    let power = (sums.iter().sum::<f32>() + rest) / samples.len() as f32;
    // The logarithm of 0 is −∞, which is clamped too.
    (10.0 * power.log10()).clamp(f32::from(SILENT), 0.0) as i8
}

/// Returns a random number, not for secrets: it tells the tracks of one participant's sessions apart.
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
    fn sends_sound_and_tail() {
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
    fn sends_nothing_while_muted() {
        let mut track = Track::new(0, 1, ENCODING, true);
        let mut first = |muted| track.encode(&frame(&[0.5; FRAME], true), muted).unwrap().map(|packet| packet.first);
        assert_eq!(
            [false, false, true, true, false, false].map(&mut first),
            [Some(true), Some(false), None, None, Some(true), Some(false)]
        );
    }

    #[test]
    fn dtx_sends_little_of_silence() {
        let mut track = Track::new(0, 1, Encoding { dtx: true, ..ENCODING }, true);
        let sent = (0..100).filter(|_| track.encode(&frame(&[0.0; FRAME], true), false).unwrap().is_some()).count();
        assert!(sent < 50, "{sent} of 100 packets of silence");
        assert!(track.encode(&frame(&[0.5; FRAME], true), false).unwrap().unwrap().first);
    }

    /// Returns the peaks of both halves of a decoded packet.
    fn peaks(decoder: &mut Decoder, packet: &[u8]) -> [f32; 2] {
        let mut samples = [0.0; FRAME];
        assert_eq!(decoder.decode_float(packet, &mut samples, false).unwrap(), FRAME);
        let (early, late) = samples.split_at(FRAME / 2);
        [early, late].map(|half| half.iter().fold(0.0, |peak, sample| sample.abs().max(peak)))
    }

    #[test]
    fn next_sound_is_whole_after_silence() {
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
