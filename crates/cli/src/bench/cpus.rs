//! The CPUs that this process may use.

use std::io;

/// The CPUs that this process may use, by Linux' number, ascending.
#[cfg(target_os = "linux")]
pub(crate) fn allowed() -> io::Result<Vec<usize>> {
    use rustix::thread::{CpuSet, sched_getaffinity};
    let set = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU)
        .filter(|&cpu| set.is_set(cpu))
        .collect())
}

/// Has the calling thread run on this CPU alone.
#[cfg(target_os = "linux")]
pub(crate) fn pin_this_thread(cpu: usize) -> io::Result<()> {
    use rustix::thread::{CpuSet, sched_setaffinity};
    let mut set = CpuSet::new();
    set.set(cpu);
    Ok(sched_setaffinity(None, &set)?)
}

/// Timers of the calling thread are on time from now on: the kernel is otherwise up
/// to 50 us late on purpose, to save wake-ups.
#[cfg(target_os = "linux")]
pub(crate) fn wake_this_thread_on_time() {
    let _ = rustix::thread::set_current_timer_slack(core::num::NonZeroU64::new(1));
}

/// Only Linux has such a thing.
#[cfg(not(target_os = "linux"))]
pub(crate) fn wake_this_thread_on_time() {}

/// Only Linux tells.
#[cfg(not(target_os = "linux"))]
pub(crate) fn allowed() -> io::Result<Vec<usize>> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Only Linux can.
#[cfg(not(target_os = "linux"))]
pub(crate) fn pin_this_thread(_cpu: usize) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
