//! Locks, atomics, threads and time of what calls share: std's, or loom's where
//! `scripts/loom` explores their interleavings.

pub(crate) use imp::*;

#[cfg(not(loom))]
mod imp {
    use core::cell::Cell;
    pub(crate) use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
    pub(crate) use std::sync::{Mutex, MutexGuard};
    pub(crate) use std::thread::yield_now;
    use std::time::{Duration, Instant};

    std::thread_local! {
        /// Contexts that this thread holds: more than none inside a sink.
        pub(crate) static HELD: Cell<usize> = const { Cell::new(0) };
    }

    /// How long a wait has been going on.
    #[derive(Debug)]
    pub(crate) struct Wait(Instant);

    impl Wait {
        pub(crate) fn start() -> Self {
            Self(Instant::now())
        }

        pub(crate) fn elapsed(&self) -> Duration {
            self.0.elapsed()
        }
    }
}

#[cfg(loom)]
mod imp {
    use core::cell::Cell;
    use core::time::Duration;
    pub(crate) use loom::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
    pub(crate) use loom::sync::{Mutex, MutexGuard};
    pub(crate) use loom::thread::yield_now;

    loom::thread_local! {
        pub(crate) static HELD: Cell<usize> = Cell::new(0);
    }

    /// A wait in which every look at the time finds another second passed: loom has no
    /// time, and all that matters is that waits end.
    #[derive(Debug)]
    pub(crate) struct Wait(Cell<u64>);

    impl Wait {
        pub(crate) fn start() -> Self {
            Self(Cell::new(0))
        }

        pub(crate) fn elapsed(&self) -> Duration {
            self.0.set(self.0.get() + 1);
            Duration::from_secs(self.0.get())
        }
    }
}

/// The lock, unless someone holds it.
///
/// A caller's sink may panic while a lock is held. Nothing that is locked here is
/// left half done by that, so the poison means nothing.
#[inline]
pub(crate) fn try_lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    use std::sync::TryLockError;
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// The lock, after a short wait at most: in the child of a fork, its holder may
/// be a thread that is not there.
pub(crate) fn lock_soon<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    const SOON: core::time::Duration = core::time::Duration::from_millis(10);
    let wait = Wait::start();
    loop {
        let guard = try_lock(mutex);
        if guard.is_some() || wait.elapsed() > SOON {
            return guard;
        }
        yield_now();
    }
}
