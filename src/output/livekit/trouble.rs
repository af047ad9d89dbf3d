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
    /// The servers to which we are sent, the nearest first.
    pub regions: Vec<String>,
}

impl Trouble {
    /// The room can't be reached any more, for LiveKit's `reason`. `why` may be the server's text.
    pub fn gone(reason: proto::DisconnectReason, why: &str, remedy: Remedy) -> Self {
        let error = SpeakerError::new(Code::Disconnected, format!("the LiveKit room is gone: {}", redact(why)));
        Self { error, reason: camel_case(reason.as_str_name()), remedy, regions: Vec::new() }
    }

    /// Another session has our identity, and this one ends.
    pub fn replaced() -> Self {
        let reason = proto::DisconnectReason::DuplicateIdentity;
        Self::gone(reason, reason.as_str_name(), Remedy::None)
    }

    /// Returns true if another session has our identity: it would hear our goodbye.
    pub fn is_replaced(&self) -> bool {
        self.reason == camel_case(proto::DisconnectReason::DuplicateIdentity.as_str_name())
    }

    /// Sound does not reach the server any more.
    pub fn no_path() -> Self {
        Self::gone(proto::DisconnectReason::MediaFailure, "no path to the server", Remedy::Rejoin)
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
        let mut regions = leave.regions.clone().unwrap_or_default().regions;
        regions.sort_by_key(|region| region.distance);
        let regions = regions.into_iter().map(|region| region.url).collect();
        Self { regions, ..Self::gone(leave.reason(), leave.reason().as_str_name(), remedy) }
    }
}

/// What breaks by itself is worth another try.
impl From<SpeakerError> for Trouble {
    fn from(error: SpeakerError) -> Self {
        let reason = match error.code {
            Code::JoinFailed => proto::DisconnectReason::JoinFailure,
            _ => proto::DisconnectReason::MediaFailure,
        };
        Self { error, reason: camel_case(reason.as_str_name()), remedy: Remedy::Rejoin, regions: Vec::new() }
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
    fn a_server_that_ends_a_session_may_name_others_of_which_the_nearest_comes_first() {
        let region = |url: &str, distance| proto::RegionInfo { url: url.to_owned(), distance, ..Default::default() };
        let regions = vec![region("wss://far", 900), region("wss://near", 10), region("wss://also-near", 10)];
        let action = Action::Reconnect as i32;
        let regions = Some(proto::RegionSettings { regions });
        let leave = proto::LeaveRequest { action, regions, ..Default::default() };
        assert_eq!(Trouble::left(&leave).regions, ["wss://near", "wss://also-near", "wss://far"]);
        assert_eq!(Trouble::left(&proto::LeaveRequest::default()).regions, [""; 0]);
    }

    #[test]
    fn a_session_that_is_replaced_does_not_come_again() {
        let replaced = Trouble::replaced();
        assert_eq!((replaced.reason.as_str(), replaced.remedy), ("duplicateIdentity", Remedy::None));
        let reason = proto::DisconnectReason::DuplicateIdentity as i32;
        let left = Trouble::left(&proto::LeaveRequest { reason, ..Default::default() });
        assert_eq!([replaced.is_replaced(), left.is_replaced(), Trouble::no_path().is_replaced()], [true, true, false]);
    }

    #[test]
    fn why_a_room_is_gone_shows_no_token() {
        let why = "closed: wss://host/rtc?access_token=eyJhbGci.eyJzdWIi.c2ln";
        let Trouble { error, .. } = Trouble::gone(proto::DisconnectReason::SignalClose, why, Remedy::Resume);
        assert_eq!(error.message, "the LiveKit room is gone: closed: wss://host/rtc?access_token=<masked>");
    }
}
