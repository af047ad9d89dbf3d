//! Stops, and their events.

use speaker_session::internals::audio::FRAME;
use speaker_session::internals::mixer::Role;
use speaker_session::internals::session::{Overlap, Policy, StopRequest, Target};

use crate::table::{FADE, Table, named, rules};

#[test]
fn stops_a_name_a_track_or_everything() {
    let fill = || {
        let mut table = Table::new(Overlap::Mix);
        for (name, track) in [("a", 0), ("b", 1), ("c", 1), ("d", 2)] {
            table.play(name, track);
        }
        table.ready("b");
        table
    };
    let cases = [
        (named("b"), "b", "", "b:stopped(user)@25"),
        (Target::Track(1), "b c", "c:stopped(user)@0", "b:stopped(user)@25"),
        (Target::All, "a b c d", "a:stopped(user)@0 c:stopped(user)@0 d:stopped(user)@0", "b:stopped(user)@25"),
        (named("nobody"), "", "", ""),
        (Target::Track(9), "", "", ""),
    ];
    for (target, stopped, reported, later) in cases {
        let mut table = fill();
        assert_eq!(table.stop(target.clone()), (stopped.into(), reported.into()), "{target:?}");
        assert_eq!(table.frame(), later, "{target:?}");
    }
}

#[test]
fn first_reason_and_shorter_fade_hold() {
    let mut table = Table::new(Overlap::Mix);
    table.play("a", 0);
    table.ready("a");
    let mut stop = |reason: &str, fade_out| {
        let reason = reason.to_owned();
        table
            .session
            .stop(&StopRequest { target: Target::All, reason, fade_out, after: 0, ahead: false }, table.at())
            .len()
    };
    assert_eq!((stop("first", 48_000), stop("second", FADE), stop("third", 48_000)), (1, 0, 0));
    assert_eq!(table.frame(), "a:stopped(first)@25");
    assert_eq!(table.frames(3), "", "nothing ends twice");
}

#[test]
fn playback_heard_to_its_end_is_completed() {
    let mut table = Table::new(Overlap::Mix);
    table.play("a", 0);
    table.ready_whole("a", 4_000);
    table.stop_within(Target::All, 48_000);
    assert_eq!(table.frames(4), "a:stopped(user)@83.33333333333333", "a fade that the source's end made shorter");
    table.play("b", 0);
    table.ready_whole("b", 2_000);
    table.frame();
    table.hand("b");
    table.stop(Target::All);
    assert_eq!(table.frame(), "b:stopped(user)@41.666666666666664");
}

#[test]
fn stop_before_the_first_sample_is_unheard() {
    let mut table = Table::new(Overlap::Mix);
    table.play("a", 0);
    table.open("a");
    table.hand("a").push(&[0.5; 4 * FRAME]);
    table.look();
    assert_eq!(table.stop(Target::All).1, "a:stopped(user)@0");
    assert_eq!(table.frame(), "");
}

#[test]
fn ignores_readers_of_stopped_playbacks() {
    let mut table = Table::new(Overlap::Mix);
    table.play("a", 0);
    table.stop(Target::All);
    assert_eq!((table.open("a"), table.live()), ("unwanted a".into(), String::new()));
}

#[test]
fn stops_paused_playbacks_at_once() {
    let mut table = Table::new(Overlap::Mix);
    table.play("a", 0);
    table.ready("a");
    table.pause(Target::All);
    assert_eq!(table.frame(), "a:paused@25");
    assert_eq!(table.stop_within(Target::All, 48_000), ("a".into(), "a:stopped(user)@25".into()));
    assert_eq!(table.live(), "");
}

#[test]
fn ignores_unknown_names() {
    let mut table = Table::new(Overlap::Mix);
    assert_eq!(table.stop(named("late")), Default::default());
    assert_eq!(table.play("late", 0), "open late");
}

#[test]
fn stop_ahead_waits_for_its_request() {
    let mut table = Table::new(Overlap::Mix);
    table.play("a", 0);
    table.ready("a");
    assert_eq!(table.stop_ahead("late"), "");
    let late = speaker_session::internals::session::PlayRequest { stop_other: true, ..crate::table::request("late") };
    assert_eq!(table.enter(late), "late:stopped(user)@0", "not even those it would have stopped");
    assert_eq!(table.live(), "a:playing");
    assert_eq!(table.play("late", 0), "open late", "once");
}

#[test]
fn stop_ahead_after_the_end_is_late() {
    let ends: [fn(&mut Table); 5] = [
        |table| drop((table.play("a", 0), table.ready("a"), table.finish("a"))),
        |table| drop((table.play("a", 0), table.stop(Target::All))),
        |table| drop((table.play("a", 0), table.fail("a"))),
        |table| drop((table.play("first", 0), table.wait_for("a", 1), table.pass(1))),
        |table| drop((table.stop_ahead("a"), table.play("a", 0))),
    ];
    for (index, end) in ends.into_iter().enumerate() {
        let mut table = Table::new(Overlap::Queue);
        end(&mut table);
        assert!(!table.live().contains("a:"), "{index}");
        table.pass(5 * 48_000);
        table.stop_ahead("a");
        assert!(table.play("a", 1).ends_with("open a"), "{index}: stopped by a late stop");
        table.stop(named("a"));
        table.pass(5 * 48_000 + 1);
        table.stop_ahead("a");
        assert_eq!(table.play("a", 1), "a:stopped(user)@0", "{index}: so long after it is no late stop");
    }
}

#[test]
fn only_a_stop_by_name_waits() {
    let mut table = Table::new(Overlap::Mix);
    for target in [Target::All, Target::Track(0), Target::AllBut(Vec::new())] {
        let stop = StopRequest { target, reason: "user".into(), fade_out: FADE, after: 0, ahead: true };
        assert_eq!(table.session.stop(&stop, table.at()), []);
    }
    assert_eq!(table.play("a", 0), "open a");
}

#[test]
fn interrupt_keeps_the_given_roles() {
    let fill = || {
        let mut table = Table::new(Overlap::Queue);
        for (name, role) in
            [("music", Role::Media), ("speech", Role::Voice), ("alarm", Role::System), ("rain", Role::Ambient)]
        {
            table.play_as(name, role);
        }
        table.ready("music");
        table
    };
    let all = [Role::System, Role::Voice, Role::Media, Role::Ambient];
    let gone = "speech:stopped(user)@0 alarm:stopped(user)@0 rain:stopped(user)@0";
    for (keep, stopped, reported) in [
        (&[][..], "music speech alarm rain", gone),
        (&[Role::Media], "speech alarm rain", gone),
        (
            &[Role::Media, Role::System],
            "speech rain",
            "speech:stopped(user)@0 rain:stopped(user)@0 alarm:queued1 open alarm",
        ),
        (&[Role::Ambient], "music speech alarm", "speech:stopped(user)@0 alarm:stopped(user)@0 open rain"),
        (&all, "", ""),
    ] {
        assert_eq!(fill().stop(Target::AllBut(keep.to_vec())), (stopped.into(), reported.into()), "{keep:?}");
    }
    assert_eq!(Table::new(Overlap::Mix).stop(Target::AllBut(Vec::new())), Default::default(), "nothing to interrupt");
}

#[test]
fn limits_the_number_of_long_fades() {
    let mut table = Table::with(Policy { max_concurrent: 2, ..rules(Overlap::Mix) });
    for (index, name) in ["a", "b", "c", "d"].into_iter().enumerate() {
        table.play(name, 0);
        table.ready(name);
        table.stop_within(named(name), 480_000);
        let expected = ["", "", "a:stopped(user)@105", "b:stopped(user)@105"][index];
        assert_eq!(table.frame(), expected);
    }
    assert_eq!(table.live(), "c:stopping d:stopping");
}
