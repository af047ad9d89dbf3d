//! The output that discards samples, for sessions that only need events.

use std::time::Instant;

use super::{Closing, Output, closed};
use crate::audio::Samples;
use crate::error::Result;
use crate::mixer::Frame;

pub struct NoOutput;

impl Output for NoOutput {
    fn write(&mut self, _frame: &Frame, _now: Instant) -> Result<bool> {
        Ok(true)
    }

    fn skip(&mut self, _samples: Samples) -> Result<()> {
        Ok(())
    }

    fn close(&mut self, _now: Instant) -> Closing {
        closed(Ok(()))
    }
}
