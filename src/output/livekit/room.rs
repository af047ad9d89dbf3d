//! The signalling connection of a room. Only this file, `membership.rs`, `signal_event.rs`, `disconnect.rs`, `join.rs` and `socket.rs` use
//! LiveKit's crates.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use livekit_signaling::{SignalClient, SignalError, SignalEvent as ClientEvent, SignalEvents, SignalOptions};
use proto::signal_request::Message as Request;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use super::announcement::Announcement;
use super::disconnect::{Disconnect, Retry};
use super::membership::Membership;
use super::pings::{HEARTBEAT, Heartbeat};
use super::signal_event::{self, LocalParticipant, SignalEvent};
use super::tokens::{Token, Tokens};
use super::transport::IceServer;
use super::{ConnectResult, proto, socket};
use crate::error::{Code, SpeakerError};
use crate::output::Description;
use crate::redact::redact;
use crate::runtime::RUNTIME;
use crate::scope::Scope;
use crate::secrets::Secrets;

/// The version of LiveKit's protocol that this client implements: 16 is the last one before packets with trailers.
const PROTOCOL_VERSION: u32 = 16;

/// The client protocol announced to other clients: texts and calls in their first form. The crate would announce the second.
const CLIENT_PROTOCOL: i32 = 0;

/// The timeout for the leave request and the closing of the socket.
const LEAVE_TIMEOUT: Duration = Duration::from_millis(1_500);

enum Outgoing {
    Request(Box<Request>),
    /// The session was resumed: requests that were queued since it broke are sent.
    Resumed,
    /// Nothing more is sent, not even a leave request.
    Abandoned,
}

/// A joined room. Dropping it sends a leave request, unless it was abandoned.
pub struct Room {
    client: Arc<SignalClient>,
    outgoing: UnboundedSender<Outgoing>,
    events: SignalEvents,
    /// The number of connections made and of ends reported: the end of an older connection is ignored.
    connections: u32,
    ends: u32,
    offers: u32,
    /// The TURN servers that the server offers.
    pub ice_servers: Vec<IceServer>,
    pub membership: Membership,
    /// Events that were read and not returned yet.
    pending: VecDeque<SignalEvent>,
    tokens: Tokens,
    /// The timeout for the server's answers.
    limit: Duration,
    /// The token that the room was joined with, which is masked in logs while it is kept here.
    _token: Token,
    /// The heartbeat of its sockets, which are pinged while it is kept here.
    heartbeat: Arc<Heartbeat>,
    /// The TURN credentials, which are masked in logs while they are kept here.
    secrets: Vec<Secrets>,
    /// The task that ends when the leave request was sent.
    pub leaving: Option<JoinHandle<()>>,
}

impl Room {
    /// Joins the room by `until`, at most `limit` from now. A refused token is not retried ([`Retry::Never`]).
    pub async fn join(url: &str, token: Token, tokens: Tokens, limit: Duration, until: Instant) -> ConnectResult<Self> {
        let mut options = SignalOptions::default();
        options.auto_subscribe = false;
        options.single_peer_connection = true;
        options.protocol_version = PROTOCOL_VERSION;
        options.client_capabilities = Vec::new();
        options.client_protocol = CLIENT_PROTOCOL;
        options.connect_timeout = limit;
        // `join.rs` tries other regions itself, each with the time that is left.
        options.region_failover = false;
        socket::install();
        let heartbeat = Arc::<Heartbeat>::default();
        let joining = HEARTBEAT.scope(heartbeat.clone(), SignalClient::connect(url, &token, options, None));
        let joined = timeout_at(until, joining).await.map_err(|_| silent(limit))?;
        let (client, joined, events) = joined.map_err(|error| {
            let retry = if is_refusal(&error) { Retry::Never } else { Retry::Rejoin };
            Disconnect { retry, ..refused(error).into() }
        })?;
        let client = Arc::new(client);
        let (outgoing, requests) = unbounded_channel();
        // Sending may wait for the socket, so a task does it.
        let leaving = RUNTIME.spawn(Scope::current().wrap(send_all(client.clone(), requests)));
        let servers = ice_servers(joined.ice_servers.clone());
        let (membership, others) = Membership::new(joined, client.is_single_pc_mode_active(), tokens.clone());
        let mut room = Self {
            client,
            outgoing,
            events,
            connections: 1,
            ends: 0,
            offers: 0,
            ice_servers: Vec::new(),
            membership,
            pending: others.into(),
            tokens,
            limit,
            _token: token,
            heartbeat,
            secrets: Vec::new(),
            leaving: Some(leaving),
        };
        room.learn(servers);
        Ok(room)
    }

    /// Announces a track under the client id that its media line will carry.
    pub fn add_track(&self, track: &Announcement) {
        let features =
            [(track.stereo, proto::AudioTrackFeature::TfStereo), (!track.dtx, proto::AudioTrackFeature::TfNoDtx)];
        self.send(Request::AddTrack(proto::AddTrackRequest {
            cid: track.cid.clone(),
            name: track.name.clone(),
            r#type: proto::TrackType::Audio as i32,
            source: signal_event::source(track.source) as i32,
            muted: track.muted,
            disable_red: !track.red,
            audio_features: features.iter().filter(|(local, _)| *local).map(|(_, feature)| *feature as i32).collect(),
            ..Default::default()
        }));
    }

    /// Sends an offer; `lines` are the media lines and client ids of new tracks.
    pub fn offer(&mut self, sdp: String, lines: impl IntoIterator<Item = (String, String)>) {
        self.offers += 1;
        let mid_to_track_id = lines.into_iter().collect();
        let offer = proto::SessionDescription { r#type: "offer".to_owned(), sdp, id: self.offers, mid_to_track_id };
        self.membership.offered(&offer);
        self.send(Request::Offer(offer));
    }

    /// Answers the server's own offer.
    pub fn answer(&mut self, sdp: String) {
        let answer = self.membership.answered(sdp);
        self.send(Request::Answer(answer));
    }

    /// Removes a released track from the state that is synced when the signalling is reopened.
    pub fn forget(&mut self, sid: &str) {
        self.membership.forget(sid);
    }

    /// Sends a track's mute state, also to confirm one that the server set.
    pub fn mute(&self, sid: String, muted: bool) {
        self.send(Request::Mute(proto::MuteTrackRequest { sid, muted }));
    }

    /// Subscribes to the tracks of `more` and unsubscribes from those of `fewer`; `all` are the tracks subscribed to afterwards.
    pub fn subscribe(&mut self, more: Vec<String>, fewer: Vec<String>, all: &[String]) {
        self.membership.subscribed(all);
        for (track_sids, subscribe) in [(more, true), (fewer, false)] {
            if !track_sids.is_empty() {
                let update = proto::UpdateSubscription { track_sids, subscribe, ..Default::default() };
                self.send(Request::Subscription(update));
            }
        }
    }

    /// Sends a description of the local participant; the answer carries `number`.
    pub fn describe(&self, number: u32, description: &Description) {
        let Description { name, metadata, attributes } = description.clone();
        self.send(Request::UpdateMetadata(proto::UpdateParticipantMetadata {
            name: name.unwrap_or_default(),
            metadata: metadata.unwrap_or_default(),
            attributes: attributes.into_iter().collect(),
            request_id: number,
        }));
    }

    /// Returns a task that reopens the signalling connection and resumes the session that the server keeps.
    pub fn reopener(&self) -> Reopener {
        Reopener {
            client: self.client.clone(),
            tokens: self.tokens.clone(),
            heartbeat: self.heartbeat.clone(),
            limit: self.limit,
        }
    }

    /// Returns the local participant, as the server last listed it.
    pub fn local(&self) -> &LocalParticipant {
        &self.membership.local
    }

    /// Ends the signalling connection; [`SignalEvent::Left`] follows.
    pub fn hang_up(&self) {
        self.heartbeat.hang_up();
    }

    /// Handles that the connection is open again. [`SignalEvent::LocalParticipant`] comes next; if the room still lists us,
    /// [`sync`](Self::sync) has to follow.
    pub fn reopened(&mut self, ice_servers: Vec<IceServer>) {
        self.connections += 1;
        self.membership.reopened();
        self.learn(ice_servers);
    }

    /// Sends what was agreed before (`SyncState`).
    pub fn sync(&self) {
        self.send(Request::SyncState(self.membership.sync_state()));
    }

    /// Returns true if the signalling can be [reopened](Self::reopener).
    pub fn can_resume(&self) -> bool {
        self.membership.can_resume()
    }

    /// Ends the connection without a leave request, which would remove the other session that has our identity now.
    pub fn abandon(self) {
        let _ = self.outgoing.send(Outgoing::Abandoned);
    }

    fn learn(&mut self, ice_servers: Vec<IceServer>) {
        self.secrets = ice_servers.iter().map(|server| Secrets::of(&server.credential)).collect();
        self.ice_servers = ice_servers;
    }

    /// Handles that the session was resumed: sends what was queued meanwhile.
    pub fn resumed(&self) {
        let _ = self.outgoing.send(Outgoing::Resumed);
    }

    fn send(&self, request: Request) {
        // Fails only after the connection is gone, which `poll` reports.
        let _ = self.outgoing.send(Outgoing::Request(Box::new(request)));
    }

    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<SignalEvent> {
        loop {
            if let Some(event) = self.pending.pop_front() {
                return Poll::Ready(event);
            }
            let response = match ready!(self.events.poll_recv(context)) {
                Some(ClientEvent::Message(response)) => *response,
                Some(ClientEvent::Close(why)) => {
                    self.ends += 1;
                    if self.ends < self.connections {
                        continue;
                    }
                    return Poll::Ready(SignalEvent::Left(closed(&why)));
                }
                None => return Poll::Ready(SignalEvent::Left(closed("the signalling has ended"))),
            };
            if matches!(&response, proto::signal_response::Message::Answer(answer) if answer.id != 0 && answer.id != self.offers)
            {
                // It answers an offer that was withdrawn. Servers before 1.9.1 do not number answers.
                continue;
            }
            self.pending.extend(self.membership.apply(response));
        }
    }
}

/// Reopens a room's signalling connection.
pub struct Reopener {
    client: Arc<SignalClient>,
    tokens: Tokens,
    heartbeat: Arc<Heartbeat>,
    limit: Duration,
}

impl Reopener {
    /// Reopens the connection by `until`. Returns the TURN servers that the server offers.
    pub async fn reopen(self, until: Instant) -> ConnectResult<Vec<IceServer>> {
        let Self { client, tokens, heartbeat, limit } = self;
        let reason = proto::ReconnectReason::RrSignalDisconnected;
        let reopened = timeout_at(until, HEARTBEAT.scope(heartbeat, client.restart(reason))).await;
        let error = match reopened.map_err(|_| again(silent(limit)))? {
            Ok(response) => return Ok(ice_servers(response.ice_servers)),
            Err(error) => error,
        };
        let is_refusal = is_refusal(&error);
        let disconnect = not_reopened(error);
        if is_refusal {
            tokens.refuse(&client.token(), &disconnect.error);
        }
        Err(disconnect)
    }
}

/// Returns one entry for each URL of the servers.
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
            Outgoing::Abandoned => return client.close().await,
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
    // A server's refusal repeats the token.
    let text = redact(&error.to_string());
    SpeakerError::new(Code::JoinFailed, format!("the LiveKit room can't be joined: {text}"))
}

/// Returns true if the server refused the token, or the token is malformed.
fn is_refusal(error: &SignalError) -> bool {
    match error {
        SignalError::Client(status, _) | SignalError::Handshake { status } => matches!(status.as_u16(), 401 | 403),
        SignalError::TokenFormat => true,
        _ => false,
    }
}

fn not_reopened(error: SignalError) -> Disconnect {
    match error {
        SignalError::LeaveRequest { reason, action } => {
            let (reason, action) = (reason as i32, action as i32);
            Disconnect::from_leave(&proto::LeaveRequest { reason, action, ..Default::default() })
        }
        // The server refuses to resume the session; 408 and 429 may pass.
        SignalError::Client(status, _) | SignalError::Handshake { status }
            if status.is_client_error() && !matches!(status.as_u16(), 408 | 429) =>
        {
            refused(error).into()
        }
        // The server could not be reached or could not answer, so it may still keep the session.
        error => again(refused(error)),
    }
}

fn closed(why: &str) -> Disconnect {
    Disconnect::new(proto::DisconnectReason::SignalClose, why, Retry::Resume)
}

fn again(error: SpeakerError) -> Disconnect {
    Disconnect { retry: Retry::Resume, ..error.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the errors of an HTTP status: of a WebSocket's handshake, and with a text.
    fn errors(status: u16) -> [SignalError; 2] {
        // The type of the status is not exported by itself.
        let status = status.try_into().unwrap();
        let text =
            if reqwest::StatusCode::is_server_error(&status) { SignalError::Server } else { SignalError::Client };
        [SignalError::Handshake { status }, text(status, "no".to_owned())]
    }

    #[test]
    fn reopening_is_retried_unless_refused() {
        use proto::leave_request::Action;
        let retry = |error| not_reopened(error).retry;
        for error in [
            SignalError::Connection("refused".to_owned()),
            SignalError::Timeout("late".to_owned()),
            SignalError::Closed,
            SignalError::SendError,
            SignalError::InvalidState("resume".to_owned()),
        ] {
            assert_eq!(retry(error), Retry::Resume);
        }
        for status in [500, 502, 503, 504, 408, 429, 302] {
            assert_eq!(errors(status).map(retry), [Retry::Resume; 2], "{status}");
        }
        for status in [400, 401, 403, 404] {
            assert_eq!(errors(status).map(retry), [Retry::Rejoin; 2], "{status}");
        }
        let reason = proto::DisconnectReason::StateMismatch;
        for (action, expected) in
            [(Action::Resume, Retry::Resume), (Action::Reconnect, Retry::Rejoin), (Action::Disconnect, Retry::Never)]
        {
            assert_eq!(retry(SignalError::LeaveRequest { reason, action }), expected);
        }
    }

    #[test]
    fn only_401_and_403_refuse_a_token() {
        for (status, expected) in [(400, false), (401, true), (403, true), (404, false), (429, false), (503, false)] {
            assert_eq!(errors(status).map(|error| is_refusal(&error)), [expected; 2], "{status}");
        }
        assert!(is_refusal(&SignalError::TokenFormat));
        assert!(!is_refusal(&SignalError::Closed));
    }
}
