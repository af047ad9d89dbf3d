//! A body, over as many answers as it takes: where the connection breaks, the rest is requested from that byte on.
//!
//! A validator (`ETag`, `Last-Modified`) proves that the rest belongs to the bytes before it; without one, the last 4 KiB are requested
//! again and compared. A live stream has no rest: it goes on with whatever is sent next.

use reqwest::header::CONTENT_TYPE;
use reqwest::{StatusCode, Url};
use tokio::time::sleep;
use tokio_util::bytes::{Buf, Bytes};

use super::ask::{Asker, Wanted};
use super::body::{Answer, Body, Validators};
use super::freshness::Step;
use super::icy::{self, Icy, NowPlaying, Part};
use super::pace::Pace;
use super::parts::Parts;
use super::retry::Retries;
use crate::error::{Code, Result, SpeakerError};
use crate::net::http;
use crate::redact::redact;
use crate::source::spool::Extent;

/// The number of bytes that are compared where a server gives no validator.
const OVERLAP: usize = 4 << 10;

/// The progress after which attempts are counted anew: a second of MP3 of 128 kbit/s.
const STEP: u64 = 16 << 10;

/// A piece of a body.
pub enum Piece {
    Bytes(Bytes),
    /// Metadata that applies to the bytes that follow.
    Metadata(NowPlaying),
}

/// A body that is being downloaded.
pub struct Download {
    asker: Asker,
    body: Body,
    pace: Pace,
    validators: Validators,
    codings: Vec<String>,
    begins: u64,
    /// The length of the whole, if it is known.
    total: Option<u64>,
    is_live: bool,
    /// True if the end of the answer is that of the whole, when no length is stated.
    ends_whole: bool,
    /// The number of bytes received of the whole, and the last of them.
    place: u64,
    last: Vec<u8>,
    /// The number of bytes in the answer before the first new one, and the expected value of the last of those.
    again: u64,
    compared: Vec<u8>,
    /// The number of new bytes in this answer.
    gained: u64,
    retries: Retries,
    icy: Option<Icy>,
    /// The bytes of the body that are not taken yet.
    rest: Bytes,
    station: Option<NowPlaying>,
    content_type: Option<String>,
    /// The means to request any part of the whole.
    parts: Option<Parts>,
}

impl Download {
    /// Makes the body of an answer to a request of `asker`.
    pub fn new(asker: Asker, answer: Answer) -> Result<Self> {
        let is_asked_part = asker.asks_for_a_part() || asker.part().is_some();
        let codings = super::coding::known(&answer.codings());
        let is_live = answer.is_live() && codings.is_empty();
        let (mut total, mut ends_whole) = (answer.length(), true);
        if answer.status == StatusCode::PARTIAL_CONTENT && !is_asked_part && !is_live {
            // A part that was not requested; the rest is requested.
            let part = answer.part().filter(|part| part.from == Some(0));
            let Some(part) = part else {
                let host = http::host(&answer.url);
                let message = format!("Expected audioUrl from its start but received a part of it from {host}");
                return Err(SpeakerError::new(Code::FetchFailed, message));
            };
            (total, ends_whole) = (part.total, false);
        }
        let is_part = answer.status == StatusCode::PARTIAL_CONTENT;
        let begins = answer.part().and_then(|part| part.from).filter(|_| is_part).unwrap_or(0);
        let station = icy::station(&answer.headers).filter(|_| is_live);
        let station = station.map(|station| NowPlaying { station: Some(station), ..NowPlaying::default() });
        let icy = Icy::new(&answer.headers).filter(|_| codings.is_empty());
        let is_whole = answer.status == StatusCode::OK && !is_asked_part && !is_live && codings.is_empty();
        let parts = total.filter(|_| is_whole && icy.is_none() && answer.has_parts()).map(|total| Parts {
            fetch: asker.fetch().clone(),
            limits: asker.limits,
            validators: answer.validators(),
            total,
        });
        let content_type = answer.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(redact);
        Ok(Self {
            icy,
            codings,
            begins,
            total,
            ends_whole,
            station,
            content_type,
            parts,
            ..Self::plain(asker, answer, is_live)
        })
    }

    /// Makes the body of an answer that is sent as it is.
    fn plain(asker: Asker, answer: Answer, is_live: bool) -> Self {
        Self {
            pace: Pace::new(asker.limits, answer.url.clone()),
            validators: answer.validators(),
            retries: Retries::new(is_live),
            icy: None,
            body: answer.body,
            asker,
            codings: Vec::new(),
            begins: 0,
            total: None,
            is_live,
            ends_whole: true,
            place: 0,
            last: Vec::new(),
            again: 0,
            compared: Vec::new(),
            gained: 0,
            rest: Bytes::new(),
            station: None,
            content_type: None,
            parts: None,
        }
    }

    /// Requests the part of `parts` from a byte on, to its end.
    pub async fn part(mut asker: Asker, wanted: &Wanted, parts: &Parts) -> Result<Self> {
        let answer = asker.ask(Some(wanted), Retries::new(false)).await?;
        let part = answer.part().filter(|_| answer.status == StatusCode::PARTIAL_CONTENT);
        let is_it = part.is_some_and(|part| part.from == Some(wanted.from) && part.total == Some(parts.total));
        if !is_it || parts.validators.differ(&answer.validators()) || !answer.codings().is_empty() {
            let host = http::host(&answer.url);
            let message = format!(
                "Expected a part of audioUrl from byte {} on but received another answer from {host}",
                wanted.from
            );
            return Err(SpeakerError::new(Code::FetchFailed, message));
        }
        Ok(Self {
            validators: parts.validators.clone(),
            total: Some(parts.total),
            // Places are counted from the start of the whole.
            place: wanted.from,
            ..Self::plain(asker, answer, false)
        })
    }

    /// Returns the means to request any part of the whole, if the server supports that.
    pub fn parts(&mut self) -> Option<Parts> {
        self.parts.take()
    }

    /// Returns its address, behind all redirects.
    pub fn url(&self) -> &Url {
        &self.pace.url
    }

    /// Returns the place in the whole where it begins, if a part was requested.
    pub fn begins(&self) -> u64 {
        self.begins
    }

    /// Returns the redirects that were followed, and the answer that they led to.
    pub fn steps(&self) -> &[Step] {
        self.asker.steps()
    }

    /// Returns true if its end is certain and it carries no metadata between its bytes, so that it may be shared with others.
    pub fn is_plain(&self) -> bool {
        !self.is_live && self.icy.is_none() && self.ends_whole && !self.body.ends_with_connection
    }

    /// Returns its length, as far as it is known.
    pub fn extent(&self) -> Extent {
        match self.total {
            _ if self.is_live => Extent::Live,
            _ if !self.codings.is_empty() => Extent::Bounded,
            Some(total) => Extent::Known(total),
            None => Extent::Unknown,
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

    /// Returns the next piece; `None` at the end of the whole.
    pub async fn next(&mut self) -> Result<Option<Piece>> {
        if let Some(station) = self.station.take() {
            return Ok(Some(Piece::Metadata(station)));
        }
        loop {
            match &mut self.icy {
                Some(icy) => match icy.next(&mut self.rest) {
                    Some(Part::Sound(bytes)) => return Ok(Some(Piece::Bytes(bytes))),
                    Some(Part::Metadata(metadata)) => return Ok(Some(Piece::Metadata(metadata))),
                    None => {}
                },
                None if self.rest.is_empty() => {}
                None => return Ok(Some(Piece::Bytes(std::mem::take(&mut self.rest)))),
            }
            let error = match self.pace.keep(&mut self.body).await {
                Ok(Some(chunk)) => {
                    self.rest = self.take(chunk)?;
                    continue;
                }
                Ok(None) if self.is_whole() => return Ok(None),
                Ok(None) => {
                    let host = http::host(&self.pace.url);
                    let message = format!("the body of audioUrl ended early: {host}: the connection was closed");
                    SpeakerError::new(Code::Truncated, message)
                }
                // No bytes, or too slow: that server would be no better from another byte on.
                Err(error) if error.code != Code::Truncated && !self.is_live => return Err(error),
                Err(error) => error,
            };
            if !self.go_on(&error).await? {
                return Ok(None);
            }
        }
    }

    /// Returns true if the end of the answer is that of the whole.
    fn is_whole(&self) -> bool {
        match self.total {
            _ if self.again > 0 || !self.compared.is_empty() => false,
            // A live answer with a proper end has ended; one that is cut off has not.
            _ if self.is_live => !self.body.ends_with_connection,
            Some(total) => self.place >= total,
            None => self.ends_whole,
        }
    }

    /// Takes a piece of the answer; returns the new bytes in it.
    fn take(&mut self, mut chunk: Bytes) -> Result<Bytes> {
        let skipped = self.again.min(chunk.len() as u64);
        self.again -= skipped;
        chunk.advance(skipped as usize);
        let compared = self.compared.len().min(chunk.len());
        if self.compared[..compared] != chunk[..compared] {
            return Err(changed(&http::host(&self.pace.url)));
        }
        self.compared.drain(..compared);
        chunk.advance(compared);
        self.place += chunk.len() as u64;
        self.gained += chunk.len() as u64;
        if !self.is_live && self.validators.if_range().is_none() {
            let kept = chunk.len().min(OVERLAP);
            let surplus = (self.last.len() + kept).saturating_sub(OVERLAP);
            self.last.drain(..surplus);
            self.last.extend_from_slice(&chunk[chunk.len() - kept..]);
        }
        Ok(chunk)
    }

    /// Requests the rest after the answer broke off. Returns false if nothing follows.
    async fn go_on(&mut self, error: &SpeakerError) -> Result<bool> {
        // Titles between the bytes make byte positions ambiguous.
        if self.asker.asks_for_a_part() || !self.is_live && self.icy.is_some() {
            return Err(error.clone());
        }
        let is_first = self.gained >= STEP;
        if is_first {
            self.retries = Retries::new(self.is_live);
        }
        self.gained = 0;
        let Some(wait) = self.retries.wait(None) else { return Err(error.clone()) };
        tracing::debug!(place = self.place, live = self.is_live, reason = %error, "asked for what follows of audioUrl");
        if !is_first {
            sleep(wait).await;
        }
        let if_range = self.validators.if_range().cloned();
        let from = self.begins + self.place - self.last.len() as u64;
        let wanted = (!self.is_live && self.place > 0).then_some(Wanted { from, if_range });
        let answer = self.asker.ask(wanted.as_ref(), Retries::new(self.is_live)).await;
        let answer = answer.map_err(|reason| because(error, &reason.message))?;
        if self.is_live {
            self.icy = Icy::new(&answer.headers);
        } else if !self.meets(&answer, from).map_err(|reason| because(error, reason))? {
            return Ok(false);
        }
        self.pace.url = answer.url;
        self.body = answer.body;
        Ok(true)
    }

    /// Finds the start of the rest in an answer. Returns false if there is none, and fails with the reason if it is another body.
    fn meets(&mut self, answer: &Answer, from: u64) -> std::result::Result<bool, &'static str> {
        if self.validators.differ(&answer.validators()) {
            return Err("it has changed");
        }
        let part = answer.part();
        let total = match answer.status {
            // The stated length is that of all, of which only a part is wanted.
            _ if self.asker.part().is_some() => None,
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => part.and_then(|part| part.total),
            _ => answer.length(),
        };
        if self.total.zip(total).is_some_and(|(known, total)| known != total) {
            return Err("its length has changed");
        }
        if answer.status == StatusCode::RANGE_NOT_SATISFIABLE {
            // No byte follows the last one.
            return if total == Some(self.place) { Ok(false) } else { Err("it has no more bytes") };
        }
        if super::coding::known(&answer.codings()) != self.codings {
            return Err("it is encoded otherwise");
        }
        let is_part = answer.status == StatusCode::PARTIAL_CONTENT;
        let begins = match is_part {
            true => part.and_then(|part| part.from).filter(|begins| *begins <= from),
            false => Some(0),
        };
        let begins = begins.ok_or("it has sent another part")?;
        self.total = self.total.or(total);
        // A request without a last byte extends to the end.
        self.ends_whole = !is_part || self.place > 0;
        self.again = from - begins;
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
fn because(error: &SpeakerError, reason: &str) -> SpeakerError {
    let SpeakerError { code, message, cause } = error;
    SpeakerError {
        cause: cause.clone(),
        ..SpeakerError::new(*code, format!("{message}; asked for the rest: {reason}"))
    }
}
