//! One stream's sum: the window its voices add to, and the frame it becomes.

use super::limiter::Limiter;
use crate::audio::{FRAME, LOOK_AHEAD};

pub struct Bus {
    /// Which stream of the output this is.
    pub stream: u32,
    channels: usize,
    /// What is being summed, and [`LOOK_AHEAD`] samples more.
    sum: Vec<f32>,
    frame: Vec<f32>,
    /// Whether a voice had part in the frame, or the limiter still recovers.
    pub sounding: bool,
    limiter: Limiter,
}

impl Bus {
    pub fn new(stream: u32, channels: usize) -> Self {
        let sum = vec![0.0; (FRAME + LOOK_AHEAD) * channels];
        let frame = vec![0.0; FRAME * channels];
        Self { stream, channels, sum, frame, sounding: false, limiter: Limiter::new(channels) }
    }

    pub fn is_at_rest(&self) -> bool {
        self.limiter.is_at_rest()
    }

    /// Makes room for `frames` samples.
    pub fn clear(&mut self, frames: usize) {
        self.window(frames).fill(0.0);
    }

    /// `frames` samples and the look-ahead, to add to.
    pub fn window(&mut self, frames: usize) -> &mut [f32] {
        &mut self.sum[..(frames + LOOK_AHEAD) * self.channels]
    }

    /// Limits the window and puts its first `frames` samples into the frame, from sample `at` on.
    pub fn limit(&mut self, at: usize, frames: usize) {
        let window = &mut self.sum[..(frames + LOOK_AHEAD) * self.channels];
        self.limiter.process(window, frames);
        let samples = frames * self.channels;
        let place = at * self.channels;
        self.frame[place..place + samples].copy_from_slice(&window[..samples]);
    }

    pub fn frame(&self, frames: usize) -> &[f32] {
        &self.frame[..frames * self.channels]
    }
}
