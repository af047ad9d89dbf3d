//! A URL's body into a spool.
//!
//! ```text
//! requester (redirects, cookies, retry) → answer → rate_guard → download (resumes; icy) → decoded_body (coding) → spool
//!                                                                                              ↓
//!                                                      playlist (the first that answers), hls_download (hls) → spool
//! ```
//!
//! Where the cache is on, `cache` stands before `requester`, and a body that others may be given too goes through memory (`cached_body`).

mod answer;
mod cache;
mod cached_body;
mod coding;
mod cookies;
mod decoded_body;
mod download;
mod freshness;
mod hls;
mod hls_download;
mod icy;
mod playlist;
mod range_fetcher;
mod rate_guard;
mod requester;
mod retry;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::RANGE;

use super::spool::Spool;
use crate::error::{Code, Result, SpeakerError};
use crate::net::http;
use crate::net::{Blocked, Network};

pub use cache::{CACHE, CacheUsage};
use decoded_body::DecodedBody;
use icy::Chunk;
pub use icy::{NowPlaying, divided};
pub use playlist::detect as detect_playlist;
pub use range_fetcher::RangeFetcher;

/// The most addresses that are tried for one source.
const MAX_ADDRESSES: usize = 20;

/// The limits that a server has to keep to.
#[derive(Debug, Clone, Copy, Default)]
pub struct FetchLimits {
    /// The longest time without a byte.
    pub timeout: Duration,
    /// The least rate, averaged over each `timeout` of the body; 0 for no such rule.
    pub min_bytes_per_second: f64,
}

/// A request to fetch a source.
#[derive(Debug, Clone)]
pub struct Fetch {
    /// The address: http or https.
    pub url: String,
    /// The names and values of headers sent with the request.
    pub headers: Vec<(String, String)>,
    /// The servers that it may reach, wherever it is redirected to.
    pub network: Arc<Network>,
    /// True if positions are counted from the start, wherever a playlist says that playback begins.
    pub from_start: bool,
    /// The part to fetch of a file that a playlist lists: its first byte and its length.
    part: Option<(u64, u64)>,
}

impl Fetch {
    /// Makes a request for a URL.
    pub fn new(url: String, headers: Vec<(String, String)>, network: Arc<Network>) -> Self {
        Self { url, headers, network, from_start: false, part: None }
    }

    /// Returns the extension in the URL's path, without the dot.
    pub fn extension(&self) -> Option<String> {
        let url = Url::parse(&self.url).ok()?;
        Path::new(url.path()).extension().map(|extension| extension.to_string_lossy().into_owned())
    }

    /// Returns the request for a related file at another address: a part of it, or all. The user's headers go to their own server only.
    fn at(&self, url: &Url, part: Option<(u64, u64)>) -> Self {
        let is_own = Url::parse(&self.url).is_ok_and(|own| requester::is_same_server(&own, url));
        let mut headers = if is_own { self.headers.clone() } else { Vec::new() };
        headers.retain(|(name, _)| !name.eq_ignore_ascii_case(RANGE.as_str()));
        Self { part, ..Self::new(url.to_string(), headers, self.network.clone()) }
    }
}

/// Downloads until the body ends or fails, or the server violates `limits`. It is read as fast as it arrives and the spool takes it; the
/// time that the spool takes is not counted against the server. For a playlist, its entries are downloaded.
pub async fn download(fetch: Fetch, limits: FetchLimits, spool: &Spool) {
    spool.finish(run(fetch, limits, spool).await);
}

async fn run(fetch: Fetch, limits: FetchLimits, spool: &Spool) -> Result<()> {
    let mut requests = vec![fetch.clone()];
    let mut failure = None;
    for _ in 0..MAX_ADDRESSES {
        let Some(request) = requests.pop() else { break };
        let mut body = match CACHE.begin(request, limits).await {
            Ok(body) => body,
            // Another address of the same source may answer.
            Err(error) => {
                failure = failure.or(Some(error));
                continue;
            }
        };
        // A body that is too long is refused before it is received.
        body.body_length.check()?;
        let Some(kind) = playlist::kind(&mut body).await? else { return copy_to_spool(body, spool).await };
        let text = playlist::text(&mut body).await?;
        if hls::is_hls(&text) {
            return hls_download::run(&text, body.url, &fetch, limits, spool).await;
        }
        let addresses = playlist::addresses(&text, kind, &body.url);
        requests.extend(addresses.iter().take(MAX_ADDRESSES).rev().map(|url| fetch.at(url, None)));
    }
    Err(failure.unwrap_or_else(|| {
        let message = "Expected a playlist that leads to a sound for audioUrl but received one that does not";
        SpeakerError::new(Code::UnsupportedFormat, message)
    }))
}

async fn copy_to_spool(mut body: DecodedBody, spool: &Spool) -> Result<()> {
    spool.announce(body.body_length)?;
    if let Some(ranges) = body.ranges.take() {
        spool.set_range_fetcher(ranges);
    }
    // It is reported if the format turns out to be unsupported.
    spool.set_content_type(body.content_type.take());
    while let Some(piece) = body.next().await? {
        match piece {
            Chunk::Bytes(bytes) => spool.append(&bytes).await?,
            Chunk::Metadata(metadata) => spool.push_metadata(metadata),
        }
    }
    Ok(())
}

fn timed_out(limit: Duration, url: &Url) -> SpeakerError {
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
