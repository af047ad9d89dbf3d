//! The threads of the process, shared by every session: one tokio runtime for what is due, one for downloads, one decode pool, threads
//! for what disks do, and those that move sessions with a manual clock.
//!
//! How many there are is said in one place, [`Budget`]: O(cores), never O(sessions) or O(playbacks). Nothing here ends before the
//! process: Node environments come and go (worker threads), and a runtime of theirs would go with the last of them.

mod alarm;
mod disk;
mod jobs;
mod open;
mod page_cache;
mod patience;
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
pub use disk::{DISK_LIMIT, DISK_SECONDS, Disk, Disks, Lane};
pub use jobs::{Job, Jobs, Work};
pub use open::{is_pipe, open_at_once};
pub use page_cache::read_cached;
pub use patience::{Allowance, last_look, slice, within};
#[cfg(all(test, feature = "loom"))]
pub(crate) use pool::Suspended;
#[doc(hidden)]
pub use pool::Worker;
pub use pool::{Pool, Waker, has_overstayed, suspend};
pub use reactor::UdpSocket;
pub use task::Task;
pub use wheel::{Seat, Spoke, Turn, Wheels};

/// How many threads the process has at most, for all sessions together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// What moves sessions in real time, and sends their sound: all that a session costs for every frame is done here.
    pub wheel: usize,
    /// Signalling, and rooms that are joined and left.
    pub io: usize,
    /// Downloads: what a hostile server sends may take long to be read.
    pub fetch: usize,
    /// Decoders: some hundred times faster than what they decode sounds, so a few threads feed thousands.
    pub decode: usize,
    /// What moves sessions with a manual clock; made with the first of them. Nothing that waits for something else runs here.
    pub mix: usize,
    /// Files: reading, writing, opening and closing them. All but one are made when needed and end when they are idle.
    pub disk: usize,
    /// Of these, so many for one disk, which may never answer.
    pub each_disk: usize,
}

impl Budget {
    /// For a machine, or a container, of so many cores.
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

    /// For this process: the cores that it may use. Affinity and the quota of a container count.
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

/// Starts the threads that every session needs, if they do not run yet. Fails with `ERR_NO_THREADS` if the operating system
/// refuses one; a later call tries again.
pub fn start() -> Result<()> {
    THREADS.get_or_try_init(Threads::new).map(|_| ())
}

/// Starts the threads that move sessions with a manual clock too, or fails as [`start`] does.
pub fn start_manual() -> Result<&'static Jobs> {
    start()?;
    JOBS.get_or_try_init(|| Jobs::new(Budget::here().mix).map_err(|error| refused(&error)))
}

impl Threads {
    fn new() -> Result<Self> {
        let Budget { wheel, io, fetch, decode, disk, each_disk, .. } = Budget::here();
        // The pools first: they tell of a refusal, where tokio panics.
        let decoders = Pool::new(decode).map_err(|error| refused(&error))?;
        let disks = Disks::new(disk, each_disk).map_err(|error| refused(&error))?;
        let io = runtime("speaker-io", io, || {})?;
        let fetch = runtime("speaker-fetch", fetch, priority::stand_back)?;
        let wheels = Wheels::new(wheel, io.handle()).map_err(|error| refused(&error))?;
        Ok(Self { io, fetch, decoders, disks, wheels })
    }
}

fn runtime(name: &str, threads: usize, on_start: fn()) -> Result<Runtime> {
    let build = || {
        Builder::new_multi_thread()
            .worker_threads(threads)
            // Nothing is asked of them: look-ups are tasks, and disks have threads of their own.
            .max_blocking_threads(1)
            .thread_name(name)
            .on_thread_start(on_start)
            .enable_all()
            .build()
    };
    catch_unwind(build).map_err(|_| refused(&"no thread for I/O"))?.map_err(|error| refused(&error))
}

fn refused(reason: &dyn std::fmt::Display) -> SpeakerError {
    let Budget { wheel, io, fetch, decode, mix, .. } = Budget::here();
    // And the first one for disks.
    let threads = wheel + io + fetch + decode + mix + 1;
    let message = format!("Expected up to {threads} threads for all sessions but received: {reason}");
    SpeakerError::new(Code::NoThreads, message)
}

fn threads() -> &'static Threads {
    THREADS.get_or_try_init(Threads::new).expect("a session starts them before anything needs them")
}

/// Something that the process has once; started with the first session.
pub struct Shared<T: 'static>(fn(&'static Threads) -> &'static T);

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        (self.0)(threads())
    }
}

/// The runtime for signalling, and for whatever waits.
pub static RUNTIME: Shared<Runtime> = Shared(|threads| &threads.io);

/// The runtime for downloads: whatever they do holds up no driver.
pub static FETCHES: Shared<Runtime> = Shared(|threads| &threads.fetch);

/// The pool for everything that decodes.
pub static DECODERS: Shared<Pool> = Shared(|threads| &threads.decoders);

/// The threads for everything that reads or writes a file.
pub static DISKS: Shared<Disks> = Shared(|threads| &threads.disks);

/// The wheels: what moves sessions in real time.
pub static WHEELS: Shared<Wheels> = Shared(|threads| &threads.wheels);
