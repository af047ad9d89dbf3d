//! The state of a session's output. The output itself belongs to the driver: requests go to it through the outbox, and their
//! results come back as [`OutputEvent`](crate::output::OutputEvent).

use std::collections::BTreeSet;
use std::sync::Arc;

use super::outbox::{Outbox, OutputRequest};
use crate::error::SpeakerError;
use crate::ids::Ticket;
use crate::mixer::Routing;
use crate::output::{DataInterest, Listening, UnheardPolicy};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connection {
    Closed,
    Opening,
    Open,
    /// It can't be written for now. UnheardPolicy the session's time stands still or goes on.
    Cut {
        is_halted: bool,
    },
}

/// The state of a session's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionState {
    /// The output was never open, and is not being opened.
    New,
    /// The output is being opened.
    Connecting,
    /// The output is open.
    Connected,
    /// The connection broke, and is being restored.
    Reconnecting,
    /// The output could not be opened, or was lost for good; the next request opens it anew.
    Disconnected,
    /// The session is closed.
    Closed,
}

impl ConnectionState {
    /// Returns its name in JavaScript.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Connecting => "connecting",
            Self::Connected => "connected",
            Self::Reconnecting => "reconnecting",
            Self::Disconnected => "disconnected",
            Self::Closed => "closed",
        }
    }
}

/// A stream whose state is known.
struct Stream {
    id: u32,
    /// It was requested from the output, and not refused.
    is_requested: bool,
    /// It takes samples.
    is_open: bool,
    /// Its track is muted.
    muted: Option<UnheardPolicy>,
    /// The server unpublished its track.
    missing: Option<UnheardPolicy>,
}

pub struct OutputState {
    routing: Routing,
    pub connection: Connection,
    /// Whether anybody listens, as far as the output can tell.
    pub audience: Option<bool>,
    /// `connected` was noted, and `disconnected` was not.
    pub was_connected: bool,
    /// `reconnecting` was noted, and `reconnected` was not.
    pub is_reconnecting: bool,
    /// It was lost, or could not be opened.
    was_lost: bool,
    streams: Vec<Stream>,
    /// Streams that the user muted, in every room that is joined.
    mutes: BTreeSet<u32>,
    /// Streams that the user unpublished: an output that publishes at once does not publish them.
    withheld: BTreeSet<u32>,
    /// Tickets of `unpublish`.
    unpublishing: Vec<Ticket>,
    /// The data of others that is received.
    hears: DataInterest,
    /// The participants that are listened to in every room that is joined.
    listenings: Vec<Arc<Listening>>,
    /// Tickets of `connect`.
    tickets: Vec<Ticket>,
    /// The last failure of a frame, if none succeeded since.
    failure: Option<SpeakerError>,
}

impl OutputState {
    pub fn new(routing: Routing) -> Self {
        Self {
            routing,
            connection: Connection::Closed,
            audience: None,
            was_connected: false,
            is_reconnecting: false,
            was_lost: false,
            streams: Vec::new(),
            mutes: BTreeSet::new(),
            withheld: BTreeSet::new(),
            unpublishing: Vec::new(),
            hears: DataInterest::default(),
            listenings: Vec::new(),
            tickets: Vec::new(),
            failure: None,
        }
    }

    pub fn is_open(&self) -> bool {
        self.connection == Connection::Open
    }

    /// Returns true if somebody listens who needs silence too.
    pub fn has_audience(&self) -> bool {
        self.audience == Some(true)
    }

    pub fn state(&self) -> ConnectionState {
        match self.connection {
            Connection::Closed if self.was_lost => ConnectionState::Disconnected,
            Connection::Closed => ConnectionState::New,
            Connection::Opening => ConnectionState::Connecting,
            Connection::Open if !self.is_reconnecting => ConnectionState::Connected,
            Connection::Open | Connection::Cut { .. } => ConnectionState::Reconnecting,
        }
    }

    /// Requests that the output is opened. Returns false if it is open or being opened.
    pub fn connect(&mut self, outbox: &mut Outbox) -> bool {
        let is_closed = self.connection == Connection::Closed;
        if is_closed {
            self.connection = Connection::Opening;
            outbox.request(OutputRequest::Open);
            self.mutes.iter().for_each(|stream| outbox.request(OutputRequest::SetMuted(*stream, true)));
            self.withheld.iter().for_each(|stream| outbox.request(OutputRequest::Unpublish(*stream, None)));
            if self.hears != DataInterest::default() {
                outbox.request(OutputRequest::HearData(self.hears));
            }
            self.listenings.iter().for_each(|listening| outbox.request(OutputRequest::Listen(listening.clone())));
        }
        is_closed
    }

    pub fn add_ticket(&mut self, ticket: Ticket) {
        self.tickets.push(ticket);
    }

    pub fn remove_ticket(&mut self, ticket: Ticket) -> bool {
        let index = self.tickets.iter().position(|waiting| *waiting == ticket);
        index.map(|index| self.tickets.remove(index)).is_some()
    }

    pub fn has_tickets(&self) -> bool {
        !self.tickets.is_empty()
    }

    pub fn take_tickets(&mut self) -> Vec<Ticket> {
        std::mem::take(&mut self.tickets)
    }

    /// Mutes or unmutes a stream; at once if the output is there, else when it is opened.
    pub fn set_muted(&mut self, stream: u32, muted: bool, outbox: &mut Outbox) {
        if muted {
            self.mutes.insert(stream)
        } else {
            self.mutes.remove(&stream)
        };
        if self.connection != Connection::Closed {
            outbox.request(OutputRequest::SetMuted(stream, muted));
        }
    }

    /// Returns the streams that the user muted.
    pub fn muted_by_user(&self) -> impl Iterator<Item = u32> {
        self.mutes.iter().copied()
    }

    /// Unpublishes a stream's track, until something is to play on the stream again.
    pub fn unpublish(&mut self, stream: u32, ticket: Ticket, outbox: &mut Outbox) {
        // A fade on a track that the server unpublished stays unheard.
        self.stream_refused(stream);
        self.withheld.insert(stream);
        if self.connection == Connection::Closed {
            return outbox.settle(ticket, None);
        }
        self.unpublishing.push(ticket);
        outbox.request(OutputRequest::Unpublish(stream, Some(ticket)));
    }

    /// Removes the ticket of an `unpublish` that was answered. Returns false if it does not wait.
    pub fn unpublished(&mut self, ticket: Ticket) -> bool {
        let index = self.unpublishing.iter().position(|waiting| *waiting == ticket);
        index.map(|index| self.unpublishing.remove(index)).is_some()
    }

    pub fn take_unpublishing(&mut self) -> Vec<Ticket> {
        std::mem::take(&mut self.unpublishing)
    }

    /// Sets which data of others is received; at once if the output is there, else when it is opened.
    pub fn hear_data(&mut self, hears: DataInterest, outbox: &mut Outbox) {
        let is_changed = std::mem::replace(&mut self.hears, hears) != hears;
        if is_changed && self.connection != Connection::Closed {
            outbox.request(OutputRequest::HearData(hears));
        }
    }

    /// Listens to a participant; at once if the output is there, else when it is opened.
    pub fn listen(&mut self, listening: Arc<Listening>, outbox: &mut Outbox) {
        if self.connection != Connection::Closed {
            outbox.request(OutputRequest::Listen(listening.clone()));
        }
        self.listenings.push(listening);
    }

    /// Stops listening to a participant.
    pub fn unlisten(&mut self, id: u32, outbox: &mut Outbox) {
        let count = self.listenings.len();
        self.listenings.extract_if(.., |listening| listening.id == id).for_each(|listening| listening.end());
        if self.listenings.len() < count && self.connection != Connection::Closed {
            outbox.request(OutputRequest::Unlisten(id));
        }
    }

    /// Stops listening to all participants.
    pub fn end_listenings(&mut self) {
        self.listenings.drain(..).for_each(|listening| listening.end());
    }

    /// Returns true if a stream takes samples now. Requests it if it was not requested before, or was refused.
    pub fn takes(&mut self, stream: u32, outbox: &mut Outbox) -> bool {
        if self.routing == Routing::Mixdown {
            return self.is_open();
        }
        let is_open = self.is_open();
        let known = self.stream(stream);
        let takes = known.is_open && is_open;
        if !std::mem::replace(&mut known.is_requested, true) {
            outbox.request(OutputRequest::Prepare(stream));
            self.withheld.remove(&stream);
        }
        takes
    }

    /// Returns true if the playbacks of a stream stand still, because nobody could hear them.
    pub fn pauses(&self, stream: u32) -> bool {
        let known = self.streams.iter().find(|known| known.id == stream);
        known.is_some_and(|known| [known.muted, known.missing].contains(&Some(UnheardPolicy::Pause)))
    }

    /// Returns true if a stream can be heard.
    pub fn is_heard(&self, stream: u32) -> bool {
        let known = self.streams.iter().find(|known| known.id == stream);
        self.is_open()
            && self.audience != Some(false)
            && known.is_none_or(|known| known.muted.is_none() && known.missing.is_none())
    }

    /// Notes that a stream takes samples from now on.
    pub fn stream_opened(&mut self, stream: u32) {
        let known = self.stream(stream);
        (known.is_requested, known.is_open, known.missing) = (true, true, None);
    }

    /// Notes that the output refused a stream: the next playback requests it again.
    pub fn stream_refused(&mut self, stream: u32) {
        let known = self.stream(stream);
        (known.is_requested, known.is_open) = (false, false);
    }

    /// Notes that the server unpublished a stream's track.
    pub fn stream_missing(&mut self, stream: u32, policy: UnheardPolicy) {
        self.stream_refused(stream);
        self.stream(stream).missing = Some(policy);
    }

    /// Notes that a stream's track was muted or unmuted.
    pub fn stream_muted(&mut self, stream: u32, muted: Option<UnheardPolicy>) {
        self.stream(stream).muted = muted;
    }

    fn stream(&mut self, id: u32) -> &mut Stream {
        let index = self.streams.iter().position(|known| known.id == id).unwrap_or(self.streams.len());
        if index == self.streams.len() {
            self.streams.push(Stream { id, is_requested: false, is_open: false, muted: None, missing: None });
        }
        &mut self.streams[index]
    }

    /// Notes that it failed to take a frame. Returns true if that is a new failure: a full disk fails every frame, and is reported once.
    pub fn failed(&mut self, error: &SpeakerError) -> bool {
        self.failure.replace(error.clone()).as_ref() != Some(error)
    }

    /// Notes that it took a frame.
    pub fn succeeded(&mut self) {
        self.failure = None;
    }

    /// Notes that the output is closed, with its streams.
    pub fn closed(&mut self) {
        self.connection = Connection::Closed;
        self.is_reconnecting = false;
        self.audience = None;
        self.failure = None;
        self.streams.clear();
    }

    /// Notes that the output was lost, with its streams.
    pub fn lost(&mut self) {
        self.closed();
        self.was_lost = true;
    }
}
