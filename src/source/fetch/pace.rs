//! Enforces the least speed of a body.

use std::time::Duration;

use reqwest::Url;
use tokio_util::bytes::Bytes;

use super::body::Body;
use super::{FetchLimits, silent};
use crate::error::{Code, Result, SpeakerError};
use crate::net::http;
use crate::runtime::{last_look, slice};

/// Checks that a body arrives fast enough.
pub struct Pace {
    /// The address of the body.
    pub url: Url,
    limit: Duration,
    /// The bytes required in each span of `limit`, and the time that the current one has lasted; `None` before the first byte, because
    /// until then a server may be preparing the answer.
    least: u64,
    span: Option<Duration>,
    came: u64,
}

impl Pace {
    pub fn new(FetchLimits { timeout: limit, min_bytes_per_second }: FetchLimits, url: Url) -> Self {
        Self { url, limit, least: (min_bytes_per_second * limit.as_secs_f64()) as u64, span: None, came: 0 }
    }

    /// Returns the next piece of the body; `None` at its end.
    pub async fn keep(&mut self, body: &mut Body) -> Result<Option<Bytes>> {
        let piece = body.chunk();
        tokio::pin!(piece);
        let mut silence = Duration::ZERO;
        while silence < self.limit {
            let (piece, time) = slice(self.limit, piece.as_mut()).await;
            if let Some(piece) = piece {
                return self.take(piece, time);
            }
            silence += time;
            self.pass(time)?;
        }
        match last_look(piece.as_mut()).await {
            Some(piece) => self.take(piece, Duration::ZERO),
            None => Err(silent(self.limit, &self.url)),
        }
    }

    /// Takes a piece that arrived after some time.
    fn take(&mut self, piece: reqwest::Result<Option<Bytes>>, time: Duration) -> Result<Option<Bytes>> {
        let piece = piece.map_err(|error| {
            let (host, reason) = (http::host(&self.url), http::reason(&error));
            let message = format!("the body of audioUrl ended early: {host}: {reason}");
            SpeakerError::new(Code::Truncated, message).because_of(&error)
        })?;
        if let Some(piece) = &piece {
            self.came += piece.len() as u64;
            self.pass(time)?;
            self.span.get_or_insert_default();
        }
        Ok(piece)
    }

    /// Counts time; fails at the end of a span with too few bytes.
    fn pass(&mut self, time: Duration) -> Result<()> {
        let Some(span) = &mut self.span else { return Ok(()) };
        *span += time;
        if *span < self.limit {
            return Ok(());
        }
        if self.came < self.least {
            let Self { limit, least, came, .. } = self;
            let limit = limit.as_millis();
            let message = format!(
                "Expected at least {least} bytes in {limit} ms for audioUrl (minFetchBytesPerSecond) but received {came}"
            );
            return Err(SpeakerError::new(Code::FetchTimeout, message));
        }
        (self.span, self.came) = (Some(Duration::ZERO), 0);
        Ok(())
    }
}
