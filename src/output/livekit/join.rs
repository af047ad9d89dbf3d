//! Into a room: a token, the signalling, a way to it.

use std::collections::HashMap;
use std::future::Future;
use std::net::{IpAddr, ToSocketAddrs, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::encoder::Encoding;
use super::peer::Peer;
use super::room::Room;
use super::transport::{IceTransport, Transport};
use crate::error::{Code, Result, SpeakerError};
use crate::output::Meanwhile;
use crate::redact::redact;
use crate::runtime::RUNTIME;

/// An access token, or why there is none.
pub type TokenAnswer = std::result::Result<String, String>;

/// Gives a token when asked: one that was made earlier may have expired, or never be needed.
pub type TokenSource = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = TokenAnswer> + Send>> + Send + Sync>;

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
    /// Tracks with names of their own.
    pub track_names: HashMap<u32, String>,
    /// Tracks that are published at once, and not when something first plays on them.
    pub publish_at_once: Vec<u32>,
}

/// A room being joined.
pub type Joining = Pin<Box<dyn Future<Output = Result<(Room, Peer)>> + Send>>;

/// Joins after a while.
pub fn join(options: LiveKitOptions, wait: Duration) -> Joining {
    let LiveKitOptions { url, token, ice_transport, timeout: limit, encoding, .. } = options;
    Box::pin(async move {
        sleep(wait).await;
        let late = || format!("token gave none within {} ms (connectTimeoutMs)", limit.as_millis());
        let token = timeout(limit, token()).await.unwrap_or_else(|_| Err(late()));
        let token = token.map_err(|reason| SpeakerError::new(Code::JoinFailed, redact(&reason)))?;
        // A task of its own, which goes on when nobody waits any more, and then leaves again: a server that was asked to
        // let us in and hears no goodbye keeps our place for a minute.
        let server = url.clone();
        let joining = RUNTIME.spawn(async move { Room::join(&server, &token, limit).await });
        let room = joining.await.expect("joining does not panic")?;
        let transport = Transport::new(ice_transport, local_address(&url).await?, &room.ice_servers)?;
        Ok((room, Peer::new(transport, encoding)?))
    })
}

/// The address that this machine has on the way to a URL's host.
pub async fn local_address(url: &str) -> Result<IpAddr> {
    let unreachable = |error: &(dyn std::error::Error + 'static)| {
        SpeakerError::new(Code::JoinFailed, redact(&format!("{url} can't be reached: {error}"))).because_of(error)
    };
    let parsed = reqwest::Url::parse(url).map_err(|error| unreachable(&error))?;
    let host = parsed.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let port = parsed.port_or_known_default().unwrap_or(443);
    let route = tokio::task::spawn_blocking(move || {
        let server = (host.as_str(), port).to_socket_addrs()?.next().ok_or(std::io::ErrorKind::NotFound)?;
        let any: IpAddr = if server.is_ipv4() { [0, 0, 0, 0].into() } else { [0u16; 8].into() };
        // Connecting a UDP socket sends nothing; it asks the routing table.
        let socket = UdpSocket::bind((any, 0))?;
        socket.connect(server)?;
        Ok::<_, std::io::Error>(socket.local_addr()?.ip())
    });
    route.await.map_err(|error| unreachable(&error))?.map_err(|error| unreachable(&error))
}
