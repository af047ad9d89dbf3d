//! What comes out of a session: events in one order, and work that has to be done outside of its lock.

use std::collections::VecDeque;
use std::sync::Arc;

use super::RequestId;
use super::line::Waiting;
use super::playbacks::{Request, Sounding};
use crate::audio::{Samples, to_ms};
use crate::error::SpeakerError;
use crate::event::{Event, EventKind, Message};
use crate::mixer::PlaybackId;
use crate::output::{Description, Hears, IncomingData, IncomingWhat, Listening, OutgoingData, TapRequest};
use crate::runtime::Waker;
use crate::source::{Opening, PcmReader, Source};

/// Names a call that answers later.
pub type Ticket = u32;

/// A source to be opened; its reader comes back by [`Session::opened`](super::Session::opened).
pub struct Open {
    /// Whose it is.
    pub id: PlaybackId,
    /// Tells the openings of one playback apart: only the latest is wanted.
    pub number: u64,
    /// What to open.
    pub what: Opening,
    /// How many samples more its reader holds than others: what a crossfade has to know of what comes.
    pub ahead: usize,
    /// Settled once it is open.
    pub ticket: Option<Ticket>,
    /// Its `requestId`, for the log.
    pub name: Option<RequestId>,
}

/// What the output's owner is to do, in this order.
pub enum OutputRequest {
    /// Open the output.
    Open,
    /// Publish a stream, if it is not yet.
    Prepare(u32),
    /// Take a stream's track out of the room, or do not publish it; the call with this ticket waits for that.
    Unpublish(u32, Option<Ticket>),
    /// Mute a stream's track, or lift its mute.
    SetMuted(u32, bool),
    /// Say what the room is to list of this participant; the call with this ticket waits for that.
    Describe(Description, Option<Ticket>),
    /// Send data to others in the room, for the call with this ticket.
    SendData(Box<OutgoingData>, Ticket),
    /// Tell of this that others send.
    HearData(Hears),
    /// Listen to somebody.
    Listen(Arc<Listening>),
    /// Stop listening.
    Unlisten(u32),
    /// Give up the attempt to open it.
    GiveUp,
    /// Copy what the output accepts from now on.
    Tap(Box<TapRequest>),
    /// Stop doing so.
    Untap(u32),
    /// What a tap is of is over: it ends behind what was handed over.
    EndTap(u32),
    /// The last one: the session ends.
    Close,
}

/// What is dropped outside of the lock, for it may free much or cancel something.
pub enum Garbage {
    /// A reader: its decode task ends, and a download with its last reader.
    Reader(Box<PcmReader>),
    /// The source of a request that was over at once.
    Source(Box<Source>),
    /// A playback that waited.
    Waiting(Box<Waiting>),
    /// A playback that sounded, with every reader that it has.
    Sounding(Box<Sounding>),
    /// Nothing to drop.
    Nothing,
}

/// What is to be carried out after the lock is released.
#[derive(Default)]
pub struct Work {
    /// Sources to open.
    pub opens: Vec<Open>,
    /// To be dropped.
    pub garbage: Vec<Garbage>,
    /// Decode tasks that wait for room which is there now.
    pub wakes: Vec<Waker>,
    /// Messages that became ready: the bell is rung once for each.
    pub rings: usize,
    /// The driver has something to look at.
    pub wakes_driver: bool,
    /// The next frame carries a fade that can't wait.
    pub hastens: bool,
}

/// How many bytes of data that came may wait to be taken; of what is sent but once a quarter of that, so that the rest finds room.
const MOST_DATA: usize = 4 * 1024 * 1024;

/// Collects what a session has to say and to ask for.
#[derive(Default)]
pub struct Outbox {
    events: VecDeque<Message>,
    /// How many of `events` may be taken: those behind wait for the frame that is in flight, or for the output.
    ready: usize,
    /// A frame is in flight, or an output is opened that has its place among the events.
    is_holding: bool,
    seq: u64,
    rings: usize,
    /// What each piece of data among `events` takes, and all of it.
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

    /// Appends data that came. Returns false if it is left out, because too much waits.
    pub fn note_data(&mut self, at: Samples, data: IncomingData) -> bool {
        let most = if data.is_reliable() { MOST_DATA } else { MOST_DATA / 4 };
        let cost = data.cost();
        if self.data_bytes + cost > most {
            return false;
        }
        self.data.push_back(cost);
        self.data_bytes += cost;
        let IncomingData { identity, topic, what } = data;
        match what {
            IncomingWhat::Data { payload, is_reliable: reliable } => {
                self.note(at, None, EventKind::Data { identity, topic, payload, reliable });
            }
            IncomingWhat::Text { text, attributes } => {
                self.note(at, None, EventKind::Text { identity, topic, text, attributes });
            }
            IncomingWhat::Rpc(rpc) => self.push(Message::Rpc { identity, rpc }),
        }
        true
    }

    /// Answers a call. Another answer that is held gives way, and keeps its place.
    pub fn answer(&mut self, ticket: Ticket, error: Option<SpeakerError>) {
        match self.held_answer(ticket).map(|index| &mut self.events[index]) {
            Some(Message::Settled { error: held, .. }) => *held = error,
            _ => self.settle(ticket, error),
        }
    }

    /// Answers a call before everything that is held.
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

    /// From now on events wait for [`release`](Self::release): they tell of a frame that is not handed over yet, or come behind an output
    /// that is not open yet.
    pub fn hold(&mut self) {
        self.is_holding = true;
    }

    /// Returns true while what is noted waits.
    pub fn is_holding(&self) -> bool {
        self.is_holding
    }

    /// The frame was handed over: everything noted may be taken.
    pub fn release(&mut self) {
        self.is_holding = false;
        self.rings += self.events.len() - self.ready;
        self.ready = self.events.len();
    }

    /// The frame could not be handed over: what it brought to its end was not heard whole. Returns how many were changed.
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

    /// The output could not be opened: that it is, the first of what is held, is not told. What is held behind moves up.
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

    /// The next message, once it may be told.
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

    /// Asks for something of the output's owner.
    pub fn request(&mut self, request: OutputRequest) {
        self.output.push_back(request);
        self.wakes_driver = true;
    }

    /// Returns true if the output's owner is still to take a stream's track out of the room.
    pub fn unpublishes(&self, stream: u32) -> bool {
        self.output.iter().any(|request| matches!(request, OutputRequest::Unpublish(its, _) if *its == stream))
    }

    /// Asks for a source to be opened; returns the number of this opening.
    pub fn open(&mut self, id: PlaybackId, what: Opening, ahead: usize, ticket: Option<Ticket>) -> u64 {
        self.last_open += 1;
        self.opens.push(Open { id, number: self.last_open, what, ahead, ticket, name: None });
        self.last_open
    }

    pub fn drop_reader(&mut self, reader: PcmReader) {
        self.garbage.push(Garbage::Reader(Box::new(reader)));
    }

    /// Asserts that what may be told is all there is, unless a frame is in flight.
    pub(super) fn check_invariants(&self) {
        assert!(self.ready <= self.events.len());
        assert!(self.is_holding || self.ready == self.events.len(), "events wait for no frame");
    }

    /// Returns true if anything is to be carried out.
    pub fn has_work(&self) -> bool {
        let is_to_be_told = self.rings > 0 || self.wakes_driver || self.hastens;
        is_to_be_told || !self.opens.is_empty() || !self.garbage.is_empty() || !self.wakes.is_empty()
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
