//! Time, and how to wait for a completion.

#![cfg_attr(
    target_arch = "x86_64",
    expect(unsafe_code, reason = "UMONITOR and UMWAIT have no name in Rust")
)]

use core::fmt;
use std::time::{Duration, Instant};

/// A clock in nanoseconds, and the way to wait on it. What stands behind a
/// modelled device may bring its own.
pub trait Clock: fmt::Debug + Send + Sync {
    /// Nanoseconds since some fixed point.
    fn now(&self) -> u64;

    /// Lets some time pass in which the byte at `status` may change: little at
    /// first, more in later rounds, but never much beyond `until`.
    fn wait(&self, round: u32, status: Watched, until: u64);
}

/// The address of a status byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watched(pub(crate) *const u8);

/// This host's clock.
///
/// It spins for about a microsecond, in which most completions come. Then it
/// sleeps in UMWAIT until the record's cache line is written, where the CPU can,
/// and yields the CPU to others from time to time.
#[derive(Debug)]
pub struct HostClock {
    start: Instant,
    #[cfg_attr(not(target_arch = "x86_64"), expect(dead_code))]
    umwait: bool,
}

/// Rounds of spinning; each has [`PAUSES`] of some 40 ns on the CPUs that have
/// IAA.
const SPINS: u32 = 8;
const PAUSES: u32 = 4;
/// Of later rounds, every so many yields.
const YIELD_EVERY: u32 = 16;

impl HostClock {
    /// A clock that starts now. `umwait` says whether the CPU has UMWAIT.
    #[must_use]
    pub fn new(umwait: bool) -> Self {
        Self {
            start: Instant::now(),
            umwait,
        }
    }
}

impl Clock for HostClock {
    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn wait(&self, round: u32, status: Watched, until: u64) {
        if round < SPINS {
            for _ in 0..PAUSES {
                core::hint::spin_loop();
            }
        } else if round % YIELD_EVERY == 0 {
            std::thread::yield_now();
        } else {
            #[cfg(target_arch = "x86_64")]
            if self.umwait {
                let _ = until;
                // SAFETY: the CPU has it, by what `new` was told.
                unsafe { umwait::wait(status.0) };
                return;
            }
            let _ = (status, until);
            std::hint::spin_loop();
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod umwait {
    use core::arch::asm;
    use core::arch::x86_64::_rdtsc;

    /// TSC ticks in one sleep: the kernel ends longer ones itself.
    const TICKS: u64 = 20_000;

    /// Sleeps lightly (C0.1) until the line is written, or some microseconds
    /// have passed. A write that comes before the monitor is armed is seen by
    /// whoever polls next; until then the sleep is bounded.
    ///
    /// # Safety
    /// The CPU has WAITPKG.
    pub(super) unsafe fn wait(line: *const u8) {
        // SAFETY: RDTSC is part of x86-64.
        let until = unsafe { _rdtsc() } + TICKS;
        // SAFETY: UMONITOR takes any address and touches nothing; the caller
        // promises that the CPU has it. UMWAIT, `umwait ecx` with the deadline
        // in edx:eax, changes flags only.
        unsafe {
            asm!(
                ".byte 0xf3, 0x0f, 0xae, 0xf0", // umonitor rax
                in("rax") line,
                options(nostack, preserves_flags),
            );
        }
        // SAFETY: see above.
        unsafe {
            asm!(
                ".byte 0xf2, 0x0f, 0xae, 0xf1", // umwait ecx
                in("ecx") 1,
                in("edx") (until >> 32) as u32,
                in("eax") until as u32,
                options(nostack),
            );
        }
    }
}

/// Nanoseconds of a duration.
#[must_use]
pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
