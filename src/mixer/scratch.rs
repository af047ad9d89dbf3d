//! What a thread mixes in: one for all sessions that it ticks, so that a session holds no buffers of its own.

use std::sync::Arc;

use crate::audio::{FRAME, LOOK_AHEAD, Samples};
use crate::source::Clip;

/// The mixed samples of one stream.
pub struct Frame<'a> {
    /// Which stream of the output this is.
    pub stream: u32,
    /// The session's time of the first sample.
    pub at: Samples,
    /// Interleaved.
    pub samples: &'a [f32],
    /// True if anything plays in it.
    pub sounding: bool,
    /// Set if it is nothing but a part of this clip.
    pub part: Option<Part<'a>>,
}

/// A part of a clip, of a frame's length, behind one gain: each sample is `0.0 + sample * gain`, bit for bit. What is beyond its end is
/// silence. The clip may be mono in a frame of two channels: then both are the same.
#[derive(Clone, Copy)]
pub struct Part<'a> {
    /// The clip.
    pub clip: &'a Arc<Clip>,
    /// Where in it the frame begins.
    pub place: Samples,
    /// Linear; 1 leaves every sample as it is.
    pub gain: f32,
}

/// Buffers for one tick: the sums of a step, and the frames that the steps make.
#[derive(Default)]
pub struct Scratch {
    channels: usize,
    at: Samples,
    sum: Vec<f32>,
    track_sum: Vec<f32>,
    frames: Vec<Buffer>,
    /// How many of `frames` the current tick has, and their length in interleaved samples.
    used: usize,
    length: usize,
}

struct Buffer {
    stream: u32,
    sounding: bool,
    samples: Vec<f32>,
    piece: Piece,
}

/// What the samples of a step are, and of a frame so far.
pub(super) enum Piece {
    /// No voice sounds in them.
    Silence,
    /// Those of a clip from a place on, behind one gain.
    Clip(Arc<Clip>, Samples, f32),
    /// Something else.
    Other,
}

impl Piece {
    /// What it is with another that begins `length` samples later.
    fn followed_by(self, next: Self, length: Samples) -> Self {
        match (self, next) {
            (Self::Clip(clip, place, gain), Self::Silence) if place + length >= clip.length() => {
                Self::Clip(clip, place, gain)
            }
            (Self::Clip(clip, place, gain), Self::Clip(other, onward, same))
                if Arc::ptr_eq(&clip, &other) && place + length == onward && gain.to_bits() == same.to_bits() =>
            {
                Self::Clip(clip, place, gain)
            }
            (Self::Silence, Self::Silence) => Self::Silence,
            _ => Self::Other,
        }
    }
}

impl Scratch {
    /// Starts a tick at session time `at`.
    pub(super) fn begin(&mut self, channels: usize, at: Samples) {
        (self.channels, self.at, self.used, self.length) = (channels, at, 0, 0);
        let window = (FRAME + LOOK_AHEAD) * channels;
        if self.sum.len() < window {
            self.sum.resize(window, 0.0);
            self.track_sum.resize(window, 0.0);
        }
        self.track_sum.fill(0.0);
    }

    /// Two buffers of so many samples to sum in: the first is emptied, the second has to be left empty.
    pub(super) fn sums(&mut self, samples: usize) -> (&mut [f32], &mut [f32]) {
        let (sum, track_sum) = (&mut self.sum[..samples], &mut self.track_sum[..samples]);
        sum.fill(0.0);
        (sum, track_sum)
    }

    /// Puts the first `samples` of the sum into the frame of a stream, from its sample `filled` on.
    pub(super) fn keep(&mut self, stream: u32, filled: usize, samples: usize, sounding: bool, piece: Piece) {
        let capacity = FRAME * self.channels;
        let index = self.frames[..self.used].iter().position(|frame| frame.stream == stream).unwrap_or(self.used);
        if index == self.used {
            self.used += 1;
            if index == self.frames.len() {
                self.frames.push(Buffer { stream, sounding, samples: Vec::new(), piece: Piece::Silence });
            }
            let frame = &mut self.frames[index];
            frame.stream = stream;
            frame.samples.resize(capacity, 0.0);
            // A stream that begins in the middle of a frame is silent up to there.
            frame.samples[..filled * self.channels].fill(0.0);
            frame.piece = Piece::Silence;
        }
        let frame = &mut self.frames[index];
        frame.sounding = sounding;
        frame.piece = match filled {
            0 => piece,
            _ => std::mem::replace(&mut frame.piece, Piece::Other).followed_by(piece, filled as Samples),
        };
        let place = filled * self.channels;
        frame.samples[place..place + samples].copy_from_slice(&self.sum[..samples]);
    }

    pub(super) fn finish(&mut self, length: usize) {
        self.length = length;
    }

    /// Returns true if there is no stream yet.
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// The mixed frame of each stream.
    pub fn frames(&self) -> impl Iterator<Item = Frame<'_>> {
        self.frames[..self.used].iter().map(|frame| Frame {
            stream: frame.stream,
            at: self.at,
            samples: &frame.samples[..self.length],
            sounding: frame.sounding,
            part: match &frame.piece {
                Piece::Clip(clip, place, gain) => Some(Part { clip, place: *place, gain: *gain }),
                Piece::Silence | Piece::Other => None,
            },
        })
    }

    /// Lets go of the clips that the frames are parts of: here, and not in the next tick under a lock, for it may be their end.
    pub fn let_go(&mut self) {
        self.frames.iter_mut().for_each(|frame| frame.piece = Piece::Other);
    }
}
