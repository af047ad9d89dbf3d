//! The threads of the process, shared by every session: one tokio runtime for signalling, one for downloads, the wheels, one decode pool,
//! threads for file I/O, and those that run sessions with a manual clock.
//!
//! Their numbers are in one place, [`Budget`]: O(cores), never O(sessions) or O(playbacks). Nothing here ends before the
//! process: Node environments come and go (worker threads), and a runtime of theirs would go with the last of them.

mod alarm;
mod allowance;
mod disk;
mod jobs;
mod open;
mod page_cache;
mod pool;
mod priority;
mod reactor;
mod task;
mod wheel;

use std::ops::Deref;
use std::panic::catch_unwind;

use once_cell::sync::OnceCell;
use tokio::runtime::{Builder, Runtime};

use crate::error::{Code, Result, SpeakerError};

pub use alarm::{round_down, round_up, timed, wake_at};
pub use allowance::{Allowance, last_look, slice, within};
pub use disk::{DISK_LIMIT, DISK_SECONDS, Disk, Disks, Lane};
pub use jobs::{Job, Jobs, Work};
pub use open::{is_pipe, open_nonblocking};
pub use page_cache::read_cached;
#[cfg(all(test, feature = "loom"))]
pub(crate) use pool::Suspended;
pub use pool::{Pool, Waker, Worker, suspend, turn_is_over};
pub use reactor::UdpSocket;
pub use task::Task;
pub use wheel::{Load, Seat, Spoke, Turn, Wheels};

/// The largest number of threads that the process has, for all sessions together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Wheels: they run sessions in real time and send their sound; all per-frame work is done here.
    pub wheel: usize,
    /// Signalling: joining and leaving rooms.
    pub io: usize,
    /// Downloads: the answer of a hostile server may take long to read.
    pub fetch: usize,
    /// Decoders: they run some hundred times faster than real time, so a few threads feed thousands of playbacks.
    pub decode: usize,
    /// Threads that run sessions with a manual clock, started with the first of them. Nothing that blocks runs here.
    pub mix: usize,
    /// Files: reading, writing, opening and closing them. All but one are started when needed and end when they are idle.
    pub disk: usize,
    /// The part of these that one disk may occupy, which may never answer.
    pub each_disk: usize,
}

impl Budget {
    /// Returns the budget for a machine, or a container, of so many cores.
    pub const fn of(cores: usize) -> Self {
        let few = if cores < 4 { cores } else { 4 };
        Self {
            wheel: cores,
            io: if cores < 2 { cores } else { 2 },
            fetch: few,
            decode: few,
            mix: few,
            disk: 64,
            each_disk: 16,
        }
    }

    /// Returns the budget for the cores that this process may use. Affinity and the quota of a container count.
    pub fn here() -> Self {
        Self::of(std::thread::available_parallelism().map_or(2, |n| n.get()))
    }
}

struct Threads {
    io: Runtime,
    fetch: Runtime,
    decoders: Pool,
    disks: Disks,
    wheels: Wheels,
}

static THREADS: OnceCell<Threads> = OnceCell::new();

static JOBS: OnceCell<Jobs> = OnceCell::new();

/// Starts the threads that every session needs, unless they already run. Fails with `ERR_NO_THREADS` if the operating system
/// refuses one; a later call tries again.
pub fn start() -> Result<()> {
    THREADS.get_or_try_init(Threads::new).map(|_| ())
}

/// Also starts the threads that run sessions with a manual clock. Fails as [`start`] does.
pub fn start_manual() -> Result<&'static Jobs> {
    start()?;
    JOBS.get_or_try_init(|| Jobs::new(Budget::here().mix).map_err(|error| refused(&error)))
}

impl Threads {
    fn new() -> Result<Self> {
        let Budget { wheel, io, fetch, decode, disk, each_disk, .. } = Budget::here();
        // The pools first: they return the error of a refused thread, where tokio panics.
        let decoders = Pool::new(decode).map_err(|error| refused(&error))?;
        let disks = Disks::new(disk, each_disk).map_err(|error| refused(&error))?;
        let io = runtime("speaker-io", io, || {})?;
        let fetch = runtime("speaker-fetch", fetch, priority::lower)?;
        let wheels = Wheels::new(wheel, io.handle()).map_err(|error| refused(&error))?;
        Ok(Self { io, fetch, decoders, disks, wheels })
    }
}

fn runtime(name: &str, threads: usize, on_start: fn()) -> Result<Runtime> {
    let build = || {
        Builder::new_multi_thread()
            .worker_threads(threads)
            // Nothing uses them: look-ups are tasks, and disks have threads of their own.
            .max_blocking_threads(1)
            .thread_name(name)
            .on_thread_start(on_start)
            .enable_all()
            .build()
    };
    catch_unwind(build).map_err(|_| refused(&"no thread for I/O"))?.map_err(|error| refused(&error))
}

/// Returns the load of the wheels; without starting them, if no session was made yet.
pub fn load() -> Load {
    THREADS.get().map_or(Load { wheels: Budget::here().wheel, ..Load::default() }, |threads| threads.wheels.load())
}

fn refused(reason: &dyn std::fmt::Display) -> SpeakerError {
    let Budget { wheel, io, fetch, decode, mix, .. } = Budget::here();
    // Plus the first one for disks.
    let threads = wheel + io + fetch + decode + mix + 1;
    let message = format!("Expected up to {threads} threads for all sessions but received: {reason}");
    SpeakerError::new(Code::NoThreads, message)
}

fn threads() -> &'static Threads {
    THREADS.get_or_try_init(Threads::new).expect("a session starts them before anything needs them")
}

/// A part of the threads that the process has once; started with the first session.
pub struct Shared<T: 'static>(fn(&'static Threads) -> &'static T);

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        (self.0)(threads())
    }
}

/// The runtime for signalling and everything else that waits.
pub static RUNTIME: Shared<Runtime> = Shared(|threads| &threads.io);

/// The runtime for downloads, which so never delay signalling.
pub static FETCHES: Shared<Runtime> = Shared(|threads| &threads.fetch);

/// The pool for everything that decodes.
pub static DECODERS: Shared<Pool> = Shared(|threads| &threads.decoders);

/// The threads for everything that reads or writes a file.
pub static DISKS: Shared<Disks> = Shared(|threads| &threads.disks);

/// The wheels: the threads that run sessions in real time.
pub static WHEELS: Shared<Wheels> = Shared(|threads| &threads.wheels);
