//! What the actor does when it is told: commands in order, as far as the clock allows.

use tokio::time::timeout;

use super::actor::Actor;
use super::close::LIMIT;
use super::command::Command;
use super::registry::{Action, Ending};
use crate::audio::Samples;
use crate::error::{Code, Result, SpeakerError};
use crate::event::EventKind;
use crate::runtime::RUNTIME;

impl Actor {
    pub(super) fn receive(&mut self, command: Command) {
        self.closing |= matches!(command, Command::Close(_));
        self.inbox.push_back(command);
    }

    /// Does what was told, as far as the clock allows. `Some` when the session is to close.
    pub(super) fn work_inbox(&mut self) -> Option<Option<u32>> {
        loop {
            self.catch_up();
            match self.inbox.pop_front()? {
                Command::Advance(left, ticket) => match self.advance(left) {
                    Ok(None) => self.settle(ticket, None),
                    Ok(Some(left)) => {
                        self.inbox.push_front(Command::Advance(left, ticket));
                        return None;
                    }
                    Err(error) => self.settle(ticket, Some(error)),
                },
                Command::Close(ticket) => return Some(ticket),
                command => self.handle(command),
            }
        }
    }

    /// Does what was told of playbacks, one after the other: what follows from one may be told among them.
    pub(super) fn catch_up(&mut self) {
        if std::mem::replace(&mut self.busy, true) {
            return;
        }
        let is_next = |command: &mut Command| !matches!(command, Command::Advance(..) | Command::Close(_));
        while let Some(command) = self.inbox.pop_front_if(is_next) {
            self.handle(command);
        }
        self.busy = false;
    }

    pub(super) fn handle(&mut self, command: Command) {
        match command {
            Command::Play(upcoming, actions) => {
                let (id, request_id) = (upcoming.id, upcoming.request_id.clone());
                self.requests.insert(id, request_id);
                self.stage.loading.enter(*upcoming);
                match self.connect() {
                    Ok(()) => self.perform(actions),
                    Err(error) => {
                        // What it stopped stays stopped; it never opens.
                        let kept = |action: &Action| !matches!(action, Action::Open(open) if *open == id);
                        self.perform(actions.into_iter().filter(kept).collect());
                        self.end(id, Ending::Failed(error), 0);
                    }
                }
            }
            Command::Apply(actions) => {
                let silences = actions.iter().any(|action| matches!(action, Action::Fade(..) | Action::Pause(_)));
                self.perform(actions);
                if silences {
                    self.stage.hasten();
                }
            }
            Command::Connect(ticket) => match self.connect() {
                Ok(()) if self.stage.is_connected() => self.settle(ticket, None),
                Ok(()) => self.connecting.push(ticket),
                Err(error) => self.settle(ticket, Some(error)),
            },
            Command::GiveUp(ticket) => self.give_up(ticket),
            Command::Report(SpeakerError { code, message }) => self.tell(None, EventKind::Error { code, message }),
            Command::Flush(id, ticket) => {
                self.notices.extend(self.stage.flush(id));
                self.digest();
                let woken = self.stage.wake();
                self.check(woken);
                self.settle(ticket, None);
            }
            Command::Tap(request) => self.stage.taps.open(*request, self.stage.mixer.now()),
            Command::Untap(id) => self.stage.taps.close(id),
            Command::Advance(..) | Command::Close(_) => unreachable!("work_inbox() takes these"),
        }
    }

    fn connect(&mut self) -> Result<()> {
        if self.stage.connect()? && self.stage.is_connected() {
            self.was_connected = true;
            self.tell(None, EventKind::Connected);
        }
        Ok(())
    }

    /// Lets who waits under `ticket` go, and the attempt with the last one who wants the output.
    fn give_up(&mut self, ticket: u32) {
        let Some(index) = self.connecting.iter().position(|waiting| *waiting == ticket) else { return };
        self.connecting.remove(index);
        let is_wanted = !self.connecting.is_empty() || self.registry.lock().live().next().is_some();
        if !is_wanted && !self.was_connected {
            // It may have been let in already.
            self.stage.disconnect().into_iter().for_each(|leaving| drop(RUNTIME.spawn(timeout(LIMIT, leaving))));
        }
        let message = "Expected a signal that is aborted after the output is open but it was before";
        self.settle(ticket, Some(SpeakerError::new(Code::Aborted, message)));
    }

    /// Moves the manual clock; says what is left if a source holds it.
    fn advance(&mut self, mut left: Samples) -> Result<Option<Samples>> {
        self.connect()?;
        while !self.closing {
            self.poll_sources();
            self.swap_sought();
            self.expire();
            let step = self.deadline.map_or(left, |deadline| left.min(deadline - self.stage.mixer.now()));
            let frames = self.stage.to_border().min(step as usize);
            if !self.stage.may_move(frames) {
                return Ok(Some(left));
            }
            match left {
                // Also at the end: whatever was asked for before it is loaded or has failed when `advance` resolves.
                0 => break,
                _ if self.stage.is_idle() => {
                    self.stage.skip(step)?;
                    left -= step;
                }
                _ => {
                    left -= self.tick(frames) as Samples;
                }
            }
        }
        Ok(None)
    }
}
