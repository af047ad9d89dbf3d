//! One user's speaker, as a plain state machine: no thread, no clock, no lock, no I/O.
//!
//! ```text
//! calls.rs ──▶ policy/ ──▶ playbacks.rs (shelves) ──▶ tick.rs ──▶ mixer
//!                                        └──────────────┴──▶ outbox.rs (events, work for the engine)
//! ```
//!
//! A call applies whole and at once. Time is an argument: [`WallTime`] is the time by which waiting is measured,
//! [`Samples`] that of the mix. Whatever a call or a tick leads to outside (a source to open, an output to prepare, a reader to drop) is
//! left in the outbox and carried out by [`engine`](crate::engine) after the lock is released.

mod calls;
mod counts;
mod drain;
mod groups;
mod hearing;
mod invariants;
mod line;
mod marks;
mod outbox;
mod output_events;
mod output_state;
mod overload;
mod playbacks;
mod policy;
mod room_state;
mod sends;
mod snapshot;
mod sources;
mod tick;

use std::collections::VecDeque;
use std::sync::Arc;

use crate::audio::{Samples, from_ms};
use crate::error::{Code, Result, SpeakerError};
use crate::event::{EventKind, Message};
use crate::ids::{PlaybackId, Ticket};
use crate::mixer::{Duck, Mixer, MixerEvent, Routing, TrackCounts, TrackFade};
use crate::output::{ConnectionStats, Participant};
use crate::source::PcmReader;

pub use calls::{Accepted, Continued, Interrupted, PlayRequest, StopRequest, TapOf};
pub use outbox::{Open, OutputRequest, Work};
pub use output_state::ConnectionState;
pub use playbacks::{Phase, PlaybackInfo};
pub use policy::{OnDuplicate, Overlap, Policy, Target};
pub use snapshot::{ENDLESS, PlaybackSnapshot, Snapshot};
pub use tick::{DriverCounts, Pace, Step};

use counts::Counts;
use groups::Groups;
use marks::Mark;
use outbox::Outbox;
use output_state::OutputState;
use overload::Overload;
use playbacks::Playbacks;
use policy::Tombstones;
use room_state::RoomState;
use sends::Sends;

/// The clock that moves a session's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// The wall clock: 20 ms of sound every 20 ms.
    Realtime,
    /// `advance` alone. It waits for sources that still load, so the same calls give the same samples.
    Manual,
}

/// The time by which waiting is measured, in samples since the session was made. It goes on in silence. On the manual clock only
/// servers and disks are measured by it; the wait for a turn is measured in the session's own time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct WallTime(pub Samples);

/// The options of a session, already checked.
#[derive(Debug, Clone)]
pub struct Options {
    /// The clock that moves its time.
    pub clock: Clock,
    /// The number of channels, 1 or 2.
    pub channels: usize,
    /// The mapping of tracks to streams of the output.
    pub routing: Routing,
    /// The output takes silence as it takes sound: frames are mixed without a pause while it is open.
    pub is_continuous: bool,
    /// The rules of admission, queues and replacement.
    pub policy: Policy,
    /// Ducking of lower roles; off if `None`.
    pub duck: Option<Duck>,
    /// Linear, on top of every playback's own.
    pub gain: f32,
    /// The longest duration of a playback.
    pub max_duration: Samples,
    /// The time between `progress` events; 0 for none.
    pub progress_interval: Samples,
    /// The longest silence of a stream whose writer is behind, unless its request says otherwise; 0 for no limit.
    pub stall_timeout: Samples,
    /// The longest time from the opening of a source that is not a stream to its first sound, in wall time on the manual clock too; 0
    /// for no limit.
    pub start_timeout: Samples,
}

impl Options {
    /// Returns the options of a mono session that mixes everything down, with the default policy and without limits.
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            channels: 1,
            routing: Routing::Mixdown,
            is_continuous: false,
            policy: Policy::default(),
            duck: None,
            gain: 1.0,
            max_duration: Samples::MAX,
            progress_interval: 0,
            stall_timeout: 0,
            start_timeout: 0,
        }
    }
}

/// Counts since the session began.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub struct Stats {
    /// The session's time.
    pub now: Samples,
    /// Playbacks that ended, by how they ended.
    pub completed: u64,
    /// See [`completed`](Self::completed).
    pub stopped: u64,
    /// See [`completed`](Self::completed).
    pub failed: u64,
    /// The number of times that a source was not ready in time.
    pub underruns: u64,
    /// Frames that the output or its reader dropped.
    pub dropped_frames: u64,
    /// Frames that were mixed only when the next one was due.
    pub late_frames: u64,
    /// Frames that were skipped because the process was halted.
    pub lost_frames: u64,
    /// Packets that were sent as encoded for another session, or for this one before.
    pub shared_packets: u64,
    /// Packets of data from others that were dropped because JavaScript did not take them in time.
    pub dropped_data: u64,
    /// The quality of the connection.
    pub link: ConnectionStats,
}

/// The state of a track, and its counts since the session began.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrackStats {
    /// Its counts and settings.
    pub counts: TrackCounts,
    /// The samples that are decoded and not mixed yet: the least of all playing playbacks; 0 if nothing plays.
    pub buffered: Samples,
    /// Playbacks by phase. Those that are paused are in none of the other counts.
    pub playing: usize,
    /// See [`playing`](Self::playing).
    pub loading: usize,
    /// See [`playing`](Self::playing).
    pub queued: usize,
    /// See [`playing`](Self::playing).
    pub paused: usize,
}

/// The state of a stream.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub struct StreamStats {
    /// The samples that are decoded and not mixed yet.
    pub buffered: Samples,
    /// The amount that is gathered before it plays; 0 until its turn.
    pub prebuffer: Samples,
    /// The number of times that its writer was late.
    pub underruns: u64,
}

/// The stages of a session: from open to closed, perhaps through a drain, or broken by a panic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lifecycle {
    Open,
    /// It takes no more requests, and closes when the accepted ones are over, or at this time.
    Draining {
        until: WallTime,
    },
    Closing,
    Closed,
    /// A panic left it in an unknown state: everything live has failed, and only `close` works.
    Broken {
        /// The output was closed.
        is_closed: bool,
    },
}

/// An end that is joined to the next playback at the same sample, without a gap.
struct GaplessJoin {
    at: Samples,
    /// The next playback.
    id: PlaybackId,
    /// The output of the ended playback's resampler beyond its end.
    ringing: Vec<f32>,
}

/// An `advance` under way.
struct Advance {
    left: Samples,
    ticket: Ticket,
}

/// One user's speaker.
pub struct Session {
    options: Options,
    playbacks: Playbacks,
    mixer: Mixer,
    output: OutputState,
    room: RoomState,
    sends: Sends,
    tombstones: Tombstones,
    groups: Groups,
    /// In the order in which they were set.
    marks: Vec<Mark>,
    outbox: Outbox,
    /// On the manual clock, in order.
    advances: VecDeque<Advance>,
    lifecycle: Lifecycle,
    /// Tickets of `close`.
    closing: Vec<Ticket>,
    /// The wall time of the call that is being applied.
    wall: WallTime,
    stats: Stats,
    counts: Counts,
    overload: Overload,
    /// The gapless joins at the present sample.
    gapless_joins: Vec<GaplessJoin>,
    /// Events of the mixer that are not handled yet; kept for its capacity.
    mixer_events: Vec<MixerEvent>,
    /// Fades of tracks that began in another session, and go on with the first playback on their track that does.
    track_fades: Vec<(u32, TrackFade)>,
    /// It hands over what plays to the session that takes its place in the room.
    hands_over: bool,
    /// The state that it has handed over so.
    handed_over: Option<Snapshot>,
}

impl Session {
    /// Makes an open session in which nothing plays.
    pub fn new(options: Options) -> Self {
        Self {
            mixer: Mixer::new(options.channels, options.routing, options.duck),
            output: OutputState::new(options.routing),
            room: RoomState::default(),
            sends: Sends::default(),
            options,
            playbacks: Playbacks::default(),
            tombstones: Tombstones::default(),
            groups: Groups::default(),
            marks: Vec::new(),
            outbox: Outbox::default(),
            advances: VecDeque::new(),
            lifecycle: Lifecycle::Open,
            closing: Vec::new(),
            wall: WallTime(0),
            stats: Stats::default(),
            counts: Counts::default(),
            overload: Overload::default(),
            gapless_joins: Vec::new(),
            mixer_events: Vec::new(),
            track_fades: Vec::new(),
            hands_over: false,
            handed_over: None,
        }
    }

    /// Describes what loads, for a test that waits in vain.
    pub fn describe_loading(&self) -> String {
        let each = |(id, source): (PlaybackId, &playbacks::Loadable)| match source {
            playbacks::Loadable::Opening { number, .. } => format!("{id}: opening {number}"),
            playbacks::Loadable::Reading(reader) => {
                format!("{id}: {:?}, coming {}, outcome {:?}", reader.buffered(), reader.is_filling(), reader.outcome())
            }
        };
        self.playbacks.opened().map(each).collect::<Vec<_>>().join("; ")
    }

    /// Returns true if there is work to carry out after the lock is released.
    pub fn has_work(&self) -> bool {
        self.outbox.has_work()
    }

    /// Takes the work to carry out after the lock is released.
    pub fn take_work(&mut self) -> Work {
        let mut work = self.outbox.take_work();
        for open in &mut work.opens {
            open.name = self.playbacks.request(open.id).map(|request| request.name.clone());
        }
        work
    }

    /// Takes the next message, if it is not held.
    pub fn take_message(&mut self) -> Option<Message> {
        self.outbox.take()
    }

    /// Takes the next request to the output's owner.
    pub fn take_output_request(&mut self) -> Option<OutputRequest> {
        self.outbox.output.pop_front()
    }

    /// Settles a call that answers later.
    pub fn settle(&mut self, ticket: Ticket) {
        self.outbox.settle(ticket, None);
    }

    /// Settles a call that answers later with its result.
    pub fn settle_with(&mut self, ticket: Ticket, result: Result<()>) {
        self.outbox.settle(ticket, result.err());
    }

    /// Returns true once the output is closed for good.
    pub fn is_closed(&self) -> bool {
        matches!(self.lifecycle, Lifecycle::Closed | Lifecycle::Broken { is_closed: true })
    }

    /// Returns the session's time of the next sample.
    pub fn now(&self) -> Samples {
        self.mixer.now()
    }

    /// Returns the playbacks that play and load, in order of arrival, then those that wait, in order of their turn.
    pub fn playbacks(&self) -> Vec<PlaybackInfo> {
        self.playbacks.infos()
    }

    /// Returns the counts since the session began.
    pub fn stats(&self) -> Stats {
        Stats { now: self.mixer.now(), underruns: self.mixer.underruns(), ..self.stats }
    }

    /// Returns the state of a track.
    pub fn track_stats(&self, track: u32) -> TrackStats {
        let live: Vec<_> = self.playbacks.infos().into_iter().filter(|info| info.track == track).collect();
        let count =
            |phases: &[Phase]| live.iter().filter(|info| !info.is_paused && phases.contains(&info.phase)).count();
        let plays = self.playbacks.sounding.iter().filter(|each| each.request.track == track && !each.is_still());
        TrackStats {
            counts: self.mixer.track_counts(track),
            buffered: plays.map(|each| each.voice.buffered()).min().unwrap_or(0),
            playing: count(&[Phase::Playing, Phase::Stopping]),
            loading: count(&[Phase::Loading]),
            queued: count(&[Phase::Queued]),
            paused: live.iter().filter(|info| info.is_paused).count(),
        }
    }

    /// Returns the state of a stream; `None` once its playback is over.
    pub fn stream_stats(&self, id: PlaybackId) -> Option<StreamStats> {
        let of = |reader: &PcmReader, underruns| StreamStats {
            buffered: reader.buffered().0 as Samples,
            prebuffer: reader.prebuffer_target() as Samples,
            underruns,
        };
        if let Some(sounding) = self.playbacks.sounding.iter().find(|sounding| sounding.request.id == id) {
            return Some(of(&sounding.voice.reader, sounding.voice.underruns()));
        }
        self.playbacks.request(id)?;
        let opened = self.playbacks.opened().find(|(opened, _)| *opened == id);
        Some(match opened {
            Some((_, playbacks::Loadable::Reading(reader))) => of(reader, 0),
            _ => StreamStats::default(),
        })
    }

    /// Returns the present state of the connection; its events may still wait to be taken.
    pub fn connection(&self) -> ConnectionState {
        if self.is_closed() { ConnectionState::Closed } else { self.output.state() }
    }

    /// Returns this participant, while a room is joined.
    pub fn local_participant(&self) -> Option<Participant> {
        self.room.local().cloned()
    }

    /// Returns the other participants of the room, in order of their identity.
    pub fn participants(&self) -> Vec<Participant> {
        self.room.others().cloned().collect()
    }

    /// Returns the time by which the wait for a turn is measured.
    fn wall(&self) -> WallTime {
        match self.options.clock {
            Clock::Manual => WallTime(self.mixer.now()),
            Clock::Realtime => self.wall,
        }
    }

    fn is_eager(&self) -> bool {
        self.options.clock == Clock::Manual
    }

    /// Fails if no new request can be taken.
    fn check_open(&self) -> Result<()> {
        match self.lifecycle {
            Lifecycle::Open => Ok(()),
            Lifecycle::Draining { .. } => {
                Err(SpeakerError::new(Code::Closed, "Expected an open session but it is being closed"))
            }
            Lifecycle::Closing | Lifecycle::Closed => {
                Err(SpeakerError::new(Code::Closed, "Expected an open session but it is closed"))
            }
            Lifecycle::Broken { .. } => Err(internal()),
        }
    }

    /// Fails once live playbacks can't be changed any more; while a session drains they can.
    fn check_live(&self) -> Result<()> {
        match self.lifecycle {
            Lifecycle::Draining { .. } => Ok(()),
            _ => self.check_open(),
        }
    }

    /// Settles every call that still waits with the error of a session that takes none any more.
    fn refuse_calls(&mut self) {
        if let Err(error) = self.check_open() {
            self.fail_advances(&error);
            self.fail_room_calls(&error);
            // The outcome of an output that is held has its place among the events, and is reported first.
            if !self.is_opening_held() {
                self.answer_connects(Some(&error));
            }
        }
    }

    /// Breaks the session after a panic left it in an unknown state: everything live fails, and the output will be closed.
    ///
    /// Returns false if it was broken already.
    pub fn break_down(&mut self) -> bool {
        if matches!(self.lifecycle, Lifecycle::Broken { .. }) {
            return false;
        }
        let is_closed = self.lifecycle == Lifecycle::Closed;
        self.lifecycle = Lifecycle::Broken { is_closed };
        self.mixer_events.clear();
        if self.retract_opening() {
            self.output.closed();
        }
        self.fail_tracks(|_, _| true, &internal());
        let SpeakerError { code, message, .. } = internal();
        self.note(None, EventKind::Error { code, message });
        self.refuse_calls();
        self.settle_unpublished(Some(&internal()));
        if !is_closed {
            self.outbox.output.clear();
            self.outbox.request(OutputRequest::Close);
        }
        self.outbox.release();
        true
    }

    /// Notes an event at the session's present time.
    fn note(&mut self, request: Option<&playbacks::Request>, kind: EventKind) {
        self.note_at(self.mixer.now(), request, kind);
    }

    fn note_at(&mut self, at: Samples, request: Option<&playbacks::Request>, kind: EventKind) {
        match kind {
            EventKind::Started { latency_ms, .. } => {
                self.counts.started += 1;
                self.counts.latencies.push(from_ms(latency_ms));
            }
            EventKind::Completed { .. } => self.stats.completed += 1,
            EventKind::Stopped { .. } => self.stats.stopped += 1,
            EventKind::Failed { code, .. } => {
                self.stats.failed += 1;
                self.counts.failures.push(code);
            }
            EventKind::Reconnecting { .. } => self.counts.reconnects += 1,
            _ => {}
        }
        if let Some(duration_ms) = kind.sounded_ms().filter(|duration_ms| *duration_ms > 0.0) {
            self.counts.durations.push(from_ms(duration_ms));
        }
        if let (Some(group), Some(heard)) = (request.and_then(|request| request.group.as_ref()), kind.heard_ms()) {
            self.groups.add(group, from_ms(heard));
        }
        self.outbox.note(at, request, kind);
    }
}

/// Returns the error of a session that a panic broke.
fn internal() -> SpeakerError {
    let message = "the session broke by a fault of its own: please report it, close the session and make a new one";
    SpeakerError::new(Code::Internal, message)
}

/// A `requestId`, shared by the events of its playback.
pub type RequestId = Arc<str>;
