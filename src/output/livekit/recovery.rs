//! How a room in trouble is won back: resumed in the place that the server keeps, or else joined anew. A state machine without sockets
//! and clocks: told what happened and when, it answers with what is to be done next.
//!
//! ```text
//! signalling lost ─▶ Reopening ─▶ Confirming ─┬─ sound still arrives ─▶ Well: nobody heard a gap
//!                        ▲                    ├─ no sound arrives ────▶ Path
//!                        │                    └─ somebody else is us ─▶ Lost: the older session ends
//! ICE has no path ───────┼──────────────────────────────────────────▶ Path ─▶ Well: the tracks stayed published
//! refused, or no path ───┴─▶ Rejoining ─▶ Republishing ─▶ Well
//! ```
//!
//! A room is only joined anew when its server says so, or while its signalling is open: whoever joins throws out a session that has
//! joined under the same identity meanwhile, and only a server that is asked to resume tells of that one.

use std::time::{Duration, Instant};

use super::backoff::{ATTEMPTS, Backoff};
use super::trouble::Remedy;

/// How long a room may be without a path before its place counts as lost: what LiveKit's own clients wait.
pub const LOST_AFTER: Duration = Duration::from_secs(15);

/// How long a server may take to say who we are after it let us resume. Those since 1.4 say so at once.
pub const CONFIRM_WITHIN: Duration = Duration::from_secs(1);

/// How long all must have been well before attempts begin anew: a server that lets everybody in and throws him out at once is asked
/// less and less often too.
const STABLE_AFTER: Duration = Duration::from_secs(5);

/// How often it is looked whether sound still arrives while something is broken.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// The room is joined.
    Joined,
    /// What was tried failed, or what was there broke: what may be done about it.
    Failed(Remedy),
    /// The server says that it knows another state than ours.
    Mismatch,
    /// Sound does not arrive any more.
    NoPath,
    /// The signalling is open again.
    Reopened,
    /// The server says that we are who we were.
    Confirmed,
    /// The server says that another session has our identity.
    Replaced,
    /// Every track that was published is published again.
    Published,
    /// Time has passed.
    Look,
}

/// What is known of the media.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Media {
    /// What is sent reaches the server, as far as one can know.
    pub is_heard: bool,
    /// ICE has a path, and no offer waits for its answer.
    pub is_settled: bool,
}

/// What is to be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Join the room anew, not before then.
    Join(Instant),
    /// Reopen the signalling, not before then.
    Reopen(Instant),
    /// Look for a path anew (an ICE restart). Over signalling that was reopened it is said first what was agreed.
    FindPath {
        /// The signalling was reopened.
        is_reopened: bool,
    },
    /// All is as it was; what could not be said meanwhile is said now.
    Resume {
        /// The signalling was reopened.
        is_reopened: bool,
    },
    /// The room is lost for good.
    Lose,
    /// The room belongs to another session of ours: end without a goodbye, which would be that one's.
    GiveWay,
}

/// How the room is, as far as the session is to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Not joined yet.
    Away,
    Well,
    /// Broken in part: what is sent still arrives.
    Shaky,
    /// Nothing arrives.
    Cut,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It is joined for the first time: if that fails, it is the caller who decides about another attempt.
    Joining,
    Well,
    /// The signalling is being reopened.
    Reopening,
    /// The signalling is open again, and the server is to say who we are, until then.
    Confirming(Instant),
    /// ICE looks for a path, until then.
    Path(Instant),
    /// It is joined anew.
    Rejoining,
    Lost,
}

pub struct Recovery {
    phase: Phase,
    /// Joined anew, and not everything is published again.
    is_republishing: bool,
    /// The signalling was reopened, and the server has not said who we are.
    is_unconfirmed: bool,
    /// Attempts since all was well for a while.
    attempts: Backoff,
    /// Since when all is well.
    well: Option<Instant>,
    /// When sound was last known to arrive, while something is broken.
    heard: Option<Instant>,
    /// The server may have other addresses than the one that is tried: those of LiveKit Cloud.
    has_regions: bool,
}

impl Recovery {
    /// A room that is being joined. `seed` spreads the attempts of many.
    pub fn new(has_regions: bool, seed: u64) -> Self {
        Self {
            phase: Phase::Joining,
            is_republishing: false,
            is_unconfirmed: false,
            attempts: Backoff::new(seed),
            well: None,
            heard: None,
            has_regions,
        }
    }

    /// Returns true while something is broken.
    pub fn is_going_on(&self) -> bool {
        !matches!(self.phase, Phase::Joining | Phase::Well | Phase::Lost)
    }

    /// Returns true if tracks may be offered: the signalling is open, and no path is looked for.
    pub fn may_offer(&self) -> bool {
        self.phase == Phase::Well
    }

    /// Returns true if all is well once every track is published.
    pub fn awaits_tracks(&self) -> bool {
        self.phase == Phase::Well && self.well.is_none()
    }

    /// Returns true if the room was joined anew, and not everything is published again.
    pub fn is_republishing(&self) -> bool {
        self.is_republishing
    }

    pub fn condition(&self, media: Media) -> Condition {
        match self.phase {
            Phase::Joining => Condition::Away,
            Phase::Well if !self.is_republishing => Condition::Well,
            Phase::Reopening | Phase::Confirming(_) | Phase::Path(_) if media.is_heard && !self.is_republishing => {
                Condition::Shaky
            }
            _ => Condition::Cut,
        }
    }

    /// When it is to be told that time has passed, at the latest. Those who lost their server for long are woken by attempts alone.
    pub fn deadline(&self, media: Media, now: Instant) -> Option<Instant> {
        let next = media.is_heard.then(|| now + LOOK_EVERY);
        let until = match self.phase {
            Phase::Confirming(until) | Phase::Path(until) => Some(until),
            Phase::Reopening if self.has_regions => self.heard.map(|heard| heard + LOST_AFTER),
            Phase::Reopening => None,
            _ => return None,
        };
        until.into_iter().chain(next).min()
    }

    /// Takes what happened. Returns what is to be done about it.
    pub fn handle(&mut self, input: Input, media: Media, now: Instant) -> Option<Action> {
        if self.phase == Phase::Lost {
            return None;
        }
        if media.is_heard {
            self.heard = Some(now);
        }
        match input {
            Input::Joined => {
                self.is_republishing = self.phase == Phase::Rejoining;
                self.is_unconfirmed = false;
                self.phase = Phase::Well;
                None
            }
            Input::Published => {
                self.is_republishing = false;
                if self.phase == Phase::Well {
                    self.well.get_or_insert(now);
                }
                None
            }
            Input::Failed(remedy) => self.failed(remedy, media, now),
            Input::Mismatch if self.is_unconfirmed => self.give_way(),
            Input::Mismatch => self.rejoin(now),
            Input::NoPath => self.no_path(now),
            Input::Reopened if self.phase == Phase::Reopening => {
                self.phase = Phase::Confirming(now + CONFIRM_WITHIN);
                self.is_unconfirmed = true;
                None
            }
            Input::Confirmed => {
                self.is_unconfirmed = false;
                matches!(self.phase, Phase::Confirming(_)).then(|| self.go_on(media, now))
            }
            // At other times a server ends the older session itself.
            Input::Replaced if self.is_unconfirmed => self.give_way(),
            Input::Reopened | Input::Replaced => None,
            Input::Look => self.look(media, now),
        }
    }

    fn failed(&mut self, remedy: Remedy, media: Media, now: Instant) -> Option<Action> {
        match (remedy, self.phase) {
            (Remedy::None, _) | (_, Phase::Joining) => self.lose(),
            (Remedy::Resume, Phase::Rejoining) | (Remedy::Rejoin, _) => self.rejoin(now),
            (Remedy::Resume, _) => {
                self.begin(now);
                // Whoever is heard may wait for the signalling for as long as it takes.
                if media.is_heard {
                    self.attempts.attempts = self.attempts.attempts.min(ATTEMPTS - 1);
                }
                self.again(Phase::Reopening, now)
            }
        }
    }

    /// Another attempt, after a while; the first one at once.
    fn again(&mut self, phase: Phase, now: Instant) -> Option<Action> {
        if self.attempts.attempts == ATTEMPTS {
            return self.lose();
        }
        let at = now + self.attempts.wait();
        self.phase = phase;
        self.is_unconfirmed = false;
        Some(if phase == Phase::Rejoining { Action::Join(at) } else { Action::Reopen(at) })
    }

    fn rejoin(&mut self, now: Instant) -> Option<Action> {
        if self.phase == Phase::Joining {
            return self.lose();
        }
        self.begin(now);
        self.again(Phase::Rejoining, now)
    }

    /// Something has broken that may have been well.
    fn begin(&mut self, now: Instant) {
        if self.phase == Phase::Well {
            self.heard = Some(now);
        }
        if self.well.take().is_some_and(|well| now >= well + STABLE_AFTER) {
            self.attempts.done();
        }
    }

    fn no_path(&mut self, now: Instant) -> Option<Action> {
        if self.phase != Phase::Well {
            // The signalling comes first; or a path is looked for already.
            return None;
        }
        self.begin(now);
        self.phase = Phase::Path(now + LOST_AFTER);
        Some(Action::FindPath { is_reopened: false })
    }

    /// The signalling is open again, in our place.
    fn go_on(&mut self, media: Media, now: Instant) -> Action {
        if media.is_heard {
            return self.resume(true, now);
        }
        // What was waited for the signalling is not the path's fault.
        self.phase = Phase::Path(now + LOST_AFTER);
        Action::FindPath { is_reopened: true }
    }

    fn resume(&mut self, is_reopened: bool, now: Instant) -> Action {
        self.phase = Phase::Well;
        self.well = (!self.is_republishing).then_some(now);
        Action::Resume { is_reopened }
    }

    fn look(&mut self, media: Media, now: Instant) -> Option<Action> {
        match self.phase {
            // An old server does not say who we are.
            Phase::Confirming(until) if now >= until => Some(self.go_on(media, now)),
            Phase::Path(_) if media.is_settled => Some(self.resume(false, now)),
            Phase::Path(until) if now >= until => self.rejoin(now),
            // Its region may be gone, and there are others.
            Phase::Reopening if self.has_regions && self.heard.is_some_and(|heard| now >= heard + LOST_AFTER) => {
                self.rejoin(now)
            }
            _ => None,
        }
    }

    fn lose(&mut self) -> Option<Action> {
        self.phase = Phase::Lost;
        Some(Action::Lose)
    }

    fn give_way(&mut self) -> Option<Action> {
        self.phase = Phase::Lost;
        Some(Action::GiveWay)
    }
}

#[cfg(test)]
mod tests {
    use super::Action::*;
    use super::Input::*;
    use super::*;

    /// A machine, its time, and what is known of the media.
    struct Table {
        recovery: Recovery,
        now: Instant,
        media: Media,
    }

    const HEARD: Media = Media { is_heard: true, is_settled: true };
    const SILENT: Media = Media { is_heard: false, is_settled: false };

    impl Table {
        /// A room in which all is well.
        fn well() -> Self {
            let mut table = Self { recovery: Recovery::new(false, 1), now: Instant::now(), media: HEARD };
            assert_eq!(table.at(0, Joined), None);
            assert_eq!(table.condition(), Condition::Well);
            table.at(0, Published);
            table.at(60_000, Look);
            table
        }

        /// After so many milliseconds.
        fn at(&mut self, ms: u64, input: Input) -> Option<Action> {
            self.now += Duration::from_millis(ms);
            self.recovery.handle(input, self.media, self.now)
        }

        /// The same, with media as given.
        fn with(&mut self, media: Media, ms: u64, input: Input) -> Option<Action> {
            self.media = media;
            self.at(ms, input)
        }

        fn condition(&self) -> Condition {
            self.recovery.condition(self.media)
        }

        /// Lets time pass as its deadlines want, until something is to be done.
        fn wait(&mut self) -> (Duration, Action) {
            let from = self.now;
            for _ in 0..1_000 {
                let deadline = self.recovery.deadline(self.media, self.now).expect("nothing is waited for");
                self.now = self.now.max(deadline);
                if let Some(action) = self.recovery.handle(Look, self.media, self.now) {
                    return (self.now - from, action);
                }
            }
            panic!("nothing is done");
        }

        fn reopens_at_once(&self) -> Option<Action> {
            Some(Reopen(self.now))
        }
    }

    #[test]
    fn signalling_lost_while_sound_arrives_is_reopened_without_a_gap() {
        let mut table = Table::well();
        assert_eq!(table.at(0, Failed(Remedy::Resume)), table.reopens_at_once());
        assert_eq!(table.condition(), Condition::Shaky);
        assert_eq!(table.at(50, Reopened), None);
        assert_eq!(table.condition(), Condition::Shaky);
        assert!(!table.recovery.may_offer(), "before the server knows what was agreed");
        assert_eq!(table.at(1, Confirmed), Some(Resume { is_reopened: true }));
        assert_eq!(table.condition(), Condition::Well);
        assert_eq!(table.recovery.deadline(table.media, table.now), None, "nothing is waited for");
    }

    #[test]
    fn attempts_to_reopen_come_further_and_further_apart_and_do_not_end_while_sound_arrives() {
        let mut table = Table::well();
        table.at(0, Failed(Remedy::Resume));
        let mut waits = Vec::new();
        for _ in 0..1_000 {
            let Some(Reopen(at)) = table.at(0, Failed(Remedy::Resume)) else { panic!("it was given up") };
            waits.push((at - table.now).as_millis());
            table.now = at;
        }
        assert!(waits[0] <= 300 && waits[1] <= 600 && waits[2] <= 1_200, "{waits:?}");
        let later = &waits[6..];
        let mean = later.iter().sum::<u128>() / later.len() as u128;
        assert!((3_000..4_000).contains(&mean) && later.iter().all(|wait| *wait <= 7_000), "{mean}");
    }

    #[test]
    fn a_server_that_is_gone_is_asked_for_a_minute_and_only_to_resume() {
        let mut table = Table::well();
        table.at(0, Failed(Remedy::Resume));
        table.media = SILENT;
        let from = table.now;
        let mut attempts = 1;
        loop {
            match table.at(0, Failed(Remedy::Resume)) {
                Some(Reopen(at)) => table.now = at,
                Some(Lose) => break,
                other => panic!("{other:?}"),
            }
            attempts += 1;
        }
        assert_eq!(attempts, ATTEMPTS);
        assert!((20..120).contains(&(table.now - from).as_secs()), "{:?}", table.now - from);
        assert_eq!(table.at(0, Reopened), None, "it is over");
    }

    #[test]
    fn a_lost_path_is_looked_for_for_15_s_and_then_the_room_is_joined_anew() {
        let mut table = Table::well();
        assert_eq!(table.with(SILENT, 0, NoPath), Some(FindPath { is_reopened: false }));
        assert_eq!(table.at(10, NoPath), None, "it is being looked for");
        assert_eq!(table.condition(), Condition::Cut);
        let (after, action) = table.wait();
        assert_eq!((after.as_secs(), action), (14, Join(table.now)));
        assert_eq!(table.condition(), Condition::Cut);
        assert_eq!(table.with(HEARD, 100, Joined), None);
        assert_eq!(table.condition(), Condition::Cut, "before everything is published again");
        assert!(table.recovery.may_offer());
        assert_eq!(table.at(50, Published), None);
        assert_eq!(table.condition(), Condition::Well);
    }

    #[test]
    fn a_path_that_is_found_again_needs_no_rejoin() {
        let mut table = Table::well();
        table.with(SILENT, 0, NoPath);
        assert_eq!(table.at(14_000, Look), None);
        assert_eq!(
            table.with(Media { is_heard: false, is_settled: true }, 100, Look),
            Some(Resume { is_reopened: false })
        );
        assert_eq!(table.condition(), Condition::Well);
    }

    #[test]
    fn both_cut_the_signalling_comes_first_and_the_path_has_its_15_s_from_then_on() {
        let mut table = Table::well();
        table.with(SILENT, 0, NoPath);
        assert_eq!(table.at(3_000, Failed(Remedy::Resume)), table.reopens_at_once());
        assert_eq!(table.condition(), Condition::Cut);
        let Some(Reopen(at)) = table.at(20_000, Failed(Remedy::Resume)) else { panic!("no other attempt") };
        assert!(at <= table.now + Duration::from_millis(300));
        table.at(300, Reopened);
        assert_eq!(table.at(1, Confirmed), Some(FindPath { is_reopened: true }));
        let (after, action) = table.wait();
        assert_eq!(after, LOST_AFTER);
        assert!(matches!(action, Join(_)));
    }

    #[test]
    fn signalling_lost_again_before_the_server_has_spoken_is_reopened_again_after_a_while() {
        let mut table = Table::well();
        table.at(0, Failed(Remedy::Resume));
        for _ in 0..10 {
            table.at(20, Reopened);
            assert!(matches!(table.at(1, Failed(Remedy::Resume)), Some(Reopen(at)) if at >= table.now));
        }
        table.at(20, Reopened);
        assert_eq!(table.at(1, Confirmed), Some(Resume { is_reopened: true }));
    }

    #[test]
    fn a_server_that_lets_everybody_in_and_throws_him_out_is_asked_less_and_less_often() {
        for (inputs, remedy) in [([Reopened, Confirmed], Remedy::Resume), ([Joined, Published], Remedy::Rejoin)] {
            let mut table = Table::well();
            let mut waits = Vec::new();
            while let Some(Reopen(at) | Join(at)) = table.at(100, Failed(remedy)) {
                waits.push((at - table.now).as_millis());
                table.now = at;
                inputs.iter().for_each(|input| {
                    table.at(10, *input);
                });
                if waits.len() == 500 {
                    break;
                }
            }
            // Sound arrives where it is only the signalling.
            assert_eq!(waits.len(), if remedy == Remedy::Resume { 500 } else { ATTEMPTS as usize });
            let later = &waits[8..];
            assert!(later.iter().sum::<u128>() / later.len() as u128 > 1_500, "{remedy:?}: {waits:?}");
        }
    }

    #[test]
    fn an_old_server_that_does_not_say_who_we_are_is_believed_after_a_second() {
        let mut table = Table::well();
        table.at(0, Failed(Remedy::Resume));
        table.at(20, Reopened);
        assert_eq!(table.wait(), (CONFIRM_WITHIN, Resume { is_reopened: true }));
        assert_eq!(table.at(5, Mismatch), Some(GiveWay), "it was another's place");
    }

    #[test]
    fn another_session_under_our_identity_keeps_the_room() {
        let mut table = Table::well();
        table.at(0, Failed(Remedy::Resume));
        table.at(20, Reopened);
        assert_eq!(table.at(1, Replaced), Some(GiveWay));
        assert_eq!(table.at(1, Failed(Remedy::Rejoin)), None, "it is over");

        let mut table = Table::well();
        table.at(0, Failed(Remedy::Resume));
        table.at(20, Reopened);
        assert_eq!(table.at(1, Mismatch), Some(GiveWay), "accepted, and then it was not ours");
    }

    #[test]
    fn who_we_were_before_a_rejoin_is_no_other_session() {
        let mut table = Table::well();
        table.at(0, Failed(Remedy::Rejoin));
        table.at(20, Joined);
        assert_eq!(table.at(1, Replaced), None);
        assert_eq!(table.condition(), Condition::Cut);
    }

    #[test]
    fn a_state_that_does_not_match_a_confirmed_place_is_joined_anew() {
        let mut table = Table::well();
        table.at(0, Failed(Remedy::Resume));
        table.at(20, Reopened);
        table.at(1, Confirmed);
        assert!(matches!(table.at(1, Mismatch), Some(Join(at)) if at <= table.now + Duration::from_millis(300)));
    }

    #[test]
    fn a_place_that_is_gone_is_told_by_the_server_and_joined_anew_at_once() {
        let mut table = Table::well();
        table.with(SILENT, 0, Failed(Remedy::Resume));
        assert!(matches!(table.at(30, Failed(Remedy::Rejoin)), Some(Join(_))));
        table.with(HEARD, 30, Joined);
        table.at(30, Published);
        assert_eq!(table.condition(), Condition::Well);
        assert_eq!(table.at(6_000, Failed(Remedy::Resume)), table.reopens_at_once(), "attempts begin anew");
    }

    #[test]
    fn a_first_join_that_fails_is_not_repeated() {
        for remedy in [Remedy::Resume, Remedy::Rejoin, Remedy::None] {
            let mut recovery = Recovery::new(false, 1);
            assert_eq!(recovery.condition(SILENT), Condition::Away);
            assert_eq!(recovery.handle(Failed(remedy), SILENT, Instant::now()), Some(Lose));
        }
    }

    #[test]
    fn a_server_that_wants_nobody_back_is_left_alone() {
        let phases: [&[Input]; 5] =
            [&[], &[Failed(Remedy::Resume)], &[Failed(Remedy::Resume), Reopened], &[NoPath], &[Failed(Remedy::Rejoin)]];
        for inputs in phases {
            let mut table = Table::well();
            for input in inputs {
                table.at(10, *input);
            }
            assert_eq!(table.at(10, Failed(Remedy::None)), Some(Lose), "{inputs:?}");
        }
    }

    #[test]
    fn a_rejoin_that_never_gets_everything_published_ends() {
        let mut table = Table::well();
        table.media = SILENT;
        let mut joins = 0;
        while let Some(Join(at)) = table.at(0, Failed(Remedy::Rejoin)) {
            table.now = at;
            table.at(100, Joined);
            joins += 1;
        }
        assert_eq!(joins, ATTEMPTS);
    }

    #[test]
    fn signalling_lost_while_tracks_are_published_again_is_resumed_for_somebody_may_have_come() {
        let mut table = Table::well();
        table.at(0, Failed(Remedy::Rejoin));
        table.at(50, Joined);
        assert!(matches!(table.at(50, Failed(Remedy::Resume)), Some(Reopen(_))));
        table.at(10, Reopened);
        assert_eq!(table.at(10, Confirmed), Some(Resume { is_reopened: true }));
        assert_eq!(table.condition(), Condition::Cut, "they are not published yet");
        table.at(10, Published);
        assert_eq!(table.condition(), Condition::Well);
    }

    #[test]
    fn where_there_are_other_regions_a_silent_one_is_left_after_15_s() {
        let mut table = Table::well();
        table.recovery.has_regions = true;
        table.at(0, Failed(Remedy::Resume));
        table.media = SILENT;
        let (after, action) = table.wait();
        assert_eq!(after.as_secs(), 15);
        assert!(matches!(action, Join(_)));
    }

    #[test]
    fn any_order_of_what_may_happen_ends_in_a_room_or_without_one_and_never_hangs() {
        let all = [
            Joined,
            Failed(Remedy::Resume),
            Failed(Remedy::Rejoin),
            Mismatch,
            NoPath,
            Reopened,
            Confirmed,
            Replaced,
            Published,
            Look,
        ];
        let mut random = 88_172_645_463_325_252_u64;
        let mut next = |below: usize| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random as usize % below
        };
        for _ in 0..20_000 {
            let mut table = Table::well();
            for _ in 0..next(40) {
                let media = Media { is_heard: next(2) == 0, is_settled: next(2) == 0 };
                // What nobody can be told of without an attempt under way.
                let input = all[next(all.len())];
                let phase = table.recovery.phase;
                if (input == Joined && phase != Phase::Rejoining) || (input == Reopened && phase != Phase::Reopening) {
                    continue;
                }
                table.with(media, next(3_000) as u64, input);
            }
            // From here on everything works.
            table.media = HEARD;
            for _ in 0..100 {
                let input = match table.recovery.phase {
                    Phase::Rejoining => Joined,
                    Phase::Reopening => Reopened,
                    Phase::Confirming(_) => Confirmed,
                    Phase::Path(_) => Look,
                    Phase::Well => Published,
                    Phase::Joining | Phase::Lost => break,
                };
                table.at(10, input);
            }
            assert!(table.recovery.phase == Phase::Lost || table.condition() == Condition::Well);
        }
    }
}
