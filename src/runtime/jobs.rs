//! The threads that run sessions with a manual clock: in turns, so that each makes progress however many advance at once.
//!
//! Every change notifies the job ([`Jobs::notify`]), which queues it if no thread has it. A job that finds nothing to do is idle and
//! occupies no thread: what it waits for may itself need one.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::priority;
use crate::sync::{AtomicU8, Condvar, Mutex};

/// Work that is done in turns, by whichever thread is free, and by one at a time.
pub trait Work: Send + Sync + 'static {
    /// Returns the state of its turns.
    fn job(&self) -> &Job;

    /// Does a part of the work. Returns true if more can be done at once. Must not panic.
    fn turn(self: Arc<Self>) -> bool;
}

/// Queued or running.
const BUSY: u8 = 1;

/// Notified since its turn began.
const NOTIFIED: u8 = 2;

/// The state of some work: idle, queued or running, and notified or not since its turn began.
#[derive(Default)]
pub struct Job(AtomicU8);

// Each step reads and writes in one: so a turn either sees a change, or learns at its end that there was one.
impl Job {
    /// Records a change. Returns true if the work has to be queued.
    pub(super) fn notify(&self) -> bool {
        self.0.fetch_or(BUSY | NOTIFIED, Ordering::AcqRel) & BUSY == 0
    }

    /// Begins a turn, whether or not it was queued: the turn will see every change so far.
    pub(super) fn begin(&self) {
        self.0.swap(BUSY, Ordering::AcqRel);
    }

    /// Ends a turn. Returns true if the work has to be queued again: it has more to do, or was notified meanwhile.
    pub(super) fn end(&self, has_more: bool) -> bool {
        has_more || self.0.compare_exchange(BUSY, 0, Ordering::AcqRel, Ordering::Acquire).is_err()
    }
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Arc<dyn Work>>,
    is_closed: bool,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

/// The threads, and the queue of work that waits for one. Dropping it ends them after their turns.
pub struct Jobs(Arc<Shared>);

impl Jobs {
    /// Starts so many threads, or returns the operating system's error.
    pub fn new(threads: usize) -> io::Result<Self> {
        let jobs = Self(Arc::default());
        for index in 0..threads {
            let shared = jobs.0.clone();
            std::thread::Builder::new().name(format!("speaker-mix-{index}")).spawn(move || {
                priority::lower();
                run(&shared);
            })?;
        }
        Ok(jobs)
    }

    /// Gives `work` a turn, because something changed.
    pub fn notify(&self, work: Arc<impl Work>) {
        if work.job().notify() {
            self.0.queue.lock().waiting.push_back(work);
            self.0.changed.notify_one();
        }
    }
}

impl Drop for Jobs {
    fn drop(&mut self) {
        self.0.queue.lock().is_closed = true;
        self.0.changed.notify_all();
    }
}

fn run(shared: &Shared) {
    let mut unfinished = None;
    while let Some(work) = next(shared, unfinished.take()) {
        work.job().begin();
        let has_more = work.clone().turn();
        if work.job().end(has_more) {
            unfinished = Some(work);
        }
    }
}

/// Takes the first of the queue, after adding `unfinished` at its end. Returns `None` once the queue is closed.
fn next(shared: &Shared, unfinished: Option<Arc<dyn Work>>) -> Option<Arc<dyn Work>> {
    let mut queue = shared.queue.lock();
    // No other thread is woken for it: this one takes one out too.
    queue.waiting.extend(unfinished);
    loop {
        if queue.is_closed {
            return None;
        }
        if let Some(work) = queue.waiting.pop_front() {
            return Some(work);
        }
        shared.changed.wait(&mut queue);
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, AtomicUsize};
    use std::sync::mpsc::{Sender, channel};
    use std::time::Duration;

    /// Has so many turns, and then reports it.
    struct Counter {
        job: Job,
        left: AtomicUsize,
        has_turn: AtomicBool,
        done: Mutex<Sender<()>>,
    }

    impl Work for Counter {
        fn job(&self) -> &Job {
            &self.job
        }

        fn turn(self: Arc<Self>) -> bool {
            assert!(!self.has_turn.swap(true, Ordering::SeqCst), "two threads have it");
            let left = self.left.load(Ordering::SeqCst).saturating_sub(1);
            self.left.store(left, Ordering::SeqCst);
            if left == 0 {
                let _ = self.done.lock().send(());
            }
            self.has_turn.store(false, Ordering::SeqCst);
            left > 0
        }
    }

    #[test]
    fn endless_work_starves_no_other() {
        let jobs = Jobs::new(2).unwrap();
        let (sender, done) = channel();
        let work = |left| {
            let (left, done) = (AtomicUsize::new(left), Mutex::new(sender.clone()));
            Arc::new(Counter { job: Job::default(), left, has_turn: AtomicBool::new(false), done })
        };
        let endless: Vec<_> = (0..50).map(|_| work(usize::MAX)).collect();
        endless.iter().for_each(|work| jobs.notify(work.clone()));
        (0..50).for_each(|_| jobs.notify(work(20)));
        for _ in 0..50 {
            done.recv_timeout(Duration::from_secs(20)).expect("each goes on");
        }
        assert!(endless.iter().all(|work| work.left.load(Ordering::SeqCst) < usize::MAX));
    }
}

#[cfg(all(test, feature = "loom"))]
mod models {
    use super::*;
    use crate::sync::{AtomicBool, Sender, channel};
    use loom::thread::spawn;

    /// Reports once everything has changed.
    #[derive(Default)]
    struct Look {
        job: Job,
        changed: [AtomicBool; 2],
        has_turn: AtomicBool,
        done: Mutex<Option<Sender<()>>>,
    }

    impl Work for Look {
        fn job(&self) -> &Job {
            &self.job
        }

        fn turn(self: Arc<Self>) -> bool {
            assert!(!self.has_turn.swap(true, Ordering::Relaxed), "two threads have it");
            if self.changed.iter().all(|changed| changed.load(Ordering::Relaxed))
                && let Some(done) = self.done.lock().take()
            {
                done.send(()).unwrap();
            }
            self.has_turn.store(false, Ordering::Relaxed);
            false
        }
    }

    fn check(threads: usize) {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(2);
        model.check(move || {
            let shared = Arc::<Shared>::default();
            let threads: Vec<_> = (0..threads)
                .map(|_| {
                    let shared = shared.clone();
                    spawn(move || run(&shared))
                })
                .collect();
            let (sender, done) = channel();
            let work = Arc::new(Look { done: Mutex::new(Some(sender)), ..Look::default() });
            let jobs = Arc::new(Jobs(shared));
            let (other, notified) = (jobs.clone(), work.clone());
            let other = spawn(move || {
                notified.changed[0].store(true, Ordering::Relaxed);
                other.notify(notified);
            });
            work.changed[1].store(true, Ordering::Relaxed);
            jobs.notify(work);
            done.recv().unwrap();
            other.join().unwrap();
            drop(jobs);
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        });
    }

    #[test]
    fn loom_a_job_sees_every_change() {
        check(1);
    }

    #[test]
    fn loom_a_job_runs_once_at_a_time() {
        check(2);
    }
}
