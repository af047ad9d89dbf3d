//! A packet of silence now and then on every track that says nothing: a server that gets none rates the track as poor or lost, and
//! needs a first one before anybody can listen to it.

use std::time::{Duration, Instant};

use super::peer::Peer;
use super::publications::Publications;
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
    pub fn new(now: Instant) -> Self {
        Self { timer: Timer::at(now + EVERY) }
    }

    /// Sends what is due.
    pub fn poll(
        &mut self,
        peer: &mut Peer,
        tracks: &mut [Track],
        publications: &Publications,
        now: Instant,
    ) -> Result<()> {
        if !peer.is_connected() {
            return Ok(());
        }
        let is_new = |tracks: &[Track], asked| {
            tracks.iter().any(|track| track.is_younger(asked) && publications.speaking(track.stream).is_some())
        };
        if is_new(tracks, 1) {
            self.timer.set(now);
        }
        while self.timer.poll(now).is_ready() {
            for track in tracks.iter_mut() {
                let line = publications.speaking(track.stream);
                if track.has_been_silent(line.is_some())
                    && let Some(line) = line
                {
                    peer.send_silence(line, track.silence(), now)?;
                }
            }
            let next = if is_new(tracks, NEW) { now + WHILE_NEW } else { peer.moment_before(now + EVERY) };
            self.timer.set(next);
        }
        Ok(())
    }
}
