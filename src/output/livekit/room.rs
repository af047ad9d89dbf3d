//! The signalling connection of a room. With `place.rs`, `said.rs`, `trouble.rs`, `join.rs` and `socket.rs` the one place that knows
//! LiveKit's crates.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use livekit_signaling::{SignalClient, SignalError, SignalEvent, SignalEvents, SignalOptions};
use proto::signal_request::Message as Request;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use super::announcement::Announcement;
use super::pings::{PULSE, Pulse};
use super::place::Place;
use super::said::{self, Said, Us};
use super::tokens::{Token, Tokens};
use super::transport::IceServer;
use super::trouble::{Remedy, Trouble};
use super::{Attempt, proto, socket};
use crate::error::{Code, SpeakerError};
use crate::output::Description;
use crate::redact::redact;
use crate::runtime::RUNTIME;
use crate::scope::Scope;
use crate::secrets::Secrets;

/// What this client implements of LiveKit's protocol: 16 is the last before packets with trailers.
const PROTOCOL_VERSION: u32 = 16;

/// What other clients may expect of this one: texts and calls in their first form. The crate would promise the second.
const CLIENT_PROTOCOL: i32 = 0;

/// How long a server may take to say goodbye.
const LEAVE_TIMEOUT: Duration = Duration::from_millis(1_500);

enum Outgoing {
    Request(Box<Request>),
    /// The session is as it was: what was held back since it broke goes out.
    Resumed,
    /// Nothing more is said, not even a goodbye.
    Abandoned,
}

/// A joined room. Dropping it leaves politely, unless it was abandoned.
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
    pub place: Place,
    /// Read, and not told yet.
    heard: VecDeque<Said>,
    tokens: Tokens,
    /// How long a server may take for an answer.
    limit: Duration,
    /// What it was joined with, masked as long as it is here.
    _token: Token,
    /// Its sockets are pinged as long as it is here.
    pulse: Arc<Pulse>,
    /// What the TURN servers want to be shown.
    secrets: Vec<Secrets>,
    /// Ends when the server knows that we are gone.
    pub leaving: Option<JoinHandle<()>>,
}

impl Room {
    /// Joins until then, at most `limit` from now. A token that the server does not take leaves no remedy: with it, not to come again.
    pub async fn join(url: &str, token: Token, tokens: Tokens, limit: Duration, until: Instant) -> Attempt<Self> {
        let mut options = SignalOptions::default();
        options.auto_subscribe = false;
        options.single_peer_connection = true;
        options.protocol_version = PROTOCOL_VERSION;
        options.client_capabilities = Vec::new();
        options.client_protocol = CLIENT_PROTOCOL;
        options.connect_timeout = limit;
        // Other regions are for `join.rs` to try, each with the time that is left.
        options.region_failover = false;
        socket::install();
        let pulse = Arc::<Pulse>::default();
        let joining = PULSE.scope(pulse.clone(), SignalClient::connect(url, &token, options, None));
        let joined = timeout_at(until, joining).await.map_err(|_| silent(limit))?;
        let (client, joined, events) = joined.map_err(|error| {
            let remedy = if is_refusal(&error) { Remedy::None } else { Remedy::Rejoin };
            Trouble { remedy, ..refused(error).into() }
        })?;
        let client = Arc::new(client);
        let (outgoing, requests) = unbounded_channel();
        // Sending may wait for the socket; nobody should wait for that.
        let leaving = RUNTIME.spawn(Scope::current().wrap(send_all(client.clone(), requests)));
        let servers = ice_servers(joined.ice_servers.clone());
        let (place, others) = Place::new(joined, client.is_single_pc_mode_active(), tokens.clone());
        let mut room = Self {
            client,
            outgoing,
            events,
            connections: 1,
            ends: 0,
            offers: 0,
            ice_servers: Vec::new(),
            place,
            heard: others.into(),
            tokens,
            limit,
            _token: token,
            pulse,
            secrets: Vec::new(),
            leaving: Some(leaving),
        };
        room.learn(servers);
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
            source: said::source(track.source) as i32,
            muted: track.muted,
            disable_red: !track.red,
            audio_features: features.iter().filter(|(has, _)| *has).map(|(_, feature)| *feature as i32).collect(),
            ..Default::default()
        }));
    }

    /// Offers what is to be sent; `lines` are the media lines and client ids of new tracks.
    pub fn offer(&mut self, sdp: String, lines: impl IntoIterator<Item = (String, String)>) {
        self.offers += 1;
        let mid_to_track_id = lines.into_iter().collect();
        let offer = proto::SessionDescription { r#type: "offer".to_owned(), sdp, id: self.offers, mid_to_track_id };
        self.place.offered(&offer);
        self.send(Request::Offer(offer));
    }

    /// Answers the server's own offer.
    pub fn answer(&mut self, sdp: String) {
        let answer = self.place.answered(sdp);
        self.send(Request::Answer(answer));
    }

    /// A track is let go of, and none of ours any more whenever the signalling is opened anew.
    pub fn forget(&mut self, sid: &str) {
        self.place.forget(sid);
    }

    /// Mutes a track or lets it speak again; what the server did is repeated to it.
    pub fn mute(&self, sid: String, muted: bool) {
        self.send(Request::Mute(proto::MuteTrackRequest { sid, muted }));
    }

    /// Asks for tracks, and to be sent others no longer; `all` are those that are wanted by now.
    pub fn subscribe(&mut self, more: Vec<String>, fewer: Vec<String>, all: &[String]) {
        self.place.subscribed(all);
        for (track_sids, subscribe) in [(more, true), (fewer, false)] {
            if !track_sids.is_empty() {
                let update = proto::UpdateSubscription { track_sids, subscribe, ..Default::default() };
                self.send(Request::Subscription(update));
            }
        }
    }

    /// Asks the room to list this of us, by a number that its answer bears.
    pub fn describe(&self, number: u32, description: &Description) {
        let Description { name, metadata, attributes } = description.clone();
        self.send(Request::UpdateMetadata(proto::UpdateParticipantMetadata {
            name: name.unwrap_or_default(),
            metadata: metadata.unwrap_or_default(),
            attributes: attributes.into_iter().collect(),
            request_id: number,
        }));
    }

    /// Returns what opens the signalling connection anew, until a time, in the place that the server keeps.
    pub fn reopener(&self) -> Reopener {
        let (client, tokens, pulse) = (self.client.clone(), self.tokens.clone(), self.pulse.clone());
        Reopener { client, tokens, pulse, limit: self.limit }
    }

    /// What the room has of us, as far as is known.
    pub fn has(&self) -> &Us {
        &self.place.has
    }

    /// The connection is open again. What the room has of us comes next, as [`Said::Us`]; if we are in it, [`sync`](Self::sync) follows.
    pub fn reopened(&mut self, ice_servers: Vec<IceServer>) {
        self.connections += 1;
        self.place.reopened();
        self.learn(ice_servers);
    }

    /// Says what was agreed before.
    pub fn sync(&self) {
        self.send(Request::SyncState(self.place.sync_state()));
    }

    /// Whether it can be [reopened](Self::reopen).
    pub fn can_resume(&self) -> bool {
        self.place.can_resume()
    }

    /// Ends the connection without a word: whoever has our identity now would hear the goodbye.
    pub fn abandon(self) {
        let _ = self.outgoing.send(Outgoing::Abandoned);
    }

    fn learn(&mut self, ice_servers: Vec<IceServer>) {
        self.secrets = ice_servers.iter().map(|server| Secrets::of(&server.credential)).collect();
        self.ice_servers = ice_servers;
    }

    /// All is as it was.
    pub fn resumed(&self) {
        let _ = self.outgoing.send(Outgoing::Resumed);
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
            if matches!(&response, proto::signal_response::Message::Answer(answer) if answer.id != 0 && answer.id != self.offers)
            {
                // To an offer that was withdrawn. Servers before 1.9.1 do not number them.
                continue;
            }
            self.heard.extend(self.place.hear(response));
        }
    }
}

/// Opens a room's signalling again.
pub struct Reopener {
    client: Arc<SignalClient>,
    tokens: Tokens,
    pulse: Arc<Pulse>,
    limit: Duration,
}

impl Reopener {
    /// Tries until then. Returns the TURN servers that are offered over it.
    pub async fn reopen(self, until: Instant) -> Attempt<Vec<IceServer>> {
        let Self { client, tokens, pulse, limit } = self;
        let reason = proto::ReconnectReason::RrSignalDisconnected;
        let reopened = timeout_at(until, PULSE.scope(pulse, client.restart(reason))).await;
        let error = match reopened.map_err(|_| again(silent(limit)))? {
            Ok(response) => return Ok(ice_servers(response.ice_servers)),
            Err(error) => error,
        };
        let is_refusal = is_refusal(&error);
        let trouble = not_reopened(error);
        if is_refusal {
            tokens.refuse(&client.token(), &trouble.error);
        }
        Err(trouble)
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
    // A server repeats the token that it refuses.
    let text = redact(&error.to_string());
    SpeakerError::new(Code::JoinFailed, format!("the LiveKit room can't be joined: {text}"))
}

/// Whether a server does not take the token, or none could.
fn is_refusal(error: &SignalError) -> bool {
    match error {
        SignalError::Client(status, _) | SignalError::Handshake { status } => matches!(status.as_u16(), 401 | 403),
        SignalError::TokenFormat => true,
        _ => false,
    }
}

fn not_reopened(error: SignalError) -> Trouble {
    match error {
        SignalError::LeaveRequest { reason, action } => {
            let (reason, action) = (reason as i32, action as i32);
            Trouble::left(&proto::LeaveRequest { reason, action, ..Default::default() })
        }
        // The server does not want us back in our place. Too many at once it may want later.
        SignalError::Client(status, _) | SignalError::Handshake { status }
            if status.is_client_error() && !matches!(status.as_u16(), 408 | 429) =>
        {
            refused(error).into()
        }
        // Nobody there, or nobody who can answer: the place may still be ours.
        error => again(refused(error)),
    }
}

fn closed(why: &str) -> Trouble {
    Trouble::gone(proto::DisconnectReason::SignalClose, why, Remedy::Resume)
}

fn again(error: SpeakerError) -> Trouble {
    Trouble { remedy: Remedy::Resume, ..error.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An error that came with an HTTP status: of a WebSocket's handshake, or with a text.
    fn errors(status: u16) -> [SignalError; 2] {
        // The type of the status is not exported by itself.
        let status = status.try_into().unwrap();
        let text =
            if reqwest::StatusCode::is_server_error(&status) { SignalError::Server } else { SignalError::Client };
        [SignalError::Handshake { status }, text(status, "no".to_owned())]
    }

    #[test]
    fn a_signalling_that_can_t_be_reopened_is_tried_again_unless_the_server_does_not_want_it() {
        use proto::leave_request::Action;
        let remedy = |error| not_reopened(error).remedy;
        for error in [
            SignalError::Connection("refused".to_owned()),
            SignalError::Timeout("late".to_owned()),
            SignalError::Closed,
            SignalError::SendError,
            SignalError::InvalidState("resume".to_owned()),
        ] {
            assert_eq!(remedy(error), Remedy::Resume);
        }
        for status in [500, 502, 503, 504, 408, 429, 302] {
            assert_eq!(errors(status).map(remedy), [Remedy::Resume; 2], "{status}");
        }
        for status in [400, 401, 403, 404] {
            assert_eq!(errors(status).map(remedy), [Remedy::Rejoin; 2], "{status}");
        }
        let reason = proto::DisconnectReason::StateMismatch;
        for (action, expected) in
            [(Action::Resume, Remedy::Resume), (Action::Reconnect, Remedy::Rejoin), (Action::Disconnect, Remedy::None)]
        {
            assert_eq!(remedy(SignalError::LeaveRequest { reason, action }), expected);
        }
    }

    #[test]
    fn a_token_is_refused_by_401_and_403_alone() {
        for (status, expected) in [(400, false), (401, true), (403, true), (404, false), (429, false), (503, false)] {
            assert_eq!(errors(status).map(|error| is_refusal(&error)), [expected; 2], "{status}");
        }
        assert!(is_refusal(&SignalError::TokenFormat));
        assert!(!is_refusal(&SignalError::Closed));
    }
}
