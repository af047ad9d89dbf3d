//! Who is stopped, with which words.

use speaker_session::session::registry::Ending;
use speaker_session::session::{Overlap, Target};

use crate::table::{FADE, Table, words};

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
