//! Readers that a test fills itself.
#![allow(dead_code, reason = "every test crate uses a part of it")]

use std::sync::Arc;

use rtrb::{Producer, RingBuffer};
use speaker_session::internals::audio::RING;
use speaker_session::internals::error::Result;
use speaker_session::internals::source::{PcmReader, Section, SourceState, Supply};

/// The writing end of a reader.
pub struct Hand {
    ring: Producer<f32>,
    shared: Arc<SourceState>,
}

impl Hand {
    /// A reader of `channels` channels that knows `ahead` samples more than others, and its writing end.
    pub fn reader(channels: usize, ahead: usize, clip: Section, reader: Option<Supply>) -> (Self, PcmReader) {
        let (ring, consumer) = RingBuffer::new((RING + ahead) * channels);
        let shared = Arc::new(SourceState::default());
        (Self { ring, shared: shared.clone() }, PcmReader::new(consumer, ahead, channels, shared, clip, reader))
    }

    /// Appends interleaved samples, which must fit.
    pub fn push(&mut self, samples: &[f32]) {
        self.ring.push_entire_slice(samples).expect("the samples fit the ring");
    }

    /// Appends this many samples of a quiet level, or as many as fit, unless the source has ended.
    pub fn fill(&mut self, samples: usize) {
        let room = self.ring.slots().min(samples);
        if !self.is_ended() {
            self.push(&vec![0.25; room]);
        }
    }

    /// Returns true if the source has ended.
    pub fn is_ended(&self) -> bool {
        self.shared.outcome.get().is_some()
    }

    /// Ends the source, once.
    pub fn end(&self, outcome: Result<()>) {
        self.shared.outcome.set(outcome).expect("a source ends once");
    }

    /// Returns true if the reader was dropped.
    pub fn is_dropped(&self) -> bool {
        Arc::strong_count(&self.shared) == 1
    }
}
