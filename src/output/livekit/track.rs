//! One published track: what is agreed about it, and its packets.

use super::encoder::{Encoder, Encoding};
use super::peer::{Mid, Pt};
use crate::error::Result;
use crate::mixer::Frame;

/// Silent frames sent after the last sound: they empty the encoder's look-ahead and let the receiver fade out.
const TAIL: u32 = 10;

pub struct Track {
    pub stream: u32,
    /// By what its media line and its announcement find each other.
    pub cid: String,
    pub offered: bool,
    pub published: bool,
    /// Its media line, and the number under which Opus goes on it once that is agreed.
    pub line: Option<(Mid, Option<Pt>)>,
    encoder: Encoder,
    /// Silent frames still to be sent.
    tail: u32,
}

pub struct Packet<'a> {
    pub data: &'a [u8],
    /// In dBFS, −127 for silence (RFC 6464 §3).
    pub level: i8,
    /// Whether silence, in which nothing was sent, came before it.
    pub first: bool,
}

impl Track {
    pub fn new(stream: u32, channels: usize, encoding: Encoding) -> Result<Self> {
        let encoder = Encoder::new(channels, encoding)?;
        let cid = format!("speaker-{stream}-{:08x}", random());
        Ok(Self { stream, cid, offered: false, published: false, line: None, encoder, tail: 0 })
    }

    /// 0 `speaker`, 1 `app_audio`, 2 `tts`, n `track_<n>`.
    pub fn name(&self) -> String {
        match self.stream {
            0 => "speaker".to_owned(),
            1 => "app_audio".to_owned(),
            2 => "tts".to_owned(),
            other => format!("track_{other}"),
        }
    }

    pub fn is_open(&self) -> bool {
        self.published && matches!(self.line, Some((_, Some(_))))
    }

    /// Whether the last sound and its tail are sent.
    pub fn is_silent(&self) -> bool {
        self.tail == 0
    }

    /// The room is lost: all is to be agreed again.
    pub fn reset(&mut self) {
        (self.offered, self.published, self.line, self.tail) = (false, false, None, 0);
    }

    /// The frame's packet; none in silence.
    pub fn encode(&mut self, frame: &Frame) -> Result<Option<Packet<'_>>> {
        let first = self.tail == 0;
        if frame.sounding {
            self.tail = TAIL + 1;
        } else if first {
            return Ok(None);
        }
        self.tail -= 1;
        let level = level(frame.samples);
        Ok(Some(Packet { data: self.encoder.encode(frame.samples)?, level, first }))
    }
}

fn level(samples: &[f32]) -> i8 {
    let power = samples.iter().map(|sample| sample * sample).sum::<f32>() / samples.len() as f32;
    // The logarithm of nothing is −∞, which is clamped too.
    (10.0 * power.log10()).clamp(-127.0, 0.0) as i8
}

/// Not for secrets: tells the tracks of one participant's sessions apart.
pub fn random() -> u32 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new().build_hasher().finish() as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::FRAME;

    fn frame(samples: &[f32], sounding: bool) -> Frame<'_> {
        Frame { stream: 0, at: 0, samples, sounding }
    }

    #[test]
    fn sends_its_sound_and_a_tail_and_then_nothing() {
        let mut track = Track::new(0, 1, Encoding { bitrate: 64_000, complexity: 5 }).unwrap();
        let (loud, silent) = ([0.5; FRAME], [0.0; FRAME]);
        assert!(track.encode(&frame(&silent, false)).unwrap().is_none());
        for round in 0..2 {
            let firsts = [true, false].map(|_| track.encode(&frame(&loud, true)).unwrap().unwrap().first);
            assert_eq!(firsts, [true, false], "round {round}");
            let tail = (0..50).filter(|_| track.encode(&frame(&silent, false)).unwrap().is_some()).count();
            assert_eq!(tail, TAIL as usize);
            assert!(track.is_silent());
        }
    }

    #[test]
    fn loudness_is_in_decibels_below_full_scale() {
        assert_eq!([1.0, 0.5, 0.0].map(|amplitude| level(&[amplitude; FRAME])), [0, -6, -127]);
    }
}
