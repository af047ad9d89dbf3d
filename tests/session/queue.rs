//! Queues: order, timeouts and the next in line.

use speaker_session::internals::event::EventKind;
use speaker_session::internals::ids::PlaybackId;
use speaker_session::internals::session::{Overlap, PlayRequest, Policy, Target, WallTime};

use crate::table::{Table, named, request, rules, stream};

/// A queue in which `first` plays and these wait, with these priorities.
fn line(waiting: &[(&str, i32)]) -> Table {
    let mut table = Table::new(Overlap::Queue);
    table.play("first", 0);
    table.ready("first");
    for (name, priority) in waiting {
        table.wait(name, *priority);
    }
    table
}

#[test]
fn each_track_has_its_own_queue() {
    let mut table = Table::new(Overlap::Queue);
    assert_eq!(table.play("a", 0), "open a");
    assert_eq!(table.play("b", 0), "b:queued1 open b", "the next in line is opened ahead of its turn");
    assert_eq!(table.play("c", 0), "c:queued2");
    assert_eq!(table.play("other", 1), "open other");
    assert_eq!(table.ready("a"), "a:started");
    assert_eq!(table.ready("b"), "", "ready, but it is not its turn");
    assert_eq!(table.live(), "a:playing other:loading b:queued1 c:queued2");
    assert_eq!(table.finish("a"), "a:completed c:queued1 b:started open c");
    assert_eq!(table.finish("b"), "b:completed");
    assert_eq!(table.live(), "c:loading other:loading");
    assert_eq!(table.ready("c"), "c:started", "its turn came while it loaded");
}

#[test]
fn goes_on_after_failures_and_stops() {
    let mut table = Table::new(Overlap::Queue);
    for name in ["a", "b", "c", "d"] {
        table.play(name, 0);
    }
    assert_eq!(table.fail("a"), "a:failed(ERR_FILE) c:queued1 open c");
    assert_eq!(table.ready("b"), "b:started");
    assert_eq!(table.stop(named("c")), ("c".into(), "c:stopped(user)@0 d:queued1 open d".into()));
    assert_eq!(table.stop(named("b")), ("b".into(), String::new()));
    assert_eq!(table.live(), "b:stopping d:loading");
}

#[test]
fn early_failure_leaves_the_line() {
    let mut table = line(&[("a", 0), ("b", 0)]);
    assert_eq!(table.fail("a"), "a:failed(ERR_FILE) b:queued1 open b");
    assert_eq!(table.live(), "first:playing b:queued1");
}

#[test]
fn higher_priorities_wait_in_front() {
    let mut table = line(&[("a", 0), ("b", 5)]);
    assert_eq!(table.live(), "first:playing b:queued1 a:queued2");
    assert_eq!(table.wait("c", 5), "c:queued2", "a tie: behind b");
    assert_eq!(table.wait("d", -1), "d:queued4");
    assert_eq!(table.wait("e", 9), "e:queued1 open e");
    assert_eq!(table.live(), "first:playing e:queued1 b:queued2 c:queued3 a:queued4 d:queued5");
    assert_eq!(table.play("other", 1), "open other", "a line of its own");
}

#[test]
fn priority_does_not_overtake_playing() {
    let mut table = line(&[]);
    assert_eq!(table.wait("urgent", 1_000), "urgent:queued1 open urgent");
    assert_eq!(table.live(), "first:playing urgent:queued1");
}

#[test]
fn reports_positions_on_arrival_and_at_front() {
    let mut table = line(&[]);
    assert_eq!(table.play("a", 0), "a:queued1 open a");
    assert_eq!(table.play("b", 0), "b:queued2");
    assert_eq!(table.play("c", 0), "c:queued3");
    assert_eq!(table.stop(named("a")).1, "a:stopped(user)@0 b:queued1 open b", "no event for c, which is second");
    assert_eq!(table.wait("d", 1), "d:queued1 open d", "no event for b, which is second");
    assert_eq!(table.stop(named("d")).1, "d:stopped(user)@0 b:queued1 open b", "but that it is first again");
    assert_eq!(table.stop(named("b")).1, "b:stopped(user)@0 c:queued1 open c");
}

#[test]
fn moves_to_every_position() {
    for (place, expected) in [
        (1, "c:queued1 a:queued2 b:queued3 d:queued4"),
        (2, "a:queued1 c:queued2 b:queued3 d:queued4"),
        (3, "a:queued1 b:queued2 c:queued3 d:queued4"),
        (4, "a:queued1 b:queued2 d:queued3 c:queued4"),
        (99, "a:queued1 b:queued2 d:queued3 c:queued4"),
    ] {
        let mut table = line(&[("a", 0), ("b", 0), ("c", 0), ("d", 0)]);
        table.play("other", 1);
        table.play("waiting", 1);
        let reported = match place {
            1 => "c:queued1 open c",
            2 => "c:queued2",
            3 => "",
            _ => "c:queued4",
        };
        assert_eq!(table.move_to("c", place), (true, reported.into()), "the event has its new position");
        let expected = format!("first:playing other:loading {expected} waiting:queued1");
        assert_eq!(table.live(), expected, "{place}");
    }
}

#[test]
fn moves_only_waiting_playbacks() {
    let mut table = line(&[("a", 0)]);
    assert_eq!(table.move_to("first", 1), (false, String::new()), "it plays");
    assert_eq!(table.move_to("nobody", 1), (false, String::new()));
    assert_eq!(table.move_to("a", 1), (true, String::new()), "it is there");
    assert_eq!(table.live(), "first:playing a:queued1");
}

#[test]
fn move_to_front_opens_the_source() {
    let mut table = line(&[("a", 0), ("b", 0), ("c", 0)]);
    assert_eq!(table.move_to("b", 1), (true, "b:queued1 open b".into()));
    assert_eq!(table.finish("first"), "first:completed a:queued1 open a", "a was given up");
    assert_eq!(table.ready("b"), "b:started");
    assert_eq!(table.finish("b"), "b:completed c:queued1 open c");
    assert_eq!(table.ready("a"), "a:started");
}

#[test]
fn moving_the_first_reports_the_next() {
    let mut table = line(&[("a", 0), ("b", 0), ("c", 0)]);
    assert_eq!(table.move_to("a", 2), (true, "a:queued2 b:queued1 open b".into()));
    assert_eq!(table.live(), "first:playing b:queued1 a:queued2 c:queued3");
}

#[test]
fn move_adopts_the_neighbours_priority() {
    let mut table = line(&[("low", -1), ("high", 1)]);
    table.move_to("low", 1);
    table.wait("middle", 0);
    assert_eq!(table.live(), "first:playing low:queued1 high:queued2 middle:queued3");
}

#[test]
fn opens_one_source_ahead() {
    let mut table = line(&[]);
    for priority in 1..20 {
        let name = format!("p{priority}");
        assert_eq!(table.wait(&name, priority), format!("{name}:queued1 open {name}"));
        table.open(&name);
        // The reader of the one before comes back, to be dropped outside of the session.
        assert_eq!(table.dropped_readers(), priority as usize - 1);
    }
    assert_eq!(table.stop(named("p19")).1, "p19:stopped(user)@0 p18:queued1 open p18", "opened anew");
}

#[test]
fn displaced_stream_stays_open() {
    let mut table = line(&[]);
    let (_pipe, source) = stream();
    assert_eq!(table.enter(PlayRequest { source, ..request("stream") }), "stream:queued1 open stream");
    table.open("stream");
    assert_eq!(table.wait("urgent", 1), "urgent:queued1 open urgent");
    table.open("urgent");
    assert_eq!(table.dropped_readers(), 0);
    assert_eq!(table.stop(named("urgent")).1, "urgent:stopped(user)@0 stream:queued1", "it is open already");
}

#[test]
fn refuses_a_late_reader() {
    let mut table = line(&[("a", 0), ("b", 5)]);
    assert_eq!(table.open("a"), "unwanted a", "b is opened in its place");
    assert_eq!(table.open("b"), "");
}

#[test]
fn queue_timeout_ends_at_its_sample() {
    let mut table = line(&[]);
    table.wait_for("a", 480);
    table.wait_for("b", 960);
    table.play("c", 0);
    assert_eq!(table.session.deadline(), Some(WallTime(480)));
    assert_eq!(table.pass(479), "");
    assert_eq!(table.pass(1), "a:failed(ERR_QUEUE_TIMEOUT) b:queued1 open b", "though it was loading ahead");
    let failed = &table.events[table.events.len() - 2].kind;
    assert!(
        matches!(failed, EventKind::Failed { message, .. } if message == "Expected a turn within 10 ms (queueTimeoutMs) but received none")
    );
    assert_eq!(table.open("a"), "unwanted a", "it loads too late");
    assert_eq!(table.finish("first"), "first:completed c:queued1 open c");
    assert_eq!(table.session.deadline(), None);
    assert_eq!(table.pass(10_000), "", "b loads: its turn has come, and c waits for ever");
    assert_eq!(table.live(), "b:loading c:queued1");
}

#[test]
fn session_has_a_default_queue_timeout() {
    let mut table = Table::with(Policy { queue_timeout: 480, ..rules(Overlap::Queue) });
    table.pass(96_000);
    table.wait_for("first", 1);
    table.wait_for("patient", 0);
    table.play("default", 0);
    table.wait_for("hasty", 240);
    assert_eq!(table.session.deadline(), Some(WallTime(96_240)));
    assert_eq!(table.pass(240), "hasty:failed(ERR_QUEUE_TIMEOUT)");
    assert_eq!(table.pass(240), "default:failed(ERR_QUEUE_TIMEOUT)");
    assert_eq!((table.pass(1_000_000), table.session.deadline()), (String::new(), None));
    assert_eq!(table.live(), "first:loading patient:queued1", "the first waits for its source, not for its turn");
}

#[test]
fn new_queue_timeout_wakes_the_driver() {
    let mut table = line(&[("a", 0)]);
    table.open("a");
    table.session.play(PlayRequest { queue_timeout: Some(480), ..request("b") }, table.at()).expect("it is accepted");
    assert!(table.session.take_work().wakes_driver, "its deadline is the first one");
}

#[test]
fn paused_track_stops_queue_timeouts() {
    let mut table = line(&[]);
    table.wait_for("a", 1_000);
    table.pass(400);
    assert_eq!(table.pause(named("first")).0, "first");
    assert_eq!((table.session.deadline(), table.pass(50_000)), (None, String::new()));
    table.wait_for("b", 500);
    table.pass(50_000);
    assert_eq!(table.resume(named("first")).0, "first");
    assert_eq!(table.session.deadline(), Some(WallTime(100_900)));
    assert_eq!(table.pass(499), "");
    assert_eq!(table.pass(1), "b:failed(ERR_QUEUE_TIMEOUT)");
    assert_eq!(table.pass(99), "");
    assert_eq!(table.pass(1), "a:failed(ERR_QUEUE_TIMEOUT)");
}

#[test]
fn queue_timeout_runs_while_anything_plays() {
    let mut table = line(&[]);
    table.enter(PlayRequest { overlap: Some(Overlap::Mix), ..request("bell") });
    table.wait_for("a", 1_000);
    table.pause(named("first"));
    assert_eq!(table.frame(), "first:paused@25");
    assert_eq!(table.session.deadline(), Some(WallTime(1_000)), "the bell is not paused");
    table.pause(named("bell"));
    assert_eq!(table.session.deadline(), None);
    table.pass(500);
    assert_eq!(table.stop(named("first")).1, "first:stopped(user)@25");
    assert_eq!(table.session.deadline(), None, "the bell is paused");
    table.pass(500);
    assert_eq!(table.stop(named("bell")).1, "bell:stopped(user)@0");
    assert_eq!(table.live(), "a:loading");
}

#[test]
fn pausing_a_waiting_playback_stops_its_timeout() {
    let mut table = line(&[]);
    table.wait_for("a", 1_000);
    table.wait_for("b", 2_000);
    table.pass(400);
    assert_eq!(table.pause(named("a")), ("a".into(), "a:paused@0".into()));
    assert_eq!(table.session.deadline(), Some(WallTime(2_000)), "b is not paused");
    assert_eq!(table.pass(1_600), "b:failed(ERR_QUEUE_TIMEOUT)");
    assert_eq!(table.pass(50_000), "");
    table.resume(named("a"));
    assert_eq!(table.session.deadline(), Some(WallTime(52_600)));
    assert_eq!((table.pass(599), table.pass(1)), (String::new(), "a:failed(ERR_QUEUE_TIMEOUT)".into()));
}

#[test]
fn twenty_thousand_can_wait_and_stop() {
    const COUNT: usize = 20_000;
    let mut table = Table::with(Policy { max_queued: COUNT, ..rules(Overlap::Queue) });
    table.play("first", 0);
    for index in 0..COUNT {
        let request = PlayRequest { priority: (index % 7) as i32, ..request(&format!("w{index}")) };
        table.session.play(request, table.at()).expect("it is accepted");
    }
    let all = table.session.playbacks();
    assert_eq!(all.len(), COUNT + 1);
    table.stop_quietly(Target::All);
    let events = table.take_events();
    assert!(events.iter().enumerate().all(|(index, event)| event.seq == events[0].seq + index as u64));
    let queued = events.iter().filter(|event| matches!(event.kind, EventKind::Queued { .. }));
    assert_eq!(queued.count(), COUNT, "reported on arrival");
    let mut ended: Vec<_> = events
        .iter()
        .filter(|event| matches!(event.kind, EventKind::Stopped { .. }))
        .filter_map(|event| event.playback)
        .collect();
    ended.sort_unstable();
    assert_eq!(ended, (1..=COUNT as u64 + 1).map(PlaybackId::from).collect::<Vec<_>>());
    assert_eq!(events.len(), 2 * COUNT + 1, "nobody has his turn meanwhile");
    assert!(table.session.playbacks().is_empty());
}

#[test]
fn empty_source_completes_without_starting() {
    let mut table = line(&[("empty", 0), ("next", 0)]);
    table.open("empty");
    table.hand("empty").end(Ok(()));
    let reported = "first:completed next:queued1 empty:completed open next";
    assert_eq!(table.finish("first"), reported);
    assert_eq!(table.ready("next"), "next:started");
    let empty = table.events.iter().find(|event| matches!(event.kind, EventKind::Completed { duration_ms: 0.0, .. }));
    assert_eq!(empty.and_then(|event| event.request_id.as_deref()), Some("empty"));
}
