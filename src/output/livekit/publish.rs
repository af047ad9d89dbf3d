//! Carries out what [`Publications`](super::publications::Publications) wants: announces, offers, mutes; and tells it what is heard.

use std::task::{Context, Poll};
use std::time::Instant;

use super::peer::Peer;
use super::room::Room;
use super::said::{Said, Side};
use super::trouble::{Remedy, Trouble};
use super::{Attempt, Condition, Connection, LiveKit, State, Track};
use crate::error::{Code, Result, SpeakerError};

impl LiveKit {
    /// The room is joined: the tracks there are come next.
    pub(super) fn joined(&mut self, (room, peer): (Room, Peer), now: Instant) {
        self.publications.joined(&room.has, now);
        self.state = State::Joined(Box::new(Connection { room, peer, theirs: None, recovery: None }));
    }

    pub(super) fn add_track(&mut self, stream: u32) -> Result<()> {
        if !self.tracks.iter().any(|track| track.stream == stream) {
            self.tracks.push(Track::new(stream, self.channels, self.options.encoding)?);
        }
        Ok(())
    }

    /// Lets tracks go on as far as they can by now.
    pub(super) fn publish(&mut self, now: Instant) -> Attempt<()> {
        let State::Joined(connection) = &mut self.state else { return Ok(()) };
        self.publications.look(connection.peer.is_connected(), now);
        if let Some(error) = self.publications.failure() {
            return Err(Trouble { remedy: Remedy::None, ..error.into() });
        }
        while let Some(stream) = self.publications.late(now) {
            self.give_up(stream, now)?;
        }
        if self.publications.is_restored() {
            self.rejoin.done();
        }
        let State::Joined(connection) = &mut self.state else { return Ok(()) };
        let Connection { room, peer, .. } = &mut **connection;
        let Some(todo) = self.publications.todo(peer.awaits_answer(), now) else { return Ok(()) };
        todo.announcements.iter().for_each(|announcement| room.add_track(announcement));
        todo.mutes.into_iter().for_each(|(sid, muted)| room.mute(sid, muted));
        if let Some((mids, sdp)) = peer.offer(&todo.lines, &todo.idle)? {
            let lines: Vec<_> = mids.into_iter().zip(todo.lines).collect();
            self.publications.offered(&lines);
            room.offer(sdp, lines.into_iter().map(|(mid, cid)| (mid.to_string(), cid)));
        }
        Ok(())
    }

    /// Wakes when tracks are to be looked at again; says when that was to be.
    pub(super) fn poll_tracks(&mut self, context: &mut Context<'_>) -> Poll<Instant> {
        let Some(at) = self.publications.next_deadline() else { return Poll::Pending };
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at.into())));
        if timer.deadline().into_std() != at {
            timer.as_mut().reset(at.into());
        }
        timer.as_mut().poll(context).map(|()| at)
    }

    pub(super) fn hear(&mut self, said: Said, now: Instant) -> Attempt<()> {
        let State::Joined(connection) = &mut self.state else { return Ok(()) };
        let Connection { room, peer, theirs, .. } = &mut **connection;
        self.publications.hear(&said, now);
        match said {
            Said::Answer(sdp) => {
                peer.answer(&sdp)?;
                self.publications.answered(|mid| peer.payload_type(mid));
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
            Said::Us(us) => room.has = us,
            Said::Quality(quality) => self.link.quality = Some(quality),
            Said::Left(trouble) => return Err(trouble),
            Said::Published { .. } | Said::Refused { .. } | Said::Unpublished { .. } | Said::Subscribed { .. } => {}
            Said::Muted { .. } | Said::Replaced | Said::Came(_) | Said::Went(_) => {}
        }
        Ok(())
    }

    /// A track could not be published in time. Where sound arrives, only that one fails.
    fn give_up(&mut self, stream: u32, now: Instant) -> Attempt<()> {
        let trouble = self.unpublished();
        let State::Joined(connection) = &mut self.state else { return Ok(()) };
        let peer = &mut connection.peer;
        if !peer.is_connected() || self.rejoin.is_going_on() || self.told == Condition::Away {
            return Err(trouble);
        }
        if self.publications.give_up(stream, trouble.error, now) {
            peer.withdraw();
            self.publications.withdrawn();
        }
        Ok(())
    }

    /// What can't be published the first time is refused; what was published before may be again.
    fn unpublished(&self) -> Trouble {
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
