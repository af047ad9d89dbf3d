//! A request that is repeated until there is an answer with a body: through redirects, with their cookies, and with retries where a server
//! may be back soon.

use std::fmt::Display;
use std::time::{Duration, SystemTime};

use reqwest::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, COOKIE, HeaderMap, HeaderName, HeaderValue, IF_RANGE, LOCATION, RANGE,
};
use reqwest::{Response, StatusCode, Url};
use tokio::time::sleep;

use super::answer::Answer;
use super::cookies::Cookies;
use super::freshness::Exchange;
use super::retry::{self, Retries};
use super::{Fetch, FetchLimits, blocked, timed_out};
use crate::error::{Code, Result, SpeakerError};
use crate::net::http::{self, NoClient};
use crate::runtime::Allowance;
use crate::secrets::Secrets;

/// Browsers' `fetch` follows 20 redirects (Fetch standard §4.4); a file server that needs more than 10 is in a loop.
const MAX_REDIRECTS: usize = 10;

/// The requests for one source, repeated as needed.
pub struct Requester {
    fetch: Fetch,
    pub limits: FetchLimits,
    original_url: Url,
    cookies: Cookies,
    /// The secrets for all servers on the way, kept while log or error messages may mention them.
    secrets: Vec<Secrets>,
    /// The redirects that the last request followed, and the answer that they led to, even an error.
    exchanges: Vec<Exchange>,
}

/// The wanted part of the source: from this byte on, if the source has not changed.
#[derive(Debug, Clone)]
pub struct RangeRequest {
    pub from: u64,
    pub if_range: Option<HeaderValue>,
}

/// A kept body that may be revalidated.
#[derive(Debug, Clone)]
pub struct Revalidation {
    /// Its URL after all redirects.
    pub url: Url,
    /// True if it need not be revalidated.
    pub is_fresh: bool,
    /// The conditional headers that ask if it is still the same.
    pub conditions: HeaderMap,
}

/// The result of one request.
enum RequestOutcome {
    Answer(Box<Answer>),
    Redirect(Url),
    NotModified,
}

/// A failed request; `retry_after` is the wait before a retry, if the failure is temporary and the server states it.
struct RequestFailure {
    error: SpeakerError,
    is_transient: bool,
    retry_after: Option<Duration>,
}

impl From<SpeakerError> for RequestFailure {
    fn from(error: SpeakerError) -> Self {
        Self { error, is_transient: false, retry_after: None }
    }
}

impl Requester {
    pub fn new(fetch: Fetch, limits: FetchLimits) -> Result<Self> {
        let secrets = vec![Secrets::of_request(&fetch.url, &fetch.headers)];
        let original_url = Url::parse(&fetch.url).map_err(|error| failed("a URL that is none", &error))?;
        Ok(Self { fetch, limits, original_url, cookies: Cookies::default(), secrets, exchanges: Vec::new() })
    }

    /// Returns the redirects that the last request followed, and the answer that they led to, even an error.
    pub fn exchanges(&self) -> &[Exchange] {
        &self.exchanges
    }

    /// Returns the fetch.
    pub fn fetch(&self) -> &Fetch {
        &self.fetch
    }

    /// Returns the start of the part that a playlist wants, if it wants only a part.
    pub fn part_start(&self) -> Option<u64> {
        self.fetch.part.map(|(from, _)| from)
    }

    /// Returns true if the user's headers ask for a part of the source.
    pub fn has_range_header(&self) -> bool {
        self.fetch.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(RANGE.as_str()))
    }

    /// Requests the source, or a part of it. Redirects and retries included, it takes at most as long as the server may be silent.
    pub async fn request(&mut self, range_request: Option<&RangeRequest>, retries: Retries) -> Result<Answer> {
        let answer = self.request_until_answered(range_request, None, retries).await?;
        Ok(answer.expect("nothing is known that could be unchanged"))
    }

    /// Requests all of a known source again; returns `None` if it has not changed.
    pub async fn revalidate(&mut self, revalidation: &Revalidation, retries: Retries) -> Result<Option<Answer>> {
        self.request_until_answered(None, Some(revalidation), retries).await
    }

    async fn request_until_answered(
        &mut self,
        range_request: Option<&RangeRequest>,
        revalidation: Option<&Revalidation>,
        mut retries: Retries,
    ) -> Result<Option<Answer>> {
        // The secrets of servers on the last way are no longer mentioned anywhere.
        self.secrets.truncate(1);
        self.cookies = Cookies::default();
        self.exchanges.clear();
        let mut time = Allowance::new(self.limits.timeout);
        let (mut url, mut redirects) = (self.original_url.clone(), 0);
        loop {
            let revalidation = revalidation.filter(|revalidation| revalidation.url == url);
            // The redirects led to the known body, which is still fresh.
            if revalidation.is_some_and(|revalidation| revalidation.is_fresh) {
                return Ok(None);
            }
            let taken = self.exchanges.len();
            let failure = match time.within(self.request_once(&url, range_request, revalidation)).await {
                Some(Ok(RequestOutcome::Answer(answer))) => return Ok(Some(*answer)),
                Some(Ok(RequestOutcome::NotModified)) => return Ok(None),
                Some(Ok(RequestOutcome::Redirect(_))) if redirects == MAX_REDIRECTS => {
                    let host = http::host(&url);
                    let message = format!(
                        "Expected at most {MAX_REDIRECTS} redirects for audioUrl but received more from {host}"
                    );
                    return Err(SpeakerError::new(Code::TooManyRedirects, message));
                }
                Some(Ok(RequestOutcome::Redirect(next))) => {
                    (url, redirects) = (next, redirects + 1);
                    continue;
                }
                Some(Err(failure)) => failure,
                None => {
                    // Other requests over the same connection would wait in vain too.
                    http::forget(&url);
                    return Err(timed_out(self.limits.timeout, &url));
                }
            };
            let wait = if failure.is_transient { retries.wait(failure.retry_after) } else { None };
            let Some(wait) = wait.filter(|wait| *wait < time.left()) else { return Err(failure.error) };
            self.exchanges.truncate(taken);
            tracing::debug!(?wait, reason = %failure.error, "asked again for audioUrl");
            let _ = time.within(sleep(wait)).await;
        }
    }

    async fn request_once(
        &mut self,
        url: &Url,
        range_request: Option<&RangeRequest>,
        revalidation: Option<&Revalidation>,
    ) -> std::result::Result<RequestOutcome, RequestFailure> {
        // The target of a redirect may be signed too.
        self.secrets.push(Secrets::of_request(url.as_str(), &[]));
        let mut headers = self.headers(url, range_request)?;
        headers.extend(revalidation.map(|revalidation| revalidation.conditions.clone()).unwrap_or_default());
        let is_authorized =
            headers.contains_key(AUTHORIZATION) || !url.username().is_empty() || url.password().is_some();
        let asked_at = SystemTime::now();
        let response = match self.send(url, headers.clone()).await? {
            Ok(response) => response,
            // The server may have closed a kept-alive connection. A GET may be repeated (RFC 9110 §9.2.2), over a new one.
            Err(error) if !error.is_connect() => {
                http::forget(url);
                self.send(url, headers).await?.map_err(|error| unanswered(url, &error))?
            }
            Err(error) => return Err(unanswered(url, &error)),
        };
        self.cookies.store(response.headers(), url);
        let values: Vec<_> = self.cookies.values().map(Secrets::of).collect();
        self.secrets.extend(values);
        let (status, headers, answered_at) = (response.status(), response.headers().clone(), SystemTime::now());
        let exchange = Exchange { url: url.clone(), status, headers, is_authorized, asked_at, answered_at };
        self.exchanges.push(exchange);
        if revalidation.is_some() && status == StatusCode::NOT_MODIFIED {
            return Ok(RequestOutcome::NotModified);
        }
        if let Some(next) = redirection(&response, url) {
            return Ok(RequestOutcome::Redirect(next?));
        }
        let answer = Answer::of(response, url.clone()).await.map_err(|error| unanswered(url, &error))?;
        let answer = answer.ok_or_else(|| failed(&http::route(url), &"it answers with what is not HTTP"))?;
        let is_beyond = range_request.is_some() && answer.status == StatusCode::RANGE_NOT_SATISFIABLE;
        if answer.status.is_success() || is_beyond {
            return Ok(RequestOutcome::Answer(Box::new(answer)));
        }
        let (status, way) = (answer.status, http::route(url));
        let message = format!("Expected an HTTP status of 200–299 for audioUrl but received {status} from {way}");
        Err(RequestFailure {
            error: SpeakerError::new(Code::HttpStatus, message),
            is_transient: retry::is_transient(status),
            retry_after: retry::retry_after(&answer.headers, SystemTime::now()),
        })
    }

    /// Sends a request, if `network` allows the server.
    async fn send(
        &self,
        url: &Url,
        headers: HeaderMap,
    ) -> std::result::Result<reqwest::Result<Response>, RequestFailure> {
        let client = http::client(url, &self.fetch.network).await.map_err(|error| match error {
            NoClient::Blocked(why) => blocked(url, why).into(),
            NoClient::Failed(error) => unanswered(url, &error),
        })?;
        Ok(http::send(client.get(url.clone()).headers(headers)).await)
    }

    /// Builds the request headers. The user's own headers are only sent to the server of the given URL, and take precedence over ours.
    fn headers(&self, url: &Url, range_request: Option<&RangeRequest>) -> Result<HeaderMap> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("audio/*, */*;q=0.5"));
        // As browsers request audio: it would not get smaller, and an encoded body has no usable byte ranges.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers.insert(HeaderName::from_static("icy-metadata"), HeaderValue::from_static("1"));
        let mut own = HeaderMap::new();
        if is_same_server(&self.original_url, url) {
            for (name, value) in &self.fetch.headers {
                let header = HeaderName::from_bytes(name.as_bytes()).ok().zip(HeaderValue::from_str(value).ok());
                let (name, value) = header.ok_or_else(|| failed(&http::host(url), &"a header is none"))?;
                own.append(name, value);
            }
        }
        let cookies = self.cookies.of(url).and_then(|cookies| {
            let own = own.get(COOKIE).and_then(|own| own.to_str().ok());
            let all = own.map_or_else(|| cookies.clone(), |own| format!("{own}; {cookies}"));
            HeaderValue::from_str(&all).ok()
        });
        if let Some(cookies) = cookies {
            own.insert(COOKIE, cookies);
        }
        if let Some(from) = range_request.map(|range_request| range_request.from).or(self.part_start()) {
            let last = self.fetch.part.map(|(from, length)| from.saturating_add(length).saturating_sub(1).to_string());
            let range = format!("bytes={from}-{}", last.unwrap_or_default());
            own.insert(RANGE, HeaderValue::from_str(&range).expect("digits are visible"));
        }
        if let Some(validator) = range_request.and_then(|range_request| range_request.if_range.clone()) {
            own.insert(IF_RANGE, validator);
        }
        own.keys().for_each(|name| _ = headers.remove(name));
        headers.extend(own);
        Ok(headers)
    }
}

/// Returns the target of an answer, if it is a redirect.
fn redirection(response: &Response, url: &Url) -> Option<Result<Url>> {
    const REDIRECTS: [StatusCode; 5] = [
        StatusCode::MOVED_PERMANENTLY,
        StatusCode::FOUND,
        StatusCode::SEE_OTHER,
        StatusCode::TEMPORARY_REDIRECT,
        StatusCode::PERMANENT_REDIRECT,
    ];
    let location = response.headers().get(LOCATION).filter(|_| REDIRECTS.contains(&response.status()))?;
    let next = std::str::from_utf8(location.as_bytes()).ok().and_then(|location| url.join(location).ok());
    Some(match next.filter(|next| matches!(next.scheme(), "http" | "https")) {
        Some(next) => Ok(next),
        None => Err(failed(&http::host(url), &"it redirects to what is no http(s) URL")),
    })
}

/// Returns true if `to` may see what is meant for `from`, such as keys in headers: the same server, or the same one over TLS.
pub fn is_same_server(from: &Url, to: &Url) -> bool {
    let is_upgrade = (from.scheme(), to.scheme()) == ("http", "https") && (from.port(), to.port()) == (None, None);
    from.origin() == to.origin() || (is_upgrade && from.host() == to.host())
}

fn unanswered(url: &Url, error: &reqwest::Error) -> RequestFailure {
    match http::blocked(error) {
        Some(why) => blocked(url, why).into(),
        None => RequestFailure {
            error: failed(&http::route(url), &http::reason(error)).because_of(error),
            is_transient: http::is_transient(error),
            retry_after: None,
        },
    }
}

fn failed(host: &str, reason: &dyn Display) -> SpeakerError {
    SpeakerError::new(Code::FetchFailed, format!("audioUrl can't be fetched from {host}: {reason}"))
}
