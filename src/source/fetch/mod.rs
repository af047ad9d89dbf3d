//! A URL's body into a spool.
//!
//! ```text
//! ask (redirects, cookies, retry) → body → pace → resume (the rest, a live stream again; icy) → coding → spool
//! ```

mod ask;
mod body;
mod coding;
mod cookies;
mod icy;
mod pace;
mod resume;
mod retry;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::try_unfold;
use reqwest::Url;
use tokio_util::io::StreamReader;

use super::spool::Spool;
use crate::error::{Code, Result, SpeakerError};
use crate::net::http;
use crate::net::{Blocked, Network};

use ask::Asker;
use coding::Decoder;
pub use icy::NowPlaying;
use resume::{Download, Piece};

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
    spool.finish(run(fetch, limits, spool).await);
}

async fn run(fetch: Fetch, limits: FetchLimits, spool: &Spool) -> Result<()> {
    let mut download = Download::begin(Asker::new(fetch, limits)?).await?;
    spool.announce(download.extent())?;
    // It is shown where nothing is played in this format.
    spool.set_content_type(download.content_type());
    let codings = download.codings();
    if codings.is_empty() {
        while let Some(piece) = download.next().await? {
            match piece {
                Piece::Bytes(bytes) => spool.append(&bytes).await?,
                Piece::Metadata(metadata) => spool.tell(metadata),
            }
        }
        return Ok(());
    }
    let bytes = try_unfold(download, |mut download| async {
        loop {
            match download.next().await.map_err(io::Error::other)? {
                Some(Piece::Bytes(bytes)) => return io::Result::Ok(Some((bytes, download))),
                Some(Piece::Metadata(_)) => {}
                None => return Ok(None),
            }
        }
    });
    let mut decoder = Decoder::new(Box::new(StreamReader::new(Box::pin(bytes))), &codings).await?;
    loop {
        match decoder.next().await? {
            [] => return Ok(()),
            bytes => spool.append(bytes).await?,
        }
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
