//! The one voice of a session: numbers what happened and hands it to the user's side.

use std::sync::Arc;

use super::Counters;
use crate::audio::{Samples, to_ms};
use crate::error::SpeakerError;
use crate::event::{Event, EventKind, Message, Sink};

pub struct Publisher {
    counters: Arc<Counters>,
    sink: Sink,
    /// Noted while a frame is mixed; told once it is handed over.
    outbox: Vec<(Samples, Option<String>, EventKind)>,
    seq: u64,
}

impl Publisher {
    pub fn new(counters: Arc<Counters>, sink: Sink) -> Self {
        Self { counters, sink, outbox: Vec::new(), seq: 0 }
    }

    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    pub fn note(&mut self, at: Samples, request_id: Option<String>, event: EventKind) {
        self.outbox.push((at, request_id, event));
    }

    /// The frame was not handed over: what it brought to its end was not heard whole.
    pub fn retract(&mut self, error: &SpeakerError) {
        for (_, _, event) in &mut self.outbox {
            if let EventKind::Completed { duration_ms, position_ms } = *event {
                let SpeakerError { code, message } = error.clone();
                *event = EventKind::Failed { code, message, duration_ms, position_ms };
            }
        }
    }

    pub fn publish(&mut self) {
        for (at, request_id, kind) in self.outbox.drain(..) {
            match kind {
                EventKind::Completed { .. } => Counters::add(&self.counters.completed),
                EventKind::Stopped { .. } => Counters::add(&self.counters.stopped),
                EventKind::Failed { .. } => Counters::add(&self.counters.failed),
                _ => {}
            }
            self.seq += 1;
            tracing::debug!(seq = self.seq, at_ms = to_ms(at), request_id, event = ?kind);
            (self.sink)(Message::Event(Event { seq: self.seq, at_ms: to_ms(at), request_id, kind }));
        }
    }

    pub fn settle(&self, ticket: u32, error: Option<SpeakerError>) {
        (self.sink)(Message::Settled { ticket, error });
    }
}
