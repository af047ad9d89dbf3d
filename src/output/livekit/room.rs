//! The signalling connection of a room. With `said.rs`, `trouble.rs` and `socket.rs` the one place that knows LiveKit's crates.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use livekit_signaling::{SignalClient, SignalError, SignalEvent, SignalEvents, SignalOptions};
use proto::signal_request::Message as Request;
use proto::signal_response::Message as Response;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use super::proto;
use super::said::{Name, Said, Us};
use super::socket;
use super::track::Announcement;
use super::transport::IceServer;
use super::trouble::{Remedy, Trouble};
use crate::error::{Code, Result, SpeakerError};
use crate::redact::redact;
use crate::runtime::RUNTIME;
use crate::secrets::Secrets;

/// What this client implements of LiveKit's protocol: 16 is the last before negotiated data channels, of which it has none.
const PROTOCOL_VERSION: u32 = 16;

/// How long a server may take to say goodbye.
const LEAVE_TIMEOUT: Duration = Duration::from_millis(1_500);

enum Outgoing {
    Request(Box<Request>),
    /// The session is as it was: what was held back since it broke goes out.
    Resumed,
}

/// A reopened connection on its way, and the TURN servers offered over it.
pub type Reopening = Pin<Box<dyn Future<Output = std::result::Result<Vec<IceServer>, Trouble>> + Send>>;

/// A joined room. Dropping it leaves politely.
pub struct Room {
    client: Arc<SignalClient>,
    outgoing: UnboundedSender<Outgoing>,
    events: SignalEvents,
    /// Connections that were made, and ends that were told: the end of an older one is no news.
    connections: u32,
    ends: u32,
    offers: u32,
    /// The TURN servers it offers.
    pub ice_servers: Vec<IceServer>,
    us: Name,
    /// What the room has of us, as it was told last.
    pub has: Us,
    /// Read, and not told yet.
    heard: VecDeque<Said>,
    /// What a server that has kept our place wants to hear when we are back.
    state: proto::SyncState,
    /// The token, and what the TURN servers want to be shown.
    secrets: Vec<Secrets>,
    /// Ends when the server knows that we are gone.
    pub leaving: Option<JoinHandle<()>>,
}

impl Room {
    /// Joins until then, which is the end of `limit`.
    pub async fn join(url: &str, token: &str, limit: Duration, until: Instant) -> Result<Self> {
        let token_secret = Secrets::of(token);
        let mut options = SignalOptions::default();
        options.auto_subscribe = false;
        options.single_peer_connection = true;
        options.protocol_version = PROTOCOL_VERSION;
        options.client_capabilities = Vec::new();
        options.connect_timeout = limit;
        socket::install();
        let joining = SignalClient::connect(url, token, options, None);
        let (client, joined, events) = timeout_at(until, joining).await.map_err(|_| silent(limit))?.map_err(refused)?;
        let client = Arc::new(client);
        let ourselves = joined.participant.unwrap_or_default();
        let (us, has) = (Name { sid: ourselves.sid.clone(), identity: ourselves.identity.clone() }, Us::of(&ourselves));
        let others = joined.other_participants.into_iter().map(|info| Said::Came(info.identity)).collect();
        let (outgoing, requests) = unbounded_channel();
        // Sending may wait for the socket; nobody should wait for that.
        let leaving = RUNTIME.spawn(send_all(client.clone(), requests));
        // Nothing is subscribed to; server 1.11.0 ends with a nil pointer where that is not said.
        let state = proto::SyncState { subscription: Some(Default::default()), ..Default::default() };
        let mut room = Self {
            client,
            outgoing,
            events,
            connections: 1,
            ends: 0,
            offers: 0,
            ice_servers: Vec::new(),
            us,
            has,
            heard: others,
            state,
            secrets: vec![token_secret],
            leaving: Some(leaving),
        };
        room.learn(ice_servers(joined.ice_servers));
        Ok(room)
    }

    /// Announces a track under a client id that its media line will bear.
    pub fn add_track(&self, track: &Announcement) {
        let features =
            [(track.stereo, proto::AudioTrackFeature::TfStereo), (!track.dtx, proto::AudioTrackFeature::TfNoDtx)];
        self.send(Request::AddTrack(proto::AddTrackRequest {
            cid: track.cid.clone(),
            name: track.name.clone(),
            r#type: proto::TrackType::Audio as i32,
            source: proto::TrackSource::Microphone as i32,
            disable_red: !track.red,
            audio_features: features.iter().filter(|(has, _)| *has).map(|(_, feature)| *feature as i32).collect(),
            ..Default::default()
        }));
    }

    /// Offers what is to be sent; `line` is the media line and client id of a new track.
    pub fn offer(&mut self, sdp: String, line: Option<(String, String)>) {
        self.offers += 1;
        let mid_to_track_id = line.into_iter().collect();
        let offer = proto::SessionDescription { r#type: "offer".to_owned(), sdp, id: self.offers, mid_to_track_id };
        if self.is_single() {
            self.state.offer = Some(offer.clone());
        }
        self.send(Request::Offer(offer));
    }

    /// Answers the server's own offer.
    pub fn answer(&mut self, sdp: String) {
        let id = self.state.offer.as_ref().map_or(0, |offer| offer.id);
        let answer = proto::SessionDescription { r#type: "answer".to_owned(), sdp, id, ..Default::default() };
        self.state.answer = Some(answer.clone());
        self.send(Request::Answer(answer));
    }

    /// Agrees to what the server did.
    pub fn mute(&self, sid: String, muted: bool) {
        self.send(Request::Mute(proto::MuteTrackRequest { sid, muted }));
    }

    /// Opens the signalling connection anew, in the place that the server keeps.
    pub fn reopen(&self, limit: Duration) -> Reopening {
        let client = self.client.clone();
        Box::pin(async move {
            let reason = proto::ReconnectReason::RrSignalDisconnected;
            let reopened = timeout(limit, client.restart(reason)).await;
            match reopened.map_err(|_| silent(limit)).map_err(again)? {
                Ok(response) => Ok(ice_servers(response.ice_servers)),
                Err(SignalError::LeaveRequest { reason, action }) => Err(Trouble::left(&proto::LeaveRequest {
                    reason: reason as i32,
                    action: action as i32,
                    ..Default::default()
                })),
                // Nobody there: the place may still be ours.
                Err(error @ (SignalError::Connection(_) | SignalError::Timeout(_))) => Err(again(refused(error))),
                Err(error) => Err(refused(error).into()),
            }
        })
    }

    /// The connection is open again.
    pub fn reopened(&mut self, ice_servers: Vec<IceServer>) {
        self.connections += 1;
        self.learn(ice_servers);
    }

    /// Says what was agreed before.
    pub fn sync(&self) {
        self.send(Request::SyncState(self.state.clone()));
    }

    /// Ends without a goodbye.
    pub fn abandon(mut self) {
        self.leaving.take().into_iter().for_each(|leaving| leaving.abort());
    }

    fn learn(&mut self, ice_servers: Vec<IceServer>) {
        self.secrets.truncate(1);
        self.secrets.extend(ice_servers.iter().map(|server| Secrets::of(&server.credential)));
        self.ice_servers = ice_servers;
    }

    /// All is as it was.
    pub fn resumed(&self) {
        let _ = self.outgoing.send(Outgoing::Resumed);
    }

    /// Whether the server answers offers and makes none.
    fn is_single(&self) -> bool {
        self.client.is_single_pc_mode_active()
    }

    fn send(&self, request: Request) {
        // Fails only after the connection is gone, of which `poll` tells.
        let _ = self.outgoing.send(Outgoing::Request(Box::new(request)));
    }

    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<Said> {
        loop {
            if let Some(said) = self.heard.pop_front() {
                return Poll::Ready(said);
            }
            let response = match ready!(self.events.poll_recv(context)) {
                Some(SignalEvent::Message(response)) => *response,
                Some(SignalEvent::Close(why)) => {
                    self.ends += 1;
                    if self.ends < self.connections {
                        continue;
                    }
                    return Poll::Ready(Said::Left(closed(&why)));
                }
                None => return Poll::Ready(Said::Left(closed("the signalling has ended"))),
            };
            self.remember(&response);
            self.heard.extend(Said::read(response, &self.us));
        }
    }

    /// Keeps what a server that keeps our place will want to hear.
    fn remember(&mut self, response: &Response) {
        match response {
            Response::Answer(answer) if self.is_single() => self.state.answer = Some(answer.clone()),
            Response::Offer(offer) => self.state.offer = Some(offer.clone()),
            Response::TrackPublished(published) => self.state.publish_tracks.push(published.clone()),
            _ => {}
        }
    }
}

/// One for each of their URLs.
fn ice_servers(servers: Vec<proto::IceServer>) -> Vec<IceServer> {
    let each = |proto::IceServer { urls, username, credential }| {
        urls.into_iter().map(move |url| IceServer { url, username: username.clone(), credential: credential.clone() })
    };
    servers.into_iter().flat_map(each).collect()
}

async fn send_all(client: Arc<SignalClient>, mut requests: tokio::sync::mpsc::UnboundedReceiver<Outgoing>) {
    while let Some(outgoing) = requests.recv().await {
        match outgoing {
            Outgoing::Request(request) => client.send(*request).await,
            Outgoing::Resumed => client.set_reconnected().await,
        }
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
}

pub fn silent(limit: Duration) -> SpeakerError {
    let message = format!("the LiveKit server did not answer within {} ms (connectTimeoutMs)", limit.as_millis());
    SpeakerError::new(Code::JoinFailed, message)
}

fn refused(error: SignalError) -> SpeakerError {
    // A server repeats the token that it refuses.
    let text = redact(&error.to_string());
    SpeakerError::new(Code::JoinFailed, format!("the LiveKit room can't be joined: {text}"))
}

fn closed(why: &str) -> Trouble {
    Trouble::gone(proto::DisconnectReason::SignalClose, why, Remedy::Resume)
}

fn again(error: SpeakerError) -> Trouble {
    Trouble { remedy: Remedy::Resume, ..error.into() }
}
