//! Who crosses over to whom.

use speaker_session::session::registry::Ending;
use speaker_session::session::{Overlap, Target};

use crate::table::{Table, words};

#[test]
fn the_next_in_line_has_its_turn_as_soon_as_the_end_is_near() {
    let mut table = Table::crossing(Overlap::Queue);
    table.play("a", 0, false);
    table.ready(1);
    table.play("b", 0, false);
    table.play("c", 0, false);
    table.ready(2);
    assert_eq!(table.near(1), "start2 c:queued1 open3");
    assert_eq!(table.live(), "a:playing b:playing c:queued1");
    assert_eq!(table.near(1), "", "told again for a short one");
    assert_eq!(table.ended(1), "a:completed@10", "b has the track");
    assert_eq!(table.near(2), "", "c loads");
    assert_eq!(table.ready(3), "start3");
}

#[test]
fn who_comes_when_the_end_is_near_need_not_wait() {
    let mut table = Table::crossing(Overlap::Queue);
    table.play("a", 0, false);
    table.ready(1);
    assert_eq!(table.near(1), "");
    assert_eq!(table.play("b", 0, false), "open2", "what crosses over takes no place, of which there is one");
    assert_eq!(table.play("c", 0, false), "c:queued1 open3");
}

#[test]
fn if_the_next_fails_the_one_behind_it_crosses_over() {
    let mut table = Table::crossing(Overlap::Queue);
    for name in ["a", "b", "c"] {
        table.play(name, 0, false);
    }
    table.ready(1);
    table.near(1);
    table.ready(3);
    let failure = speaker_session::error::SpeakerError::new(speaker_session::error::Code::File, "gone");
    let actions = table.registry.ended(2, Ending::Failed(failure), 0, 0);
    assert_eq!(words(&actions), "b:ERR_FILE gone start3");
    assert_eq!(table.live(), "a:playing c:loading");
}

#[test]
fn what_is_replaced_goes_on_until_its_successor_begins() {
    let mut table = Table::crossing(Overlap::Replace);
    table.play("a", 0, false);
    table.ready(1);
    assert_eq!(table.play("b", 0, false), "leave1/48000 open2");
    assert_eq!(table.live(), "a:stopping b:loading");
    assert_eq!(table.play("c", 0, false), "discard2 b:replaced@0 open3", "a goes on until c begins");
    assert_eq!(table.ready(3), "start3");
    assert_eq!(table.stop(Target::Request("c".into())).1, "fade3/240", "they have crossed over: a ends by itself");
}

#[test]
fn without_a_successor_what_is_replaced_ends_at_once() {
    let fill = || {
        let mut table = Table::crossing(Overlap::Replace);
        table.play("a", 0, false);
        table.ready(1);
        table.play("b", 0, false);
        table
    };
    let mut table = fill();
    let failure = speaker_session::error::SpeakerError::new(speaker_session::error::Code::File, "gone");
    assert_eq!(words(&table.registry.ended(2, Ending::Failed(failure), 0, 0)), "b:ERR_FILE gone fade1/240");
    assert_eq!(words(&table.registry.ended(1, Ending::Stopped, 960, 0)), "a:replaced@20");
    assert_eq!(fill().stop(Target::Request("b".into())).1, "discard2 b:user@0 fade1/240");
    assert_eq!(fill().stop(Target::All).1, "fade1/240 discard2 b:user@0", "once");
    assert_eq!(fill().play("urgent", 0, true), "fade1/240 discard2 b:replaced@0 open3", "stopOther is immediate");
    assert_eq!(fill().ended(1), "a:completed@10", "heard to its end meanwhile");
}

#[test]
fn on_another_track_nobody_leaves() {
    let mut table = Table::crossing(Overlap::Replace);
    table.play("a", 0, false);
    table.ready(1);
    assert_eq!(table.play("b", 1, false), "b:ERR_TOO_MANY_PLAYBACKS too many concurrent playbacks (max 1)");
    assert_eq!(table.live(), "a:playing");
}
