//! How tracks find their place in the room: announced, offered, answered, published; one at a time.

use std::time::Instant;

use super::said::{Said, Side};
use super::trouble::{Remedy, Trouble};
use super::{Attempt, Connection, Input, LiveKit, Track};
use crate::error::{Code, Result, SpeakerError};

impl LiveKit {
    pub(super) fn add_track(&mut self, stream: u32, now: Instant) -> Result<()> {
        let name = self.options.track_names.get(&stream);
        self.tracks.push(Track::new(stream, name, self.channels, self.options.encoding)?);
        self.deadline = Some(now + self.options.timeout);
        Ok(())
    }

    /// Offers the next track, one at a time: an answer belongs to the one offer that is out.
    pub(super) fn offer_next(&mut self, now: Instant) -> Result<()> {
        let Some(Connection { room, peer, .. }) = self.connection.as_deref_mut() else { return Ok(()) };
        if peer.awaits_answer() || !self.recovery.may_offer() {
            return Ok(());
        }
        let Some(track) = self.tracks.iter_mut().find(|track| !track.offered) else { return Ok(()) };
        track.offered = true;
        room.add_track(&track.announcement);
        let cid = &track.announcement.cid;
        let (mid, sdp) = peer.offer(cid, now)?;
        track.line = Some((mid, None));
        room.offer(sdp, Some((mid.to_string(), cid.clone())));
        Ok(())
    }

    pub(super) fn hear_of_tracks(&mut self, said: Said, now: Instant) -> Attempt<()> {
        let Some(Connection { room, peer, theirs }) = self.connection.as_deref_mut() else { return Ok(()) };
        match said {
            Said::Answer(sdp) => {
                peer.answer(&sdp, now)?;
                self.offer_next(now)?;
            }
            Said::Offer(sdp) => {
                let theirs = match theirs {
                    Some(theirs) => theirs,
                    None => theirs.insert(peer.sibling(self.options.encoding, now)?),
                };
                room.answer(theirs.accept(&sdp, now)?);
            }
            Said::Candidate(candidate, side) => match (theirs, side) {
                (Some(theirs), Side::Theirs) => theirs.add_candidate(&candidate, now)?,
                _ => peer.add_candidate(&candidate, now)?,
            },
            Said::Published { cid, sid } => {
                let track = self.tracks.iter_mut().find(|track| track.announcement.cid == cid);
                track.into_iter().for_each(|track| track.sid = Some(sid.clone()));
            }
            Said::Muted { sid, muted } => {
                let track = self.tracks.iter_mut().find(|track| track.sid.as_ref() == Some(&sid));
                track.into_iter().for_each(|track| track.muted = muted);
                room.mute(sid, muted);
            }
            _ => {}
        }
        Ok(())
    }

    /// Looks whether a track has become usable; says which.
    pub(super) fn opened(&mut self, now: Instant) -> Option<u32> {
        let peer = &mut self.connection.as_deref_mut()?.peer;
        if !peer.is_connected() || peer.awaits_answer() {
            return None;
        }
        let ready = |track: &&mut Track| track.sid.is_some() && matches!(track.line, Some((_, None)));
        let track = self.tracks.iter_mut().find(ready)?;
        let (mid, _) = track.line?;
        track.line = Some((mid, Some(peer.payload_type(mid)?)));
        let stream = track.stream;
        if self.tracks.iter().all(Track::is_open) {
            self.deadline = None;
            self.handle(Input::Published, now);
        }
        Some(stream)
    }

    /// A track that can't be published the first time is refused; one that was published before may be again.
    pub(super) fn unpublished(&self) -> Trouble {
        let limit = self.options.timeout.as_millis();
        let message = match &self.connection {
            Some(connection) if !connection.peer.is_connected() => {
                let tried = connection.peer.tried();
                format!("no path to the server within {limit} ms (connectTimeoutMs): {tried}")
            }
            _ => format!("a track could not be published within {limit} ms (connectTimeoutMs)"),
        };
        let remedy = if self.recovery.is_republishing() { Remedy::Rejoin } else { Remedy::None };
        Trouble { remedy, ..SpeakerError::new(Code::JoinFailed, message).into() }
    }

    /// Gives tracks that are to be published anew the time for it.
    pub(super) fn publish_again(&mut self, now: Instant) {
        let open = self.tracks.iter().all(Track::is_open);
        self.deadline = (!open).then(|| now + self.options.timeout);
        if open {
            self.handle(Input::Published, now);
        }
    }
}
