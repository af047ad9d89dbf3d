//! The signalling side of a room: the one place that knows LiveKit's crates.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use livekit_protocol as proto;
use livekit_signaling::{SignalClient, SignalError, SignalEvent, SignalEvents, SignalOptions};
use proto::signal_request::Message as Request;
use proto::signal_response::Message as Response;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::error::{Code, Result, SpeakerError};
use crate::runtime::RUNTIME;

/// What this client implements of LiveKit's protocol: 16 is the last before negotiated data channels, of which it has none.
const PROTOCOL_VERSION: u32 = 16;

/// How long a server may take to say goodbye.
const LEAVE_TIMEOUT: Duration = Duration::from_millis(1_500);

/// What the server says, as far as a publisher cares.
pub enum Said {
    Answer(String),
    /// An ICE candidate in SDP form.
    Candidate(String),
    /// The track with this client id has a place in the room.
    Published(String),
    /// It is over; whether to come again.
    Left(SpeakerError, Again),
}

/// What a server that ends a session says of the next one (`LeaveRequest.action`), or silence about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    Welcome,
    Unwelcome,
}

/// A joined room. Dropping it leaves politely.
pub struct Room {
    requests: UnboundedSender<Request>,
    events: SignalEvents,
    offers: u32,
    /// Ends when the server knows that we are gone.
    pub leaving: Option<JoinHandle<()>>,
}

impl Room {
    pub async fn join(url: &str, token: &str, limit: Duration) -> Result<Self> {
        let mut options = SignalOptions::default();
        options.auto_subscribe = false;
        options.single_peer_connection = true;
        options.protocol_version = PROTOCOL_VERSION;
        options.client_capabilities = Vec::new();
        options.connect_timeout = limit;
        let joining = SignalClient::connect(url, token, options, None);
        let (client, _, events) = timeout(limit, joining).await.map_err(|_| silent(limit))?.map_err(refused)?;
        if !client.is_single_pc_mode_active() {
            let message = "Expected a LiveKit server of version 1.9.1 or newer but received an older one";
            return Err(SpeakerError::new(Code::JoinFailed, message));
        }
        let (requests, mut outgoing) = unbounded_channel::<Request>();
        let client = Arc::new(client);
        // Sending may wait for the socket; nobody should wait for that.
        let leaving = RUNTIME.spawn(async move {
            while let Some(request) = outgoing.recv().await {
                client.send(request).await;
            }
            let leave = proto::LeaveRequest {
                reason: proto::DisconnectReason::ClientInitiated as i32,
                action: proto::leave_request::Action::Disconnect as i32,
                ..Default::default()
            };
            let goodbye = async {
                client.send(Request::Leave(leave)).await;
                client.close().await;
            };
            let _ = timeout(LEAVE_TIMEOUT, goodbye).await;
        });
        Ok(Self { requests, events, offers: 0, leaving: Some(leaving) })
    }

    /// Announces a track under a client id that its media line will bear.
    pub fn add_track(&self, cid: &str, name: &str, stereo: bool) {
        let features = if stereo { vec![proto::AudioTrackFeature::TfStereo as i32] } else { Vec::new() };
        self.send(Request::AddTrack(proto::AddTrackRequest {
            cid: cid.to_owned(),
            name: name.to_owned(),
            r#type: proto::TrackType::Audio as i32,
            source: proto::TrackSource::Microphone as i32,
            disable_red: true,
            audio_features: features,
            ..Default::default()
        }));
    }

    pub fn offer(&mut self, sdp: String, mid: &str, cid: &str) {
        self.offers += 1;
        self.send(Request::Offer(proto::SessionDescription {
            r#type: "offer".to_owned(),
            sdp,
            id: self.offers,
            mid_to_track_id: [(mid.to_owned(), cid.to_owned())].into(),
        }));
    }

    fn send(&self, request: Request) {
        // Fails only after the connection is gone, of which `poll` tells.
        let _ = self.requests.send(request);
    }

    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<Said> {
        loop {
            let response = match std::task::ready!(self.events.poll_recv(context)) {
                Some(SignalEvent::Message(response)) => *response,
                Some(SignalEvent::Close(reason)) => return Poll::Ready(Said::Left(gone(&reason), Again::Welcome)),
                None => return Poll::Ready(Said::Left(gone("the signalling connection ended"), Again::Welcome)),
            };
            return Poll::Ready(match response {
                Response::Answer(answer) => Said::Answer(answer.sdp),
                Response::Trickle(trickle) => match candidate(&trickle.candidate_init) {
                    Some(candidate) => Said::Candidate(candidate),
                    None => continue,
                },
                Response::TrackPublished(published) => Said::Published(published.cid),
                Response::Leave(leave) => {
                    let again = match leave.action() {
                        proto::leave_request::Action::Disconnect => Again::Unwelcome,
                        _ => Again::Welcome,
                    };
                    Said::Left(gone(leave.reason().as_str_name()), again)
                }
                _ => continue,
            });
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

fn silent(limit: Duration) -> SpeakerError {
    let message = format!("the LiveKit server did not answer within {} ms (connectTimeoutMs)", limit.as_millis());
    SpeakerError::new(Code::JoinFailed, message)
}

fn refused(error: SignalError) -> SpeakerError {
    SpeakerError::new(Code::JoinFailed, format!("the LiveKit room can't be joined: {error}"))
}

fn gone(reason: &str) -> SpeakerError {
    SpeakerError::new(Code::Disconnected, format!("the LiveKit room is gone: {reason}"))
}
