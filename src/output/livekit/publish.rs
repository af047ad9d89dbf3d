//! Carries out what [`Publications`](super::publications::Publications) wants: announces, offers, mutes; and tells it what is heard.

use std::time::Instant;

use super::peer::Offer;
use super::said::{Agreed, Said, Side};
use super::trouble::{Remedy, Trouble};
use super::{Attempt, Condition, Connection, Input, LiveKit, LiveKitOptions, Track};
use crate::error::{Code, SpeakerError};

impl LiveKit {
    pub(super) fn add_track(&mut self, stream: u32) {
        if !self.tracks.iter().any(|track| track.stream == stream) {
            let LiveKitOptions { encoding, encode_once, .. } = self.options;
            self.tracks.push(Track::new(stream, self.channels, encoding, encode_once));
        }
    }

    /// Lets tracks go on as far as they can by now.
    pub(super) fn publish(&mut self, now: Instant) -> Attempt<()> {
        let Some(connection) = &self.connection else { return Ok(()) };
        self.publications.look(connection.peer.is_connected(), now);
        if let Some(error) = self.publications.failure() {
            return Err(Trouble { remedy: Remedy::None, ..error.into() });
        }
        while let Some(stream) = self.publications.late(now) {
            if !self.publications.is_gone(stream, now) {
                self.give_up(stream, now)?;
            }
        }
        self.let_go(now);
        if self.recovery.awaits_tracks() && self.publications.is_restored() {
            self.handle(Input::Published, now);
        }
        let Some(Connection { room, peer, theirs, .. }) = self.connection.as_deref_mut() else { return Ok(()) };
        if self.data.is_used() {
            peer.want_channels();
            theirs.iter_mut().for_each(|theirs| theirs.want_channels());
        }
        let heard = self.listeners.todo(peer.awaits_answer());
        if !heard.subscribe.is_empty() || !heard.unsubscribe.is_empty() {
            room.subscribe(heard.subscribe, heard.unsubscribe, self.listeners.subscribed());
            peer.set_listening(self.listeners.is_listening());
            theirs.iter_mut().for_each(|theirs| theirs.set_listening(self.listeners.is_listening()));
        }
        let todo = self.publications.todo(peer.awaits_answer(), now);
        let lacks_channels = peer.lacks_channels() && self.recovery.may_offer();
        if todo.is_none() && heard.lines.is_none() && !lacks_channels {
            return Ok(());
        }
        let todo = todo.unwrap_or_default();
        todo.announcements.iter().for_each(|announcement| room.add_track(announcement));
        todo.mutes.into_iter().for_each(|(sid, muted)| room.mute(sid, muted));
        if let Some(Offer { lines, receiving, sdp }) = peer.offer(&todo.lines, &todo.idle, heard.lines, now)? {
            let lines: Vec<_> = lines.into_iter().zip(todo.lines).collect();
            self.publications.offered(&lines);
            self.listeners.offered(receiving);
            room.offer(sdp, lines.into_iter().map(|(mid, cid)| (mid.to_string(), cid)));
        } else if !todo.idle.is_empty() {
            // The server has agreed to that already.
            self.publications.answered(|mid| peer.payload_type(mid), now);
        }
        Ok(())
    }

    /// Lets go of tracks that are not wanted any more, once what was said on them is heard.
    fn let_go(&mut self, now: Instant) {
        let Some(Connection { room, .. }) = self.connection.as_deref_mut() else { return };
        for track in &mut self.tracks {
            let is_heard = track.heard_by(self.options.linger).is_none_or(|at| at <= now);
            if !is_heard || !self.publications.is_leaving(track.stream) {
                continue;
            }
            track.reset();
            if let Some(sid) = self.publications.let_go(track.stream, now) {
                room.forget(&sid);
            }
        }
    }

    pub(super) fn hear_of_tracks(&mut self, said: Said, now: Instant) -> Attempt<()> {
        let Some(Connection { room, peer, theirs, .. }) = self.connection.as_deref_mut() else { return Ok(()) };
        self.publications.hear(&said, now);
        match said {
            Said::Answer(Agreed { sdp, tracks }) => {
                peer.answer(&sdp, now)?;
                self.publications.answered(|mid| peer.payload_type(mid), now);
                self.listeners.agreed(Side::Ours, &tracks);
            }
            Said::NeedsLines(lines) => self.listeners.want(lines),
            Said::NotSent { sid, error } => self.listeners.refused(&sid, &error),
            Said::Offer(Agreed { sdp, tracks }) => {
                let theirs = match theirs {
                    Some(theirs) => theirs,
                    None => theirs.insert(Box::new(peer.sibling(self.options.encoding, now)?)),
                };
                theirs.set_listening(self.listeners.is_listening());
                room.answer(theirs.accept(&sdp, now)?);
                self.listeners.agreed(Side::Theirs, &tracks);
            }
            Said::Candidate(candidate, side) => match (theirs, side) {
                (Some(theirs), Side::Theirs) => theirs.add_candidate(&candidate, now)?,
                _ => peer.add_candidate(&candidate, now)?,
            },
            _ => {}
        }
        Ok(())
    }

    /// A track could not be published in time. Where sound arrives, only that one fails.
    fn give_up(&mut self, stream: u32, now: Instant) -> Attempt<()> {
        let trouble = self.unpublished();
        let Some(Connection { peer, .. }) = self.connection.as_deref_mut() else { return Ok(()) };
        if !peer.is_connected() || self.recovery.is_republishing() || self.told == Condition::Away {
            return Err(trouble);
        }
        if self.publications.give_up(stream, trouble.error, now) {
            peer.withdraw();
            self.publications.withdrawn();
            self.listeners.withdrawn();
        }
        Ok(())
    }

    /// What can't be published the first time is refused; what was published before may be again.
    fn unpublished(&self) -> Trouble {
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
}
