//! Why a room was disconnected, and whether to reconnect.

use super::proto;
use crate::error::{Code, SpeakerError};
use crate::redact::redact;

/// How a broken connection may be retried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// The server still keeps the session: resume it.
    Resume,
    /// Rejoin as a new participant.
    Rejoin,
    /// Do not reconnect.
    Never,
}

/// A disconnect: its error, its reason and how it may be retried.
#[derive(Debug)]
pub struct Disconnect {
    pub error: SpeakerError,
    /// The reason in one word: LiveKit's own, in camel case.
    pub reason: String,
    pub retry: Retry,
    /// The regions that the server recommends, nearest first.
    pub regions: Vec<String>,
}

impl Disconnect {
    /// Creates a disconnect with LiveKit's `reason`; `why` may be the server's text.
    pub fn new(reason: proto::DisconnectReason, why: &str, retry: Retry) -> Self {
        let error = SpeakerError::new(Code::Disconnected, format!("the LiveKit room is gone: {}", redact(why)));
        Self { error, reason: camel_case(reason.as_str_name()), retry, regions: Vec::new() }
    }

    /// Returns the disconnect of a session that was replaced by another with its identity.
    pub fn replaced() -> Self {
        let reason = proto::DisconnectReason::DuplicateIdentity;
        Self::new(reason, reason.as_str_name(), Retry::Never)
    }

    /// Returns true if another session has our identity, so that no leave request may be sent.
    pub fn is_replaced(&self) -> bool {
        self.reason == camel_case(proto::DisconnectReason::DuplicateIdentity.as_str_name())
    }

    /// Returns the disconnect for media that no longer reaches the server.
    pub fn no_path() -> Self {
        Self::new(proto::DisconnectReason::MediaFailure, "no path to the server", Retry::Rejoin)
    }

    /// Returns true if the server's state differs from ours.
    pub fn is_state_mismatch(&self) -> bool {
        self.reason == "stateMismatch" && self.retry != Retry::Never
    }

    /// Reads the server's request to leave (`LeaveRequest.action`; servers before protocol 13 only set `can_reconnect`).
    pub fn from_leave(leave: &proto::LeaveRequest) -> Self {
        use proto::leave_request::Action;
        let retry = match leave.action() {
            Action::Resume => Retry::Resume,
            Action::Reconnect => Retry::Rejoin,
            Action::Disconnect if leave.can_reconnect => Retry::Rejoin,
            // A node that is shut down asks nobody to reconnect, but the room lives on at another node, or when the server is back.
            Action::Disconnect if leave.reason() == proto::DisconnectReason::ServerShutdown => Retry::Rejoin,
            Action::Disconnect => Retry::Never,
        };
        let mut regions = leave.regions.clone().unwrap_or_default().regions;
        regions.sort_by_key(|region| region.distance);
        let regions = regions.into_iter().map(|region| region.url).collect();
        Self { regions, ..Self::new(leave.reason(), leave.reason().as_str_name(), retry) }
    }
}

/// An error without a server's reason is retried.
impl From<SpeakerError> for Disconnect {
    fn from(error: SpeakerError) -> Self {
        let reason = match error.code {
            Code::JoinFailed => proto::DisconnectReason::JoinFailure,
            _ => proto::DisconnectReason::MediaFailure,
        };
        Self { error, reason: camel_case(reason.as_str_name()), retry: Retry::Rejoin, regions: Vec::new() }
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
    fn reads_reason_and_retry() {
        let leave = |reason, action: Action, can_reconnect| {
            let Disconnect { reason, retry, .. } = Disconnect::from_leave(&proto::LeaveRequest {
                reason,
                action: action as i32,
                can_reconnect,
                regions: None,
            });
            (reason, retry)
        };
        assert_eq!(leave(4, Action::Disconnect, false), ("participantRemoved".to_owned(), Retry::Never));
        assert_eq!(leave(3, Action::Disconnect, true), ("serverShutdown".to_owned(), Retry::Rejoin));
        assert_eq!(leave(3, Action::Disconnect, false), ("serverShutdown".to_owned(), Retry::Rejoin));
        assert_eq!(leave(8, Action::Reconnect, false), ("migration".to_owned(), Retry::Rejoin));
        assert_eq!(leave(0, Action::Resume, false), ("unknownReason".to_owned(), Retry::Resume));
    }

    #[test]
    fn nearest_region_comes_first() {
        let region = |url: &str, distance| proto::RegionInfo { url: url.to_owned(), distance, ..Default::default() };
        let regions = vec![region("wss://far", 900), region("wss://near", 10), region("wss://also-near", 10)];
        let action = Action::Reconnect as i32;
        let regions = Some(proto::RegionSettings { regions });
        let leave = proto::LeaveRequest { action, regions, ..Default::default() };
        assert_eq!(Disconnect::from_leave(&leave).regions, ["wss://near", "wss://also-near", "wss://far"]);
        assert_eq!(Disconnect::from_leave(&proto::LeaveRequest::default()).regions, [""; 0]);
    }

    #[test]
    fn replaced_session_is_not_retried() {
        let replaced = Disconnect::replaced();
        assert_eq!((replaced.reason.as_str(), replaced.retry), ("duplicateIdentity", Retry::Never));
        let reason = proto::DisconnectReason::DuplicateIdentity as i32;
        let left = Disconnect::from_leave(&proto::LeaveRequest { reason, ..Default::default() });
        assert_eq!(
            [replaced.is_replaced(), left.is_replaced(), Disconnect::no_path().is_replaced()],
            [true, true, false]
        );
    }

    #[test]
    fn reason_masks_tokens() {
        let why = "closed: wss://host/rtc?access_token=eyJhbGci.eyJzdWIi.c2ln";
        let Disconnect { error, .. } = Disconnect::new(proto::DisconnectReason::SignalClose, why, Retry::Resume);
        assert_eq!(error.message, "the LiveKit room is gone: closed: wss://host/rtc?access_token=<masked>");
    }
}
