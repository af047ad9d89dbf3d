//! Events against samples: random calls on the manual clock, whose events must match the sound.
//!
//! `SPEAKER_SESSION_CASES` is the number of sequences, 300 by default.

mod calls;
mod harness;
mod laws;
mod model;
mod run;
#[path = "../support/mod.rs"]
mod support;
mod tracks;
mod voice;

use proptest::prelude::*;
use proptest::test_runner::{Config, FileFailurePersistence, TestCaseError, TestRunner};
use speaker_session::internals::event::{Event, EventKind};

use calls::Sequence;
use run::Run;

/// Fails a check with a message if a condition does not hold.
#[macro_export]
macro_rules! ensure {
    ($holds:expr, $($words:tt)+) => {{
        let holds: bool = $holds;
        if !holds {
            return Err(format!($($words)+));
        }
    }};
}

/// Checks that the same calls give the same events.
fn same_events(one: &Run, other: &Run, how: &str) -> Result<(), String> {
    let (left, right) = (events(one), events(other));
    if let Some((a, b)) = left.iter().zip(&right).find(|(a, b)| a != b) {
        return Err(format!("{how}: {a:?} became {b:?}"));
    }
    ensure!(left.len() == right.len(), "{how}: {} events became {}", left.len(), right.len());
    Ok(())
}

/// Checks that the same calls give the same samples, bit by bit.
fn same_samples(one: &Run, other: &Run, how: &str) -> Result<(), String> {
    let bits = |run: &Run| run.samples.iter().map(|sample| sample.to_bits()).collect::<Vec<_>>();
    let (left, right) = (bits(one), bits(other));
    let differs = left.iter().zip(&right).position(|(a, b)| a != b);
    ensure!(differs.is_none() && left.len() == right.len(), "{how}: sample {differs:?} is another");
    Ok(())
}

/// Returns the messages, in order.
fn events(run: &Run) -> Vec<Event> {
    run.reported().into_iter().map(|reported| reported.event).collect()
}

/// Checks the events against the sound, sample by sample.
fn check(sequence: &Sequence) -> Result<(), String> {
    let once = run::run(sequence, false);
    laws::check(&once)?;
    model::check(sequence, &once)?;
    let twice = run::run(sequence, false);
    same_events(&once, &twice, AGAIN)?;
    same_samples(&once, &twice, AGAIN)?;
    let cut = run::run(sequence, true);
    same_events(&once, &cut, CUT)?;
    same_samples(&once, &cut, CUT)?;
    drains_alike(sequence, &once)
}

/// Checks that a drain plays the same as an `advance` would, and then closes.
fn drains_alike(sequence: &Sequence, once: &Run) -> Result<(), String> {
    let Some(sequence) = sequence.drained() else { return Ok(()) };
    let drained = run::run(&sequence, false);
    // A drain without a playback opens no output, and one with a playback may be over sooner.
    let is_reported = |event: &Event| !matches!(event.kind, EventKind::Connected | EventKind::Disconnected { .. });
    let reported =
        |run| events(run).into_iter().filter(is_reported).map(|event| Event { seq: 0, ..event }).collect::<Vec<_>>();
    let (left, right) = (reported(once), reported(&drained));
    ensure!(left == right, "with a drain\n  {left:?}\nbecame\n  {right:?}");
    let length = drained.samples.len().min(once.samples.len());
    let same = once.samples[..length].iter().zip(&drained.samples).all(|(a, b)| a.to_bits() == b.to_bits());
    ensure!(same, "with a drain the samples are others");
    let mut rest = once.samples[length..].iter().chain(&drained.samples[length..]);
    ensure!(rest.all(|sample| *sample == 0.0), "with a drain the end is another");
    ensure!(drained.live.is_empty() && drained.late.is_empty(), "something outlives a drain");
    Ok(())
}

/// Checks the events of crossfades, which the model does not know.
fn check_crossing(sequence: &Sequence) -> Result<(), String> {
    let once = run::run(sequence, false);
    laws::check(&once)?;
    let twice = run::run(sequence, false);
    same_events(&once, &twice, AGAIN)?;
    let cut = run::run(sequence, true);
    same_samples(&once, &twice, AGAIN)?;
    same_samples(&once, &cut, CUT)?;
    same_events(&once, &cut, CUT)?;
    drains_alike(sequence, &once)
}

const AGAIN: &str = "a second time";
const CUT: &str = "with each advance cut in two";

fn try_many(strategy: impl Strategy<Value = Sequence>, check: fn(&Sequence) -> Result<(), String>) {
    let cases = std::env::var("SPEAKER_SESSION_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(300);
    let regressions = FileFailurePersistence::Direct("tests/properties/regressions.txt");
    let config = Config {
        cases,
        failure_persistence: Some(Box::new(regressions)),
        source_file: Some(file!()),
        max_shrink_iters: 20_000,
        max_shrink_time: 120_000,
        ..Config::default()
    };
    let result = TestRunner::new(config).run(&strategy, |sequence| check(&sequence).map_err(TestCaseError::fail));
    result.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn events_match_samples() {
    try_many(calls::sequence(Just(0).boxed()), check);
}

#[test]
fn crossfade_events_are_in_order() {
    try_many(calls::sequence((1..3_000_u64).boxed()), check_crossing);
}
