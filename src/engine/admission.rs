//! Admission: whether the wheels have time for one more output.
//!
//! Beyond the largest load that was set, frames would soon be late for all sessions of the process. What is open already is never
//! refused anything, and the manual clock has no wheels.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::handle::open_sessions;
use crate::error::{Code, Result, SpeakerError};
use crate::runtime;

/// Half of a core's time is not for wheels: decoders, downloads and JavaScript run beside them.
const DEFAULT_MAX_LOAD: u64 = 500;

/// In thousandths of the time of all wheels.
static MAX_LOAD: AtomicU64 = AtomicU64::new(DEFAULT_MAX_LOAD);

static REFUSES: AtomicBool = AtomicBool::new(false);

/// The number of outputs that were opened, or refused, beyond the largest load.
static EXCEEDED: AtomicU64 = AtomicU64::new(0);

/// The number of them that were refused.
static REFUSED: AtomicU64 = AtomicU64::new(0);

/// The time that the wheels of the process have left.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Capacity {
    /// The number of wheels.
    pub wheels: usize,
    /// The share of the wheels' time that was used in the last second, 0–1.
    pub load: f64,
    /// The same of the busiest wheel.
    pub busiest: f64,
    /// The largest load up to which outputs are opened.
    pub max_load: f64,
    /// The number of sessions like those that are open which still fit; `None` if nothing is known of their cost.
    pub sessions_left: Option<u64>,
    /// The number of outputs that were opened, or refused, beyond `max_load`.
    pub exceeded: u64,
    /// The number of them that were refused.
    pub refused: u64,
}

/// Sets the largest load, 0–1, and whether more is refused. What is `None` stays as it is.
pub fn set_admission(max_load: Option<f64>, refuses: Option<bool>) {
    if let Some(max_load) = max_load {
        MAX_LOAD.store((max_load * 1000.0).round() as u64, Ordering::Relaxed);
    }
    if let Some(refuses) = refuses {
        REFUSES.store(refuses, Ordering::Relaxed);
    }
}

/// Returns the time that the wheels of the process have left.
pub fn capacity() -> Capacity {
    let runtime::Load { wheels, total, busiest } = runtime::load();
    let max_load = MAX_LOAD.load(Ordering::Relaxed);
    let left = (max_load * wheels as u64).saturating_sub(total);
    Capacity {
        wheels,
        load: total as f64 / 1000.0 / wheels as f64,
        busiest: busiest as f64 / 1000.0,
        max_load: max_load as f64 / 1000.0,
        sessions_left: (left * open_sessions()).checked_div(total),
        exceeded: EXCEEDED.load(Ordering::Relaxed),
        refused: REFUSED.load(Ordering::Relaxed),
    }
}

/// Admits one more output on a wheel. Fails with `ERR_OVERLOADED` if the load is at its limit and more is refused.
pub(super) fn admit() -> Result<()> {
    let Capacity { load, max_load, .. } = capacity();
    if load < max_load {
        return Ok(());
    }
    EXCEEDED.fetch_add(1, Ordering::Relaxed);
    if !REFUSES.load(Ordering::Relaxed) {
        tracing::warn!(load, max_load, "an output is opened though the process is at its largest load");
        return Ok(());
    }
    REFUSED.fetch_add(1, Ordering::Relaxed);
    let message = format!("Expected a load below {max_load} for one more output but received {load:.3}");
    Err(SpeakerError::new(Code::Overloaded, message))
}
