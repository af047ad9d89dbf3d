//! Threads and clocks: the only module that has either. A [`Handle`] is the one way to a session; a driver ticks it and owns its
//! output: in real time on a wheel (`driver.rs`), on the manual clock as a job that takes turns (`offline.rs`).

mod admission;
mod audio_stream;
mod clock;
mod driver;
mod handle;
mod listener;
mod offline;
mod recorder;
mod slot;
mod stream;
mod tap;

pub use admission::{Capacity, capacity, set_admission};
pub use audio_stream::AudioStream;
pub use handle::{Bell, EngineOptions, Handle, broken_sessions, open_sessions};
pub use listener::Listener;
pub use recorder::Recorder;
pub use stream::Stream;
pub use tap::Tap;
