//! A body, over as many answers as it takes: where the connection breaks, the rest is asked for from that byte on.
//!
//! That the rest belongs to what came is known by a validator (`ETag`, `Last-Modified`), or else by the last 4 KiB, which are asked for
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

/// What is compared where a server gives no validator.
const OVERLAP: usize = 4 << 10;

/// An answer that brings so much is a step forward, behind which attempts are counted anew: a second of MP3 of 128 kbit/s.
const STEP: u64 = 16 << 10;

/// A piece of a body.
pub enum Piece {
    Bytes(Bytes),
    /// What is said of the bytes that follow.
    Metadata(NowPlaying),
}

/// A body that comes.
pub struct Download {
    asker: Asker,
    body: Body,
    pace: Pace,
    validators: Validators,
    codings: Vec<String>,
    begins: u64,
    /// How long the whole is, if that is known.
    total: Option<u64>,
    is_live: bool,
    /// The answer ends where the whole does, if no length says so.
    ends_whole: bool,
    /// How much came of the whole, and the last of it.
    place: u64,
    last: Vec<u8>,
    /// How much of the answer comes before what is new, and what the last of that is to be.
    again: u64,
    compared: Vec<u8>,
    /// How much was new in this answer.
    gained: u64,
    retries: Retries,
    icy: Option<Icy>,
    /// What of the body is not taken yet.
    rest: Bytes,
    station: Option<NowPlaying>,
    content_type: Option<String>,
    /// Where any part of the whole can be asked for.
    parts: Option<Parts>,
}

impl Download {
    /// The body of an answer, for which this asked.
    pub fn new(asker: Asker, answer: Answer) -> Result<Self> {
        let is_asked_part = asker.asks_for_a_part() || asker.part().is_some();
        let codings = super::coding::known(&answer.codings());
        let is_live = answer.is_live() && codings.is_empty();
        let (mut total, mut ends_whole) = (answer.length(), true);
        if answer.status == StatusCode::PARTIAL_CONTENT && !is_asked_part && !is_live {
            // A part that nobody asked for; the rest is asked for.
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
            pace: Pace::new(asker.limits, answer.url.clone()),
            validators: answer.validators(),
            retries: Retries::new(is_live),
            icy,
            body: answer.body,
            asker,
            codings,
            begins,
            total,
            is_live,
            ends_whole,
            place: 0,
            last: Vec::new(),
            again: 0,
            compared: Vec::new(),
            gained: 0,
            rest: Bytes::new(),
            station,
            content_type,
            parts,
        })
    }

    /// Waits for a part of what `parts` tells of: from a byte on, to its end.
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
            pace: Pace::new(asker.limits, answer.url.clone()),
            validators: parts.validators.clone(),
            retries: Retries::new(false),
            icy: None,
            body: answer.body,
            asker,
            codings: Vec::new(),
            // It is counted from the start of the whole.
            begins: 0,
            total: Some(parts.total),
            is_live: false,
            ends_whole: true,
            place: wanted.from,
            last: Vec::new(),
            again: 0,
            compared: Vec::new(),
            gained: 0,
            rest: Bytes::new(),
            station: None,
            content_type: None,
            parts: None,
        })
    }

    /// Where any part of the whole can be asked for, if the server says so.
    pub fn parts(&mut self) -> Option<Parts> {
        self.parts.take()
    }

    /// Where it comes from, behind all redirects.
    pub fn url(&self) -> &Url {
        &self.pace.url
    }

    /// Where in the whole it begins, if a part of that was asked for.
    pub fn begins(&self) -> u64 {
        self.begins
    }

    /// The redirects that were followed, and the answer that they led to.
    pub fn steps(&self) -> &[Step] {
        self.asker.steps()
    }

    /// Returns true if its end is known for certain, and nothing is said between its bytes: what others may be given too.
    pub fn is_plain(&self) -> bool {
        !self.is_live && self.icy.is_none() && self.ends_whole && !self.body.ends_with_connection
    }

    /// How much comes, as far as it is known.
    pub fn extent(&self) -> Extent {
        match self.total {
            _ if self.is_live => Extent::Live,
            _ if !self.codings.is_empty() => Extent::Bounded,
            Some(total) => Extent::Known(total),
            None => Extent::Unknown,
        }
    }

    /// Its media type, fit to be shown.
    pub fn content_type(&mut self) -> Option<String> {
        self.content_type.take()
    }

    /// The codings that are to be undone, in the order in which they were applied.
    pub fn codings(&self) -> Vec<String> {
        self.codings.clone()
    }

    /// The next piece; `None` at the end of the whole.
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
                // Silence, or too slow: that server would be no better from another byte on.
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
            // A station that ends its answer in words has ended; one that is cut off has not.
            _ if self.is_live => !self.body.ends_with_connection,
            Some(total) => self.place >= total,
            None => self.ends_whole,
        }
    }

    /// Takes a piece of the answer; returns what is new in it.
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

    /// Asks for what follows, after the answer broke. Returns false if nothing follows.
    async fn go_on(&mut self, error: &SpeakerError) -> Result<bool> {
        // Where titles are counted in, nobody knows which byte is meant.
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

    /// Finds what follows in an answer. Returns false if nothing does, and fails with why it is another body.
    fn meets(&mut self, answer: &Answer, from: u64) -> std::result::Result<bool, &'static str> {
        if self.validators.differ(&answer.validators()) {
            return Err("it has changed");
        }
        let part = answer.part();
        let total = match answer.status {
            // How long all of it is, of which a part is wanted.
            _ if self.asker.part().is_some() => None,
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => part.and_then(|part| part.total),
            _ => answer.length(),
        };
        if self.total.zip(total).is_some_and(|(known, total)| known != total) {
            return Err("its length has changed");
        }
        if answer.status == StatusCode::RANGE_NOT_SATISFIABLE {
            // Nothing is behind the last byte.
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
        // What was asked for without an end comes to it.
        self.ends_whole = !is_part || self.place > 0;
        self.again = from - begins;
        self.compared.clone_from(&self.last);
        Ok(true)
    }
}

/// What came before is not what comes now.
pub fn changed(host: &str) -> SpeakerError {
    let message = format!("the body of audioUrl ended early: {host}: asked for the rest, it has changed");
    SpeakerError::new(Code::Truncated, message)
}

/// What broke, and why it could not be gone on with.
fn because(error: &SpeakerError, reason: &str) -> SpeakerError {
    let SpeakerError { code, message, cause } = error;
    SpeakerError {
        cause: cause.clone(),
        ..SpeakerError::new(*code, format!("{message}; asked for the rest: {reason}"))
    }
}
