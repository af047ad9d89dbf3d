//! Crossfades between playbacks of one track.

use speaker_session::internals::session::{Overlap, PlayRequest, Policy, Target};

use crate::table::{Table, named, request, rules};

/// 100 ms.
const CROSSFADE: u64 = 4_800;

/// With one place, and a crossfade.
fn crossing(overlap: Overlap) -> Table {
    Table::with(Policy { crossfade: CROSSFADE, max_concurrent: 1, ..rules(overlap) })
}

/// A queue in which `a` plays and is 100 ms from its end.
fn approaching() -> Table {
    let mut table = crossing(Overlap::Queue);
    table.play("a", 0);
    table.ready_whole("a", 9_600);
    table
}

#[test]
fn approaching_end_advances_the_line() {
    let mut table = approaching();
    table.play("b", 0);
    table.play("c", 0);
    assert_eq!(table.ready_whole("b", 9_600), "");
    assert_eq!(table.frames(4), "c:queued1 b:started open c");
    assert_eq!(table.live(), "a:playing b:playing c:queued1");
    assert_eq!(table.frames(6), "a:completed", "b has the track");
    assert_eq!(table.ready("c"), "c:started");
}

#[test]
fn request_near_the_end_does_not_wait() {
    let mut table = approaching();
    assert_eq!(table.frames(5), "");
    assert_eq!(table.play("b", 0), "open b", "what crosses over takes no place, of which there is one");
    assert_eq!(table.play("c", 0), "c:queued1 open c");
}

#[test]
fn failed_successor_passes_the_crossfade_on() {
    let mut table = approaching();
    table.play("b", 0);
    table.play("c", 0);
    assert_eq!(table.frames(5), "c:queued1 open c");
    table.ready("c");
    assert_eq!(table.fail("b"), "b:failed(ERR_FILE)");
    assert_eq!(table.frame(), "c:started");
    assert_eq!(table.live(), "a:playing c:playing");
}

#[test]
fn replaced_playback_waits_for_its_successor() {
    let mut table = Table::with(Policy { crossfade: CROSSFADE, ..rules(Overlap::Replace) });
    table.play("a", 0);
    table.ready("a");
    assert_eq!(table.play("b", 0), "open b");
    assert_eq!(table.live(), "a:stopping b:loading");
    assert_eq!(table.play("c", 0), "b:stopped(replaced)@0 open c", "a goes on until c begins");
    assert_eq!(table.ready("c"), "c:started");
    assert_eq!(table.stop(named("c")), ("c".into(), String::new()));
    assert_eq!(table.frame(), "c:stopped(user)@25", "they have crossed over: a ends by itself");
    assert_eq!(table.live(), "a:stopping");
}

#[test]
fn replaced_playback_ends_without_a_successor() {
    let fill = || {
        let mut table = crossing(Overlap::Replace);
        table.play("a", 0);
        table.ready("a");
        table.play("b", 0);
        table
    };
    let ends = "a:stopped(replaced)@25";
    let mut table = fill();
    assert_eq!(table.fail("b"), "b:failed(ERR_FILE)");
    assert_eq!(table.frame(), ends);
    for target in [named("b"), Target::All] {
        let mut table = fill();
        assert_eq!(table.stop(target).1, "b:stopped(user)@0");
        assert_eq!(table.frame(), ends);
    }
    let mut table = fill();
    let urgent = PlayRequest { stop_other: true, ..request("urgent") };
    assert_eq!(table.enter(urgent), "b:stopped(replaced)@0 open urgent");
    assert_eq!(table.frame(), ends, "stopOther is immediate");
    let mut table = fill();
    assert_eq!(table.finish("a"), "a:completed", "heard to its end meanwhile");
}

#[test]
fn empty_successor_ends_the_replaced_playback() {
    let mut table = crossing(Overlap::Replace);
    table.play("a", 0);
    table.ready("a");
    table.play("b", 0);
    assert_eq!(table.ready_whole("b", 0), "b:completed a:stopped(replaced)@25");
    assert_eq!(table.live(), "");
}

#[test]
fn mixing_playback_is_no_successor() {
    let fill = || {
        let mut table = Table::with(Policy { crossfade: CROSSFADE, ..rules(Overlap::Replace) });
        table.play("a", 0);
        table.ready("a");
        table.play("b", 0);
        table.enter(PlayRequest { overlap: Some(Overlap::Mix), ..request("bell") });
        table
    };
    let mut table = fill();
    assert_eq!(table.ready("bell"), "bell:started");
    assert_eq!(table.stop(named("b")).1, "b:stopped(user)@0");
    assert_eq!(table.frame(), "a:stopped(replaced)@45", "though the bell sounds");
    let mut table = fill();
    assert_eq!(table.stop(named("b")).1, "b:stopped(user)@0");
    assert_eq!(table.frame(), "a:stopped(replaced)@25", "though the bell loads");
}

#[test]
fn other_tracks_do_not_cross_over() {
    let mut table = crossing(Overlap::Replace);
    table.play("a", 0);
    table.ready("a");
    assert_eq!(table.play("b", 1), "b:failed(ERR_TOO_MANY_PLAYBACKS)");
    assert_eq!(table.live(), "a:playing");
}
