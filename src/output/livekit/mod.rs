//! The output that publishes each used track into a LiveKit room.
//!
//! ```text
//! frame → encoder (Opus) → peer (RTP, SRTP, ICE) → transport (UDP, TCP, TURN)
//!                          room (WebSocket) ←→ offers, answers, candidates
//! ```
//!
//! All of it is polled by the session's driver. A track is published when something first plays on it, and stays.

mod backoff;
mod condition;
mod encoder;
mod farewell;
#[doc(hidden)]
pub mod fuzz;
mod join;
mod peer;
mod publish;
mod recover;
mod room;
mod said;
mod silence;
mod socket;
mod timer;
mod track;
mod transport;
mod trouble;

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use livekit_protocol as proto;
use tokio::time::{Sleep, timeout};

use super::{Closing, Link, Output, OutputEvent, closed};
use crate::audio::Samples;
use crate::error::Result;
use crate::mixer::Frame;
use crate::runtime::{RUNTIME, timed};
use backoff::Backoff;
use condition::Condition;
pub use encoder::Encoding;
use farewell::Farewell;
use join::{Joining, join};
pub use join::{LiveKitOptions, StartWhen, TokenAnswer, TokenSource};
use peer::{Change, Peer};
use recover::Recovery;
use room::Room;
use silence::Silence;
use track::Track;
pub use transport::IceTransport;
use trouble::{Remedy, Trouble};

/// How long the goodbye to a room may take: whoever does not answer by then won't.
const LEAVE_LIMIT: Duration = Duration::from_secs(2);

pub struct LiveKit {
    options: LiveKitOptions,
    channels: usize,
    state: State,
    tracks: Vec<Track>,
    /// Runs while something is awaited from the server.
    deadline: Option<Pin<Box<Sleep>>>,
    rejoin: Backoff,
    /// Why the room is being won back.
    reason: String,
    /// What the session was told last.
    told: Condition,
    link: Link,
    told_link: Link,
    /// Frames that were mixed while the room could not be reached.
    dropped: u64,
}

enum State {
    Joining(Joining),
    Joined(Box<Connection>),
    Lost,
}

/// A joined room.
struct Connection {
    room: Room,
    peer: Peer,
    /// What servers before 1.9.1 send over: nothing that is listened to, but they end a session without it.
    theirs: Option<Peer>,
    silence: Silence,
    /// Runs while something is broken.
    recovery: Option<Recovery>,
}

impl LiveKit {
    pub fn new(options: LiveKitOptions, channels: usize) -> Result<Self> {
        let mut output = Self {
            state: State::Joining(join(options.clone(), Duration::ZERO)),
            options,
            channels,
            tracks: Vec::new(),
            deadline: None,
            rejoin: Backoff::default(),
            reason: String::new(),
            told: Condition::Away,
            link: Link::default(),
            told_link: Link::default(),
            dropped: 0,
        };
        for stream in output.options.publish_at_once.clone() {
            output.add_track(stream)?;
        }
        Ok(output)
    }

    fn poll_joined(&mut self, context: &mut Context<'_>) -> Poll<Attempt<OutputEvent>> {
        loop {
            if let Some(stream) = self.opened() {
                return Poll::Ready(Ok(OutputEvent::Opened(stream)));
            }
            if let Some(news) = self.news() {
                return Poll::Ready(Ok(news));
            }
            let expired = self.deadline.as_mut().map(|deadline| deadline.as_mut().poll(context));
            if expired == Some(Poll::Ready(())) {
                return Poll::Ready(Err(self.unpublished()));
            }
            if self.recover(context)?.is_ready() {
                continue;
            }
            let State::Joined(connection) = &mut self.state else { return Poll::Pending };
            if let Poll::Ready(said) = connection.room.poll(context) {
                self.hear(said)?;
                continue;
            }
            while let Some(Poll::Ready(change)) =
                connection.theirs.as_mut().map(|theirs| theirs.poll(context, Instant::now()))
            {
                if matches!(change, Change::Broken(_)) {
                    connection.theirs = None;
                }
            }
            let Connection { peer, silence, .. } = &mut **connection;
            silence.poll(context, peer, &mut self.tracks, Instant::now())?;
            match ready!(connection.peer.poll(context, Instant::now())) {
                Change::Connected => {}
                Change::NoPath => self.find_path(),
                Change::Report(report) => self.link.report = Some(report),
                Change::Broken(error) => return Poll::Ready(Err(error.into())),
            }
        }
    }
}

impl Output for LiveKit {
    fn is_connected(&self) -> bool {
        matches!(self.condition(), Condition::Well | Condition::Shaky)
    }

    fn prepare(&mut self, stream: u32, _now: Instant) -> Result<bool> {
        if let Some(track) = self.tracks.iter().find(|track| track.stream == stream) {
            return Ok(track.is_open() && self.is_connected());
        }
        self.add_track(stream)?;
        self.offer_next()?;
        Ok(false)
    }

    fn poll(&mut self, context: &mut Context<'_>, _now: Instant) -> Poll<OutputEvent> {
        loop {
            if let Some(news) = self.news() {
                return Poll::Ready(news);
            }
            let result = match &mut self.state {
                State::Joining(joining) => match ready!(joining.as_mut().poll(context)) {
                    Ok(joined) => self.joined(joined).map_err(Trouble::from),
                    // The first time it is the caller who decides about another.
                    Err(error) if !self.rejoin.is_going_on() => Err(Trouble { remedy: Remedy::None, ..error.into() }),
                    Err(error) => Err(error.into()),
                },
                State::Joined(_) => match ready!(self.poll_joined(context)) {
                    Ok(news) => return Poll::Ready(news),
                    Err(trouble) => Err(trouble),
                },
                State::Lost => return Poll::Pending,
            };
            if let Some(lost) = result.err().and_then(|trouble| self.lose(trouble)) {
                return Poll::Ready(lost);
            }
        }
    }

    fn write(&mut self, frame: &Frame, now: Instant) -> Result<bool> {
        if !self.is_connected() {
            self.dropped += u64::from(frame.sounding);
            return Ok(false);
        }
        let State::Joined(connection) = &mut self.state else { return Ok(false) };
        let Some(track) = self.tracks.iter_mut().find(|track| track.stream == frame.stream) else { return Ok(false) };
        let Some((mid, Some(pt))) = track.line else { return Ok(false) };
        let muted = track.muted;
        if let Some(packet) = track.encode(frame)? {
            connection.peer.send((mid, pt), frame.at, &packet, now)?;
        }
        if connection.peer.is_unheard(now) && connection.recovery.is_none() {
            self.find_path();
        }
        Ok(!muted)
    }

    /// Time goes on in RTP by itself: every packet bears the session's.
    fn skip(&mut self, _samples: Samples) -> Result<()> {
        Ok(())
    }

    fn may_rest(&self) -> bool {
        self.tracks.iter().all(Track::is_silent)
    }

    fn dropped(&self) -> u64 {
        self.dropped
    }

    fn close(&mut self, now: Instant) -> Closing {
        let State::Joined(connection) = std::mem::replace(&mut self.state, State::Lost) else {
            return closed(Ok(()));
        };
        let tracks = std::mem::take(&mut self.tracks);
        let mut farewell = Farewell::new(connection, tracks, self.channels, self.options.linger, now);
        // A task of its own: the room is left in good order though nobody may wait for that.
        let ending = RUNTIME.spawn(async move {
            timed(|context, now| farewell.poll(context, now)).await;
            if let Some(leaving) = farewell.leave() {
                let _ = timeout(LEAVE_LIMIT, leaving).await;
            }
        });
        Box::pin(async move {
            ending.await.expect("a farewell does not panic");
            Ok(())
        })
    }
}

/// What can bring the room into trouble.
type Attempt<T> = std::result::Result<T, Trouble>;
