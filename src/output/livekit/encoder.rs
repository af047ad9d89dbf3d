//! A track's Opus encoder, with DTX and packets of silence.

use crate::audio::FRAME;
use crate::error::Result;
use crate::output::libopus::{MAX_PACKET, Opus, StateDelta};

/// The length up to which a packet only continues silence (RFC 6716 §2.1.9).
const SILENCE: usize = 2;

/// A frame of silence for a track without an encoder: fullband CELT of 20 ms, one channel, empty.
pub const SILENT_PACKET: &[u8] = &[0xf8, 0xff, 0xfe];

/// The encoding of a track.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Encoding {
    /// The bitrate in bit/s.
    pub bitrate: i32,
    /// The complexity, 0–10: higher is better and costs more.
    pub complexity: i32,
    /// Sends nothing during silence within a sound.
    pub dtx: bool,
    /// Repeats the previous packet in each packet (RFC 2198).
    pub red: bool,
}

/// An encoder, whose clones continue exactly as it would.
#[derive(Clone)]
pub struct Encoder {
    opus: Opus,
    channels: usize,
    dtx: bool,
    /// The last packet announced continued silence.
    announced: bool,
    packet: Vec<u8>,
}

/// The difference of an encoder's state to an earlier one.
pub struct EncoderDelta {
    opus: StateDelta,
    announced: bool,
}

impl EncoderDelta {
    /// Returns the memory that it takes, in bytes.
    pub fn bytes(&self) -> usize {
        self.opus.bytes()
    }
}

impl Encoder {
    /// Creates an encoder for 1 or 2 channels.
    pub fn new(channels: usize, encoding: Encoding) -> Result<Self> {
        let Encoding { bitrate, complexity, dtx, .. } = encoding;
        Ok(Self {
            opus: Opus::new(channels, bitrate, complexity, dtx)?,
            channels,
            dtx,
            announced: false,
            packet: vec![0; MAX_PACKET],
        })
    }

    /// Creates an encoder that continues after [`SILENT_PACKET`]: it knows what the decoder has heard, or its first sound would fade in.
    pub fn after_silence(channels: usize, encoding: Encoding) -> Result<Self> {
        let mut encoder = Self::new(channels, encoding)?;
        encoder.silence()?;
        Ok(encoder)
    }

    /// Encodes one interleaved frame of 20 ms. Returns None if it need not be sent. With DTX, the first packet of continued silence is
    /// sent, or the receiver would take the omitted ones for lost.
    pub fn encode(&mut self, samples: &[f32]) -> Result<Option<&[u8]>> {
        let length = self.encode_whole(samples)?;
        let announces = self.dtx && length <= SILENCE;
        let is_known = std::mem::replace(&mut self.announced, announces) && announces;
        Ok((!is_known).then(|| &self.packet[..length]))
    }

    /// Returns the difference of its state to that of `start`.
    pub fn delta_from(&self, start: &Self) -> EncoderDelta {
        EncoderDelta { opus: self.opus.delta_from(&start.opus), announced: self.announced }
    }

    /// Returns a clone with this difference applied.
    pub fn after(&self, delta: &EncoderDelta) -> Self {
        let mut encoder = self.clone();
        encoder.opus.apply(&delta.opus);
        encoder.announced = delta.announced;
        encoder
    }

    /// Returns the memory that it takes, in bytes.
    pub fn bytes(&self) -> usize {
        self.opus.bytes() + self.packet.len()
    }

    /// Encodes 20 ms of silence as one packet that is always sent.
    pub fn silence(&mut self) -> Result<&[u8]> {
        let length = self.encode_whole(&[0.0; 2 * FRAME][..self.channels * FRAME])?;
        self.announced = self.dtx && length <= SILENCE;
        Ok(&self.packet[..length])
    }

    fn encode_whole(&mut self, samples: &[f32]) -> Result<usize> {
        self.opus.encode(samples, &mut self.packet)
    }
}

#[cfg(test)]
mod tests {
    use opus::{Channels, Decoder};

    use super::*;
    use crate::audio::SAMPLE_RATE;

    const ENCODING: Encoding = Encoding { bitrate: 64_000, complexity: 5, dtx: true, red: false };

    /// Returns 50 frames of a tone, and then `frames` of silence.
    fn tone_and_silence(frames: usize) -> impl Iterator<Item = [f32; FRAME]> {
        let tone = |frame, n| 0.5 * ((frame * FRAME + n) as f32 * 0.05).sin();
        (0..50 + frames).map(move |frame| std::array::from_fn(|n| if frame < 50 { tone(frame, n) } else { 0.0 }))
    }

    fn decode(decoder: &mut Decoder, packet: &[u8]) -> [f32; FRAME] {
        let mut samples = [0.0; FRAME];
        assert_eq!(decoder.decode_float(packet, &mut samples, false).unwrap(), FRAME);
        samples
    }

    fn loudest(samples: &[f32]) -> f32 {
        samples.iter().fold(0.0, |loudest, sample| loudest.max(sample.abs()))
    }

    #[test]
    fn dtx_announces_silence_every_400_ms() {
        let mut encoder = Encoder::new(1, ENCODING).unwrap();
        let sent: Vec<_> =
            tone_and_silence(150).map(|frame| encoder.encode(&frame).unwrap().map(<[u8]>::len)).collect();
        assert!(
            sent[..50].iter().all(|packet| packet.is_some_and(|length| length > SILENCE)),
            "the tone is sent whole"
        );
        let first_gap = sent.iter().position(Option::is_none).unwrap();
        assert!(sent[first_gap - 1].is_some_and(|length| length <= SILENCE), "the gap is announced: {sent:?}");
        // From here on a gap is one announcement and nothing else, until the next packet after 400 ms.
        let gaps: Vec<_> =
            sent[first_gap - 1..].split(|packet| packet.is_some_and(|length| length > SILENCE)).collect();
        let whole = &gaps[..gaps.len() - 1];
        assert!(whole.len() >= 3, "{sent:?}");
        for gap in whole.iter().filter(|gap| !gap.is_empty()) {
            assert!(gap[0].is_some_and(|length| length <= SILENCE) && gap[1..].iter().all(Option::is_none), "{sent:?}");
            assert!(gap.len() <= 20, "{} frames without a sound packet", gap.len());
        }
    }

    #[test]
    fn sound_after_dtx_is_whole() {
        let mut encoder = Encoder::new(1, ENCODING).unwrap();
        let mut decoder = Decoder::new(SAMPLE_RATE, Channels::Mono).unwrap();
        let mut heard = |packet: Option<&[u8]>| loudest(&decode(&mut decoder, packet.unwrap_or(&[])));
        let levels: Vec<_> = tone_and_silence(100).map(|frame| heard(encoder.encode(&frame).unwrap())).collect();
        assert!(levels[60..].iter().all(|level| *level < 0.001), "{levels:?}");
        let again: Vec<_> = tone_and_silence(0).map(|frame| heard(encoder.encode(&frame).unwrap())).collect();
        assert!(again[1..].iter().all(|level| (0.4..0.6).contains(level)), "{again:?}");
    }

    #[test]
    fn silence_is_always_a_packet() {
        for (channels, dtx) in [(1, false), (2, false), (1, true), (2, true)] {
            let mut encoder = Encoder::new(channels, Encoding { dtx, ..ENCODING }).unwrap();
            let mut decoder = Decoder::new(SAMPLE_RATE, Channels::Stereo).unwrap();
            let mut heard = |packet: &[u8]| {
                let mut samples = [1.0; 2 * FRAME];
                assert_eq!(decoder.decode_float(packet, &mut samples, false).unwrap(), FRAME);
                loudest(&samples)
            };
            for round in 0..40 {
                let packet = encoder.silence().unwrap();
                assert!(!packet.is_empty() && heard(packet) < 1e-4, "{channels} {dtx} {round}: {packet:?}");
            }
            assert!(heard(SILENT_PACKET) < 1e-4);
        }
    }

    #[test]
    fn first_sound_is_whole_after_silence() {
        let mut whole = Vec::new();
        for (packets, fresh) in [(0, true), (1, false), (5, false), (100, false), (0, false)] {
            let mut decoder = Decoder::new(SAMPLE_RATE, Channels::Mono).unwrap();
            for _ in 0..packets {
                decode(&mut decoder, SILENT_PACKET);
            }
            let encoding = Encoding { dtx: false, ..ENCODING };
            let encoder = if fresh { Encoder::new(1, encoding) } else { Encoder::after_silence(1, encoding) };
            let mut encoder = encoder.unwrap();
            let heard: Vec<_> = tone_and_silence(0)
                .take(10)
                .flat_map(|frame| decode(&mut decoder, encoder.encode(&frame).unwrap().unwrap()))
                .collect();
            let levels: Vec<_> = heard.chunks(480).map(loudest).collect();
            whole.push(levels[1..].iter().all(|level| (0.45..0.55).contains(level)));
        }
        assert_eq!(whole, [true; 5]);
    }
}
