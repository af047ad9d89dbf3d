//! The output that publishes each used track into a LiveKit room.
//!
//! ```text
//! frame → encoder (Opus) → peer (RTP, SRTP, ICE) → transport (UDP, TCP)
//!                          room (WebSocket) ←→ offers, answers, candidates
//! ```
//!
//! All of it is polled by the session's one task. A track is published when something first plays on it, and stays.

mod encoder;
mod join;
mod peer;
mod rejoin;
mod room;
mod track;
mod transport;

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Sleep, sleep};

use super::{Closing, News, Output};
use crate::audio::Samples;
use crate::error::{Code, Result, SpeakerError};
use crate::mixer::Frame;
pub use encoder::Encoding;
use join::{Joining, join};
pub use join::{LiveKitOptions, TokenAnswer, TokenSource};
use peer::{Change, Peer};
use rejoin::Rejoin;
use room::{Again, Room, Said};
use track::{Packet, Track, random};
pub use transport::IceTransport;

pub struct LiveKit {
    options: LiveKitOptions,
    channels: usize,
    state: State,
    tracks: Vec<Track>,
    /// Runs while something is awaited from the server.
    deadline: Option<Pin<Box<Sleep>>>,
    rejoin: Rejoin,
}

enum State {
    Joining(Joining),
    Joined(Box<(Room, Peer)>),
    Lost,
}

/// Why the room is lost, and whether to come again.
struct Trouble {
    error: SpeakerError,
    again: Again,
}

/// What breaks by itself is worth another try.
impl From<SpeakerError> for Trouble {
    fn from(error: SpeakerError) -> Self {
        Self { error, again: Again::Welcome }
    }
}

impl LiveKit {
    pub fn new(options: LiveKitOptions, channels: usize) -> Self {
        let state = State::Joining(join(options.clone(), Duration::ZERO));
        Self { options, channels, state, tracks: Vec::new(), deadline: None, rejoin: Rejoin::default() }
    }

    /// The room is lost: for good, or to be joined again, and all tracks published again.
    fn lose(&mut self, Trouble { error, again }: Trouble) -> Option<News> {
        let was_known = self.rejoin.is_going_on();
        let wait = match again {
            Again::Welcome => self.rejoin.next(f64::from(random()) / f64::from(u32::MAX)),
            Again::Unwelcome => None,
        };
        let Some(wait) = wait else {
            self.state = State::Lost;
            return Some(News::Lost(error));
        };
        self.tracks.iter_mut().for_each(Track::reset);
        self.state = State::Joining(join(self.options.clone(), wait));
        (!was_known).then_some(News::Reconnecting(error.message))
    }

    /// The room is joined: the tracks there are come next, and the news when they are open.
    fn joined(&mut self, joined: (Room, Peer)) -> Result<Option<News>> {
        self.state = State::Joined(Box::new(joined));
        self.deadline = (!self.tracks.is_empty()).then(|| Box::pin(sleep(self.options.timeout)));
        self.offer_next()?;
        if !self.rejoin.is_going_on() {
            return Ok(Some(News::Connected));
        }
        Ok(self.back())
    }

    /// Whether everything is as it was before the room was lost.
    fn back(&mut self) -> Option<News> {
        let back = self.rejoin.is_going_on() && self.tracks.iter().all(Track::is_open);
        back.then(|| {
            self.rejoin.done();
            News::Reconnected
        })
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
        room.add_track(&track.cid, &track.name(), self.channels == 2);
        let (mid, sdp) = peer.offer(&track.cid)?;
        track.line = Some((mid, None));
        room.offer(sdp, &mid.to_string(), &track.cid);
        Ok(())
    }

    fn hear(&mut self, said: Said) -> std::result::Result<(), Trouble> {
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
            Said::Left(error, again) => return Err(Trouble { error, again }),
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

    fn poll_joined(&mut self, context: &mut Context<'_>) -> Poll<std::result::Result<News, Trouble>> {
        loop {
            if let Some(stream) = self.opened() {
                if self.tracks.iter().all(Track::is_open) {
                    self.deadline = None;
                }
                return Poll::Ready(Ok(self.back().unwrap_or(News::Opened(stream))));
            }
            let expired = self.deadline.as_mut().map(|deadline| deadline.as_mut().poll(context));
            if expired == Some(Poll::Ready(())) {
                return Poll::Ready(Err(self.unpublished()));
            }
            let State::Joined(joined) = &mut self.state else { return Poll::Pending };
            let (room, peer) = &mut **joined;
            if let Poll::Ready(said) = room.poll(context) {
                self.hear(said)?;
                continue;
            }
            match ready!(peer.poll(context)) {
                Change::Connected => {}
                Change::Lost(error) => return Poll::Ready(Err(error.into())),
            }
        }
    }

    /// A track that can't be published the first time is refused; one that was published before may be again.
    fn unpublished(&self) -> Trouble {
        let limit = self.options.timeout.as_millis();
        let message = match &self.state {
            State::Joined(joined) if !joined.1.is_connected() => {
                format!("no path to the server within {limit} ms (connectTimeoutMs): {}", joined.1.tried())
            }
            _ => format!("a track could not be published within {limit} ms (connectTimeoutMs)"),
        };
        let again = if self.rejoin.is_going_on() { Again::Welcome } else { Again::Unwelcome };
        Trouble { error: SpeakerError::new(Code::JoinFailed, message), again }
    }
}

impl Output for LiveKit {
    fn is_connected(&self) -> bool {
        matches!(self.state, State::Joined(_)) && !self.rejoin.is_going_on()
    }

    fn prepare(&mut self, stream: u32) -> Result<bool> {
        if let Some(track) = self.tracks.iter().find(|track| track.stream == stream) {
            return Ok(track.is_open());
        }
        self.tracks.push(Track::new(stream, self.channels, self.options.encoding)?);
        self.deadline = Some(Box::pin(sleep(self.options.timeout)));
        self.offer_next()?;
        Ok(false)
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<News> {
        loop {
            let result = match &mut self.state {
                State::Joining(joining) => match ready!(joining.as_mut().poll(context)) {
                    Ok(joined) => self.joined(joined).map_err(Trouble::from),
                    // The first time it is the caller who decides about another.
                    Err(error) if !self.rejoin.is_going_on() => Err(Trouble { error, again: Again::Unwelcome }),
                    Err(error) => Err(error.into()),
                },
                State::Joined(_) => ready!(self.poll_joined(context)).map(Some),
                State::Lost => return Poll::Pending,
            };
            let news = result.unwrap_or_else(|trouble| self.lose(trouble));
            if let Some(news) = news {
                return Poll::Ready(news);
            }
        }
    }

    fn write(&mut self, frame: &Frame) -> Result<()> {
        let State::Joined(joined) = &mut self.state else { return Ok(()) };
        let (_, peer) = &mut **joined;
        let Some(track) = self.tracks.iter_mut().find(|track| track.stream == frame.stream) else { return Ok(()) };
        let Some((mid, Some(pt))) = track.line else { return Ok(()) };
        match track.encode(frame)? {
            Some(Packet { data, level, first }) => peer.send((mid, pt), frame.at, data, level, first),
            None => Ok(()),
        }
    }

    /// Time goes on in RTP by itself: every packet bears the session's.
    fn skip(&mut self, _samples: Samples) -> Result<()> {
        Ok(())
    }

    fn may_rest(&self) -> bool {
        self.tracks.iter().all(Track::is_silent)
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
