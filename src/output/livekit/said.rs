//! What the server says, as far as a publisher cares.

use proto::signal_response::Message as Response;

use super::announcement::TrackSource;
use super::proto;
use super::trouble::Trouble;
use crate::error::{Code, SpeakerError};
use crate::output::{Participant, ParticipantTrack, Presence, Quality};
use crate::redact::redact;

#[derive(Debug)]
pub enum Said {
    Answer(Agreed),
    /// The server's own offer: servers before 1.9.1 keep a second peer connection for what they send.
    Offer(Agreed),
    /// The server needs so many more media lines for what it is to send; with none it wants an offer all the same.
    NeedsLines(usize),
    /// The server can't send a track.
    NotSent {
        sid: String,
        error: SpeakerError,
    },
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
    /// Who is in the room.
    Presence(Presence),
    /// The answer to what was asked for under this number.
    Described {
        request: u32,
        error: Option<SpeakerError>,
    },
    /// How well we are heard.
    Quality(Quality),
    /// The connection ended.
    Left(Trouble),
}

/// An answer or an offer of the server's.
#[derive(Debug, Default)]
pub struct Agreed {
    pub sdp: String,
    /// The media lines on which it sends, and the names of the tracks that come there.
    pub tracks: Vec<(String, String)>,
}

impl Agreed {
    fn read(description: proto::SessionDescription) -> Self {
        let proto::SessionDescription { sdp, mid_to_track_id, .. } = description;
        let tracks = if mid_to_track_id.is_empty() { tracks(&sdp) } else { mid_to_track_id.into_iter().collect() };
        Self { sdp, tracks }
    }
}

/// The tracks of the lines of a description: older servers name them only there (RFC 8830 §2).
fn tracks(sdp: &str) -> Vec<(String, String)> {
    let track = |line: &str| {
        let value = |name| line.lines().find_map(|attribute| attribute.trim_end().strip_prefix(name));
        let (_, track) = value("a=msid:")?.split_once(' ')?;
        Some((value("a=mid:")?.to_owned(), track.to_owned()))
    };
    sdp.split("\nm=").skip(1).filter_map(track).collect()
}

/// What the room has of this participant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Us {
    /// Rises with each change.
    pub version: u32,
    /// The first list since the signalling was opened: what is missing was taken out meanwhile. Later ones prove nothing: a
    /// server reads a list's tracks at another time than its version, and tells of each track that it takes out.
    pub is_first: bool,
    /// The names of the published tracks, and whether they are muted.
    pub tracks: Vec<(String, bool)>,
    /// Which tracks may be published.
    pub grant: Grant,
    /// Whether data may be sent.
    pub may_send_data: bool,
    /// Others may be listened to.
    pub can_subscribe: bool,
}

/// Which sources may be published.
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
            return update.participants.into_iter().flat_map(|info| Self::about(info, us)).collect();
        }
        Self::read_one(response, us).into_iter().collect()
    }

    fn read_one(response: Response, us: &Name) -> Option<Self> {
        Some(match response {
            Response::Answer(answer) => Self::Answer(Agreed::read(answer)),
            Response::Offer(offer) => Self::Offer(Agreed::read(offer)),
            Response::MediaSectionsRequirement(needed) => Self::NeedsLines(needed.num_audios as usize),
            Response::SubscriptionResponse(response) => {
                // One that is not there (any more) is none of those who are listed.
                let is_final = response.err() == proto::SubscriptionError::SeCodecUnsupported;
                let error = refusal(Code::Refused, "to send the track", response.err().as_str_name());
                is_final.then_some(Self::NotSent { sid: response.track_sid, error })?
            }
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
            Response::RequestResponse(response) => Self::answer(response)?,
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

    fn about(info: proto::ParticipantInfo, us: &Name) -> Vec<Self> {
        let is_gone = info.state() == proto::participant_info::State::Disconnected;
        match (info.sid == us.sid, info.identity == us.identity) {
            (true, _) if is_gone => Vec::new(),
            (true, _) => vec![Self::Us(Us::of(&info)), Self::Presence(Presence::Local(participant(info)))],
            // Whoever we were before may still be told of, and came before us.
            (false, true) if !is_gone && Name::of(&info).joined_at >= us.joined_at => vec![Self::Replaced],
            (false, true) => Vec::new(),
            (false, false) if is_gone => {
                vec![Self::Presence(Presence::Left { identity: info.identity, sid: info.sid })]
            }
            (false, false) => vec![Self::Presence(Presence::Listed(participant(info)))],
        }
    }

    /// The answer to a request of ours: to one for a track, nothing but its refusal is of use.
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

impl Name {
    /// Whom the server means.
    pub fn of(info: &proto::ParticipantInfo) -> Self {
        // Older servers know only seconds.
        let joined_at = if info.joined_at_ms == 0 { info.joined_at.saturating_mul(1_000) } else { info.joined_at_ms };
        Self { sid: info.sid.clone(), identity: info.identity.clone(), joined_at }
    }
}

/// Somebody as the server lists them.
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
    // A server has them in any order, another one each time.
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

/// Nothing for what is no track of sound or pictures.
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

impl Us {
    /// What the server lists of us.
    pub fn of(info: &proto::ParticipantInfo) -> Self {
        let permission = info.permission.clone().unwrap_or_default();
        let sources = permission.can_publish_sources();
        Self {
            version: info.version,
            is_first: false,
            can_subscribe: permission.can_subscribe,
            tracks: info.tracks.iter().map(|track| (track.sid.clone(), track.muted)).collect(),
            grant: match permission.can_publish {
                false => Grant::None,
                true if permission.can_publish_sources.is_empty() => Grant::All,
                true => Grant::Of(sources.filter_map(audio).collect()),
            },
            may_send_data: permission.can_publish_data,
        }
    }
}

/// Reads LiveKit's source of a track; `None` for one of pictures.
fn audio(source: proto::TrackSource) -> Option<TrackSource> {
    match source {
        proto::TrackSource::Microphone => Some(TrackSource::Microphone),
        proto::TrackSource::ScreenShareAudio => Some(TrackSource::ScreenShareAudio),
        proto::TrackSource::Unknown => Some(TrackSource::Unknown),
        proto::TrackSource::Camera | proto::TrackSource::ScreenShare => None,
    }
}

/// Returns a source as LiveKit's messages have it.
pub fn source(source: TrackSource) -> proto::TrackSource {
    match source {
        TrackSource::Microphone => proto::TrackSource::Microphone,
        TrackSource::ScreenShareAudio => proto::TrackSource::ScreenShareAudio,
        TrackSource::Unknown => proto::TrackSource::Unknown,
    }
}

/// The room takes no tracks of ours from such a source.
pub fn no_grant(source: TrackSource) -> SpeakerError {
    let source = source.name();
    let message =
        format!("Expected the grant canPublish (with the source {source}) for the LiveKit room but received none");
    SpeakerError::new(Code::JoinFailed, message)
}

/// The room lets us listen to nobody.
pub fn no_subscribing() -> SpeakerError {
    let message = "Expected the grant canSubscribe for the LiveKit room but received none";
    SpeakerError::new(Code::Refused, message)
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

#[cfg(test)]
mod tests {
    use proto::request_response::{Reason, Request};

    use super::*;

    #[test]
    fn the_tracks_of_lines_are_read_from_the_map_or_else_from_the_description() {
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

    fn us() -> Name {
        Name { sid: "PA_1".to_owned(), identity: "us".to_owned(), joined_at: 5_000 }
    }

    /// What a message says, as text.
    fn said(response: Response) -> String {
        let text = |said: &Said| match said {
            Said::Presence(Presence::Local(us)) => format!("Local({:?})", us.identity),
            Said::Presence(Presence::Listed(other)) => format!("Came({:?})", other.identity),
            Said::Presence(Presence::Left { identity, .. }) => format!("Went({identity:?})"),
            other => format!("{other:?}"),
        };
        Said::read(response, &us()).iter().map(text).collect::<Vec<_>>().join(", ")
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
    fn an_update_tells_of_us_of_others_and_of_whoever_has_our_identity() {
        let nobody = r#"Us(Us { version: 0, is_first: false, tracks: [], grant: None, may_send_data: false, can_subscribe: false }), Local("us")"#;
        for (of, expected) in [
            (info("PA_1", "us", 5_000, false), nobody),
            // As is told before the reason comes in a message of its own.
            (info("PA_1", "us", 5_000, true), ""),
            (info("PA_2", "us", 6_000, false), "Replaced"),
            (info("PA_2", "us", 5_000, false), "Replaced"),
            // Whoever we were before we joined anew.
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
        // A server that tells seconds alone.
        let in_seconds = |seconds| proto::ParticipantInfo { joined_at: seconds, ..info("PA_2", "us", 0, false) };
        assert_eq!([4, 5, 6].map(|seconds| update(vec![in_seconds(seconds)])), ["", "Replaced", "Replaced"]);
    }

    #[test]
    fn we_may_publish_where_the_grant_names_all_sources_or_ours() {
        let may = |can_publish, sources: &[proto::TrackSource]| {
            let can_publish_sources = sources.iter().map(|source| *source as i32).collect();
            let permission = proto::ParticipantPermission { can_publish, can_publish_sources, ..Default::default() };
            let us = Us::of(&proto::ParticipantInfo { permission: Some(permission), ..Default::default() });
            [TrackSource::Microphone, TrackSource::ScreenShareAudio, TrackSource::Unknown]
                .map(|source| us.grant.allows(source))
        };
        use proto::TrackSource::{Camera, Microphone, ScreenShareAudio};
        assert_eq!(may(true, &[]), [true; 3]);
        assert_eq!(may(true, &[Camera, Microphone]), [true, false, false]);
        assert_eq!(may(true, &[ScreenShareAudio]), [false, true, false]);
        assert_eq!([may(false, &[]), may(true, &[Camera]), may(false, &[Microphone])], [[false; 3]; 3]);
        assert_eq!(Us::of(&Default::default()).grant, Grant::None);
    }

    #[test]
    fn a_track_that_is_refused_is_told_with_the_reason() {
        let track =
            || Request::AddTrack(proto::AddTrackRequest { cid: "c".to_owned(), source: 2, ..Default::default() });
        let refused = |reason: i32, request| {
            let response = proto::RequestResponse { reason, request, ..Default::default() };
            let mut said = Said::read(Response::RequestResponse(response), &us()).into_iter();
            said.next().map(|said| match said {
                Said::Refused { cid, error } => (cid, error.code, error.message),
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
        // Of something else, of nothing, and for a reason that is not known yet: that may be none.
        let mute = Request::Mute(Default::default());
        assert_eq!(refused(Reason::NotAllowed as i32, Some(mute)), None);
        assert_eq!(refused(Reason::NotAllowed as i32, None), None);
        assert_eq!(refused(999, Some(track())), None);
    }

    #[test]
    fn what_is_asked_of_the_room_is_answered() {
        let answer = |reason: Reason, message: &str| {
            let request = Some(Request::UpdateMetadata(Default::default()));
            let response =
                proto::RequestResponse { request_id: 7, reason: reason as i32, message: message.into(), request };
            match Said::read(Response::RequestResponse(response), &us()).remove(0) {
                Said::Described { request: 7, error } => error.map(|error| (error.code, error.message)),
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
    fn every_other_message_says_one_thing_or_nothing() {
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
            (Response::Trickle(trickle(r#"{"candidate":"candidate:1"}"#, 0)), r#"Candidate("candidate:1", Ours)"#),
            (Response::Trickle(trickle(r#"{"candidate":"candidate:1"}"#, 1)), r#"Candidate("candidate:1", Theirs)"#),
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
        assert!(said(Response::Leave(leave)).starts_with("Left(Trouble"));
    }
}
