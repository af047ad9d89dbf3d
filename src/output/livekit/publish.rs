//! Carries out the todo list of [`Publications`](super::publications::Publications) and [`Listeners`](super::listeners::Listeners), and
//! passes them the server's messages.

use std::time::Instant;

use super::disconnect::{Disconnect, Retry};
use super::peer::Offer;
use super::signal_event::{Agreed, Side, SignalEvent};
use super::{ConnectResult, Connection, Connectivity, Input, LiveKit, LiveKitOptions, Track};
use crate::error::{Code, SpeakerError};

impl LiveKit {
    pub(super) fn add_track(&mut self, stream: u32) {
        if !self.tracks.iter().any(|track| track.stream == stream) {
            let LiveKitOptions { encoding, encode_once, .. } = self.options;
            self.tracks.push(Track::new(stream, self.channels, encoding, encode_once));
        }
    }

    /// Advances publishing as far as possible.
    pub(super) fn publish(&mut self, now: Instant) -> ConnectResult<()> {
        let Some(connection) = &self.connection else { return Ok(()) };
        self.publications.tick(connection.peer.is_connected(), now);
        if let Some(failure) = self.publications.failure() {
            return Err(failure);
        }
        while let Some(stream) = self.publications.late(now) {
            if !self.publications.finish_release(stream, now) {
                self.give_up(stream, now)?;
            }
        }
        self.release_silent_tracks(now);
        if self.recovery.awaits_tracks() && self.publications.is_restored() {
            self.handle(Input::Published, now);
        }
        let Some(Connection { room, peer, subscriber, .. }) = self.connection.as_deref_mut() else { return Ok(()) };
        if self.data.is_used() {
            peer.want_channels();
            if let Some(subscriber) = subscriber {
                subscriber.want_channels();
            }
        }
        let heard = self.listeners.todo(peer.awaits_answer());
        if !heard.subscribe.is_empty() || !heard.unsubscribe.is_empty() {
            room.subscribe(heard.subscribe, heard.unsubscribe, self.listeners.subscribed());
            peer.set_listening(self.listeners.is_listening());
            if let Some(subscriber) = subscriber {
                subscriber.set_listening(self.listeners.is_listening());
            }
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
            // The server has agreed to the release before.
            self.publications.answered(|mid| peer.payload_type(mid), now);
        }
        Ok(())
    }

    /// Releases draining tracks once their last sound was heard.
    fn release_silent_tracks(&mut self, now: Instant) {
        let Some(Connection { room, .. }) = self.connection.as_deref_mut() else { return };
        for track in &mut self.tracks {
            let is_heard = track.heard_by(self.options.linger).is_none_or(|at| at <= now);
            if !is_heard || !self.publications.is_draining(track.stream) {
                continue;
            }
            track.reset();
            if let Some(sid) = self.publications.release(track.stream, now) {
                room.forget(&sid);
            }
        }
    }

    pub(super) fn handle_track_event(&mut self, event: SignalEvent, now: Instant) -> ConnectResult<()> {
        let Some(Connection { room, peer, subscriber, .. }) = self.connection.as_deref_mut() else { return Ok(()) };
        self.publications.handle(&event, now);
        match event {
            SignalEvent::Answer(Agreed { sdp, tracks }) => {
                peer.answer(&sdp, now)?;
                self.publications.answered(|mid| peer.payload_type(mid), now);
                self.listeners.agreed(Side::Publisher, &tracks);
            }
            SignalEvent::NeedsLines(lines) => self.listeners.want(lines),
            SignalEvent::NotSent { sid, error } => self.listeners.refused(&sid, &error),
            SignalEvent::Offer(Agreed { sdp, tracks }) => {
                let subscriber = match subscriber {
                    Some(subscriber) => subscriber,
                    None => subscriber.insert(Box::new(peer.sibling(self.options.encoding, now)?)),
                };
                subscriber.set_listening(self.listeners.is_listening());
                room.answer(subscriber.accept(&sdp, now)?);
                self.listeners.agreed(Side::Subscriber, &tracks);
            }
            SignalEvent::Candidate(candidate, side) => match (subscriber, side) {
                (Some(subscriber), Side::Subscriber) => subscriber.add_candidate(&candidate, now)?,
                _ => peer.add_candidate(&candidate, now)?,
            },
            _ => {}
        }
        Ok(())
    }

    /// Handles that a track could not be published in time. If media arrives, only that track fails.
    fn give_up(&mut self, stream: u32, now: Instant) -> ConnectResult<()> {
        let disconnect = self.unpublished();
        let Some(Connection { peer, .. }) = self.connection.as_deref_mut() else { return Ok(()) };
        if !peer.is_connected() || self.recovery.is_republishing() || self.reported == Connectivity::Connecting {
            return Err(disconnect);
        }
        if self.publications.give_up(stream, disconnect.error, now) {
            peer.withdraw();
            self.publications.withdrawn();
            self.listeners.withdrawn();
        }
        Ok(())
    }

    /// Returns the disconnect for tracks that could not be published. On the first join it is final; a rejoin may be repeated.
    fn unpublished(&self) -> Disconnect {
        let limit = self.options.timeout.as_millis();
        let message = match &self.connection {
            Some(connection) if !connection.peer.is_connected() => {
                let tried = connection.peer.tried();
                format!("no path to the server within {limit} ms (connectTimeoutMs): {tried}")
            }
            _ => format!("a track could not be published within {limit} ms (connectTimeoutMs)"),
        };
        let retry = if self.recovery.is_republishing() { Retry::Rejoin } else { Retry::Never };
        Disconnect { retry, ..SpeakerError::new(Code::JoinFailed, message).into() }
    }
}
