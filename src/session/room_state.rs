//! What a session knows of the room that its output is: who is in it, and what it is to list of this participant.

use std::collections::BTreeMap;

use super::outbox::Ticket;
use crate::error::SpeakerError;
use crate::event::EventKind;
use crate::output::{Description, Participant, Presence};

#[derive(Default)]
pub struct RoomState {
    local: Option<Participant>,
    others: BTreeMap<String, Participant>,
    /// The others were told once: what changes from now on is an event.
    is_known: bool,
    /// What the room lists of us because we said so.
    said: Description,
    /// What it was asked to list, by the calls that wait for that.
    asked: Vec<(Ticket, Description)>,
}

impl RoomState {
    /// Who this participant is, while the room is joined.
    pub fn local(&self) -> Option<&Participant> {
        self.local.as_ref()
    }

    /// The others who are in the room, by their identity.
    pub fn others(&self) -> impl Iterator<Item = &Participant> {
        self.others.values()
    }

    /// Takes what the room tells. Returns what is news.
    pub fn hear(&mut self, presence: Presence) -> Vec<EventKind> {
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
                let gone =
                    self.others.values().filter(|known| !others.iter().any(|other| other.identity == known.identity));
                let gone: Vec<_> = gone.map(|known| (known.identity.clone(), known.sid.clone())).collect();
                let left = gone.into_iter().flat_map(|(identity, sid)| self.left(&identity, &sid));
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
            Some(known) if Participant { version: participant.version, ..known.clone() } == *participant => Vec::new(),
            Some(known) if known.sid == participant.sid => vec![EventKind::ParticipantChanged { participant }],
            // They have come back before the room had noticed that they were gone.
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

    /// What a room that is joined has to be told: what others were told before, and what calls wait for.
    pub fn to_say(&self) -> Vec<(Option<Ticket>, Description)> {
        let said = (!self.said.is_empty()).then(|| (None, self.said.clone()));
        said.into_iter().chain(self.asked.iter().map(|(ticket, asked)| (Some(*ticket), asked.clone()))).collect()
    }

    /// What is to be said once a room is joined.
    pub fn say(&mut self, description: Description) {
        self.said.add(description);
    }

    /// A call waits until the room lists this.
    pub fn ask(&mut self, ticket: Ticket, description: Description) {
        self.asked.push((ticket, description));
    }

    /// The room has answered. Returns false if nobody waits for that.
    pub fn answered(&mut self, ticket: Ticket, error: Option<&SpeakerError>) -> bool {
        let Some(index) = self.asked.iter().position(|(asked, _)| *asked == ticket) else { return false };
        let (_, description) = self.asked.remove(index);
        if error.is_none() {
            self.said.add(description);
        }
        true
    }

    /// Returns true if a call waits for a room.
    pub fn is_wanted(&self) -> bool {
        !self.asked.is_empty()
    }

    /// The calls that nothing answers any more.
    pub fn give_up(&mut self) -> Vec<Ticket> {
        self.asked.drain(..).map(|(ticket, _)| ticket).collect()
    }

    /// The room is gone.
    pub fn closed(&mut self) {
        (self.local, self.is_known) = (None, false);
        self.others.clear();
    }
}

/// Returns true if this was true before what is known.
fn is_older(told: &Participant, known: &Participant) -> bool {
    told.sid == known.sid && told.version < known.version
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    fn somebody(identity: &str, sid: &str, metadata: &str) -> Participant {
        Participant { identity: identity.into(), sid: sid.into(), metadata: metadata.into(), ..Default::default() }
    }

    fn told(events: Vec<EventKind>) -> Vec<String> {
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
    fn who_comes_and_goes_is_told_and_who_was_there_is_not() {
        let mut room = RoomState::default();
        let mut hear = |presence| told(room.hear(presence));
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
        assert_eq!(told(room.hear(Presence::Others(vec![somebody("a", "7", "")]))), [""; 0]);
    }

    #[test]
    fn what_a_room_has_taken_is_said_in_every_other_and_what_it_refused_is_not() {
        let mut room = RoomState::default();
        let description = |key: &str, value: &str| Description {
            attributes: [(key.to_owned(), value.to_owned())].into(),
            ..Default::default()
        };
        room.say(description("a", "1"));
        room.ask(1, description("a", "2"));
        room.ask(2, description("b", "1"));
        let said = [(None, description("a", "1")), (Some(1), description("a", "2")), (Some(2), description("b", "1"))];
        assert_eq!(room.to_say(), said);
        assert!(room.answered(1, None));
        assert!(room.answered(2, Some(&SpeakerError::new(Code::Refused, "no"))));
        assert!(!room.answered(2, None));
        assert_eq!(room.to_say(), [(None, description("a", "2"))]);
        room.ask(3, description("c", "1"));
        assert_eq!(room.give_up(), [3]);
        assert!(!room.is_wanted());
    }
}
