//! Random calls of a user, and sequences of them.

use std::fmt;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use speaker_session::internals::audio::Samples;
use speaker_session::internals::mixer::Role;
use speaker_session::internals::session::{Overlap, Target};

/// A session's options, as far as they vary here.
#[derive(Debug, Clone)]
pub struct Setup {
    pub overlap: Overlap,
    pub crossfade: Samples,
    pub max_concurrent: usize,
    pub max_queued: usize,
    pub max_duration: Samples,
    pub progress: Samples,
    pub gain: f32,
}

/// A request to play noise of its own.
#[derive(Clone)]
pub struct Play {
    /// Its place in the sequence.
    pub name: String,
    pub seed: u32,
    pub length: usize,
    pub track: u32,
    pub role: Role,
    pub stop_other: bool,
    pub priority: i32,
    pub volume: f32,
    pub gain: f32,
    pub fade_in: Samples,
    pub fade_out: Samples,
    pub start: Samples,
    pub duration: Option<Samples>,
    pub passes: u64,
}

impl Play {
    /// Returns its samples: no two clips are alike, and none is loud enough for the limiter.
    pub fn source(&self) -> Vec<i16> {
        let mut state = self.seed.wrapping_mul(2_654_435_761).wrapping_add(1);
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // Never 0, so that a missing sample is noticed.
            let level = (state >> 24) as i16 + 256;
            if state & 0x1_0000 == 0 { level } else { -level }
        };
        (0..self.length).map(|_| next()).collect()
    }
}

#[derive(Debug, Clone)]
pub enum Call {
    Play(Play),
    /// The target, the samples before the fade, and the fade's length.
    Stop(Target, Samples, Samples),
    Pause(Target),
    Resume(Target),
    Seek(Target, Samples),
    SetVolume(Target, f32, Samples),
    /// The volume of a track, for present and future playbacks.
    SetTrackVolume {
        track: u32,
        volume: Option<f32>,
        gain: Option<f32>,
        fade: Samples,
    },
    Move(String, usize),
    Connect,
    Advance(Samples),
    Close,
    /// Closes once the accepted requests are over, or after this much time; only in place of the end of another sequence.
    Drain(Samples),
}

/// The end of a sequence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Finish {
    /// It just ends.
    Close,
    /// Everything is stopped, and the fade is played.
    Stop,
    /// Everything plays to its own end, if it has one.
    PlayOut,
}

#[derive(Clone)]
pub struct Sequence {
    pub setup: Setup,
    pub calls: Vec<Call>,
}

impl Sequence {
    /// Returns the same calls with a drain in place of the last `advance` and the close, if it ends so.
    pub fn drained(&self) -> Option<Self> {
        let [calls @ .., Call::Advance(samples @ 1..), Call::Close] = &self.calls[..] else { return None };
        let calls = calls.iter().cloned().chain([Call::Drain(*samples)]).collect();
        Some(Self { setup: self.setup.clone(), calls })
    }
}

/// Formats one call per line.
impl fmt::Debug for Sequence {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        write!(out, "{:?}", self.setup)?;
        self.calls.iter().try_for_each(|call| write!(out, "\n  {call:?}"))
    }
}

/// Formats the values that are not the default.
impl fmt::Debug for Play {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        let Self { name, seed, length, track, role, stop_other, priority, volume, gain, .. } = self;
        write!(out, "{name}: {length} samples of {seed}, track {track}, {role:?}")?;
        let odd: [(&str, bool, &dyn fmt::Debug); 9] = [
            ("stop_other", *stop_other, stop_other),
            ("priority", *priority != 0, priority),
            ("volume", *volume != 1.0, volume),
            ("gain", *gain != 1.0, gain),
            ("fade_in", self.fade_in != 0, &self.fade_in),
            ("fade_out", self.fade_out != 0, &self.fade_out),
            ("start", self.start != 0, &self.start),
            ("duration", self.duration.is_some(), &self.duration),
            ("passes", self.passes != 1, &self.passes),
        ];
        odd.iter().filter(|(_, is_odd, _)| *is_odd).try_for_each(|(what, _, value)| write!(out, ", {what} {value:?}"))
    }
}

/// A target before names are known: 0 is all, 1–3 a track, the others a playback, counted back from the one to come.
type Aim = usize;

/// A call before names are known.
#[derive(Debug, Clone)]
enum Plan {
    Play(Play),
    Stop(Aim, Samples, Samples),
    Pause(Aim),
    Resume(Aim),
    Seek(Aim, Samples),
    SetVolume(Aim, f32, Samples),
    SetTrackVolume(u32, [Option<f32>; 2], Samples),
    Move(Aim, usize),
    Connect,
    Advance(Samples),
    Close,
}

pub fn sequence(crossfade: BoxedStrategy<Samples>) -> impl Strategy<Value = Sequence> {
    let finish = prop_oneof![Just(Finish::PlayOut), Just(Finish::Stop), Just(Finish::Close)];
    (setup(crossfade), vec(plan(), 1..40), finish).prop_map(|(setup, plans, finish)| {
        let mut names = 0;
        let mut calls: Vec<_> = plans.into_iter().map(|plan| named(plan, &mut names)).collect();
        match finish {
            Finish::Close => {}
            Finish::Stop => calls.extend([Call::Stop(Target::All, 0, 240), Call::Advance(300)]),
            Finish::PlayOut => calls.extend([Call::Resume(Target::All), Call::Advance(40_000)]),
        }
        calls.push(Call::Close);
        Sequence { setup, calls }
    })
}

fn setup(crossfade: BoxedStrategy<Samples>) -> impl Strategy<Value = Setup> {
    let overlap = select(vec![Overlap::Queue, Overlap::Mix, Overlap::Replace]);
    let max_duration = prop_oneof![4 => Just(2_880_000), 1 => 48..4_000_u64];
    let progress = prop_oneof![Just(0), 960..3_000_u64];
    let limits = (prop_oneof![3 => Just(10), 1 => 1..4_usize], prop_oneof![3 => Just(10), 1 => 0..3_usize]);
    let gain = prop_oneof![3 => Just(1.0_f32), 1 => 0.25..1.5_f32];
    (overlap, crossfade, limits, max_duration, progress, gain).prop_map(
        |(overlap, crossfade, (max_concurrent, max_queued), max_duration, progress, gain)| Setup {
            overlap,
            crossfade,
            max_concurrent,
            max_queued,
            max_duration,
            progress,
            gain,
        },
    )
}

fn plan() -> impl Strategy<Value = Plan> {
    let aim = || 0..9_usize;
    let fade = || prop_oneof![2 => Just(240_u64), 1 => Just(0), 2 => 1..2_000_u64];
    let after = prop_oneof![2 => Just(0_u64), 1 => 1..2_000_u64];
    let levels = prop_oneof![
        (0.0..1.0_f32).prop_map(|volume| [Some(volume), None]),
        (0.0..1.5_f32).prop_map(|gain| [None, Some(gain)]),
        Just([Some(1.0), Some(1.0)]),
    ];
    prop_oneof![
        6 => play().prop_map(Plan::Play),
        8 => (1..3_000_u64).prop_map(Plan::Advance),
        1 => (1..300_u64).prop_map(Plan::Advance),
        1 => Just(Plan::Advance(0)),
        2 => (aim(), after, fade()).prop_map(|(aim, after, fade)| Plan::Stop(aim, after, fade)),
        3 => aim().prop_map(Plan::Pause),
        3 => aim().prop_map(Plan::Resume),
        2 => (aim(), 0..6_000_u64).prop_map(|(aim, place)| Plan::Seek(aim, place)),
        2 => (aim(), 0.0..1.0_f32, fade()).prop_map(|(aim, volume, fade)| Plan::SetVolume(aim, volume, fade)),
        2 => (0..3_u32, levels, fade()).prop_map(|(track, levels, fade)| Plan::SetTrackVolume(track, levels, fade)),
        1 => (4..9_usize, 1..5_usize).prop_map(|(aim, place)| Plan::Move(aim, place)),
        1 => Just(Plan::Connect),
        1 => prop_oneof![9 => Just(Plan::Advance(960)), 1 => Just(Plan::Close)],
    ]
}

fn play() -> impl Strategy<Value = Play> {
    let length = prop_oneof![8 => 0..5_000_usize, 1 => 0..4_usize, 1 => 200..300_usize];
    let optional = |range: std::ops::Range<Samples>| prop_oneof![3 => Just(0), 1 => range];
    let part = (optional(1..3_000), prop_oneof![3 => Just(None), 1 => (1..4_000_u64).prop_map(Some)]);
    let passes = prop_oneof![6 => Just(1), 2 => 2..4_u64, 1 => Just(1_000_000)];
    let loudness =
        (prop_oneof![2 => Just(1.0_f32), 1 => 0.0..1.0_f32], prop_oneof![2 => Just(1.0_f32), 1 => 0.0..2.0_f32]);
    let fades = (optional(1..1_500), optional(1..1_500));
    let place = (0..3_u32, select(Role::ALL.to_vec()), prop::bool::weighted(0.2), -1..2_i32);
    (any::<u32>(), length, part, passes, loudness, fades, place).prop_map(
        |(seed, length, (start, duration), passes, (volume, gain), (fade_in, fade_out), place)| {
            let (track, role, stop_other, priority) = place;
            Play {
                name: String::new(),
                seed,
                length,
                track,
                role,
                stop_other,
                priority,
                volume,
                gain,
                fade_in,
                fade_out,
                start,
                duration,
                passes,
            }
        },
    )
}

fn named(plan: Plan, names: &mut usize) -> Call {
    let name = |back: usize, names: usize| format!("p{}", names.saturating_sub(back));
    let target = |aim: Aim| match aim {
        0 => Target::All,
        1..4 => Target::Track(aim as u32 - 1),
        // Sometimes one that has not arrived yet; mostly the last ones.
        _ => Target::Request(name(aim - 4, *names)),
    };
    match plan {
        Plan::Play(play) => {
            *names += 1;
            Call::Play(Play { name: name(1, *names), ..play })
        }
        Plan::Stop(aim, after, fade) => Call::Stop(target(aim), after, fade),
        Plan::Pause(aim) => Call::Pause(target(aim)),
        Plan::Resume(aim) => Call::Resume(target(aim)),
        Plan::Seek(aim, place) => Call::Seek(target(aim), place),
        Plan::SetVolume(aim, volume, fade) => Call::SetVolume(target(aim), volume, fade),
        Plan::SetTrackVolume(track, [volume, gain], fade) => Call::SetTrackVolume { track, volume, gain, fade },
        Plan::Move(aim, place) => Call::Move(name(aim - 4, *names), place),
        Plan::Connect => Call::Connect,
        Plan::Advance(samples) => Call::Advance(samples),
        Plan::Close => Call::Close,
    }
}
