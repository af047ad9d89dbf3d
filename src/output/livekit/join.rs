//! Into a room: a token, the signalling, a way to it.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use livekit_signaling::RegionUrlProvider;
use tokio::time::timeout_at;

use super::Attempt;
use super::announcement::TrackTerms;
use super::encoder::Encoding;
use super::room::Room;
use super::tokens::{Token, Tokens};
use super::transport::IceTransport;
use super::trouble::{Remedy, Trouble};
use crate::net::http;
use crate::output::Meanwhile;
use crate::runtime::RUNTIME;
use crate::scope::Scope;

/// How many regions are tried of those that a server names.
const MAX_REGIONS: usize = 4;

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
    /// With which the room is joined, asked for each time.
    pub tokens: Tokens,
    /// How tracks are encoded.
    pub encoding: Encoding,
    /// Whether a clip that sounds alone is encoded once for all tracks of the process that are encoded alike.
    pub encode_once: bool,
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
    /// Options of tracks, by their number.
    pub tracks: HashMap<u32, TrackTerms>,
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

/// For what a room is joined.
#[derive(Debug, Clone)]
pub enum Coming {
    /// The user asked for it.
    First,
    /// To win it back, at the servers first to which we were sent.
    Again(Vec<String>),
}

/// Joins within the timeout that begins `at` that time, which is now. Each token is tried once. If no server takes any, another attempt needs a token that was not refused yet: if
/// there is none, there is no remedy.
pub async fn join(options: LiveKitOptions, coming: Coming, at: Instant) -> Attempt<Room> {
    let LiveKitOptions { url, tokens, timeout: limit, .. } = options;
    let at = tokio::time::Instant::from_std(at);
    let (first, regions) = match coming {
        Coming::First => (true, Vec::new()),
        Coming::Again(regions) => (false, regions),
    };
    let until = at + limit;
    let candidates: VecDeque<_> = tokens.ask(first, at, limit).await?.into();
    let had_candidates = !candidates.is_empty();
    let mut entrance = Entrance { tokens: &tokens, candidates, limit, until };
    let entered = entrance.enter(&url, regions).await;
    // All were refused just now. The next time there may be another.
    let again = had_candidates && entrance.candidates.is_empty();
    entered.map_err(|trouble| if again { Trouble { remedy: Remedy::Rejoin, ..trouble } } else { trouble })
}

/// Where a room is joined, with the tokens that are left to be tried.
struct Entrance<'a> {
    tokens: &'a Tokens,
    candidates: VecDeque<Token>,
    limit: Duration,
    until: tokio::time::Instant,
}

impl Entrance<'_> {
    /// At a region's server, or at the usual one, or at another region's if that fails and is LiveKit's own (which tells them).
    async fn enter(&mut self, url: &str, regions: Vec<String>) -> Attempt<Room> {
        let regions: Vec<_> = regions.into_iter().filter(|region| is_as_safe(region, url)).take(MAX_REGIONS).collect();
        // Each has its part of the time, and what those before it left of theirs.
        let share = self.limit / (regions.len() as u32 + 1);
        for (left, region) in (1..=regions.len() as u32).rev().zip(&regions) {
            let trouble = match self.enter_at(region, self.until - share * left).await {
                Ok(room) => return Ok(room),
                Err(trouble) => trouble,
            };
            if trouble.remedy == Remedy::None {
                return Err(trouble);
            }
        }
        let mut trouble = match self.enter_at(url, self.until).await {
            Err(trouble) if trouble.remedy != Remedy::None => trouble,
            known => return known,
        };
        for region in self.regions(url).await {
            trouble = match self.enter_at(&region, self.until).await {
                Err(trouble) if trouble.remedy != Remedy::None => trouble,
                known => return known,
            };
            RegionUrlProvider::mark_failed(url, &region);
        }
        Err(trouble)
    }

    /// With one token after the other, as long as they are refused.
    async fn enter_at(&mut self, url: &str, until: tokio::time::Instant) -> Attempt<Room> {
        let mut refusal = None;
        while let Some(token) = self.candidates.front().cloned() {
            let (server, tokens, limit) = (url.to_owned(), self.tokens.clone(), self.limit);
            // A task of its own, which goes on when nobody waits any more, and then leaves again: a server that was asked to
            // let us in and hears no goodbye keeps our place for a minute.
            let joining = RUNTIME.spawn({
                let token = token.clone();
                Scope::current().wrap(async move { Room::join(&server, token, tokens, limit, until).await })
            });
            match joining.await.expect("joining does not panic") {
                Err(trouble) if trouble.remedy == Remedy::None => {
                    self.tokens.refuse(&token, &trouble.error);
                    self.candidates.pop_front();
                    refusal = Some(trouble);
                }
                known => return known.inspect(|_| self.tokens.entered(&token)),
            }
        }
        Err(refusal.unwrap_or_else(|| Trouble { remedy: Remedy::None, ..self.tokens.none_left().into() }))
    }

    /// The regions of LiveKit's own servers; others have none.
    async fn regions(&self, url: &str) -> Vec<String> {
        let Some(token) = self.candidates.front() else { return Vec::new() };
        let asking = timeout_at(self.until, RegionUrlProvider::fetch_region_urls(url, token));
        asking.await.ok().and_then(|regions| regions.ok()).unwrap_or_default()
    }
}

/// Whether a token that may be shown to `url` may be shown to this one too: it is encrypted where that is.
fn is_as_safe(region: &str, url: &str) -> bool {
    let encrypted = |url: &str| reqwest::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "wss" | "https"));
    encrypted(region) || !encrypted(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_not_shown_unencrypted_where_it_was_not_before() {
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
