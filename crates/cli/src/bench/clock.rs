//! Timestamps, and what they cost.

use quanta::Clock;
use std::time::Duration;

/// The CPU's own counter where it has a steady one, the system's clock
/// otherwise.
#[derive(Debug, Clone)]
pub(crate) struct Ticks {
    clock: Clock,
    ns_per_tick: f64,
}

impl Ticks {
    pub(crate) fn new() -> Self {
        // A long stretch, so that whole nanoseconds are exact enough.
        const STRETCH: u64 = 1 << 40;
        let clock = Clock::new();
        let ns_per_tick = clock.delta_as_nanos(0, STRETCH) as f64 / STRETCH as f64;
        Self { clock, ns_per_tick }
    }

    /// Now, in ticks.
    #[inline]
    pub(crate) fn now(&self) -> u64 {
        self.clock.raw()
    }

    /// Nanoseconds of so many ticks, as a number with fractions.
    pub(crate) fn ns(&self, ticks: u64) -> f64 {
        ticks as f64 * self.ns_per_tick
    }

    /// Ticks in a second, if they are the CPU's own and not nanoseconds.
    pub(crate) fn per_second(&self) -> Option<f64> {
        (self.ns_per_tick != 1.0).then(|| 1e9 / self.ns_per_tick)
    }

    /// What one timestamp after another costs, in nanoseconds: the median over
    /// many short rows of them.
    pub(crate) fn cost_ns(&self) -> f64 {
        const ROW: u64 = 64;
        let mut rows: Vec<u64> = (0..1001)
            .map(|_| {
                let start = self.now();
                let last = (0..ROW).fold(start, |_, _| std::hint::black_box(self.now()));
                last - start
            })
            .collect();
        rows.sort_unstable();
        self.ns(rows[rows.len() / 2]) / ROW as f64
    }
}

/// CPU time that this thread has used.
pub(crate) fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(
        time.tv_sec.try_into().unwrap_or(0),
        time.tv_nsec.try_into().unwrap_or(0),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_time() {
        let ticks = Ticks::new();
        let (start, began) = (ticks.now(), std::time::Instant::now());
        while began.elapsed() < Duration::from_millis(20) {}
        let took = began.elapsed().as_nanos() as f64;
        let ns = ticks.ns(ticks.now() - start);
        assert!((0.99..1.01).contains(&(ns / took)), "{ns} of {took}");
        assert!(
            ticks
                .per_second()
                .is_none_or(|hz| (1e8..1e10).contains(&hz))
        );
        assert!(ticks.cost_ns() > 0.0);
    }

    #[test]
    fn a_busy_thread_uses_cpu_time() {
        let before = cpu_time();
        while cpu_time() - before < Duration::from_millis(5) {}
        std::thread::sleep(Duration::from_millis(20));
        assert!(cpu_time() - before < Duration::from_millis(15));
    }
}
