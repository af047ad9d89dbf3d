//! The events of a session's output, and its end.

use super::outbox::OutputRequest;
use super::output_state::Connection;
use super::tick::CLOSED;
use super::{Advance, Lifecycle, Session, WallTime};
use crate::error::{Code, Result, SpeakerError};
use crate::event::EventKind;
use crate::mixer::End;
use crate::output::{OutputEvent, Presence, UnheardPolicy};

/// The reason of a room for the loss of a session whose identity another one has taken.
const REPLACED: &str = "duplicateIdentity";

impl Session {
    /// Handles an event of the output.
    pub fn output_event(&mut self, event: OutputEvent, at: WallTime) {
        self.wall = at;
        self.outbox.wakes_driver = true;
        if self.outbox.output.iter().any(|request| matches!(request, OutputRequest::GiveUp)) {
            // It comes from an output that is being given up.
            return;
        }
        if let OutputEvent::Opened(stream)
        | OutputEvent::Refused { stream, .. }
        | OutputEvent::Unpublished { stream, .. }
        | OutputEvent::Republished(stream) = event
            && self.outbox.unpublishes(stream)
        {
            // The output does not know yet that the track is to be unpublished.
            return;
        }
        match event {
            // It was given up meanwhile.
            OutputEvent::Connected if self.output.connection != Connection::Opening => {}
            OutputEvent::Connected => {
                self.output.connection = Connection::Open;
                self.output.was_connected = true;
                if self.is_eager() {
                    // `connected` was noted where the output was requested.
                    self.output.take_tickets();
                    self.outbox.release();
                } else {
                    self.note(None, EventKind::Connected);
                    self.answer_connects(None);
                }
            }
            OutputEvent::Opened(stream) => self.output.stream_opened(stream),
            OutputEvent::Reconnecting(reason) => {
                self.output.is_reconnecting = true;
                self.note(None, EventKind::Reconnecting { reason });
            }
            OutputEvent::MediaLost(policy) => {
                self.output.connection = Connection::Cut { is_halted: policy == UnheardPolicy::Pause };
                if policy == UnheardPolicy::Pause {
                    // No frame carries their fades before the connection is restored.
                    let stopping = self.playbacks.sounding.iter().filter(|sounding| sounding.stopping.is_some());
                    let stopping: Vec<_> = stopping.map(|sounding| sounding.request.id).collect();
                    for id in stopping {
                        self.end(id, End::Stop);
                    }
                }
                if policy == UnheardPolicy::Drop {
                    let message = "the LiveKit room can't be reached for now (onReconnect: 'drop')";
                    self.fail_live(&SpeakerError::new(Code::Disconnected, message));
                }
                self.update_hearing();
            }
            OutputEvent::MediaRestored => self.restore_connection(),
            OutputEvent::Reconnected => {
                self.output.is_reconnecting = false;
                self.note(None, EventKind::Reconnected);
                self.restore_connection();
            }
            OutputEvent::Muted { stream: track_id, policy } => {
                self.output.stream_muted(track_id, Some(policy));
                self.note(None, EventKind::Muted { track_id });
                self.update_hearing();
            }
            OutputEvent::Unmuted(track_id) => {
                self.output.stream_muted(track_id, None);
                self.note(None, EventKind::Unmuted { track_id });
                self.update_hearing();
            }
            OutputEvent::Audience(is_there) => {
                self.output.audience = Some(is_there);
                self.update_hearing();
            }
            OutputEvent::Subscribed { stream: track_id, identity } => {
                self.note(None, EventKind::Subscribed { track_id, identity });
            }
            OutputEvent::Refused { stream, error } => self.refused(stream, &error),
            OutputEvent::Unpublished { stream, policy, error } => self.unpublished(stream, policy, &error),
            OutputEvent::Republished(track_id) => {
                self.output.stream_opened(track_id);
                self.note(None, EventKind::Republished { track_id });
                self.update_hearing();
            }
            OutputEvent::ConnectionStats(stats) => self.stats.link = stats,
            OutputEvent::Presence(presence) => self.update_presence(presence),
            OutputEvent::Described { ticket, error } => {
                if self.room.answered(ticket, error.as_ref()) {
                    self.outbox.settle(ticket, error);
                }
            }
            OutputEvent::UnpublishDone { ticket, error } => {
                if self.output.unpublished(ticket) {
                    self.outbox.settle(ticket, error);
                }
            }
            OutputEvent::Data(data) => {
                if !self.outbox.note_data(self.mixer.now(), data) {
                    self.stats.dropped_data += 1;
                }
            }
            OutputEvent::Sent { ticket, error } => {
                if self.sends.remove(ticket) {
                    self.outbox.settle(ticket, error);
                }
            }
            OutputEvent::Lost { error, reason } => self.lose(&error, reason),
            OutputEvent::Failed(error) => self.output_failed(&error),
        }
    }

    /// Applies a message about the room's participants.
    fn update_presence(&mut self, presence: Presence) {
        let is_joined = matches!(presence, Presence::Others(_));
        for kind in self.room.update(presence) {
            self.note(None, kind);
        }
        if is_joined {
            for (ticket, description) in self.room.descriptions_to_send() {
                self.outbox.request(OutputRequest::Describe(description, ticket));
            }
        }
    }

    /// Fails the calls that wait for the room.
    pub(super) fn fail_room_calls(&mut self, error: &SpeakerError) {
        for ticket in self.room.give_up().into_iter().chain(self.sends.give_up()) {
            self.outbox.settle(ticket, Some(error.clone()));
        }
    }

    /// Settles the calls that wait for a track to be unpublished.
    pub(super) fn settle_unpublished(&mut self, error: Option<&SpeakerError>) {
        for ticket in self.output.take_unpublishing() {
            self.outbox.settle(ticket, error.cloned());
        }
    }

    /// Notes that the output can be written again.
    fn restore_connection(&mut self) {
        self.output.connection = Connection::Open;
        self.answer_connects(None);
        self.update_hearing();
    }

    /// Handles that the output was lost: everything live fails, and the next request connects anew.
    fn lose(&mut self, error: &SpeakerError, reason: String) {
        self.counts.output_errors += 1;
        let was_held = self.retract_opening();
        // Disconnect first, so that a request made by an event listener opens a new connection.
        self.output.lost();
        self.room.closed();
        if reason == REPLACED && std::mem::take(&mut self.hands_over) {
            self.hand_over_all();
        }
        self.fail_live(error);
        self.fail_room_calls(error);
        // No track is in the room any more.
        self.settle_unpublished(None);
        if std::mem::take(&mut self.output.was_connected) {
            self.note(None, EventKind::Disconnected { reason });
        }
        self.answer_connects(Some(error));
        if was_held {
            self.outbox.release();
        }
    }

    pub(super) fn answer_connects(&mut self, error: Option<&SpeakerError>) {
        for ticket in self.output.take_tickets() {
            self.outbox.answer(ticket, error.cloned());
        }
        if let Some(error) = error {
            self.fail_advances(error);
        }
    }

    pub(super) fn fail_advances(&mut self, error: &SpeakerError) {
        for Advance { ticket, .. } in std::mem::take(&mut self.advances) {
            self.outbox.settle(ticket, Some(error.clone()));
        }
    }

    /// Handles that the output failed to take a frame: everything live fails, and the session may try again.
    pub(super) fn output_failed(&mut self, error: &SpeakerError) {
        if self.output.failed(error) {
            self.counts.output_errors += 1;
            let SpeakerError { code, message, .. } = error.clone();
            self.note(None, EventKind::Error { code, message });
        }
        self.fail_live(error);
        self.fail_advances(error);
    }

    fn fail_live(&mut self, error: &SpeakerError) {
        self.fail_tracks(|_, _| true, error);
        self.mixer.reset();
    }

    /// Ends the session: its output is closed, or failed to close.
    pub fn closed(&mut self, result: Result<()>) {
        self.output.closed();
        self.output.end_listenings();
        self.room.closed();
        if std::mem::take(&mut self.output.was_connected) {
            self.note(None, EventKind::Disconnected { reason: CLOSED.to_owned() });
        }
        self.outbox.release();
        self.settle_unpublished(None);
        let error = result.err();
        for ticket in std::mem::take(&mut self.closing) {
            self.outbox.settle(ticket, error.clone());
        }
        self.lifecycle = match self.lifecycle {
            Lifecycle::Broken { .. } => Lifecycle::Broken { is_closed: true },
            _ => Lifecycle::Closed,
        };
    }
}
