//! Closing a session.

use speaker_session::internals::error::Code;
use speaker_session::internals::output::OutputEvent;
use speaker_session::internals::session::{Clock, Overlap};

use crate::table::{Table, gone, request, rules, ticket};

#[test]
fn stops_everything_and_closes_the_output() {
    let mut table = Table::new(Overlap::Queue);
    for name in ["a", "b", "c"] {
        table.play(name, 0);
    }
    table.play("loading", 1);
    table.ready("a");
    table.session.close(Some(ticket(8)), table.at());
    assert_eq!(table.words(), "loading:stopped(closed)@0 b:stopped(closed)@0 c:stopped(closed)@0");
    assert_eq!(table.live(), "a:stopping", "the last frame carries its fade");
    assert_eq!(table.outputs(), "close");
    assert_eq!(table.frame(), "a:stopped(closed)@25");
    table.session.close(Some(ticket(9)), table.at());
    table.session.end_sounding();
    table.session.closed(Ok(()));
    assert_eq!(table.words(), "disconnected(closed) settled8 settled9");
    table.session.close(Some(ticket(10)), table.at());
    assert_eq!((table.words(), table.session.is_closed()), ("settled10".into(), true));
}

#[test]
fn last_frame_ends_everything_sounding() {
    let mut table = Table::new(Overlap::Mix);
    table.play("a", 0);
    table.ready("a");
    table.session.close(None, table.at());
    table.session.end_sounding();
    assert_eq!(table.words(), "a:stopped(closed)@20");
}

#[test]
fn reports_why_the_output_failed_to_close() {
    let mut table = Table::new(Overlap::Mix);
    table.session.close(Some(ticket(8)), table.at());
    table.session.closed(Err(gone()));
    assert_eq!(table.words(), "disconnected(closed) settled8(ERR_FILE)");
}

#[test]
fn settles_an_advance_under_way() {
    let mut table = Table::closed(Clock::Manual, rules(Overlap::Mix));
    table.connect();
    table.play("a", 0);
    assert_eq!(table.advance(960), "", "a loads");
    assert_eq!(table.advance(960), "");
    table.session.close(Some(ticket(8)), table.at());
    assert_eq!(table.words(), "a:stopped(closed)@0 settled2(ERR_CLOSED) settled3(ERR_CLOSED)");
    table.session.end_sounding();
    table.session.closed(Ok(()));
    assert_eq!(table.words(), "disconnected(closed) settled8");
}

#[test]
fn settles_a_connect_under_way() {
    let mut table = Table::closed(Clock::Realtime, rules(Overlap::Mix));
    table.session.connect(ticket(1));
    table.session.close(Some(ticket(2)), table.at());
    assert_eq!((table.words(), table.outputs()), ("settled1(ERR_CLOSED)".into(), "open close".into()));
    assert_eq!(table.output(OutputEvent::Connected), "connected");
    table.session.closed(Ok(()));
    assert_eq!(table.words(), "disconnected(closed) settled2");
}

#[test]
fn closed_session_refuses_calls() {
    let mut table = Table::closed(Clock::Manual, rules(Overlap::Mix));
    table.session.close(None, table.at());
    table.session.closed(Ok(()));
    assert_eq!(table.words(), "", "it was never connected");
    table.session.connect(ticket(1));
    table.session.advance(960, ticket(2)).expect("the clock is manual");
    assert_eq!(table.words(), "settled1(ERR_CLOSED) settled2(ERR_CLOSED)");
    let refused = table.session.play(request("a"), table.at()).unwrap_err();
    assert_eq!(refused.code, Code::Closed);
}
