//! A body, over as many answers as it takes: where the connection breaks, the rest is requested from that byte on.
//!
//! A validator (`ETag`, `Last-Modified`) proves that the rest belongs to the bytes before it; without one, the last 4 KiB are requested
//! again and compared. A live stream has no rest: it goes on with whatever is sent next.

use reqwest::header::CONTENT_TYPE;
use reqwest::{StatusCode, Url};
use tokio::time::sleep;
use tokio_util::bytes::{Buf, Bytes};

use super::answer::{Answer, ResponseBody, Validators};
use super::freshness::Exchange;
use super::icy::{self, Chunk, Icy, NowPlaying};
use super::range_fetcher::RangeFetcher;
use super::rate_guard::RateGuard;
use super::requester::{RangeRequest, Requester};
use super::retry::Retries;
use crate::error::{Code, Result, SpeakerError};
use crate::net::http;
use crate::redact::redact;
use crate::source::spool::BodyLength;

/// The number of bytes that are compared where a server gives no validator.
const OVERLAP: usize = 4 << 10;

/// The progress after which attempts are counted anew: a second of MP3 of 128 kbit/s.
const RETRY_RESET_BYTES: u64 = 16 << 10;

/// A body that is being downloaded.
pub struct Download {
    requester: Requester,
    body: ResponseBody,
    guard: RateGuard,
    validators: Validators,
    codings: Vec<String>,
    starts_at: u64,
    /// The length of the whole, if it is known.
    total: Option<u64>,
    is_live: bool,
    /// True if the end of the answer is that of the whole, when no length is stated.
    ends_whole: bool,
    /// The number of bytes received of the whole, and the last of them.
    position: u64,
    last: Vec<u8>,
    /// The number of bytes in the answer before the first new one, and the expected value of the last of those.
    repeated: u64,
    compared: Vec<u8>,
    /// The number of new bytes in this answer.
    new_bytes: u64,
    retries: Retries,
    icy: Option<Icy>,
    /// The bytes of the body that are not taken yet.
    rest: Bytes,
    station: Option<NowPlaying>,
    content_type: Option<String>,
    /// The means to request any part of the whole.
    ranges: Option<RangeFetcher>,
}

impl Download {
    /// Makes the body of an answer to a request of `requester`.
    pub fn new(requester: Requester, answer: Answer) -> Result<Self> {
        let is_asked_part = requester.has_range_header() || requester.part_start().is_some();
        let codings = super::coding::known(&answer.codings());
        let is_live = answer.is_live() && codings.is_empty();
        let (mut total, mut ends_whole) = (answer.length(), true);
        if answer.status == StatusCode::PARTIAL_CONTENT && !is_asked_part && !is_live {
            // A part that was not requested; the rest is requested.
            let part = answer.content_range().filter(|part| part.from == Some(0));
            let Some(part) = part else {
                let host = http::host(&answer.url);
                let message = format!("Expected audioUrl from its start but received a part of it from {host}");
                return Err(SpeakerError::new(Code::FetchFailed, message));
            };
            (total, ends_whole) = (part.total, false);
        }
        let is_part = answer.status == StatusCode::PARTIAL_CONTENT;
        let starts_at = answer.content_range().and_then(|part| part.from).filter(|_| is_part).unwrap_or(0);
        let station = icy::station(&answer.headers).filter(|_| is_live);
        let station = station.map(|station| NowPlaying { station: Some(station), ..NowPlaying::default() });
        let icy = Icy::new(&answer.headers).filter(|_| codings.is_empty());
        let is_whole = answer.status == StatusCode::OK && !is_asked_part && !is_live && codings.is_empty();
        let ranges =
            total.filter(|_| is_whole && icy.is_none() && answer.supports_ranges()).map(|total| RangeFetcher {
                fetch: requester.fetch().clone(),
                limits: requester.limits,
                validators: answer.validators(),
                total,
            });
        let content_type = answer.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(redact);
        Ok(Self {
            icy,
            codings,
            starts_at,
            total,
            ends_whole,
            station,
            content_type,
            ranges,
            ..Self::of_answer(requester, answer, is_live)
        })
    }

    /// Makes the body of an answer that is sent as it is.
    fn of_answer(requester: Requester, answer: Answer, is_live: bool) -> Self {
        Self {
            guard: RateGuard::new(requester.limits, answer.url.clone()),
            validators: answer.validators(),
            retries: Retries::new(is_live),
            icy: None,
            body: answer.body,
            requester,
            codings: Vec::new(),
            starts_at: 0,
            total: None,
            is_live,
            ends_whole: true,
            position: 0,
            last: Vec::new(),
            repeated: 0,
            compared: Vec::new(),
            new_bytes: 0,
            rest: Bytes::new(),
            station: None,
            content_type: None,
            ranges: None,
        }
    }

    /// Requests the part of `ranges` from a byte on, to its end.
    pub async fn range(mut requester: Requester, range_request: &RangeRequest, ranges: &RangeFetcher) -> Result<Self> {
        let answer = requester.request(Some(range_request), Retries::new(false)).await?;
        let part = answer.content_range().filter(|_| answer.status == StatusCode::PARTIAL_CONTENT);
        let is_it = part.is_some_and(|part| part.from == Some(range_request.from) && part.total == Some(ranges.total));
        if !is_it || ranges.validators.differ(&answer.validators()) || !answer.codings().is_empty() {
            let host = http::host(&answer.url);
            let message = format!(
                "Expected a part of audioUrl from byte {} on but received another answer from {host}",
                range_request.from
            );
            return Err(SpeakerError::new(Code::FetchFailed, message));
        }
        Ok(Self {
            validators: ranges.validators.clone(),
            total: Some(ranges.total),
            // Positions are counted from the start of the whole.
            position: range_request.from,
            ..Self::of_answer(requester, answer, false)
        })
    }

    /// Returns the means to request any part of the whole, if the server supports that.
    pub fn ranges(&mut self) -> Option<RangeFetcher> {
        self.ranges.take()
    }

    /// Returns its address, behind all redirects.
    pub fn url(&self) -> &Url {
        &self.guard.url
    }

    /// Returns the position in the whole where it begins, if a part was requested.
    pub fn starts_at(&self) -> u64 {
        self.starts_at
    }

    /// Returns the redirects that were followed, and the answer that they led to.
    pub fn exchanges(&self) -> &[Exchange] {
        self.requester.exchanges()
    }

    /// Returns true if its end is certain and it carries no metadata between its bytes, so that it may be shared with others.
    pub fn is_shareable(&self) -> bool {
        !self.is_live && self.icy.is_none() && self.ends_whole && !self.body.ends_with_connection
    }

    /// Returns its length, as far as it is known.
    pub fn body_length(&self) -> BodyLength {
        match self.total {
            _ if self.is_live => BodyLength::Live,
            _ if !self.codings.is_empty() => BodyLength::Bounded,
            Some(total) => BodyLength::Known(total),
            None => BodyLength::Unknown,
        }
    }

    /// Takes its media type, safe to display.
    pub fn content_type(&mut self) -> Option<String> {
        self.content_type.take()
    }

    /// Returns the codings to undo, in the order in which they were applied.
    pub fn codings(&self) -> Vec<String> {
        self.codings.clone()
    }

    /// Returns the next chunk; `None` at the end of the whole.
    pub async fn next(&mut self) -> Result<Option<Chunk>> {
        if let Some(station) = self.station.take() {
            return Ok(Some(Chunk::Metadata(station)));
        }
        loop {
            match &mut self.icy {
                Some(icy) => {
                    if let Some(chunk) = icy.next(&mut self.rest) {
                        return Ok(Some(chunk));
                    }
                }
                None if self.rest.is_empty() => {}
                None => return Ok(Some(Chunk::Bytes(std::mem::take(&mut self.rest)))),
            }
            let error = match self.guard.next_chunk(&mut self.body).await {
                Ok(Some(chunk)) => {
                    self.rest = self.take(chunk)?;
                    continue;
                }
                Ok(None) if self.is_whole() => return Ok(None),
                Ok(None) => {
                    let host = http::host(&self.guard.url);
                    let message = format!("the body of audioUrl ended early: {host}: the connection was closed");
                    SpeakerError::new(Code::Truncated, message)
                }
                // No bytes, or too slow: that server would be no better from another byte on.
                Err(error) if error.code != Code::Truncated && !self.is_live => return Err(error),
                Err(error) => error,
            };
            if !self.resume(&error).await? {
                return Ok(None);
            }
        }
    }

    /// Returns true if the end of the answer is that of the whole.
    fn is_whole(&self) -> bool {
        match self.total {
            _ if self.repeated > 0 || !self.compared.is_empty() => false,
            // A live answer with a proper end has ended; one that is cut off has not.
            _ if self.is_live => !self.body.ends_with_connection,
            Some(total) => self.position >= total,
            None => self.ends_whole,
        }
    }

    /// Takes a chunk of the answer; returns the new bytes in it.
    fn take(&mut self, mut chunk: Bytes) -> Result<Bytes> {
        let skipped = self.repeated.min(chunk.len() as u64);
        self.repeated -= skipped;
        chunk.advance(skipped as usize);
        let compared = self.compared.len().min(chunk.len());
        if self.compared[..compared] != chunk[..compared] {
            return Err(changed(&http::host(&self.guard.url)));
        }
        self.compared.drain(..compared);
        chunk.advance(compared);
        self.position += chunk.len() as u64;
        self.new_bytes += chunk.len() as u64;
        if !self.is_live && self.validators.if_range().is_none() {
            let kept = chunk.len().min(OVERLAP);
            let surplus = (self.last.len() + kept).saturating_sub(OVERLAP);
            self.last.drain(..surplus);
            self.last.extend_from_slice(&chunk[chunk.len() - kept..]);
        }
        Ok(chunk)
    }

    /// Requests the rest after the answer broke off. Returns false if nothing follows.
    async fn resume(&mut self, error: &SpeakerError) -> Result<bool> {
        // Titles between the bytes make byte positions ambiguous.
        if self.requester.has_range_header() || !self.is_live && self.icy.is_some() {
            return Err(error.clone());
        }
        let is_first = self.new_bytes >= RETRY_RESET_BYTES;
        if is_first {
            self.retries = Retries::new(self.is_live);
        }
        self.new_bytes = 0;
        let Some(wait) = self.retries.wait(None) else { return Err(error.clone()) };
        tracing::debug!(position = self.position, live = self.is_live, reason = %error, "asked for what follows of audioUrl");
        if !is_first {
            sleep(wait).await;
        }
        let if_range = self.validators.if_range().cloned();
        let from = self.starts_at + self.position - self.last.len() as u64;
        let range_request = (!self.is_live && self.position > 0).then_some(RangeRequest { from, if_range });
        let answer = self.requester.request(range_request.as_ref(), Retries::new(self.is_live)).await;
        let answer = answer.map_err(|reason| not_resumed(error, &reason.message))?;
        if self.is_live {
            self.icy = Icy::new(&answer.headers);
        } else if !self.continues_from(&answer, from).map_err(|reason| not_resumed(error, reason))? {
            return Ok(false);
        }
        self.guard.url = answer.url;
        self.body = answer.body;
        Ok(true)
    }

    /// Finds the start of the rest in an answer. Returns false if there is none, and fails with the reason if it is another body.
    fn continues_from(&mut self, answer: &Answer, from: u64) -> std::result::Result<bool, &'static str> {
        if self.validators.differ(&answer.validators()) {
            return Err("it has changed");
        }
        let part = answer.content_range();
        let total = match answer.status {
            // The stated length is that of all, of which only a part is wanted.
            _ if self.requester.part_start().is_some() => None,
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => part.and_then(|part| part.total),
            _ => answer.length(),
        };
        if self.total.zip(total).is_some_and(|(known, total)| known != total) {
            return Err("its length has changed");
        }
        if answer.status == StatusCode::RANGE_NOT_SATISFIABLE {
            // No byte follows the last one.
            return if total == Some(self.position) { Ok(false) } else { Err("it has no more bytes") };
        }
        if super::coding::known(&answer.codings()) != self.codings {
            return Err("it is encoded otherwise");
        }
        let is_part = answer.status == StatusCode::PARTIAL_CONTENT;
        let starts_at =
            if is_part { part.and_then(|part| part.from).filter(|starts_at| *starts_at <= from) } else { Some(0) };
        let starts_at = starts_at.ok_or("it has sent another part")?;
        self.total = self.total.or(total);
        // A request without a last byte extends to the end.
        self.ends_whole = !is_part || self.position > 0;
        self.repeated = from - starts_at;
        self.compared.clone_from(&self.last);
        Ok(true)
    }
}

/// Returns the error for a body that has changed in between.
pub fn changed(host: &str) -> SpeakerError {
    let message = format!("the body of audioUrl ended early: {host}: asked for the rest, it has changed");
    SpeakerError::new(Code::Truncated, message)
}

/// Returns the error that broke the body off, with the reason why it could not be resumed.
fn not_resumed(error: &SpeakerError, reason: &str) -> SpeakerError {
    let SpeakerError { code, message, cause } = error;
    SpeakerError {
        cause: cause.clone(),
        ..SpeakerError::new(*code, format!("{message}; asked for the rest: {reason}"))
    }
}
