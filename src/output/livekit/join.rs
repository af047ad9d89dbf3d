//! Into a room: a token, the signalling, a way to it.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

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

/// A room being joined.
pub type Joining = Pin<Box<dyn Future<Output = Result<(Room, Peer)>> + Send>>;

/// Joins after a while.
pub fn join(options: LiveKitOptions, wait: Duration) -> Joining {
    let LiveKitOptions { url, token, ice_transport, timeout: limit, encoding, .. } = options;
    Box::pin(async move {
        sleep(wait).await;
        let until = Instant::now() + limit;
        let late = || format!("token gave none within {} ms (connectTimeoutMs)", limit.as_millis());
        let token = timeout_at(until, token()).await.unwrap_or_else(|_| Err(late()));
        let token = token.map_err(|reason| SpeakerError::new(Code::JoinFailed, redact(&reason)))?;
        // A task of its own, which goes on when nobody waits any more, and then leaves again: a server that was asked to
        // let us in and hears no goodbye keeps our place for a minute.
        let joining = RUNTIME.spawn(async move { Room::join(&url, &token, limit, until).await });
        let room = joining.await.expect("joining does not panic")?;
        let transport = Transport::new(ice_transport, &room.ice_servers);
        Ok((room, Peer::new(transport, encoding, std::time::Instant::now())?))
    })
}
