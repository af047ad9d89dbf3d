//! The buffers that a thread mixes in: one set for all sessions that it ticks, so that a session holds none of its own.

use std::sync::Arc;

use crate::audio::{FRAME, LOOK_AHEAD, Samples};
use crate::ids::PlaybackId;
use crate::source::Clip;

/// The mixed samples of one stream.
pub struct Frame<'a> {
    /// The stream of the output.
    pub stream: u32,
    /// The session's time of the first sample.
    pub at: Samples,
    /// Interleaved.
    pub samples: &'a [f32],
    /// Something plays in it.
    pub sounding: bool,
    /// Set if the frame is only a part of a clip.
    pub part: Option<Part<'a>>,
}

/// A part of a clip as long as a frame, with one gain: each sample is `0.0 + sample * gain`, bit for bit. Beyond the end of the clip is
/// silence. The clip may be mono in a frame of two channels: then both are the same.
#[derive(Clone, Copy)]
pub struct Part<'a> {
    /// The clip.
    pub clip: &'a Arc<Clip>,
    /// The place in it where the frame begins.
    pub place: Samples,
    /// Linear; 1 leaves every sample as it is.
    pub gain: f32,
}

/// A part of a mix that can be tapped by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stem {
    /// A track.
    Track(u32),
    /// A playback.
    Playback(PlaybackId),
}

/// The parts of a tick that are tapped.
#[derive(Default)]
pub(super) struct Stems {
    channels: usize,
    sums: Vec<(Stem, Vec<f32>)>,
    /// The number of `sums` in use by the current tick.
    used: usize,
}

impl Stems {
    /// Keeps the samples of a part, from the frame's sample `filled` on. Returns the kept copy.
    pub fn keep(&mut self, stem: Stem, filled: usize, samples: &[f32]) -> &mut [f32] {
        let index = self.sums[..self.used].iter().position(|(its, _)| *its == stem).unwrap_or(self.used);
        if index == self.used {
            self.used += 1;
            if index == self.sums.len() {
                self.sums.push((stem, Vec::new()));
            }
            let (its, sum) = &mut self.sums[index];
            *its = stem;
            sum.clear();
            // Steps without this part leave silence.
            sum.resize(FRAME * self.channels, 0.0);
        }
        let kept = &mut self.sums[index].1[filled * self.channels..][..samples.len()];
        kept.copy_from_slice(samples);
        kept
    }
}

/// The buffers of a step. All but `stems` are longer than the step by the limiter's look-ahead, and hold old values.
pub(super) struct MixBuffers<'a> {
    /// The frame of the stream.
    pub frame: &'a mut [f32],
    /// The sum of one track.
    pub track: &'a mut [f32],
    /// The samples of one playback.
    pub playback: &'a mut [f32],
    pub stems: &'a mut Stems,
}

/// Buffers for one tick: the frames that its steps fill, and their parts.
#[derive(Default)]
pub struct Scratch {
    channels: usize,
    at: Samples,
    track: Vec<f32>,
    playback: Vec<f32>,
    stems: Stems,
    frames: Vec<Buffer>,
    /// The number of `frames` in use by the current tick, and their length in interleaved samples.
    used: usize,
    length: usize,
}

struct Buffer {
    stream: u32,
    sounding: bool,
    /// The frame, and the limiter's look-ahead beyond its end.
    samples: Vec<f32>,
    content: Content,
    /// The samples are those of the clip, and were not copied.
    is_lent: bool,
}

/// The content of a step, or of a frame so far.
pub(super) enum Content {
    /// No voice sounds in them.
    Silence,
    /// A clip from this place on, with one gain.
    Clip(Arc<Clip>, Samples, f32),
    /// Anything else.
    Other,
}

impl Content {
    /// Returns its first `frames` samples without a copy, if they are all of a clip.
    pub fn samples(&self, frames: usize) -> Option<&[f32]> {
        match self {
            Self::Clip(clip, place, _) => {
                let channels = clip.channels();
                clip.samples().get(*place as usize * channels..)?.get(..frames * channels)
            }
            Self::Silence | Self::Other => None,
        }
    }

    /// Returns the content of both, of which the second begins `length` samples later.
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
        (self.stems.channels, self.stems.used) = (channels, 0);
    }

    /// Returns the buffers for a step of `step` samples that begins at a stream's sample `filled`.
    pub(super) fn open(&mut self, stream: u32, filled: usize, step: usize) -> MixBuffers<'_> {
        let window = (FRAME + LOOK_AHEAD) * self.channels;
        let index = self.frames[..self.used].iter().position(|frame| frame.stream == stream).unwrap_or(self.used);
        if index == self.used {
            self.used += 1;
            if index == self.frames.len() {
                let (samples, content) = (Vec::new(), Content::Silence);
                self.frames.push(Buffer { stream, sounding: false, samples, content, is_lent: false });
            }
            let frame = &mut self.frames[index];
            frame.stream = stream;
            grow(&mut frame.samples, window);
            // A stream that begins in the middle of a frame is silent up to there.
            frame.samples[..filled * self.channels].fill(0.0);
            frame.content = Content::Silence;
        }
        grow(&mut self.track, window);
        grow(&mut self.playback, window);
        let length = (step + LOOK_AHEAD) * self.channels;
        MixBuffers {
            frame: &mut self.frames[index].samples[filled * self.channels..][..length],
            track: &mut self.track[..length],
            playback: &mut self.playback[..length],
            stems: &mut self.stems,
        }
    }

    /// Notes the content of a stream from its sample `filled` on; if it `is_lent`, the samples were left in the clip.
    pub(super) fn keep(&mut self, stream: u32, filled: usize, sounding: bool, content: Content, is_lent: bool) {
        let Some(frame) = self.frames[..self.used].iter_mut().find(|frame| frame.stream == stream) else { return };
        (frame.sounding, frame.is_lent) = (sounding, is_lent);
        frame.content = match filled {
            0 => content,
            _ => std::mem::replace(&mut frame.content, Content::Other).followed_by(content, filled as Samples),
        };
    }

    pub(super) fn finish(&mut self, length: usize) {
        self.length = length;
    }

    /// Returns true if there is no stream yet.
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// Returns the mixed frame of each stream.
    pub fn frames(&self) -> impl Iterator<Item = Frame<'_>> {
        self.frames[..self.used].iter().map(|frame| {
            let lent = if frame.is_lent { frame.content.samples(self.length / self.channels) } else { None };
            Frame {
                stream: frame.stream,
                at: self.at,
                samples: lent.unwrap_or(&frame.samples[..self.length]),
                sounding: frame.sounding,
                part: match &frame.content {
                    Content::Clip(clip, place, gain) => Some(Part { clip, place: *place, gain: *gain }),
                    Content::Silence | Content::Other => None,
                },
            }
        })
    }

    /// Returns each part of the mix that is tapped and sounds: after its volume, before the limiter.
    pub fn stems(&self) -> impl Iterator<Item = (Stem, &[f32])> {
        let Stems { sums, used, .. } = &self.stems;
        sums[..*used].iter().map(|(stem, sum)| (*stem, &sum[..self.length]))
    }

    /// Releases the clips that the frames are parts of: here, and not under the lock of the next tick, because the last reference may be
    /// freed.
    pub fn release_clips(&mut self) {
        self.frames.iter_mut().for_each(|frame| frame.content = Content::Other);
    }
}

fn grow(samples: &mut Vec<f32>, length: usize) {
    if samples.len() < length {
        samples.resize(length, 0.0);
    }
}
