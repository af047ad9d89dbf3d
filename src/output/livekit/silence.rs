//! A packet of silence now and then on every track that says nothing: a server that gets none rates the track as poor or lost, and
//! needs a first one before anybody can listen to it.

use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::peer::Peer;
use super::timer::Timer;
use super::track::Track;
use crate::error::Result;

/// A server rates each 5 s, and what was lost on the way is none of these.
const EVERY: Duration = Duration::from_secs(2);

/// While a track is new the server waits for its first packet, and that one may be lost.
const WHILE_NEW: Duration = Duration::from_millis(100);
const NEW: u32 = 10;

/// One timer for all tracks of a session.
pub struct Silence {
    timer: Timer,
}

impl Silence {
    /// Needs tokio's context.
    pub fn new(now: Instant) -> Self {
        Self { timer: Timer::at(now + EVERY) }
    }

    /// Sends what is due.
    pub fn poll(
        &mut self,
        context: &mut Context<'_>,
        peer: &mut Peer,
        tracks: &mut [Track],
        now: Instant,
    ) -> Result<()> {
        if !peer.is_connected() {
            return Ok(());
        }
        if tracks.iter().any(|track| track.is_younger(1)) {
            self.timer.set(now);
        }
        while let Poll::Ready(now) = self.timer.poll(context, now) {
            for track in tracks.iter_mut() {
                if track.has_been_silent()
                    && let Some((mid, Some(pt))) = track.line
                {
                    peer.send_silence((mid, pt), track.silence()?, now)?;
                }
            }
            let new = tracks.iter().any(|track| track.is_younger(NEW));
            self.timer.set(now + if new { WHILE_NEW } else { EVERY });
        }
        Ok(())
    }
}
