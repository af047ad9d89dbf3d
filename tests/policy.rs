//! The overlap policy, rule by rule: calls in, actions out. Nothing plays here.

use speaker_session::audio::EDGE_FADE;
use speaker_session::error::Code;
use speaker_session::event::EventKind;
use speaker_session::mixer::Role;
use speaker_session::session::registry::{Action, Ending, Entry, Registry};
use speaker_session::session::{Overlap, Phase, Policy, Target};

const FADE: u64 = EDGE_FADE as u64;

struct Table {
    registry: Registry,
}

impl Table {
    fn new(overlap: Overlap) -> Self {
        Self::with(overlap, 10, 100)
    }

    fn with(overlap: Overlap, max_concurrent: usize, max_queued: usize) -> Self {
        Self { registry: Registry::new(Policy { overlap, max_concurrent, max_queued }) }
    }

    /// Requests `name` on a track; says the actions, one word each.
    fn play(&mut self, name: &str, track: u32, stop_other: bool) -> String {
        self.enter(entry(name, track, stop_other))
    }

    fn play_as(&mut self, name: &str, role: Role) -> String {
        self.enter(Entry { role, ..entry(name, 0, false) })
    }

    fn enter(&mut self, entry: Entry) -> String {
        match self.registry.play(entry) {
            Ok(accepted) => words(&accepted.actions),
            Err(error) => format!("{} {}", error.code.as_str(), error.message),
        }
    }

    /// Its source is there; if it is its turn, it begins to sound.
    fn ready(&mut self, id: u64) -> String {
        let actions = self.registry.ready(id);
        self.begin(&actions);
        words(&actions)
    }

    fn begin(&mut self, actions: &[Action]) {
        for action in actions {
            if let Action::Start(id) = action {
                assert!(self.registry.begin(*id));
            }
        }
    }

    fn ended(&mut self, id: u64) -> String {
        let actions = self.registry.ended(id, Ending::Whole, 480);
        self.begin(&actions);
        words(&actions)
    }

    fn stop(&mut self, target: Target) -> (String, String) {
        let (stopped, actions) = self.registry.stop(&target, "user", FADE);
        (stopped.join(" "), words(&actions))
    }

    /// Every live playback with its phase, and its place in line.
    fn live(&self) -> String {
        let phase = |info: speaker_session::session::Info| match (info.phase, info.place) {
            (Phase::Queued, place) => format!("{}:queued{}", info.request_id, place.unwrap()),
            (Phase::Loading, _) => format!("{}:loading", info.request_id),
            (Phase::Playing, _) => format!("{}:playing", info.request_id),
            (Phase::Stopping, _) => format!("{}:stopping", info.request_id),
        };
        self.registry.infos().into_iter().map(phase).collect::<Vec<_>>().join(" ")
    }
}

fn entry(name: &str, track: u32, stop_other: bool) -> Entry {
    Entry { request_id: name.to_owned(), track, role: Role::default(), stop_other }
}

fn words(actions: &[Action]) -> String {
    let word = |action: &Action| match action {
        Action::Open(id) => format!("open{id}"),
        Action::Start(id) => format!("start{id}"),
        Action::Fade(id, samples) => format!("fade{id}/{samples}"),
        Action::Discard(id) => format!("discard{id}"),
        Action::Tell(name, EventKind::Queued { position }) => format!("{name}:queued{position}"),
        Action::Tell(name, EventKind::Stopped { reason, duration_ms, .. }) => format!("{name}:{reason}@{duration_ms}"),
        Action::Tell(name, EventKind::Completed { duration_ms, .. }) => format!("{name}:completed@{duration_ms}"),
        Action::Tell(name, EventKind::Failed { code, .. }) => format!("{name}:{}", code.as_str()),
        Action::Tell(name, other) => format!("{name}:{other:?}"),
    };
    actions.iter().map(word).collect::<Vec<_>>().join(" ")
}

#[test]
fn mix_plays_at_once_on_any_track() {
    let mut table = Table::new(Overlap::Mix);
    assert_eq!(table.play("a", 0, false), "open1");
    assert_eq!(table.play("b", 0, false), "open2");
    assert_eq!(table.play("c", 7, false), "open3");
    assert_eq!(table.ready(2), "start2");
    assert_eq!(table.ready(1), "start1");
    assert_eq!(table.live(), "a:playing b:playing c:loading");
    assert_eq!(table.ended(2), "b:completed@10");
}

#[test]
fn stop_other_ends_everything_on_all_tracks_in_every_phase() {
    for overlap in [Overlap::Mix, Overlap::Queue, Overlap::Replace] {
        let mut table = Table::new(overlap);
        table.play("playing", 0, false);
        table.ready(1);
        table.play("loading", 1, false);
        let queue = overlap == Overlap::Queue;
        if queue {
            table.play("waiting", 0, false);
        }
        let expected = match queue {
            true => "fade1/240 discard2 loading:replaced@0 discard3 waiting:replaced@0 open4",
            false => "fade1/240 discard2 loading:replaced@0 open3",
        };
        assert_eq!(table.play("urgent", 2, true), expected, "{overlap:?}");
        assert_eq!(table.live(), "playing:stopping urgent:loading");
    }
}

#[test]
fn queue_waits_its_turn_on_its_own_track_and_tracks_run_in_parallel() {
    let mut table = Table::new(Overlap::Queue);
    assert_eq!(table.play("a", 0, false), "open1");
    assert_eq!(table.play("b", 0, false), "b:queued1 open2", "the next in line is opened ahead of its turn");
    assert_eq!(table.play("c", 0, false), "c:queued2");
    assert_eq!(table.play("other", 1, false), "open4");
    assert_eq!(table.ready(1), "start1");
    assert_eq!(table.ready(2), "", "ready, but it is not its turn");
    assert_eq!(table.live(), "a:playing b:queued1 c:queued2 other:loading");
    assert_eq!(table.ended(1), "a:completed@10 start2 open3");
    assert_eq!(table.ended(2), "b:completed@10");
    assert_eq!(table.live(), "c:loading other:loading");
    assert_eq!(table.ready(3), "start3", "its turn came while it loaded");
}

#[test]
fn queue_goes_on_when_the_one_before_fails_or_is_stopped() {
    let mut table = Table::new(Overlap::Queue);
    for name in ["a", "b", "c", "d"] {
        table.play(name, 0, false);
    }
    let failure = speaker_session::error::SpeakerError::new(Code::Decode, "broken");
    assert_eq!(words(&table.registry.ended(1, Ending::Failed(failure), 0)), "a:ERR_DECODE open3");
    table.ready(2);
    assert_eq!(table.stop(Target::Request("c".into())), ("c".into(), "discard3 c:user@0".into()));
    assert_eq!(table.stop(Target::Request("b".into())), ("b".into(), "fade2/240 open4".into()));
    assert_eq!(table.live(), "b:stopping d:loading");
}

#[test]
fn replace_takes_the_place_on_its_track_and_mixes_across_tracks() {
    let mut table = Table::new(Overlap::Replace);
    table.play("a", 0, false);
    table.ready(1);
    assert_eq!(table.play("other", 1, false), "open2");
    assert_eq!(table.play("b", 0, false), "fade1/240 open3");
    assert_eq!(table.play("c", 0, false), "fade1/240 discard3 b:replaced@0 open4", "replaced before it sounded");
    assert_eq!(table.live(), "a:stopping other:loading c:loading");
}

#[test]
fn the_eleventh_concurrent_playback_is_refused_and_nothing_else_changes() {
    let mut table = Table::new(Overlap::Mix);
    (0..10).for_each(|n| assert_eq!(table.play(&format!("p{n}"), n, false), format!("open{}", n + 1)));
    let before = table.live();
    assert_eq!(table.play("p10", 0, false), "ERR_TOO_MANY_PLAYBACKS too many concurrent playbacks (max 10)");
    assert_eq!(table.live(), before);
    assert!(table.play("urgent", 0, true).ends_with("open11"), "who stops the others has room");
}

#[test]
fn one_place_above_the_limit_is_kept_for_a_system_message() {
    let mut table = Table::with(Overlap::Mix, 1, 0);
    let full = "ERR_TOO_MANY_PLAYBACKS too many concurrent playbacks (max 1)";
    assert_eq!(table.play("media", 0, false), "open1");
    assert_eq!(table.play_as("system", Role::System), "open2");
    assert_eq!(table.play_as("another", Role::System), full, "there is only one such place");
    assert_eq!(table.play_as("voice", Role::Voice), full, "it is kept for no other role");
    table.ended(1);
    assert_eq!(table.play("more", 0, false), "open3", "a system message takes nobody's place");
    table.ended(3);
    assert_eq!(table.play_as("second", Role::System), "open4", "the places of the others are for all");
    assert_eq!(table.play("late", 0, false), full);
    table.ended(2);
    assert_eq!(table.play("later", 0, false), "open5", "the one that is left moves to the kept place");
}

#[test]
fn what_fades_out_takes_no_place_and_replacing_frees_one() {
    let mut table = Table::with(Overlap::Replace, 1, 0);
    table.play("a", 0, false);
    table.ready(1);
    assert_eq!(table.play("b", 1, false), "ERR_TOO_MANY_PLAYBACKS too many concurrent playbacks (max 1)");
    assert_eq!(table.play("c", 0, false), "fade1/240 open2");
    assert_eq!(table.stop(Target::All).0, "c");
    assert_eq!(table.play("d", 1, false), "open3", "a still fades");
}

#[test]
fn a_full_queue_refuses_and_a_zero_queue_takes_none() {
    let mut table = Table::with(Overlap::Queue, 10, 1);
    table.play("a", 0, false);
    table.play("b", 0, false);
    assert_eq!(table.play("c", 0, false), "ERR_QUEUE_FULL too many queued playbacks (max 1)");
    assert_eq!(table.play("d", 1, false), "open3", "a free track has no queue");
    let mut table = Table::with(Overlap::Queue, 10, 0);
    table.play("a", 0, false);
    assert_eq!(table.play("b", 0, false), "ERR_QUEUE_FULL too many queued playbacks (max 0)");
}

#[test]
fn a_request_id_is_unique_while_live() {
    let mut table = Table::new(Overlap::Mix);
    table.play("a", 0, false);
    table.ready(1);
    let refused = "ERR_DUPLICATE_REQUEST Expected a requestId that is not live for playAudio but received \"a\"";
    assert_eq!(table.play("a", 0, true), refused);
    assert_eq!(table.live(), "a:playing", "a refused stopOther stops nobody");
    table.stop(Target::All);
    assert_eq!(table.play("a", 0, false), refused, "it fades: its last event is still to come");
    table.ended(1);
    assert_eq!(table.play("a", 0, false), "open2");
}

#[test]
fn stop_reaches_one_request_one_track_or_everything() {
    let fill = || {
        let mut table = Table::new(Overlap::Mix);
        for (name, track) in [("a", 0), ("b", 1), ("c", 1), ("d", 2)] {
            table.play(name, track, false);
        }
        table.ready(2);
        table
    };
    let cases = [
        (Target::Request("b".into()), "b", "fade2/240"),
        (Target::Track(1), "b c", "fade2/240 discard3 c:user@0"),
        (Target::All, "a b c d", "discard1 a:user@0 fade2/240 discard3 c:user@0 discard4 d:user@0"),
        (Target::Request("nobody".into()), "", ""),
        (Target::Track(9), "", ""),
    ];
    for (target, stopped, actions) in cases {
        assert_eq!(fill().stop(target.clone()), (stopped.into(), actions.into()), "{target:?}");
    }
}

#[test]
fn of_two_stops_the_first_has_the_say_and_the_second_may_only_be_shorter() {
    let mut table = Table::new(Overlap::Mix);
    table.play("a", 0, false);
    table.ready(1);
    table.registry.stop(&Target::All, "first", 48_000);
    let (stopped, actions) = table.registry.stop(&Target::All, "second", FADE);
    assert_eq!((stopped.len(), words(&actions).as_str()), (0, "fade1/240"));
    assert_eq!(words(&table.registry.ended(1, Ending::Stopped, 96)), "a:first@2");
    assert_eq!(table.ended(1), "", "nothing ends twice");
}

#[test]
fn what_was_heard_to_its_end_is_completed_even_if_a_stop_was_on_its_way() {
    let mut table = Table::new(Overlap::Mix);
    table.play("a", 0, false);
    table.ready(1);
    table.stop(Target::All);
    assert_eq!(table.ended(1), "a:completed@10");
}

#[test]
fn what_is_stopped_before_its_first_sample_was_never_heard() {
    let mut table = Table::new(Overlap::Mix);
    table.play("a", 0, false);
    assert_eq!(words(&table.registry.ready(1)), "start1");
    assert_eq!(table.stop(Target::All).1, "discard1 a:user@0");
    assert!(!table.registry.begin(1), "cancelled between its cue and its first sample");
}

#[test]
fn late_news_of_a_playback_that_is_gone_changes_nothing() {
    let mut table = Table::new(Overlap::Mix);
    table.play("a", 0, false);
    table.stop(Target::All);
    assert_eq!((table.ready(1), table.ended(1), table.live()), Default::default());
}

#[test]
fn a_closed_session_takes_no_request_and_missing_ids_are_made_up() {
    let mut registry = Table::new(Overlap::Mix).registry;
    assert_ne!(registry.make_up_name(), registry.make_up_name());
    registry.close();
    assert_eq!(registry.play(entry("a", 0, false)).err().map(|error| error.code), Some(Code::Closed));
}
