//! The server's signalling messages, reduced to the events that this client needs.

use proto::signal_response::Message as Response;

use super::announcement::TrackSource;
use super::disconnect::Disconnect;
use super::proto;
use crate::error::{Code, SpeakerError};
use crate::output::{Participant, ParticipantTrack, Presence, Quality};
use crate::redact::redact;

#[derive(Debug)]
pub enum SignalEvent {
    Answer(Agreed),
    /// The server's own offer: servers before 1.9.1 keep a second peer connection for what they send.
    Offer(Agreed),
    /// The server needs this many more media lines to send tracks; it wants an offer even if that is 0.
    NeedsLines(usize),
    /// The server can't send a track.
    NotSent {
        sid: String,
        error: SpeakerError,
    },
    /// An ICE candidate as SDP, and the peer connection that it is for.
    Candidate(String, Side),
    /// The track with this client id was published, and has an id in the room.
    Published {
        cid: String,
        sid: String,
    },
    /// The track with this client id was refused.
    Refused {
        cid: String,
        error: SpeakerError,
    },
    /// The server unpublished a track.
    Unpublished {
        sid: String,
    },
    /// Somebody subscribed to a track for the first time.
    Subscribed {
        sid: String,
    },
    /// The server muted or unmuted a track.
    Muted {
        sid: String,
        muted: bool,
    },
    /// The local participant, as listed by the server: sent when it changes, and after the signalling was reopened.
    LocalParticipant(LocalParticipant),
    /// Another session has taken our identity.
    Replaced,
    /// A change of who is in the room.
    Presence(Presence),
    /// The answer to the request with this number.
    Described {
        request: u32,
        error: Option<SpeakerError>,
    },
    /// The server's rating of our connection.
    Quality(Quality),
    /// The connection ended.
    Left(Disconnect),
}

/// An answer or an offer of the server.
#[derive(Debug, Default)]
pub struct Agreed {
    pub sdp: String,
    /// The media lines on which it sends, and the ids of the tracks that come there.
    pub tracks: Vec<(String, String)>,
}

impl Agreed {
    fn read(description: proto::SessionDescription) -> Self {
        let proto::SessionDescription { sdp, mid_to_track_id, .. } = description;
        let tracks = if mid_to_track_id.is_empty() { tracks(&sdp) } else { mid_to_track_id.into_iter().collect() };
        Self { sdp, tracks }
    }
}

/// Reads the tracks of a description's lines, for older servers, which name them only there (RFC 8830 §2).
fn tracks(sdp: &str) -> Vec<(String, String)> {
    let track = |line: &str| {
        let value = |name| line.lines().find_map(|attribute| attribute.trim_end().strip_prefix(name));
        let (_, track) = value("a=msid:")?.split_once(' ')?;
        Some((value("a=mid:")?.to_owned(), track.to_owned()))
    };
    sdp.split("\nm=").skip(1).filter_map(track).collect()
}

/// The local participant, as the server lists it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LocalParticipant {
    /// A version that rises with each change.
    pub version: u32,
    /// True for the first list since the signalling was opened: a track that is missing there was unpublished meanwhile. Later lists prove
    /// nothing, because a server reads a list's tracks and its version at different times, and reports each track that it unpublishes.
    pub is_first: bool,
    /// The ids of the published tracks, and whether they are muted.
    pub tracks: Vec<(String, bool)>,
    /// The sources that may be published.
    pub grant: Grant,
    /// True if data may be sent.
    pub may_send_data: bool,
    /// True if others may be listened to.
    pub can_subscribe: bool,
}

/// The sources that may be published.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Grant {
    #[default]
    None,
    All,
    Of(Vec<TrackSource>),
}

impl Grant {
    pub fn allows(&self, source: TrackSource) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Of(sources) => sources.contains(&source),
        }
    }
}

/// The identity of the local participant.
#[derive(Debug, Clone, Default)]
pub struct LocalIdentity {
    pub sid: String,
    pub identity: String,
    /// The time of joining in milliseconds, by the server's clock.
    pub joined_at: i64,
}

/// The peer connection that a message concerns: servers since 1.9.1 know only the publisher's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Publisher,
    Subscriber,
}

impl SignalEvent {
    /// Reads a message. Returns no events if it is of no use here.
    pub fn read(response: Response, local: &LocalIdentity) -> Vec<Self> {
        if let Response::Update(update) = response {
            return update.participants.into_iter().flat_map(|info| Self::from_participant(info, local)).collect();
        }
        Self::read_one(response, local).into_iter().collect()
    }

    fn read_one(response: Response, local: &LocalIdentity) -> Option<Self> {
        Some(match response {
            Response::Answer(answer) => Self::Answer(Agreed::read(answer)),
            Response::Offer(offer) => Self::Offer(Agreed::read(offer)),
            Response::MediaSectionsRequirement(needed) => Self::NeedsLines(needed.num_audios as usize),
            Response::SubscriptionResponse(response) => {
                // A track that does not exist (any more) is not in the list of participants either.
                let is_final = response.err() == proto::SubscriptionError::SeCodecUnsupported;
                let error = refusal(Code::Refused, "to send the track", response.err().as_str_name());
                is_final.then_some(Self::NotSent { sid: response.track_sid, error })?
            }
            Response::Trickle(trickle) => {
                let side = match trickle.target() {
                    proto::SignalTarget::Publisher => Side::Publisher,
                    proto::SignalTarget::Subscriber => Side::Subscriber,
                };
                Self::Candidate(candidate(&trickle.candidate_init)?, side)
            }
            Response::TrackPublished(published) => {
                let sid = published.track.map(|track| track.sid).unwrap_or_default();
                Self::Published { cid: published.cid, sid }
            }
            Response::RequestResponse(response) => Self::answer(response)?,
            Response::TrackUnpublished(proto::TrackUnpublishedResponse { track_sid }) => {
                Self::Unpublished { sid: track_sid }
            }
            Response::TrackSubscribed(proto::TrackSubscribed { track_sid }) => Self::Subscribed { sid: track_sid },
            Response::Mute(proto::MuteTrackRequest { sid, muted }) => Self::Muted { sid, muted },
            Response::ConnectionQuality(update) => {
                let ours = update.updates.iter().find(|info| info.participant_sid == local.sid)?;
                Self::Quality(match ours.quality() {
                    proto::ConnectionQuality::Excellent => Quality::Excellent,
                    proto::ConnectionQuality::Good => Quality::Good,
                    proto::ConnectionQuality::Poor => Quality::Poor,
                    proto::ConnectionQuality::Lost => Quality::Lost,
                })
            }
            Response::Leave(leave) => Self::Left(Disconnect::from_leave(&leave)),
            _ => return None,
        })
    }

    fn from_participant(info: proto::ParticipantInfo, local: &LocalIdentity) -> Vec<Self> {
        let is_gone = info.state() == proto::participant_info::State::Disconnected;
        match (info.sid == local.sid, info.identity == local.identity) {
            (true, _) if is_gone => Vec::new(),
            (true, _) => vec![
                Self::LocalParticipant(LocalParticipant::of(&info)),
                Self::Presence(Presence::Local(participant(info))),
            ],
            // Our own participant from before a rejoin may still be listed; it joined earlier.
            (false, true) if !is_gone && LocalIdentity::of(&info).joined_at >= local.joined_at => vec![Self::Replaced],
            (false, true) => Vec::new(),
            (false, false) if is_gone => {
                vec![Self::Presence(Presence::Left { identity: info.identity, sid: info.sid })]
            }
            (false, false) => vec![Self::Presence(Presence::Listed(participant(info)))],
        }
    }

    /// Reads the answer to a request. Of requests to add a track, only refusals are of use.
    fn answer(response: proto::RequestResponse) -> Option<Self> {
        use proto::request_response::{Reason, Request};
        let reason = response.reason();
        match response.request? {
            Request::AddTrack(track) => {
                let error = match reason {
                    Reason::Ok | Reason::Queued => return None,
                    Reason::NotAllowed => no_grant(audio(track.source()).unwrap_or_default()),
                    _ => refusal(Code::JoinFailed, "the track", reason.as_str_name()),
                };
                Some(Self::Refused { cid: track.cid, error })
            }
            Request::UpdateMetadata(_) => {
                let why = match reason {
                    Reason::Ok => None,
                    Reason::NotAllowed => Some("Expected the grant canUpdateOwnMetadata but received none".to_owned()),
                    _ => Some(format!("{} {}", reason.as_str_name(), response.message)),
                };
                let error = why.map(|why| refusal(Code::Refused, "it", why.trim()));
                Some(Self::Described { request: response.request_id, error })
            }
            _ => None,
        }
    }
}

fn refusal(code: Code, what: &str, why: &str) -> SpeakerError {
    SpeakerError::new(code, format!("the LiveKit room refuses {what}: {}", redact(why)))
}

impl LocalIdentity {
    /// Reads a participant's identity.
    pub fn of(info: &proto::ParticipantInfo) -> Self {
        // Older servers send only seconds.
        let joined_at = if info.joined_at_ms == 0 { info.joined_at.saturating_mul(1_000) } else { info.joined_at_ms };
        Self { sid: info.sid.clone(), identity: info.identity.clone(), joined_at }
    }
}

/// Reads a participant as listed by the server.
pub fn participant(info: proto::ParticipantInfo) -> Participant {
    let kind = match info.kind() {
        proto::participant_info::Kind::Standard => "standard",
        proto::participant_info::Kind::Ingress => "ingress",
        proto::participant_info::Kind::Egress => "egress",
        proto::participant_info::Kind::Sip => "sip",
        proto::participant_info::Kind::Agent => "agent",
        proto::participant_info::Kind::Connector => "connector",
        proto::participant_info::Kind::Bridge => "bridge",
    };
    let mut tracks: Vec<_> = info.tracks.into_iter().filter_map(track).collect();
    // A server lists them in varying order.
    tracks.sort_by(|one, other| (&one.name, &one.sid).cmp(&(&other.name, &other.sid)));
    Participant {
        version: info.version,
        identity: info.identity,
        sid: info.sid,
        name: info.name,
        metadata: info.metadata,
        attributes: info.attributes.into_iter().collect(),
        kind,
        tracks,
    }
}

/// Reads a track. Returns None for one that is neither audio nor video.
fn track(info: proto::TrackInfo) -> Option<ParticipantTrack> {
    Some(ParticipantTrack {
        kind: match info.r#type() {
            proto::TrackType::Audio => "audio",
            proto::TrackType::Video => "video",
            proto::TrackType::Data => return None,
        },
        source: match info.source() {
            proto::TrackSource::Unknown => "unknown",
            proto::TrackSource::Camera => "camera",
            proto::TrackSource::Microphone => "microphone",
            proto::TrackSource::ScreenShare => "screenShare",
            proto::TrackSource::ScreenShareAudio => "screenShareAudio",
        },
        sid: info.sid,
        name: info.name,
        muted: info.muted,
    })
}

impl LocalParticipant {
    /// Reads the local participant as listed by the server.
    pub fn of(info: &proto::ParticipantInfo) -> Self {
        let permission = info.permission.clone().unwrap_or_default();
        let sources = permission.can_publish_sources();
        Self {
            version: info.version,
            is_first: false,
            can_subscribe: permission.can_subscribe,
            tracks: info.tracks.iter().map(|track| (track.sid.clone(), track.muted)).collect(),
            grant: if !permission.can_publish {
                Grant::None
            } else if permission.can_publish_sources.is_empty() {
                Grant::All
            } else {
                Grant::Of(sources.filter_map(audio).collect())
            },
            may_send_data: permission.can_publish_data,
        }
    }
}

/// Reads LiveKit's source of a track. Returns None for a video source.
fn audio(source: proto::TrackSource) -> Option<TrackSource> {
    match source {
        proto::TrackSource::Microphone => Some(TrackSource::Microphone),
        proto::TrackSource::ScreenShareAudio => Some(TrackSource::ScreenShareAudio),
        proto::TrackSource::Unknown => Some(TrackSource::Unknown),
        proto::TrackSource::Camera | proto::TrackSource::ScreenShare => None,
    }
}

/// Returns a source in LiveKit's messages.
pub fn source(source: TrackSource) -> proto::TrackSource {
    match source {
        TrackSource::Microphone => proto::TrackSource::Microphone,
        TrackSource::ScreenShareAudio => proto::TrackSource::ScreenShareAudio,
        TrackSource::Unknown => proto::TrackSource::Unknown,
    }
}

/// Returns the error for a missing grant to publish from `source`.
pub fn no_grant(source: TrackSource) -> SpeakerError {
    let source = source.name();
    let message =
        format!("Expected the grant canPublish (with the source {source}) for the LiveKit room but received none");
    SpeakerError::new(Code::JoinFailed, message)
}

/// Returns the error for a missing grant to subscribe.
pub fn no_subscribing() -> SpeakerError {
    let message = "Expected the grant canSubscribe for the LiveKit room but received none";
    SpeakerError::new(Code::Refused, message)
}

/// Reads the candidate of `{"candidate":"candidate:…","sdpMid":…}`; an empty one marks the end.
fn candidate(init: &str) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Init {
        candidate: String,
    }
    let Init { candidate } = serde_json::from_str(init).ok()?;
    (!candidate.is_empty()).then_some(candidate)
}

#[cfg(test)]
mod tests {
    use proto::request_response::{Reason, Request};

    use super::*;

    #[test]
    fn reads_tracks_from_map_or_sdp() {
        let sdp = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\nm=audio 9 x 111\r\na=mid:0\r\na=recvonly\r\n\
                   m=audio 9 x 111\r\na=mid:1\r\na=msid:PA_1|x TR_1\r\nm=audio 9 x 111\r\na=msid:- TR_2\r\na=mid:b\r\n\
                   m=application 9 x y\r\na=mid:2\r\n";
        let read = |map: &[(&str, &str)]| {
            let mid_to_track_id = map.iter().map(|(mid, track)| ((*mid).to_owned(), (*track).to_owned())).collect();
            let answer = proto::SessionDescription { sdp: sdp.to_owned(), mid_to_track_id, ..Default::default() };
            let agreed = Agreed::read(answer);
            agreed.tracks.iter().map(|(mid, track)| format!("{mid} {track}")).collect::<Vec<_>>().join(", ")
        };
        assert_eq!(read(&[]), "1 TR_1, b TR_2");
        assert_eq!(read(&[("7", "TR_3")]), "7 TR_3");
        assert!(tracks("").is_empty() && tracks("\nm=").is_empty() && tracks("\nm=x\na=mid:0\na=msid:x").is_empty());
    }

    fn local() -> LocalIdentity {
        LocalIdentity { sid: "PA_1".to_owned(), identity: "us".to_owned(), joined_at: 5_000 }
    }

    /// Returns a message's events as text.
    fn said(response: Response) -> String {
        let text = |said: &SignalEvent| match said {
            SignalEvent::Presence(Presence::Local(local)) => format!("Local({:?})", local.identity),
            SignalEvent::Presence(Presence::Listed(other)) => format!("Came({:?})", other.identity),
            SignalEvent::Presence(Presence::Left { identity, .. }) => format!("Went({identity:?})"),
            other => format!("{other:?}"),
        };
        SignalEvent::read(response, &local()).iter().map(text).collect::<Vec<_>>().join(", ")
    }

    fn info(sid: &str, identity: &str, joined_at_ms: i64, gone: bool) -> proto::ParticipantInfo {
        use proto::participant_info::State;
        let state = if gone { State::Disconnected } else { State::Active } as i32;
        proto::ParticipantInfo { sid: sid.into(), identity: identity.into(), state, joined_at_ms, ..Default::default() }
    }

    fn update(participants: Vec<proto::ParticipantInfo>) -> String {
        said(Response::Update(proto::ParticipantUpdate { participants }))
    }

    #[test]
    fn reads_participant_updates() {
        let nobody = r#"LocalParticipant(LocalParticipant { version: 0, is_first: false, tracks: [], grant: None, may_send_data: false, can_subscribe: false }), Local("us")"#;
        for (of, expected) in [
            (info("PA_1", "us", 5_000, false), nobody),
            // As listed before the reason comes in a message of its own.
            (info("PA_1", "us", 5_000, true), ""),
            (info("PA_2", "us", 6_000, false), "Replaced"),
            (info("PA_2", "us", 5_000, false), "Replaced"),
            // Our own participant from before a rejoin.
            (info("PA_0", "us", 4_000, false), ""),
            (info("PA_0", "us", 4_000, true), ""),
            (info("PA_2", "us", 6_000, true), ""),
            (info("PA_3", "other", 1_000, false), r#"Came("other")"#),
            (info("PA_3", "other", 1_000, true), r#"Went("other")"#),
        ] {
            assert_eq!(update(vec![of.clone()]), expected, "{of:?}");
        }
        let all = vec![info("PA_3", "one", 1, false), info("PA_1", "us", 5_000, false), info("PA_4", "two", 1, true)];
        assert_eq!(update(all), format!(r#"Came("one"), {nobody}, Went("two")"#));
        assert_eq!(update(Vec::new()), "");
        // A server that sends only seconds.
        let in_seconds = |seconds| proto::ParticipantInfo { joined_at: seconds, ..info("PA_2", "us", 0, false) };
        assert_eq!([4, 5, 6].map(|seconds| update(vec![in_seconds(seconds)])), ["", "Replaced", "Replaced"]);
    }

    #[test]
    fn reads_granted_sources() {
        let may = |can_publish, sources: &[proto::TrackSource]| {
            let can_publish_sources = sources.iter().map(|source| *source as i32).collect();
            let permission = proto::ParticipantPermission { can_publish, can_publish_sources, ..Default::default() };
            let local =
                LocalParticipant::of(&proto::ParticipantInfo { permission: Some(permission), ..Default::default() });
            [TrackSource::Microphone, TrackSource::ScreenShareAudio, TrackSource::Unknown]
                .map(|source| local.grant.allows(source))
        };
        use proto::TrackSource::{Camera, Microphone, ScreenShareAudio};
        assert_eq!(may(true, &[]), [true; 3]);
        assert_eq!(may(true, &[Camera, Microphone]), [true, false, false]);
        assert_eq!(may(true, &[ScreenShareAudio]), [false, true, false]);
        assert_eq!([may(false, &[]), may(true, &[Camera]), may(false, &[Microphone])], [[false; 3]; 3]);
        assert_eq!(LocalParticipant::of(&Default::default()).grant, Grant::None);
    }

    #[test]
    fn reads_refusals_with_reason() {
        let track =
            || Request::AddTrack(proto::AddTrackRequest { cid: "c".to_owned(), source: 2, ..Default::default() });
        let refused = |reason: i32, request| {
            let response = proto::RequestResponse { reason, request, ..Default::default() };
            let mut said = SignalEvent::read(Response::RequestResponse(response), &local()).into_iter();
            said.next().map(|said| match said {
                SignalEvent::Refused { cid, error } => (cid, error.code, error.message),
                other => panic!("{other:?}"),
            })
        };
        for reason in [Reason::Ok, Reason::Queued] {
            assert_eq!(refused(reason as i32, Some(track())), None);
        }
        for (reason, text) in [
            (Reason::NotAllowed as i32, "Expected the grant canPublish (with the source microphone)"),
            (Reason::LimitExceeded as i32, "LIMIT_EXCEEDED"),
            (Reason::UnsupportedType as i32, "UNSUPPORTED_TYPE"),
            (Reason::UnclassifiedError as i32, "UNCLASSIFIED_ERROR"),
        ] {
            let (cid, code, message) = refused(reason, Some(track())).unwrap();
            assert_eq!((cid.as_str(), code), ("c", Code::JoinFailed));
            assert!(message.contains(text), "{message}");
        }
        // Answers to something else, to nothing, and with an unknown reason.
        let mute = Request::Mute(Default::default());
        assert_eq!(refused(Reason::NotAllowed as i32, Some(mute)), None);
        assert_eq!(refused(Reason::NotAllowed as i32, None), None);
        assert_eq!(refused(999, Some(track())), None);
    }

    #[test]
    fn reads_answers_to_metadata_requests() {
        let answer = |reason: Reason, message: &str| {
            let request = Some(Request::UpdateMetadata(Default::default()));
            let response =
                proto::RequestResponse { request_id: 7, reason: reason as i32, message: message.into(), request };
            match SignalEvent::read(Response::RequestResponse(response), &local()).remove(0) {
                SignalEvent::Described { request: 7, error } => error.map(|error| (error.code, error.message)),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(answer(Reason::Ok, ""), None);
        let (code, message) = answer(Reason::NotAllowed, "").unwrap();
        assert_eq!((code, message.contains("canUpdateOwnMetadata")), (Code::Refused, true));
        let (code, message) = answer(Reason::LimitExceeded, "too long").unwrap();
        assert_eq!((code, message.contains("LIMIT_EXCEEDED too long")), (Code::Refused, true));
    }

    #[test]
    fn reads_every_other_message() {
        let sid = || "TR_1".to_owned();
        let track = Some(proto::TrackInfo { sid: sid(), ..Default::default() });
        let subscription = |error| {
            let response = proto::SubscriptionResponse { track_sid: "TR_1".to_owned(), err: error as i32 };
            Response::SubscriptionResponse(response)
        };
        let sdp = |sdp: &str| proto::SessionDescription { sdp: sdp.to_owned(), ..Default::default() };
        let trickle =
            |init: &str, target| proto::TrickleRequest { candidate_init: init.into(), target, r#final: false };
        let quality = |participant_sid: &str, quality| proto::ConnectionQualityUpdate {
            updates: vec![proto::ConnectionQualityInfo {
                participant_sid: participant_sid.into(),
                quality,
                score: 4.0,
            }],
        };
        let leave = proto::LeaveRequest { reason: 2, ..Default::default() };
        for (response, expected) in [
            (Response::Answer(sdp("a")), r#"Answer(Agreed { sdp: "a", tracks: [] })"#),
            (
                Response::MediaSectionsRequirement(proto::MediaSectionsRequirement { num_audios: 3, num_videos: 1 }),
                "NeedsLines(3)",
            ),
            (subscription(proto::SubscriptionError::SeTrackNotfound), ""),
            (
                subscription(proto::SubscriptionError::SeCodecUnsupported),
                r#"NotSent { sid: "TR_1", error: SpeakerError { code: Refused, message: "the LiveKit room refuses to send the track: SE_CODEC_UNSUPPORTED", cause: None } }"#,
            ),
            (Response::Offer(sdp("o")), r#"Offer(Agreed { sdp: "o", tracks: [] })"#),
            (Response::Trickle(trickle(r#"{"candidate":"candidate:1"}"#, 0)), r#"Candidate("candidate:1", Publisher)"#),
            (
                Response::Trickle(trickle(r#"{"candidate":"candidate:1"}"#, 1)),
                r#"Candidate("candidate:1", Subscriber)"#,
            ),
            (Response::Trickle(trickle(r#"{"candidate":""}"#, 0)), ""),
            (Response::Trickle(trickle("not JSON", 0)), ""),
            (
                Response::TrackPublished(proto::TrackPublishedResponse { cid: "c".to_owned(), track }),
                r#"Published { cid: "c", sid: "TR_1" }"#,
            ),
            (
                Response::TrackUnpublished(proto::TrackUnpublishedResponse { track_sid: sid() }),
                r#"Unpublished { sid: "TR_1" }"#,
            ),
            (Response::TrackSubscribed(proto::TrackSubscribed { track_sid: sid() }), r#"Subscribed { sid: "TR_1" }"#),
            (
                Response::Mute(proto::MuteTrackRequest { sid: sid(), muted: true }),
                r#"Muted { sid: "TR_1", muted: true }"#,
            ),
            (Response::ConnectionQuality(quality("PA_1", 3)), "Quality(Lost)"),
            (Response::ConnectionQuality(quality("PA_2", 3)), ""),
            (Response::RefreshToken("token".to_owned()), ""),
            (Response::Join(Default::default()), ""),
        ] {
            assert_eq!(said(response.clone()), expected, "{response:?}");
        }
        assert!(said(Response::Leave(leave)).starts_with("Left(Disconnect"));
    }
}
