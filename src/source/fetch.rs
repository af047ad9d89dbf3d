//! A URL's body into a spool: where it is asked for, which redirects are followed, and how slow a server may be.

use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE, LOCATION};
use reqwest::{Response, StatusCode, Url};
use tokio_util::bytes::Bytes;

use super::spool::Spool;
use crate::error::{Code, Result, SpeakerError};
use crate::net::http::{self, NoClient};
use crate::net::{Blocked, Network};
use crate::redact::redact;
use crate::runtime::{last_look, slice, within};
use crate::secrets::Secrets;

/// As many as browsers' `fetch` follows are 20 (Fetch standard §4.4); a file server that needs more than 10 is a loop.
const MAX_REDIRECTS: usize = 10;

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
    /// Which servers it may be at, wherever it is redirected to.
    pub network: Arc<Network>,
}

impl Fetch {
    /// The extension in the URL's path, without the dot.
    pub fn extension(&self) -> Option<String> {
        let url = Url::parse(&self.url).ok()?;
        Path::new(url.path()).extension().map(|extension| extension.to_string_lossy().into_owned())
    }
}

/// Downloads until the body ends or fails, or the server does not keep to `limits`. It is read as fast as it comes and the spool takes
/// it; for how long that does not is not the server's fault.
pub async fn download(fetch: Fetch, limits: FetchLimits, spool: &Spool) {
    spool.finish(run(&fetch, limits, spool).await);
}

async fn run(fetch: &Fetch, limits: FetchLimits, spool: &Spool) -> Result<()> {
    let _secrets = Secrets::of_request(&fetch.url, &fetch.headers);
    let mut url = Url::parse(&fetch.url).map_err(|error| failed("a URL that is none", &error))?;
    let mut response = match within(limits.timeout, respond(fetch, &mut url)).await {
        Some(response) => response?,
        None => {
            // Other requests over the same connection would wait in vain too.
            http::forget(&url);
            return Err(silent(limits.timeout, &url));
        }
    };
    spool.announce(response.content_length())?;
    let header = response.headers().get(CONTENT_TYPE);
    // It is shown where nothing is played in this format.
    spool.set_content_type(header.and_then(|value| value.to_str().ok()).map(redact));
    let mut pace = Pace::new(limits, url);
    while let Some(chunk) = pace.keep(&mut response).await? {
        spool.append(&chunk).await?;
    }
    Ok(())
}

/// Follows redirects to an answer. `url` is where it is asked for at the moment.
async fn respond(fetch: &Fetch, url: &mut Url) -> Result<Response> {
    let given = url.clone();
    for _ in 0..=MAX_REDIRECTS {
        // Where a redirect leads to may be signed too.
        let _secrets = Secrets::of_request(url.as_str(), &[]);
        let unreachable = |error: reqwest::Error| match http::blocked(&error) {
            Some(why) => blocked(url, why),
            None => failed(&http::way(url), &http::reason(&error)).because_of(&error),
        };
        let client = http::client(url, &fetch.network).await.map_err(|error| match error {
            NoClient::Blocked(why) => blocked(url, why),
            NoClient::Failed(error) => unreachable(error),
        })?;
        let request = client.get(url.clone());
        let headers = fetch.headers.iter().filter(|_| is_same_server(&given, url));
        let request = request.header(ACCEPT, "audio/*, */*;q=0.5");
        let request = headers.fold(request, |request, (name, value)| request.header(name, value));
        let response = http::send(request).await.map_err(unreachable)?;
        match redirection(&response, url) {
            Some(next) => *url = next?,
            None if response.status().is_success() => return Ok(response),
            None => {
                let (status, way) = (response.status(), http::way(url));
                let message =
                    format!("Expected an HTTP status of 200–299 for audioUrl but received {status} from {way}");
                return Err(SpeakerError::new(Code::HttpStatus, message));
            }
        }
    }
    let message =
        format!("Expected at most {MAX_REDIRECTS} redirects for audioUrl but received more from {}", http::host(url));
    Err(SpeakerError::new(Code::TooManyRedirects, message))
}

/// Where an answer leads to, if it leads on.
fn redirection(response: &Response, url: &Url) -> Option<Result<Url>> {
    const LEAD_ON: [StatusCode; 5] = [
        StatusCode::MOVED_PERMANENTLY,
        StatusCode::FOUND,
        StatusCode::SEE_OTHER,
        StatusCode::TEMPORARY_REDIRECT,
        StatusCode::PERMANENT_REDIRECT,
    ];
    let location = response.headers().get(LOCATION).filter(|_| LEAD_ON.contains(&response.status()))?;
    let next = std::str::from_utf8(location.as_bytes()).ok().and_then(|location| url.join(location).ok());
    Some(match next.filter(|next| matches!(next.scheme(), "http" | "https")) {
        Some(next) => Ok(next),
        None => Err(failed(&http::host(url), &"it redirects to what is no http(s) URL")),
    })
}

/// Whether `to` may see what was meant for `from`, such as keys in headers: the same server, or the same one over TLS.
fn is_same_server(from: &Url, to: &Url) -> bool {
    let is_upgrade = (from.scheme(), to.scheme()) == ("http", "https") && (from.port(), to.port()) == (None, None);
    from.origin() == to.origin() || (is_upgrade && from.host() == to.host())
}

/// Whether a body comes fast enough.
struct Pace {
    url: Url,
    limit: Duration,
    /// What each span of `limit` has to bring, and for how long the present one lasts; `None` before the first byte, for until then a
    /// server may be preparing the answer.
    least: u64,
    span: Option<Duration>,
    came: u64,
}

impl Pace {
    fn new(FetchLimits { timeout: limit, min_bytes_per_second }: FetchLimits, url: Url) -> Self {
        Self { url, limit, least: (min_bytes_per_second * limit.as_secs_f64()) as u64, span: None, came: 0 }
    }

    /// The next piece of the body; `None` at its end.
    async fn keep(&mut self, response: &mut Response) -> Result<Option<Bytes>> {
        let piece = response.chunk();
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

    /// Takes a piece that came after some time.
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

    /// Time passes; fails at the end of a span that brought too little.
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

fn silent(limit: Duration, url: &Url) -> SpeakerError {
    let (limit, host) = (limit.as_millis(), http::host(url));
    let message =
        format!("Expected bytes within {limit} ms for audioUrl (fetchTimeoutMs) but received none from {host}");
    SpeakerError::new(Code::FetchTimeout, message)
}

fn blocked(url: &Url, why: Blocked) -> SpeakerError {
    let host = http::host(url);
    let message = format!("Expected a server that network allows for audioUrl but received {host}: {why}");
    SpeakerError::new(Code::UrlBlocked, message)
}

fn failed(host: &str, reason: &dyn Display) -> SpeakerError {
    SpeakerError::new(Code::FetchFailed, format!("audioUrl can't be fetched from {host}: {reason}"))
}
