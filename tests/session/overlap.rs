//! The effect of a request on playing playbacks.

use std::collections::BTreeMap;

use speaker_session::internals::session::{Overlap, PlayRequest, Policy};

use crate::table::{Table, request, rules};

#[test]
fn mix_plays_at_once_on_any_track() {
    let mut table = Table::new(Overlap::Mix);
    assert_eq!(table.play("a", 0), "open a");
    assert_eq!(table.play("b", 0), "open b");
    assert_eq!(table.play("c", 7), "open c");
    assert_eq!(table.ready("b"), "b:started");
    assert_eq!(table.ready("a"), "a:started");
    assert_eq!(table.live(), "a:playing b:playing c:loading");
    assert_eq!(table.finish("b"), "b:completed");
}

#[test]
fn stop_other_ends_every_phase() {
    for overlap in [Overlap::Mix, Overlap::Queue, Overlap::Replace] {
        let mut table = Table::new(overlap);
        table.play("playing", 0);
        table.ready("playing");
        table.play("loading", 1);
        let queue = overlap == Overlap::Queue;
        if queue {
            table.play("waiting", 0);
        }
        let expected = if queue {
            "loading:stopped(replaced)@0 waiting:stopped(replaced)@0 open urgent"
        } else {
            "loading:stopped(replaced)@0 open urgent"
        };
        let urgent = PlayRequest { track: 2, stop_other: true, ..request("urgent") };
        assert_eq!(table.enter(urgent), expected, "{overlap:?}");
        assert_eq!(table.live(), "playing:stopping urgent:loading");
        assert_eq!(table.frame(), "playing:stopped(replaced)@25");
    }
}

#[test]
fn replaces_only_on_its_track() {
    let mut table = Table::new(Overlap::Replace);
    table.play("a", 0);
    table.ready("a");
    assert_eq!(table.play("other", 1), "open other");
    assert_eq!(table.play("b", 0), "open b");
    assert_eq!(table.play("c", 0), "b:stopped(replaced)@0 open c", "replaced before it sounded");
    assert_eq!(table.live(), "a:stopping other:loading c:loading");
}

#[test]
fn effects_mix_beside_queued_sentences() {
    let mut table = Table::new(Overlap::Queue);
    let effect = |name: &str| PlayRequest { overlap: Some(Overlap::Mix), ..request(name) };
    table.play("first", 0);
    table.ready("first");
    assert_eq!(table.play("second", 0), "second:queued1 open second");
    assert_eq!(table.enter(effect("bell")), "open bell");
    assert_eq!(table.ready("bell"), "bell:started");
    assert_eq!(table.live(), "first:playing bell:playing second:queued1");
    table.ready("second");
    assert_eq!(table.finish("first"), "first:completed", "the bell holds the track");
    assert_eq!(table.finish("bell"), "bell:completed second:started");
    let replaces = PlayRequest { overlap: Some(Overlap::Replace), ..request("third") };
    assert_eq!(table.enter(replaces), "open third");
    assert_eq!(table.live(), "second:stopping third:loading");
}

#[test]
fn tracks_can_have_their_own_rule() {
    let track_overlap = BTreeMap::from([(1, Overlap::Queue), (2, Overlap::Replace)]);
    let mut table = Table::with(Policy { track_overlap, ..rules(Overlap::Mix) });
    for track in 0..3 {
        table.play(&format!("a{track}"), track);
    }
    assert_eq!(table.play("b0", 0), "open b0");
    assert_eq!(table.play("b1", 1), "b1:queued1 open b1");
    assert_eq!(table.play("b2", 2), "a2:stopped(replaced)@0 open b2");
    let mixes = PlayRequest { track: 1, overlap: Some(Overlap::Mix), ..request("c1") };
    assert_eq!(table.enter(mixes), "open c1", "the request stands above its track");
    assert_eq!(table.live(), "a0:loading a1:loading b0:loading b2:loading c1:loading b1:queued1");
}
