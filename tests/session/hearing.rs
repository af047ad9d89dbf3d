//! Inaudible playbacks: on a muted or unpublished track, or in a room whose connection is lost.

use std::sync::Arc;

use speaker_session::internals::error::{Code, SpeakerError};
use speaker_session::internals::event::EventKind;
use speaker_session::internals::output::{
    Backlog, ListenRequest, Listening, OutputEvent, PcmFormat, SampleFormat, UnheardPolicy,
};
use speaker_session::internals::session::{Clock, ConnectionState, Overlap, Pace, Policy, Target};

use crate::table::{Table, named, request, rules, ticket};

const PAUSE: UnheardPolicy = UnheardPolicy::Pause;
const CONTINUE: UnheardPolicy = UnheardPolicy::Continue;
const DROP: UnheardPolicy = UnheardPolicy::Drop;

fn revoked() -> SpeakerError {
    SpeakerError::new(Code::PublishFailed, "the grant is gone")
}

fn room() -> Table {
    Table::room(rules(Overlap::Mix))
}

/// A room in which `a` sounds on track 1, mixed for one frame.
fn playing() -> Table {
    let mut table = room();
    table.start_on("a", 1);
    table
}

fn paused(table: &Table) -> String {
    let infos = table.session.playbacks();
    let still = infos.iter().filter(|info| info.is_paused).map(|info| info.request_id.to_string());
    still.collect::<Vec<_>>().join(" ")
}

#[test]
fn pause_policy_pauses_a_muted_track() {
    let mut table = playing();
    assert_eq!(table.output(OutputEvent::Muted { stream: 1, policy: PAUSE }), "muted1");
    assert_eq!((table.session.take_work().hastens, paused(&table)), (false, "a".into()));
    assert_eq!(table.frame(), "a:paused@25", "silent within 5 ms");
    assert_eq!((table.frames(3), table.session.pace()), (String::new(), Pace::Rest), "the clock may park");
    assert_eq!(table.output(OutputEvent::Unmuted(1)), "unmuted1");
    assert_eq!((table.session.pace(), paused(&table)), (Pace::Run, String::new()));
    assert_eq!(table.frame(), "a:resumed@25");
    assert_eq!(table.finish("a"), "a:completed-5", "only the fall was not heard");
}

#[test]
fn mute_hastens_the_next_frame() {
    let mut table = playing();
    table.session.output_event(OutputEvent::Muted { stream: 1, policy: PAUSE }, table.at());
    assert!(table.session.take_work().hastens);
}

#[test]
fn mute_lifted_before_the_fall_changes_nothing() {
    let mut table = playing();
    assert_eq!(table.output(OutputEvent::Muted { stream: 1, policy: PAUSE }), "muted1");
    assert_eq!(table.output(OutputEvent::Unmuted(1)), "unmuted1");
    assert_eq!(table.frame(), "");
    assert_eq!(table.finish("a"), "a:completed");
}

#[test]
fn mute_and_pause_are_independent() {
    for user_first in [true, false] {
        let mut table = playing();
        if user_first {
            assert_eq!(table.pause(named("a")), ("a".into(), String::new()));
            assert_eq!(table.frame(), "a:paused@25");
            table.output(OutputEvent::Muted { stream: 1, policy: PAUSE });
        } else {
            table.output(OutputEvent::Muted { stream: 1, policy: PAUSE });
            assert_eq!(table.frame(), "a:paused@25");
            assert_eq!(table.pause(named("a")), ("a".into(), String::new()), "the user did not pause it before");
        }
        assert_eq!((table.pause(named("a")).0, table.frame()), (String::new(), String::new()));
        if user_first {
            assert_eq!((table.resume(named("a")).0, table.frame()), ("a".into(), String::new()), "it is muted still");
            assert_eq!(table.resume(named("a")).0, "", "the mute is not the user's");
            table.output(OutputEvent::Unmuted(1));
        } else {
            table.output(OutputEvent::Unmuted(1));
            assert_eq!((table.frame(), paused(&table)), (String::new(), "a".into()), "the user paused it");
            assert_eq!(table.resume(named("a")).0, "a");
        }
        assert_eq!(table.frame(), "a:resumed@25");
    }
}

#[test]
fn start_on_a_muted_track_waits() {
    let mut table = Table::room(rules(Overlap::Queue));
    table.output(OutputEvent::Muted { stream: 1, policy: PAUSE });
    assert_eq!(table.play("a", 1), "open a");
    assert_eq!(table.ready("a"), "");
    assert_eq!(table.outputs(), "prepare1", "it is published meanwhile");
    table.output(OutputEvent::Opened(1));
    assert_eq!(table.play("b", 1), "b:queued1 open b");
    assert_eq!((table.frames(3), table.session.pace()), (String::new(), Pace::Rest));
    assert_eq!(table.live(), "a:loading b:queued1");
    assert_eq!(paused(&table), "", "nobody paused it");
    assert_eq!(table.pause(named("a")), ("a".into(), "a:paused@0".into()));
    table.output(OutputEvent::Unmuted(1));
    assert_eq!(table.frame(), "", "the user holds it");
    assert_eq!(table.resume(named("a")), ("a".into(), "a:resumed@0".into()));
    assert_eq!(table.frame(), "a:started");
    assert_eq!(table.finish("a"), "a:completed");
}

#[test]
fn other_tracks_go_on() {
    let mut table = playing();
    table.start_on("b", 2);
    table.output(OutputEvent::Muted { stream: 1, policy: PAUSE });
    assert_eq!(table.frame(), "a:paused@65");
    assert_eq!((table.session.pace(), table.finish("b")), (Pace::Run, "b:completed".into()));
    table.play("c", 2);
    assert_eq!(table.ready("c"), "c:started");
}

#[test]
fn muted_track_stops_its_line() {
    for queued_first in [true, false] {
        let mut table = Table::room(Policy { queue_timeout: 4_800, ..rules(Overlap::Queue) });
        table.start_on("a", 1);
        if queued_first {
            table.play("b", 1);
        }
        table.output(OutputEvent::Muted { stream: 1, policy: PAUSE });
        if !queued_first {
            table.play("b", 1);
        }
        assert_eq!((table.pass(48_000), table.session.deadline()), (String::new(), None));
        table.output(OutputEvent::Unmuted(1));
        assert_eq!(table.pass(4_799), "");
        assert_eq!(table.pass(1), "b:failed(ERR_QUEUE_TIMEOUT)");
    }
}

#[test]
fn muted_loading_playback_stops_its_line() {
    let mut table = Table::room(Policy { queue_timeout: 4_800, ..rules(Overlap::Queue) });
    table.output(OutputEvent::Muted { stream: 1, policy: PAUSE });
    table.play("a", 1);
    table.play("b", 1);
    assert_eq!((table.pass(48_000), table.session.deadline()), (String::new(), None));
}

#[test]
fn fade_on_a_muted_track_ends() {
    let mut table = playing();
    table.stop_within(named("a"), 1_920);
    table.output(OutputEvent::Muted { stream: 1, policy: PAUSE });
    assert_eq!(table.frame(), "");
    assert_eq!(table.frame(), "a:stopped(user)@60-40");
    assert_eq!(table.live(), "");
}

#[test]
fn stop_on_a_muted_track_is_immediate() {
    let mut table = playing();
    table.output(OutputEvent::Muted { stream: 1, policy: PAUSE });
    table.frame();
    assert_eq!(table.stop(named("a")), ("a".into(), "a:stopped(user)@25-5".into()));
}

#[test]
fn stop_during_mute_ends_with_its_fall() {
    let mut table = playing();
    table.output(OutputEvent::Muted { stream: 1, policy: PAUSE });
    assert_eq!(table.stop_within(named("a"), 4_800), ("a".into(), String::new()));
    assert_eq!(table.frame(), "a:stopped(user)@25-5");
    assert_eq!(table.output(OutputEvent::Unmuted(1)), "unmuted1", "nothing of it goes on");
}

#[test]
fn no_crossfade_into_a_muted_track() {
    let mut table = Table::room(Policy { crossfade: 4_800, ..rules(Overlap::Replace) });
    table.start_on("a", 1);
    table.play("b", 1);
    assert_eq!(table.live(), "a:stopping b:loading", "it goes on until b begins");
    table.output(OutputEvent::Muted { stream: 1, policy: PAUSE });
    assert_eq!(table.frame(), "a:stopped(replaced)@25-5", "b does not begin");
    assert_eq!(table.ready("b"), "");
    table.output(OutputEvent::Unmuted(1));
    assert_eq!(table.frame(), "b:started");
}

#[test]
fn no_crossfade_for_replacement_on_muted_track() {
    let mut table = Table::room(Policy { crossfade: 4_800, ..rules(Overlap::Replace) });
    table.start_on("a", 1);
    table.output(OutputEvent::Muted { stream: 1, policy: PAUSE });
    table.frame();
    assert_eq!(table.play("b", 1), "a:stopped(replaced)@25-5 open b");
}

#[test]
fn queue_crossfade_goes_on_after_a_mute() {
    let mut table = Table::room(Policy { crossfade: 4_800, ..rules(Overlap::Queue) });
    table.start_on("a", 1);
    table.play("b", 1);
    table.ready("b");
    table.hand("a").end(Ok(()));
    table.frames(6);
    assert_eq!(table.live(), "a:playing b:playing", "a nears its end");
    table.output(OutputEvent::Muted { stream: 1, policy: PAUSE });
    table.frame();
    assert_eq!(paused(&table), "a b");
    table.output(OutputEvent::Unmuted(1));
    assert_eq!(table.frame(), "a:resumed@165 b:resumed@35.833333333333336");
}

#[test]
fn seek_on_a_muted_track_resumes_there() {
    let mut table = playing();
    table.output(OutputEvent::Muted { stream: 1, policy: PAUSE });
    assert_eq!(table.frame(), "a:paused@25");
    assert_eq!(table.seek(named("a"), 48_000).0, "a");
    assert_eq!(table.ready("a"), "a:sought@1000");
    table.output(OutputEvent::Unmuted(1));
    assert_eq!(table.frame(), "a:resumed@1000");
}

#[test]
fn continue_counts_unheard_time_while_muted() {
    let mut table = playing();
    table.output(OutputEvent::Muted { stream: 1, policy: CONTINUE });
    assert_eq!(table.frames(2), "");
    table.output(OutputEvent::Unmuted(1));
    table.frame();
    table.output(OutputEvent::Muted { stream: 1, policy: CONTINUE });
    table.frame();
    table.output(OutputEvent::Unmuted(1));
    table.frame();
    assert_eq!(table.stop(named("a")).1, "");
    assert_eq!(table.frame(), "a:stopped(user)@125-60");
}

#[test]
fn playback_on_muted_track_is_all_unheard() {
    let mut table = playing();
    table.stop_quietly(named("a"));
    table.frame();
    table.output(OutputEvent::Muted { stream: 1, policy: CONTINUE });
    table.play("b", 1);
    assert_eq!(table.ready_whole("b", 960), "b:started b:completed-20");
    let Some(EventKind::Completed { duration_ms, unheard_ms, .. }) = table.events.last().map(|last| last.kind.clone())
    else {
        panic!("it completed")
    };
    assert_eq!((duration_ms, unheard_ms), (20.0, 20.0));
}

#[test]
fn failed_frame_keeps_the_unheard_time() {
    let mut table = playing();
    table.output(OutputEvent::Muted { stream: 1, policy: CONTINUE });
    table.play("b", 1);
    table.open("b");
    table.hand("b").push(&[0.5; 480]);
    table.hand("b").end(Ok(()));
    let reported = table.frame_with(Err(SpeakerError::new(Code::Output, "full")));
    assert_eq!(reported, "b:started b:failed(ERR_OUTPUT)-10 error(ERR_OUTPUT) a:failed(ERR_OUTPUT)-20");
}

#[test]
fn unpublished_track_pauses_until_republished() {
    let mut table = playing();
    let reported = table.output(OutputEvent::Unpublished { stream: 1, policy: PAUSE, error: revoked() });
    assert_eq!(reported, "unpublished1(ERR_PUBLISH_FAILED)");
    assert_eq!(table.frame(), "a:paused@25");
    assert_eq!(table.output(OutputEvent::Republished(1)), "republished1");
    assert_eq!(table.frame(), "a:resumed@25");
    table.play("b", 1);
    assert_eq!((table.ready("b"), table.outputs()), ("b:started".into(), String::new()), "the stream is open");
}

#[test]
fn unpublished_track_continues_or_drops() {
    let mut table = playing();
    table.output(OutputEvent::Unpublished { stream: 1, policy: CONTINUE, error: revoked() });
    assert_eq!(table.frame(), "");
    table.output(OutputEvent::Republished(1));
    assert_eq!(table.finish("a"), "a:completed-20");

    let mut table = Table::room(rules(Overlap::Queue));
    table.start_on("a", 1);
    table.start_on("other", 2);
    table.play("b", 1);
    let reported = "unpublished1(ERR_PUBLISH_FAILED) a:failed(ERR_PUBLISH_FAILED) b:failed(ERR_PUBLISH_FAILED)";
    assert_eq!(table.output(OutputEvent::Unpublished { stream: 1, policy: DROP, error: revoked() }), reported);
    assert_eq!((table.live(), table.finish("other")), ("other:playing".into(), "other:completed".into()));
}

#[test]
fn refused_track_is_requested_again() {
    let mut table = playing();
    table.output(OutputEvent::Unpublished { stream: 1, policy: PAUSE, error: revoked() });
    for name in ["b", "c"] {
        table.play(name, 1);
        assert_eq!(table.ready(name).replace("a:paused@25", ""), "");
        assert_eq!(table.outputs(), "prepare1");
        assert_eq!(
            table.output(OutputEvent::Refused { stream: 1, error: revoked() }),
            format!("{name}:failed(ERR_PUBLISH_FAILED)")
        );
    }
    assert_eq!(table.live(), "a:playing", "what sounded waits on");
    assert_eq!(paused(&table), "a");
}

#[test]
fn refused_track_fails_its_line_in_turn() {
    let mut table = Table::room(rules(Overlap::Queue));
    table.start_on("other", 2);
    table.play("a", 1);
    table.play("b", 1);
    table.ready("a");
    assert_eq!(table.outputs(), "prepare1");
    assert_eq!(table.output(OutputEvent::Refused { stream: 1, error: revoked() }), "a:failed(ERR_PUBLISH_FAILED)");
    assert_eq!(table.live(), "other:playing b:loading", "b has its turn");
    table.ready("b");
    assert_eq!(table.outputs(), "prepare1", "and asks again");
    assert_eq!(table.output(OutputEvent::Refused { stream: 1, error: revoked() }), "b:failed(ERR_PUBLISH_FAILED)");
    assert_eq!(table.output(OutputEvent::Refused { stream: 1, error: revoked() }), "", "nobody wants it");
    assert_eq!(table.finish("other"), "other:completed");
}

#[test]
fn mute_and_unpublish_pause_until_both_end() {
    let mut table = playing();
    table.output(OutputEvent::Muted { stream: 1, policy: PAUSE });
    table.output(OutputEvent::Unpublished { stream: 1, policy: PAUSE, error: revoked() });
    assert_eq!(table.frame(), "a:paused@25");
    table.output(OutputEvent::Unmuted(1));
    assert_eq!(table.frame(), "");
    table.output(OutputEvent::Republished(1));
    assert_eq!(table.frame(), "a:resumed@25");

    let mut table = playing();
    table.output(OutputEvent::Muted { stream: 1, policy: CONTINUE });
    table.frame();
    table.output(OutputEvent::Unpublished { stream: 1, policy: PAUSE, error: revoked() });
    assert_eq!(table.frame(), "a:paused@45", "whichever holds, holds");
}

#[test]
fn counts_unheard_time_of_a_cut_room() {
    let mut table = playing();
    table.output(OutputEvent::MediaLost(CONTINUE));
    table.frames(2);
    assert_eq!(table.output(OutputEvent::Reconnected), "reconnected");
    assert_eq!(table.finish("a"), "a:completed-40");

    let mut table = playing();
    table.output(OutputEvent::MediaLost(PAUSE));
    assert_eq!(table.session.pace(), Pace::Halt);
    table.output(OutputEvent::Reconnected);
    assert_eq!(table.finish("a"), "a:completed", "time stood still");

    let mut table = playing();
    table.output(OutputEvent::Reconnecting("signalClose".into()));
    table.output(OutputEvent::MediaLost(PAUSE));
    assert_eq!(table.output(OutputEvent::MediaRestored), "", "the signalling is still lost");
    assert_eq!(table.session.pace(), Pace::Run);
    assert_eq!(table.finish("a"), "a:completed", "but sound goes on");
    assert_eq!(table.output(OutputEvent::Reconnected), "reconnected");

    let mut table = playing();
    table.output(OutputEvent::MediaLost(CONTINUE));
    table.frame();
    assert_eq!(table.output(OutputEvent::MediaLost(DROP)), "a:failed(ERR_DISCONNECTED)-20");
}

#[test]
fn mute_outlives_a_cut() {
    let mut table = playing();
    table.output(OutputEvent::Muted { stream: 1, policy: PAUSE });
    table.frame();
    table.output(OutputEvent::MediaLost(CONTINUE));
    assert_eq!(table.output(OutputEvent::Reconnected), "reconnected");
    assert_eq!((table.frame(), paused(&table)), (String::new(), "a".into()));
    table.output(OutputEvent::Unmuted(1));
    assert_eq!(table.frame(), "a:resumed@25");
}

#[test]
fn lost_room_drops_server_mutes() {
    let mut table = playing();
    table.output(OutputEvent::Muted { stream: 1, policy: PAUSE });
    table.output(OutputEvent::Unpublished { stream: 2, policy: PAUSE, error: revoked() });
    table.output(OutputEvent::Lost { error: revoked(), reason: "gone".into() });
    table.play("b", 1);
    table.ready("b");
    assert_eq!(table.outputs(), "open prepare1");
    table.output(OutputEvent::Connected);
    table.output(OutputEvent::Opened(1));
    assert_eq!(table.frame(), "b:started", "nothing holds it in the new room");
}

#[test]
fn own_mute_is_kept_for_every_room() {
    let mut table = Table::made(speaker_session::internals::session::Options {
        routing: speaker_session::internals::mixer::Routing::PerTrack,
        ..crate::table::options(Clock::Realtime, Policy::default())
    });
    table.session.set_muted(1, true, table.at()).unwrap();
    table.session.set_muted(2, true, table.at()).unwrap();
    table.session.set_muted(2, false, table.at()).unwrap();
    assert_eq!(table.outputs(), "", "there is no output to tell");
    table.session.connect(ticket(1));
    assert_eq!(table.outputs(), "open mute1");
    table.output(OutputEvent::Connected);
    table.session.set_muted(3, true, table.at()).unwrap();
    table.session.set_muted(3, false, table.at()).unwrap();
    assert_eq!(table.outputs(), "mute3 unmute3", "also where nothing is remembered: somebody else may have muted it");
    assert_eq!(table.output(OutputEvent::Muted { stream: 1, policy: CONTINUE }), "muted1");
    table.output(OutputEvent::Lost { error: revoked(), reason: "gone".into() });
    table.session.connect(ticket(2));
    assert_eq!(table.outputs(), "open mute1");
}

fn listening(id: u32) -> Arc<Listening> {
    Listening::new(ListenRequest {
        id,
        identity: "somebody".to_owned(),
        track: None,
        format: PcmFormat { sample_rate: 48_000, channels: 1, format: SampleFormat::F32, frame_ms: 20 },
        sink: Arc::new(|_| {}),
        backlog: Arc::new(Backlog::new(Arc::default())),
        failure: Arc::new(|_, _| {}),
    })
}

#[test]
fn listeners_are_kept_for_every_room() {
    let mut table = Table::closed(Clock::Realtime, rules(Overlap::Mix));
    (1..=3).for_each(|id| table.session.listen(listening(id)).unwrap());
    table.session.unlisten(2);
    assert_eq!(table.outputs(), "", "there is no output to tell");
    table.session.connect(ticket(1));
    assert_eq!(table.outputs(), "open listen1 listen3");
    table.output(OutputEvent::Connected);
    table.session.listen(listening(4)).unwrap();
    [3, 3, 7].into_iter().for_each(|id| table.session.unlisten(id));
    assert_eq!(table.outputs(), "listen4 unlisten3");
    table.output(OutputEvent::Lost { error: revoked(), reason: "gone".into() });
    table.session.unlisten(4);
    table.session.connect(ticket(2));
    assert_eq!(table.outputs(), "open listen1");
    table.session.close(None, table.at());
    assert_eq!(table.session.listen(listening(5)).unwrap_err().code, Code::Closed);
    table.session.closed(Ok(()));
    assert_eq!(table.session.listen(listening(5)).unwrap_err().code, Code::Closed);
}

#[test]
fn closed_session_refuses_mutes() {
    let mut table = room();
    table.session.close(None, table.at());
    assert_eq!(table.session.set_muted(1, true, table.at()).unwrap_err().code, Code::Closed);
    table.session.closed(Ok(()));
    assert_eq!(table.session.set_muted(1, true, table.at()).unwrap_err().code, Code::Closed);
}

#[test]
fn reports_the_first_subscriber() {
    let mut table = room();
    assert_eq!(table.output(OutputEvent::Subscribed { stream: 1, identity: None }), "subscribed1");
    assert_eq!(table.output(OutputEvent::Subscribed { stream: 2, identity: Some("ear".into()) }), "subscribed2(ear)");
}

#[test]
fn reports_the_connection_state() {
    let mut table = Table::closed(Clock::Realtime, rules(Overlap::Mix));
    let is = |table: &Table, state| assert_eq!(table.session.connection(), state);
    is(&table, ConnectionState::New);
    table.session.connect(ticket(1));
    is(&table, ConnectionState::Connecting);
    table.session.abandon(ticket(1));
    is(&table, ConnectionState::New);
    table.outputs();
    table.session.connect(ticket(2));
    table.outputs();
    table.output(OutputEvent::Lost { error: revoked(), reason: "failed".into() });
    is(&table, ConnectionState::Disconnected);
    table.play("a", 0);
    is(&table, ConnectionState::Connecting);
    table.outputs();
    table.output(OutputEvent::Connected);
    is(&table, ConnectionState::Connected);
    table.output(OutputEvent::Reconnecting("signal".into()));
    is(&table, ConnectionState::Reconnecting);
    table.output(OutputEvent::MediaLost(PAUSE));
    is(&table, ConnectionState::Reconnecting);
    table.output(OutputEvent::Reconnected);
    is(&table, ConnectionState::Connected);
    table.session.close(None, table.at());
    is(&table, ConnectionState::Connected);
    table.session.end_sounding();
    table.session.closed(Ok(()));
    is(&table, ConnectionState::Closed);
    table.session.connect(ticket(3));
    is(&table, ConnectionState::Closed);
}

#[test]
fn broken_session_reports_its_connection() {
    let mut table = room();
    table.session.break_down();
    assert_eq!(table.session.connection(), ConnectionState::Connected, "it is closed next");
    table.session.closed(Ok(()));
    assert_eq!(table.session.connection(), ConnectionState::Closed);
}

#[test]
fn new_request_replaces_a_held_playback() {
    let mut table = playing();
    table.output(OutputEvent::Muted { stream: 1, policy: PAUSE });
    table.frame();
    let reported =
        table.enter(speaker_session::internals::session::PlayRequest { track: 2, stop_other: true, ..request("b") });
    assert_eq!(reported, "a:stopped(replaced)@25-5 open b");
    assert_eq!(table.stop(Target::All).0, "b");
}
