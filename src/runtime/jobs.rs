//! The threads that move sessions with a manual clock: in turns, so that however many of them advance at once, each goes on.
//!
//! Whatever moves tells the job ([`Jobs::tell`]), which puts it in line if nobody has it. A job that finds nothing to do is idle and
//! holds no thread: what it waits for may itself need one.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::priority;
use crate::sync::{AtomicU8, Condvar, Mutex};

/// What is done in turns, by whichever thread is free, and by one at a time.
pub trait Work: Send + Sync + 'static {
    /// What is known of its turns.
    fn job(&self) -> &Job;

    /// Does a part of what there is to do. Returns true if there is more which waits for nobody. Must not panic.
    fn turn(self: Arc<Self>) -> bool;
}

/// In line or having its turn.
const BUSY: u8 = 1;

/// Something moved since its turn began.
const TOLD: u8 = 2;

/// Whether some work is idle, in line or having its turn, and whether something moved since that began.
#[derive(Default)]
pub struct Job(AtomicU8);

// Each step reads and writes in one: so a turn either sees what moved, or learns at its end that something did.
impl Job {
    /// Something moved. Returns true if it has to be put in line.
    pub(super) fn tell(&self) -> bool {
        self.0.fetch_or(BUSY | TOLD, Ordering::AcqRel) & BUSY == 0
    }

    /// Its turn begins, whether or not it was in line: it will see what moved so far.
    pub(super) fn begin(&self) {
        self.0.swap(BUSY, Ordering::AcqRel);
    }

    /// Its turn is over, and there is `more` to do. Returns true if it has to be put in line again.
    pub(super) fn end(&self, more: bool) -> bool {
        more || self.0.compare_exchange(BUSY, 0, Ordering::AcqRel, Ordering::Acquire).is_err()
    }
}

#[derive(Default)]
struct Line {
    waiting: VecDeque<Arc<dyn Work>>,
    is_closed: bool,
}

#[derive(Default)]
struct Shared {
    line: Mutex<Line>,
    changed: Condvar,
}

/// The threads, and the line of what waits for one. Dropping it ends them after their turns.
pub struct Jobs(Arc<Shared>);

impl Jobs {
    /// So many threads, or why the operating system gave fewer.
    pub fn new(threads: usize) -> io::Result<Self> {
        let jobs = Self(Arc::default());
        for index in 0..threads {
            let shared = jobs.0.clone();
            std::thread::Builder::new().name(format!("speaker-mix-{index}")).spawn(move || {
                priority::stand_back();
                run(&shared);
            })?;
        }
        Ok(jobs)
    }

    /// Something moved that `work` has to look at.
    pub fn tell(&self, work: Arc<impl Work>) {
        if work.job().tell() {
            self.0.line.lock().waiting.push_back(work);
            self.0.changed.notify_one();
        }
    }
}

impl Drop for Jobs {
    fn drop(&mut self) {
        self.0.line.lock().is_closed = true;
        self.0.changed.notify_all();
    }
}

fn run(shared: &Shared) {
    let mut unfinished = None;
    while let Some(work) = next(shared, unfinished.take()) {
        work.job().begin();
        let more = work.clone().turn();
        if work.job().end(more) {
            unfinished = Some(work);
        }
    }
}

/// The first in line, behind which `unfinished` is put. `None` once the line is closed.
fn next(shared: &Shared, unfinished: Option<Arc<dyn Work>>) -> Option<Arc<dyn Work>> {
    let mut line = shared.line.lock();
    // Nobody is told of it: this thread takes one out too.
    line.waiting.extend(unfinished);
    loop {
        if line.is_closed {
            return None;
        }
        if let Some(work) = line.waiting.pop_front() {
            return Some(work);
        }
        shared.changed.wait(&mut line);
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, AtomicUsize};
    use std::sync::mpsc::{Sender, channel};
    use std::time::Duration;

    /// Has so many turns, and then says so.
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
    fn work_without_end_keeps_nobody_from_a_turn() {
        let jobs = Jobs::new(2).unwrap();
        let (sender, done) = channel();
        let work = |left| {
            let (left, done) = (AtomicUsize::new(left), Mutex::new(sender.clone()));
            Arc::new(Counter { job: Job::default(), left, has_turn: AtomicBool::new(false), done })
        };
        let endless: Vec<_> = (0..50).map(|_| work(usize::MAX)).collect();
        endless.iter().for_each(|work| jobs.tell(work.clone()));
        (0..50).for_each(|_| jobs.tell(work(20)));
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

    /// Looks whether everything has moved, and says so.
    #[derive(Default)]
    struct Look {
        job: Job,
        moved: [AtomicBool; 2],
        has_turn: AtomicBool,
        done: Mutex<Option<Sender<()>>>,
    }

    impl Work for Look {
        fn job(&self) -> &Job {
            &self.job
        }

        fn turn(self: Arc<Self>) -> bool {
            assert!(!self.has_turn.swap(true, Ordering::Relaxed), "two threads have it");
            if self.moved.iter().all(|moved| moved.load(Ordering::Relaxed)) {
                self.done.lock().take().into_iter().for_each(|done| done.send(()).unwrap());
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
            let (other, told) = (jobs.clone(), work.clone());
            let other = spawn(move || {
                told.moved[0].store(true, Ordering::Relaxed);
                other.tell(told);
            });
            work.moved[1].store(true, Ordering::Relaxed);
            jobs.tell(work);
            done.recv().unwrap();
            other.join().unwrap();
            drop(jobs);
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        });
    }

    #[test]
    fn loom_a_job_sees_everything_that_moved() {
        check(1);
    }

    #[test]
    fn loom_a_job_has_one_turn_at_a_time() {
        check(2);
    }
}
