//! The media threads: each runs many sessions, in rounds. All frames are due at the same moments, so a round mixes, encodes and
//! sends for one session after the other while the code for it is in the processor's cache; between rounds the thread sleeps.
//!
//! A round takes its inbox, then gives turns to the spokes that are due (frames among them), then to the spokes that were notified, until
//! the next one is due, and last to those that were busy. A wheel sleeps until the next spoke is due, or until it is woken.

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

/// The longest time that a datagram on a deferred socket waits while nothing else happens.
const DEFERRED_INTERVAL: Duration = Duration::from_millis(50);

/// The interval at which the load of each session is measured.
const MEASURE_INTERVAL: Duration = Duration::from_secs(1);

/// The smallest difference between the loads of two wheels for which a session is moved. Loads are in thousandths of a core.
const MIN_IMBALANCE: u64 = 100;

/// The load up to which a wheel takes new sessions and keeps those it has: sessions on one wheel wake it once and find their code in the
/// cache.
const FULL_LOAD: u64 = 300;

/// The assumed load of a new session, until it is measured.
const INITIAL_LOAD: u64 = 5;

/// The index of a seat that is not on a wheel.
const UNSEATED: usize = usize::MAX;

/// A session on a wheel: it has a turn when it asked for one, and after a notification.
pub trait Spoke: Send + Sync + 'static {
    /// Returns its seat.
    fn seat(&self) -> &Seat;

    /// Does the work that is due, and asks for the next turn with [`alarm::wake_at`]. Must not panic. If `may_wait` is false it returns
    /// [`Turn::Busy`] rather than wait for a lock.
    fn turn(self: Arc<Self>, now: Instant, may_wait: bool) -> Turn;
}

/// The result of a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Nothing is left to do until a notification, or the time that it asked for.
    Done,
    /// Another thread holds its lock.
    Busy,
    /// It needs no further turn.
    Over,
}

/// The place of a spoke on a wheel, and the state of its turns.
pub struct Seat {
    job: Job,
    wheel: AtomicUsize,
    /// Read and written by its wheel alone.
    index: AtomicUsize,
}

impl Default for Seat {
    fn default() -> Self {
        Self { job: Job::default(), wheel: AtomicUsize::new(0), index: AtomicUsize::new(UNSEATED) }
    }
}

impl Seat {
    /// Returns the state of its turns.
    pub fn job(&self) -> &Job {
        &self.job
    }
}

/// The notified spokes of a wheel. Any thread adds one; the wheel takes them.
struct Inbox<T> {
    notified: Mutex<Vec<T>>,
    is_asleep: AtomicBool,
}

impl<T> Default for Inbox<T> {
    fn default() -> Self {
        Self { notified: Mutex::new(Vec::new()), is_asleep: AtomicBool::new(false) }
    }
}

impl<T> Inbox<T> {
    /// Adds a spoke. Returns true if the wheel has to be woken.
    fn put(&self, spoke: T) -> bool {
        self.notified.lock().push(spoke);
        self.is_asleep.swap(false, Ordering::AcqRel)
    }

    fn take(&self) -> Vec<T> {
        std::mem::take(&mut *self.notified.lock())
    }

    /// Returns true if the wheel may sleep until it is woken. The lock orders it: either this sees a spoke that is added, or adding it sees
    /// the flag. Each step on the flag also reads it, so that all of them have one order.
    fn may_sleep(&self) -> bool {
        self.is_asleep.swap(true, Ordering::AcqRel);
        let is_empty = self.notified.lock().is_empty();
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
    /// As last measured, in thousandths of a core.
    load: AtomicU64,
    /// When it was measured, in milliseconds since `begun`.
    measured_at: AtomicU64,
    begun: Instant,
}

impl Shared {
    /// Returns its load, in thousandths of a core: 0 if it has slept since long before now, for it is measured in rounds only.
    fn load(&self, now: Instant) -> u64 {
        let measured_at = self.begun + Duration::from_millis(self.measured_at.load(Ordering::Relaxed));
        let is_asleep = self.inbox.is_asleep.load(Ordering::Acquire);
        if is_asleep && now.saturating_duration_since(measured_at) > 2 * MEASURE_INTERVAL {
            return 0;
        }
        self.load.load(Ordering::Relaxed)
    }

    fn set_load(&self, load: u64, now: Instant) {
        self.load.store(load, Ordering::Relaxed);
        self.measured_at.store(now.saturating_duration_since(self.begun).as_millis() as u64, Ordering::Relaxed);
    }

    fn put(&self, spoke: Arc<dyn Spoke>) {
        if self.inbox.put(spoke) {
            self.sockets.wake();
        }
    }
}

/// The time that wheels spend on their sessions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// The number of wheels.
    pub wheels: usize,
    /// The load of all of them, in thousandths of a core.
    pub total: u64,
    /// The load of the busiest one, in thousandths of a core.
    pub busiest: u64,
}

/// All wheels of the process.
pub struct Wheels(Arc<[Shared]>);

impl Wheels {
    /// Starts so many wheels, or returns the operating system's error. Their spokes run in the tokio context of `runtime`.
    pub fn new(count: usize, runtime: &Handle) -> io::Result<Self> {
        let reactors = (0..count).map(|_| Reactor::new()).collect::<io::Result<Vec<_>>>()?;
        let begun = Instant::now();
        let shared = |reactor: &Reactor| Shared {
            inbox: Inbox::default(),
            sockets: reactor.sockets().clone(),
            load: AtomicU64::new(0),
            measured_at: AtomicU64::new(0),
            begun,
        };
        let all: Arc<[Shared]> = reactors.iter().map(shared).collect();
        for (number, reactor) in reactors.into_iter().enumerate() {
            let (all, runtime) = (all.clone(), runtime.clone());
            std::thread::Builder::new().name(format!("speaker-wheel-{number}")).spawn(move || {
                let _entered = runtime.enter();
                reactor.enter();
                Wheel::new(number, reactor, all).run();
            })?;
        }
        Ok(Self(all))
    }

    /// Returns the sockets of the first wheel.
    pub fn sockets(&self) -> Arc<Sockets> {
        self.0[0].sockets.clone()
    }

    /// Adds `spoke` to the first wheel that is not full, or else to the one with the smallest load.
    pub fn add(&self, spoke: Arc<dyn Spoke>) {
        let now = Instant::now();
        let loads = self.0.iter().map(|wheel| wheel.load(now));
        let (index, _) = loads.enumerate().min_by_key(|(_, load)| (*load).max(FULL_LOAD)).expect("there is a wheel");
        self.0[index].load.fetch_add(INITIAL_LOAD, Ordering::Relaxed);
        spoke.seat().wheel.store(index, Ordering::Release);
        if spoke.seat().job.notify() {
            self.0[index].put(spoke);
        }
    }

    /// Returns the load of the last second.
    pub fn load(&self) -> Load {
        let now = Instant::now();
        let loads = self.0.iter().map(|wheel| wheel.load(now));
        let add = |sum: Load, load| Load { total: sum.total + load, busiest: sum.busiest.max(load), ..sum };
        loads.fold(Load { wheels: self.0.len(), ..Load::default() }, add)
    }

    /// Gives `spoke` a turn, because something changed.
    pub fn notify(&self, spoke: Arc<dyn Spoke>) {
        if spoke.seat().job.notify() {
            let wheel = spoke.seat().wheel.load(Ordering::Acquire);
            self.0[wheel].put(spoke);
        }
    }
}

struct Entry {
    spoke: Arc<dyn Spoke>,
    due: Option<Instant>,
    /// It is queued for a turn.
    is_notified: bool,
    /// The duration of its turns since the last measurement.
    cost: Duration,
}

/// The state of a media thread.
struct Wheel {
    number: usize,
    reactor: Reactor,
    all: Arc<[Shared]>,
    entries: Vec<Option<Entry>>,
    vacant: Vec<usize>,
    /// The entries that wait for a turn after a notification.
    notified: VecDeque<usize>,
    /// The entries that were busy.
    busy: Vec<usize>,
    measured_at: Instant,
}

impl Wheel {
    fn new(number: usize, reactor: Reactor, all: Arc<[Shared]>) -> Self {
        Self {
            number,
            reactor,
            all,
            entries: Vec::new(),
            vacant: Vec::new(),
            notified: VecDeque::new(),
            busy: Vec::new(),
            measured_at: Instant::now(),
        }
    }

    fn run(mut self) {
        loop {
            // A turn catches its own panics; what is left would be a bug in here, or in what a spoke drops.
            if catch_unwind(AssertUnwindSafe(|| self.round())).is_err() {
                tracing::error!("a wheel broke by a fault of its own and goes on: please report it");
            }
            let inbox = &self.all[self.number].inbox;
            let may_sleep = self.notified.is_empty() && inbox.may_sleep();
            let limit = if may_sleep { self.sleep_limit() } else { Some(Duration::ZERO) };
            self.reactor.wait(limit);
            self.all[self.number].inbox.wake_up();
            self.reactor.wake_readers();
        }
    }

    fn sleep_limit(&self) -> Option<Duration> {
        let now = Instant::now();
        let dues = self.entries.iter().flatten().filter_map(|entry| entry.due);
        let has_waiting = self.reactor.sockets().has_waiting();
        let deferred = has_waiting.then(|| alarm::round_up(now + Duration::from_nanos(1), DEFERRED_INTERVAL));
        dues.chain(deferred).min().map(|next| next.saturating_duration_since(now))
    }

    fn round(&mut self) {
        if self.reactor.sockets().has_waiting() {
            self.reactor.poll_deferred();
        }
        self.take_inbox();
        let now = Instant::now();
        for index in 0..self.entries.len() {
            if self.entries[index].as_ref().and_then(|entry| entry.due).is_some_and(|due| due <= now) {
                self.turn(index, false);
            }
        }
        // Due spokes come first, so the others have turns only until the next one is due: joining a room takes milliseconds.
        let next = self.entries.iter().flatten().filter_map(|entry| entry.due).min();
        while let Some(index) = self.notified.pop_front() {
            if self.entries[index].as_ref().is_some_and(|entry| entry.is_notified) {
                self.turn(index, false);
            }
            if next.is_some_and(|next| next <= Instant::now()) {
                break;
            }
        }
        for index in std::mem::take(&mut self.busy) {
            self.turn(index, true);
        }
        if now.saturating_duration_since(self.measured_at) >= MEASURE_INTERVAL {
            self.measure(now);
        }
    }

    fn take_inbox(&mut self) {
        for spoke in self.all[self.number].inbox.take() {
            let wheel = spoke.seat().wheel.load(Ordering::Acquire);
            if wheel != self.number {
                // It was moved while it was notified.
                self.all[wheel].put(spoke);
                continue;
            }
            let index = match spoke.seat().index.load(Ordering::Relaxed) {
                UNSEATED => self.seat(spoke),
                index => index,
            };
            self.queue(index);
        }
    }

    fn seat(&mut self, spoke: Arc<dyn Spoke>) -> usize {
        let index = self.vacant.pop().unwrap_or_else(|| {
            self.entries.push(None);
            self.entries.len() - 1
        });
        spoke.seat().index.store(index, Ordering::Relaxed);
        self.entries[index] = Some(Entry { spoke, due: None, is_notified: false, cost: Duration::ZERO });
        index
    }

    fn queue(&mut self, index: usize) {
        if let Some(entry) = &mut self.entries[index]
            && !std::mem::replace(&mut entry.is_notified, true)
        {
            self.notified.push_back(index);
        }
    }

    fn turn(&mut self, index: usize, may_wait: bool) {
        let Some(entry) = &mut self.entries[index] else { return };
        let begun = Instant::now();
        entry.is_notified = false;
        entry.due = None;
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
            self.queue(index);
        }
    }

    fn remove(&mut self, index: usize) -> Option<Entry> {
        self.vacant.push(index);
        let entry = self.entries[index].take();
        if let Some(entry) = &entry {
            entry.spoke.seat().index.store(UNSEATED, Ordering::Relaxed);
        }
        entry
    }

    /// Publishes its load, and moves spokes away, the most expensive first, if it is full and another wheel has much less to do.
    fn measure(&mut self, now: Instant) {
        let time = now.saturating_duration_since(self.measured_at);
        self.measured_at = now;
        let share = |cost: Duration| (cost.as_nanos() * 1_000 / time.as_nanos()) as u64;
        let mut costs: Vec<_> = Vec::new();
        for (index, entry) in self.entries.iter_mut().enumerate() {
            let cost = entry.as_mut().map(|entry| std::mem::take(&mut entry.cost));
            costs.extend(cost.map(|cost| (share(cost), index)));
        }
        let mut load = costs.iter().map(|(cost, _)| cost).sum::<u64>();
        let others = self.all.iter().enumerate().filter(|(index, _)| *index != self.number);
        let lightest = others.map(|(index, wheel)| (wheel.load(now), index)).min();
        if let Some((mut other, target)) = lightest {
            costs.sort_unstable_by(|one, other| other.cmp(one));
            for (cost, index) in costs {
                // Not so much that it would come back.
                if load > FULL_LOAD.max(other + MIN_IMBALANCE) && cost > 0 && other + cost < load - cost {
                    (load, other) = (load - cost, other + cost);
                    self.move_to(index, target, cost);
                }
            }
        }
        self.all[self.number].set_load(load, now);
    }

    /// Moves a spoke to another wheel, where it has a turn at once.
    fn move_to(&mut self, index: usize, target: usize, cost: u64) {
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

    #[test]
    fn load_of_sleeping_wheel_is_zero() {
        let wheels = wheels(1);
        let wheel = &wheels.0[0];
        let now = wheel.begun + Duration::from_secs(60);
        wheel.set_load(400, now);
        wheel.inbox.is_asleep.store(true, Ordering::Release);
        let loads = [0, 2000, 2001, 60_000].map(|ms| wheel.load(now + Duration::from_millis(ms)));
        assert_eq!(loads, [400, 400, 0, 0]);
        // One that never sleeps has no time to measure.
        wheel.inbox.is_asleep.store(false, Ordering::Release);
        assert_eq!(wheel.load(now + Duration::from_secs(60)), 400);
    }

    const LATE: Duration = Duration::from_secs(20);

    #[test]
    fn turns_come_on_time_and_on_notification() {
        let wheels = wheels(1);
        let (sender, turns) = channel();
        let begun = Instant::now();
        let mut asked = Vec::from([begun + Duration::from_millis(40), begun + Duration::from_millis(20)]);
        let one = spoke(move |now| {
            sender.send(now).unwrap();
            if let Some(at) = asked.pop() {
                alarm::wake_at(at);
            }
            Turn::Done
        });
        wheels.add(one.clone());
        let times: Vec<_> = (0..3).map(|_| turns.recv_timeout(LATE).unwrap()).collect();
        assert!(times[1] >= begun + Duration::from_millis(20) && times[2] >= begun + Duration::from_millis(40));
        for _ in 0..100 {
            wheels.notify(one.clone());
            turns.recv_timeout(LATE).unwrap();
        }
    }

    #[test]
    fn busy_spokes_return_and_finished_ones_do_not() {
        let wheels = wheels(1);
        let (sender, turns) = channel();
        let named = |name: &'static str, sender: &Sender<_>, mut results: Vec<Turn>| {
            let sender = sender.clone();
            spoke(move |_| {
                sender.send(name).unwrap();
                results.pop().unwrap_or(Turn::Done)
            })
        };
        let first = named("first", &sender, vec![Turn::Over, Turn::Busy]);
        wheels.add(first.clone());
        assert_eq!([turns.recv_timeout(LATE), turns.recv_timeout(LATE)], [Ok("first"), Ok("first")]);
        wheels.notify(first);
        let second = named("second", &sender, vec![]);
        wheels.add(second);
        assert_eq!(turns.recv_timeout(LATE), Ok("second"));
    }

    #[test]
    fn moves_expensive_spokes_to_an_idle_wheel() {
        let wheels = wheels(2);
        let (sender, threads) = channel();
        // All on one, as if each had had a small load when it was added.
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
        let mut thread_of = std::collections::HashMap::new();
        loop {
            let (name, thread) = threads.recv_timeout(LATE).unwrap();
            thread_of.insert(name, thread);
            let here = thread_of.values().filter(|other| **other == thread).count();
            if thread_of.len() == 8 && (2..=6).contains(&here) {
                break;
            }
            assert!(Instant::now() < late, "nothing was moved");
        }
        // A notification in the middle of it all still gives each a turn.
        spokes.iter().for_each(|spoke| wheels.notify(spoke.clone()));
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
    fn loom_a_sleeping_wheel_misses_no_notification() {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(2);
        model.check(|| {
            let inbox = Arc::<Inbox<u8>>::default();
            let (waker, woken) = channel();
            let notifiers: Vec<_> = (0..2)
                .map(|name| {
                    let (inbox, waker) = (inbox.clone(), waker.clone());
                    spawn(move || {
                        if inbox.put(name) {
                            waker.send(()).unwrap();
                        }
                    })
                })
                .collect();
            let mut notified = Vec::new();
            while notified.len() < 2 {
                notified.extend(inbox.take());
                if notified.len() < 2 && inbox.may_sleep() {
                    woken.recv().unwrap();
                    inbox.wake_up();
                }
            }
            notifiers.into_iter().for_each(|notifier| notifier.join().unwrap());
        });
    }
}
