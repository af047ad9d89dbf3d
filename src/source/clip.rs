//! A decoded sound that all sessions of a process share.

use crate::audio::Samples;

/// A decoded sound, at 48 kHz. It never changes, so that any number of playbacks read it at once.
pub struct Clip {
    /// Tells the clips of this process apart.
    id: u64,
    channels: usize,
    samples: Box<[f32]>,
}

impl Clip {
    /// `samples` are interleaved, `channels` wide, at 48 kHz.
    pub fn new(id: u64, channels: usize, samples: Box<[f32]>) -> Self {
        Self { id, channels, samples }
    }

    /// Tells the clips of this process apart; never used twice.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// 1 or 2.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Samples per channel.
    pub fn length(&self) -> Samples {
        (self.samples.len() / self.channels) as Samples
    }

    /// All of it, interleaved.
    pub fn samples(&self) -> &[f32] {
        &self.samples
    }
}
