//! A URL's body into a spool: the one place that knows HTTP, and where rules about hostile URLs will live.

use std::error::Error;
use std::time::Duration;

use once_cell::sync::Lazy;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Client, RequestBuilder, Response, redirect};
use tokio::time::timeout;

use super::spool::Spool;
use crate::error::{Code, Result, SpeakerError};

/// As many as browsers' `fetch` follows are 20 (Fetch standard §4.4); a file server that needs more than 10 is a loop.
const MAX_REDIRECTS: usize = 10;

static CLIENT: Lazy<Client> = Lazy::new(|| {
    Client::builder()
        .redirect(redirect::Policy::limited(MAX_REDIRECTS))
        .user_agent(concat!("speaker-session/", env!("CARGO_PKG_VERSION")))
        .build()
        .expect("the TLS roots are compiled in")
});

/// What to fetch.
#[derive(Debug, Clone)]
pub struct Fetch {
    /// http or https.
    pub url: String,
    /// Names and values, sent with the request.
    pub headers: Vec<(String, String)>,
}

/// Downloads until the body ends or fails, or the server sends nothing for longer than `limit`.
pub async fn download(fetch: Fetch, limit: Duration, spool: &Spool) {
    spool.finish(run(&fetch, limit, spool).await);
}

async fn run(fetch: &Fetch, limit: Duration, spool: &Spool) -> Result<()> {
    let request = CLIENT.get(&fetch.url).header(ACCEPT, "audio/*, */*;q=0.5");
    let request = fetch.headers.iter().fold(request, |request, (name, value)| request.header(name, value));
    let mut response = respond(limit, request).await?;
    // Without a length it may never end.
    spool.set_endless(response.content_length().is_none());
    let header = response.headers().get(CONTENT_TYPE);
    spool.set_content_type(header.and_then(|value| value.to_str().ok()).map(str::to_owned));
    while let Some(chunk) = within(limit, response.chunk()).await?.map_err(|error| cut(&error))? {
        spool.append(&chunk)?;
    }
    Ok(())
}

async fn respond(limit: Duration, request: RequestBuilder) -> Result<Response> {
    let response = within(limit, request.send()).await?.map_err(|error| match error.is_redirect() {
        true => SpeakerError::new(
            Code::TooManyRedirects,
            format!("Expected at most {MAX_REDIRECTS} redirects for audioUrl but received more"),
        ),
        false => SpeakerError::new(Code::FetchFailed, format!("audioUrl can't be fetched: {}", root(&error))),
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
    timeout(limit, step).await.map_err(|_| {
        let limit = limit.as_millis();
        SpeakerError::new(Code::FetchTimeout, format!("audioUrl sent nothing for {limit} ms (fetchTimeoutMs)"))
    })
}

fn cut(error: &reqwest::Error) -> SpeakerError {
    SpeakerError::new(Code::Truncated, format!("the body of audioUrl ended early: {}", root(error)))
}

/// The innermost cause: "connection refused" rather than "error sending request". It names no URL, which may hold keys.
fn root(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
