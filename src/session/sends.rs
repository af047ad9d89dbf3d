//! Data that was to be sent, and is not on its way yet.

use std::collections::BTreeMap;

use super::outbox::Ticket;
use crate::error::{Code, Result, SpeakerError};

/// How many bytes may wait. Whoever waits for each call has never more than one.
const MOST: usize = 1024 * 1024;

#[derive(Default)]
pub struct Sends {
    /// What each call's data takes.
    waiting: BTreeMap<Ticket, usize>,
    bytes: usize,
}

impl Sends {
    /// One more call waits, whose data takes so many bytes; or why it can't.
    pub fn add(&mut self, ticket: Ticket, bytes: usize) -> Result<()> {
        if self.bytes + bytes > MOST {
            let message = format!("Expected at most {MOST} bytes of data that wait to be sent but {} wait", self.bytes);
            return Err(SpeakerError::new(Code::QueueFull, message));
        }
        self.waiting.insert(ticket, bytes);
        self.bytes += bytes;
        Ok(())
    }

    /// A call waits no longer. Returns false if it did not.
    pub fn remove(&mut self, ticket: Ticket) -> bool {
        let bytes = self.waiting.remove(&ticket);
        self.bytes -= bytes.unwrap_or(0);
        bytes.is_some()
    }

    pub fn are_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// No call waits any longer: those that did.
    pub fn give_up(&mut self) -> Vec<Ticket> {
        self.bytes = 0;
        std::mem::take(&mut self.waiting).into_keys().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_bounded() {
        let mut sends = Sends::default();
        assert!(sends.add(1, MOST - 10).is_ok() && sends.add(2, 10).is_ok());
        assert_eq!(sends.add(3, 1).unwrap_err().code, Code::QueueFull);
        assert_eq!((sends.remove(3), sends.remove(2), sends.remove(2)), (false, true, false));
        assert!(sends.add(4, 10).is_ok());
        assert_eq!(sends.give_up(), [1, 4]);
        assert!(!sends.are_waiting() && sends.add(5, MOST).is_ok());
    }
}
