//! A decoded sound that all sessions of a process share.

use std::any::Any;
use std::sync::OnceLock;

use crate::audio::Samples;

/// A decoded sound, at 48 kHz. It never changes, so that any number of playbacks read it at once.
pub struct Clip {
    /// Tells the clips of this process apart.
    id: u64,
    channels: usize,
    samples: Box<[f32]>,
    companion: OnceLock<Box<dyn Any + Send + Sync>>,
}

impl Clip {
    /// `samples` are interleaved, `channels` wide, at 48 kHz.
    pub fn new(id: u64, channels: usize, samples: Box<[f32]>) -> Self {
        Self { id, channels, samples, companion: OnceLock::new() }
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

    /// Keeps what `make` gives until the clip is dropped: a guard of what an output has made of it. Only the first is kept.
    pub fn keep<T: Send + Sync + 'static>(&self, make: impl FnOnce() -> T) {
        self.companion.get_or_init(|| Box::new(make()));
    }
}
