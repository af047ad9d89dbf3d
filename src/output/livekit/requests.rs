//! Requests to update the local participant's metadata that the room has not answered yet.

use std::time::{Duration, Instant};

use crate::error::{Code, SpeakerError};
use crate::ids::Ticket;
use crate::output::{Description, OutputEvent};

/// A request with its number and the ticket of the call that waits for the answer, if one does.
struct Asked {
    number: u32,
    description: Description,
    ticket: Option<Ticket>,
    until: Instant,
}

#[derive(Default)]
pub struct Requests {
    last: u32,
    asked: Vec<Asked>,
}

impl Requests {
    /// Adds a request that has to be answered within `limit`. Returns its number.
    pub fn ask(&mut self, description: Description, ticket: Option<Ticket>, limit: Duration, now: Instant) -> u32 {
        self.last += 1;
        self.asked.push(Asked { number: self.last, description, ticket, until: now + limit });
        self.last
    }

    /// Returns the requests that may have been lost with the signalling.
    pub fn unanswered(&self) -> impl Iterator<Item = (u32, &Description)> {
        self.asked.iter().map(|asked| (asked.number, &asked.description))
    }

    /// Handles the room's answer. Returns the event to report.
    pub fn answered(&mut self, number: u32, error: Option<SpeakerError>) -> Option<OutputEvent> {
        let index = self.asked.iter().position(|asked| asked.number == number)?;
        let ticket = self.asked.remove(index).ticket;
        if ticket.is_none()
            && let Some(error) = &error
        {
            tracing::warn!(%error, "the rejoined room refuses the metadata of this participant");
        }
        Some(OutputEvent::Described { ticket: ticket?, error })
    }

    /// Fails the first request that was not answered in time. Returns the event to report.
    pub fn late(&mut self, limit: Duration, now: Instant) -> Option<OutputEvent> {
        let number = self.asked.iter().find(|asked| asked.until <= now)?.number;
        let message = format!("the LiveKit server did not answer within {} ms (connectTimeoutMs)", limit.as_millis());
        self.answered(number, Some(SpeakerError::new(Code::Refused, message)))
    }

    pub fn next_deadline(&self) -> Option<Instant> {
        self.asked.iter().map(|asked| asked.until).min()
    }

    /// Drops all requests, because the room is about to be rejoined and will be sent the description again.
    pub fn reset(&mut self) {
        self.asked.clear();
    }
}
