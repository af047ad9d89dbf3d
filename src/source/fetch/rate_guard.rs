//! Enforces the least speed of a body.

use std::time::Duration;

use reqwest::Url;
use tokio_util::bytes::Bytes;

use super::answer::ResponseBody;
use super::{FetchLimits, timed_out};
use crate::error::{Code, Result, SpeakerError};
use crate::net::http;
use crate::runtime::{last_look, slice};

/// Checks that a body arrives fast enough.
pub struct RateGuard {
    /// The address of the body.
    pub url: Url,
    limit: Duration,
    /// The bytes required in each span of `limit`, and the time that the current one has lasted; `None` before the first byte, because
    /// until then a server may be preparing the answer.
    min_bytes: u64,
    span: Option<Duration>,
    received: u64,
}

impl RateGuard {
    pub fn new(FetchLimits { timeout: limit, min_bytes_per_second }: FetchLimits, url: Url) -> Self {
        Self { url, limit, min_bytes: (min_bytes_per_second * limit.as_secs_f64()) as u64, span: None, received: 0 }
    }

    /// Returns the next chunk of the body; `None` at its end.
    pub async fn next_chunk(&mut self, body: &mut ResponseBody) -> Result<Option<Bytes>> {
        let piece = body.chunk();
        tokio::pin!(piece);
        let mut silence = Duration::ZERO;
        while silence < self.limit {
            let (piece, time) = slice(self.limit, piece.as_mut()).await;
            if let Some(piece) = piece {
                return self.accept(piece, time);
            }
            silence += time;
            self.add_time(time)?;
        }
        match last_look(piece.as_mut()).await {
            Some(piece) => self.accept(piece, Duration::ZERO),
            None => Err(timed_out(self.limit, &self.url)),
        }
    }

    /// Takes a chunk that arrived after some time.
    fn accept(&mut self, piece: reqwest::Result<Option<Bytes>>, time: Duration) -> Result<Option<Bytes>> {
        let piece = piece.map_err(|error| {
            let (host, reason) = (http::host(&self.url), http::reason(&error));
            let message = format!("the body of audioUrl ended early: {host}: {reason}");
            SpeakerError::new(Code::Truncated, message).because_of(&error)
        })?;
        if let Some(piece) = &piece {
            self.received += piece.len() as u64;
            self.add_time(time)?;
            self.span.get_or_insert_default();
        }
        Ok(piece)
    }

    /// Counts time; fails at the end of a span with too few bytes.
    fn add_time(&mut self, time: Duration) -> Result<()> {
        let Some(span) = &mut self.span else { return Ok(()) };
        *span += time;
        if *span < self.limit {
            return Ok(());
        }
        if self.received < self.min_bytes {
            let Self { limit, min_bytes, received, .. } = self;
            let limit = limit.as_millis();
            let message = format!(
                "Expected at least {min_bytes} bytes in {limit} ms for audioUrl (minFetchBytesPerSecond) but received {received}"
            );
            return Err(SpeakerError::new(Code::FetchTimeout, message));
        }
        (self.span, self.received) = (Some(Duration::ZERO), 0);
        Ok(())
    }
}
