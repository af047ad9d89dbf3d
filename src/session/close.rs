//! How a session ends: everything stops, everyone is told, nothing is left.

use std::time::Duration;

use tokio::time::timeout;

use super::actor::Actor;
use super::command::Command;
use super::handle::closed;
use super::registry::Target;
use crate::audio::{EDGE_FADE, FRAME, Samples};
use crate::event::EventKind;

/// How long an output may take to close: whoever does not answer by then won't.
pub(super) const LIMIT: Duration = Duration::from_secs(2);

/// What a `stopped` event says when the session was closed.
const REASON: &str = "closed";

impl Actor {
    pub(super) async fn close(mut self, ticket: Option<u32>) {
        self.stop_all();
        let mut tickets: Vec<u32> = ticket.into_iter().collect();
        self.busy = true;
        while let Some(command) = self.inbox.pop_front() {
            match command {
                Command::Close(ticket) => tickets.extend(ticket),
                Command::Advance(_, ticket) | Command::Connect(ticket) => self.settle(ticket, Some(closed())),
                command => self.handle(command),
            }
        }
        // Nothing is left that a call could change, so none is waited for.
        self.watch = None;
        // Realtime: the last frame carries the fade. Manual: time stands still, so what sounds is cut where it is.
        if self.stage.pacer.is_some() && self.stage.is_connected() && !self.stage.mixer.is_silent() {
            self.tick(FRAME);
        }
        self.notices = self.stage.cut();
        self.digest();
        self.answer_connects(Some(closed()));
        let mut error = None;
        if let Some(closing) = self.stage.disconnect() {
            error = timeout(LIMIT, closing).await.unwrap_or(Ok(())).err();
        }
        if self.was_connected {
            self.tell(None, EventKind::Disconnected { reason: REASON.to_owned() });
        }
        self.publish();
        // From now on a call finds the channel closed and settles by itself; what came in between settles here.
        self.commands.close();
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Close(ticket) => tickets.extend(ticket),
                Command::Advance(_, ticket) | Command::Connect(ticket) => self.settle(ticket, Some(closed())),
                Command::Flush(_, ticket) => self.settle(ticket, None),
                _ => {}
            }
        }
        tickets.into_iter().for_each(|ticket| self.settle(ticket, error.clone()));
    }

    /// Takes no request from here on, and stops everything behind what was told before.
    fn stop_all(&mut self) {
        let registry = self.registry.clone();
        let mut registry = registry.lock();
        registry.close();
        while let Ok(command) = self.commands.try_recv() {
            self.receive(command);
        }
        let (_, actions) = registry.stop(&Target::All, REASON, EDGE_FADE as Samples, self.now());
        self.inbox.push_back(Command::Apply(actions));
    }
}
