//! Tracks and groups: settings and counts that outlast playbacks, and calls on a shared name.

use speaker_session::internals::error::Code;
use speaker_session::internals::mixer::TrackVolume;
use speaker_session::internals::output::OutputEvent;
use speaker_session::internals::session::{Overlap, PlayRequest, Target};

use crate::table::{Table, named, request, rules};

const FRAMES: u64 = 960;

fn half(fade: u64) -> TrackVolume {
    TrackVolume { volume: Some(0.5), gain: None, fade }
}

fn group(name: &str) -> Target {
    Target::Group(name.to_owned())
}

fn in_group(name: &str, group: &str, track: u32) -> PlayRequest {
    PlayRequest { group: Some(group.to_owned()), track, ..request(name) }
}

#[test]
fn mute_in_a_mixdown_counts_as_unheard() {
    let mut table = Table::new(Overlap::Mix);
    table.play("muted", 1);
    table.ready("muted");
    table.play("other", 2);
    table.ready("other");
    table.session.set_muted(1, true, table.at()).unwrap();
    assert!(table.session.take_work().hastens, "its frame goes out at once");
    assert_eq!(table.words(), "muted1");
    assert_eq!(table.outputs(), "", "it is no affair of the output");
    table.session.set_muted(1, true, table.at()).unwrap();
    assert_eq!(table.words(), "", "it was so already");
    table.stop(named("other"));
    table.frames(2);
    assert!(!table.sounds());
    assert_eq!(table.live(), "muted:playing", "it goes on");
    table.session.set_muted(1, false, table.at()).unwrap();
    assert_eq!(table.words(), "unmuted1");
    table.frame();
    assert!(table.sounds());
    assert_eq!(table.stop(named("muted")).1, "");
    assert_eq!(table.frame(), "muted:stopped(user)@105-40");
}

#[test]
fn start_on_a_muted_track_is_unheard() {
    let mut table = Table::new(Overlap::Mix);
    table.session.set_muted(1, true, table.at()).unwrap();
    assert!(!table.session.take_work().hastens, "nothing sounds");
    table.play("a", 1);
    assert_eq!(table.ready("a"), "a:started");
    assert!(!table.sounds());
    assert_eq!(table.words(), "");
    table.stop(Target::All);
    assert_eq!(table.frame(), "a:stopped(user)@25-25");
}

#[test]
fn output_mutes_tracks_that_are_streams() {
    let mut table = Table::room(rules(Overlap::Mix));
    table.start_on("a", 1);
    table.session.set_muted(1, true, table.at()).unwrap();
    assert_eq!((table.outputs().as_str(), table.words().as_str()), ("mute1", ""));
    table.frames(2);
    assert!(table.sounds(), "what is sent stays as it is");
}

#[test]
fn volume_survives_a_lost_output() {
    let mut table = Table::new(Overlap::Mix);
    table.session.set_track_volume(0, TrackVolume { volume: Some(0.0), ..half(0) }).unwrap();
    table.output(OutputEvent::Lost { error: crate::table::gone(), reason: "gone".to_owned() });
    table.connect();
    table.play("a", 0);
    assert_eq!(table.ready("a"), "a:started");
    assert!(!table.sounds());
    table.session.set_track_volume(0, half(FRAMES)).unwrap();
    table.frame();
    assert!(table.sounds());
}

#[test]
fn closed_session_refuses_volume() {
    let mut table = Table::new(Overlap::Mix);
    table.session.close(None, table.at());
    assert_eq!(table.session.set_track_volume(0, half(0)).unwrap_err().code, Code::Closed);
    table.session.break_down();
    assert_eq!(table.session.set_track_volume(0, half(0)).unwrap_err().code, Code::Internal);
}

#[test]
fn counts_playbacks_and_frames() {
    let mut table = Table::new(Overlap::Queue);
    let counts = |table: &Table, track| {
        let stats = table.session.track_stats(track);
        [stats.playing, stats.loading, stats.queued, stats.paused]
    };
    assert_eq!(counts(&table, 1), [0, 0, 0, 0]);
    table.play("playing", 1);
    table.ready("playing");
    table.play("next", 1);
    table.play("held", 1);
    table.play("loading", 2);
    table.pause(named("held"));
    table.frames(2);
    assert_eq!(counts(&table, 1), [1, 0, 1, 1]);
    assert_eq!(counts(&table, 2), [0, 1, 0, 0]);
    let stats = table.session.track_stats(1);
    assert_eq!((stats.counts.frames, stats.counts.underruns), (3, 0));
    assert_eq!(stats.buffered, crate::table::FIRST as u64 - 3 * FRAMES);
    assert_eq!(table.session.track_stats(2).buffered, 0);
    table.pause(named("playing"));
    table.frame();
    assert_eq!(counts(&table, 1), [0, 0, 1, 2]);
    assert_eq!(table.session.track_stats(1).buffered, 0, "it takes nothing");
}

#[test]
fn stops_a_group_on_all_tracks() {
    let mut table = Table::new(Overlap::Queue);
    table.enter(in_group("playing", "turn", 0));
    table.ready("playing");
    table.enter(in_group("waiting", "turn", 0));
    table.enter(in_group("loading", "turn", 1));
    table.enter(in_group("another", "other", 2));
    table.play("of none", 3);
    let (stopped, words) = table.stop(group("turn"));
    assert_eq!(stopped, "playing loading waiting");
    assert_eq!(words, "loading:stopped(user)@0 waiting:stopped(user)@0");
    assert_eq!(table.stop(group("turn")).0, "", "it is on its way out");
    assert_eq!(table.stop(group("nobody")).0, "");
    assert_eq!(table.frame(), "playing:stopped(user)@25");
    assert_eq!(table.live(), "another:loading of none:loading");
}

#[test]
fn pauses_and_fades_a_group() {
    let mut table = Table::new(Overlap::Mix);
    table.enter(in_group("a", "turn", 0));
    table.ready("a");
    table.play("b", 0);
    table.ready("b");
    assert_eq!(table.pause(group("turn")).0, "a");
    assert_eq!(table.resume(group("turn")).0, "a");
    let changed = table.session.set_volume(&group("turn"), 0.5, 0, table.at());
    assert_eq!(changed.join(" "), "a");
    let groups: Vec<_> = table.session.playbacks().into_iter().map(|info| info.group).collect();
    assert_eq!(groups.iter().map(Option::as_deref).collect::<Vec<_>>(), [Some("turn"), None]);
}

#[test]
fn playback_events_carry_their_track() {
    let mut table = Table::new(Overlap::Queue);
    table.play("a", 5);
    table.ready("a");
    table.play("b", 5);
    table.stop(Target::All);
    table.frame();
    assert_eq!(table.events[0].track_id, None, "connected");
    assert!(table.events[1..].iter().all(|event| event.track_id == Some(5)));
    assert_eq!(table.events.len(), 5);
}
