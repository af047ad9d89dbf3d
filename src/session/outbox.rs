//! The output of a session: events in one order, and work that has to be done outside of its lock.

use std::collections::VecDeque;
use std::sync::Arc;

use super::RequestId;
use super::line::Waiting;
use super::playbacks::{Request, Sounding};
use crate::audio::{Samples, to_ms};
use crate::error::SpeakerError;
use crate::event::{Event, EventKind, Message};
use crate::ids::{PlaybackId, Ticket};
use crate::output::{DataInterest, Description, IncomingContent, IncomingData, Listening, OutgoingData, TapRequest};
use crate::runtime::Waker;
use crate::source::{Opening, PcmReader, Source};

/// A source to be opened; its reader comes back by [`Session::opened`](super::Session::opened).
pub struct Open {
    /// The playback.
    pub id: PlaybackId,
    /// The number of this opening: only the latest of a playback is wanted.
    pub number: u64,
    /// The source, or another place in one.
    pub what: Opening,
    /// The samples that its reader buffers beyond the usual: a crossfade needs to know them ahead.
    pub ahead: usize,
    /// Settled once it is open.
    pub ticket: Option<Ticket>,
    /// Its `requestId`, for the log.
    pub name: Option<RequestId>,
}

/// A request to the output's owner; they are carried out in order.
pub enum OutputRequest {
    /// Open the output.
    Open,
    /// Publish a stream, if it is not published yet.
    Prepare(u32),
    /// Unpublish a stream's track, or do not publish it; the call with this ticket waits for that.
    Unpublish(u32, Option<Ticket>),
    /// Mute or unmute a stream's track.
    SetMuted(u32, bool),
    /// Set the description of this participant in the room; the call with this ticket waits for that.
    Describe(Description, Option<Ticket>),
    /// Send data to others in the room, for the call with this ticket.
    SendData(Box<OutgoingData>, Ticket),
    /// Receive this data of others.
    HearData(DataInterest),
    /// Listen to a participant.
    Listen(Arc<Listening>),
    /// Stop listening to a participant.
    Unlisten(u32),
    /// Give up the attempt to open the output.
    GiveUp,
    /// Start a tap, which copies what the output accepts from now on.
    Tap(Box<TapRequest>),
    /// Stop a tap.
    Untap(u32),
    /// End a tap whose target is over, behind everything that was handed over.
    EndTap(u32),
    /// Close the output: the last request, the session ends.
    Close,
}

/// A value to drop outside of the lock, because that may free much memory or cancel something.
pub enum Garbage {
    /// A reader: its decode task ends, and a download with its last reader.
    Reader(Box<PcmReader>),
    /// The source of a request that ended at once.
    Source(Box<Source>),
    /// A waiting playback.
    Waiting(Box<Waiting>),
    /// A sounding playback, with all its readers.
    Sounding(Box<Sounding>),
    /// Nothing to drop.
    Nothing,
}

/// The work to carry out after the lock is released.
#[derive(Default)]
pub struct Work {
    /// Sources to open.
    pub opens: Vec<Open>,
    /// Values to drop.
    pub garbage: Vec<Garbage>,
    /// Decode tasks that waited for room in their ring, which is there now.
    pub wakes: Vec<Waker>,
    /// Messages that became ready: the bell is rung once for each.
    pub rings: usize,
    /// The driver has something to do.
    pub wakes_driver: bool,
    /// The next frame carries a fade and is wanted at once.
    pub hastens: bool,
}

/// The most bytes of received data that may wait to be taken. Lossy data may take a quarter of that, so that reliable data finds room.
const MAX_DATA_BYTES: usize = 4 * 1024 * 1024;

/// Collects the messages of a session and its requests.
#[derive(Default)]
pub struct Outbox {
    events: VecDeque<Message>,
    /// The number of `events` that may be taken: those behind wait for the frame that is in flight, or for the output.
    ready: usize,
    /// A frame is in flight, or an output is being opened whose `connected` has its place among the events.
    is_holding: bool,
    seq: u64,
    rings: usize,
    /// The size of each piece of data among `events`, and their sum.
    data: VecDeque<usize>,
    data_bytes: usize,
    pub output: VecDeque<OutputRequest>,
    pub opens: Vec<Open>,
    pub garbage: Vec<Garbage>,
    pub wakes: Vec<Waker>,
    pub wakes_driver: bool,
    pub hastens: bool,
    last_open: u64,
}

impl Outbox {
    /// Appends an event behind all others.
    pub fn note(&mut self, at: Samples, about: Option<&Request>, kind: EventKind) {
        self.seq += 1;
        let (playback, request_id) = about.map(|request| (request.id, request.name.clone())).unzip();
        let track_id = about.map(|request| request.track);
        self.push(Message::Event(Event { seq: self.seq, at_ms: to_ms(at), playback, request_id, track_id, kind }));
    }

    /// Appends received data. Returns false if it is dropped because too much waits.
    pub fn note_data(&mut self, at: Samples, data: IncomingData) -> bool {
        let max = if data.is_reliable() { MAX_DATA_BYTES } else { MAX_DATA_BYTES / 4 };
        let cost = data.cost();
        if self.data_bytes + cost > max {
            return false;
        }
        self.data.push_back(cost);
        self.data_bytes += cost;
        let IncomingData { identity, topic, content } = data;
        match content {
            IncomingContent::Data { payload, is_reliable: reliable } => {
                self.note(at, None, EventKind::Data { identity, topic, payload, reliable });
            }
            IncomingContent::Text { text, attributes } => {
                self.note(at, None, EventKind::Text { identity, topic, text, attributes });
            }
            IncomingContent::Rpc(rpc) => self.push(Message::Rpc { identity, rpc }),
        }
        true
    }

    /// Answers a call. Replaces an answer of it that is held, in its place.
    pub fn answer(&mut self, ticket: Ticket, error: Option<SpeakerError>) {
        match self.held_answer(ticket).map(|index| &mut self.events[index]) {
            Some(Message::Settled { error: held, .. }) => *held = error,
            _ => self.settle(ticket, error),
        }
    }

    /// Answers a call ahead of everything that is held.
    pub fn answer_now(&mut self, ticket: Ticket, error: SpeakerError) {
        self.held_answer(ticket).and_then(|index| self.events.remove(index));
        self.events.insert(self.ready, Message::Settled { ticket, error: Some(error) });
        self.ready += 1;
        self.rings += 1;
    }

    fn held_answer(&self, ticket: Ticket) -> Option<usize> {
        let is_its = |message: &Message| matches!(message, Message::Settled { ticket: its, .. } if *its == ticket);
        (self.ready..self.events.len()).find(|index| is_its(&self.events[*index]))
    }

    /// Answers a call.
    pub fn settle(&mut self, ticket: Ticket, error: Option<SpeakerError>) {
        self.push(Message::Settled { ticket, error });
    }

    fn push(&mut self, message: Message) {
        self.events.push_back(message);
        if !self.is_holding {
            self.ready += 1;
            self.rings += 1;
        }
    }

    /// Holds events from now on until [`release`](Self::release): they belong to a frame that is not handed over yet, or come after an output
    /// that is not open yet.
    pub fn hold(&mut self) {
        self.is_holding = true;
    }

    /// Returns true while events are held.
    pub fn is_holding(&self) -> bool {
        self.is_holding
    }

    /// Releases everything that is held, because the frame was handed over.
    pub fn release(&mut self) {
        self.is_holding = false;
        self.rings += self.events.len() - self.ready;
        self.ready = self.events.len();
    }

    /// Turns held `completed` events into `failed` ones, because the frame could not be handed over: these playbacks were not heard to the
    /// end. Returns how many were changed.
    pub fn retract(&mut self, error: &SpeakerError) -> u64 {
        let mut changed = 0;
        for message in self.events.iter_mut().skip(self.ready) {
            if let Message::Event(event) = message
                && let EventKind::Completed { duration_ms, position_ms, unheard_ms } = event.kind
            {
                let SpeakerError { code, message, cause } = error.clone();
                event.kind = EventKind::Failed { code, message, cause, duration_ms, position_ms, unheard_ms };
                changed += 1;
            }
        }
        changed
    }

    /// Removes a held `connected`, the first of the held events, because the output could not be opened. Those behind it move up.
    pub fn retract_connected(&mut self) {
        let is_connected =
            |message: &Message| matches!(message, Message::Event(event) if event.kind == EventKind::Connected);
        if !self.events.get(self.ready).is_some_and(is_connected) {
            return;
        }
        self.events.remove(self.ready);
        self.seq -= 1;
        for message in self.events.iter_mut().skip(self.ready) {
            if let Message::Event(event) = message {
                event.seq -= 1;
            }
        }
    }

    /// Takes the next message, if it is not held.
    pub fn take(&mut self) -> Option<Message> {
        self.ready = self.ready.checked_sub(1)?;
        let message = self.events.pop_front();
        let is_data = match &message {
            Some(Message::Event(event)) => matches!(event.kind, EventKind::Data { .. } | EventKind::Text { .. }),
            Some(Message::Rpc { .. }) => true,
            Some(Message::Settled { .. }) | None => false,
        };
        if is_data {
            self.data_bytes -= self.data.pop_front().unwrap_or(0);
        }
        message
    }

    /// Adds a request to the output's owner.
    pub fn request(&mut self, request: OutputRequest) {
        self.output.push_back(request);
        self.wakes_driver = true;
    }

    /// Returns true if a request to unpublish a stream's track still waits for the output's owner.
    pub fn unpublishes(&self, stream: u32) -> bool {
        self.output.iter().any(|request| matches!(request, OutputRequest::Unpublish(its, _) if *its == stream))
    }

    /// Requests that a source is opened; returns the number of this opening.
    pub fn open(&mut self, id: PlaybackId, what: Opening, ahead: usize, ticket: Option<Ticket>) -> u64 {
        self.last_open += 1;
        self.opens.push(Open { id, number: self.last_open, what, ahead, ticket, name: None });
        self.last_open
    }

    pub fn drop_reader(&mut self, reader: PcmReader) {
        self.garbage.push(Garbage::Reader(Box::new(reader)));
    }

    /// Asserts that no event is held unless a frame is in flight.
    pub(super) fn check_invariants(&self) {
        assert!(self.ready <= self.events.len());
        assert!(self.is_holding || self.ready == self.events.len(), "events wait for no frame");
    }

    /// Returns true if there is work to carry out.
    pub fn has_work(&self) -> bool {
        let has_notifications = self.rings > 0 || self.wakes_driver || self.hastens;
        has_notifications || !self.opens.is_empty() || !self.garbage.is_empty() || !self.wakes.is_empty()
    }

    pub fn take_work(&mut self) -> Work {
        Work {
            opens: std::mem::take(&mut self.opens),
            garbage: std::mem::take(&mut self.garbage),
            wakes: std::mem::take(&mut self.wakes),
            rings: std::mem::take(&mut self.rings),
            wakes_driver: std::mem::take(&mut self.wakes_driver),
            hastens: std::mem::take(&mut self.hastens),
        }
    }
}
