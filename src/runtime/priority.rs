//! A lower priority for threads that may be late.

/// The difference to the process's priority: a frame that is due gets its core sooner, and a decoder still gets its share of a busy one.
/// Measured beside a load on every core: 0 of 200 and 6 of 199 rounds of frames were late by more than 10 ms at this step, 64 of 190 beside a
/// load of their own priority.
#[cfg(target_os = "linux")]
const STEP: i32 = 5;

/// Lowers the priority of the calling thread. Only on Linux, where each thread has its own; does nothing elsewhere.
pub fn lower() {
    // It fails only where a sandbox forbids the call: then all threads are equal.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(STEP) {
        tracing::debug!(%error, "the priority of a thread could not be lowered");
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use rustix::process::getpriority_process;

    #[test]
    fn lowers_only_its_own_thread() {
        let before = getpriority_process(None).unwrap();
        let lowered = std::thread::spawn(|| {
            lower();
            getpriority_process(None).unwrap()
        });
        assert_eq!(lowered.join().unwrap(), (before + STEP).min(19));
        assert_eq!(getpriority_process(None).unwrap(), before);
    }
}
