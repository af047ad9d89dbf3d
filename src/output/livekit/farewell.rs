//! The last words: what a closed room still sends before it is left.
//!
//! The last sound is followed by its silent tail, and the room is kept for as long as that sound may lie in a listener's buffer: who
//! leaves at once is taken out of the room by the server, and what was not played out yet is cut off.

use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::Connection;
use super::peer::Change;
use super::publications::Publications;
use super::said::Said;
use super::timer::Timer;
use super::track::Track;
use super::trouble::Remedy;
use crate::audio::{FRAME, FRAME_TIME, Samples};
use crate::error::Result;
use crate::mixer::Frame;

pub struct Farewell {
    connection: Box<Connection>,
    tracks: Vec<Track>,
    publications: Publications,
    channels: usize,
    /// The session's time of the next silent frame, and when it is due.
    next: Option<(Samples, Instant)>,
    /// When the room may be left.
    until: Instant,
    /// Until when it is kept for data that the server has not confirmed.
    confirmed_by: Instant,
    timer: Timer,
    /// The signalling is gone, which the sound does not need.
    is_unsignalled: bool,
}

impl Farewell {
    /// Keeps the room until `linger` after the last sound, and no longer for data to be confirmed.
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

    /// Goes on with it. Ready when the room is to be left: all is said, or can't be.
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
                && let Poll::Ready(said) = self.connection.room.poll(context)
            {
                match said {
                    Said::Left(trouble) if trouble.remedy == Remedy::Resume => self.is_unsignalled = true,
                    Said::Left(_) => return Poll::Ready(()),
                    _ => {}
                }
                continue;
            }
            self.connection.poll_theirs(context, now);
            match self.connection.peer.poll(context, now) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Change::NoPath | Change::Broken(_)) => return Poll::Ready(()),
                Poll::Ready(Change::Connected | Change::Report(_) | Change::Data(..) | Change::Channels) => {}
            }
        }
    }

    /// Leaves the room. What is returned ends when the server knows.
    pub fn leave(mut self) -> Option<JoinHandle<()>> {
        self.connection.room.leaving.take()
    }

    /// Sends the silent frames that are due; says when there is more to be done or to wait for, if there is.
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
