//! The recovery of an interrupted connection: the session is resumed if the server still keeps it, or else the room is rejoined. A
//! state machine without sockets or clocks: given what happened and when, it returns the next action.
//!
//! ```text
//! signalling lost ─▶ Reopening ─▶ Confirming ─┬─ media still arrives ─▶ Connected: nobody heard a gap
//!                        ▲                    ├─ no media arrives ────▶ Path
//!                        │                    └─ replaced ────────────▶ Lost: the older session ends
//! ICE has no path ───────┼──────────────────────────────────────────▶ Path ─▶ Connected: the tracks stayed published
//! and no answer comes ───┘
//! refused, or no path ───┴─▶ Rejoining ─▶ Republishing ─▶ Connected
//! ```
//!
//! A room is rejoined only when its server demands it, or while its signalling is open: joining removes any session that has joined
//! under the same identity meanwhile, and only a request to resume reveals such a session.

use std::time::{Duration, Instant};

use super::backoff::{ATTEMPTS, Backoff};
use super::disconnect::Retry;

/// How long a room may be without a path before the session counts as lost, as in LiveKit's own clients.
pub const LOST_AFTER: Duration = Duration::from_secs(15);

/// The timeout for the server to list the local participant after the signalling was reopened. Servers since 1.4 do so at once.
pub const CONFIRM_WITHIN: Duration = Duration::from_secs(1);

/// The timeout for the answer to the offer that restarts ICE. The server that passes signalling on need not be the one that has the room: if
/// that one is dead, neither media nor an answer comes, and the signalling stays open.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// How long a connection must have been stable before the backoff is reset, so that a server that admits sessions and removes them at
/// once is asked less and less often too.
const STABLE_AFTER: Duration = Duration::from_secs(5);

/// The interval of checks whether media still arrives while something is broken.
const CHECK_INTERVAL: Duration = Duration::from_millis(250);

/// An input of the state machine: what happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// The room is joined.
    Joined,
    /// An attempt failed, or the connection broke; how it may be retried.
    Failed(Retry),
    /// The server reports that its state differs from ours.
    Mismatch,
    /// Media does not arrive any more.
    NoPath,
    /// The signalling is open again.
    Reopened,
    /// The server still lists the local participant.
    Confirmed,
    /// The server lists another session with our identity.
    Replaced,
    /// Every track that was published is published again.
    Published,
    /// A deadline has passed.
    Tick,
}

/// The state of the media connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Media {
    /// Media reaches the server, as far as is known.
    pub is_heard: bool,
    /// ICE has a path, and no offer is pending.
    pub is_settled: bool,
    /// An offer is pending.
    pub awaits_answer: bool,
}

/// The next action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Rejoin the room, not before this time.
    Join(Instant),
    /// Reopen the signalling, not before this time.
    Reopen(Instant),
    /// Restart ICE. Over reopened signalling, `SyncState` is sent first.
    FindPath {
        /// The signalling was reopened.
        is_reopened: bool,
    },
    /// End the signalling connection, which nobody answers on. That it has ended is the next input.
    HangUp,
    /// Go on as before, and send what was queued meanwhile.
    Resume {
        /// The signalling was reopened.
        is_reopened: bool,
    },
    /// The connection is lost for good.
    GiveUp,
    /// Another session has our identity: end without a leave request, which would remove that one.
    GiveWay,
}

/// The state of the connection, as reported to the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connectivity {
    /// The room is not joined yet.
    Connecting,
    Connected,
    /// Reconnecting, but media still arrives.
    Degraded,
    /// Reconnecting, and no media arrives.
    MediaLost,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The room is joined for the first time. If that fails, the caller decides about another attempt.
    Joining,
    Connected,
    /// The signalling is being reopened.
    Reopening,
    /// The signalling is open again, and the server has until then to list the local participant.
    Confirming(Instant),
    /// ICE has until then to find a path.
    Path {
        until: Instant,
        /// The server has until then to answer, where the signalling was not reopened.
        answer_by: Option<Instant>,
    },
    /// The room is being rejoined.
    Rejoining,
    Lost,
}

pub struct Recovery {
    phase: Phase,
    /// The room was rejoined, and not everything is published again.
    is_republishing: bool,
    /// The signalling was reopened, and the server has not listed the local participant.
    is_unconfirmed: bool,
    /// The attempts since the connection was last stable.
    attempts: Backoff,
    /// The time since which everything works.
    connected_since: Option<Instant>,
    /// The time at which media last arrived, while something is broken.
    heard: Option<Instant>,
    /// The server has other regions to try, as LiveKit Cloud does.
    has_regions: bool,
}

impl Recovery {
    /// Creates the state of a room that is being joined. `seed` spreads the attempts of many sessions.
    pub fn new(has_regions: bool, seed: u64) -> Self {
        Self {
            phase: Phase::Joining,
            is_republishing: false,
            is_unconfirmed: false,
            attempts: Backoff::new(seed),
            connected_since: None,
            heard: None,
            has_regions,
        }
    }

    /// Returns true while something is broken.
    pub fn is_active(&self) -> bool {
        !matches!(self.phase, Phase::Joining | Phase::Connected | Phase::Lost)
    }

    /// Returns true if tracks may be offered: the signalling is open and ICE is not restarting.
    pub fn may_offer(&self) -> bool {
        self.phase == Phase::Connected
    }

    /// Returns true if only tracks are missing to be fully connected.
    pub fn awaits_tracks(&self) -> bool {
        self.phase == Phase::Connected && self.connected_since.is_none()
    }

    /// Returns true if the room was rejoined and not everything is published again.
    pub fn is_republishing(&self) -> bool {
        self.is_republishing
    }

    pub fn state(&self, media: Media) -> Connectivity {
        match self.phase {
            Phase::Joining => Connectivity::Connecting,
            Phase::Connected if !self.is_republishing => Connectivity::Connected,
            Phase::Reopening | Phase::Confirming(_) | Phase::Path { .. } if media.is_heard && !self.is_republishing => {
                Connectivity::Degraded
            }
            _ => Connectivity::MediaLost,
        }
    }

    /// Returns the next deadline, at which [`Input::Tick`] is due. While the server is gone for long there is none but the attempts.
    pub fn deadline(&self, media: Media, now: Instant) -> Option<Instant> {
        let next = media.is_heard.then(|| now + CHECK_INTERVAL);
        let until = match self.phase {
            Phase::Confirming(until) => Some(until),
            Phase::Path { until, answer_by } => Some(answer_by.unwrap_or(until)),
            Phase::Reopening if self.has_regions => self.heard.map(|heard| heard + LOST_AFTER),
            Phase::Reopening => None,
            _ => return None,
        };
        until.into_iter().chain(next).min()
    }

    /// Handles an input. Returns the next action, if any.
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
                self.phase = Phase::Connected;
                None
            }
            Input::Published => {
                self.is_republishing = false;
                if self.phase == Phase::Connected {
                    self.connected_since.get_or_insert(now);
                }
                None
            }
            Input::Failed(retry) => self.failed(retry, media, now),
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
            // Otherwise the server ends the older session itself.
            Input::Replaced if self.is_unconfirmed => self.give_way(),
            Input::Reopened | Input::Replaced => None,
            Input::Tick => self.tick(media, now),
        }
    }

    fn failed(&mut self, retry: Retry, media: Media, now: Instant) -> Option<Action> {
        match (retry, self.phase) {
            (Retry::Never, _) | (_, Phase::Joining) => self.give_up(),
            (Retry::Resume, Phase::Rejoining) | (Retry::Rejoin, _) => self.rejoin(now),
            (Retry::Resume, _) => {
                self.begin(now);
                // While media arrives, attempts to reopen the signalling are not limited.
                if media.is_heard {
                    self.attempts.attempts = self.attempts.attempts.min(ATTEMPTS - 1);
                }
                self.again(Phase::Reopening, now)
            }
        }
    }

    /// Starts another attempt after a backoff; the first one at once.
    fn again(&mut self, phase: Phase, now: Instant) -> Option<Action> {
        if self.attempts.attempts == ATTEMPTS {
            return self.give_up();
        }
        let at = now + self.attempts.wait();
        self.phase = phase;
        self.is_unconfirmed = false;
        Some(if phase == Phase::Rejoining { Action::Join(at) } else { Action::Reopen(at) })
    }

    fn rejoin(&mut self, now: Instant) -> Option<Action> {
        if self.phase == Phase::Joining {
            return self.give_up();
        }
        self.begin(now);
        self.again(Phase::Rejoining, now)
    }

    /// Handles that a connection that may have been stable broke.
    fn begin(&mut self, now: Instant) {
        if self.phase == Phase::Connected {
            self.heard = Some(now);
        }
        if self.connected_since.take().is_some_and(|since| now >= since + STABLE_AFTER) {
            self.attempts.done();
        }
    }

    fn no_path(&mut self, now: Instant) -> Option<Action> {
        if self.phase != Phase::Connected {
            // The signalling comes first, or ICE is restarting already.
            return None;
        }
        self.begin(now);
        self.phase = Phase::Path { until: now + LOST_AFTER, answer_by: Some(now + ANSWER_WITHIN) };
        Some(Action::FindPath { is_reopened: false })
    }

    /// Continues after the signalling was reopened and the session resumed.
    fn go_on(&mut self, media: Media, now: Instant) -> Action {
        if media.is_heard {
            return self.resume(true, now);
        }
        // The path gets its full time, not counting the wait for the signalling.
        self.phase = Phase::Path { until: now + LOST_AFTER, answer_by: None };
        Action::FindPath { is_reopened: true }
    }

    fn resume(&mut self, is_reopened: bool, now: Instant) -> Action {
        self.phase = Phase::Connected;
        self.connected_since = (!self.is_republishing).then_some(now);
        Action::Resume { is_reopened }
    }

    fn tick(&mut self, media: Media, now: Instant) -> Option<Action> {
        match self.phase {
            // An old server does not list the participant.
            Phase::Confirming(until) if now >= until => Some(self.go_on(media, now)),
            Phase::Path { .. } if media.is_settled => Some(self.resume(false, now)),
            Phase::Path { until, answer_by: Some(by) } if now >= by => {
                self.phase = Phase::Path { until, answer_by: None };
                media.awaits_answer.then_some(Action::HangUp)
            }
            Phase::Path { until, .. } if now >= until => self.rejoin(now),
            // This region may be gone, and there are others.
            Phase::Reopening if self.has_regions && self.heard.is_some_and(|heard| now >= heard + LOST_AFTER) => {
                self.rejoin(now)
            }
            _ => None,
        }
    }

    fn give_up(&mut self) -> Option<Action> {
        self.phase = Phase::Lost;
        Some(Action::GiveUp)
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

    /// The state machine, its clock and the state of the media.
    struct Table {
        recovery: Recovery,
        now: Instant,
        media: Media,
    }

    const HEARD: Media = Media { is_heard: true, is_settled: true, awaits_answer: false };
    const SILENT: Media = Media { is_heard: false, is_settled: false, awaits_answer: false };
    const UNANSWERED: Media = Media { awaits_answer: true, ..SILENT };

    impl Table {
        /// Returns a connected room.
        fn connected() -> Self {
            let mut table = Self { recovery: Recovery::new(false, 1), now: Instant::now(), media: HEARD };
            assert_eq!(table.at(0, Joined), None);
            assert_eq!(table.state(), Connectivity::Connected);
            table.at(0, Published);
            table.at(60_000, Tick);
            table
        }

        /// Handles an input after `ms` milliseconds.
        fn at(&mut self, ms: u64, input: Input) -> Option<Action> {
            self.now += Duration::from_millis(ms);
            self.recovery.handle(input, self.media, self.now)
        }

        /// Handles an input after `ms` milliseconds, with the given media state.
        fn with(&mut self, media: Media, ms: u64, input: Input) -> Option<Action> {
            self.media = media;
            self.at(ms, input)
        }

        fn state(&self) -> Connectivity {
            self.recovery.state(self.media)
        }

        /// Advances from deadline to deadline until there is an action.
        fn wait(&mut self) -> (Duration, Action) {
            let from = self.now;
            for _ in 0..1_000 {
                let deadline = self.recovery.deadline(self.media, self.now).expect("nothing is waited for");
                self.now = self.now.max(deadline);
                if let Some(action) = self.recovery.handle(Tick, self.media, self.now) {
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
    fn lost_signalling_is_reopened_without_a_gap() {
        let mut table = Table::connected();
        assert_eq!(table.at(0, Failed(Retry::Resume)), table.reopens_at_once());
        assert_eq!(table.state(), Connectivity::Degraded);
        assert_eq!(table.at(50, Reopened), None);
        assert_eq!(table.state(), Connectivity::Degraded);
        assert!(!table.recovery.may_offer(), "before the server knows what was agreed");
        assert_eq!(table.at(1, Confirmed), Some(Resume { is_reopened: true }));
        assert_eq!(table.state(), Connectivity::Connected);
        assert_eq!(table.recovery.deadline(table.media, table.now), None, "nothing is waited for");
    }

    #[test]
    fn reopening_backs_off_without_end_while_heard() {
        let mut table = Table::connected();
        table.at(0, Failed(Retry::Resume));
        let mut waits = Vec::new();
        for _ in 0..1_000 {
            let Some(Reopen(at)) = table.at(0, Failed(Retry::Resume)) else { panic!("it was given up") };
            waits.push((at - table.now).as_millis());
            table.now = at;
        }
        assert!(waits[0] <= 300 && waits[1] <= 600 && waits[2] <= 1_200, "{waits:?}");
        let later = &waits[6..];
        let mean = later.iter().sum::<u128>() / later.len() as u128;
        assert!((3_000..4_000).contains(&mean) && later.iter().all(|wait| *wait <= 7_000), "{mean}");
    }

    #[test]
    fn missing_server_is_asked_to_resume_for_a_minute() {
        let mut table = Table::connected();
        table.at(0, Failed(Retry::Resume));
        table.media = SILENT;
        let from = table.now;
        let mut attempts = 1;
        loop {
            match table.at(0, Failed(Retry::Resume)) {
                Some(Reopen(at)) => table.now = at,
                Some(GiveUp) => break,
                other => panic!("{other:?}"),
            }
            attempts += 1;
        }
        assert_eq!(attempts, ATTEMPTS);
        assert!((20..120).contains(&(table.now - from).as_secs()), "{:?}", table.now - from);
        assert_eq!(table.at(0, Reopened), None, "it is over");
    }

    #[test]
    fn lost_path_leads_to_rejoin_after_15_s() {
        let mut table = Table::connected();
        assert_eq!(table.with(SILENT, 0, NoPath), Some(FindPath { is_reopened: false }));
        assert_eq!(table.at(10, NoPath), None, "it is being looked for");
        assert_eq!(table.state(), Connectivity::MediaLost);
        let (after, action) = table.wait();
        assert_eq!((after.as_secs(), action), (14, Join(table.now)));
        assert_eq!(table.state(), Connectivity::MediaLost);
        assert_eq!(table.with(HEARD, 100, Joined), None);
        assert_eq!(table.state(), Connectivity::MediaLost, "before everything is published again");
        assert!(table.recovery.may_offer());
        assert_eq!(table.at(50, Published), None);
        assert_eq!(table.state(), Connectivity::Connected);
    }

    #[test]
    fn restored_path_needs_no_rejoin() {
        let mut table = Table::connected();
        table.with(SILENT, 0, NoPath);
        assert_eq!(table.at(14_000, Tick), None);
        assert_eq!(table.with(Media { is_settled: true, ..SILENT }, 100, Tick), Some(Resume { is_reopened: false }));
        assert_eq!(table.state(), Connectivity::Connected);
    }

    #[test]
    fn unanswered_signalling_is_reopened_once() {
        let mut table = Table::connected();
        table.with(UNANSWERED, 0, NoPath);
        assert_eq!(table.wait(), (ANSWER_WITHIN, HangUp));
        assert_eq!(table.state(), Connectivity::MediaLost);
        assert_eq!(table.at(1, Failed(Retry::Resume)), table.reopens_at_once());
        table.at(20, Reopened);
        assert_eq!(table.at(1, Confirmed), Some(FindPath { is_reopened: true }));
        let (after, action) = table.wait();
        assert_eq!(after, LOST_AFTER, "it is not hung up again");
        assert!(matches!(action, Join(_)));
    }

    #[test]
    fn hung_up_signalling_that_stays_open_ends_in_rejoin() {
        let mut table = Table::connected();
        table.with(UNANSWERED, 0, NoPath);
        assert_eq!(table.wait(), (ANSWER_WITHIN, HangUp));
        let (after, action) = table.wait();
        assert_eq!(after, LOST_AFTER - ANSWER_WITHIN);
        assert!(matches!(action, Join(_)));
    }

    #[test]
    fn path_gets_15_s_after_signalling_returns() {
        let mut table = Table::connected();
        table.with(SILENT, 0, NoPath);
        assert_eq!(table.at(3_000, Failed(Retry::Resume)), table.reopens_at_once());
        assert_eq!(table.state(), Connectivity::MediaLost);
        let Some(Reopen(at)) = table.at(20_000, Failed(Retry::Resume)) else { panic!("no other attempt") };
        assert!(at <= table.now + Duration::from_millis(300));
        table.at(300, Reopened);
        assert_eq!(table.at(1, Confirmed), Some(FindPath { is_reopened: true }));
        let (after, action) = table.wait();
        assert_eq!(after, LOST_AFTER);
        assert!(matches!(action, Join(_)));
    }

    #[test]
    fn signalling_lost_while_confirming_is_reopened_later() {
        let mut table = Table::connected();
        table.at(0, Failed(Retry::Resume));
        for _ in 0..10 {
            table.at(20, Reopened);
            assert!(matches!(table.at(1, Failed(Retry::Resume)), Some(Reopen(at)) if at >= table.now));
        }
        table.at(20, Reopened);
        assert_eq!(table.at(1, Confirmed), Some(Resume { is_reopened: true }));
    }

    #[test]
    fn backs_off_from_server_that_ejects_at_once() {
        for (inputs, retry) in [([Reopened, Confirmed], Retry::Resume), ([Joined, Published], Retry::Rejoin)] {
            let mut table = Table::connected();
            let mut waits = Vec::new();
            while let Some(Reopen(at) | Join(at)) = table.at(100, Failed(retry)) {
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
            assert_eq!(waits.len(), if retry == Retry::Resume { 500 } else { ATTEMPTS as usize });
            let later = &waits[8..];
            assert!(later.iter().sum::<u128>() / later.len() as u128 > 1_500, "{retry:?}: {waits:?}");
        }
    }

    #[test]
    fn old_server_is_trusted_after_a_second() {
        let mut table = Table::connected();
        table.at(0, Failed(Retry::Resume));
        table.at(20, Reopened);
        assert_eq!(table.wait(), (CONFIRM_WITHIN, Resume { is_reopened: true }));
        assert_eq!(table.at(5, Mismatch), Some(GiveWay), "it was another's place");
    }

    #[test]
    fn newer_session_keeps_the_room() {
        let mut table = Table::connected();
        table.at(0, Failed(Retry::Resume));
        table.at(20, Reopened);
        assert_eq!(table.at(1, Replaced), Some(GiveWay));
        assert_eq!(table.at(1, Failed(Retry::Rejoin)), None, "it is over");

        let mut table = Table::connected();
        table.at(0, Failed(Retry::Resume));
        table.at(20, Reopened);
        assert_eq!(table.at(1, Mismatch), Some(GiveWay), "accepted, and then it was not ours");
    }

    #[test]
    fn own_session_before_rejoin_is_ignored() {
        let mut table = Table::connected();
        table.at(0, Failed(Retry::Rejoin));
        table.at(20, Joined);
        assert_eq!(table.at(1, Replaced), None);
        assert_eq!(table.state(), Connectivity::MediaLost);
    }

    #[test]
    fn state_mismatch_after_confirmation_rejoins() {
        let mut table = Table::connected();
        table.at(0, Failed(Retry::Resume));
        table.at(20, Reopened);
        table.at(1, Confirmed);
        assert!(matches!(table.at(1, Mismatch), Some(Join(at)) if at <= table.now + Duration::from_millis(300)));
    }

    #[test]
    fn forgotten_session_is_rejoined_at_once() {
        let mut table = Table::connected();
        table.with(SILENT, 0, Failed(Retry::Resume));
        assert!(matches!(table.at(30, Failed(Retry::Rejoin)), Some(Join(_))));
        table.with(HEARD, 30, Joined);
        table.at(30, Published);
        assert_eq!(table.state(), Connectivity::Connected);
        assert_eq!(table.at(6_000, Failed(Retry::Resume)), table.reopens_at_once(), "the backoff was reset");
    }

    #[test]
    fn failed_first_join_is_not_repeated() {
        for retry in [Retry::Resume, Retry::Rejoin, Retry::Never] {
            let mut recovery = Recovery::new(false, 1);
            assert_eq!(recovery.state(SILENT), Connectivity::Connecting);
            assert_eq!(recovery.handle(Failed(retry), SILENT, Instant::now()), Some(GiveUp));
        }
    }

    #[test]
    fn final_disconnect_is_not_retried() {
        let phases: [&[Input]; 5] =
            [&[], &[Failed(Retry::Resume)], &[Failed(Retry::Resume), Reopened], &[NoPath], &[Failed(Retry::Rejoin)]];
        for inputs in phases {
            let mut table = Table::connected();
            for input in inputs {
                table.at(10, *input);
            }
            assert_eq!(table.at(10, Failed(Retry::Never)), Some(GiveUp), "{inputs:?}");
        }
    }

    #[test]
    fn rejoin_that_never_publishes_ends() {
        let mut table = Table::connected();
        table.media = SILENT;
        let mut joins = 0;
        while let Some(Join(at)) = table.at(0, Failed(Retry::Rejoin)) {
            table.now = at;
            table.at(100, Joined);
            joins += 1;
        }
        assert_eq!(joins, ATTEMPTS);
    }

    #[test]
    fn signalling_lost_while_republishing_is_resumed() {
        let mut table = Table::connected();
        table.at(0, Failed(Retry::Rejoin));
        table.at(50, Joined);
        assert!(matches!(table.at(50, Failed(Retry::Resume)), Some(Reopen(_))));
        table.at(10, Reopened);
        assert_eq!(table.at(10, Confirmed), Some(Resume { is_reopened: true }));
        assert_eq!(table.state(), Connectivity::MediaLost, "they are not published yet");
        table.at(10, Published);
        assert_eq!(table.state(), Connectivity::Connected);
    }

    #[test]
    fn silent_region_is_left_after_15_s() {
        let mut table = Table::connected();
        table.recovery.has_regions = true;
        table.at(0, Failed(Retry::Resume));
        table.media = SILENT;
        let (after, action) = table.wait();
        assert_eq!(after.as_secs(), 15);
        assert!(matches!(action, Join(_)));
    }

    #[test]
    fn no_order_of_inputs_hangs() {
        let all = [
            Joined,
            Failed(Retry::Resume),
            Failed(Retry::Rejoin),
            Mismatch,
            NoPath,
            Reopened,
            Confirmed,
            Replaced,
            Published,
            Tick,
        ];
        let mut random = 88_172_645_463_325_252_u64;
        let mut next = |below: usize| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random as usize % below
        };
        for _ in 0..20_000 {
            let mut table = Table::connected();
            for _ in 0..next(40) {
                let media = Media { is_heard: next(2) == 0, is_settled: next(2) == 0, awaits_answer: next(2) == 0 };
                // These need an attempt under way.
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
                    Phase::Path { .. } => Tick,
                    Phase::Connected => Published,
                    Phase::Joining | Phase::Lost => break,
                };
                table.at(10, input);
            }
            assert!(table.recovery.phase == Phase::Lost || table.state() == Connectivity::Connected);
        }
    }
}
