//! Why a room is in trouble, and what may be done about it.

use super::proto;
use crate::error::{Code, SpeakerError};
use crate::redact::redact;

/// What a broken connection leaves open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// The server still knows us: go on where it was.
    Resume,
    /// Come again as somebody new.
    Rejoin,
    /// Do not come again.
    None,
}

#[derive(Debug)]
pub struct Trouble {
    pub error: SpeakerError,
    /// In one word: LiveKit's own, in camel case.
    pub reason: String,
    pub remedy: Remedy,
}

impl Trouble {
    /// The room can't be reached any more, for LiveKit's `reason`. `why` may be the server's text.
    pub fn gone(reason: proto::DisconnectReason, why: &str, remedy: Remedy) -> Self {
        let error = SpeakerError::new(Code::Disconnected, format!("the LiveKit room is gone: {}", redact(why)));
        Self { error, reason: camel_case(reason.as_str_name()), remedy }
    }

    /// Sound does not reach the server any more.
    pub fn no_path() -> Self {
        Self::gone(proto::DisconnectReason::MediaFailure, "no path to the server", Remedy::Rejoin)
    }

    /// Another session has joined under our identity.
    pub fn replaced() -> Self {
        let why = "another session has joined it with the same identity";
        Self::gone(proto::DisconnectReason::DuplicateIdentity, why, Remedy::None)
    }

    /// Returns true if the server knows another state than ours.
    pub fn is_mismatch(&self) -> bool {
        self.reason == "stateMismatch" && self.remedy != Remedy::None
    }

    /// What the server says when it ends a session (`LeaveRequest.action`; servers before protocol 13 only know
    /// `can_reconnect`).
    pub fn left(leave: &proto::LeaveRequest) -> Self {
        use proto::leave_request::Action;
        let remedy = match leave.action() {
            Action::Resume => Remedy::Resume,
            Action::Reconnect => Remedy::Rejoin,
            Action::Disconnect if leave.can_reconnect => Remedy::Rejoin,
            Action::Disconnect => Remedy::None,
        };
        Self::gone(leave.reason(), leave.reason().as_str_name(), remedy)
    }
}

/// What breaks by itself is worth another try.
impl From<SpeakerError> for Trouble {
    fn from(error: SpeakerError) -> Self {
        let reason = match error.code {
            Code::JoinFailed => proto::DisconnectReason::JoinFailure,
            _ => proto::DisconnectReason::MediaFailure,
        };
        Self { error, reason: camel_case(reason.as_str_name()), remedy: Remedy::Rejoin }
    }
}

fn camel_case(name: &str) -> String {
    let mut words = name.split('_').map(str::to_lowercase);
    let first = words.next().unwrap_or_default();
    words.fold(first, |name, word| name + &word[..1].to_uppercase() + &word[1..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::leave_request::Action;

    #[test]
    fn every_reason_has_a_word_and_every_action_a_remedy() {
        let leave = |reason, action: Action, can_reconnect| {
            let Trouble { reason, remedy, .. } =
                Trouble::left(&proto::LeaveRequest { reason, action: action as i32, can_reconnect, regions: None });
            (reason, remedy)
        };
        assert_eq!(leave(4, Action::Disconnect, false), ("participantRemoved".to_owned(), Remedy::None));
        assert_eq!(leave(3, Action::Disconnect, true), ("serverShutdown".to_owned(), Remedy::Rejoin));
        assert_eq!(leave(8, Action::Reconnect, false), ("migration".to_owned(), Remedy::Rejoin));
        assert_eq!(leave(0, Action::Resume, false), ("unknownReason".to_owned(), Remedy::Resume));
    }

    #[test]
    fn why_a_room_is_gone_shows_no_token() {
        let why = "closed: wss://host/rtc?access_token=eyJhbGci.eyJzdWIi.c2ln";
        let Trouble { error, .. } = Trouble::gone(proto::DisconnectReason::SignalClose, why, Remedy::Resume);
        assert_eq!(error.message, "the LiveKit room is gone: closed: wss://host/rtc?access_token=<masked>");
    }
}
