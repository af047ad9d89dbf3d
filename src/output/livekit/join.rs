//! Into a room: a token, the signalling, a way to it.

use std::collections::HashMap;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::encoder::Encoding;
use super::peer::Peer;
use super::room::{Room, silent};
use super::transport::{IceTransport, Transport};
use crate::error::{Code, Result, SpeakerError};
use crate::net::{connected, http, resolve};
use crate::output::Meanwhile;
use crate::redact::redact;
use crate::runtime::RUNTIME;

/// An access token, or why there is none.
pub type TokenAnswer = std::result::Result<String, String>;

/// Gives a token when asked: one that was made earlier may have expired, or never be needed.
pub type TokenSource = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = TokenAnswer> + Send>> + Send + Sync>;

/// When a published track takes its first samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartWhen {
    /// At once.
    Published,
    /// When somebody listens to it, or has not begun to within the timeout, or nobody else is in the room.
    Subscribed,
}

/// How to join a room, and how to publish into it.
#[derive(Clone)]
pub struct LiveKitOptions {
    /// ws(s) or http(s).
    pub url: String,
    /// Asked for a token each time the room is joined.
    pub token: TokenSource,
    /// How tracks are encoded.
    pub encoding: Encoding,
    /// Which network routes may be used.
    pub ice_transport: IceTransport,
    /// For joining, and for each publishing.
    pub timeout: Duration,
    /// What becomes of the mix while the room can't be reached.
    pub meanwhile: Meanwhile,
    /// What becomes of what plays on a track while that is muted: [`Meanwhile::Pause`] or [`Meanwhile::Continue`].
    pub on_mute: Meanwhile,
    /// When a track takes its first samples.
    pub start_when: StartWhen,
    /// How long a published track waits for a subscriber.
    pub subscribe_timeout: Duration,
    /// How long the room is kept after the last sound when the output is closed: what a listener's buffer holds.
    pub linger: Duration,
    /// Tracks with names of their own.
    pub track_names: HashMap<u32, String>,
    /// Tracks that are published at once, and not when something first plays on them.
    pub publish_at_once: Vec<u32>,
}

impl LiveKitOptions {
    /// The server's host and port.
    pub fn server(&self) -> String {
        reqwest::Url::parse(&self.url).map(|url| http::host(&url)).unwrap_or_default()
    }

    /// Returns true if the server has other addresses than this one: LiveKit Cloud's has, in its regions.
    pub fn has_regions(&self) -> bool {
        let url = reqwest::Url::parse(&self.url).ok();
        let host = url.as_ref().and_then(|url| url.host_str()).unwrap_or_default();
        host.ends_with(".livekit.cloud") || host.ends_with(".livekit.run")
    }
}

/// A room being joined.
pub type Joining = Pin<Box<dyn Future<Output = Result<(Room, Peer)>> + Send>>;

/// Joins after a while.
pub fn join(options: LiveKitOptions, at: std::time::Instant) -> Joining {
    let LiveKitOptions { url, token, ice_transport, timeout: limit, encoding, .. } = options;
    Box::pin(async move {
        tokio::time::sleep_until(at.into()).await;
        let until = Instant::from_std(at) + limit;
        let late = || format!("token gave none within {} ms (connectTimeoutMs)", limit.as_millis());
        let token = timeout_at(until, token()).await.unwrap_or_else(|_| Err(late()));
        let token = token.map_err(|reason| SpeakerError::new(Code::JoinFailed, redact(&reason)))?;
        // A task of its own, which goes on when nobody waits any more, and then leaves again: a server that was asked to
        // let us in and hears no goodbye keeps our place for a minute.
        let server = url.clone();
        let joining = RUNTIME.spawn(async move { Room::join(&server, &token, limit, until).await });
        let room = joining.await.expect("joining does not panic")?;
        let local = timeout_at(until, local_address(&url)).await.map_err(|_| silent(limit))??;
        let transport = Transport::new(ice_transport, local, &room.ice_servers)?;
        Ok((room, Peer::new(transport, encoding, std::time::Instant::now())?))
    })
}

/// The address that this machine has on the way to a URL's host.
pub async fn local_address(url: &str) -> Result<IpAddr> {
    let failed = |what: &str, error: &(dyn std::error::Error + 'static)| {
        SpeakerError::new(Code::JoinFailed, format!("{what} can't be reached: {error}")).because_of(error)
    };
    let url = reqwest::Url::parse(url).map_err(|error| failed("the LiveKit server", &error))?;
    let unreachable = |error| failed(&http::host(&url), &error);
    let port = url.port_or_known_default().unwrap_or(443);
    let addresses = resolve(url.host_str().unwrap_or_default()).await.map_err(unreachable)?;
    let addresses: Vec<_> = addresses.into_iter().map(|ip| SocketAddr::new(ip, port)).collect();
    let local = connected(&addresses).and_then(|socket| socket.local_addr());
    Ok(local.map_err(unreachable)?.ip())
}
