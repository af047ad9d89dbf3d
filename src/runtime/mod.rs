//! The threads of the process: one tokio runtime and one decode pool, shared by every session.
//!
//! Threads are O(cores), never O(sessions) or O(playbacks); only the blocking pool, on which `advance` runs, grows with how many
//! sessions advance at once. Nothing here ends before the process: Node environments come and go (worker threads), and a
//! runtime of theirs would go with the last of them.

mod pool;

use once_cell::sync::Lazy;
use tokio::runtime::{Builder, Runtime};

#[doc(hidden)]
pub use pool::Worker;
pub use pool::{Pool, Waker, has_overstayed, suspend};

/// Drivers of sessions, their timers and sockets, and downloads.
pub static RUNTIME: Lazy<Runtime> = Lazy::new(|| {
    Builder::new_multi_thread()
        .worker_threads(cores())
        .thread_name("speaker-io")
        .enable_all()
        .build()
        .expect("the operating system grants a thread per core")
});

/// Everything that decodes: some hundred times faster than it sounds, so a few threads feed thousands.
pub static DECODERS: Lazy<Pool> = Lazy::new(|| Pool::new(cores().min(MAX_DECODERS)));

const MAX_DECODERS: usize = 4;

fn cores() -> usize {
    std::thread::available_parallelism().map_or(2, |n| n.get())
}
