//! How many bytes all downloads of the process may keep, in memory and in temporary files.

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// Room for a thousand clips of a minute (MP3 of 128 kbit/s), which a small container has.
const DEFAULT_BYTES: u64 = 1 << 30;

/// The part of it that large downloads leave to small ones: a fourth.
const KEPT: u64 = 4;

/// The room for what downloads keep.
pub struct SpoolBudget {
    state: Mutex<State>,
    freed: Notify,
}

struct State {
    max: u64,
    used: u64,
}

/// That of the process.
pub static SPOOLS: SpoolBudget = SpoolBudget::new(DEFAULT_BYTES);

impl SpoolBudget {
    /// With so many bytes.
    pub const fn new(max: u64) -> Self {
        Self { state: Mutex::new(State { max, used: 0 }), freed: Notify::const_new() }
    }

    /// How many bytes it has.
    pub fn max(&self) -> u64 {
        self.state.lock().max
    }

    /// Sets how many bytes it has. What is kept already stays, also if it is more.
    pub fn set_max(&self, max: u64) {
        self.state.lock().max = max;
        self.freed.notify_waiters();
    }

    /// Takes room for up to `wanted` bytes; 0 if there is none. The last of it is for `is_small`: a few large ones must not keep
    /// all others from playing.
    pub fn take(&self, wanted: u64, is_small: bool) -> u64 {
        let mut state = self.state.lock();
        let max = if is_small { state.max } else { state.max - state.max / KEPT };
        let taken = max.saturating_sub(state.used).min(wanted);
        state.used += taken;
        taken
    }

    /// Gives room back.
    pub fn give_back(&self, bytes: u64) {
        self.state.lock().used -= bytes;
        self.freed.notify_waiters();
    }

    /// Resolves when there may be room that was not there before this call.
    pub fn freed(&self) -> Notified<'_> {
        self.freed.notified()
    }

    #[cfg(test)]
    pub(super) fn used(&self) -> u64 {
        self.state.lock().used
    }
}
