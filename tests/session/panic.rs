//! A session that a panic broke.

use speaker_session::internals::error::Code;
use speaker_session::internals::session::{Clock, Overlap, Target};

use crate::table::{Table, request, rules, ticket};

#[test]
fn everything_live_fails_once() {
    let mut table = Table::new(Overlap::Queue);
    for name in ["playing", "waiting", "last"] {
        table.play(name, 0);
    }
    table.play("loading", 1);
    table.ready("playing");
    table.mix(960);
    table.session.break_down();
    let failed = ["playing", "loading", "waiting", "last"].map(|name| format!("{name}:failed(ERR_INTERNAL)"));
    assert_eq!(table.words(), format!("{} error(ERR_INTERNAL)", failed.join(" ")));
    table.session.break_down();
    assert_eq!((table.words(), table.outputs()), (String::new(), "close".into()));
    assert_eq!(table.session.stats().failed, 4);
}

#[test]
fn pending_calls_settle_and_close_works() {
    let mut table = Table::closed(Clock::Manual, rules(Overlap::Mix));
    table.session.connect(ticket(1));
    table.session.advance(960, ticket(2)).expect("the clock is manual");
    table.session.break_down();
    assert_eq!(table.words(), "settled1(ERR_INTERNAL) error(ERR_INTERNAL) settled2(ERR_INTERNAL)");
    table.session.close(Some(ticket(3)), table.at());
    assert_eq!((table.words(), table.outputs()), (String::new(), "close".into()), "nothing is opened any more");
    table.session.closed(Ok(()));
    assert_eq!(table.words(), "settled3");
    table.session.close(Some(ticket(4)), table.at());
    assert_eq!(table.words(), "settled4");
}

#[test]
fn earlier_close_settles() {
    let mut table = Table::new(Overlap::Mix);
    table.session.close(Some(ticket(8)), table.at());
    table.session.break_down();
    assert_eq!((table.words(), table.outputs()), ("error(ERR_INTERNAL)".into(), "close".into()));
    table.session.closed(Ok(()));
    assert_eq!(table.words(), "disconnected(closed) settled8");
}

#[test]
fn broken_session_refuses_calls() {
    let mut table = Table::new(Overlap::Mix);
    table.session.break_down();
    table.words();
    assert_eq!(table.session.play(request("a"), table.at()).unwrap_err().code, Code::Internal);
    table.session.connect(ticket(7));
    assert_eq!(table.words(), "settled7(ERR_INTERNAL)");
    assert_eq!((table.stop(Target::All), table.pause(Target::All)), Default::default());
    assert_eq!(table.frames(2), "");
}
