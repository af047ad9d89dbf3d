//! Admission: names and limits.

use speaker_session::internals::error::Code;
use speaker_session::internals::event::EventKind;
use speaker_session::internals::ids::PlaybackId;
use speaker_session::internals::mixer::Role;
use speaker_session::internals::session::{
    Clock, OnDuplicate, Options, Overlap, PlayRequest, Policy, Target, WallTime,
};

use crate::table::{FIRST, Table, named, options, request, rules, stream};

const FULL: &str = "failed(ERR_TOO_MANY_PLAYBACKS)";

fn limited(overlap: Overlap, max_concurrent: usize, max_queued: usize) -> Table {
    Table::with(Policy { max_concurrent, max_queued, ..rules(overlap) })
}

#[test]
fn refuses_the_eleventh_concurrent_playback() {
    let mut table = Table::new(Overlap::Mix);
    for track in 0..10 {
        let name = format!("p{track}");
        assert_eq!(table.play(&name, track), format!("open {name}"));
    }
    let before = table.live();
    assert_eq!(table.play("p10", 0), format!("p10:{FULL}"));
    let EventKind::Failed { message, .. } = &table.events.last().unwrap().kind else { panic!("it failed") };
    assert_eq!(message, "Expected at most 10 playbacks at once (maxConcurrent) but received one more");
    assert_eq!(table.live(), before);
    let urgent = PlayRequest { stop_other: true, ..request("urgent") };
    assert!(table.enter(urgent).ends_with("open urgent"), "who stops the others has room");
}

#[test]
fn system_role_has_an_extra_place() {
    let mut table = limited(Overlap::Mix, 1, 0);
    assert_eq!(table.play("media", 0), "open media");
    assert_eq!(table.play_as("system", Role::System), "open system");
    assert_eq!(table.play_as("another", Role::System), format!("another:{FULL}"), "there is only one such place");
    assert_eq!(table.play_as("voice", Role::Voice), format!("voice:{FULL}"), "it is kept for no other role");
    table.stop(named("media"));
    assert_eq!(table.play("more", 0), "open more", "a system message takes nobody's place");
    table.stop(named("more"));
    assert_eq!(table.play_as("second", Role::System), "open second", "the places of the others are for all");
    assert_eq!(table.play("late", 0), format!("late:{FULL}"));
    table.stop(named("system"));
    assert_eq!(table.play("later", 0), "open later", "the one that is left moves to the kept place");
}

#[test]
fn fades_take_no_place() {
    let mut table = limited(Overlap::Replace, 1, 0);
    table.play("a", 0);
    table.ready("a");
    assert_eq!(table.play("b", 1), format!("b:{FULL}"));
    assert_eq!(table.play("c", 0), "open c", "it replaces a");
    assert_eq!(table.stop(Target::All).0, "c");
    assert_eq!(table.play("d", 1), "open d");
    assert_eq!(table.live(), "a:stopping d:loading");
}

#[test]
fn refuses_requests_when_queue_is_full() {
    let mut table = limited(Overlap::Queue, 10, 1);
    table.play("a", 0);
    table.play("b", 0);
    assert_eq!(table.play("c", 0), "c:failed(ERR_QUEUE_FULL)");
    assert_eq!(table.play("d", 1), "open d", "a free track has no queue");
    let mut table = limited(Overlap::Queue, 10, 0);
    table.play("a", 0);
    assert_eq!(table.play("b", 0), "b:failed(ERR_QUEUE_FULL)");
}

#[test]
fn live_names_are_unique() {
    let mut table = Table::new(Overlap::Mix);
    table.play("a", 0);
    table.ready("a");
    let refused = "ERR_DUPLICATE_REQUEST Expected a requestId that is not live for playAudio but received \"a\"";
    assert_eq!(table.enter(PlayRequest { stop_other: true, ..request("a") }), refused);
    assert_eq!(table.live(), "a:playing", "a refused stopOther stops nobody");
    table.finish("a");
    assert_eq!(table.play("a", 0), "open a");
}

#[test]
fn stop_frees_the_name() {
    let mut table = Table::new(Overlap::Mix);
    table.play("a", 0);
    table.ready("a");
    assert_eq!(table.stop_within(named("a"), 1_500), ("a".into(), String::new()));
    assert_eq!(table.play("a", 0), "open a");
    assert_eq!(table.live(), "a:stopping a:loading");
    assert_eq!(table.ready("a"), "a:started");
    assert_eq!(table.frame(), "a:stopped(user)@51.25");
    assert_eq!(table.live(), "a:playing");
    assert_eq!(table.finish("a"), "a:completed");
    let ends: Vec<_> = table.events.iter().filter(|event| !matches!(event.kind, EventKind::Started { .. })).collect();
    let playbacks: Vec<_> = ends.iter().filter_map(|event| event.playback).collect();
    assert_eq!(playbacks, [1, 2].map(PlaybackId::from), "each has its own end");
}

#[test]
fn stop_by_name_reaches_both_namesakes() {
    let mut table = Table::new(Overlap::Mix);
    table.play("a", 0);
    table.ready("a");
    table.stop_within(named("a"), 48_000);
    table.play("a", 0);
    assert_eq!(table.stop(named("a")), ("a".into(), "a:stopped(user)@0".into()));
    assert_eq!(table.frame(), "a:stopped(user)@25", "the shorter fade holds");
}

#[test]
fn duplicate_can_replace_the_live_playback() {
    let mut table = Table::with(Policy { on_duplicate: OnDuplicate::Replace, ..rules(Overlap::Queue) });
    table.play("a", 0);
    assert_eq!(table.play("a", 1), "a:stopped(replaced)@0 open a", "what loads ends at once");
    table.ready("a");
    assert_eq!(table.play("b", 1), "b:queued1 open b");
    assert_eq!(table.play("b", 1), "b:stopped(replaced)@0 b:queued1 open b", "what waits loses its place");
    assert_eq!(table.play("a", 0), "open a");
    assert_eq!(table.live(), "a:stopping b:loading a:loading", "the next in line has its turn");
    assert_eq!(table.frame(), "a:stopped(replaced)@25");
    let ends = table.events.iter().filter(|event| matches!(event.kind, EventKind::Stopped { .. }));
    assert_eq!(ends.filter_map(|event| event.playback).collect::<Vec<_>>(), [1, 3, 2].map(PlaybackId::from));
}

#[test]
fn generates_missing_names() {
    let mut table = Table::new(Overlap::Mix);
    table.play("playback-2", 0);
    let nameless = || PlayRequest { request_id: None, ..request("") };
    assert_eq!(table.enter(nameless()), "open playback-3", "the other one is taken");
    assert_eq!(table.enter(nameless()), "open playback-4");
}

#[test]
fn closed_session_refuses_requests() {
    let mut table = Table::new(Overlap::Mix);
    table.session.close(None, table.at());
    let error = table.session.play(request("a"), table.at()).unwrap_err();
    assert_eq!(error.code, Code::Closed);
}

#[test]
fn start_timeout_applies_in_every_phase() {
    for clock in [Clock::Realtime, Clock::Manual] {
        let mut table = Table::made(Options { start_timeout: 48_000, ..options(clock, rules(Overlap::Queue)) });
        table.connect();
        table.play("a", 0);
        assert_eq!(table.session.start_deadline(), None, "it is not open yet");
        table.open("a");
        assert_eq!(table.session.start_deadline(), Some(WallTime(48_000)));
        table.hand("a").push(&[0.5; FIRST]);
        assert_eq!(table.session.start_deadline(), None, "it has begun");
        table.wall = 10_000;
        table.play("ahead", 0);
        table.open("ahead");
        table.wall = 20_000;
        table.play("silent", 1);
        table.open("silent");
        table.hand("silent").push(&[0.5; 100]);
        let (pipe, source) = stream();
        table.enter(PlayRequest { track: 2, source, ..request("stream") });
        table.open("stream");
        assert_eq!(table.give_up(57_999), "");
        assert_eq!(table.session.start_deadline(), Some(WallTime(58_000)));
        assert_eq!(table.give_up(58_000), "ahead:failed(ERR_START_TIMEOUT)");
        assert_eq!(table.session.start_deadline(), Some(WallTime(68_000)));
        assert_eq!(table.give_up(68_000), "", "what came of it is played first");
        assert_eq!(table.session.start_deadline(), None, "the writer of a stream decides");
        drop(pipe);
    }
}

#[test]
fn start_timeout_begins_with_the_opening() {
    let mut table = Table::made(Options { start_timeout: 48_000, ..options(Clock::Realtime, rules(Overlap::Queue)) });
    table.connect();
    table.play("a", 0);
    table.ready("a");
    table.play("b", 0);
    table.play("c", 0);
    table.open("b");
    table.wall = 40_000;
    table.stop(named("b"));
    assert_eq!(table.session.start_deadline(), None);
    table.open("c");
    assert_eq!(table.session.start_deadline(), Some(WallTime(88_000)));
}
