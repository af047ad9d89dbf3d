//! Records the edges of the code that an input takes, if the build counts them (`--guided`, scripts/guide.js): an input that takes a new
//! one is worth further inputs made from it.

use std::sync::Mutex;

/// The counters of each part of the program, which LLVM allocates and increments.
static COUNTERS: Mutex<Vec<Counters>> = Mutex::new(Vec::new());

struct Counters {
    start: *mut u8,
    length: usize,
    /// The highest count of each so far, in powers of two, as bits.
    seen: Vec<u8>,
}

// SAFETY: the counters live as long as the process.
unsafe impl Send for Counters {}

/// Called before `main` by what LLVM adds to each part of the program.
///
/// # Safety
/// Both pointers bound one array of counters that lives for ever.
// SAFETY: nothing else defines it unless a sanitizer is linked, and this build has none.
#[unsafe(no_mangle)]
unsafe extern "C" fn __sanitizer_cov_8bit_counters_init(start: *mut u8, stop: *mut u8) {
    let length = stop as usize - start as usize;
    let mut all = COUNTERS.lock().expect("no panic inside");
    if length > 0 && all.iter().all(|counters| counters.start != start) {
        all.push(Counters { start, length, seen: vec![0; length] });
    }
}

/// Sets all counts to 0.
pub fn begin() {
    for counters in &*COUNTERS.lock().expect("no panic inside") {
        // SAFETY: see `__sanitizer_cov_8bit_counters_init`; only this thread runs instrumented code.
        unsafe { std::ptr::write_bytes(counters.start, 0, counters.length) };
    }
}

/// Returns true if an edge was taken that was never taken before, or more often than before.
pub fn is_new() -> bool {
    let mut new = false;
    for counters in &mut *COUNTERS.lock().expect("no panic inside") {
        // SAFETY: as above.
        let counts = unsafe { std::slice::from_raw_parts(counters.start, counters.length) };
        let (eights, _) = counts.as_chunks::<8>();
        for (at, eight) in eights.iter().enumerate().filter(|(_, eight)| **eight != [0; 8]) {
            for (count, seen) in eight.iter().zip(&mut counters.seen[at * 8..]).filter(|(count, _)| **count > 0) {
                let bit = 1 << count.ilog2();
                new |= *seen & bit == 0;
                *seen |= bit;
            }
        }
    }
    new
}

/// Returns the number of edges that were taken, and the number of all.
pub fn edges() -> (usize, usize) {
    let all = COUNTERS.lock().expect("no panic inside");
    let taken = all.iter().flat_map(|counters| &counters.seen).filter(|seen| **seen > 0).count();
    (taken, all.iter().map(|counters| counters.length).sum())
}
