//! A URL's body into a spool: the one place that knows HTTP, and where rules about hostile URLs will live.

use std::error::Error;
use std::time::Duration;

use once_cell::sync::Lazy;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Client, RequestBuilder, Response, redirect};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::bytes::Bytes;

use super::spool::Spool;
use crate::error::{Code, Result, SpeakerError};
use crate::redact::redact;
use crate::secrets::Secrets;

/// As many as browsers' `fetch` follows are 20 (Fetch standard §4.4); a file server that needs more than 10 is a loop.
const MAX_REDIRECTS: usize = 10;

static CLIENT: Lazy<Client> = Lazy::new(|| {
    Client::builder()
        .redirect(redirect::Policy::limited(MAX_REDIRECTS))
        .user_agent(concat!("speaker-session/", env!("CARGO_PKG_VERSION")))
        .build()
        .expect("the TLS roots are compiled in")
});

/// Limits that a server has to keep to.
#[derive(Debug, Clone, Copy, Default)]
pub struct FetchLimits {
    /// How long it may send nothing.
    pub timeout: Duration,
    /// What it has to send at least, over each `timeout` of the body; 0 for no such rule.
    pub min_bytes_per_second: f64,
}

/// What to fetch.
#[derive(Debug, Clone)]
pub struct Fetch {
    /// http or https.
    pub url: String,
    /// Names and values, sent with the request.
    pub headers: Vec<(String, String)>,
}

/// Downloads until the body ends or fails, or the server does not keep to `limits`. It is read as fast as it comes and the spool takes
/// it; for how long that does not is not the server's fault.
pub async fn download(fetch: Fetch, limits: FetchLimits, spool: &Spool) {
    spool.finish(run(&fetch, limits, spool).await);
}

async fn run(fetch: &Fetch, limits: FetchLimits, spool: &Spool) -> Result<()> {
    let _secrets = Secrets::of_request(&fetch.url, &fetch.headers);
    let request = CLIENT.get(&fetch.url).header(ACCEPT, "audio/*, */*;q=0.5");
    let request = fetch.headers.iter().fold(request, |request, (name, value)| request.header(name, value));
    let mut response = respond(limits.timeout, request).await?;
    spool.announce(response.content_length())?;
    let header = response.headers().get(CONTENT_TYPE);
    // It is shown where nothing is played in this format.
    spool.set_content_type(header.and_then(|value| value.to_str().ok()).map(redact));
    let mut pace = Pace::new(limits);
    while let Some(chunk) = pace.keep(&mut response).await? {
        let came = Instant::now();
        spool.append(&chunk).await?;
        pace.pause(came.elapsed());
    }
    Ok(())
}

/// Whether a body comes fast enough.
struct Pace {
    limit: Duration,
    /// What each span of `limit` has to bring, and by when the present one has to; `None` before the first byte, for until then a
    /// server may be preparing the answer.
    least: u64,
    end: Option<Instant>,
    came: u64,
}

impl Pace {
    fn new(FetchLimits { timeout: limit, min_bytes_per_second }: FetchLimits) -> Self {
        Self { limit, least: (min_bytes_per_second * limit.as_secs_f64()) as u64, end: None, came: 0 }
    }

    /// The next piece of the body; `None` at its end.
    async fn keep(&mut self, response: &mut Response) -> Result<Option<Bytes>> {
        let silence = Instant::now() + self.limit;
        // It is not polled anew at the end of a span: a piece that came in time is taken first.
        let piece = response.chunk();
        tokio::pin!(piece);
        loop {
            let until = self.end.map_or(silence, |end| end.min(silence));
            if let Ok(piece) = timeout_at(until, piece.as_mut()).await {
                let piece = piece.map_err(|error| cut(&error))?;
                if let Some(piece) = &piece {
                    self.count(piece.len() as u64)?;
                }
                return Ok(piece);
            }
            if until == silence {
                return Err(silent(self.limit));
            }
            self.count(0)?;
        }
    }

    /// Leaves out time in which the body was not wanted.
    fn pause(&mut self, time: Duration) {
        self.end.iter_mut().for_each(|end| *end += time);
    }

    /// Counts what came, and fails at the end of a span that brought too little.
    fn count(&mut self, bytes: u64) -> Result<()> {
        self.came += bytes;
        let now = Instant::now();
        match self.end {
            Some(end) if now < end => {}
            Some(_) if self.came < self.least => {
                let Self { limit, least, came, .. } = self;
                let limit = limit.as_millis();
                let message = format!(
                    "Expected at least {least} bytes in {limit} ms for audioUrl (minFetchBytesPerSecond) but received {came}"
                );
                return Err(SpeakerError::new(Code::FetchTimeout, message));
            }
            _ if self.least > 0 => (self.end, self.came) = (Some(now + self.limit), 0),
            _ => {}
        }
        Ok(())
    }
}

async fn respond(limit: Duration, request: RequestBuilder) -> Result<Response> {
    let response = within(limit, request.send()).await?.map_err(|error| match error.is_redirect() {
        true => SpeakerError::new(
            Code::TooManyRedirects,
            format!("Expected at most {MAX_REDIRECTS} redirects for audioUrl but received more"),
        ),
        false => SpeakerError::new(Code::FetchFailed, format!("audioUrl can't be fetched: {}", root(&error)))
            .because_of(&error),
    })?;
    match response.status() {
        status if status.is_success() => Ok(response),
        status => Err(SpeakerError::new(
            Code::HttpStatus,
            format!("Expected an HTTP status of 200–299 for audioUrl but received {status}"),
        )),
    }
}

async fn within<T>(limit: Duration, step: impl Future<Output = T>) -> Result<T> {
    timeout(limit, step).await.map_err(|_| silent(limit))
}

fn silent(limit: Duration) -> SpeakerError {
    let message =
        format!("Expected bytes within {} ms for audioUrl (fetchTimeoutMs) but received none", limit.as_millis());
    SpeakerError::new(Code::FetchTimeout, message)
}

fn cut(error: &reqwest::Error) -> SpeakerError {
    SpeakerError::new(Code::Truncated, format!("the body of audioUrl ended early: {}", root(error))).because_of(error)
}

/// The innermost cause: "connection refused" rather than "error sending request". It names no URL, which may hold keys.
fn root(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
