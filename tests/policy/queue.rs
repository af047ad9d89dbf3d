//! Who waits where, for how long, and who is next.

use speaker_session::error::Code;
use speaker_session::session::registry::{Ending, Registry};
use speaker_session::session::{Overlap, Policy, Target};

use crate::table::{Table, words};

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
    assert_eq!(table.ended(1), "a:completed@10 start2 c:queued1 open3");
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
    assert_eq!(
        words(&table.registry.ended(1, Ending::Failed(failure), 0, 0)),
        "a:ERR_DECODE broken c:queued1 open3 d:queued2"
    );
    table.ready(2);
    assert_eq!(table.stop(Target::Request("c".into())), ("c".into(), "discard3 c:user@0 d:queued1 open4".into()));
    assert_eq!(table.stop(Target::Request("b".into())), ("b".into(), "fade2/240".into()));
    assert_eq!(table.live(), "b:stopping d:loading");
}

/// A queue in which `first` plays and these wait.
fn line(waiting: &[(&str, i32)]) -> Table {
    let mut table = Table::new(Overlap::Queue);
    table.wait("first", 0, None);
    table.ready(1);
    for (name, priority) in waiting {
        table.wait(name, *priority, None);
    }
    table
}

#[test]
fn the_higher_priority_waits_in_front_and_of_equals_the_earlier_one() {
    let mut table = line(&[("a", 0), ("b", 5)]);
    assert_eq!(table.live(), "first:playing b:queued1 a:queued2");
    assert_eq!(table.wait("c", 5, None), "c:queued2 a:queued3", "a tie: behind b");
    assert_eq!(table.wait("d", -1, None), "d:queued4");
    assert_eq!(table.wait("e", 9, None), "e:queued1 open6 b:queued2 c:queued3 a:queued4 d:queued5");
    assert_eq!(table.live(), "first:playing e:queued1 b:queued2 c:queued3 a:queued4 d:queued5");
    assert_eq!(table.play("other", 1, false), "open7", "a line of its own");
}

#[test]
fn what_plays_is_not_overtaken() {
    let mut table = line(&[]);
    assert_eq!(table.wait("urgent", 1_000, None), "urgent:queued1 open2");
    assert_eq!(table.live(), "first:playing urgent:queued1");
}

#[test]
fn a_move_reaches_every_place_and_beyond_the_end_is_the_end() {
    for (place, expected) in [
        (1, "c:queued1 a:queued2 b:queued3 d:queued4"),
        (2, "a:queued1 c:queued2 b:queued3 d:queued4"),
        (3, "a:queued1 b:queued2 c:queued3 d:queued4"),
        (4, "a:queued1 b:queued2 d:queued3 c:queued4"),
        (99, "a:queued1 b:queued2 d:queued3 c:queued4"),
    ] {
        let mut table = line(&[("a", 0), ("b", 0), ("c", 0), ("d", 0)]);
        table.play("other", 1, false);
        table.play("waiting", 1, false);
        assert!(table.move_to("c", place).0);
        let expected = format!("first:playing {expected} other:loading waiting:queued1");
        assert_eq!(table.live(), expected, "{place}");
    }
}

#[test]
fn only_what_waits_can_be_moved() {
    let mut table = line(&[("a", 0)]);
    assert_eq!(table.move_to("first", 1), (false, String::new()), "it plays");
    assert_eq!(table.move_to("nobody", 1), (false, String::new()));
    assert_eq!(table.move_to("a", 1), (true, String::new()), "it is there");
    assert_eq!(table.live(), "first:playing a:queued1");
}

#[test]
fn what_is_moved_to_the_front_is_opened_and_everyone_whose_place_changed_is_told() {
    let mut table = line(&[("a", 0), ("b", 0), ("c", 0)]);
    assert_eq!(table.move_to("b", 1), (true, "b:queued1 open3 a:queued2".into()));
    assert_eq!(table.ended(1), "first:completed@10 a:queued1 c:queued2");
    assert_eq!(table.ready(3), "start3");
    assert_eq!(table.ended(3), "b:completed@10 c:queued1 open4", "a was opened before");
    assert_eq!(table.ready(2), "start2");
}

#[test]
fn who_comes_after_a_move_overtakes_nobody_of_its_own_priority() {
    let mut table = line(&[("low", -1), ("high", 1)]);
    table.move_to("low", 1);
    table.wait("middle", 0, None);
    assert_eq!(table.live(), "first:playing low:queued1 high:queued2 middle:queued3");
}

#[test]
fn patience_ends_at_its_sample_for_what_waits_and_for_nothing_else() {
    let mut table = line(&[]);
    table.wait("a", 0, Some(480));
    table.wait("b", 0, Some(960));
    table.wait("c", 0, None);
    assert_eq!(table.registry.deadline(), Some(480));
    assert_eq!(table.pass(479), "");
    let told = "discard2 a:ERR_QUEUE_TIMEOUT waited for its turn longer than 10 ms b:queued1 open3 c:queued2";
    assert_eq!(table.pass(1), told, "though it was loading ahead of its turn");
    assert_eq!(table.ready(2), "", "it loads too late");
    assert_eq!(table.ended(1), "first:completed@10 c:queued1 open4");
    assert_eq!(table.registry.deadline(), None);
    assert_eq!(table.pass(10_000), "", "b loads: its turn has come, and c waits for ever");
    assert_eq!(table.live(), "b:loading c:queued1");
}

#[test]
fn the_session_says_how_long_one_waits_that_does_not_and_zero_is_for_ever() {
    let policy =
        Policy { crossfade: 0, overlap: Overlap::Queue, max_concurrent: 10, max_queued: 10, queue_timeout: 480 };
    let mut table = Table { registry: Registry::new(policy), now: 96_000 };
    for (name, timeout) in [("first", Some(1)), ("patient", Some(0)), ("default", None), ("hasty", Some(240))] {
        table.wait(name, 0, timeout);
    }
    assert_eq!(table.registry.deadline(), Some(96_240));
    assert_eq!(table.pass(240), "discard4 hasty:ERR_QUEUE_TIMEOUT waited for its turn longer than 5 ms");
    assert!(table.pass(240).starts_with("discard3 default:ERR_QUEUE_TIMEOUT"));
    assert_eq!((table.pass(1_000_000), table.registry.deadline()), (String::new(), None));
    assert_eq!(table.live(), "first:loading patient:queued1", "what is first waits for its source, not for its turn");
}
