//! The time stamp counter, beside the clock.

#![cfg_attr(target_arch = "x86_64", expect(unsafe_code, reason = "RDTSC"))]

use std::time::Instant;

/// A moment, by the clock and by the counter.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    clock: Instant,
    ticks: u64,
}

/// What passed since a moment.
#[derive(Debug, Clone, Copy, Default)]
pub struct Passed {
    /// Nanoseconds, by the clock.
    pub ns: f64,
    /// Ticks of the time stamp counter; 0 on CPUs that are not x86-64.
    pub ticks: f64,
}

impl Moment {
    /// This one.
    #[must_use]
    #[inline]
    pub fn now() -> Self {
        Self {
            clock: Instant::now(),
            ticks: ticks(),
        }
    }

    /// What passed since then, for each of `count` things.
    #[must_use]
    #[inline]
    pub fn passed(&self, count: usize) -> Passed {
        let ticks = ticks() - self.ticks;
        let ns = self.clock.elapsed().as_nanos();
        Passed {
            ns: ns as f64 / count as f64,
            ticks: ticks as f64 / count as f64,
        }
    }
}

/// The time stamp counter.
#[must_use]
#[inline]
pub fn ticks() -> u64 {
    #[cfg(target_arch = "x86_64")]
    {
        // SAFETY: RDTSC is part of x86-64.
        unsafe { core::arch::x86_64::_rdtsc() }
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        0
    }
}
