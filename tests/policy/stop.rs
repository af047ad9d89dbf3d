//! Who is stopped, with which words.

use speaker_session::mixer::Role;
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
    table.registry.stop(&Target::All, "first", 48_000, 0);
    let (stopped, actions) = table.registry.stop(&Target::All, "second", FADE, 0);
    assert_eq!((stopped.len(), words(&actions).as_str()), (0, "fade1/240"));
    assert_eq!(words(&table.registry.ended(1, Ending::Stopped, 96, 0)), "a:first@2");
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

#[test]
fn a_stop_that_comes_before_its_request_ends_it_when_it_comes_and_changes_nothing_else() {
    let mut table = Table::new(Overlap::Mix);
    table.play("a", 0, false);
    table.ready(1);
    assert_eq!(table.stop(Target::Request("late".into())), Default::default());
    assert_eq!(table.play("late", 0, true), "late:user@0", "not even those it would have stopped");
    assert_eq!(table.live(), "a:playing");
    assert_eq!(table.play("late", 0, false), "open2", "once");
}

#[test]
fn a_stop_that_comes_after_the_end_is_late_and_the_name_is_free() {
    let ends: [fn(&mut Table); 4] = [
        |table| drop((table.play("a", 0, false), table.ready(1), table.ended(1))),
        |table| drop((table.play("a", 0, false), table.stop(Target::All))),
        |table| drop((table.play("first", 0, false), table.wait("a", 0, Some(1)), table.pass(1))),
        |table| drop((table.stop(Target::Request("a".into())), table.play("a", 0, false))),
    ];
    for (index, end) in ends.into_iter().enumerate() {
        let mut table = Table::new(Overlap::Queue);
        end(&mut table);
        assert!(!table.live().contains("a:"), "{index}");
        table.now += 5 * 48_000;
        assert_eq!(table.stop(Target::Request("a".into())), Default::default());
        assert!(table.play("a", 1, false).starts_with("open"), "{index}: stopped by a late stop");
    }
}

#[test]
fn a_stop_of_a_track_or_of_everything_waits_for_nobody() {
    let mut table = Table::new(Overlap::Mix);
    table.stop(Target::All);
    table.stop(Target::Track(0));
    assert_eq!(table.play("a", 0, false), "open1");
}

#[test]
fn an_interruption_stops_and_clears_every_role_that_is_not_kept() {
    let fill = || {
        let mut table = Table::new(Overlap::Queue);
        for (name, role) in
            [("music", Role::Media), ("speech", Role::Voice), ("alarm", Role::System), ("rain", Role::Ambient)]
        {
            table.play_as(name, role);
        }
        table.ready(1);
        table
    };
    let all = [Role::System, Role::Voice, Role::Media, Role::Ambient];
    let gone = "fade1/240 discard2 speech:user@0 discard3 alarm:user@0 discard4 rain:user@0";
    for (keep, stopped, actions) in [
        (&[][..], "music speech alarm rain", gone),
        (&[Role::Media], "speech alarm rain", "discard2 speech:user@0 discard3 alarm:user@0 discard4 rain:user@0"),
        (
            &[Role::Media, Role::System],
            "speech rain",
            "discard2 speech:user@0 discard4 rain:user@0 alarm:queued1 open3",
        ),
        (&[Role::Ambient], "music speech alarm", "fade1/240 discard2 speech:user@0 discard3 alarm:user@0 open4"),
        (&all, "", ""),
    ] {
        assert_eq!(fill().stop(Target::AllBut(keep.to_vec())), (stopped.into(), actions.into()), "{keep:?}");
    }
    assert_eq!(Table::new(Overlap::Mix).stop(Target::AllBut(Vec::new())), Default::default(), "nothing to interrupt");
}
