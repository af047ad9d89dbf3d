//! Joining a room: its tokens, regions and signalling.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use livekit_signaling::RegionUrlProvider;
use tokio::time::timeout_at;

use super::ConnectResult;
use super::announcement::TrackOptions;
use super::disconnect::{Disconnect, Retry};
use super::encoder::Encoding;
use super::room::Room;
use super::tokens::{Token, Tokens};
use super::transport::IceTransport;
use crate::net::http;
use crate::output::UnheardPolicy;
use crate::runtime::RUNTIME;
use crate::scope::Scope;

/// The most regions that are tried of those that a server names.
const MAX_REGIONS: usize = 4;

/// When a published track takes its first samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartWhen {
    /// At once.
    Published,
    /// When somebody subscribes, at the timeout, or at once if nobody else is in the room.
    Subscribed,
}

/// The options for joining a room and publishing into it.
#[derive(Clone)]
pub struct LiveKitOptions {
    /// ws(s) or http(s).
    pub url: String,
    /// The source of access tokens, asked each time the room is joined.
    pub tokens: Tokens,
    /// The encoding of tracks.
    pub encoding: Encoding,
    /// True to encode a clip that sounds alone once for all tracks of the process with the same encoding.
    pub encode_once: bool,
    /// The network routes that may be used.
    pub ice_transport: IceTransport,
    /// The timeout for joining, and for each publishing.
    pub timeout: Duration,
    /// The policy for playbacks while the room can't be reached.
    pub on_reconnect: UnheardPolicy,
    /// The policy for playbacks on a muted track: [`UnheardPolicy::Pause`] or [`UnheardPolicy::Continue`].
    pub on_mute: UnheardPolicy,
    /// When a track takes its first samples.
    pub start_when: StartWhen,
    /// How long a published track waits for a subscriber.
    pub subscribe_timeout: Duration,
    /// How long the room is kept after the last sound when the output is closed, for what listeners still buffer.
    pub linger: Duration,
    /// The options of tracks, by number.
    pub tracks: HashMap<u32, TrackOptions>,
    /// Tracks that are published at once, and not when something first plays on them.
    pub publish_at_once: Vec<u32>,
}

impl LiveKitOptions {
    /// Returns the server's host and port.
    pub fn server(&self) -> String {
        reqwest::Url::parse(&self.url).map(|url| http::host(&url)).unwrap_or_default()
    }

    /// Returns true if the server has other regions, as LiveKit Cloud does.
    pub fn has_regions(&self) -> bool {
        let url = reqwest::Url::parse(&self.url).ok();
        let host = url.as_ref().and_then(|url| url.host_str()).unwrap_or_default();
        host.ends_with(".livekit.cloud") || host.ends_with(".livekit.run")
    }
}

/// The kind of join.
#[derive(Debug, Clone)]
pub enum JoinKind {
    /// The first join, at the user's request.
    Initial,
    /// A rejoin, which first tries the regions that the server recommended.
    Rejoin(Vec<String>),
}

/// Joins within the timeout, which starts at `at`, the current time. Each token is tried once. If all were refused, another attempt
/// needs a token that was not refused yet; if there is none, the error is final ([`Retry::Never`]).
pub async fn join(options: LiveKitOptions, kind: JoinKind, at: Instant) -> ConnectResult<Room> {
    let LiveKitOptions { url, tokens, timeout: limit, .. } = options;
    let at = tokio::time::Instant::from_std(at);
    let (first, regions) = match kind {
        JoinKind::Initial => (true, Vec::new()),
        JoinKind::Rejoin(regions) => (false, regions),
    };
    let until = at + limit;
    let candidates: VecDeque<_> = tokens.ask(first, at, limit).await?.into();
    let had_candidates = !candidates.is_empty();
    let mut joiner = Joiner { tokens: &tokens, candidates, limit, until };
    let entered = joiner.enter(&url, regions).await;
    // All were refused in this attempt; the next one may get another.
    let again = had_candidates && joiner.candidates.is_empty();
    entered.map_err(|disconnect| if again { Disconnect { retry: Retry::Rejoin, ..disconnect } } else { disconnect })
}

/// A join under way, with the tokens that are left to try.
struct Joiner<'a> {
    tokens: &'a Tokens,
    candidates: VecDeque<Token>,
    limit: Duration,
    until: tokio::time::Instant,
}

impl Joiner<'_> {
    /// Tries the recommended regions, then `url`, then the regions that LiveKit Cloud lists.
    async fn enter(&mut self, url: &str, regions: Vec<String>) -> ConnectResult<Room> {
        let regions: Vec<_> = regions.into_iter().filter(|region| is_as_safe(region, url)).take(MAX_REGIONS).collect();
        // Each has an equal share of the time, plus what earlier ones left over.
        let share = self.limit / (regions.len() as u32 + 1);
        for (left, region) in (1..=regions.len() as u32).rev().zip(&regions) {
            let disconnect = match self.enter_at(region, self.until - share * left).await {
                Ok(room) => return Ok(room),
                Err(disconnect) => disconnect,
            };
            if disconnect.retry == Retry::Never {
                return Err(disconnect);
            }
        }
        let mut disconnect = match self.enter_at(url, self.until).await {
            Err(disconnect) if disconnect.retry != Retry::Never => disconnect,
            known => return known,
        };
        for region in self.regions(url).await {
            disconnect = match self.enter_at(&region, self.until).await {
                Err(disconnect) if disconnect.retry != Retry::Never => disconnect,
                known => return known,
            };
            RegionUrlProvider::mark_failed(url, &region);
        }
        Err(disconnect)
    }

    /// Joins at one URL, trying the next token each time one is refused.
    async fn enter_at(&mut self, url: &str, until: tokio::time::Instant) -> ConnectResult<Room> {
        let mut refusal = None;
        while let Some(token) = self.candidates.front().cloned() {
            let (server, tokens, limit) = (url.to_owned(), self.tokens.clone(), self.limit);
            // A task of its own, which goes on if nobody waits any more, and then leaves again: without a leave request the server
            // would keep the participant for a minute.
            let joining = RUNTIME.spawn({
                let token = token.clone();
                Scope::current().wrap(async move { Room::join(&server, token, tokens, limit, until).await })
            });
            match joining.await.expect("joining does not panic") {
                Err(disconnect) if disconnect.retry == Retry::Never => {
                    self.tokens.refuse(&token, &disconnect.error);
                    self.candidates.pop_front();
                    refusal = Some(disconnect);
                }
                known => return known.inspect(|_| self.tokens.entered(&token)),
            }
        }
        Err(refusal.unwrap_or_else(|| Disconnect { retry: Retry::Never, ..self.tokens.none_left().into() }))
    }

    /// Returns the regions of LiveKit Cloud; other servers have none.
    async fn regions(&self, url: &str) -> Vec<String> {
        let Some(token) = self.candidates.front() else { return Vec::new() };
        let asking = timeout_at(self.until, RegionUrlProvider::fetch_region_urls(url, token));
        asking.await.ok().and_then(|regions| regions.ok()).unwrap_or_default()
    }
}

/// Returns true if a token for `url` may be sent to `region` too, because that is encrypted if `url` is.
fn is_as_safe(region: &str, url: &str) -> bool {
    let encrypted = |url: &str| reqwest::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "wss" | "https"));
    encrypted(region) || !encrypted(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_is_not_sent_unencrypted() {
        for (region, url, expected) in [
            ("wss://region", "wss://usual", true),
            ("https://region", "wss://usual", true),
            ("wss://region", "ws://usual", true),
            ("ws://region", "ws://usual", true),
            ("ws://region", "wss://usual", false),
            ("http://region", "https://usual", false),
            ("no URL", "wss://usual", false),
        ] {
            assert_eq!(is_as_safe(region, url), expected, "{region} instead of {url}");
        }
    }
}
