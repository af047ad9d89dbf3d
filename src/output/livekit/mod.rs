//! The output that publishes each used track into a LiveKit room.
//!
//! ```text
//! frame → encoder (Opus) → peer (RTP, SRTP, ICE) → UDP
//!                          room (WebSocket) ←→ offers, answers, candidates
//! ```
//!
//! All of it is polled by the session's one task. A track is published when something first plays on it, and stays.

mod encoder;
mod peer;
mod room;

use std::future::Future;
use std::net::{IpAddr, ToSocketAddrs, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{self, Sleep, sleep};

use super::{Closing, News, Output};
use crate::audio::{FRAME, Samples};
use crate::error::{Code, Result, SpeakerError};
use crate::mixer::Frame;
use encoder::Encoder;
pub use encoder::Encoding;
use peer::{Change, Mid, Peer, Pt};
use room::{Room, Said};

/// Silent frames sent after the last sound: they empty the encoder's look-ahead and let the receiver fade out.
const TAIL: u32 = 10;

/// An access token, or why there is none.
pub type TokenAnswer = std::result::Result<String, String>;

/// Gives a token when asked: one that was made earlier may have expired, or never be needed.
pub type TokenSource = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = TokenAnswer> + Send>> + Send + Sync>;

#[derive(Clone)]
pub struct LiveKitOptions {
    /// ws(s) or http(s).
    pub url: String,
    pub token: TokenSource,
    pub encoding: Encoding,
    /// For joining, and for each publishing.
    pub timeout: Duration,
}

pub struct LiveKit {
    options: LiveKitOptions,
    channels: usize,
    state: State,
    tracks: Vec<Track>,
    /// Runs while something is awaited from the server.
    deadline: Option<Pin<Box<Sleep>>>,
}

type Joining = dyn Future<Output = Result<(Room, Peer)>> + Send;

enum State {
    Joining(Pin<Box<Joining>>),
    Joined(Box<(Room, Peer)>),
    Lost,
}

/// One published track.
struct Track {
    stream: u32,
    cid: String,
    encoder: Encoder,
    offered: bool,
    published: bool,
    /// Its media line, and the number under which Opus goes on it once that is agreed.
    line: Option<(Mid, Option<Pt>)>,
    /// Silent frames still to be sent.
    tail: u32,
}

impl Track {
    fn is_open(&self) -> bool {
        self.published && matches!(self.line, Some((_, Some(_))))
    }
}

impl LiveKit {
    pub fn new(options: LiveKitOptions, channels: usize) -> Self {
        let LiveKitOptions { url, token, timeout, .. } = options.clone();
        let join = async move {
            let late = || format!("token gave none within {} ms (connectTimeoutMs)", timeout.as_millis());
            let token = time::timeout(timeout, token()).await.unwrap_or_else(|_| Err(late()));
            let token = token.map_err(|reason| SpeakerError::new(Code::JoinFailed, reason))?;
            let room = Room::join(&url, &token, timeout).await?;
            let peer = Peer::new(local_address(&url).await?).await?;
            Ok((room, peer))
        };
        Self { options, channels, state: State::Joining(Box::pin(join)), tracks: Vec::new(), deadline: None }
    }

    /// Offers the next track, one at a time: an answer belongs to the one offer that is out.
    fn offer_next(&mut self) -> Result<()> {
        let State::Joined(joined) = &mut self.state else { return Ok(()) };
        let (room, peer) = &mut **joined;
        if peer.awaits_answer() {
            return Ok(());
        }
        let Some(track) = self.tracks.iter_mut().find(|track| !track.offered) else { return Ok(()) };
        track.offered = true;
        room.add_track(&track.cid, &track_name(track.stream), self.channels == 2);
        let (mid, sdp) = peer.offer(&track.cid)?;
        track.line = Some((mid, None));
        room.offer(sdp, &mid.to_string(), &track.cid);
        Ok(())
    }

    fn hear(&mut self, said: Said) -> Result<()> {
        let State::Joined(joined) = &mut self.state else { return Ok(()) };
        let (_, peer) = &mut **joined;
        match said {
            Said::Answer(sdp) => {
                peer.answer(&sdp)?;
                self.offer_next()?;
            }
            Said::Candidate(candidate) => peer.add_candidate(&candidate)?,
            Said::Published(cid) => {
                self.tracks.iter_mut().filter(|track| track.cid == cid).for_each(|track| track.published = true);
            }
            Said::Left(error) => return Err(error),
        }
        Ok(())
    }

    /// Looks whether a track has become usable; says which.
    fn opened(&mut self) -> Option<u32> {
        let State::Joined(joined) = &mut self.state else { return None };
        let (_, peer) = &mut **joined;
        if !peer.is_connected() || peer.awaits_answer() {
            return None;
        }
        let ready = |track: &&mut Track| track.published && matches!(track.line, Some((_, None)));
        let track = self.tracks.iter_mut().find(ready)?;
        let (mid, _) = track.line?;
        track.line = Some((mid, Some(peer.payload_type(mid)?)));
        Some(track.stream)
    }

    fn poll_joined(&mut self, context: &mut Context<'_>) -> Poll<Result<u32>> {
        loop {
            if let Some(stream) = self.opened() {
                if self.tracks.iter().all(Track::is_open) {
                    self.deadline = None;
                }
                return Poll::Ready(Ok(stream));
            }
            let expired = self.deadline.as_mut().map(|deadline| deadline.as_mut().poll(context));
            if expired == Some(Poll::Ready(())) {
                let limit = self.options.timeout.as_millis();
                let message = format!("a track could not be published within {limit} ms (connectTimeoutMs)");
                return Poll::Ready(Err(SpeakerError::new(Code::JoinFailed, message)));
            }
            let State::Joined(joined) = &mut self.state else { return Poll::Pending };
            let (room, peer) = &mut **joined;
            if let Poll::Ready(said) = room.poll(context) {
                self.hear(said)?;
                continue;
            }
            match ready!(peer.poll(context)) {
                Change::Connected => {}
                Change::Lost(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl Output for LiveKit {
    fn is_connected(&self) -> bool {
        matches!(self.state, State::Joined(_))
    }

    fn prepare(&mut self, stream: u32) -> Result<bool> {
        if let Some(track) = self.tracks.iter().find(|track| track.stream == stream) {
            return Ok(track.is_open());
        }
        let encoder = Encoder::new(self.channels, self.options.encoding)?;
        let cid = format!("speaker-{stream}-{:08x}", random());
        let track = Track { stream, cid, encoder, offered: false, published: false, line: None, tail: 0 };
        self.tracks.push(track);
        self.deadline = Some(Box::pin(sleep(self.options.timeout)));
        self.offer_next()?;
        Ok(false)
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<News> {
        let result = match &mut self.state {
            State::Joining(join) => match ready!(join.as_mut().poll(context)) {
                Ok(joined) => {
                    self.state = State::Joined(Box::new(joined));
                    match self.offer_next() {
                        Ok(()) => return Poll::Ready(News::Connected),
                        Err(error) => Err(error),
                    }
                }
                Err(error) => Err(error),
            },
            State::Joined(_) => ready!(self.poll_joined(context)),
            State::Lost => return Poll::Pending,
        };
        Poll::Ready(match result {
            Ok(stream) => News::Opened(stream),
            Err(error) => {
                self.state = State::Lost;
                News::Lost(error)
            }
        })
    }

    fn write(&mut self, frame: &Frame) -> Result<()> {
        let State::Joined(joined) = &mut self.state else { return Ok(()) };
        let (_, peer) = &mut **joined;
        let Some(track) = self.tracks.iter_mut().find(|track| track.stream == frame.stream) else { return Ok(()) };
        let Some((mid, Some(pt))) = track.line else { return Ok(()) };
        let first = frame.sounding && track.tail == 0;
        track.tail = if frame.sounding { TAIL + 1 } else { track.tail };
        if track.tail == 0 {
            return Ok(()); // nothing is sent in silence
        }
        track.tail -= 1;
        let packet = track.encoder.encode(frame.samples)?;
        peer.send((mid, pt), frame.at, packet, level(frame.samples), first)
    }

    /// Time goes on in RTP by itself: every packet bears the session's.
    fn skip(&mut self, _samples: Samples) -> Result<()> {
        Ok(())
    }

    fn may_rest(&self) -> bool {
        self.tracks.iter().all(|track| track.tail == 0)
    }

    fn close(&mut self) -> Closing {
        let State::Joined(joined) = std::mem::replace(&mut self.state, State::Lost) else {
            return Box::pin(async { Ok(()) });
        };
        let (mut room, peer) = *joined;
        let leaving = room.leaving.take();
        drop((room, peer));
        Box::pin(async move {
            if let Some(leaving) = leaving {
                let _ = leaving.await;
            }
            Ok(())
        })
    }
}

/// 0 `speaker`, 1 `app_audio`, 2 `tts`, n `track_<n>`.
fn track_name(stream: u32) -> String {
    match stream {
        0 => "speaker".to_owned(),
        1 => "app_audio".to_owned(),
        2 => "tts".to_owned(),
        other => format!("track_{other}"),
    }
}

/// Loudness in dBFS, −127 for silence (RFC 6464 §3).
fn level(samples: &[f32]) -> i8 {
    let power = samples.iter().map(|sample| sample * sample).sum::<f32>() / samples.len().max(FRAME) as f32;
    if power <= 0.0 { -127 } else { (10.0 * power.log10()).clamp(-127.0, 0.0) as i8 }
}

/// Not for secrets: tells the tracks of one participant's sessions apart.
fn random() -> u32 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new().build_hasher().finish() as u32
}

/// The address that this machine has on the way to a URL's host.
async fn local_address(url: &str) -> Result<IpAddr> {
    let unreachable =
        |error: &dyn std::fmt::Display| SpeakerError::new(Code::JoinFailed, format!("{url} can't be reached: {error}"));
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
