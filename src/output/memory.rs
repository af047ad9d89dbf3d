//! The output that remembers: for test suites.

use std::sync::Arc;

use parking_lot::Mutex;

use super::{Closing, Output, closed};
use crate::audio::Samples;
use crate::error::Result;
use crate::mixer::Frame;

pub struct Memory {
    channels: usize,
    store: Arc<Mutex<Vec<f32>>>,
}

impl Memory {
    pub fn new(channels: usize, store: Arc<Mutex<Vec<f32>>>) -> Self {
        Self { channels, store }
    }
}

impl Output for Memory {
    fn write(&mut self, frame: &Frame) -> Result<bool> {
        self.store.lock().extend_from_slice(frame.samples);
        Ok(true)
    }

    fn skip(&mut self, samples: Samples) -> Result<()> {
        let mut store = self.store.lock();
        let length = store.len() + samples as usize * self.channels;
        store.resize(length, 0.0);
        Ok(())
    }

    fn close(&mut self) -> Closing {
        closed(Ok(()))
    }
}
