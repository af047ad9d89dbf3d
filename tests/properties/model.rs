//! A model of each playback: its expected events and samples, from the calls and the times of its start.
//!
//! Turns are decided by the session, and are taken from the events: that a playback was accepted, when it started, when one
//! without samples ended. All else follows from the calls, and is compared: the events, at which sample, with
//! which places and durations; what each call answered; each sample of the sum.

use std::collections::{HashMap, HashSet};

use speaker_session::internals::audio::{Samples, to_ms};
use speaker_session::internals::error::Code;
use speaker_session::internals::event::EventKind;
use speaker_session::internals::session::{Overlap, Target};

use crate::calls::{Call, Play, Sequence, Setup};
use crate::ensure;
use crate::harness::Answer;
use crate::run::{Reported, Run, Step, duration};
use crate::tracks::Tracks;
use crate::voice::{Reader, Turn, Voice};

/// The length of the fade when a playback is replaced or the session ends.
const EDGE: Samples = 240;

/// The expected life of one playback.
struct Life<'a> {
    play: &'a Play,
    /// The step of its request.
    entered: usize,
    /// The session's time of its request.
    asked: Samples,
    reported: &'a [Reported],
    /// The expected events, with their times.
    turns: Vec<(Samples, EventKind)>,
    state: State,
    is_paused: bool,
    is_stopping: bool,
    /// The reason of its stop.
    reason: &'static str,
    /// A known fault makes the rest unpredictable.
    is_unknown: bool,
    /// The time span in which it occupied its track.
    held: Vec<(Samples, Samples)>,
}

enum State {
    Waiting { reader: Reader, volume: f32, place: Samples },
    Sounding(Box<Voice>),
    Over,
}

/// The expected result of all playbacks together.
struct Sum {
    low: Vec<f32>,
    high: Vec<f32>,
    voices: Vec<u16>,
    tracks: Tracks,
    is_vague: bool,
}

/// Every sample is known exactly.
pub fn check(sequence: &Sequence, run: &Run) -> Result<bool, String> {
    if run.is_capped {
        return Ok(false);
    }
    let stories = run.stories();
    let early = stopped_before_they_came(run);
    let length = run.samples.len();
    let (low, high, voices) = (vec![0.0; length], vec![0.0; length], vec![0; length]);
    let mut sum = Sum { low, high, voices, tracks: Tracks::of(run), is_vague: false };
    let mut lives = HashMap::new();
    for (index, step) in run.steps.iter().enumerate() {
        let (Call::Play(play), Answer::Names(_)) = (&step.call, &step.answer) else { continue };
        let reported = stories.get(&play.name).map_or(&[][..], Vec::as_slice);
        let life = if early.contains(&play.name) || was_over_a_limit(reported) {
            Life::refused(play, (index, step.at), reported, early.contains(&play.name))
        } else {
            Life::new(play, (index, step.at), reported).live(run, &sequence.setup, &stories, &early, &mut sum)
        };
        if life.as_ref().is_ok_and(|life| life.is_unknown) {
            return Ok(false);
        }
        let life = life.map_err(|error| format!("{}: {error}", play.name))?;
        life.compare().map_err(|error| format!("{}: {error}", play.name))?;
        lives.insert(play.name.clone(), life);
    }
    compare_samples(run, &sum)?;
    turns_come(sequence, run, &lives)?;
    Ok(!sum.is_vague)
}

/// Finds the playbacks that were stopped by name ahead of their arrival: they are over at once, and change nothing.
fn stopped_before_they_came(run: &Run) -> HashSet<String> {
    let (mut seen, mut stopped) = (HashSet::new(), HashSet::new());
    let mut early = HashSet::new();
    for step in &run.steps {
        match (&step.call, &step.answer) {
            (Call::Play(play), Answer::Names(_)) => {
                seen.insert(&play.name);
                if stopped.contains(&play.name) {
                    early.insert(play.name.clone());
                }
            }
            (Call::Stop(Target::Request(name), ..), _) if !seen.contains(name) => drop(stopped.insert(name)),
            _ => {}
        }
    }
    early
}

fn was_over_a_limit(reported: &[Reported]) -> bool {
    let is_limit =
        |kind: &EventKind| matches!(kind, EventKind::Failed { code: Code::TooManyPlaybacks | Code::QueueFull, .. });
    reported.last().is_some_and(|reported| is_limit(&reported.event.kind))
}

fn means(target: &Target, play: &Play) -> bool {
    match target {
        Target::All => true,
        Target::Request(name) => *name == play.name,
        Target::Track(track) => *track == play.track,
        Target::AllBut(roles) => !roles.contains(&play.role),
        Target::Group(_) => false,
    }
}

impl<'a> Life<'a> {
    fn new(play: &'a Play, (entered, asked): (usize, Samples), reported: &'a [Reported]) -> Self {
        let reader = Reader::new(play);
        let state = State::Waiting { reader, volume: play.volume, place: play.start };
        let (turns, held) = (Vec::new(), Vec::new());
        Self {
            play,
            entered,
            asked,
            reported,
            turns,
            state,
            is_paused: false,
            is_stopping: false,
            reason: "",
            is_unknown: false,
            held,
        }
    }

    /// Its one event is its end.
    fn refused(
        play: &'a Play,
        entered: (usize, Samples),
        reported: &'a [Reported],
        early: bool,
    ) -> Result<Self, String> {
        let mut life = Self::new(play, entered, reported);
        let at = life.asked;
        ensure!(reported.len() == 1 && reported[0].at == at, "it was over at once, but {reported:?}");
        let kind = reported[0].event.kind.clone();
        if early {
            let reason = "user".to_owned();
            ensure!(
                kind == EventKind::Stopped { reason, duration_ms: 0.0, position_ms: 0.0, unheard_ms: 0.0 },
                "{kind:?}"
            );
        }
        life.turns.push((at, kind));
        life.state = State::Over;
        Ok(life)
    }

    /// Applies all calls since its request.
    fn live(
        mut self,
        run: &Run,
        setup: &Setup,
        stories: &HashMap<String, Vec<Reported>>,
        early: &HashSet<String>,
        sum: &mut Sum,
    ) -> Result<Self, String> {
        for (index, step) in run.steps.iter().enumerate().skip(self.entered) {
            if self.is_unknown {
                return Ok(self);
            }
            // A source without samples ends when it would begin, which the session decides.
            let end = self
                .reported
                .last()
                .filter(|reported| reported.step == index && duration(&reported.event.kind) == Some(0));
            // Its failure may be known just before a call, or just after it.
            let is_empty =
                |reported: &Reported| matches!(reported.event.kind, EventKind::Failed { code: Code::EmptySource, .. });
            if index > self.entered && !end.is_some_and(is_empty) {
                self.call(step, setup, stories, early)?;
            }
            self.advance(run, index, setup, sum)?;
            if let (State::Waiting { reader, .. }, Some(end)) = (&self.state, end) {
                let kind = match &end.event.kind {
                    EventKind::Completed { .. } if reader.remaining() == 0 => {
                        EventKind::Completed { duration_ms: 0.0, position_ms: to_ms(reader.place()), unheard_ms: 0.0 }
                    }
                    kind @ EventKind::Failed { code: Code::EmptySource, .. } if reader.is_hopeless() => kind.clone(),
                    kind => return Err(format!("ended without a sample, for no reason: {kind:?}")),
                };
                self.turns.push((end.at, kind));
                self.state = State::Over;
            }
        }
        ensure!(matches!(self.state, State::Over), "it never came to its end: {:?}", self.reported);
        Ok(self)
    }

    fn is_live(&self) -> bool {
        !matches!(self.state, State::Over)
    }

    /// Applies a call; returns true if the call must report it.
    fn call(
        &mut self,
        step: &Step,
        setup: &Setup,
        stories: &HashMap<String, Vec<Reported>>,
        early: &HashSet<String>,
    ) -> Result<(), String> {
        let at = step.at;
        let matches_target = |target: &Target| means(target, self.play);
        let applied = match &step.call {
            Call::Stop(target, after, fade) if matches_target(target) => {
                let applied = self.is_live() && !self.is_stopping;
                self.stop(at, *after, *fade, "user");
                applied
            }
            Call::Pause(target) if matches_target(target) => self.pause(at),
            Call::Resume(target) if matches_target(target) => self.resume(at),
            Call::Seek(target, place) if matches_target(target) => self.seek(at, *place),
            Call::SetVolume(target, volume, fade) if matches_target(target) => self.set_volume(*volume, *fade),
            Call::Play(play) => {
                let is_refused = !matches!(step.answer, Answer::Names(_))
                    || early.contains(&play.name)
                    || stories.get(&play.name).is_some_and(|reported| was_over_a_limit(reported));
                let replaces = setup.overlap == Overlap::Replace && play.track == self.play.track;
                if !is_refused && (play.stop_other || replaces) {
                    self.stop(at, 0, EDGE, "replaced");
                }
                return Ok(());
            }
            Call::Close => {
                self.close(at);
                return Ok(());
            }
            Call::SetTrackVolume { .. } | Call::Move(..) | Call::Connect | Call::Advance(_) => return Ok(()),
            _ => false,
        };
        let said = step.names().contains(&self.play.name);
        ensure!(applied == said, "{:?} at {at} applies: {applied}, but it answered {:?}", step.call, step.answer);
        Ok(())
    }

    fn stop(&mut self, at: Samples, after: Samples, fade: Samples, reason: &'static str) {
        if !std::mem::replace(&mut self.is_stopping, true) {
            self.reason = reason;
            self.release(at);
        }
        self.is_paused = false;
        let end = match &mut self.state {
            State::Waiting { place, .. } => Some(Turn::Stopped(0, *place)),
            State::Sounding(voice) => voice.stop(after, fade),
            State::Over => None,
        };
        end.into_iter().for_each(|end| self.tell(at, end));
    }

    fn pause(&mut self, at: Samples) -> bool {
        if !self.is_live() || self.is_stopping || std::mem::replace(&mut self.is_paused, true) {
            return false;
        }
        match &mut self.state {
            State::Waiting { place, .. } => {
                let turn = Turn::Paused(*place);
                self.tell(at, turn);
            }
            State::Sounding(voice) => voice.pause(),
            State::Over => {}
        }
        true
    }

    fn resume(&mut self, at: Samples) -> bool {
        if !self.is_live() || !std::mem::take(&mut self.is_paused) {
            return false;
        }
        match &mut self.state {
            State::Waiting { place, .. } => {
                let turn = Turn::Resumed(*place);
                self.tell(at, turn);
            }
            State::Sounding(voice) => voice.resume(),
            State::Over => {}
        }
        true
    }

    fn seek(&mut self, at: Samples, to: Samples) -> bool {
        if !self.is_live() || self.is_stopping {
            return false;
        }
        match &mut self.state {
            State::Waiting { reader, place, .. } => {
                (*reader, *place) = (reader.sought_before(to), to);
                self.tell(at, Turn::Sought(to));
            }
            State::Sounding(voice) => voice.seek(to),
            State::Over => {}
        }
        true
    }

    fn set_volume(&mut self, to: f32, fade: Samples) -> bool {
        match &mut self.state {
            State::Waiting { volume, .. } => *volume = to,
            State::Sounding(voice) => voice.set_volume(to, fade),
            State::Over => {}
        }
        self.is_live()
    }

    /// Cuts it off at the end of time.
    fn close(&mut self, at: Samples) {
        self.stop(at, 0, EDGE, "closed");
        if let State::Sounding(voice) = &self.state {
            let end = voice.ended();
            self.tell(at, end);
        }
    }

    /// Returns when it started, if it did.
    fn start(&self) -> Option<Samples> {
        self.reported
            .iter()
            .find(|reported| matches!(reported.event.kind, EventKind::Started { .. }))
            .map(|reported| reported.at)
    }

    /// Advances by the time of a step.
    fn advance(&mut self, run: &Run, index: usize, setup: &Setup, sum: &mut Sum) -> Result<(), String> {
        let step = &run.steps[index];
        if !matches!((&step.call, &step.answer), (Call::Advance(_), Answer::Settled(None))) {
            return Ok(());
        }
        let loaded = match &mut self.state {
            State::Sounding(voice) => voice.load(),
            _ => None,
        };
        loaded.into_iter().for_each(|turn| self.tell(step.at, turn));
        for at in step.at..=step.end() {
            let is_mixed = at < step.end();
            let begins = self.start() == Some(at) && is_mixed;
            self.begin(at, begins, setup)?;
            if step.length() == 0 {
                break;
            }
            let State::Sounding(voice) = &mut self.state else { continue };
            let mut turns = Vec::new();
            let decides = |kind: &EventKind| matches!(kind, EventKind::Sought { .. }) || duration(kind).is_some();
            let is_reported = self.reported.iter().any(|reported| reported.at == at && decides(&reported.event.kind));
            let is_over = voice.turn(is_mixed, is_reported, &mut turns);
            if !is_over && is_mixed && !voice.is_frozen() && !voice.is_dry() {
                let (one, other) = voice.sample(&mut turns);
                let (place, level) = (at as usize, sum.tracks.level(self.play.track, at));
                sum.low[place] += one.min(other) * level;
                sum.high[place] += one.max(other) * level;
                sum.voices[place] += 1;
            }
            sum.is_vague |= voice.is_vague;
            for turn in turns {
                let at = if matches!(turn, Turn::Progress(_)) { at + 1 } else { at };
                self.tell(at, turn);
            }
        }
        Ok(())
    }

    fn begin(&mut self, at: Samples, begins: bool, setup: &Setup) -> Result<(), String> {
        let State::Waiting { reader, volume, .. } = &self.state else { return Ok(()) };
        // A playback without a sample never sounds.
        if !begins || reader.remaining() == 0 {
            return Ok(());
        }
        ensure!(!self.is_paused, "it started at {at}, but is paused");
        let Setup { gain, max_duration, progress, .. } = *setup;
        let voice = Voice::new(reader.clone(), self.play, *volume, gain, max_duration, progress);
        self.state = State::Sounding(Box::new(voice));
        self.held.push((at, Samples::MAX));
        Ok(())
    }

    /// Marks its track as free.
    fn release(&mut self, at: Samples) {
        if let Some((_, until)) = self.held.last_mut() {
            *until = at.min(*until);
        }
    }

    fn tell(&mut self, at: Samples, turn: Turn) {
        if turn.is_end() {
            self.release(at);
            self.state = State::Over;
        }
        let ms = to_ms;
        let failed = |code, played, place| EventKind::Failed {
            code,
            message: String::new(),
            cause: None,
            duration_ms: ms(played),
            position_ms: ms(place),
            unheard_ms: 0.0,
        };
        let kind = match turn {
            Turn::Started => EventKind::Started { latency_ms: ms(at - self.asked), first_byte_ms: None },
            Turn::Paused(place) => EventKind::Paused { position_ms: ms(place) },
            Turn::Resumed(place) => EventKind::Resumed { position_ms: ms(place) },
            Turn::Sought(place) => EventKind::Sought { position_ms: ms(place) },
            Turn::Progress(place) => EventKind::Progress { position_ms: ms(place) },
            Turn::Completed(played, place) => {
                EventKind::Completed { duration_ms: ms(played), position_ms: ms(place), unheard_ms: 0.0 }
            }
            Turn::Stopped(played, place) => EventKind::Stopped {
                reason: self.reason.to_owned(),
                duration_ms: ms(played),
                position_ms: ms(place),
                unheard_ms: 0.0,
            },
            Turn::TooLong(played, place) => failed(Code::MaxDuration, played, place),
            Turn::NothingToLoop(played, place) => failed(Code::EmptySource, played, place),
        };
        self.turns.push((at, kind));
    }

    /// Compares the expected events with the real ones.
    fn compare(&self) -> Result<(), String> {
        let is_compared = |kind: &EventKind| !matches!(kind, EventKind::Queued { .. });
        let reported = self.reported.iter().map(|reported| (reported.at, without_words(&reported.event.kind)));
        let reported: Vec<_> = reported.filter(|(_, kind)| is_compared(kind)).collect();
        let turns = self.turns.iter().map(|(at, kind)| (*at, without_words(kind)));
        let mut turns: Vec<_> = turns.filter(|(_, kind)| is_compared(kind)).collect();
        // A failure may be found just before a stop or the close.
        let is_hopeless = |kind: &EventKind| matches!(kind, EventKind::Failed { code: Code::EmptySource, .. });
        if let (Some((_, EventKind::Stopped { .. })), Some(last)) = (turns.last(), reported.last())
            && is_hopeless(&last.1)
        {
            turns.pop();
            turns.push(last.clone());
        }
        ensure!(reported == turns, "events were\n  {reported:?}\nand should have been\n  {turns:?}");
        Ok(())
    }
}

/// Drops the message of an error.
fn without_words(kind: &EventKind) -> EventKind {
    match kind.clone() {
        EventKind::Failed { code, duration_ms, position_ms, unheard_ms, .. } => {
            EventKind::Failed { code, message: String::new(), cause: None, duration_ms, position_ms, unheard_ms }
        }
        kind => kind,
    }
}

fn compare_samples(run: &Run, sum: &Sum) -> Result<(), String> {
    for (at, sample) in run.samples.iter().enumerate() {
        let (low, high) = (sum.low[at], sum.high[at]);
        let tolerance = 1e-6 * f32::from(sum.voices[at]);
        ensure!(
            *sample >= low - tolerance && *sample <= high + tolerance,
            "sample {at} is {sample} and should have been {low} to {high}, of {} voices",
            sum.voices[at]
        );
    }
    Ok(())
}

/// Checks that every playback starts at once, or as soon as its track is free.
fn turns_come(sequence: &Sequence, run: &Run, lives: &HashMap<String, Life>) -> Result<(), String> {
    for (name, life) in lives {
        let Some((end, _)) = life.turns.last() else { continue };
        let start = life.start().unwrap_or(*end).min(*end);
        let mut is_paused = false;
        for step in &run.steps[life.entered..] {
            if step.at >= start {
                break;
            }
            match &step.call {
                Call::Pause(_) if step.names().contains(name) => is_paused = true,
                Call::Resume(_) if step.names().contains(name) => is_paused = false,
                _ => {}
            }
            if is_paused {
                continue;
            }
            let waits = step.at..step.end().min(start);
            let may_wait = sequence.setup.overlap == Overlap::Queue && !life.play.stop_other;
            ensure!(may_wait || waits.is_empty(), "{name} could have started at {}, not {start}", step.at);
            let mut at = waits.start;
            // From one playback that occupies the track to the next.
            while at < waits.end {
                let holder = lives.values().filter(|other| other.play.track == life.play.track).find_map(|other| {
                    let until = other.holds(at)?;
                    Some(until.max(at + 1))
                });
                let Some(until) = holder else {
                    return Err(format!("{name} waits at {at} for nobody, and started at {start}"));
                };
                at = until;
            }
        }
    }
    Ok(())
}

impl Life<'_> {
    /// Returns the time until which it occupies its track, if it does.
    fn holds(&self, at: Samples) -> Option<Samples> {
        let sounding = self.held.iter().find(|(from, until)| *from <= at && at < *until).map(|(_, until)| *until);
        // It may be paused though its turn has come.
        let (end, _) = self.turns.last()?;
        let started = self.start().unwrap_or(*end).min(*end);
        let mut paused = None;
        for (time, kind) in self.turns.iter().filter(|(time, _)| *time <= started) {
            match kind {
                EventKind::Paused { .. } => paused = Some(*time),
                EventKind::Resumed { .. } if paused.is_some_and(|from| from <= at && at < *time) => return Some(*time),
                EventKind::Resumed { .. } => paused = None,
                _ => {}
            }
        }
        let waiting = paused.filter(|from| *from <= at && at < started && started == *end).map(|_| started);
        sounding.or(waiting)
    }
}
