//! What the server says, as far as a publisher cares.

use proto::signal_response::Message as Response;

use super::proto;
use super::trouble::Trouble;
use crate::error::{Code, SpeakerError};
use crate::output::Quality;
use crate::redact::redact;

#[derive(Debug)]
pub enum Said {
    Answer(String),
    /// The server's own offer: servers before 1.9.1 keep a second peer connection for what they send.
    Offer(String),
    /// An ICE candidate in SDP form, and for which peer connection it is.
    Candidate(String, Side),
    /// The track with this client id has a place in the room, and a name there.
    Published {
        cid: String,
        sid: String,
    },
    /// The room does not take the track with this client id.
    Refused {
        cid: String,
        error: SpeakerError,
    },
    /// The server took a track out of the room.
    Unpublished {
        sid: String,
    },
    /// Somebody listens to a track for the first time.
    Subscribed {
        sid: String,
    },
    /// The server mutes a track, or lets it speak again.
    Muted {
        sid: String,
        muted: bool,
    },
    /// What the room has of us: told when it changes, and after signalling was reopened.
    Us(Us),
    /// Another session has taken our identity.
    Replaced,
    /// The server took us to another room: who was there before is not here.
    Moved,
    /// Somebody else came, or left: their identities.
    Came(String),
    Went(String),
    /// How well we are heard.
    Quality(Quality),
    /// The connection ended.
    Left(Trouble),
}

/// What the room has of this participant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Us {
    /// The names of the published tracks, and whether they are muted.
    pub tracks: Vec<(String, bool)>,
    /// Whether audio tracks may be published.
    pub may_publish: bool,
}

/// Who we are in the room.
#[derive(Debug, Clone, Default)]
pub struct Name {
    pub sid: String,
    pub identity: String,
    /// In milliseconds, by the server's clock.
    pub joined_at: i64,
}

/// Which of the peer connections: servers since 1.9.1 know only ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Ours,
    Theirs,
}

impl Said {
    /// Nothing for what is of no use here.
    pub fn read(response: Response, us: &Name) -> Vec<Self> {
        if let Response::Update(update) = response {
            return update.participants.into_iter().filter_map(|info| Self::about(info, us)).collect();
        }
        Self::read_one(response, us).into_iter().collect()
    }

    fn read_one(response: Response, us: &Name) -> Option<Self> {
        Some(match response {
            Response::Answer(answer) => Self::Answer(answer.sdp),
            Response::Offer(offer) => Self::Offer(offer.sdp),
            Response::Trickle(trickle) => {
                let side = match trickle.target() {
                    proto::SignalTarget::Publisher => Side::Ours,
                    proto::SignalTarget::Subscriber => Side::Theirs,
                };
                Self::Candidate(candidate(&trickle.candidate_init)?, side)
            }
            Response::TrackPublished(published) => {
                let sid = published.track.map(|track| track.sid).unwrap_or_default();
                Self::Published { cid: published.cid, sid }
            }
            Response::RequestResponse(response) => Self::refused(response)?,
            Response::TrackUnpublished(proto::TrackUnpublishedResponse { track_sid }) => {
                Self::Unpublished { sid: track_sid }
            }
            Response::TrackSubscribed(proto::TrackSubscribed { track_sid }) => Self::Subscribed { sid: track_sid },
            Response::Mute(proto::MuteTrackRequest { sid, muted }) => Self::Muted { sid, muted },
            Response::ConnectionQuality(update) => {
                let ours = update.updates.iter().find(|info| info.participant_sid == us.sid)?;
                Self::Quality(match ours.quality() {
                    proto::ConnectionQuality::Excellent => Quality::Excellent,
                    proto::ConnectionQuality::Good => Quality::Good,
                    proto::ConnectionQuality::Poor => Quality::Poor,
                    proto::ConnectionQuality::Lost => Quality::Lost,
                })
            }
            Response::Leave(leave) => Self::Left(Trouble::left(&leave)),
            _ => return None,
        })
    }

    fn about(info: proto::ParticipantInfo, us: &Name) -> Option<Self> {
        let is_gone = info.state() == proto::participant_info::State::Disconnected;
        match (info.sid == us.sid, info.identity == us.identity) {
            (true, _) if is_gone => None,
            (true, _) => Some(Self::Us(Us::of(&info))),
            // Whoever we were before may still be told of, and came before us.
            (false, true) => (!is_gone && Name::of(&info).joined_at >= us.joined_at).then_some(Self::Replaced),
            (false, false) if is_gone => Some(Self::Went(info.identity)),
            (false, false) => Some(Self::Came(info.identity)),
        }
    }

    fn refused(response: proto::RequestResponse) -> Option<Self> {
        use proto::request_response::{Reason, Request};
        let (reason, Some(Request::AddTrack(track))) = (response.reason(), response.request) else { return None };
        let message = match reason {
            Reason::Ok | Reason::Queued => return None,
            Reason::NotAllowed => {
                "Expected the grant canPublish (with the source microphone) in the access token of the \
                                   LiveKit room but received none"
                    .to_owned()
            }
            _ => format!("the LiveKit room refuses the track: {}", redact(reason.as_str_name())),
        };
        Some(Self::Refused { cid: track.cid, error: SpeakerError::new(Code::JoinFailed, message) })
    }
}

impl Name {
    /// Whom the server means.
    pub fn of(info: &proto::ParticipantInfo) -> Self {
        // Older servers know only seconds.
        let joined_at = if info.joined_at_ms == 0 { info.joined_at.saturating_mul(1_000) } else { info.joined_at_ms };
        Self { sid: info.sid.clone(), identity: info.identity.clone(), joined_at }
    }
}

impl Us {
    /// What the server lists of us.
    pub fn of(info: &proto::ParticipantInfo) -> Self {
        let permission = info.permission.clone().unwrap_or_default();
        let microphone = proto::TrackSource::Microphone as i32;
        let sources = &permission.can_publish_sources;
        Self {
            tracks: info.tracks.iter().map(|track| (track.sid.clone(), track.muted)).collect(),
            may_publish: permission.can_publish && (sources.is_empty() || sources.contains(&microphone)),
        }
    }
}

/// `{"candidate":"candidate:…","sdpMid":…}`; an empty one marks the end.
fn candidate(init: &str) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Init {
        candidate: String,
    }
    let Init { candidate } = serde_json::from_str(init).ok()?;
    (!candidate.is_empty()).then_some(candidate)
}
