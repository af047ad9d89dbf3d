//! A bare session whose messages come out as words, and whose sources are opened and filled by the test.

use std::collections::HashMap;
use std::sync::Arc;

use speaker_session::internals::audio::{EDGE_FADE, FRAME};
use speaker_session::internals::error::{Code, Result, SpeakerError};
use speaker_session::internals::event::{Event, EventKind, Message};
use speaker_session::internals::ids::{MarkId, PlaybackId, Ticket};
use speaker_session::internals::mixer::{Role, Routing, Scratch};
use speaker_session::internals::output::{DataInterest, OutgoingContent, OutputEvent};
use speaker_session::internals::session::{
    Clock, DriverCounts, Open, Options, OutputRequest, Overlap, Phase, PlayRequest, PlaybackInfo, Policy, Session,
    Step, StopRequest, Target, WallTime, Work,
};
use speaker_session::internals::source::{
    Encoding, FetchLimits, Media, MemoryFile, Opening, Origin, PipeWriter, Raw, Section, Source, Stream, Supply,
};

use crate::hand::Hand;

pub const FADE: u64 = EDGE_FADE as u64;

/// The samples of a source that is ready: it can start, and more of it may come.
pub const FIRST: usize = 11_000;

/// A session, the readers that it was given, and its messages as words.
pub struct Table {
    pub session: Session,
    /// The time by which waiting is measured.
    pub wall: u64,
    /// All events since the session began.
    pub events: Vec<Event>,
    scratch: Scratch,
    is_eager: bool,
    names: HashMap<PlaybackId, String>,
    /// Sources that are requested and not opened yet.
    opens: Vec<Open>,
    /// The readers that were handed in, the latest last.
    readers: Vec<(String, Hand)>,
    last_ticket: u32,
    last_mark: u32,
    /// The number of readers that were dropped when work was last taken.
    dropped: usize,
}

/// The default options.
pub fn rules(overlap: Overlap) -> Policy {
    Policy { overlap, ..Policy::default() }
}

pub fn options(clock: Clock, policy: Policy) -> Options {
    Options { policy, ..Options::new(clock) }
}

/// A default request on track 0.
pub fn request(name: &str) -> PlayRequest {
    let source = Source::new(Origin::Bytes(MemoryFile::of(&[])), None, Section::default());
    PlayRequest { request_id: Some(name.to_owned()), ..PlayRequest::new(source) }
}

/// The source of a stream, and its writer's end.
pub fn stream() -> (Arc<PipeWriter>, Source) {
    let (pipe, stream) = Stream::new(Encoding::Raw { format: Raw::F32, rate: 48_000, channels: 1 }, false);
    (pipe, Source::new(Origin::Stream(stream), None, Section::default()))
}

pub fn ticket(number: u32) -> Ticket {
    Ticket::from(number)
}

pub fn named(name: &str) -> Target {
    Target::Request(name.to_owned())
}

pub fn gone() -> SpeakerError {
    SpeakerError::new(Code::File, "gone")
}

impl Table {
    /// Makes a realtime session whose output is open.
    pub fn new(overlap: Overlap) -> Self {
        Self::with(rules(overlap))
    }

    /// Makes a realtime session with these options, whose output is open.
    pub fn with(policy: Policy) -> Self {
        let mut table = Self::closed(Clock::Realtime, policy);
        table.connect();
        table
    }

    /// Makes a realtime session whose output is open and has a stream for each track.
    pub fn room(policy: Policy) -> Self {
        let mut table = Self::made(Options { routing: Routing::PerTrack, ..options(Clock::Realtime, policy) });
        table.connect();
        table
    }

    /// Starts `name` on a track whose stream is not open yet.
    pub fn start_on(&mut self, name: &str, track: u32) {
        self.play(name, track);
        self.ready(name);
        assert_eq!(self.outputs(), format!("prepare{track}"));
        self.output(OutputEvent::Opened(track));
        assert_eq!(self.frame(), format!("{name}:started"));
    }

    /// Makes a session whose output is not open.
    pub fn closed(clock: Clock, policy: Policy) -> Self {
        Self::made(options(clock, policy))
    }

    pub fn made(options: Options) -> Self {
        Self {
            is_eager: options.clock == Clock::Manual,
            session: Session::new(options),
            wall: 0,
            events: Vec::new(),
            scratch: Scratch::default(),
            names: HashMap::new(),
            opens: Vec::new(),
            readers: Vec::new(),
            last_ticket: 0,
            last_mark: 0,
            dropped: 0,
        }
    }

    pub fn at(&self) -> WallTime {
        WallTime(self.wall)
    }

    /// Returns a ticket that was not used yet.
    pub fn next_ticket(&mut self) -> Ticket {
        self.last_ticket += 1;
        ticket(self.last_ticket)
    }

    /// Returns the number of a mark that was not used yet.
    pub fn next_mark(&mut self) -> MarkId {
        self.last_mark += 1;
        self.last_mark.into()
    }

    /// Returns the id of a playback.
    pub fn id(&self, name: &str) -> PlaybackId {
        let named = self.names.iter().find(|(_, its)| *its == name);
        *named.expect("it was requested").0
    }

    /// Opens the output, and drops the words.
    pub fn connect(&mut self) {
        let ticket = self.next_ticket();
        self.session.connect(ticket);
        assert_eq!(self.outputs(), "open");
        assert_eq!(self.output(OutputEvent::Connected), format!("connected settled{ticket}"));
    }

    /// Hands in an event of the output.
    pub fn output(&mut self, event: OutputEvent) -> String {
        self.session.output_event(event, WallTime(self.wall));
        self.words()
    }

    /// Returns the requests to the output's owner.
    pub fn outputs(&mut self) -> String {
        let number = |ticket: Option<Ticket>| ticket.map(u32::from);
        let word = |request| match request {
            OutputRequest::Open => "open".to_owned(),
            OutputRequest::Prepare(stream) => format!("prepare{stream}"),
            OutputRequest::Describe(description, ticket) => {
                format!("describe{:?}{:?}", description.name, number(ticket))
            }
            OutputRequest::Unpublish(stream, ticket) => format!("unpublish{stream}{:?}", number(ticket)),
            OutputRequest::SetMuted(stream, muted) => format!("{}{stream}", if muted { "mute" } else { "unmute" }),
            OutputRequest::SendData(data, ticket) => match data.content {
                OutgoingContent::Data { payload, .. } => format!("send{}={ticket}", payload.0.len()),
                OutgoingContent::Text { text, .. } => format!("text{}={ticket}", text.0.len()),
                OutgoingContent::Rpc(_) => format!("rpc={ticket}"),
            },
            OutputRequest::HearData(DataInterest { data, text, .. }) => format!("hear({data},{text})"),
            OutputRequest::GiveUp => "give up".to_owned(),
            OutputRequest::Tap(..) => "tap".to_owned(),
            OutputRequest::Untap(..) => "untap".to_owned(),
            OutputRequest::EndTap(..) => "end tap".to_owned(),
            OutputRequest::Listen(listening) => format!("listen{}", listening.id),
            OutputRequest::Unlisten(id) => format!("unlisten{id}"),
            OutputRequest::Close => "close".to_owned(),
        };
        let requests = std::iter::from_fn(|| self.session.take_output_request());
        requests.map(word).collect::<Vec<_>>().join(" ")
    }

    /// Requests `name` on a track.
    pub fn play(&mut self, name: &str, track: u32) -> String {
        self.enter(PlayRequest { track, ..request(name) })
    }

    /// Requests `name` on track 0 with a priority.
    pub fn wait(&mut self, name: &str, priority: i32) -> String {
        self.enter(PlayRequest { priority, ..request(name) })
    }

    /// Requests `name` on track 0 with a queue timeout.
    pub fn wait_for(&mut self, name: &str, queue_timeout: u64) -> String {
        self.enter(PlayRequest { queue_timeout: Some(queue_timeout), ..request(name) })
    }

    pub fn play_as(&mut self, name: &str, role: Role) -> String {
        self.enter(PlayRequest { role, ..request(name) })
    }

    pub fn enter(&mut self, request: PlayRequest) -> String {
        match self.session.play(request, WallTime(self.wall)) {
            Ok(accepted) => {
                self.names.insert(accepted.id, accepted.request_id.to_string());
                self.words()
            }
            Err(error) => {
                assert_eq!(self.words(), "", "a refused request changed something");
                format!("{} {}", error.code.as_str(), error.message)
            }
        }
    }

    /// Hands in the reader of `name` that was requested last, empty, and keeps its writing end.
    pub fn open(&mut self, name: &str) -> String {
        let is_its = |open: &Open| self.names.get(&open.id).is_some_and(|its| its == name);
        let index = self.opens.iter().rposition(is_its).expect("its source was to be opened");
        let Open { id, number, what, ahead, ticket, .. } = self.opens.remove(index);
        let (media, section) = match what {
            Opening::Source(source) => {
                let section = source.section;
                (Arc::new(Media::new(source, FetchLimits::default())), section)
            }
            Opening::Reopen { media, section, .. } => (media, section),
        };
        let supply = Supply::for_tests(media, self.is_eager);
        let (hand, reader) = Hand::reader(1, ahead, section, Some(supply));
        self.readers.push((name.to_owned(), hand));
        match self.session.opened(id, number, reader, ticket) {
            Ok(()) => self.words(),
            Err(unwanted) => {
                drop(unwanted);
                self.dropped = self.dropped_readers();
                format!("{} unwanted {name}", self.words()).trim_start().to_owned()
            }
        }
    }

    /// Returns the writing end of the reader of `name` that was handed in last.
    pub fn hand(&mut self, name: &str) -> &mut Hand {
        let (_, hand) = self.readers.iter_mut().rfind(|(its, _)| its == name).expect("its reader was handed in");
        hand
    }

    /// Hands in the reader of `name` with enough to start, and mixes a frame.
    pub fn ready(&mut self, name: &str) -> String {
        let opened = self.open(name);
        self.hand(name).push(&[0.5; FIRST]);
        join([opened, self.frame()])
    }

    /// Hands in the reader of `name` with all its samples, and mixes a frame.
    pub fn ready_whole(&mut self, name: &str, samples: usize) -> String {
        let opened = self.open(name);
        self.hand(name).push(&vec![0.5; samples]);
        self.hand(name).end(Ok(()));
        join([opened, self.frame()])
    }

    /// Ends the source of `name`, and mixes until it is over.
    pub fn finish(&mut self, name: &str) -> String {
        self.hand(name).end(Ok(()));
        let end = format!("{name}:completed");
        let mut words = String::new();
        for _ in 0..20 {
            words = join([words, self.frame()]);
            if words.split(' ').any(|word| word == end || word.starts_with(&format!("{end}-"))) {
                return words;
            }
        }
        panic!("{name} does not end: {words}");
    }

    /// Fails the source of `name`.
    pub fn fail(&mut self, name: &str) -> String {
        let opened = self.open(name);
        self.hand(name).end(Err(gone()));
        join([opened, self.look()])
    }

    /// Makes the session check its sources.
    pub fn look(&mut self) -> String {
        self.session.check_sources(WallTime(self.wall));
        self.words()
    }

    /// Sets the wall time, and fails sources that start late.
    pub fn give_up(&mut self, wall: u64) -> String {
        self.wall = wall;
        self.session.fail_late_starts(self.at());
        self.look()
    }

    pub fn frame(&mut self) -> String {
        self.frame_with(Ok(()))
    }

    /// Mixes a frame that is handed over with this result.
    pub fn frame_with(&mut self, result: Result<()>) -> String {
        let moved = self.look();
        self.mix(FRAME);
        join([moved, self.commit(result)])
    }

    /// Mixes this many samples; their events are held until the commit.
    pub fn mix(&mut self, samples: usize) -> usize {
        self.session.tick(samples, WallTime(self.wall), &mut self.scratch)
    }

    pub fn commit(&mut self, result: Result<()>) -> String {
        self.session.commit(result, DriverCounts::default());
        self.words()
    }

    pub fn frames(&mut self, count: usize) -> String {
        join((0..count).map(|_| self.frame()).collect::<Vec<_>>())
    }

    /// Returns true if something of the last frame can be heard.
    pub fn sounds(&self) -> bool {
        self.scratch.frames().any(|frame| frame.samples.iter().any(|sample| *sample != 0.0))
    }

    /// On the manual clock: advances by this much time, as far as sources allow.
    pub fn advance(&mut self, samples: u64) -> String {
        let ticket = self.next_ticket();
        self.session.advance(samples, ticket).expect("the clock is manual");
        self.steps()
    }

    /// On the manual clock: goes on with the pending `advance` calls.
    pub fn steps(&mut self) -> String {
        loop {
            self.session.check_sources(WallTime(self.wall));
            match self.session.step(WallTime(self.wall), true, &mut self.scratch) {
                Step::Frame(_) | Step::Silence(_) => self.session.commit(Ok(()), DriverCounts::default()),
                Step::Waits | Step::Done => return self.words(),
            }
        }
    }

    /// Advances the wall time, without a mix.
    pub fn pass(&mut self, samples: u64) -> String {
        self.wall += samples;
        self.session.expire(WallTime(self.wall));
        self.words()
    }

    /// Stops with the shortest fade; returns the stopped playbacks, and the words.
    pub fn stop(&mut self, target: Target) -> (String, String) {
        self.stop_within(target, FADE)
    }

    pub fn stop_within(&mut self, target: Target, fade_out: u64) -> (String, String) {
        let stop = StopRequest { target, reason: "user".to_owned(), fade_out, after: 0, ahead: false };
        let stopped = self.session.stop(&stop, WallTime(self.wall));
        (infos(&stopped), self.words())
    }

    /// Stops the target, and leaves the words untaken.
    pub fn stop_quietly(&mut self, target: Target) {
        let stop = StopRequest { target, reason: "user".to_owned(), fade_out: FADE, after: 0, ahead: false };
        self.session.stop(&stop, WallTime(self.wall));
    }

    /// Takes the pending events.
    pub fn take_events(&mut self) -> Vec<Event> {
        self.session.check_invariants();
        let messages = std::iter::from_fn(|| self.session.take_message());
        messages.filter_map(|message| if let Message::Event(event) = message { Some(event) } else { None }).collect()
    }

    /// Returns how many of the handed-in readers came back, or were dropped outside of the session.
    pub fn dropped_readers(&self) -> usize {
        self.readers.iter().filter(|(_, hand)| hand.is_dropped()).count()
    }

    /// Stops a name that may not have arrived.
    pub fn stop_ahead(&mut self, name: &str) -> String {
        let stop =
            StopRequest { target: named(name), reason: "user".to_owned(), fade_out: FADE, after: 0, ahead: true };
        assert_eq!(infos(&self.session.stop(&stop, WallTime(self.wall))), "");
        self.words()
    }

    pub fn pause(&mut self, target: Target) -> (String, String) {
        let paused = self.session.pause(&target, WallTime(self.wall));
        (paused.join(" "), self.words())
    }

    pub fn resume(&mut self, target: Target) -> (String, String) {
        let resumed = self.session.resume(&target, WallTime(self.wall));
        (resumed.join(" "), self.words())
    }

    pub fn seek(&mut self, target: Target, place: u64) -> (String, String) {
        let sought = self.session.seek(&target, place, WallTime(self.wall)).expect("all of them can be sought");
        (sought.join(" "), self.words())
    }

    pub fn move_to(&mut self, name: &str, queue_position: usize) -> (bool, String) {
        let moved = self.session.move_to(name, queue_position, WallTime(self.wall));
        (moved, self.words())
    }

    /// Returns every live playback with its phase, and its position in line.
    pub fn live(&self) -> String {
        infos_with(&self.session.playbacks(), |info| match (info.phase, info.queue_position) {
            (Phase::Queued, place) => format!("{}:queued{}", info.request_id, place.expect("what waits has a place")),
            (Phase::Loading, _) => format!("{}:loading", info.request_id),
            (Phase::Playing, _) => format!("{}:playing", info.request_id),
            (Phase::Stopping, _) => format!("{}:stopping", info.request_id),
        })
    }

    /// Returns the events and requests since the last time, one word each: events first.
    pub fn words(&mut self) -> String {
        self.session.check_invariants();
        assert_eq!(self.dropped_readers(), self.dropped, "a reader was dropped inside of the session");
        let mut words = Vec::new();
        while let Some(message) = self.session.take_message() {
            words.push(match &message {
                Message::Event(event) => word(event),
                Message::Rpc { identity, rpc } => format!("rpc {identity:?} {rpc:?}"),
                Message::Settled { ticket, error: None } => format!("settled{ticket}"),
                Message::Settled { ticket, error: Some(error) } => format!("settled{ticket}({})", error.code.as_str()),
            });
            if let Message::Event(event) = message {
                self.events.push(event);
            }
        }
        let Work { opens, garbage, .. } = self.session.take_work();
        drop(garbage);
        self.dropped = self.dropped_readers();
        for open in opens {
            words.push(format!("open {}", self.names.get(&open.id).expect("an open names a playback")));
            self.opens.push(open);
        }
        words.join(" ")
    }
}

fn join(words: impl IntoIterator<Item = String>) -> String {
    words.into_iter().filter(|words| !words.is_empty()).collect::<Vec<_>>().join(" ")
}

fn infos(infos: &[PlaybackInfo]) -> String {
    infos_with(infos, |info| info.request_id.to_string())
}

fn infos_with(infos: &[PlaybackInfo], word: impl FnMut(&PlaybackInfo) -> String) -> String {
    infos.iter().map(word).collect::<Vec<_>>().join(" ")
}

/// Returns how much of a playback was not heard, if anything.
fn unheard(ms: f64) -> String {
    if ms > 0.0 { format!("-{ms}") } else { String::new() }
}

fn word(event: &Event) -> String {
    let word = match &event.kind {
        EventKind::Queued { queue_position } => format!("queued{queue_position}"),
        EventKind::Started { .. } => "started".to_owned(),
        EventKind::Progress { position_ms } => format!("progress@{position_ms}"),
        EventKind::Paused { position_ms } => format!("paused@{position_ms}"),
        EventKind::Resumed { position_ms } => format!("resumed@{position_ms}"),
        EventKind::Stalled { position_ms } => format!("stalled@{position_ms}"),
        EventKind::Metadata { title, .. } => format!("metadata({title:?})"),
        EventKind::Sought { position_ms } => format!("sought@{position_ms}"),
        EventKind::Completed { unheard_ms, .. } => format!("completed{}", unheard(*unheard_ms)),
        EventKind::Stopped { reason, duration_ms, unheard_ms, .. } => {
            format!("stopped({reason})@{duration_ms}{}", unheard(*unheard_ms))
        }
        EventKind::Failed { code, unheard_ms, .. } => format!("failed({}){}", code.as_str(), unheard(*unheard_ms)),
        EventKind::Connected => "connected".to_owned(),
        EventKind::Reconnecting { .. } => "reconnecting".to_owned(),
        EventKind::Reconnected => "reconnected".to_owned(),
        EventKind::Disconnected { reason } => format!("disconnected({reason})"),
        EventKind::Muted { track_id } => format!("muted{track_id}"),
        EventKind::Unmuted { track_id } => format!("unmuted{track_id}"),
        EventKind::Subscribed { track_id, identity: None } => format!("subscribed{track_id}"),
        EventKind::Subscribed { track_id, identity: Some(identity) } => format!("subscribed{track_id}({identity})"),
        EventKind::Unpublished { track_id, code, .. } => format!("unpublished{track_id}({})", code.as_str()),
        EventKind::ParticipantJoined { participant } => format!("joined {}", participant.identity),
        EventKind::ParticipantChanged { participant } => format!("changed {}", participant.identity),
        EventKind::Data { identity, payload, .. } => format!("data {identity:?} {payload:?}"),
        EventKind::Text { identity, text, .. } => format!("text {identity:?} {text:?}"),
        EventKind::ParticipantLeft { participant } => format!("left {}", participant.identity),
        EventKind::Republished { track_id } => format!("republished{track_id}"),
        EventKind::Overloaded { late_frames, lost_frames, .. } => format!("overloaded({late_frames}+{lost_frames})"),
        EventKind::Mark { name, .. } => format!("mark({name})"),
        EventKind::Error { code, .. } => format!("error({})", code.as_str()),
    };
    match &event.request_id {
        Some(name) => format!("{name}:{word}"),
        None => word,
    }
}
