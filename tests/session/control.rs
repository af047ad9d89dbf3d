//! Pause, resume, seek and volume.

use speaker_session::internals::audio::FRAME;
use speaker_session::internals::error::Code;
use speaker_session::internals::event::EventKind;
use speaker_session::internals::session::{Clock, Overlap, PlayRequest, Target};

use crate::table::{Table, gone, named, request, rules, stream};

#[test]
fn pause_reaches_every_phase_once() {
    let mut table = Table::new(Overlap::Queue);
    for (name, track) in [("playing", 0), ("waiting", 0), ("loading", 1), ("other", 2)] {
        table.play(name, track);
    }
    table.ready("playing");
    assert_eq!(table.pause(Target::Track(0)), ("playing waiting".into(), "waiting:paused@0".into()));
    assert_eq!(table.pause(Target::All), ("loading other".into(), "loading:paused@0 other:paused@0".into()));
    assert_eq!(table.pause(Target::All), Default::default());
    assert_eq!(table.live(), "playing:playing loading:loading other:loading waiting:queued1", "each keeps its place");
    assert_eq!(table.frame(), "playing:paused@25", "reported when it is silent");
    assert_eq!(table.resume(Target::All).0, "playing loading other waiting");
    assert_eq!(table.frame(), "playing:resumed@25");
}

#[test]
fn paused_while_loading_starts_on_resume() {
    let mut table = Table::new(Overlap::Mix);
    table.play("a", 0);
    table.pause(Target::All);
    assert_eq!(table.ready("a"), "", "it waits");
    assert_eq!(table.resume(Target::All), ("a".into(), "a:resumed@0".into()));
    assert_eq!(table.resume(Target::All), Default::default());
    assert_eq!(table.frame(), "a:started");
    table.play("b", 0);
    table.pause(named("b"));
    assert_eq!(table.resume(Target::All), ("b".into(), "b:resumed@0".into()), "not ready yet");
    assert_eq!(table.ready("b"), "b:started");
}

#[test]
fn manual_clock_leaves_nothing_loading() {
    for is_opened_first in [false, true] {
        let mut table = Table::closed(Clock::Manual, rules(Overlap::Mix));
        table.connect();
        table.play("a", 0);
        if is_opened_first {
            table.open("a");
            table.hand("a").push(&[0.5; 4 * FRAME]);
        }
        table.pause(named("a"));
        table.resume(named("a"));
        table.pause(named("a"));
        if !is_opened_first {
            assert_eq!(table.advance(960), "", "time waits for what loads, paused or not");
            table.open("a");
            table.hand("a").push(&[0.5; 4 * FRAME]);
        }
        table.steps();
        table.resume(named("a"));
        table.advance(960);
        assert_eq!(table.live(), "a:playing");
    }
}

#[test]
fn paused_playback_keeps_its_track_and_turn() {
    let mut table = Table::new(Overlap::Queue);
    for name in ["a", "b", "c"] {
        table.play(name, 0);
    }
    table.ready("a");
    table.ready("b");
    table.pause(named("b"));
    assert_eq!(table.finish("a"), "a:completed c:queued1 open c", "b has its turn, and waits");
    assert_eq!(table.live(), "b:loading c:queued1");
    assert_eq!(table.resume(named("b")).1, "b:resumed@0");
    assert_eq!(table.frame(), "b:started");
}

#[test]
fn fades_are_neither_paused_nor_resumed() {
    let mut table = Table::new(Overlap::Mix);
    table.play("a", 0);
    table.ready("a");
    table.pause(Target::All);
    table.stop(Target::All);
    assert_eq!(table.resume(Target::All), Default::default());
    assert_eq!(table.pause(Target::All), Default::default());
    assert_eq!(table.frame(), "a:stopped(user)@25");
}

#[test]
fn volume_reaches_every_phase_and_fades() {
    let mut table = Table::new(Overlap::Queue);
    for (name, track) in [("fading", 0), ("next", 0), ("waiting", 0), ("other", 1)] {
        table.play(name, track);
    }
    table.ready("fading");
    table.stop_within(named("fading"), 4_800);
    let changed = table.session.set_volume(&Target::Track(0), 0.0, 0, table.at());
    assert_eq!(changed.join(" "), "fading next waiting");
    table.ready("next");
    assert_eq!(table.live(), "fading:stopping next:playing other:loading waiting:queued1");
    assert!(!table.sounds());
    let changed = table.session.set_volume(&named("next"), 1.0, 0, table.at());
    assert_eq!(changed.join(" "), "next");
    table.frame();
    assert!(table.sounds());
}

#[test]
fn seek_reaches_every_phase_but_fades() {
    let mut table = Table::new(Overlap::Queue);
    for (name, track) in [("playing", 0), ("waiting", 0), ("loading", 1), ("fading", 2)] {
        table.play(name, track);
    }
    table.ready("playing");
    table.ready("fading");
    table.stop_within(named("fading"), 48_000);
    let reported = "loading:sought@10 waiting:sought@10 open playing";
    assert_eq!(table.seek(Target::All, 480), ("playing loading waiting".into(), reported.into()));
    assert_eq!(table.frame(), "", "it goes on until the place is there");
    assert_eq!(table.ready("playing"), "playing:sought@10");
    assert_eq!(table.open("loading"), "open loading unwanted loading", "another place was sought meanwhile");
    assert_eq!(table.ready("loading"), "loading:started");
    let places: Vec<_> = table.session.playbacks().iter().map(|info| info.position).collect();
    assert_eq!((places[1], places[3]), (480 + 960, 480), "of the loading one, a frame on, and of the waiting one");
}

#[test]
fn latest_seek_wins() {
    let mut table = Table::new(Overlap::Mix);
    table.play("a", 0);
    table.ready("a");
    table.seek(named("a"), 480);
    table.open("a");
    assert_eq!(table.seek(named("a"), 960).1, "open a");
    assert_eq!(table.dropped_readers(), 1, "the reader of the place before");
    assert_eq!(table.ready("a"), "a:sought@20");
    assert_eq!(table.live(), "a:playing");
}

#[test]
fn unseekable_playback_prevents_all_seeks() {
    let mut table = Table::new(Overlap::Mix);
    table.play("a", 0);
    let (_pipe, source) = stream();
    table.enter(PlayRequest { source, ..request("live") });
    for step in 0..2 {
        let refused = table.session.seek(&Target::All, 480, table.at()).unwrap_err();
        assert_eq!((refused.code, table.words()), (Code::NotSeekable, String::new()));
        if step == 0 {
            table.ready("live");
        }
    }
    assert_eq!(table.seek(named("a"), 480), ("a".into(), "a:sought@10".into()));
}

#[test]
fn pause_and_seek_resume_at_the_target() {
    let mut table = Table::new(Overlap::Mix);
    table.play("a", 0);
    table.ready("a");
    table.pause(named("a"));
    assert_eq!(table.frame(), "a:paused@25");
    table.seek(named("a"), 48_000);
    table.resume(named("a"));
    assert_eq!(table.frames(2), "", "nothing of the old place");
    assert!(!table.sounds());
    assert_eq!(table.ready("a"), "a:sought@1000 a:resumed@1000");
}

#[test]
fn second_pause_is_reported_once() {
    let mut table = Table::new(Overlap::Mix);
    table.play("a", 0);
    table.ready("a");
    table.pause(named("a"));
    assert_eq!(table.frame(), "a:paused@25");
    table.seek(named("a"), 48_000);
    table.resume(named("a"));
    assert_eq!(table.frame(), "", "it waits for the place");
    table.pause(named("a"));
    assert_eq!(table.frames(2), "");
    assert_eq!(table.ready("a"), "a:sought@1000");
    table.resume(named("a"));
    assert_eq!(table.frame(), "a:resumed@1000");
}

#[test]
fn resume_during_a_halt_is_reported_first() {
    let mut table = Table::new(Overlap::Mix);
    table.play("a", 0);
    table.ready("a");
    table.pause(named("a"));
    assert_eq!(table.frame(), "a:paused@25");
    table.resume(named("a"));
    table.session.fade_out_for_halt();
    assert_eq!(table.frame(), "");
    table.session.skip(48_000);
    table.session.fade_in_after_halt();
    assert_eq!(table.frame(), "a:resumed@25");
}

#[test]
fn emits_nothing_after_a_failure() {
    for has_started in [false, true] {
        let mut table = Table::new(Overlap::Mix);
        table.play("a", 0);
        table.open("a");
        if has_started {
            table.hand("a").push(&[0.5; 2 * FRAME]);
            assert_eq!(table.frame(), "a:started");
            table.seek(named("a"), 48_000);
        } else {
            table.seek(named("a"), 48_000);
        }
        table.pause(named("a"));
        table.words();
        table.open("a");
        table.hand("a").end(Err(gone()));
        table.frames(5);
        // A paused one that is to go on from a place that failed may stand still until it is resumed.
        table.resume(named("a"));
        table.frames(5);
        let events: Vec<_> = table.events.iter().filter(|event| event.playback.is_some()).collect();
        let end = events.iter().position(|event| matches!(event.kind, EventKind::Failed { code: Code::File, .. }));
        assert_eq!(end, Some(events.len() - 1), "{events:?}");
        assert_eq!(table.live(), "");
    }
}

#[test]
fn emits_nothing_after_a_stop() {
    let mut table = Table::new(Overlap::Mix);
    table.play("a", 0);
    table.ready("a");
    table.seek(named("a"), 48_000);
    table.pause(named("a"));
    table.stop(named("a"));
    assert_eq!(table.frame(), "a:stopped(user)@25");
    assert_eq!(table.ready("a"), "unwanted a");
    assert_eq!(table.frames(3), "");
}
