//! What the room was asked to list of us, and has not answered yet.

use std::time::{Duration, Instant};

use crate::error::{Code, SpeakerError};
use crate::output::{Description, OutputEvent};

/// A request by its number, and the call that waits for the answer, if one does.
struct Asked {
    number: u32,
    description: Description,
    ticket: Option<u32>,
    until: Instant,
}

#[derive(Default)]
pub struct Requests {
    last: u32,
    asked: Vec<Asked>,
}

impl Requests {
    /// Numbers a request, which is to be answered within `limit`.
    pub fn ask(&mut self, description: Description, ticket: Option<u32>, limit: Duration, now: Instant) -> u32 {
        self.last += 1;
        self.asked.push(Asked { number: self.last, description, ticket, until: now + limit });
        self.last
    }

    /// Those that may have been lost with the signalling.
    pub fn unanswered(&self) -> impl Iterator<Item = (u32, &Description)> {
        self.asked.iter().map(|asked| (asked.number, &asked.description))
    }

    /// The room has answered. Returns what the session is to be told.
    pub fn answered(&mut self, number: u32, error: Option<SpeakerError>) -> Option<OutputEvent> {
        let index = self.asked.iter().position(|asked| asked.number == number)?;
        let ticket = self.asked.remove(index).ticket;
        if ticket.is_none()
            && let Some(error) = &error
        {
            tracing::warn!(%error, "a room that was joined anew does not list what the one before did");
        }
        Some(OutputEvent::Described(ticket?, error))
    }

    /// The first that was not answered in time: what the session is to be told.
    pub fn late(&mut self, limit: Duration, now: Instant) -> Option<OutputEvent> {
        let number = self.asked.iter().find(|asked| asked.until <= now)?.number;
        let message = format!("the LiveKit server did not answer within {} ms (connectTimeoutMs)", limit.as_millis());
        self.answered(number, Some(SpeakerError::new(Code::Refused, message)))
    }

    pub fn next_deadline(&self) -> Option<Instant> {
        self.asked.iter().map(|asked| asked.until).min()
    }

    /// The room is to be joined anew, and will be asked anew.
    pub fn reset(&mut self) {
        self.asked.clear();
    }
}
