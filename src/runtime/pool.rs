//! A bounded pool that runs decode tasks: code that looks blocking, in steps.
//!
//! The decoders read through a blocking `Read`, and a demuxer that gets "no bytes yet" in the middle of a packet can't
//! continue later. So a decode task is a stackful coroutine: where it lacks bytes, or room in its ring, it calls [`suspend`] and
//! its thread takes the next decode task. A slow server therefore holds no thread, and the first frame needs no more bytes
//! than the first packets. A decode task stays on the thread that started it, so nothing moves between threads mid-step.

use std::cell::Cell;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult, Yielder};

use super::priority;
use crate::scope::Scope;
use crate::sync::{AtomicBool, Receiver, Sender, channel};

/// Address space, not memory: pages are committed as they are touched (some 40 KB for the deepest decoder).
const STACK_BYTES: usize = 1 << 20;

/// The time that a decode task may run while others of its thread wait: a quarter of a frame.
const TURN: Duration = Duration::from_millis(5);

type Body = Box<dyn FnOnce() + Send>;

enum Job {
    Start(u64, Body),
    Resume(u64, Arc<AtomicBool>),
}

/// The threads that run decode tasks.
pub struct Pool {
    threads: Vec<Sender<Job>>,
    next: AtomicU64,
}

impl Pool {
    /// Starts a pool of so many threads, at a lower priority than all others, or returns the operating system's error.
    pub fn new(threads: usize) -> io::Result<Self> {
        let spawn = |index| {
            let (sender, jobs) = channel();
            std::thread::Builder::new().name(format!("speaker-decode-{index}")).spawn(move || {
                priority::lower();
                Worker::new(jobs).run();
            })?;
            Ok(sender)
        };
        Ok(Self { threads: (0..threads).map(spawn).collect::<io::Result<_>>()?, next: AtomicU64::new(0) })
    }

    /// Creates a pool without threads, for the fuzzer and the benchmarks: its decode tasks run in [`Worker::run_next`].
    pub fn by_hand() -> (Self, Worker) {
        let (sender, jobs) = channel();
        (Self { threads: vec![sender], next: AtomicU64::new(0) }, Worker::new(jobs))
    }

    /// Starts the decode task that `build` makes of its own waker, in the caller's scope. The task must not panic.
    pub fn start<F: FnOnce() + Send + 'static>(&self, build: impl FnOnce(Waker) -> F) -> Waker {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let thread = self.threads[id as usize % self.threads.len()].clone();
        let waker = Waker { id, thread, pending: Arc::default() };
        let (body, scope) = (build(waker.clone()), Scope::current());
        let body = Box::new(move || {
            scope.set();
            body();
        });
        let _ = waker.thread.send(Job::Start(id, body));
        waker
    }
}

/// Resumes one decode task; does nothing if it runs, is done, or was woken already.
#[derive(Clone)]
pub struct Waker {
    id: u64,
    thread: Sender<Job>,
    pending: Arc<AtomicBool>,
}

impl PartialEq for Waker {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Waker {
    /// Creates a waker without a task, for tests that fill a ring themselves.
    pub(crate) fn idle() -> Self {
        Self { id: u64::MAX, thread: channel().0, pending: Arc::new(AtomicBool::new(true)) }
    }

    /// Wakes its decode task.
    pub fn wake(&self) {
        if !self.pending.swap(true, Ordering::AcqRel) {
            let _ = self.thread.send(Job::Resume(self.id, self.pending.clone()));
        }
    }
}

thread_local! {
    /// The decode task that runs on this thread now; null outside of decode tasks.
    static RUNNING: Cell<*const Yielder<(), ()>> = const { Cell::new(std::ptr::null()) };
    /// The time at which it was resumed.
    static SINCE: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Returns true if this decode task has run for longer than a turn, and false outside of decode tasks.
pub fn turn_is_over() -> bool {
    SINCE.get().is_some_and(|since| since.elapsed() > TURN)
}

/// Yields the thread until this decode task's [`Waker`] is used. May return early: check again for what was missing.
///
/// # Panics
/// Outside of a decode task.
pub fn suspend() {
    let yielder = RUNNING.get();
    assert!(!yielder.is_null(), "suspend() is for code that runs on the decode pool");
    let scope = Scope::current();
    // SAFETY: the pointer was set by the coroutine that runs now (see `Worker::step`), whose yielder lives as long as its stack,
    // and a decode task never leaves its thread.
    unsafe { (*yielder).suspend(()) };
    RUNNING.set(yielder);
    scope.set();
}

/// A thread's loop: takes one job after the other, and keeps the suspended decode tasks.
pub struct Worker {
    jobs: Receiver<Job>,
    suspended: HashMap<u64, Coroutine<(), (), ()>>,
}

impl Worker {
    fn new(jobs: Receiver<Job>) -> Self {
        Self { jobs, suspended: HashMap::new() }
    }

    fn run(mut self) {
        while let Ok(job) = self.jobs.recv() {
            self.step(job);
        }
    }

    /// Starts or resumes one decode task, until it ends or suspends. Returns false if there is none.
    pub fn run_next(&mut self) -> bool {
        match self.jobs.try_recv() {
            Ok(job) => {
                self.step(job);
                true
            }
            Err(_) => false,
        }
    }

    /// Returns the number of suspended decode tasks.
    pub fn suspended(&self) -> usize {
        self.suspended.len()
    }

    fn step(&mut self, job: Job) {
        let Some((id, mut task)) = due(job, &mut self.suspended, start) else { return };
        SINCE.set(Some(Instant::now()));
        if let CoroutineResult::Yield(()) = task.resume(()) {
            self.suspended.insert(id, task);
        }
        RUNNING.set(std::ptr::null());
        Scope::default().set();
    }
}

/// Returns the decode task of a job.
fn due<T>(job: Job, suspended: &mut HashMap<u64, T>, start: impl FnOnce(Body) -> Option<T>) -> Option<(u64, T)> {
    match job {
        Job::Start(id, body) => Some((id, start(body)?)),
        Job::Resume(id, pending) => {
            // Before the step, so that a wake during the step is not lost. The swap also reads, and so synchronizes with a wake that
            // found this one pending: the step must see what was written before it.
            pending.swap(false, Ordering::AcqRel);
            Some((id, suspended.remove(&id)?))
        }
    }
}

/// Creates the coroutine of a decode task. Returns `None` if there is no address space for its stack: dropping the body fails its playback.
fn start(body: Body) -> Option<Coroutine<(), (), ()>> {
    let stack = DefaultStack::new(STACK_BYTES).ok()?;
    Some(Coroutine::with_stack(stack, move |yielder: &Yielder<(), ()>, ()| {
        RUNNING.set(yielder);
        body();
    }))
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn one_thread_resumes_many_tasks() {
        let pool = Pool::new(1).unwrap();
        let (sender, results) = channel();
        let wakers: Vec<Waker> = (0..100)
            .map(|n| {
                let sender = sender.clone();
                pool.start(|_| {
                    move || {
                        let local = n * 10;
                        suspend();
                        suspend();
                        sender.send(local).unwrap();
                    }
                })
            })
            .collect();
        for _ in 0..2 {
            wakers.iter().for_each(Waker::wake);
            // A wake while one is pending is the same wake, so the second round must come after the first.
            while wakers.iter().any(|waker| waker.pending.load(Ordering::Acquire)) {
                std::thread::yield_now();
            }
        }
        let mut seen: Vec<i32> =
            (0..100).map(|_| results.recv_timeout(Duration::from_secs(10)).expect("every task ends")).collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..100).map(|n| n * 10).collect::<Vec<_>>());
        wakers[0].wake(); // a finished one: nothing happens
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn decodes_at_a_lower_priority() {
        use rustix::process::getpriority_process;
        let pool = Pool::new(1).unwrap();
        let (sender, priority) = channel();
        pool.start(|_| move || sender.send(getpriority_process(None).unwrap()).unwrap());
        let lowered = priority.recv_timeout(Duration::from_secs(10)).expect("it runs");
        let ours = getpriority_process(None).unwrap();
        assert!(lowered > ours || ours == 19, "{lowered} beside {ours}");
    }
}

/// A decode task in a model: a real [`Waker`] wakes it, and it waits as its thread does.
#[cfg(all(test, feature = "loom"))]
pub(crate) struct Suspended(Receiver<Job>);

#[cfg(all(test, feature = "loom"))]
impl Suspended {
    pub(crate) fn new(id: u64) -> (Waker, Self) {
        let (thread, jobs) = channel();
        (Waker { id, thread, pending: Arc::default() }, Self(jobs))
    }

    /// Waits to be woken.
    pub(crate) fn wait(&self) {
        let job = self.0.recv().unwrap();
        let mut suspended = match &job {
            Job::Start(id, _) | Job::Resume(id, _) => HashMap::from([(*id, ())]),
        };
        due(job, &mut suspended, |_| None).expect("it is suspended");
    }
}

#[cfg(all(test, feature = "loom"))]
mod models {
    use super::*;
    use loom::thread::spawn;

    #[test]
    fn loom_no_wake_up_is_lost() {
        loom::model(|| {
            let (waker, suspended) = Suspended::new(0);
            let moved: [Arc<AtomicBool>; 2] = Default::default();
            let movers = moved.clone().map(|moved| {
                let waker = waker.clone();
                spawn(move || {
                    moved.store(true, Ordering::Relaxed);
                    waker.wake();
                })
            });
            while !moved.iter().all(|moved| moved.load(Ordering::Relaxed)) {
                suspended.wait();
            }
            movers.into_iter().for_each(|mover| mover.join().unwrap());
        });
    }
}
