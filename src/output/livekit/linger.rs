//! The lingering of a closed output: what is still sent before the room is left.
//!
//! The last sound is followed by its silent tail, and the room is kept while that sound may be in a listener's buffer: the server removes
//! a participant that leaves at once, and cuts off what was not played yet.

use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::Connection;
use super::disconnect::Retry;
use super::peer::PeerEvent;
use super::publications::Publications;
use super::signal_event::SignalEvent;
use super::timer::Timer;
use super::track::Track;
use crate::audio::{FRAME, FRAME_TIME, Samples};
use crate::error::Result;
use crate::mixer::Frame;

pub struct Linger {
    connection: Box<Connection>,
    tracks: Vec<Track>,
    publications: Publications,
    channels: usize,
    /// The session's time of the next silent frame, and when it is due.
    next: Option<(Samples, Instant)>,
    /// The time at which the room may be left.
    until: Instant,
    /// The time until which the room is kept for data that the server has not confirmed.
    confirmed_by: Instant,
    timer: Timer,
    /// The signalling is gone, which media does not need.
    is_unsignalled: bool,
}

impl Linger {
    /// Keeps the room until `linger` after the last sound, and no longer than `linger` from now for data to be confirmed.
    pub fn new(
        connection: Box<Connection>,
        tracks: Vec<Track>,
        publications: Publications,
        channels: usize,
        linger: Duration,
        now: Instant,
    ) -> Self {
        let peer = &connection.peer;
        let until = peer.sounded().map_or(now, |sounded| sounded + linger);
        let next = peer.last_frame().map(|(time, at)| (time + FRAME as Samples, at + FRAME_TIME));
        Self {
            connection,
            tracks,
            publications,
            channels,
            next,
            until,
            confirmed_by: now + linger,
            timer: Timer::at(now),
            is_unsignalled: false,
        }
    }

    /// Polls the connection. Ready when the room can be left, because everything was sent or can't be.
    pub fn poll(&mut self, context: &mut Context<'_>, now: Instant) -> Poll<()> {
        loop {
            if !self.connection.peer.is_connected() {
                return Poll::Ready(());
            }
            if self.timer.poll(now).is_ready() {
                match self.speak(now) {
                    Ok(Some(due)) => self.timer.set(due),
                    Ok(None) | Err(_) => return Poll::Ready(()),
                }
                continue;
            }
            if !self.is_unsignalled
                && let Poll::Ready(event) = self.connection.room.poll(context)
            {
                match event {
                    SignalEvent::Left(disconnect) if disconnect.retry == Retry::Resume => self.is_unsignalled = true,
                    SignalEvent::Left(_) => return Poll::Ready(()),
                    _ => {}
                }
                continue;
            }
            self.connection.poll_subscriber(context, now);
            match self.connection.peer.poll(context, now) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(PeerEvent::NoPath | PeerEvent::Broken(_)) => return Poll::Ready(()),
                Poll::Ready(
                    PeerEvent::Connected | PeerEvent::Report(_) | PeerEvent::Data(..) | PeerEvent::Channels,
                ) => {}
            }
        }
    }

    /// Leaves the room. The returned task ends when the leave request was sent.
    pub fn leave(mut self) -> Option<JoinHandle<()>> {
        self.connection.room.leaving.take()
    }

    /// Sends the silent frames that are due. Returns when to continue, unless everything is done.
    fn speak(&mut self, now: Instant) -> Result<Option<Instant>> {
        while let Some((time, due)) = self.next.filter(|_| !self.tracks.iter().all(Track::is_silent)) {
            if due > now {
                return Ok(Some(due));
            }
            for track in &mut self.tracks {
                let samples = &[0.0; 2 * FRAME][..self.channels * FRAME];
                let frame = Frame { stream: track.stream, at: time, samples, sounding: false, part: None };
                let line = self.publications.line(track.stream);
                if let Some(packet) = track.encode(&frame, self.publications.is_muted(track.stream))?
                    && let Some(line) = line
                {
                    self.connection.peer.send(line, time, &packet, now)?;
                }
            }
            self.next = Some((time + FRAME as Samples, due + FRAME_TIME));
        }
        if self.until > now {
            return Ok(Some(self.until));
        }
        let waits = self.confirmed_by > now && self.connection.peer.has_unconfirmed_data();
        Ok(waits.then(|| now + FRAME_TIME))
    }
}
