//! The number of bytes that all downloads of the process may keep, in memory and in temporary files.

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// The default: room for a thousand clips of a minute (MP3 of 128 kbit/s), which a small container has.
const DEFAULT_BYTES: u64 = 1 << 30;

/// The divisor for the part that large downloads leave to small ones: a fourth.
const KEPT: u64 = 4;

/// The room for the bytes of downloads.
pub struct SpoolBudget {
    state: Mutex<State>,
    freed: Notify,
}

struct State {
    max: u64,
    used: u64,
}

/// The budget of the process.
pub static SPOOL_BUDGET: SpoolBudget = SpoolBudget::new(DEFAULT_BYTES);

impl SpoolBudget {
    /// Makes a budget of this many bytes.
    pub const fn new(max: u64) -> Self {
        Self { state: Mutex::new(State { max, used: 0 }), freed: Notify::const_new() }
    }

    /// Returns the number of bytes it has.
    pub fn max(&self) -> u64 {
        self.state.lock().max
    }

    /// Sets the number of bytes it has. Bytes kept already stay, even if they are more.
    pub fn set_max(&self, max: u64) {
        self.state.lock().max = max;
        self.freed.notify_waiters();
    }

    /// Takes room for up to `wanted` bytes; returns 0 if there is none. The last part is reserved for `is_small`: a few large downloads
    /// must not keep all others from playing.
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
