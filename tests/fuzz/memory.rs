//! Counts the memory that an execution holds, and refuses excessive requests.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The most memory in all: requests beyond it are refused, so that this process aborts and the machine survives.
pub const MAX_HELD: usize = 1 << 30;

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// Called when a reservation is refused, with its size; must not allocate.
pub static ON_REFUSAL: std::sync::OnceLock<fn(u64)> = std::sync::OnceLock::new();

pub struct Counting;

/// Begins a measurement: returns the memory held now.
pub fn begin() -> usize {
    let held = HELD.load(Relaxed);
    PEAK.store(held, Relaxed);
    held
}

/// Returns the most memory held since [`begin`] on top of `before`, in bytes.
pub fn peak(before: usize) -> usize {
    PEAK.load(Relaxed).saturating_sub(before)
}

fn grow(bytes: usize) {
    PEAK.fetch_max(HELD.fetch_add(bytes, Relaxed) + bytes, Relaxed);
}

fn refuses(bytes: usize) -> bool {
    let refused = HELD.load(Relaxed).saturating_add(bytes) > MAX_HELD;
    if refused && let Some(tell) = ON_REFUSAL.get() {
        tell(bytes as u64);
    }
    refused
}

// SAFETY: every call is passed on to the system's allocator as it is, or refused with a null pointer.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if refuses(layout.size()) {
            return null_mut();
        }
        grow(layout.size());
        // SAFETY: as promised by the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if refuses(layout.size()) {
            return null_mut();
        }
        grow(layout.size());
        // SAFETY: as promised by the caller.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if refuses(size) {
            return null_mut();
        }
        // Both are held while the data is copied, as with the worst of allocators.
        grow(size);
        // SAFETY: as promised by the caller.
        let moved = unsafe { System.realloc(pointer, layout, size) };
        HELD.fetch_sub(layout.size(), Relaxed);
        moved
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as promised by the caller.
        unsafe { System.dealloc(pointer, layout) }
    }
}
