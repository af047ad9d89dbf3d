//! How a session ends: everything stops, everyone is told, nothing is left.

use super::actor::Actor;
use super::command::Command;
use super::handle::closed;
use super::registry::Target;
use crate::audio::{EDGE_FADE, FRAME, Samples};
use crate::event::EventKind;

/// What a `stopped` event says when the session was closed.
const REASON: &str = "closed";

impl Actor {
    pub(super) fn close(&mut self, ticket: Option<u32>) {
        // No request is taken from here on; those taken before are in the channel, and are told of first.
        self.registry.lock().close();
        let mut tickets: Vec<u32> = ticket.into_iter().collect();
        while let Some(command) = self.inbox.pop_front().or_else(|| self.commands.try_recv().ok()) {
            match command {
                Command::Close(ticket) => tickets.extend(ticket),
                Command::Advance(_, ticket) | Command::Connect(ticket) => self.settle(ticket, Some(closed())),
                command => self.handle(command),
            }
        }
        let (_, actions) = self.registry.lock().stop(&Target::All, REASON, EDGE_FADE as Samples);
        self.perform(actions);
        // Realtime: the last frame carries the fade. Manual: time stands still, so what sounds is cut where it is.
        if self.stage.pacer.is_some() && !self.stage.mixer.is_silent() {
            self.tick(FRAME);
        }
        self.notices = self.stage.cut();
        self.digest();
        let disconnected = self.stage.disconnect();
        if disconnected.is_some() {
            self.tell(None, EventKind::Disconnected { reason: REASON.to_owned() });
        }
        let error = disconnected.and_then(Result::err);
        self.publish();
        // From now on a call finds the channel closed and settles by itself; what came in between settles here.
        self.commands.close();
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Close(ticket) => tickets.extend(ticket),
                Command::Advance(_, ticket) | Command::Connect(ticket) => self.settle(ticket, Some(closed())),
                _ => {}
            }
        }
        tickets.into_iter().for_each(|ticket| self.settle(ticket, error.clone()));
    }
}
