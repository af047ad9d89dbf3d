//! Properties of every session, under random calls, sources, frames and outputs.
//!
//! `SPEAKER_SESSION_CASES` is the number of sequences. A failing one is shrunk, printed with its seed, and
//! kept in `regressions.txt`.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use speaker_session::internals::audio::{FRAME, RING};
use speaker_session::internals::error::Result;
use speaker_session::internals::event::{Event, EventKind, Message};
use speaker_session::internals::ids::{MarkId, PlaybackId, Ticket};
use speaker_session::internals::mixer::{Duck, Role, Routing, Scratch, TrackVolume, Written};
use speaker_session::internals::output::{
    ConnectionStats, DataInterest, IncomingContent, IncomingData, OutgoingContent, OutgoingData, OutputEvent, Payload,
    UnheardPolicy,
};
use speaker_session::internals::session::{
    Clock, DriverCounts, OnDuplicate, Open, Options, OutputRequest, Overlap, Pace, PlayRequest, Policy, Session, Step,
    StopRequest, Target, WallTime, Work,
};
use speaker_session::internals::source::{FetchLimits, Media, Opening, PipeWriter, Section, Source, Supply};

use crate::hand::Hand;
use crate::table::{gone, options, request, rules, stream};

/// One thing that happens to a session.
#[derive(Debug, Clone)]
enum Happening {
    Play(Play),
    Stop {
        target: Target,
        fade_out: u64,
        after: u64,
        ahead: bool,
    },
    Pause(Target),
    Resume(Target),
    Seek(Target, u64),
    Volume(Target, u64),
    TrackVolume(u32, u64),
    Move(u8, usize),
    Flush {
        which: usize,
        more: bool,
    },
    /// The writer of a stream falls behind.
    Starve {
        which: usize,
    },
    Connect,
    Abandon {
        which: usize,
    },
    Advance(u64),
    Report,
    /// A requested source is opened.
    Open {
        which: usize,
        samples: usize,
    },
    Fill {
        which: usize,
        samples: usize,
    },
    End {
        which: usize,
        fails: bool,
    },
    /// The output's owner carries out a request.
    Serve,
    Output(Outside),
    /// A frame of this many samples; in real time other calls may come before it is handed over.
    Frame {
        samples: usize,
    },
    HandOver {
        fails: bool,
    },
    /// The process was halted.
    Halt {
        samples: u64,
    },
    Wait {
        samples: u64,
    },
    Close,
    /// The longest time.
    Drain(u64),
    SetMuted(u32, bool),
    Unpublish(u32),
    /// The number of bytes.
    SendData(usize),
    HearData(bool),
    Mark(Target),
    /// A mark behind this many samples of a stream.
    MarkStream {
        which: usize,
        samples: u64,
    },
    Break,
}

#[derive(Debug, Clone)]
struct Play {
    name: Option<u8>,
    track: u32,
    role: Role,
    stop_other: bool,
    overlap: Option<Overlap>,
    priority: i32,
    queue_timeout: Option<u64>,
    fade_in: u64,
    is_stream: bool,
    from: u64,
}

/// An event of an output, if it is possible at that moment.
#[derive(Debug, Clone, Copy)]
enum Outside {
    Connected,
    Opened,
    Reconnecting,
    Cut(UnheardPolicy),
    Reconnected,
    Muted(u32, UnheardPolicy),
    Unmuted(u32),
    Refused,
    TakenOut(bool),
    Unpublished(u32, UnheardPolicy),
    Republished(u32),
    ConnectionStats,
    Data,
    Sent { which: usize, fails: bool },
    Lost,
    Failed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Connection {
    Closed,
    Opening,
    Open,
    Cut(UnheardPolicy),
}

/// The events of a playback.
#[derive(Default)]
struct Fate {
    has_started: bool,
    is_paused: bool,
    is_over: bool,
}

/// A session, the world around it, and its messages.
struct World {
    session: Session,
    clock: Clock,
    wall: u64,
    scratch: Scratch,
    connection: Connection,
    /// The output has a stream for each track.
    is_room: bool,
    /// Streams of the output that were requested.
    prepared: Vec<u32>,
    /// Streams whose tracks are muted, and those whose tracks are unpublished.
    muted: BTreeSet<u32>,
    missing: BTreeSet<u32>,
    /// Pending `unpublish` calls.
    leaving: Vec<Ticket>,
    /// Data that the output was given, and may answer for at any time.
    sending: Vec<Ticket>,
    /// A frame is mixed and not handed over.
    in_flight: bool,
    opens: Vec<Open>,
    readers: Vec<Hand>,
    pipes: Vec<(PlaybackId, Arc<PipeWriter>)>,
    dropped: usize,
    last_ticket: u32,
    unsettled: BTreeSet<Ticket>,
    connects: Vec<Ticket>,
    fates: BTreeMap<PlaybackId, Fate>,
    last_mark: u32,
    /// Marks that are not reported yet, each with the latest playback whose end it waits for, if it waits for all.
    marks: BTreeMap<MarkId, Option<PlaybackId>>,
    seq: u64,
    at_ms: f64,
    is_connected: bool,
    completed: u64,
    stopped: u64,
    failed: u64,
    must_close: bool,
    is_draining: bool,
    is_closing: bool,
    is_broken: bool,
}

impl World {
    fn new(options: Options) -> Self {
        Self {
            clock: options.clock,
            wall: 0,
            scratch: Scratch::default(),
            connection: Connection::Closed,
            is_room: options.routing == Routing::PerTrack,
            session: Session::new(options),
            prepared: Vec::new(),
            muted: BTreeSet::new(),
            missing: BTreeSet::new(),
            leaving: Vec::new(),
            sending: Vec::new(),
            in_flight: false,
            opens: Vec::new(),
            readers: Vec::new(),
            pipes: Vec::new(),
            dropped: 0,
            last_ticket: 0,
            last_mark: 0,
            unsettled: BTreeSet::new(),
            connects: Vec::new(),
            fates: BTreeMap::new(),
            marks: BTreeMap::new(),
            seq: 0,
            at_ms: 0.0,
            is_connected: false,
            completed: 0,
            stopped: 0,
            failed: 0,
            must_close: false,
            is_draining: false,
            is_closing: false,
            is_broken: false,
        }
    }

    fn at(&self) -> WallTime {
        WallTime(self.wall)
    }

    fn ticket(&mut self) -> Ticket {
        self.last_ticket += 1;
        let ticket = self.last_ticket.into();
        self.unsettled.insert(ticket);
        ticket
    }

    fn mark(&mut self) -> MarkId {
        self.last_mark += 1;
        self.last_mark.into()
    }

    fn apply(&mut self, step: Happening) {
        let at = self.at();
        match step {
            Happening::Play(play) => self.play(play),
            Happening::Stop { target, fade_out, after, ahead } => {
                self.session.stop(&StopRequest { target, reason: "user".to_owned(), fade_out, after, ahead }, at);
            }
            Happening::Pause(target) => drop(self.session.pause(&target, at)),
            Happening::Resume(target) => drop(self.session.resume(&target, at)),
            Happening::Seek(target, place) => drop(self.session.seek(&target, place, at)),
            Happening::Volume(target, fade) => drop(self.session.set_volume(&target, 0.5, fade, at)),
            Happening::TrackVolume(track, fade) => {
                let change = TrackVolume { volume: Some(0.5), gain: Some(2.0), fade };
                let _ = self.session.set_track_volume(track, change);
            }
            Happening::Move(name, place) => {
                self.session.move_to(&format!("n{name}"), place, at);
            }
            Happening::Flush { which, more } => {
                if let Some((id, pipe)) = pick(&mut self.pipes, which) {
                    pipe.flush(more);
                    let id = *id;
                    let ticket = self.ticket();
                    self.session.flush(id, ticket, at);
                }
            }
            Happening::Starve { which } => {
                pick(&mut self.pipes, which).into_iter().for_each(|(_, pipe)| pipe.flush(false));
            }
            Happening::Connect => {
                let ticket = self.ticket();
                self.connects.push(ticket);
                self.session.connect(ticket);
            }
            Happening::Abandon { which } => {
                if let Some(ticket) = pick(&mut self.connects, which) {
                    self.session.abandon(*ticket);
                }
            }
            Happening::Advance(samples) => {
                let ticket = self.ticket();
                if self.session.advance(samples, ticket).is_err() {
                    assert_eq!(self.clock, Clock::Realtime);
                    self.unsettled.remove(&ticket);
                }
            }
            Happening::Report => self.session.report_error(gone()),
            Happening::Open { which, samples } => {
                if !self.opens.is_empty() {
                    let open = self.opens.remove(which % self.opens.len());
                    self.open(open, samples);
                }
            }
            Happening::Fill { which, samples } => {
                pick(&mut self.readers, which).into_iter().for_each(|hand| hand.fill(samples));
            }
            Happening::End { which, fails } => {
                if let Some(hand) = pick(&mut self.readers, which).filter(|hand| !hand.is_ended()) {
                    hand.end(if fails { Err(gone()) } else { Ok(()) });
                }
            }
            Happening::Serve => self.serve(),
            Happening::Output(outside) => self.tell(outside),
            Happening::Frame { samples } => self.frame(samples),
            Happening::HandOver { fails } => self.hand_over(if fails { Err(gone()) } else { Ok(()) }),
            Happening::Halt { samples } => {
                if self.clock == Clock::Realtime && self.can_mix() {
                    self.hand_over(Ok(()));
                    self.session.fade_out_for_halt();
                    self.session.tick(FRAME, at, &mut self.scratch);
                    self.session.commit(Ok(()), DriverCounts::default());
                    self.session.skip(samples);
                    self.session.fade_in_after_halt();
                }
            }
            Happening::Wait { samples } => {
                self.hand_over(Ok(()));
                self.wall += samples;
                self.look();
            }
            Happening::Close => {
                let ticket = self.ticket();
                self.session.close(Some(ticket), at);
                self.is_closing = true;
            }
            Happening::Drain(within) => {
                let ticket = self.ticket();
                self.session.drain(within, ticket, at);
                self.is_draining = true;
            }
            Happening::SetMuted(track, muted) => {
                let _ = self.session.set_muted(track, muted, at);
            }
            Happening::Mark(target) => {
                let mark = self.mark();
                let latest = (target == Target::All).then(|| self.fates.keys().last().copied()).flatten();
                if self.session.mark("mark".to_owned(), mark, &target, at).is_ok() {
                    self.marks.insert(mark, latest);
                }
            }
            Happening::MarkStream { which, samples } => {
                let mark = self.mark();
                let Some((id, _)) = pick(&mut self.pipes, which) else { return };
                let written = Some(Written { bytes: 4 * samples, place: samples });
                if self.session.mark_stream(*id, written, "mark".to_owned(), mark, at).is_ok() {
                    self.marks.insert(mark, None);
                }
            }
            Happening::Unpublish(track) => {
                if self.is_room {
                    let ticket = self.ticket();
                    self.session.unpublish(track, ticket, at);
                }
            }
            Happening::SendData(bytes) => {
                let ticket = self.ticket();
                let payload = Payload(vec![0; bytes]);
                let content = OutgoingContent::Data { payload, is_reliable: true };
                let data = OutgoingData { topic: None, to: Vec::new(), content };
                self.session.send_data(data, ticket);
            }
            Happening::HearData(data) => self.session.hear_data(DataInterest { data, ..DataInterest::default() }),
            Happening::Break => {
                self.session.break_down();
                (self.is_broken, self.in_flight) = (true, false);
            }
        }
        self.examine();
    }

    fn play(&mut self, play: Play) {
        let Play { name, track, role, stop_other, overlap, priority, queue_timeout, fade_in, is_stream, from } = play;
        let (pipe, source) = stream();
        let bytes = request("").source;
        let source = if is_stream {
            source
        } else {
            Source { section: Section { from, start: from, ..Section::default() }, ..bytes }
        };
        let request = PlayRequest {
            request_id: name.map(|name| format!("n{name}")),
            group: (track < 2).then(|| format!("g{track}")),
            track,
            role,
            stop_other,
            overlap,
            priority,
            queue_timeout,
            fade_in,
            source,
            ..request("")
        };
        let Ok(accepted) = self.session.play(request, self.at()) else { return };
        assert!(!self.is_draining && !self.is_closing && !self.is_broken, "a request was taken after the end");
        assert!(self.fates.insert(accepted.id, Fate::default()).is_none(), "an id was used twice");
        if is_stream {
            self.pipes.push((accepted.id, pipe));
        }
    }

    fn open(&mut self, Open { id, number, what, ahead, ticket, .. }: Open, samples: usize) {
        let (media, section) = match what {
            Opening::Source(source) => {
                let section = source.section;
                (Arc::new(Media::new(source, FetchLimits::default())), section)
            }
            Opening::Reopen { media, section, .. } => (media, section),
        };
        let is_stream = media.stream().is_some();
        let supply = Supply::for_tests(media, self.clock == Clock::Manual);
        let (mut hand, reader) = Hand::reader(1, if is_stream { 0 } else { ahead }, section, Some(supply));
        hand.fill(samples);
        self.readers.push(hand);
        let unwanted = self.session.opened(id, number, reader, ticket);
        self.examine_readers();
        drop(unwanted);
        self.dropped = self.dropped_readers();
    }

    fn look(&mut self) {
        if self.clock == Clock::Realtime {
            return self.session.pass_time(self.at());
        }
        self.session.check_sources(self.at());
        self.session.expire(self.at());
    }

    fn can_mix(&self) -> bool {
        matches!(self.connection, Connection::Open | Connection::Cut(UnheardPolicy::Continue | UnheardPolicy::Drop))
    }

    fn frame(&mut self, samples: usize) {
        self.hand_over(Ok(()));
        if self.clock == Clock::Manual {
            return self.step();
        }
        self.look();
        let pace = self.session.pace();
        if !self.can_mix() || pace == Pace::Halt {
            return;
        }
        if pace == Pace::Rest && samples % 2 == 1 {
            return self.session.skip(samples as u64);
        }
        self.wall += samples as u64;
        assert_eq!(self.session.tick(samples, self.at(), &mut self.scratch), samples);
        self.in_flight = true;
    }

    /// On the manual clock: takes one step, if nothing else is to be done before.
    fn step(&mut self) {
        self.serve();
        self.session.check_sources(self.at());
        self.in_flight =
            matches!(self.session.step(self.at(), true, &mut self.scratch), Step::Frame(_) | Step::Silence(_));
    }

    fn hand_over(&mut self, result: Result<()>) {
        if self.in_flight {
            let before = self.seq;
            self.examine();
            assert_eq!(self.seq, before, "an event of a frame was released before the frame was handed over");
            self.in_flight = false;
            self.session.commit(result, DriverCounts::default());
        }
    }

    fn serve(&mut self) {
        self.hand_over(Ok(()));
        while let Some(request) = self.session.take_output_request() {
            match request {
                OutputRequest::Open => {
                    assert_eq!(self.connection, Connection::Closed, "opened twice");
                    self.connection = Connection::Opening;
                }
                OutputRequest::Prepare(stream) => self.prepared.push(stream),
                OutputRequest::Unpublish(stream, ticket) => {
                    self.prepared.retain(|prepared| *prepared != stream);
                    self.missing.remove(&stream);
                    self.leaving.extend(ticket);
                }
                OutputRequest::SetMuted(..) | OutputRequest::Describe(..) | OutputRequest::HearData(_) => {}
                OutputRequest::SendData(_, ticket) => self.sending.push(ticket),
                OutputRequest::GiveUp => self.disconnect(),
                OutputRequest::Tap(..) | OutputRequest::Untap(_) | OutputRequest::EndTap(_) => {}
                OutputRequest::Listen(_) | OutputRequest::Unlisten(_) => {}
                OutputRequest::Close => self.must_close = true,
            }
        }
    }

    fn disconnect(&mut self) {
        self.connection = Connection::Closed;
        self.prepared.clear();
        self.leaving.clear();
        self.muted.clear();
        self.missing.clear();
    }

    fn tell(&mut self, outside: Outside) {
        self.serve();
        let event = match (outside, self.connection) {
            (Outside::Connected, Connection::Opening) => {
                self.connection = Connection::Open;
                OutputEvent::Connected
            }
            (Outside::Opened, Connection::Open) => match self.prepared.pop() {
                Some(stream) if self.missing.contains(&stream) => OutputEvent::Refused { stream, error: gone() },
                Some(stream) => OutputEvent::Opened(stream),
                None => return,
            },
            (Outside::Refused, Connection::Open | Connection::Cut(_)) => match self.prepared.pop() {
                Some(stream) => OutputEvent::Refused { stream, error: gone() },
                None => return,
            },
            (Outside::TakenOut(fails), _) => match self.leaving.pop() {
                Some(ticket) => OutputEvent::UnpublishDone { ticket, error: fails.then(gone) },
                None => return,
            },
            (Outside::Muted(stream, policy), Connection::Open | Connection::Cut(_)) if self.is_room => {
                self.muted.insert(stream);
                OutputEvent::Muted { stream, policy }
            }
            (Outside::Unmuted(stream), Connection::Open | Connection::Cut(_)) if self.muted.remove(&stream) => {
                OutputEvent::Unmuted(stream)
            }
            (Outside::Unpublished(stream, policy), Connection::Open) if self.is_room => {
                self.missing.insert(stream);
                OutputEvent::Unpublished { stream, policy, error: gone() }
            }
            (Outside::Republished(stream), Connection::Open) if self.missing.remove(&stream) => {
                OutputEvent::Republished(stream)
            }
            (Outside::Reconnecting, Connection::Open) => OutputEvent::Reconnecting("signal".to_owned()),
            (Outside::Cut(policy), Connection::Open) => {
                self.connection = Connection::Cut(policy);
                OutputEvent::MediaLost(policy)
            }
            (Outside::Reconnected, Connection::Cut(_)) => {
                self.connection = Connection::Open;
                OutputEvent::Reconnected
            }
            (Outside::ConnectionStats, Connection::Open) => OutputEvent::ConnectionStats(ConnectionStats::default()),
            (Outside::Data, Connection::Opening | Connection::Open | Connection::Cut(_)) => {
                let content = IncomingContent::Data { payload: Payload(Vec::new()), is_reliable: true };
                OutputEvent::Data(IncomingData { identity: None, topic: None, content })
            }
            // Calls that were answered before, as by the end of the room, are included.
            (Outside::Sent { which, fails }, _) => match pick(&mut self.sending, which) {
                Some(ticket) => OutputEvent::Sent { ticket: *ticket, error: fails.then(gone) },
                None => return,
            },
            (Outside::Lost, Connection::Opening | Connection::Open | Connection::Cut(_)) => {
                self.disconnect();
                OutputEvent::Lost { error: gone(), reason: "lost".to_owned() }
            }
            (Outside::Failed, Connection::Open) => OutputEvent::Failed(gone()),
            _ => return,
        };
        self.session.output_event(event, self.at());
    }

    /// Takes the messages and requests, and checks them against earlier ones.
    fn examine(&mut self) {
        self.session.check_invariants();
        self.examine_readers();
        let Work { opens, garbage, .. } = self.session.take_work();
        self.opens.extend(opens);
        drop(garbage);
        self.dropped = self.dropped_readers();
        while let Some(message) = self.session.take_message() {
            match message {
                Message::Event(event) => self.examine_event(&event),
                Message::Rpc { .. } => panic!("nobody has called"),
                Message::Settled { ticket, .. } => assert!(self.unsettled.remove(&ticket), "{ticket} settled twice"),
            }
        }
        let live: Vec<_> = self.session.playbacks();
        let reported = self.fates.values().filter(|fate| !fate.is_over).count();
        assert!(live.len() <= reported, "a playback lives on after its end");
        // On the manual clock everything behind the opening of the output is held until its result is known.
        let is_held = self.in_flight || self.clock == Clock::Manual && self.connection != Connection::Open;
        assert!(is_held || live.len() == reported, "a playback is gone without an end");
    }

    fn dropped_readers(&self) -> usize {
        self.readers.iter().filter(|hand| hand.is_dropped()).count()
    }

    fn examine_readers(&self) {
        assert_eq!(self.dropped_readers(), self.dropped, "a reader was dropped inside of the session");
    }

    fn examine_event(&mut self, Event { seq, at_ms, playback, kind, .. }: &Event) {
        self.seq += 1;
        assert_eq!(*seq, self.seq, "a number was left out");
        assert!(*at_ms >= self.at_ms, "{kind:?} at {at_ms} after {}", self.at_ms);
        self.at_ms = *at_ms;
        let Some(id) = playback else {
            match kind {
                EventKind::Connected => assert!(!std::mem::replace(&mut self.is_connected, true)),
                EventKind::Disconnected { .. } => assert!(std::mem::replace(&mut self.is_connected, false)),
                EventKind::Mark { mark, .. } => {
                    let latest =
                        self.marks.remove(mark).expect("it was set, and not reported before").unwrap_or_default();
                    assert!(self.fates.range(..=latest).all(|(_, fate)| fate.is_over), "a mark came too early");
                }
                _ => {}
            }
            return;
        };
        let fate = self.fates.get_mut(id).expect("it was accepted");
        assert!(!fate.is_over, "{kind:?} of {id} after its end");
        let duration = match kind {
            EventKind::Started { .. } => {
                assert!(self.is_connected && !fate.is_paused && !std::mem::replace(&mut fate.has_started, true));
                return;
            }
            EventKind::Paused { .. } => {
                return assert!(!std::mem::replace(&mut fate.is_paused, true), "{id} paused twice");
            }
            EventKind::Resumed { .. } => {
                return assert!(std::mem::replace(&mut fate.is_paused, false), "{id} resumed twice");
            }
            EventKind::Metadata { .. } => return assert!(fate.has_started, "{kind:?} of {id}"),
            EventKind::Progress { .. } | EventKind::Stalled { .. } => {
                return assert!(fate.has_started && !fate.is_paused, "{kind:?} of {id}");
            }
            EventKind::Queued { .. } => return assert!(!fate.has_started),
            EventKind::Completed { duration_ms, unheard_ms, .. } => {
                self.completed += 1;
                assert!(unheard_ms <= duration_ms);
                duration_ms
            }
            EventKind::Stopped { duration_ms, unheard_ms, .. } => {
                self.stopped += 1;
                assert!(unheard_ms <= duration_ms);
                duration_ms
            }
            EventKind::Failed { duration_ms, unheard_ms, .. } => {
                self.failed += 1;
                assert!(unheard_ms <= duration_ms);
                duration_ms
            }
            _ => return,
        };
        fate.is_over = true;
        assert!(*duration == 0.0 || fate.has_started, "{id} was heard and never started");
    }

    /// Ends every source, resumes everything, and asserts that all playbacks end by themselves.
    fn settle(&mut self) {
        if self.is_closing || self.is_broken {
            return;
        }
        self.hand_over(Ok(()));
        self.apply(Happening::Resume(Target::All));
        let limit = 60 + 30 * self.fates.len();
        for _ in 0..limit {
            self.apply(Happening::Serve);
            if self.session.playbacks().is_empty() || self.must_close {
                return;
            }
            for stream in 0..3 {
                self.tell(Outside::Unmuted(stream));
                self.tell(Outside::Republished(stream));
            }
            self.tell(match self.connection {
                Connection::Closed => Outside::Failed,
                Connection::Opening => Outside::Connected,
                Connection::Open => Outside::Opened,
                Connection::Cut(_) => Outside::Reconnected,
            });
            while !self.opens.is_empty() {
                self.apply(Happening::Open { which: 0, samples: 0 });
            }
            for hand in self.readers.iter_mut().filter(|hand| !hand.is_ended()) {
                hand.fill(500);
                hand.end(Ok(()));
            }
            if self.clock == Clock::Manual {
                self.apply(Happening::Advance(FRAME as u64));
                (0..30).for_each(|_| self.apply(Happening::Frame { samples: FRAME }));
            }
            self.apply(Happening::Frame { samples: FRAME });
            self.apply(Happening::HandOver { fails: false });
        }
        panic!("stuck: {:?}", self.session.playbacks());
    }

    /// Closes the session as its driver does, and asserts that nothing is left.
    fn finish(mut self) {
        self.settle();
        self.apply(Happening::Close);
        self.apply(Happening::Serve);
        assert!(self.must_close, "the output is never closed");
        if self.clock == Clock::Manual {
            // Its driver waits for that.
            self.tell(Outside::Connected);
        }
        if self.clock == Clock::Realtime && self.session.is_sounding() {
            self.session.tick(FRAME, self.at(), &mut self.scratch);
            self.session.commit(Ok(()), DriverCounts::default());
        }
        self.session.end_sounding();
        self.session.closed(Ok(()));
        self.examine();
        while !self.opens.is_empty() {
            self.apply(Happening::Open { which: 0, samples: 0 });
        }
        self.apply(Happening::Close);
        assert!(self.unsettled.is_empty(), "never settled: {:?}", self.unsettled);
        assert!(self.fates.values().all(|fate| fate.is_over), "a playback has no end");
        assert!(self.marks.is_empty(), "never reached: {:?}", self.marks);
        let stats = self.session.stats();
        assert_eq!((stats.completed, stats.stopped, stats.failed), (self.completed, self.stopped, self.failed));
        assert_eq!(self.completed + self.stopped + self.failed, self.fates.len() as u64);
        assert!(!self.is_connected && self.session.is_closed() && self.session.playbacks().is_empty());
        assert!(self.readers.iter().all(Hand::is_dropped), "a reader is kept");
        let ids: HashSet<_> = self.fates.keys().collect();
        assert_eq!(ids.len(), self.fates.len());
    }
}

fn pick<T>(all: &mut [T], which: usize) -> Option<&mut T> {
    let index = which.checked_rem(all.len())?;
    all.get_mut(index)
}

fn overlaps() -> impl Strategy<Value = Overlap> {
    prop_oneof![1 => Just(Overlap::Mix), 2 => Just(Overlap::Queue), 1 => Just(Overlap::Replace)]
}

fn roles() -> impl Strategy<Value = Role> {
    proptest::sample::select(&Role::ALL[..])
}

fn targets() -> impl Strategy<Value = Target> {
    prop_oneof![
        2 => Just(Target::All),
        4 => (0..5u8).prop_map(|name| Target::Request(format!("n{name}"))),
        2 => (0..3u32).prop_map(Target::Track),
        1 => (0..2u32).prop_map(|group| Target::Group(format!("g{group}"))),
        1 => vec(roles(), 0..3).prop_map(Target::AllBut),
    ]
}

fn plays() -> impl Strategy<Value = Happening> {
    let one = (
        proptest::option::weighted(0.8, 0..5u8),
        0..3u32,
        roles(),
        proptest::bool::weighted(0.05),
        proptest::option::weighted(0.3, overlaps()),
        -1..2i32,
        proptest::option::weighted(0.3, prop_oneof![Just(0), 1..5_000u64]),
        prop_oneof![3 => Just(0), 1 => 1..2_000u64],
        proptest::bool::weighted(0.25),
        prop_oneof![3 => Just(0), 1 => 1..50_000u64],
    );
    one.prop_map(|(name, track, role, stop_other, overlap, priority, queue_timeout, fade_in, is_stream, from)| {
        Happening::Play(Play {
            name,
            track,
            role,
            stop_other,
            overlap,
            priority,
            queue_timeout,
            fade_in,
            is_stream,
            from,
        })
    })
}

fn outsides() -> impl Strategy<Value = Outside> {
    use UnheardPolicy::{Continue, Drop, Pause};
    prop_oneof![
        8 => Just(Outside::Connected),
        8 => Just(Outside::Opened),
        1 => Just(Outside::Reconnecting),
        2 => proptest::sample::select(&[Pause, Continue, Drop][..]).prop_map(Outside::Cut),
        4 => Just(Outside::Reconnected),
        2 => (0..3u32, proptest::sample::select(&[Pause, Continue][..])).prop_map(|(stream, policy)| Outside::Muted(stream, policy)),
        3 => (0..3u32).prop_map(Outside::Unmuted),
        1 => Just(Outside::Refused),
        2 => proptest::bool::weighted(0.1).prop_map(Outside::TakenOut),
        1 => (0..3u32, proptest::sample::select(&[Pause, Continue, Drop][..])).prop_map(|(stream, policy)| Outside::Unpublished(stream, policy)),
        2 => (0..3u32).prop_map(Outside::Republished),
        1 => Just(Outside::ConnectionStats),
        1 => Just(Outside::Data),
        2 => (0..64usize, any::<bool>()).prop_map(|(which, fails)| Outside::Sent { which, fails }),
        1 => proptest::bool::weighted(0.5).prop_map(|lost| if lost { Outside::Lost } else { Outside::Failed }),
    ]
}

fn steps() -> impl Strategy<Value = Happening> {
    let which = || 0..64usize;
    let samples = prop_oneof![3 => Just(FRAME), 2 => 1..=FRAME, 1 => 1..20usize];
    prop_oneof![
        24 => plays(),
        3 => (targets(), prop_oneof![Just(0), Just(240), 1..5_000u64], prop_oneof![Just(0), 1..5_000u64], any::<bool>())
            .prop_map(|(target, fade_out, after, ahead)| Happening::Stop { target, fade_out, after, ahead }),
        4 => targets().prop_map(Happening::Pause),
        4 => targets().prop_map(Happening::Resume),
        4 => (targets(), 0..50_000u64).prop_map(|(target, place)| Happening::Seek(target, place)),
        1 => (targets(), 0..2_000u64).prop_map(|(target, fade)| Happening::Volume(target, fade)),
        1 => (0..3u32, 0..2_000u64).prop_map(|(track, fade)| Happening::TrackVolume(track, fade)),
        2 => (0..5u8, 0..6usize).prop_map(|(name, place)| Happening::Move(name, place)),
        3 => (which(), any::<bool>()).prop_map(|(which, more)| Happening::Flush { which, more }),
        3 => which().prop_map(|which| Happening::Starve { which }),
        1 => Just(Happening::Connect),
        1 => which().prop_map(|which| Happening::Abandon { which }),
        4 => (0..5_000u64).prop_map(Happening::Advance),
        1 => Just(Happening::Report),
        24 => (which(), prop_oneof![Just(0), 1..3_000usize, Just(RING)])
            .prop_map(|(which, samples)| Happening::Open { which, samples }),
        16 => (which(), prop_oneof![1..3_000usize, Just(RING)])
            .prop_map(|(which, samples)| Happening::Fill { which, samples }),
        8 => (which(), proptest::bool::weighted(0.3)).prop_map(|(which, fails)| Happening::End { which, fails }),
        6 => Just(Happening::Serve),
        10 => outsides().prop_map(Happening::Output),
        24 => samples.prop_map(|samples| Happening::Frame { samples }),
        8 => proptest::bool::weighted(0.1).prop_map(|fails| Happening::HandOver { fails }),
        1 => (0..5_000u64).prop_map(|samples| Happening::Halt { samples }),
        3 => (0..5_000u64).prop_map(|samples| Happening::Wait { samples }),
        1 => (0..3u32, any::<bool>()).prop_map(|(track, muted)| Happening::SetMuted(track, muted)),
        1 => (0..3u32).prop_map(Happening::Unpublish),
        2 => prop_oneof![4 => 0..100usize, 1 => Just(600_000)].prop_map(Happening::SendData),
        1 => any::<bool>().prop_map(Happening::HearData),
        2 => targets().prop_map(Happening::Mark),
        1 => (any::<usize>(), 0..3_000u64).prop_map(|(which, samples)| Happening::MarkStream { which, samples }),
        1 => prop_oneof![0..10_000u64, Just(u64::MAX)].prop_map(Happening::Drain),
        1 => proptest::bool::weighted(0.3).prop_map(|breaks| if breaks { Happening::Break } else { Happening::Close }),
    ]
}

fn sessions() -> impl Strategy<Value = Options> {
    let policy = (
        overlaps(),
        proptest::option::of(overlaps()),
        any::<bool>(),
        any::<bool>(),
        1..5usize,
        0..6usize,
        any::<bool>(),
    );
    let rest = (
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        proptest::sample::select(&[0, 240, 1_000][..]),
        any::<bool>(),
        any::<bool>(),
    );
    (policy, rest).prop_map(|(policy, (is_manual, is_room, ducks, progress_interval, stalls, is_short))| {
        let (overlap, on_track, replaces, crosses, max_concurrent, max_queued, hastens) = policy;
        let clock = if is_manual { Clock::Manual } else { Clock::Realtime };
        let policy = Policy {
            track_overlap: on_track.into_iter().map(|overlap| (1, overlap)).collect(),
            on_duplicate: if replaces { OnDuplicate::Replace } else { OnDuplicate::Fail },
            crossfade: if crosses { 1_200 } else { 0 },
            max_concurrent,
            max_queued,
            queue_timeout: if hastens { 4_000 } else { 0 },
            ..rules(overlap)
        };
        Options {
            routing: if is_room && !is_manual { Routing::PerTrack } else { Routing::Mixdown },
            duck: ducks.then_some(Duck { level: 0.25, attack: 240, release: 960 }),
            progress_interval,
            stall_timeout: if stalls { 2_000 } else { 0 },
            start_timeout: 0,
            max_duration: if is_short { 20_000 } else { u64::MAX },
            ..options(clock, policy)
        }
    })
}

fn config() -> ProptestConfig {
    let cases = std::env::var("SPEAKER_SESSION_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(500);
    let kept = FileFailurePersistence::Direct("tests/session/regressions.txt");
    ProptestConfig { cases, max_shrink_iters: 20_000, failure_persistence: Some(Box::new(kept)), ..Default::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn sessions_keep_their_promises(
        options in sessions(),
        is_connected in proptest::bool::weighted(0.8),
        steps in vec(steps(), 1..150),
    ) {
        let mut world = World::new(options);
        if is_connected {
            world.apply(Happening::Connect);
            world.apply(Happening::Output(Outside::Connected));
        }
        steps.into_iter().for_each(|step| world.apply(step));
        world.finish();
    }
}
