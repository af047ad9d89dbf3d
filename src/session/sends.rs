//! Data that waits to be sent.

use std::collections::BTreeMap;

use crate::error::{Code, Result, SpeakerError};
use crate::ids::Ticket;

/// The most bytes that may wait. A caller that awaits each call never has more than one waiting.
const MAX_BYTES: usize = 1024 * 1024;

#[derive(Default)]
pub struct Sends {
    /// The size of each call's data.
    waiting: BTreeMap<Ticket, usize>,
    bytes: usize,
}

impl Sends {
    /// Adds a call with so many bytes of data; fails if too many wait.
    pub fn add(&mut self, ticket: Ticket, bytes: usize) -> Result<()> {
        if self.bytes + bytes > MAX_BYTES {
            let message =
                format!("Expected at most {MAX_BYTES} bytes of data that wait to be sent but {} wait", self.bytes);
            return Err(SpeakerError::new(Code::QueueFull, message));
        }
        self.waiting.insert(ticket, bytes);
        self.bytes += bytes;
        Ok(())
    }

    /// Removes a call. Returns false if it does not wait.
    pub fn remove(&mut self, ticket: Ticket) -> bool {
        let bytes = self.waiting.remove(&ticket);
        self.bytes -= bytes.unwrap_or(0);
        bytes.is_some()
    }

    pub fn are_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Removes all calls, and returns them.
    pub fn give_up(&mut self) -> Vec<Ticket> {
        self.bytes = 0;
        std::mem::take(&mut self.waiting).into_keys().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_waiting_data() {
        let mut sends = Sends::default();
        assert!(sends.add(1.into(), MAX_BYTES - 10).is_ok() && sends.add(2.into(), 10).is_ok());
        assert_eq!(sends.add(3.into(), 1).unwrap_err().code, Code::QueueFull);
        assert_eq!((sends.remove(3.into()), sends.remove(2.into()), sends.remove(2.into())), (false, true, false));
        assert!(sends.add(4.into(), 10).is_ok());
        assert_eq!(sends.give_up(), [1, 4].map(Ticket::from));
        assert!(!sends.are_waiting() && sends.add(5.into(), MAX_BYTES).is_ok());
    }
}
