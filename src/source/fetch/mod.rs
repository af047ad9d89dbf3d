//! A URL's body into a spool.
//!
//! ```text
//! ask (redirects, cookies, retry) → body → pace → resume (the rest, a live stream again; icy) → plain (coding) → spool
//!                                                                                                 ↓
//!                                                                playlist (the first that answers), segments (hls) → spool
//! ```
//!
//! Where the cache is on, `cache` stands before `ask`, and a body that others may be given too goes through memory (`shared_body`).

mod ask;
mod body;
mod cache;
mod coding;
mod cookies;
mod freshness;
mod hls;
mod icy;
mod pace;
mod parts;
mod plain;
mod playlist;
mod resume;
mod retry;
mod segments;
mod shared_body;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::RANGE;

use super::spool::Spool;
use crate::error::{Code, Result, SpeakerError};
use crate::net::http;
use crate::net::{Blocked, Network};

pub use cache::{CACHE, Holdings};
pub use icy::{NowPlaying, divided};
pub use parts::Parts;
use plain::Plain;
pub use playlist::begins as begins_playlist;
use resume::Piece;

/// How many addresses of one sound are tried.
const MAX_WAYS: usize = 20;

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
    /// A place in it is counted from its start, whatever a playlist says of where it is to be played from.
    pub from_start: bool,
    /// Of something that a playlist lists: where the part begins that is wanted, and how long it is.
    part: Option<(u64, u64)>,
}

impl Fetch {
    /// What is at a URL.
    pub fn new(url: String, headers: Vec<(String, String)>, network: Arc<Network>) -> Self {
        Self { url, headers, network, from_start: false, part: None }
    }

    /// The extension in the URL's path, without the dot.
    pub fn extension(&self) -> Option<String> {
        let url = Url::parse(&self.url).ok()?;
        Path::new(url.path()).extension().map(|extension| extension.to_string_lossy().into_owned())
    }

    /// What belongs to it at another address: so many bytes from a place on, or all. The user's headers are for their own server.
    fn at(&self, url: &Url, part: Option<(u64, u64)>) -> Self {
        let is_own = Url::parse(&self.url).is_ok_and(|own| ask::is_same_server(&own, url));
        let mut headers = if is_own { self.headers.clone() } else { Vec::new() };
        headers.retain(|(name, _)| !name.eq_ignore_ascii_case(RANGE.as_str()));
        Self { part, ..Self::new(url.to_string(), headers, self.network.clone()) }
    }
}

/// Downloads until the body ends or fails, or the server does not keep to `limits`. It is read as fast as it comes and the spool takes
/// it; for how long that does not is not the server's fault. Where a playlist comes, what it lists is downloaded.
pub async fn download(fetch: Fetch, limits: FetchLimits, spool: &Spool) {
    spool.finish(run(fetch, limits, spool).await);
}

async fn run(fetch: Fetch, limits: FetchLimits, spool: &Spool) -> Result<()> {
    let mut ways = vec![fetch.clone()];
    let mut failure = None;
    for _ in 0..MAX_WAYS {
        let Some(way) = ways.pop() else { break };
        let mut body = match CACHE.begin(way, limits).await {
            Ok(body) => body,
            // Another address of the same sound may answer.
            Err(error) => {
                failure = failure.or(Some(error));
                continue;
            }
        };
        // What is too long is refused before it comes.
        body.extent.check()?;
        let Some(kind) = playlist::kind(&mut body).await? else { return pass_on(body, spool).await };
        let text = playlist::text(&mut body).await?;
        if hls::is_hls(&text) {
            return segments::play(&text, body.url, &fetch, limits, spool).await;
        }
        let addresses = playlist::addresses(&text, kind, &body.url);
        ways.extend(addresses.iter().take(MAX_WAYS).rev().map(|url| fetch.at(url, None)));
    }
    Err(failure.unwrap_or_else(|| {
        let message = "Expected a playlist that leads to a sound for audioUrl but received one that does not";
        SpeakerError::new(Code::UnsupportedFormat, message)
    }))
}

async fn pass_on(mut body: Plain, spool: &Spool) -> Result<()> {
    spool.announce(body.extent)?;
    body.parts.take().into_iter().for_each(|parts| spool.can_be_asked_for(parts));
    // It is shown where nothing is played in this format.
    spool.set_content_type(body.content_type.take());
    while let Some(piece) = body.next().await? {
        match piece {
            Piece::Bytes(bytes) => spool.append(&bytes).await?,
            Piece::Metadata(metadata) => spool.tell(metadata),
        }
    }
    Ok(())
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
