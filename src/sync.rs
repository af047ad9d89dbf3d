//! Synchronization: locks, atomics, fences, channels. With the feature `loom` they are loom's, which explores the possible interleavings of
//! threads and what each may see of the others' writes (`npm run test:loom`). Code with such a model imports them from here.

#[cfg(not(feature = "loom"))]
pub use real::*;

#[cfg(feature = "loom")]
pub use modelled::*;

#[cfg(not(feature = "loom"))]
mod real {
    pub use std::sync::atomic::{AtomicBool, AtomicU8, fence};
    pub use std::sync::mpsc::{Receiver, Sender, channel};

    pub use parking_lot::{Condvar, Mutex, MutexGuard};
}

/// loom's types with the interface that the code uses.
#[cfg(feature = "loom")]
mod modelled {
    use std::ops::{Deref, DerefMut};

    pub use loom::sync::atomic::{AtomicBool, AtomicU8, fence};
    pub use loom::sync::mpsc::{Receiver, Sender, channel};

    /// A mutex without poisoning, as parking_lot's.
    #[derive(Default)]
    pub struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
            self.0.try_lock().ok().map(|guard| MutexGuard(Some(guard)))
        }

        pub fn lock(&self) -> MutexGuard<'_, T> {
            MutexGuard(Some(self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())))
        }
    }

    /// Empty only while a [`Condvar`] waits.
    pub struct MutexGuard<'a, T>(Option<loom::sync::MutexGuard<'a, T>>);

    impl<T> Deref for MutexGuard<'_, T> {
        type Target = T;

        fn deref(&self) -> &T {
            self.0.as_ref().expect("it is locked")
        }
    }

    impl<T> DerefMut for MutexGuard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            self.0.as_mut().expect("it is locked")
        }
    }

    /// A condition variable with parking_lot's interface.
    #[derive(Default)]
    pub struct Condvar(loom::sync::Condvar);

    impl Condvar {
        pub fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
            let held = guard.0.take().expect("it is locked");
            guard.0 = Some(self.0.wait(held).unwrap_or_else(|poisoned| poisoned.into_inner()));
        }

        pub fn notify_one(&self) {
            self.0.notify_one();
        }

        pub fn notify_all(&self) {
            self.0.notify_all();
        }
    }
}
