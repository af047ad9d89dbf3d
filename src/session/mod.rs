//! One user's speaker, as a plain state machine: no thread, no clock, no lock, no I/O.
//!
//! ```text
//! calls.rs ──▶ policy/ ──▶ playbacks.rs (shelves) ──▶ tick.rs ──▶ mixer
//!                                        └──────────────┴──▶ outbox.rs (events, work for the engine)
//! ```
//!
//! A call applies whole and at once. Time is an argument: [`WallTime`] is what waiting is measured by, [`Samples`] what was
//! mixed. Whatever a call or a tick leads to outside (a source to open, an output to prepare, a reader to drop) is left in the
//! outbox and carried out by [`engine`](crate::engine) after the lock is released.

mod calls;
mod counts;
mod drain;
mod groups;
mod hearing;
mod invariants;
mod line;
mod marks;
mod outbox;
mod output_state;
mod overload;
mod playbacks;
mod policy;
mod room_state;
mod sends;
mod tick;

use std::collections::VecDeque;
use std::sync::Arc;

use crate::audio::{Samples, from_ms};
use crate::error::{Code, SpeakerError};
use crate::event::EventKind;
use crate::mixer::{Duck, Mixer, Notice, PlaybackId, Routing, TrackCounts};
use crate::output::{Link, Participant};
use crate::source::PcmReader;

pub use calls::{Accepted, Interrupted, PlayRequest, StopRequest, TapOf};
pub use outbox::{Open, OutputRequest, Ticket, Work};
pub use output_state::ConnectionState;
pub use playbacks::{Phase, PlaybackInfo};
pub use policy::{OnDuplicate, Overlap, Policy, Target};
pub use tick::{Gauges, Pace, Step};

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

/// What moves a session's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// The wall clock: 20 ms of sound every 20 ms.
    Realtime,
    /// `advance` alone. A source that still loads holds it, so the same calls give the same samples.
    Manual,
}

/// The time by which waiting is measured, in samples since the session was made. It goes on in silence. On the manual clock only
/// servers and disks are measured by it; what waits for its turn does so in the session's own time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct WallTime(pub Samples);

/// A session's rules and measures, checked.
#[derive(Debug, Clone)]
pub struct Options {
    /// What moves its time.
    pub clock: Clock,
    /// 1 or 2.
    pub channels: usize,
    /// How tracks become streams of the output.
    pub routing: Routing,
    /// Its output takes silence as it takes sound: it is mixed without a pause while that is open.
    pub is_continuous: bool,
    /// Who is admitted, who waits, who gives way.
    pub policy: Policy,
    /// How lower roles fall back; off if `None`.
    pub duck: Option<Duck>,
    /// Linear, on top of every playback's own.
    pub gain: f32,
    /// The longest a playback may sound.
    pub max_duration: Samples,
    /// Between `progress` events; 0 for none.
    pub progress_interval: Samples,
    /// How long a stream may be silent because its writer is behind, if its request does not say; 0 for ever.
    pub stall_timeout: Samples,
    /// How long a source that is no stream may take from its opening to its first sound, in wall time on the manual clock too; 0 for
    /// ever.
    pub start_timeout: Samples,
}

impl Options {
    /// A mono session that mixes everything down, with the default policy and without limits.
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
    /// How often a source was not there in time.
    pub underruns: u64,
    /// Frames that nobody took.
    pub dropped_frames: u64,
    /// Frames that were mixed when the next one was due already.
    pub late_frames: u64,
    /// Frames that were given up because the process was halted.
    pub lost_frames: u64,
    /// Packets that were sent as they were encoded for another session, or for this one before.
    pub shared_packets: u64,
    /// Packets of data that others sent and nobody took in time.
    pub dropped_data: u64,
    /// How the output is received.
    pub link: Link,
}

/// A track at a moment, and what was counted of it since the session began.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrackStats {
    /// What was counted, and how it is set.
    pub counts: TrackCounts,
    /// What is there of what plays and is not mixed yet: the least of all playbacks; 0 if nothing plays.
    pub buffered: Samples,
    /// Playbacks by what they do. Those that are paused are in none of the other counts.
    pub playing: usize,
    /// See [`playing`](Self::playing).
    pub loading: usize,
    /// See [`playing`](Self::playing).
    pub queued: usize,
    /// See [`playing`](Self::playing).
    pub paused: usize,
}

/// A stream at a moment.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub struct StreamStats {
    /// What is decoded and not mixed yet.
    pub buffered: Samples,
    /// How much is gathered before it is played; 0 until its turn.
    pub prebuffer: Samples,
    /// How often its writer was late.
    pub underruns: u64,
}

/// From open to closed, perhaps by way of a drain, or broken by a panic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lifecycle {
    Open,
    /// It takes no more, and closes when what it has accepted is over, or at this time.
    Draining {
        until: WallTime,
    },
    Closing,
    Closed,
    /// A panic left it in no state to go on: everything live has failed, and only `close` is of use.
    Broken {
        /// The output was closed.
        is_closed: bool,
    },
}

/// An end that is joined to what follows at the same sample.
struct Seam {
    at: Samples,
    /// What follows.
    id: PlaybackId,
    /// What the filter of the one that ended gives behind its end.
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
    /// Ends of this very sample that are joined to what follows.
    seams: Vec<Seam>,
    /// What the mixer reported and is not handled yet; kept for its capacity.
    notices: Vec<Notice>,
}

impl Session {
    /// An open session in which nothing plays.
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
            seams: Vec::new(),
            notices: Vec::new(),
        }
    }

    /// What loads, for a test that waits in vain.
    #[doc(hidden)]
    pub fn describe_loading(&self) -> String {
        let each = |(id, source): (PlaybackId, &playbacks::Loadable)| match source {
            playbacks::Loadable::Opening { number, .. } => format!("{id}: opening {number}"),
            playbacks::Loadable::Reading(reader) => {
                format!("{id}: {:?}, coming {}, outcome {:?}", reader.level(), reader.is_coming(), reader.outcome())
            }
        };
        self.playbacks.opened().map(each).collect::<Vec<_>>().join("; ")
    }

    /// The session's time of the next sample.
    pub fn now(&self) -> Samples {
        self.mixer.now()
    }

    /// What plays and loads, in order of arrival; what waits, in order of its turn.
    pub fn playbacks(&self) -> Vec<PlaybackInfo> {
        self.playbacks.infos()
    }

    /// Counts since the session began.
    pub fn stats(&self) -> Stats {
        Stats { now: self.mixer.now(), underruns: self.mixer.underruns(), ..self.stats }
    }

    /// A track at this moment.
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

    /// A stream at this moment; `None` once its playback is over.
    pub fn stream_stats(&self, id: PlaybackId) -> Option<StreamStats> {
        let of = |reader: &PcmReader, underruns| StreamStats {
            buffered: reader.level().0 as Samples,
            prebuffer: reader.wanted() as Samples,
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

    /// What is true of the connection now; what was told of it may not have been taken yet.
    pub fn connection(&self) -> ConnectionState {
        match self.is_closed() {
            true => ConnectionState::Closed,
            false => self.output.state(),
        }
    }

    /// Who this participant is, while a room is joined.
    pub fn local_participant(&self) -> Option<Participant> {
        self.room.local().cloned()
    }

    /// The others who are in the room, by their identity.
    pub fn participants(&self) -> Vec<Participant> {
        self.room.others().cloned().collect()
    }

    /// The time by which waiting for a turn is measured now.
    fn wall(&self) -> WallTime {
        match self.options.clock {
            Clock::Manual => WallTime(self.mixer.now()),
            Clock::Realtime => self.wall,
        }
    }

    fn is_eager(&self) -> bool {
        self.options.clock == Clock::Manual
    }

    /// Why nothing new can be taken, if nothing can.
    fn check_open(&self) -> Result<(), SpeakerError> {
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

    /// Fails once nothing that lives can be changed any more: a session that drains still goes on.
    fn check_live(&self) -> Result<(), SpeakerError> {
        match self.lifecycle {
            Lifecycle::Draining { .. } => Ok(()),
            _ => self.check_open(),
        }
    }

    /// Settles every call that still waits with why none can be taken any more.
    fn refuse_calls(&mut self) {
        if let Err(error) = self.check_open() {
            self.fail_advances(&error);
            self.fail_room_calls(&error);
            // What becomes of an output that is held has its place, and is told first.
            if !self.is_opening_held() {
                self.answer_connects(Some(&error));
            }
        }
    }

    /// A panic left the session in an unknown state: everything live fails, the output is to be closed.
    ///
    /// Returns false if it was broken already.
    pub fn break_down(&mut self) -> bool {
        if matches!(self.lifecycle, Lifecycle::Broken { .. }) {
            return false;
        }
        let is_closed = self.lifecycle == Lifecycle::Closed;
        self.lifecycle = Lifecycle::Broken { is_closed };
        self.notices.clear();
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

/// The error of a session that a panic broke.
fn internal() -> SpeakerError {
    let message = "the session broke by a fault of its own: please report it, close the session and make a new one";
    SpeakerError::new(Code::Internal, message)
}

/// The name of a playback, shared by its events.
pub type RequestId = Arc<str>;
