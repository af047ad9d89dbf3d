//! What is done to live playbacks.

use speaker_session::error::Code;
use speaker_session::session::registry::Entry;
use speaker_session::session::{Overlap, Target};
use speaker_session::source::Seekable;

use crate::table::{Table, entry, words};

#[test]
fn pause_reaches_what_plays_loads_and_waits_and_nobody_twice() {
    let mut table = Table::new(Overlap::Queue);
    for (name, track) in [("playing", 0), ("waiting", 0), ("loading", 1), ("other", 2)] {
        table.play(name, track, false);
    }
    table.ready(1);
    assert_eq!(table.pause(Target::Track(0)), ("playing waiting".into(), "pause1 pause2 waiting:paused@0".into()));
    assert_eq!(
        table.pause(Target::All),
        ("loading other".into(), "pause3 loading:paused@0 pause4 other:paused@0".into())
    );
    assert_eq!(table.pause(Target::All), Default::default());
    assert_eq!(table.live(), "playing:playing waiting:queued1 loading:loading other:loading", "each keeps its place");
}

#[test]
fn what_is_paused_before_it_sounds_starts_when_it_is_resumed_and_ready() {
    let mut table = Table::new(Overlap::Mix);
    table.play("a", 0, false);
    table.pause(Target::All);
    assert_eq!(table.ready(1), "", "it waits");
    assert_eq!(table.resume(Target::All), ("a".into(), "resume1 a:resumed@0 start1".into()));
    assert_eq!(table.resume(Target::All), Default::default());

    table.play("b", 0, false);
    table.pause(Target::Request("b".into()));
    assert_eq!(table.resume(Target::All), ("b".into(), "resume2 b:resumed@0".into()), "not ready yet");
    assert_eq!(table.ready(2), "start2");
}

#[test]
fn what_is_paused_between_its_cue_and_its_first_sample_does_not_begin() {
    let mut table = Table::new(Overlap::Mix);
    table.play("a", 0, false);
    assert_eq!(words(&table.registry.ready(1)), "start1");
    table.pause(Target::All);
    assert!(!table.registry.begin(1));
    assert_eq!(table.resume(Target::All).1, "resume1 a:resumed@0 start1", "it is cued again");
}

#[test]
fn a_paused_one_holds_its_track_and_its_turn() {
    let mut table = Table::new(Overlap::Queue);
    for name in ["a", "b", "c"] {
        table.play(name, 0, false);
    }
    table.ready(1);
    table.ready(2);
    table.pause(Target::Request("b".into()));
    assert_eq!(table.ended(1), "a:completed@10 c:queued1 open3", "b has its turn, and waits");
    assert_eq!(table.live(), "b:loading c:queued1");
    assert_eq!(table.resume(Target::Request("b".into())).1, "resume2 b:resumed@0 start2");
}

#[test]
fn what_fades_out_is_neither_paused_nor_resumed() {
    let mut table = Table::new(Overlap::Mix);
    table.play("a", 0, false);
    table.ready(1);
    table.pause(Target::All);
    assert_eq!(table.stop(Target::All).1, "fade1/240");
    assert_eq!(table.resume(Target::All), Default::default());
    assert_eq!(table.pause(Target::All), Default::default());
}

#[test]
fn a_volume_reaches_every_phase_and_what_fades_out_too() {
    let mut table = Table::new(Overlap::Queue);
    for (name, track) in [("fading", 0), ("next", 0), ("waiting", 0), ("other", 1)] {
        table.play(name, track, false);
    }
    table.ready(1);
    table.stop(Target::Request("fading".into()));
    let (changed, actions) = table.registry.set_volume(&Target::Track(0), 0.5, 48);
    assert_eq!(
        (changed.join(" "), words(&actions)),
        ("fading next waiting".into(), "volume1=0.5/48 volume2=0.5/48 volume3=0.5/48".into())
    );
}

#[test]
fn a_seek_tells_at_once_of_what_does_not_sound_and_spares_what_fades_out() {
    let mut table = Table::new(Overlap::Queue);
    for (name, track) in [("playing", 0), ("waiting", 0), ("loading", 1), ("fading", 2)] {
        table.play(name, track, false);
    }
    table.ready(1);
    table.ready(4);
    table.stop(Target::Track(2));
    let (sought, actions) = table.registry.seek(&Target::All, 480);
    assert_eq!(sought.unwrap().join(" "), "playing waiting loading");
    assert_eq!(words(&actions), "seek1=480 seek2=480 waiting:sought@10 seek3=480 loading:sought@10");
    assert_eq!(table.ready(3), "start3", "ready again, at its new place");
}

#[test]
fn one_that_can_not_be_sought_keeps_all_where_they_are() {
    let mut table = Table::new(Overlap::Mix);
    table.play("a", 0, false);
    table.enter(Entry { seekable: Seekable::new(false), ..entry("live", 0, false) });
    let (refused, actions) = table.registry.seek(&Target::All, 480);
    assert_eq!((refused.unwrap_err().code, actions.len()), (Code::NotSeekable, 0));
    assert!(table.registry.seek(&Target::Request("a".into()), 480).0.is_ok());
}
