//! What a session knows of its output. The output itself belongs to the driver; requests go to it by the outbox, and what
//! becomes of them comes back as [`OutputEvent`](crate::output::OutputEvent).

use super::outbox::{Outbox, OutputRequest, Ticket};
use crate::error::SpeakerError;
use crate::mixer::Routing;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connection {
    Closed,
    Opening,
    Open,
    /// It can't be written for now. The session's time stands still meanwhile, or goes on.
    Cut {
        is_halted: bool,
    },
}

pub struct OutputState {
    routing: Routing,
    pub connection: Connection,
    /// `connected` was told, and `disconnected` was not.
    pub was_connected: bool,
    /// Streams that were asked for, and whether they take samples.
    streams: Vec<(u32, bool)>,
    /// Tickets of `connect`.
    tickets: Vec<Ticket>,
    /// What failed last, if nothing went well since.
    failure: Option<SpeakerError>,
}

impl OutputState {
    pub fn new(routing: Routing) -> Self {
        let (connection, streams, tickets) = (Connection::Closed, Vec::new(), Vec::new());
        Self { routing, connection, was_connected: false, streams, tickets, failure: None }
    }

    pub fn is_open(&self) -> bool {
        self.connection == Connection::Open
    }

    /// Asks for the output to be opened. Returns false if that was done already.
    pub fn connect(&mut self, outbox: &mut Outbox) -> bool {
        let is_closed = self.connection == Connection::Closed;
        if is_closed {
            self.connection = Connection::Opening;
            outbox.request(OutputRequest::Open);
        }
        is_closed
    }

    pub fn add_ticket(&mut self, ticket: Ticket) {
        self.tickets.push(ticket);
    }

    pub fn remove_ticket(&mut self, ticket: Ticket) -> bool {
        let index = self.tickets.iter().position(|waiting| *waiting == ticket);
        index.map(|index| self.tickets.remove(index)).is_some()
    }

    pub fn has_tickets(&self) -> bool {
        !self.tickets.is_empty()
    }

    pub fn take_tickets(&mut self) -> Vec<Ticket> {
        std::mem::take(&mut self.tickets)
    }

    /// Returns true if a stream takes samples now. The first time it is asked for, it is requested.
    pub fn takes(&mut self, stream: u32, outbox: &mut Outbox) -> bool {
        if self.routing == Routing::Mixdown {
            return self.is_open();
        }
        match self.streams.iter().find(|(known, _)| *known == stream) {
            Some((_, is_open)) => *is_open && self.is_open(),
            None => {
                self.streams.push((stream, false));
                outbox.request(OutputRequest::Prepare(stream));
                false
            }
        }
    }

    pub fn stream_opened(&mut self, stream: u32) {
        match self.streams.iter_mut().find(|(known, _)| *known == stream) {
            Some((_, is_open)) => *is_open = true,
            None => self.streams.push((stream, true)),
        }
    }

    /// Something failed, which may be a stream that was to be opened: those that are not open are asked for again. Returns true if
    /// it is to be told: a disk that is full fails every frame, and is one failure.
    pub fn failed(&mut self, error: &SpeakerError) -> bool {
        self.streams.retain(|(_, is_open)| *is_open);
        self.failure.replace(error.clone()).as_ref() != Some(error)
    }

    /// It took a frame.
    pub fn succeeded(&mut self) {
        self.failure = None;
    }

    /// The output is gone, with its streams.
    pub fn closed(&mut self) {
        self.connection = Connection::Closed;
        self.failure = None;
        self.streams.clear();
    }
}
