//! Marks: reported once everything requested before is over, or everything written before was heard.

use speaker_session::internals::audio::FRAME;
use speaker_session::internals::error::Code;
use speaker_session::internals::mixer::Written;
use speaker_session::internals::session::{Overlap, Target};

use crate::table::{FADE, Table, named, request, rules, stream};

/// Sets a mark, and returns the immediate events.
fn mark(table: &mut Table, name: &str, target: Target) -> String {
    let (mark, at) = (table.next_mark(), table.at());
    table.session.mark(name.to_owned(), mark, &target, at).unwrap();
    table.words()
}

#[test]
fn waits_for_earlier_playbacks_only() {
    let mut table = Table::new(Overlap::Queue);
    for (name, track) in [("a", 0), ("b", 0), ("c", 1)] {
        table.play(name, track);
        table.ready(name);
    }
    assert_eq!(mark(&mut table, "m", Target::All), "");
    table.play("later", 2);
    assert_eq!(table.finish("c"), "c:completed");
    assert_eq!(table.finish("a"), "a:completed b:started");
    assert_eq!(table.finish("b"), "b:completed mark(m)");
    assert_eq!(table.live(), "later:loading");
}

#[test]
fn is_reached_at_once_without_a_match() {
    let mut table = Table::new(Overlap::Mix);
    assert_eq!(mark(&mut table, "empty", Target::All), "mark(empty)");
    table.play("a", 0);
    assert_eq!(mark(&mut table, "other", Target::Track(1)), "mark(other)");
    assert_eq!(mark(&mut table, "none", named("b")), "mark(none)");
}

#[test]
fn repeated_names_are_reported_in_order() {
    let mut table = Table::new(Overlap::Mix);
    table.play("a", 0);
    table.play("b", 1);
    for (name, target) in [("m", Target::All), ("n", named("a")), ("m", Target::Track(0))] {
        assert_eq!(mark(&mut table, name, target), "");
    }
    assert_eq!(table.stop(named("a")).1, "a:stopped(user)@0 mark(n) mark(m)");
    assert_eq!(table.stop(Target::All).1, "b:stopped(user)@0 mark(m)");
}

#[test]
fn waits_for_fades_and_failures() {
    let mut table = Table::new(Overlap::Mix);
    table.play("a", 0);
    table.ready("a");
    table.stop_within(named("a"), FADE);
    assert_eq!(mark(&mut table, "fading", Target::All), "");
    assert_eq!(table.frame(), "a:stopped(user)@25 mark(fading)");
    table.play("b", 0);
    mark(&mut table, "failed", Target::All);
    assert_eq!(table.fail("b"), "b:failed(ERR_FILE) mark(failed)");
}

#[test]
fn close_reaches_all_marks() {
    let mut table = Table::new(Overlap::Mix);
    table.play("a", 0);
    mark(&mut table, "m", Target::All);
    let ticket = table.next_ticket();
    let at = table.at();
    table.session.close(Some(ticket), at);
    assert_eq!(table.words(), "a:stopped(closed)@0 mark(m)");
    let refused = table.session.mark("late".to_owned(), 99.into(), &Target::All, at).unwrap_err();
    assert_eq!(refused.code, Code::Closed);
}

/// A stream of f32 at 48 kHz that sounds, with its writer's end.
fn sounding_stream() -> (Table, std::sync::Arc<speaker_session::internals::source::PipeWriter>) {
    let mut table = Table::with(rules(Overlap::Mix));
    let (pipe, source) = stream();
    table.enter(speaker_session::internals::session::PlayRequest { source, ..request("s") });
    table.open("s");
    table.hand("s").push(&[0.25; 4 * FRAME]);
    assert_eq!(table.frame(), "s:started");
    (table, pipe)
}

fn mark_stream(table: &mut Table, name: &str, samples: u64) -> String {
    let (mark, at) = (table.next_mark(), table.at());
    let written = Written { bytes: 4 * samples, place: samples };
    let id = table.id("s");
    table.session.mark_stream(id, Some(written), name.to_owned(), mark, at).unwrap();
    table.words()
}

#[test]
fn stream_mark_is_reached_at_its_sample() {
    let (mut table, _pipe) = sounding_stream();
    assert_eq!(mark_stream(&mut table, "past", 480), "mark(past)");
    assert_eq!(mark_stream(&mut table, "in the next frame", 1_000), "");
    assert_eq!(mark_stream(&mut table, "at its end", 2 * FRAME as u64), "");
    assert_eq!(table.frame(), "mark(in the next frame) mark(at its end)");
    let at: Vec<f64> = table.events[table.events.len() - 2..].iter().map(|event| event.at_ms * 48.0).collect();
    assert_eq!(at, [1_000.0, 1_920.0]);
    assert_eq!(mark_stream(&mut table, "beyond", 9_000), "");
    assert_eq!(table.finish("s"), "s:completed mark(beyond)");
}

#[test]
fn flush_reaches_a_stream_mark() {
    let (mut table, _pipe) = sounding_stream();
    mark_stream(&mut table, "m", 3_000);
    let (ticket, at, id) = (table.next_ticket(), table.at(), table.id("s"));
    table.session.flush(id, ticket, at);
    assert!(table.words().starts_with("mark(m)"));
}
