//! The registry as the rules ask it: calls in, actions out, one word each.

use speaker_session::audio::EDGE_FADE;
use speaker_session::event::EventKind;
use speaker_session::mixer::Role;
use speaker_session::session::registry::{Action, Ending, Entry, Registry};
use speaker_session::session::{Info, Overlap, Phase, Policy, Target};
use speaker_session::source::Seekable;

pub const FADE: u64 = EDGE_FADE as u64;

/// A registry with its calls and answers in words.
pub struct Table {
    pub registry: Registry,
    pub now: u64,
}

impl Table {
    pub fn new(overlap: Overlap) -> Self {
        Self::with(overlap, 10, 100)
    }

    pub fn with(overlap: Overlap, max_concurrent: usize, max_queued: usize) -> Self {
        let policy = Policy { crossfade: 0, overlap, max_concurrent, max_queued, queue_timeout: 0 };
        Self { registry: Registry::new(policy), now: 0 }
    }

    /// With a crossfade of 1 s.
    pub fn crossing(overlap: Overlap) -> Self {
        let policy = Policy { crossfade: 48_000, overlap, max_concurrent: 1, max_queued: 100, queue_timeout: 0 };
        Self { registry: Registry::new(policy), now: 0 }
    }

    /// Its end is near.
    pub fn near(&mut self, id: u64) -> String {
        let actions = self.registry.near(id);
        self.begin(&actions);
        words(&actions)
    }

    /// Requests `name` on a track; says the actions, one word each.
    pub fn play(&mut self, name: &str, track: u32, stop_other: bool) -> String {
        self.enter(entry(name, track, stop_other))
    }

    pub fn play_as(&mut self, name: &str, role: Role) -> String {
        self.enter(Entry { role, ..entry(name, 0, false) })
    }

    pub fn enter(&mut self, entry: Entry) -> String {
        match self.registry.play(entry, self.now) {
            Ok(accepted) => words(&accepted.actions),
            Err(error) => format!("{} {}", error.code.as_str(), error.message),
        }
    }

    /// Requests `name` on track 0.
    pub fn wait(&mut self, name: &str, priority: i32, queue_timeout: Option<u64>) -> String {
        self.enter(Entry { priority, queue_timeout, ..entry(name, 0, false) })
    }

    pub fn move_to(&mut self, name: &str, place: usize) -> (bool, String) {
        let (moved, actions) = self.registry.move_to(name, place);
        (moved, words(&actions))
    }

    /// Time passes; says whose patience is at an end.
    pub fn pass(&mut self, samples: u64) -> String {
        self.now += samples;
        let actions = self.registry.expire(self.now);
        self.begin(&actions);
        words(&actions)
    }

    /// Its source is there; if it is its turn, it begins to sound.
    pub fn ready(&mut self, id: u64) -> String {
        let actions = self.registry.ready(id);
        self.begin(&actions);
        words(&actions)
    }

    pub fn begin(&mut self, actions: &[Action]) {
        for action in actions {
            if let Action::Start(id) = action {
                assert!(self.registry.begin(*id));
            }
        }
    }

    pub fn ended(&mut self, id: u64) -> String {
        let actions = self.registry.ended(id, Ending::Whole, 480, self.now);
        self.begin(&actions);
        words(&actions)
    }

    pub fn stop(&mut self, target: Target) -> (String, String) {
        let (stopped, actions) = self.registry.stop(&target, "user", FADE, self.now);
        (names(&stopped), words(&actions))
    }

    pub fn pause(&mut self, target: Target) -> (String, String) {
        let (paused, actions) = self.registry.pause(&target);
        (paused.join(" "), words(&actions))
    }

    pub fn resume(&mut self, target: Target) -> (String, String) {
        let (resumed, actions) = self.registry.resume(&target);
        self.begin(&actions);
        (resumed.join(" "), words(&actions))
    }

    /// Every live playback with its phase, and its place in line.
    pub fn live(&self) -> String {
        let phase = |info: Info| match (info.phase, info.place) {
            (Phase::Queued, place) => format!("{}:queued{}", info.request_id, place.unwrap()),
            (Phase::Loading, _) => format!("{}:loading", info.request_id),
            (Phase::Playing, _) => format!("{}:playing", info.request_id),
            (Phase::Stopping, _) => format!("{}:stopping", info.request_id),
        };
        self.registry.infos().into_iter().map(phase).collect::<Vec<_>>().join(" ")
    }
}

pub fn entry(name: &str, track: u32, stop_other: bool) -> Entry {
    Entry {
        request_id: name.to_owned(),
        track,
        role: Role::default(),
        stop_other,
        priority: 0,
        queue_timeout: None,
        seekable: Seekable::new(true),
    }
}

pub fn names(infos: &[Info]) -> String {
    infos.iter().map(|info| info.request_id.as_str()).collect::<Vec<_>>().join(" ")
}

pub fn words(actions: &[Action]) -> String {
    let word = |action: &Action| match action {
        Action::Open(id) => format!("open{id}"),
        Action::Start(id) => format!("start{id}"),
        Action::Leave(id, samples) => format!("leave{id}/{samples}"),
        Action::Fade(id, samples) => format!("fade{id}/{samples}"),
        Action::Pause(id) => format!("pause{id}"),
        Action::Resume(id) => format!("resume{id}"),
        Action::Seek(id, place) => format!("seek{id}={place}"),
        Action::Volume(id, volume, samples) => format!("volume{id}={volume}/{samples}"),
        Action::Discard(id) => format!("discard{id}"),
        Action::Tell(name, EventKind::Queued { position }) => format!("{name}:queued{position}"),
        Action::Tell(name, EventKind::Paused { position_ms }) => format!("{name}:paused@{position_ms}"),
        Action::Tell(name, EventKind::Resumed { position_ms }) => format!("{name}:resumed@{position_ms}"),
        Action::Tell(name, EventKind::Sought { position_ms }) => format!("{name}:sought@{position_ms}"),
        Action::Tell(name, EventKind::Stopped { reason, duration_ms, .. }) => format!("{name}:{reason}@{duration_ms}"),
        Action::Tell(name, EventKind::Completed { duration_ms, .. }) => format!("{name}:completed@{duration_ms}"),
        Action::Tell(name, EventKind::Failed { code, message, .. }) => format!("{name}:{} {message}", code.as_str()),
        Action::Tell(name, other) => format!("{name}:{other:?}"),
    };
    actions.iter().map(word).collect::<Vec<_>>().join(" ")
}
