//! The media threads: each moves many sessions, in rounds. All frames are due at the same moments, so a round mixes, encodes and
//! sends for one session after the other while the code for it is in the processor's cache; and between rounds the thread sleeps.
//!
//! A round: what was told → what is due by time, frames among it → what else was told, until the next time is reached → what was busy.
//! A wheel sleeps until the next time, or until something urgent is told.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::alarm;
use super::jobs::Job;
use super::reactor::{Reactor, Sockets};
use crate::sync::{AtomicBool, Mutex};

/// How long what comes to a socket that nothing is urgent for may wait, while nothing else happens.
const LOOK: Duration = Duration::from_millis(50);

/// How often it is measured what each session costs.
const MEASURE: Duration = Duration::from_secs(1);

/// Loads are in thousandths of a core. Less of a difference between two wheels is no reason to move anything.
const UNEVEN: u64 = 100;

/// A wheel with less to do takes what is new, and keeps all it has: what is together wakes once and finds its code in the cache.
const FULL: u64 = 300;

/// What a new session is taken to cost until that is measured.
const GUESS: u64 = 5;

/// A seat that is not taken.
const NOWHERE: usize = usize::MAX;

/// What a wheel moves: it has its turn when it asked for one, and when it was told that something moved.
pub trait Spoke: Send + Sync + 'static {
    /// Where it sits.
    fn seat(&self) -> &Seat;

    /// Does what there is to do now. Asks by [`alarm::wake_at`] for the next turn. Must not panic. If `may_wait` is not set it
    /// comes again later rather than to wait for a lock.
    fn turn(self: Arc<Self>, now: Instant, may_wait: bool) -> Turn;
}

/// What a turn came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Nothing is left to do until it is told, or the time comes that it asked for.
    Done,
    /// Somebody else has it just now.
    Busy,
    /// It has no further turn.
    Over,
}

/// On which wheel a spoke is, and whether something moved that it was not told of yet.
pub struct Seat {
    job: Job,
    wheel: AtomicUsize,
    /// Read and written by its wheel alone.
    index: AtomicUsize,
}

impl Default for Seat {
    fn default() -> Self {
        Self { job: Job::default(), wheel: AtomicUsize::new(0), index: AtomicUsize::new(NOWHERE) }
    }
}

impl Seat {
    /// What is known of the turns, whoever gives them.
    pub fn job(&self) -> &Job {
        &self.job
    }
}

/// What a wheel is to look at. Any thread puts something in; the wheel takes it out.
struct Inbox<T> {
    told: Mutex<Vec<T>>,
    is_asleep: AtomicBool,
}

impl<T> Default for Inbox<T> {
    fn default() -> Self {
        Self { told: Mutex::new(Vec::new()), is_asleep: AtomicBool::new(false) }
    }
}

impl<T> Inbox<T> {
    /// Returns true if the wheel is to be woken.
    fn put(&self, spoke: T) -> bool {
        self.told.lock().push(spoke);
        self.is_asleep.swap(false, Ordering::AcqRel)
    }

    fn take(&self) -> Vec<T> {
        std::mem::take(&mut *self.told.lock())
    }

    /// Returns true if the wheel may sleep until it is woken. The lock orders it: what is put in is either seen here, or sees this. Each
    /// step on the flag reads it too, so that all of them have one order.
    fn may_sleep(&self) -> bool {
        self.is_asleep.swap(true, Ordering::AcqRel);
        let is_empty = self.told.lock().is_empty();
        if !is_empty {
            self.wake_up();
        }
        is_empty
    }

    fn wake_up(&self) {
        self.is_asleep.swap(false, Ordering::AcqRel);
    }
}

/// A wheel, as other threads see it.
struct Shared {
    inbox: Inbox<Arc<dyn Spoke>>,
    sockets: Arc<Sockets>,
    /// In thousandths of a core.
    load: AtomicU64,
}

impl Shared {
    fn put(&self, spoke: Arc<dyn Spoke>) {
        if self.inbox.put(spoke) {
            self.sockets.wake();
        }
    }
}

/// All wheels of the process.
pub struct Wheels(Arc<[Shared]>);

impl Wheels {
    /// So many wheels, or why the operating system gave fewer. What they move may need tokio's context: that of `runtime`.
    pub fn new(count: usize, runtime: &Handle) -> io::Result<Self> {
        let reactors = (0..count).map(|_| Reactor::new()).collect::<io::Result<Vec<_>>>()?;
        let shared = |reactor: &Reactor| Shared {
            inbox: Inbox::default(),
            sockets: reactor.sockets().clone(),
            load: AtomicU64::new(0),
        };
        let all: Arc<[Shared]> = reactors.iter().map(shared).collect();
        for (here, reactor) in reactors.into_iter().enumerate() {
            let (all, runtime) = (all.clone(), runtime.clone());
            std::thread::Builder::new().name(format!("speaker-wheel-{here}")).spawn(move || {
                let _entered = runtime.enter();
                reactor.enter();
                Wheel::new(here, reactor, all).run();
            })?;
        }
        Ok(Self(all))
    }

    /// The sockets of the first one.
    pub fn sockets(&self) -> Arc<Sockets> {
        self.0[0].sockets.clone()
    }

    /// Has `spoke` moved, by the first wheel that is not full, or the one that has least to do.
    pub fn add(&self, spoke: Arc<dyn Spoke>) {
        let loads = self.0.iter().map(|wheel| wheel.load.load(Ordering::Relaxed));
        let (index, _) = loads.enumerate().min_by_key(|(_, load)| (*load).max(FULL)).expect("there is a wheel");
        self.0[index].load.fetch_add(GUESS, Ordering::Relaxed);
        spoke.seat().wheel.store(index, Ordering::Release);
        if spoke.seat().job.tell() {
            self.0[index].put(spoke);
        }
    }

    /// Something moved that `spoke` has to look at.
    pub fn tell(&self, spoke: Arc<dyn Spoke>) {
        if spoke.seat().job.tell() {
            let wheel = spoke.seat().wheel.load(Ordering::Acquire);
            self.0[wheel].put(spoke);
        }
    }
}

struct Entry {
    spoke: Arc<dyn Spoke>,
    due: Option<Instant>,
    /// It is in line for a turn.
    is_told: bool,
    /// How long its turns took since that was measured last.
    cost: Duration,
}

/// What a media thread is.
struct Wheel {
    here: usize,
    reactor: Reactor,
    all: Arc<[Shared]>,
    entries: Vec<Option<Entry>>,
    vacant: Vec<usize>,
    /// Who was told.
    told: VecDeque<usize>,
    /// Who was busy.
    busy: Vec<usize>,
    measured: Instant,
}

impl Wheel {
    fn new(here: usize, reactor: Reactor, all: Arc<[Shared]>) -> Self {
        let (told, measured) = (VecDeque::new(), Instant::now());
        Self { here, reactor, all, entries: Vec::new(), vacant: Vec::new(), told, busy: Vec::new(), measured }
    }

    fn run(mut self) {
        loop {
            // A turn bears its own panics; what is left would be a fault in here, or in what a spoke drops.
            if catch_unwind(AssertUnwindSafe(|| self.round())).is_err() {
                tracing::error!("a wheel broke by a fault of its own and goes on: please report it");
            }
            let inbox = &self.all[self.here].inbox;
            let limit = match self.told.is_empty() && inbox.may_sleep() {
                true => self.sleep_limit(),
                false => Some(Duration::ZERO),
            };
            self.reactor.wait(limit);
            self.all[self.here].inbox.wake_up();
            self.reactor.tell();
        }
    }

    fn sleep_limit(&self) -> Option<Duration> {
        let now = Instant::now();
        let dues = self.entries.iter().flatten().filter_map(|entry| entry.due);
        let look = self.reactor.sockets().has_waiting().then(|| alarm::round_up(now + Duration::from_nanos(1), LOOK));
        dues.chain(look).min().map(|next| next.saturating_duration_since(now))
    }

    fn round(&mut self) {
        if self.reactor.sockets().has_waiting() {
            self.reactor.look();
        }
        self.take_inbox();
        let now = Instant::now();
        for index in 0..self.entries.len() {
            if self.entries[index].as_ref().and_then(|entry| entry.due).is_some_and(|due| due <= now) {
                self.turn(index, false);
            }
        }
        // What is due comes first, so the others have turns until the next time only: to join a room takes milliseconds.
        let next = self.entries.iter().flatten().filter_map(|entry| entry.due).min();
        while let Some(index) = self.told.pop_front() {
            if self.entries[index].as_ref().is_some_and(|entry| entry.is_told) {
                self.turn(index, false);
            }
            if next.is_some_and(|next| next <= Instant::now()) {
                break;
            }
        }
        for index in std::mem::take(&mut self.busy) {
            self.turn(index, true);
        }
        if now.saturating_duration_since(self.measured) >= MEASURE {
            self.measure(now);
        }
    }

    fn take_inbox(&mut self) {
        for spoke in self.all[self.here].inbox.take() {
            let wheel = spoke.seat().wheel.load(Ordering::Acquire);
            if wheel != self.here {
                // It was moved while somebody told it.
                self.all[wheel].put(spoke);
                continue;
            }
            let index = match spoke.seat().index.load(Ordering::Relaxed) {
                NOWHERE => self.seat(spoke),
                index => index,
            };
            self.line_up(index);
        }
    }

    fn seat(&mut self, spoke: Arc<dyn Spoke>) -> usize {
        let index = self.vacant.pop().unwrap_or_else(|| {
            self.entries.push(None);
            self.entries.len() - 1
        });
        spoke.seat().index.store(index, Ordering::Relaxed);
        self.entries[index] = Some(Entry { spoke, due: None, is_told: false, cost: Duration::ZERO });
        index
    }

    fn line_up(&mut self, index: usize) {
        if let Some(entry) = &mut self.entries[index]
            && !std::mem::replace(&mut entry.is_told, true)
        {
            self.told.push_back(index);
        }
    }

    fn turn(&mut self, index: usize, may_wait: bool) {
        let Some(entry) = &mut self.entries[index] else { return };
        let begun = Instant::now();
        (entry.is_told, entry.due) = (false, None);
        entry.spoke.seat().job.begin();
        let (turn, next) = alarm::turn(|| entry.spoke.clone().turn(begun, may_wait));
        entry.cost += begun.elapsed();
        match turn {
            Turn::Over => {
                self.remove(index);
                return;
            }
            Turn::Busy => self.busy.push(index),
            Turn::Done => entry.due = next,
        }
        if entry.spoke.seat().job.end(false) {
            self.line_up(index);
        }
    }

    fn remove(&mut self, index: usize) -> Option<Entry> {
        self.vacant.push(index);
        let entry = self.entries[index].take();
        entry.iter().for_each(|entry| entry.spoke.seat().index.store(NOWHERE, Ordering::Relaxed));
        entry
    }

    /// Says how much it has to do, and gives some of that away if it is full and another wheel has much less: what costs most goes
    /// first.
    fn measure(&mut self, now: Instant) {
        let time = now.saturating_duration_since(self.measured);
        self.measured = now;
        let share = |cost: Duration| (cost.as_nanos() * 1_000 / time.as_nanos()) as u64;
        let mut costs: Vec<_> = Vec::new();
        for (index, entry) in self.entries.iter_mut().enumerate() {
            let cost = entry.as_mut().map(|entry| std::mem::take(&mut entry.cost));
            costs.extend(cost.map(|cost| (share(cost), index)));
        }
        let mut load = costs.iter().map(|(cost, _)| cost).sum::<u64>();
        let others = self.all.iter().enumerate().filter(|(index, _)| *index != self.here);
        let lightest = others.map(|(index, wheel)| (wheel.load.load(Ordering::Relaxed), index)).min();
        if let Some((mut other, target)) = lightest {
            costs.sort_unstable_by(|one, other| other.cmp(one));
            for (cost, index) in costs {
                // Not so much that it comes back.
                if load > FULL.max(other + UNEVEN) && cost > 0 && other + cost < load - cost {
                    (load, other) = (load - cost, other + cost);
                    self.give(index, target, cost);
                }
            }
        }
        self.all[self.here].load.store(load, Ordering::Relaxed);
    }

    /// Moves a spoke to another wheel, where it has a turn at once.
    fn give(&mut self, index: usize, target: usize, cost: u64) {
        let Some(entry) = self.remove(index) else { return };
        self.all[target].load.fetch_add(cost, Ordering::Relaxed);
        entry.spoke.seat().wheel.store(target, Ordering::Release);
        self.all[target].put(entry.spoke);
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    type Turns = Box<dyn FnMut(Instant) -> Turn + Send>;

    struct Tested {
        seat: Seat,
        turns: Mutex<Turns>,
    }

    impl Spoke for Tested {
        fn seat(&self) -> &Seat {
            &self.seat
        }

        fn turn(self: Arc<Self>, now: Instant, _may_wait: bool) -> Turn {
            (self.turns.lock())(now)
        }
    }

    fn wheels(count: usize) -> Wheels {
        Wheels::new(count, super::super::RUNTIME.handle()).unwrap()
    }

    fn spoke(turns: impl FnMut(Instant) -> Turn + Send + 'static) -> Arc<Tested> {
        Arc::new(Tested { seat: Seat::default(), turns: Mutex::new(Box::new(turns)) })
    }

    const LATE: Duration = Duration::from_secs(20);

    #[test]
    fn a_turn_comes_when_it_is_asked_for_and_when_something_is_told() {
        let wheels = wheels(1);
        let (sender, turns) = channel();
        let begun = Instant::now();
        let mut asked = Vec::from([begun + Duration::from_millis(40), begun + Duration::from_millis(20)]);
        let one = spoke(move |now| {
            sender.send(now).unwrap();
            asked.pop().into_iter().for_each(alarm::wake_at);
            Turn::Done
        });
        wheels.add(one.clone());
        let times: Vec<_> = (0..3).map(|_| turns.recv_timeout(LATE).unwrap()).collect();
        assert!(times[1] >= begun + Duration::from_millis(20) && times[2] >= begun + Duration::from_millis(40));
        for _ in 0..100 {
            wheels.tell(one.clone());
            turns.recv_timeout(LATE).unwrap();
        }
    }

    #[test]
    fn who_is_busy_comes_again_after_the_others_and_who_is_over_does_not() {
        let wheels = wheels(1);
        let (sender, turns) = channel();
        let said = |name: &'static str, sender: &Sender<_>, mut results: Vec<Turn>| {
            let sender = sender.clone();
            spoke(move |_| {
                sender.send(name).unwrap();
                results.pop().unwrap_or(Turn::Done)
            })
        };
        let first = said("first", &sender, vec![Turn::Over, Turn::Busy]);
        wheels.add(first.clone());
        assert_eq!([turns.recv_timeout(LATE), turns.recv_timeout(LATE)], [Ok("first"), Ok("first")]);
        wheels.tell(first);
        let second = said("second", &sender, vec![]);
        wheels.add(second);
        assert_eq!(turns.recv_timeout(LATE), Ok("second"));
    }

    #[test]
    fn what_costs_much_is_moved_to_a_wheel_that_has_less_to_do() {
        let wheels = wheels(2);
        let (sender, threads) = channel();
        // All on one, as if each had cost little when it came.
        let spokes: Vec<_> = (0..8)
            .map(|name| {
                let sender = sender.clone();
                spoke(move |now| {
                    while now.elapsed() < Duration::from_millis(2) {
                        std::hint::spin_loop();
                    }
                    let _ = sender.send((name, std::thread::current().id()));
                    alarm::wake_at(now + Duration::from_millis(20));
                    Turn::Done
                })
            })
            .collect();
        wheels.0[1].load.store(1_000_000, Ordering::Relaxed);
        spokes.iter().for_each(|spoke| wheels.add(spoke.clone()));
        wheels.0[1].load.store(0, Ordering::Relaxed);
        let late = Instant::now() + LATE;
        let mut places = std::collections::HashMap::new();
        loop {
            let (name, thread) = threads.recv_timeout(LATE).unwrap();
            places.insert(name, thread);
            let here = places.values().filter(|place| **place == thread).count();
            if places.len() == 8 && (2..=6).contains(&here) {
                break;
            }
            assert!(Instant::now() < late, "nothing was moved");
        }
        // Told in the middle of it all, each still has its turns.
        spokes.iter().for_each(|spoke| wheels.tell(spoke.clone()));
        let mut seen = std::collections::HashSet::new();
        while seen.len() < 8 {
            seen.insert(threads.recv_timeout(LATE).unwrap().0);
        }
    }
}

#[cfg(all(test, feature = "loom"))]
mod models {
    use super::*;
    use crate::sync::channel;
    use loom::thread::spawn;

    #[test]
    fn loom_a_wheel_that_sleeps_misses_nothing_that_was_told() {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(2);
        model.check(|| {
            let inbox = Arc::<Inbox<u8>>::default();
            let (bell, rung) = channel();
            let tellers: Vec<_> = (0..2)
                .map(|name| {
                    let (inbox, bell) = (inbox.clone(), bell.clone());
                    spawn(move || {
                        if inbox.put(name) {
                            bell.send(()).unwrap();
                        }
                    })
                })
                .collect();
            let mut told = Vec::new();
            while told.len() < 2 {
                told.extend(inbox.take());
                if told.len() < 2 && inbox.may_sleep() {
                    rung.recv().unwrap();
                    inbox.wake_up();
                }
            }
            tellers.into_iter().for_each(|teller| teller.join().unwrap());
        });
    }
}
