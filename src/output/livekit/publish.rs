//! How tracks find their place in the room: announced, offered, answered, published; one at a time.

use tokio::time::sleep;

use super::peer::Peer;
use super::room::Room;
use super::said::{Said, Side};
use super::trouble::{Remedy, Trouble};
use super::{Attempt, Connection, LiveKit, State, Track};
use crate::error::{Code, Result, SpeakerError};

impl LiveKit {
    /// The room is joined: the tracks there are come next.
    pub(super) fn joined(&mut self, (room, peer): (Room, Peer)) -> Result<()> {
        self.state = State::Joined(Box::new(Connection { room, peer, theirs: None, recovery: None }));
        self.publish_again();
        self.offer_next()
    }

    pub(super) fn add_track(&mut self, stream: u32) -> Result<()> {
        let name = self.options.track_names.get(&stream);
        self.tracks.push(Track::new(stream, name, self.channels, self.options.encoding)?);
        self.deadline = Some(Box::pin(sleep(self.options.timeout)));
        Ok(())
    }

    /// Offers the next track, one at a time: an answer belongs to the one offer that is out.
    pub(super) fn offer_next(&mut self) -> Result<()> {
        let State::Joined(connection) = &mut self.state else { return Ok(()) };
        let Connection { room, peer, recovery, .. } = &mut **connection;
        if peer.awaits_answer() || recovery.is_some() {
            return Ok(());
        }
        let Some(track) = self.tracks.iter_mut().find(|track| !track.offered) else { return Ok(()) };
        track.offered = true;
        room.add_track(&track.announcement);
        let cid = &track.announcement.cid;
        let (mid, sdp) = peer.offer(cid)?;
        track.line = Some((mid, None));
        room.offer(sdp, Some((mid.to_string(), cid.clone())));
        Ok(())
    }

    pub(super) fn hear(&mut self, said: Said) -> Attempt<()> {
        let State::Joined(connection) = &mut self.state else { return Ok(()) };
        let Connection { room, peer, theirs, .. } = &mut **connection;
        match said {
            Said::Answer(sdp) => {
                peer.answer(&sdp)?;
                self.offer_next()?;
            }
            Said::Offer(sdp) => {
                let theirs = match theirs {
                    Some(theirs) => theirs,
                    None => theirs.insert(peer.sibling(self.options.encoding)?),
                };
                room.answer(theirs.accept(&sdp)?);
            }
            Said::Candidate(candidate, side) => match (theirs, side) {
                (Some(theirs), Side::Theirs) => theirs.add_candidate(&candidate)?,
                _ => peer.add_candidate(&candidate)?,
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
            Said::Refused { .. } | Said::Unpublished { .. } | Said::Subscribed { .. } => {}
            Said::Replaced => return Err(Trouble::replaced()),
            Said::Us(_) | Said::Moved | Said::Came(_) | Said::Went(_) => {}
            Said::Quality(quality) => self.link.quality = Some(quality),
            Said::Left(trouble) => return Err(trouble),
        }
        Ok(())
    }

    /// Looks whether a track has become usable; says which.
    pub(super) fn opened(&mut self) -> Option<u32> {
        let State::Joined(connection) = &mut self.state else { return None };
        let peer = &mut connection.peer;
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
            self.rejoin.done();
        }
        Some(stream)
    }

    /// A track that can't be published the first time is refused; one that was published before may be again.
    pub(super) fn unpublished(&self) -> Trouble {
        let limit = self.options.timeout.as_millis();
        let message = match &self.state {
            State::Joined(connection) if !connection.peer.is_connected() => {
                let tried = connection.peer.tried();
                format!("no path to the server within {limit} ms (connectTimeoutMs): {tried}")
            }
            _ => format!("a track could not be published within {limit} ms (connectTimeoutMs)"),
        };
        let remedy = if self.rejoin.is_going_on() { Remedy::Rejoin } else { Remedy::None };
        Trouble { remedy, ..SpeakerError::new(Code::JoinFailed, message).into() }
    }
}
