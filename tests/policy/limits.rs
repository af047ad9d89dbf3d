//! Who is taken: names and limits.

use speaker_session::error::Code;
use speaker_session::mixer::Role;
use speaker_session::session::{Overlap, Target};

use crate::table::{Table, entry};

#[test]
fn the_eleventh_concurrent_playback_is_refused_and_nothing_else_changes() {
    let mut table = Table::new(Overlap::Mix);
    (0..10).for_each(|n| assert_eq!(table.play(&format!("p{n}"), n, false), format!("open{}", n + 1)));
    let before = table.live();
    assert_eq!(table.play("p10", 0, false), "p10:ERR_TOO_MANY_PLAYBACKS too many concurrent playbacks (max 10)");
    assert_eq!(table.live(), before);
    assert!(table.play("urgent", 0, true).ends_with("open11"), "who stops the others has room");
}

#[test]
fn one_place_above_the_limit_is_kept_for_a_system_message() {
    let mut table = Table::with(Overlap::Mix, 1, 0);
    let full = |name: &str| format!("{name}:ERR_TOO_MANY_PLAYBACKS too many concurrent playbacks (max 1)");
    assert_eq!(table.play("media", 0, false), "open1");
    assert_eq!(table.play_as("system", Role::System), "open2");
    assert_eq!(table.play_as("another", Role::System), full("another"), "there is only one such place");
    assert_eq!(table.play_as("voice", Role::Voice), full("voice"), "it is kept for no other role");
    table.ended(1);
    assert_eq!(table.play("more", 0, false), "open3", "a system message takes nobody's place");
    table.ended(3);
    assert_eq!(table.play_as("second", Role::System), "open4", "the places of the others are for all");
    assert_eq!(table.play("late", 0, false), full("late"));
    table.ended(2);
    assert_eq!(table.play("later", 0, false), "open5", "the one that is left moves to the kept place");
}

#[test]
fn what_fades_out_takes_no_place_and_replacing_frees_one() {
    let mut table = Table::with(Overlap::Replace, 1, 0);
    table.play("a", 0, false);
    table.ready(1);
    assert_eq!(table.play("b", 1, false), "b:ERR_TOO_MANY_PLAYBACKS too many concurrent playbacks (max 1)");
    assert_eq!(table.play("c", 0, false), "fade1/240 open2");
    assert_eq!(table.stop(Target::All).0, "c");
    assert_eq!(table.play("d", 1, false), "open3", "a still fades");
}

#[test]
fn a_full_queue_refuses_and_a_zero_queue_takes_none() {
    let mut table = Table::with(Overlap::Queue, 10, 1);
    table.play("a", 0, false);
    table.play("b", 0, false);
    assert_eq!(table.play("c", 0, false), "c:ERR_QUEUE_FULL too many queued playbacks (max 1)");
    assert_eq!(table.play("d", 1, false), "open3", "a free track has no queue");
    let mut table = Table::with(Overlap::Queue, 10, 0);
    table.play("a", 0, false);
    assert_eq!(table.play("b", 0, false), "b:ERR_QUEUE_FULL too many queued playbacks (max 0)");
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
fn a_closed_session_takes_no_request_and_missing_ids_are_made_up() {
    let mut registry = Table::new(Overlap::Mix).registry;
    assert_ne!(registry.make_up_name(), registry.make_up_name());
    registry.close();
    assert_eq!(registry.play(entry("a", 0, false), 0).err().map(|error| error.code), Some(Code::Closed));
}
