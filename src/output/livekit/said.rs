//! What the server says, as far as a publisher cares.

use proto::signal_response::Message as Response;

use super::proto;
use super::trouble::Trouble;
use crate::output::Quality;

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
    /// The server mutes a track, or lets it speak again.
    Muted {
        sid: String,
        muted: bool,
    },
    /// How well we are heard.
    Quality(Quality),
    /// The connection ended.
    Left(Trouble),
}

/// Which of the peer connections: servers since 1.9.1 know only ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Ours,
    Theirs,
}

impl Said {
    /// `None` for what is of no use here. `sid` is our name in the room.
    pub fn read(response: Response, sid: &str) -> Option<Self> {
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
            Response::Mute(proto::MuteTrackRequest { sid, muted }) => Self::Muted { sid, muted },
            Response::ConnectionQuality(update) => {
                let ours = update.updates.iter().find(|info| info.participant_sid == sid)?;
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
