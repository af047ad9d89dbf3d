//! Tracks that a user unpublishes.

use speaker_session::internals::error::{Code, SpeakerError};
use speaker_session::internals::ids::Ticket;
use speaker_session::internals::output::{OutputEvent, UnheardPolicy};
use speaker_session::internals::session::{Overlap, Pace};

use crate::table::{Table, rules, ticket};

fn gone() -> SpeakerError {
    SpeakerError::new(Code::Disconnected, "gone")
}

fn room() -> Table {
    Table::room(rules(Overlap::Queue))
}

/// Unpublishes a track; returns its ticket, and the words.
fn unpublish(table: &mut Table, track: u32) -> (Ticket, String) {
    let ticket = table.next_ticket();
    table.session.unpublish(track, ticket, table.at());
    (ticket, table.words())
}

#[test]
fn stops_everything_on_the_track_only() {
    let mut table = room();
    table.start_on("a", 1);
    table.play("b", 1);
    table.start_on("c", 2);
    table.play("d", 3);
    let (ticket, reported) = unpublish(&mut table, 1);
    assert_eq!(reported, "b:stopped(unpublished)@0");
    assert_eq!(table.outputs(), format!("unpublish1Some({ticket})"));
    assert_eq!(table.frame(), "a:stopped(unpublished)@65", "faded");
    assert_eq!(table.output(OutputEvent::UnpublishDone { ticket, error: None }), format!("settled{ticket}"));
    assert_eq!(table.output(OutputEvent::UnpublishDone { ticket, error: None }), "", "once");
    assert_eq!(table.session.playbacks().len(), 2);
}

#[test]
fn later_request_waits_for_a_new_track() {
    let mut table = room();
    table.start_on("a", 1);
    let (ticket, _) = unpublish(&mut table, 1);
    table.play("b", 1);
    table.ready("b");
    assert_eq!(table.outputs(), format!("unpublish1Some({ticket}) prepare1"));
    assert_eq!(table.frames(3), "");
    assert_eq!(table.output(OutputEvent::UnpublishDone { ticket, error: None }), format!("settled{ticket}"));
    assert_eq!(table.frame(), "");
    table.output(OutputEvent::Opened(1));
    assert_eq!(table.frame(), "b:started");
}

#[test]
fn ignores_earlier_output_events() {
    let stale = [
        OutputEvent::Opened(1),
        OutputEvent::Refused { stream: 1, error: gone() },
        OutputEvent::Unpublished { stream: 1, policy: UnheardPolicy::Drop, error: gone() },
        OutputEvent::Republished(1),
    ];
    for event in stale {
        let mut table = room();
        table.play("a", 1);
        table.ready("a");
        assert_eq!(table.outputs(), "prepare1");
        let (ticket, _) = unpublish(&mut table, 1);
        table.play("b", 1);
        table.ready("b");
        assert_eq!(table.output(event), "");
        assert_eq!((table.session.pace(), table.frame()), (Pace::Rest, String::new()));
        assert_eq!(table.outputs(), format!("unpublish1Some({ticket}) prepare1"));
        table.output(OutputEvent::Opened(1));
        assert_eq!(table.frame(), "b:started");
    }
}

#[test]
fn republished_track_pauses_nothing() {
    let mut table = room();
    table.start_on("a", 1);
    table.output(OutputEvent::Unpublished { stream: 1, policy: UnheardPolicy::Pause, error: gone() });
    table.frame();
    let (ticket, reported) = unpublish(&mut table, 1);
    assert_eq!(reported, "a:stopped(unpublished)@25-5", "it stands still, and its fall was not heard");
    table.play("b", 1);
    table.ready("b");
    assert_eq!(table.outputs(), format!("unpublish1Some({ticket}) prepare1"));
    table.output(OutputEvent::Opened(1));
    assert_eq!(table.frame(), "b:started");
    assert_eq!(table.finish("b"), "b:completed");
}

#[test]
fn settles_at_once_without_a_room() {
    let mut table = Table::made(speaker_session::internals::session::Options {
        routing: speaker_session::internals::mixer::Routing::PerTrack,
        ..crate::table::options(speaker_session::internals::session::Clock::Realtime, rules(Overlap::Mix))
    });
    for track in [0, 2] {
        let (ticket, reported) = unpublish(&mut table, track);
        assert_eq!(reported, format!("settled{ticket}"));
    }
    assert_eq!(table.outputs(), "");
    table.session.connect(ticket(90));
    assert_eq!(table.outputs(), "open unpublish0None unpublish2None");
    table.output(OutputEvent::Connected);
    table.start_on("a", 2);
    table.output(OutputEvent::Lost { error: gone(), reason: "gone".into() });
    table.session.connect(ticket(91));
    assert_eq!(table.outputs(), "open unpublish0None", "what was played on is published again");
}

#[test]
fn settles_even_if_the_room_is_lost() {
    type End = fn(&mut Table);
    let ends: [(&str, End); 4] = [
        ("settled2", |table| {
            table.session.output_event(OutputEvent::Lost { error: gone(), reason: "gone".into() }, table.at())
        }),
        ("settled2(ERR_REFUSED)", |table| {
            let error = SpeakerError::new(Code::Refused, "no answer");
            table
                .session
                .output_event(OutputEvent::UnpublishDone { ticket: ticket(2), error: Some(error) }, table.at());
        }),
        ("settled2", |table| {
            table.session.close(None, table.at());
            table.session.closed(Ok(()));
        }),
        ("settled2(ERR_INTERNAL)", |table| assert!(table.session.break_down())),
    ];
    for (expected, end) in ends {
        let mut table = room();
        assert_eq!(unpublish(&mut table, 1), (ticket(2), String::new()));
        end(&mut table);
        let words = table.words();
        assert!(words.split(' ').any(|word| word == expected), "{words}");
        assert!(!words.replacen(expected, "", 1).contains("settled2"), "{words}");
    }
}

#[test]
fn settles_when_the_attempt_is_abandoned() {
    let mut table = Table::closed(speaker_session::internals::session::Clock::Realtime, rules(Overlap::Mix));
    let connect = table.next_ticket();
    table.session.connect(connect);
    let (ticket, reported) = unpublish(&mut table, 1);
    assert_eq!(reported, "");
    table.session.abandon(connect);
    assert_eq!(table.words(), format!("settled{connect}(ERR_ABORTED) settled{ticket}"));
}

#[test]
fn closed_session_unpublishes_nothing() {
    let mut table = room();
    table.session.close(None, table.at());
    assert_eq!(unpublish(&mut table, 1).1, "settled2(ERR_CLOSED)");
    table.session.closed(Ok(()));
    assert_eq!(unpublish(&mut table, 1).1, "disconnected(closed) settled3(ERR_CLOSED)");
}
