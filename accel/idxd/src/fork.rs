//! Whether this is still the process that opened a queue.

#![expect(unsafe_code, reason = "the system is asked to tell of forks")]

use core::sync::atomic::{AtomicU32, Ordering};
use std::sync::Once;

/// How often this process has come out of a fork as the child, in its ancestors
/// too.
#[must_use]
pub fn forks() -> u32 {
    static FORKS: AtomicU32 = AtomicU32::new(0);
    static COUNTED: Once = Once::new();
    extern "C" fn in_child() {
        FORKS.fetch_add(1, Ordering::Relaxed);
    }
    COUNTED.call_once(|| {
        // SAFETY: the function lives as long as the program, and does what is
        // allowed after a fork: one atomic addition. Without memory for the
        // registration, children are not told apart, and crash at the portal,
        // which they do not inherit.
        unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    });
    FORKS.load(Ordering::Relaxed)
}
