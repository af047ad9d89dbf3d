//! Events of the output, and events that are held for it.

use speaker_session::internals::error::{Code, SpeakerError};
use speaker_session::internals::event::EventKind;
use speaker_session::internals::mixer::{Routing, Scratch};
use speaker_session::internals::output::{OutputEvent, UnheardPolicy};
use speaker_session::internals::session::{Clock, Options, Overlap, Policy, Step, Target, WallTime};

use crate::table::{Table, named, options, rules, ticket};

fn full_disk() -> SpeakerError {
    SpeakerError::new(Code::Output, "the disk is full")
}

#[test]
fn started_never_precedes_connected() {
    let mut table = Table::closed(Clock::Realtime, rules(Overlap::Mix));
    assert_eq!(table.play("a", 0), "open a");
    assert_eq!(table.outputs(), "open");
    assert_eq!(table.ready("a"), "", "the output is not open");
    assert_eq!(table.frames(2), "");
    assert_eq!(table.output(OutputEvent::Connected), "connected");
    assert_eq!(table.frame(), "a:started");
}

#[test]
fn starts_once_the_stream_is_open() {
    let mut table = Table::made(Options { routing: Routing::PerTrack, ..options(Clock::Realtime, Policy::default()) });
    table.connect();
    table.play("a", 3);
    table.ready("a");
    assert_eq!((table.frame(), table.outputs()), (String::new(), "prepare3".into()));
    assert_eq!((table.frame(), table.outputs()), (String::new(), String::new()), "asked for once");
    table.output(OutputEvent::Opened(3));
    assert_eq!(table.frame(), "a:started");
}

#[test]
fn requests_a_refused_stream_again() {
    let mut table = Table::made(Options { routing: Routing::PerTrack, ..options(Clock::Realtime, Policy::default()) });
    table.connect();
    table.play("a", 3);
    table.ready("a");
    assert_eq!(table.outputs(), "prepare3");
    assert_eq!(table.output(OutputEvent::Refused { stream: 3, error: full_disk() }), "a:failed(ERR_OUTPUT)");
    table.play("b", 3);
    table.ready("b");
    assert_eq!(table.outputs(), "prepare3");
    table.output(OutputEvent::Opened(3));
    assert_eq!(table.frame(), "b:started");
}

#[test]
fn holds_events_until_the_commit() {
    let mut table = Table::new(Overlap::Mix);
    table.play("a", 0);
    table.open("a");
    table.hand("a").push(&[0.5; 2_000]);
    table.play("b", 0);
    table.look();
    table.mix(960);
    assert_eq!(table.words(), "", "nobody heard it yet");
    assert_eq!(table.stop(named("b")).1, "", "an event of a call stands behind");
    assert_eq!(table.commit(Ok(())), "a:started b:stopped(user)@0");
}

#[test]
fn failed_commit_turns_completed_into_failed() {
    let mut table = Table::new(Overlap::Mix);
    table.play("a", 0);
    table.play("b", 0);
    table.play("c", 0);
    table.open("a");
    table.hand("a").push(&[0.5; 960]);
    table.hand("a").end(Ok(()));
    table.ready("b");
    let stats = table.session.stats();
    assert_eq!((stats.completed, stats.failed), (1, 0), "a is over");
    table.play("d", 0);
    table.ready_whole("d", 960);
    table.play("e", 0);
    table.open("e");
    table.hand("e").push(&[0.5; 500]);
    table.hand("e").end(Ok(()));
    let reported = table.frame_with(Err(full_disk()));
    let expected = "e:started e:failed(ERR_OUTPUT) error(ERR_OUTPUT) b:failed(ERR_OUTPUT) c:failed(ERR_OUTPUT)";
    assert_eq!(reported, expected);
    let EventKind::Failed { duration_ms, .. } = table.events[table.events.len() - 4].kind else { panic!("it failed") };
    assert_eq!(duration_ms, 500.0 / 48.0);
    let stats = table.session.stats();
    assert_eq!((stats.completed, stats.failed), (2, 3));
    assert_eq!((table.live(), table.play("f", 0)), (String::new(), "open f".into()), "the session goes on");
    assert_eq!(table.ready("f"), "f:started");
}

#[test]
fn lost_output_fails_everything_and_reopens() {
    let mut table = Table::new(Overlap::Queue);
    table.play("a", 0);
    table.play("b", 0);
    table.ready("a");
    let lost = OutputEvent::Lost { error: full_disk(), reason: "removed".into() };
    assert_eq!(table.output(lost), "a:failed(ERR_OUTPUT) b:failed(ERR_OUTPUT) disconnected(removed)");
    assert_eq!(table.play("a", 0), "open a", "its name is free");
    assert_eq!(table.outputs(), "open");
}

#[test]
fn cut_output_pauses_or_drops_playbacks() {
    let mut table = Table::new(Overlap::Mix);
    table.play("a", 0);
    table.ready("a");
    assert_eq!(table.output(OutputEvent::MediaLost(UnheardPolicy::Pause)), "");
    table.play("b", 0);
    table.ready("b");
    assert_eq!(table.live(), "a:playing b:loading");
    assert_eq!(table.stop(named("a")).1, "a:stopped(user)@40-20", "no frame would carry its fade");
    assert_eq!(table.output(OutputEvent::MediaLost(UnheardPolicy::Drop)), "b:failed(ERR_DISCONNECTED)");
    assert_eq!(table.output(OutputEvent::Reconnected), "reconnected");
    table.play("c", 0);
    assert_eq!(table.ready("c"), "c:started");
}

#[test]
fn pausing_cut_ends_fades() {
    let mut table = Table::new(Overlap::Mix);
    table.play("a", 0);
    table.ready("a");
    assert_eq!(table.stop(named("a")).1, "", "it fades");
    assert_eq!(table.output(OutputEvent::MediaLost(UnheardPolicy::Pause)), "a:stopped(user)@20");
    assert_eq!(table.live(), "");
}

#[test]
fn stop_counts_if_its_fade_is_lost() {
    let losses: [fn(&mut Table) -> String; 4] = [
        |table| table.output(OutputEvent::Lost { error: full_disk(), reason: "removed".into() }),
        |table| table.output(OutputEvent::MediaLost(UnheardPolicy::Drop)),
        |table| table.output(OutputEvent::Failed(full_disk())),
        |table| table.frame_with(Err(full_disk())),
    ];
    for (index, lose) in losses.into_iter().enumerate() {
        let mut table = Table::new(Overlap::Mix);
        for name in ["a", "b"] {
            table.play(name, 0);
            table.ready(name);
        }
        assert_eq!(table.stop(named("a")).1, "", "it fades");
        let reported = lose(&mut table);
        assert!(reported.contains("a:stopped(user)@"), "{index}: {reported}");
        assert!(reported.contains("b:failed("), "{index}: {reported}");
        assert_eq!(table.live(), "");
    }
}

#[test]
fn connect_settles_when_open_or_lost() {
    let mut table = Table::closed(Clock::Realtime, rules(Overlap::Mix));
    table.session.connect(ticket(1));
    table.session.connect(ticket(2));
    assert_eq!((table.words(), table.outputs()), (String::new(), "open".into()));
    assert_eq!(
        table.output(OutputEvent::Lost { error: full_disk(), reason: "failed".into() }),
        "settled1(ERR_OUTPUT) settled2(ERR_OUTPUT)"
    );
    table.session.connect(ticket(3));
    table.outputs();
    assert_eq!(table.output(OutputEvent::Connected), "connected settled3");
    table.session.connect(ticket(4));
    assert_eq!(table.words(), "settled4");
}

/// On the manual clock the events do not depend on how long the output takes to open.
fn opening_by_hand() -> Table {
    let mut table = Table::closed(Clock::Manual, rules(Overlap::Queue));
    assert_eq!(table.play("a", 0), "open a");
    table.session.connect(ticket(8));
    assert_eq!(table.play("b", 0), "open b", "it stands behind the output");
    assert_eq!(table.stop(named("a")), ("a".into(), String::new()));
    assert_eq!(table.outputs(), "open");
    table
}

#[test]
fn connected_keeps_its_place_on_manual_clock() {
    let mut table = opening_by_hand();
    let reported = "connected settled8 b:queued1 a:stopped(user)@0";
    assert_eq!(table.output(OutputEvent::Connected), reported);
    assert_eq!(table.events.iter().map(|event| event.seq).collect::<Vec<_>>(), [1, 2, 3]);
    table.session.connect(ticket(9));
    assert_eq!((table.words(), table.outputs()), ("settled9".into(), String::new()));
}

#[test]
fn failed_opening_moves_later_events_up() {
    let mut table = opening_by_hand();
    let reported = "settled8(ERR_OUTPUT) b:queued1 a:stopped(user)@0 b:failed(ERR_OUTPUT)";
    assert_eq!(table.output(OutputEvent::Lost { error: full_disk(), reason: "failed".into() }), reported);
    assert_eq!(table.events.iter().map(|event| event.seq).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!((table.play("c", 0), table.outputs()), ("open c".into(), "open".into()));
    assert_eq!(table.output(OutputEvent::Connected), "connected");
    assert_eq!(table.events.last().unwrap().seq, 4);
}

#[test]
fn close_waits_for_an_output_being_opened() {
    for (event, reported) in [
        (OutputEvent::Connected, "connected settled8 b:queued1 a:stopped(user)@0 b:stopped(closed)@0"),
        (
            OutputEvent::Lost { error: full_disk(), reason: "failed".into() },
            "settled8(ERR_OUTPUT) b:queued1 a:stopped(user)@0 b:stopped(closed)@0",
        ),
    ] {
        let mut table = opening_by_hand();
        table.session.close(Some(ticket(9)), table.at());
        assert_eq!((table.words(), table.outputs()), (String::new(), "close".into()));
        let end = if matches!(event, OutputEvent::Connected) { "disconnected(closed) settled9" } else { "settled9" };
        assert_eq!(table.output(event), reported);
        table.session.closed(Ok(()));
        assert_eq!(table.words(), end);
    }
}

#[test]
fn abandoned_attempt_holds_no_events() {
    let mut table = Table::closed(Clock::Manual, rules(Overlap::Mix));
    table.session.connect(ticket(1));
    table.session.report_error(full_disk());
    table.session.connect(ticket(2));
    table.session.abandon(ticket(1));
    assert_eq!(table.words(), "settled1(ERR_ABORTED)", "at once");
    table.session.abandon(ticket(2));
    assert_eq!(
        (table.words(), table.outputs()),
        ("settled2(ERR_ABORTED) error(ERR_OUTPUT)".into(), "open give up".into())
    );
    assert_eq!(table.events[0].seq, 1);
}

#[test]
fn broken_session_emits_no_connected() {
    let mut table = opening_by_hand();
    table.session.break_down();
    let reported = "settled8(ERR_INTERNAL) b:queued1 a:stopped(user)@0 b:failed(ERR_INTERNAL) error(ERR_INTERNAL)";
    assert_eq!((table.words(), table.outputs()), (reported.into(), "close".into()));
    assert_eq!(table.output(OutputEvent::Connected), "", "it is closed next");
    table.session.close(Some(ticket(9)), table.at());
    table.session.closed(Ok(()));
    assert_eq!(table.words(), "settled9");
}

#[test]
fn ignores_events_of_an_abandoned_output() {
    let mut table = Table::closed(Clock::Realtime, rules(Overlap::Mix));
    table.session.connect(ticket(1));
    assert_eq!(table.outputs(), "open");
    table.session.abandon(ticket(1));
    table.session.connect(ticket(2));
    assert_eq!(table.output(OutputEvent::Connected), "settled1(ERR_ABORTED)");
    assert_eq!(table.outputs(), "give up open");
    assert_eq!(table.output(OutputEvent::Connected), "connected settled2");
}

#[test]
fn last_abandoned_connect_gives_up() {
    let mut table = Table::closed(Clock::Realtime, rules(Overlap::Mix));
    table.session.connect(ticket(1));
    table.session.connect(ticket(2));
    table.outputs();
    table.session.abandon(ticket(1));
    assert_eq!((table.words(), table.outputs()), ("settled1(ERR_ABORTED)".into(), String::new()));
    table.session.abandon(ticket(2));
    assert_eq!((table.words(), table.outputs()), ("settled2(ERR_ABORTED)".into(), "give up".into()));
    table.session.abandon(ticket(2));
    assert_eq!((table.words(), table.outputs()), Default::default());
}

#[test]
fn ignores_an_opening_after_giving_up() {
    let mut table = Table::closed(Clock::Realtime, rules(Overlap::Mix));
    table.session.connect(ticket(1));
    assert_eq!(table.outputs(), "open");
    table.session.abandon(ticket(1));
    assert_eq!(table.words(), "settled1(ERR_ABORTED)");
    assert_eq!(table.output(OutputEvent::Connected), "", "it is closed next");
    assert_eq!(table.outputs(), "give up");
    table.play("a", 0);
    table.ready("a");
    assert_eq!(table.outputs(), "open", "it can't be played into what is gone");
    assert_eq!(table.output(OutputEvent::Connected), "connected");
    assert_eq!(table.frame(), "a:started");
}

#[test]
fn reports_a_full_disk_once() {
    let mut table = Table::new(Overlap::Mix);
    table.play("a", 0);
    table.ready("a");
    assert_eq!(table.frame_with(Err(full_disk())), "error(ERR_OUTPUT) a:failed(ERR_OUTPUT)");
    assert_eq!(table.frame_with(Err(full_disk())), "");
    assert_eq!(table.output(OutputEvent::Failed(full_disk())), "", "it is the same when the clock rests");
    table.play("b", 0);
    table.open("b");
    table.hand("b").push(&[0.5; 2_000]);
    assert_eq!(table.frame_with(Err(full_disk())), "b:started b:failed(ERR_OUTPUT)");
    let other = SpeakerError::new(Code::Output, "the disk is gone");
    assert_eq!(table.frame_with(Err(other)), "error(ERR_OUTPUT)", "it is another failure");
    assert_eq!(table.frame(), "");
    assert_eq!(table.frame_with(Err(full_disk())), "error(ERR_OUTPUT)", "between them it was mended");
}

#[test]
fn advance_fails_if_the_output_fails() {
    let mut table = Table::closed(Clock::Manual, rules(Overlap::Mix));
    table.connect();
    for ticket in [2, 3].map(ticket) {
        table.session.advance(9_600, ticket).expect("the clock is manual");
    }
    assert_eq!(table.session.time_ahead(), 19_200);
    assert!(matches!(table.session.step(WallTime(0), true, &mut Scratch::default()), Step::Silence(9_600)));
    assert_eq!(table.commit(Err(full_disk())), "error(ERR_OUTPUT) settled2(ERR_OUTPUT) settled3(ERR_OUTPUT)");
    assert_eq!((table.session.time_ahead(), table.steps()), (9_600, String::new()));
}

#[test]
fn advance_keeps_an_abandoned_attempt() {
    let mut table = Table::closed(Clock::Manual, rules(Overlap::Mix));
    table.session.connect(ticket(1));
    table.session.advance(960, ticket(2)).expect("the clock is manual");
    assert_eq!(table.outputs(), "open");
    table.session.abandon(ticket(1));
    assert_eq!((table.words(), table.outputs()), ("settled1(ERR_ABORTED)".into(), String::new()));
    table.output(OutputEvent::Connected);
    assert_eq!(table.steps(), "settled2");
}

#[test]
fn manual_clock_waits_for_sources() {
    let mut table = Table::closed(Clock::Manual, rules(Overlap::Mix));
    table.connect();
    table.play("a", 0);
    assert_eq!(table.advance(480), "");
    table.open("a");
    assert_eq!(table.steps(), "");
    table.hand("a").push(&[0.5; 960]);
    assert_eq!(table.steps(), "", "too little to start");
    table.hand("a").end(Ok(()));
    assert_eq!(table.steps(), "a:started settled2");
    assert_eq!(table.session.now(), 480);
    assert_eq!(table.advance(1_000), "a:completed settled3");
    assert_eq!((table.session.now(), table.events.last().unwrap().at_ms), (1_480, 20.0));
    assert_eq!(table.stop(Target::All).0, "");
}
