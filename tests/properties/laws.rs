//! The laws that hold for every sequence.

use std::collections::HashSet;

use speaker_session::internals::audio::to_ms;
use speaker_session::internals::event::{EventKind, Message};

use crate::calls::Call;
use crate::ensure;
use crate::harness::Answer;
use crate::run::{Reported, Run, duration};

pub fn check(run: &Run) -> Result<(), String> {
    tickets_settle_once(run)?;
    events_are_in_order(run)?;
    every_request_ends_once(run)?;
    counters_add_up(run)?;
    silence_where_nobody_sounds(run)?;
    ensure!(run.late.is_empty(), "reported after close settled: {:?}", run.late);
    ensure!(run.live.is_empty(), "lives on after close: {:?}", run.live);
    ensure!(run.counts.underruns == 0, "the manual clock waits for sources, but some were late");
    Ok(())
}

fn tickets_settle_once(run: &Run) -> Result<(), String> {
    let asked = run.steps.iter().filter(|step| matches!(step.answer, Answer::Settled(_))).count();
    let mut settled = HashSet::new();
    for message in run.steps.iter().flat_map(|step| &step.messages).chain(&run.late) {
        if let Message::Settled { ticket, .. } = message {
            ensure!(settled.insert(*ticket), "ticket {ticket} settled twice");
        }
    }
    ensure!(settled.len() == asked, "{asked} tickets were given and {} settled", settled.len());
    Ok(())
}

fn events_are_in_order(run: &Run) -> Result<(), String> {
    let mut last = 0;
    for (index, Reported { step, at, event }) in run.reported().into_iter().enumerate() {
        ensure!(event.seq == index as u64 + 1, "seq {} came as number {}", event.seq, index + 1);
        ensure!(to_ms(at) == event.at_ms, "{event:?} is not at a sample");
        ensure!(at <= run.steps[step].end(), "{event:?} was emitted at {} samples", run.steps[step].end());
        ensure!(at >= last, "{event:?} was emitted after one of {last} samples");
        last = at;
    }
    Ok(())
}

fn every_request_ends_once(run: &Run) -> Result<(), String> {
    let stories = run.stories();
    let mut taken = HashSet::new();
    for step in &run.steps {
        if let (Call::Play(play), Answer::Names(_)) = (&step.call, &step.answer) {
            ensure!(taken.insert(play.name.clone()), "{} was taken twice", play.name);
        }
    }
    for name in &taken {
        ensure!(stories.contains_key(name), "{name} has no event");
    }
    for (name, story) in &stories {
        ensure!(taken.contains(name), "{name} was not accepted, but {:?} was emitted", story[0]);
        is_one_life(story).map_err(|error| format!("{name}: {error}"))?;
    }
    Ok(())
}

/// Checks the order of events: at most one start, before any sound; one end, and nothing after it.
fn is_one_life(story: &[Reported]) -> Result<(), String> {
    let kinds: Vec<_> = story.iter().map(|reported| &reported.event.kind).collect();
    let ends = kinds.iter().filter(|kind| duration(kind).is_some()).count();
    ensure!(ends == 1, "{ends} ends: {kinds:?}");
    let last = kinds.last().and_then(|kind| duration(kind));
    ensure!(last.is_some(), "reported after its end: {kinds:?}");
    let starts: Vec<_> = (0..kinds.len()).filter(|index| matches!(kinds[*index], EventKind::Started { .. })).collect();
    ensure!(starts.len() <= 1, "started twice: {kinds:?}");
    let sounds = last > Some(0);
    ensure!(!sounds || starts.len() == 1, "sounded without a start: {kinds:?}");
    ensure!(sounds || starts.is_empty(), "started without a sample: {kinds:?}");
    let started = starts.first().copied().unwrap_or(kinds.len());
    let early = kinds[..started].iter().any(|kind| matches!(kind, EventKind::Progress { .. }));
    ensure!(!early, "progress before its start: {kinds:?}");
    let queued = kinds[started.min(kinds.len() - 1)..].iter().any(|kind| matches!(kind, EventKind::Queued { .. }));
    ensure!(!queued, "queued after its start: {kinds:?}");
    let mut is_paused = false;
    for kind in &kinds {
        match kind {
            EventKind::Paused { .. } => ensure!(!std::mem::replace(&mut is_paused, true), "paused twice: {kinds:?}"),
            EventKind::Resumed { .. } => ensure!(std::mem::take(&mut is_paused), "resumed, but not paused: {kinds:?}"),
            EventKind::Progress { .. } | EventKind::Started { .. } => {
                ensure!(!is_paused, "went on while paused: {kinds:?}")
            }
            _ => {}
        }
    }
    Ok(())
}

fn counters_add_up(run: &Run) -> Result<(), String> {
    let reported = run.reported();
    let count =
        |is_it: fn(&EventKind) -> bool| reported.iter().filter(|reported| is_it(&reported.event.kind)).count() as u64;
    let ends = [
        count(|kind| matches!(kind, EventKind::Completed { .. })),
        count(|kind| matches!(kind, EventKind::Stopped { .. })),
        count(|kind| matches!(kind, EventKind::Failed { .. })),
    ];
    let counted = [run.counts.completed, run.counts.stopped, run.counts.failed];
    ensure!(ends == counted, "completed, stopped, failed: {ends:?} were emitted and {counted:?} counted");
    Ok(())
}

fn silence_where_nobody_sounds(run: &Run) -> Result<(), String> {
    let moved = run.steps.iter().map(|step| step.length()).sum::<u64>() as usize;
    ensure!(run.samples.len() == moved, "{moved} samples were asked for and {} given", run.samples.len());
    let mut silent = vec![true; moved];
    for story in run.stories().values() {
        let (mut from, mut until) = (None, Vec::new());
        for Reported { at, event, .. } in story {
            let at = *at as usize;
            match event.kind {
                EventKind::Started { .. } => from = Some(at),
                EventKind::Resumed { .. } if from.is_none() && !until.is_empty() => from = Some(at),
                EventKind::Paused { .. } => until.extend(from.take().map(|from| from..at)),
                _ if duration(&event.kind).is_some() => until.extend(from.take().map(|from| from..at)),
                _ => {}
            }
        }
        for sounding in until {
            ensure!(sounding.end <= moved, "{story:?} ends at a sample that was never asked for");
            silent[sounding].fill(false);
        }
    }
    for (at, (sample, silent)) in run.samples.iter().zip(silent).enumerate() {
        ensure!(!silent || *sample == 0.0, "sample {at} is {sample}, but nobody sounds");
        ensure!(sample.abs() < 0.9, "sample {at} is {sample}: near the limiter");
    }
    Ok(())
}
