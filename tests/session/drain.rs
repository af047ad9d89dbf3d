//! Draining: a session that plays out its accepted requests and closes.

use speaker_session::internals::error::Code;
use speaker_session::internals::mixer::Scratch;
use speaker_session::internals::output::{OutputEvent, UnheardPolicy};
use speaker_session::internals::session::{
    Clock, ConnectionState, Overlap, PlayRequest, Policy, Step, TapOf, Target, WallTime,
};

use crate::table::{FIRST, Table, gone, named, request, rules, stream, ticket};

/// The time limit of the drains in these tests.
const WITHIN: u64 = 48_000;

fn drain(table: &mut Table, number: u32) -> String {
    table.session.drain(WITHIN, ticket(number), table.at());
    table.words()
}

/// Acts as the driver does.
fn looks(table: &mut Table) -> String {
    table.session.end_drain(table.at());
    table.words()
}

/// A session on the manual clock whose output is open.
fn manual(overlap: Overlap) -> Table {
    let mut table = Table::closed(Clock::Manual, rules(overlap));
    table.connect();
    table
}

#[test]
fn plays_accepted_requests_to_their_end() {
    let mut table = Table::new(Overlap::Queue);
    for name in ["a", "b"] {
        table.play(name, 0);
    }
    table.play("loading", 1);
    table.ready("a");
    assert_eq!(drain(&mut table, 8), "", "nothing is stopped");
    assert_eq!(table.session.connection(), ConnectionState::Connected);
    assert_eq!(table.live(), "a:playing loading:loading b:queued1");
    table.open("b");
    table.hand("b").push(&[0.5; FIRST]);
    assert_eq!(table.finish("a"), "a:completed b:started");
    assert_eq!(looks(&mut table), "");
    assert_eq!(table.ready("loading"), "loading:started");
    assert_eq!(table.finish("b"), "b:completed");
    assert_eq!((looks(&mut table), table.outputs()), (String::new(), String::new()));
    assert_eq!(table.finish("loading"), "loading:completed");
    assert_eq!((looks(&mut table), table.outputs()), (String::new(), "close".into()));
    table.session.end_sounding();
    table.session.closed(Ok(()));
    assert_eq!(table.words(), "disconnected(closed) settled8");
}

#[test]
fn refuses_new_requests_and_controls_live_ones() {
    let mut table = Table::new(Overlap::Mix);
    table.play("a", 0);
    table.ready("a");
    drain(&mut table, 8);
    assert_eq!(table.play("b", 0), "ERR_CLOSED Expected an open session but it is being closed");
    table.session.connect(ticket(9));
    assert_eq!(table.words(), "settled9(ERR_CLOSED)");
    assert!(table.session.set_muted(0, true, table.at()).is_ok());
    assert_eq!(table.words(), "muted0");
    assert_eq!(table.pause(named("a")).0, "a");
    assert_eq!(table.frame(), "a:paused@25");
    assert_eq!(table.resume(named("a")).0, "a");
    assert_eq!(table.seek(named("a"), 4_800).0, "a");
    assert_eq!(table.ready("a"), "a:sought@100 a:resumed@100");
    assert_eq!(table.stop(named("a")).0, "a");
    table.frame();
    looks(&mut table);
    assert_eq!((table.live(), table.outputs()), (String::new(), "close".into()), "it need not wait any longer");
}

#[test]
fn closes_at_once_if_nothing_plays() {
    for mut table in [Table::new(Overlap::Mix), Table::closed(Clock::Realtime, rules(Overlap::Mix))] {
        assert_eq!((drain(&mut table, 8), table.outputs()), (String::new(), "close".into()));
        table.session.closed(Ok(()));
        assert!(table.words().ends_with("settled8"));
        assert_eq!(drain(&mut table, 9), "settled9", "it is closed already");
    }
}

#[test]
fn drain_has_a_time_limit() {
    let mut table = Table::new(Overlap::Queue);
    table.play("a", 0);
    table.play("b", 0);
    table.ready("a");
    table.pause(named("a"));
    assert_eq!(table.frame(), "a:paused@25");
    drain(&mut table, 8);
    assert_eq!(table.session.deadline(), Some(WallTime(WITHIN)));
    table.wall = WITHIN - 1;
    assert_eq!((looks(&mut table), table.outputs()), (String::new(), String::new()));
    table.wall = WITHIN;
    assert_eq!(looks(&mut table), "a:stopped(closed)@25 b:stopped(closed)@0");
    assert_eq!(table.outputs(), "close");
    table.session.end_sounding();
    table.session.closed(Ok(()));
    assert_eq!(table.words(), "disconnected(closed) settled8");
}

#[test]
fn earlier_of_two_drains_holds() {
    for first in [WITHIN, 2 * WITHIN] {
        let mut table = Table::new(Overlap::Mix);
        table.play("a", 0);
        table.session.drain(first, ticket(8), table.at());
        table.session.drain(3 * WITHIN - first, ticket(9), table.at());
        assert_eq!(table.session.deadline(), Some(WallTime(WITHIN)));
        table.wall = WITHIN;
        assert_eq!(looks(&mut table), "a:stopped(closed)@0");
        assert_eq!(drain(&mut table, 10), "");
        table.session.closed(Ok(()));
        assert_eq!(table.words(), "disconnected(closed) settled8 settled9 settled10");
    }
}

#[test]
fn close_ends_a_drain_at_once() {
    let mut table = Table::new(Overlap::Mix);
    table.play("a", 0);
    table.play("b", 0);
    table.ready("a");
    drain(&mut table, 8);
    table.session.close(Some(ticket(9)), table.at());
    assert_eq!(table.words(), "b:stopped(closed)@0");
    assert_eq!((table.outputs(), table.frame()), ("close".into(), "a:stopped(closed)@25".into()));
    table.session.closed(Err(gone()));
    assert_eq!(table.words(), "disconnected(closed) settled8(ERR_FILE) settled9(ERR_FILE)");
}

#[test]
fn drain_after_close_changes_nothing() {
    let mut table = Table::new(Overlap::Mix);
    table.play("a", 0);
    table.session.close(Some(ticket(8)), table.at());
    assert_eq!(table.words(), "a:stopped(closed)@0");
    assert_eq!((drain(&mut table, 9), table.outputs()), (String::new(), "close".into()));
    table.session.closed(Ok(()));
    assert_eq!(table.words(), "disconnected(closed) settled8 settled9");
}

#[test]
fn ends_when_everything_fails() {
    let mut table = Table::new(Overlap::Mix);
    table.play("a", 0);
    drain(&mut table, 8);
    assert_eq!(table.fail("a"), "a:failed(ERR_FILE)");
    looks(&mut table);
    assert_eq!(table.outputs(), "close");

    let mut table = Table::new(Overlap::Mix);
    table.play("a", 0);
    table.ready("a");
    drain(&mut table, 8);
    let lost = OutputEvent::Lost { error: gone(), reason: "gone".into() };
    assert_eq!(table.output(lost), "a:failed(ERR_FILE) disconnected(gone)");
    looks(&mut table);
    assert_eq!((table.outputs(), table.session.connection()), ("close".into(), ConnectionState::Disconnected));
}

#[test]
fn waits_for_a_cut_room_within_limit() {
    let mut table = Table::new(Overlap::Mix);
    table.play("a", 0);
    table.ready("a");
    drain(&mut table, 8);
    table.output(OutputEvent::MediaLost(UnheardPolicy::Pause));
    assert_eq!(looks(&mut table), "");
    table.wall = WITHIN;
    assert_eq!(looks(&mut table), "a:stopped(closed)@20", "no frame would carry its fade");
}

#[test]
fn broken_session_is_closed() {
    let mut table = Table::new(Overlap::Mix);
    table.play("a", 0);
    drain(&mut table, 8);
    table.session.break_down();
    assert_eq!(table.words(), "a:failed(ERR_INTERNAL) error(ERR_INTERNAL)");
    assert_eq!((looks(&mut table), table.outputs()), (String::new(), "close".into()));
    table.session.closed(Ok(()));
    assert_eq!(table.words(), "disconnected(closed) settled8");
}

#[test]
fn connect_under_way_settles_with_its_attempt() {
    let mut table = Table::closed(Clock::Realtime, rules(Overlap::Mix));
    table.play("a", 0);
    table.session.connect(ticket(1));
    assert_eq!(drain(&mut table, 2), "");
    assert_eq!(table.output(OutputEvent::Connected), "connected settled1");

    let mut table = Table::closed(Clock::Realtime, rules(Overlap::Mix));
    table.session.connect(ticket(1));
    assert_eq!(drain(&mut table, 2), "settled1(ERR_CLOSED)", "nothing needs the output");
}

#[test]
fn manual_clock_moves_by_itself() {
    let mut table = manual(Overlap::Queue);
    table.play("a", 0);
    table.play("b", 0);
    drain(&mut table, 8);
    assert_eq!(table.steps(), "", "a source that loads holds it");
    for name in ["a", "b"] {
        table.open(name);
        table.hand(name).push(&[0.5; 1_200]);
        table.hand(name).end(Ok(()));
    }
    assert_eq!(table.steps(), "a:started a:completed b:started b:completed");
    assert_eq!((table.session.now(), table.outputs()), (2_400, "close".into()), "and not a sample further");
}

#[test]
fn manual_clock_stops_at_the_drain_limit() {
    let mut table = manual(Overlap::Mix);
    table.advance(480);
    let (pipe, source) = stream();
    table.enter(PlayRequest { source, ..request("stream") });
    table.open("stream");
    table.hand("stream").push(&[0.5; 4_800]);
    // Its writer has nothing more.
    pipe.flush(false);
    table.play("paused", 0);
    table.open("paused");
    table.hand("paused").push(&[0.5; FIRST]);
    table.pause(named("paused"));
    drain(&mut table, 8);
    let reported = table.steps();
    assert!(reported.starts_with("stream:started"), "{reported}");
    assert!(reported.ends_with("stream:stopped(closed)@100 paused:stopped(closed)@0"), "{reported}");
    assert_eq!((table.session.now(), table.outputs()), (480 + WITHIN, "close".into()));
}

#[test]
fn finishes_an_advance_first() {
    let mut table = manual(Overlap::Mix);
    table.play("a", 0);
    assert_eq!(table.advance(4_800), "");
    drain(&mut table, 8);
    let refused = table.session.advance(960, ticket(9));
    assert_eq!((refused.is_ok(), table.words()), (true, "settled9(ERR_CLOSED)".into()));
    table.open("a");
    table.hand("a").push(&[0.5; 1_200]);
    table.hand("a").end(Ok(()));
    assert_eq!(table.steps(), "a:started a:completed settled2");
    assert_eq!((table.session.now(), table.outputs()), (4_800, "close".into()));

    let mut table = manual(Overlap::Mix);
    table.session.advance(2 * WITHIN, ticket(7)).expect("the clock is manual");
    drain(&mut table, 8);
    assert_eq!(table.steps(), "settled7(ERR_CLOSED)");
    assert_eq!(table.session.now(), WITHIN);
}

#[test]
fn waits_for_the_output_on_manual_clock() {
    let mut table = Table::closed(Clock::Manual, rules(Overlap::Mix));
    table.play("a", 0);
    table.open("a");
    table.hand("a").push(&[0.5; 480]);
    table.hand("a").end(Ok(()));
    table.session.drain(WITHIN, ticket(8), table.at());
    assert!(matches!(table.session.step(table.at(), true, &mut Scratch::default()), Step::Waits));
    assert_eq!(table.outputs(), "open");
    assert_eq!(table.output(OutputEvent::Connected), "connected");
    assert_eq!(table.steps(), "a:started a:completed");
    assert_eq!(table.outputs(), "close");
}

#[test]
fn stops_ahead_and_timeouts_work_while_it_drains() {
    let mut table = Table::with(Policy { queue_timeout: 4_800, ..rules(Overlap::Queue) });
    table.play("a", 0);
    table.play("b", 0);
    table.ready("a");
    drain(&mut table, 8);
    assert_eq!(table.pass(4_800), "b:failed(ERR_QUEUE_TIMEOUT)");
    let error = table.session.tap(tap(), &TapOf::All).unwrap_err();
    assert_eq!(error.code, Code::Closed);
    assert_eq!(table.stop(Target::All).0, "a");
}

fn tap() -> speaker_session::internals::output::TapRequest {
    use speaker_session::internals::output::{Backlog, PcmFormat, SampleFormat, TapRequest, TapTarget};
    let progress = std::sync::Arc::new(speaker_session::internals::source::DriverNotifier::new(false));
    TapRequest {
        id: 1,
        target: TapTarget::All,
        format: PcmFormat { sample_rate: 48_000, channels: 1, format: SampleFormat::F32, frame_ms: 20 },
        sink: std::sync::Arc::new(|_| {}),
        backlog: std::sync::Arc::new(Backlog::new(progress)),
    }
}
