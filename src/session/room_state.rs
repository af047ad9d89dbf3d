//! The state of the room that is the output: its participants, and the description of this one.

use std::collections::BTreeMap;

use crate::error::SpeakerError;
use crate::event::EventKind;
use crate::ids::Ticket;
use crate::output::{Description, Participant, Presence};

#[derive(Default)]
pub struct RoomState {
    local: Option<Participant>,
    others: BTreeMap<String, Participant>,
    /// The others are known: changes from now on are events.
    is_known: bool,
    /// The description that the room lists of us.
    description: Description,
    /// Changes of it that are not confirmed yet, by the calls that wait for them.
    requests: Vec<(Ticket, Description)>,
}

impl RoomState {
    /// Returns this participant, while the room is joined.
    pub fn local(&self) -> Option<&Participant> {
        self.local.as_ref()
    }

    /// Returns the other participants, in order of their identity.
    pub fn others(&self) -> impl Iterator<Item = &Participant> {
        self.others.values()
    }

    /// Applies a message about participants. Returns the events of its changes.
    pub fn update(&mut self, presence: Presence) -> Vec<EventKind> {
        match presence {
            Presence::Local(local) => {
                if !self.local.as_ref().is_some_and(|known| is_older(&local, known)) {
                    self.local = Some(local);
                }
                Vec::new()
            }
            Presence::Others(others) if !std::mem::replace(&mut self.is_known, true) => {
                self.others = others.into_iter().map(|other| (other.identity.clone(), other)).collect();
                Vec::new()
            }
            Presence::Others(others) => {
                let is_gone = |known: &Participant| !others.iter().any(|other| other.identity == known.identity);
                let gone = self.others.extract_if(.., |_, known| is_gone(known));
                let left = gone.map(|(_, known)| EventKind::ParticipantLeft { participant: Box::new(known) });
                let mut events: Vec<_> = left.collect();
                others.into_iter().for_each(|other| events.extend(self.listed(other)));
                events
            }
            Presence::Listed(other) => self.listed(other),
            Presence::Left { identity, sid } => self.left(&identity, &sid).into_iter().collect(),
        }
    }

    fn listed(&mut self, other: Participant) -> Vec<EventKind> {
        if self.others.get(&other.identity).is_some_and(|known| is_older(&other, known)) {
            return Vec::new();
        }
        let known = self.others.insert(other.identity.clone(), other.clone());
        let participant = Box::new(other);
        match known {
            Some(mut known) if known.sid == participant.sid => {
                known.version = participant.version;
                let is_changed = known != *participant;
                is_changed.then_some(EventKind::ParticipantChanged { participant }).into_iter().collect()
            }
            // They came back before the room noticed that they were gone.
            Some(known) => {
                let participant_left = EventKind::ParticipantLeft { participant: Box::new(known) };
                vec![participant_left, EventKind::ParticipantJoined { participant }]
            }
            None => vec![EventKind::ParticipantJoined { participant }],
        }
    }

    fn left(&mut self, identity: &str, sid: &str) -> Option<EventKind> {
        self.others.get(identity).filter(|known| known.sid == sid)?;
        let participant = Box::new(self.others.remove(identity)?);
        Some(EventKind::ParticipantLeft { participant })
    }

    /// Returns the descriptions to send to a room that was joined: the one that earlier rooms list, and those that calls wait for.
    pub fn descriptions_to_send(&self) -> Vec<(Option<Ticket>, Description)> {
        let lasting = (!self.description.is_empty()).then(|| (None, self.description.clone()));
        lasting.into_iter().chain(self.requests.iter().map(|(ticket, asked)| (Some(*ticket), asked.clone()))).collect()
    }

    /// Remembers a description for the rooms that will be joined.
    pub fn remember(&mut self, description: Description) {
        self.description.add(description);
    }

    /// Adds a call that waits until the room lists this description.
    pub fn add_request(&mut self, ticket: Ticket, description: Description) {
        self.requests.push((ticket, description));
    }

    /// Handles the room's answer. Returns false if no call waits for it.
    pub fn answered(&mut self, ticket: Ticket, error: Option<&SpeakerError>) -> bool {
        let Some(index) = self.requests.iter().position(|(asked, _)| *asked == ticket) else { return false };
        let (_, description) = self.requests.remove(index);
        if error.is_none() {
            self.description.add(description);
        }
        true
    }

    /// Returns true if a call waits for a room.
    pub fn is_wanted(&self) -> bool {
        !self.requests.is_empty()
    }

    /// Returns the calls that nothing answers any more.
    pub fn give_up(&mut self) -> Vec<Ticket> {
        self.requests.drain(..).map(|(ticket, _)| ticket).collect()
    }

    /// Forgets the room that was left.
    pub fn closed(&mut self) {
        (self.local, self.is_known) = (None, false);
        self.others.clear();
    }
}

/// Returns true if this state of a participant is older than the known one.
fn is_older(new: &Participant, known: &Participant) -> bool {
    new.sid == known.sid && new.version < known.version
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    fn somebody(identity: &str, sid: &str, metadata: &str) -> Participant {
        Participant { identity: identity.into(), sid: sid.into(), metadata: metadata.into(), ..Default::default() }
    }

    fn words(events: Vec<EventKind>) -> Vec<String> {
        let each = |event| match event {
            EventKind::ParticipantJoined { participant } => format!("{} joined", participant.sid),
            EventKind::ParticipantLeft { participant } => format!("{} left", participant.sid),
            EventKind::ParticipantChanged { participant } => format!("{} changed", participant.sid),
            other => format!("{other:?}"),
        };
        events.into_iter().map(each).collect()
    }

    fn left(identity: &str, sid: &str) -> Presence {
        Presence::Left { identity: identity.into(), sid: sid.into() }
    }

    #[test]
    fn reports_participants_that_come_and_go() {
        let mut room = RoomState::default();
        let mut hear = |presence| words(room.update(presence));
        assert_eq!(hear(Presence::Others(vec![somebody("a", "1", "")])), [""; 0]);
        assert_eq!(hear(Presence::Listed(somebody("a", "1", ""))), [""; 0]);
        assert_eq!(hear(Presence::Listed(somebody("a", "1", "new"))), ["1 changed"]);
        let version = |version, metadata| Participant { version, ..somebody("a", "1", metadata) };
        assert_eq!(hear(Presence::Listed(version(5, "fifth"))), ["1 changed"]);
        assert_eq!(hear(Presence::Listed(version(4, "fourth"))), [""; 0], "it comes late");
        assert_eq!(hear(Presence::Listed(version(6, "fifth"))), [""; 0], "nothing that is shown has changed");
        assert_eq!(hear(Presence::Listed(somebody("b", "2", ""))), ["2 joined"]);
        assert_eq!(hear(Presence::Listed(somebody("b", "3", ""))), ["2 left", "3 joined"]);
        assert_eq!(hear(left("b", "2")), [""; 0], "that stay is over already");
        assert_eq!(hear(left("b", "3")), ["3 left"]);
        assert_eq!(hear(left("nobody", "9")), [""; 0]);
        // Joined anew.
        let again = vec![somebody("c", "5", ""), somebody("d", "6", "")];
        assert_eq!(hear(Presence::Others(again)), ["1 left", "5 joined", "6 joined"]);
        assert_eq!(room.others().map(|other| other.identity.as_str()).collect::<Vec<_>>(), ["c", "d"]);
        room.closed();
        assert_eq!(room.others().count(), 0);
        assert_eq!(words(room.update(Presence::Others(vec![somebody("a", "7", "")]))), [""; 0]);
    }

    #[test]
    fn keeps_confirmed_descriptions_for_other_rooms() {
        let mut room = RoomState::default();
        let description = |key: &str, value: &str| Description {
            attributes: [(key.to_owned(), value.to_owned())].into(),
            ..Default::default()
        };
        room.remember(description("a", "1"));
        room.add_request(1.into(), description("a", "2"));
        room.add_request(2.into(), description("b", "1"));
        let said = [(None, ("a", "1")), (Some(1), ("a", "2")), (Some(2), ("b", "1"))]
            .map(|(number, (key, value))| (number.map(Ticket::from), description(key, value)));
        assert_eq!(room.descriptions_to_send(), said);
        assert!(room.answered(1.into(), None));
        assert!(room.answered(2.into(), Some(&SpeakerError::new(Code::Refused, "no"))));
        assert!(!room.answered(2.into(), None));
        assert_eq!(room.descriptions_to_send(), [(None, description("a", "2"))]);
        room.add_request(3.into(), description("c", "1"));
        assert_eq!(room.give_up(), [3.into()]);
        assert!(!room.is_wanted());
    }
}
