//! Keep-alive packets of silence on tracks that send nothing else: without them a server rates the track as poor or lost, and it needs a
//! first packet before anybody can subscribe to the track.

use std::time::{Duration, Instant};

use super::peer::Peer;
use super::publications::Publications;
use super::timer::Timer;
use super::track::Track;
use crate::error::Result;

/// The interval of packets. A server rates every 5 s, and some packets may be lost.
const EVERY: Duration = Duration::from_secs(2);

/// The interval while a track is new: the server waits for its first packet, which may be lost.
const WHILE_NEW: Duration = Duration::from_millis(100);
const NEW: u32 = 10;

/// The keep-alive of a session, with one timer for all tracks.
pub struct KeepAlive {
    timer: Timer,
}

impl KeepAlive {
    pub fn new(now: Instant) -> Self {
        Self { timer: Timer::at(now + EVERY) }
    }

    /// Sends the packets that are due.
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
