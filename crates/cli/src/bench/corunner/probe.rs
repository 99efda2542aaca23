//! The service: requests that follow pointers, and how long they take.

use crate::bench::cpus;
use crate::bench::figures::Percentiles;
use crate::error::Error;
use hdrhistogram::Histogram;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Cache lines that the service lives on: 256 KiB, more than any first-level cache
/// and less than the second-level ones of servers.
pub(crate) const WORKING_SET: usize = 256 << 10;
/// Pointers that a request follows.
pub(crate) const HOPS: usize = 1024;
/// Mean time between requests. Each is due half of it to one and a half after the
/// last, so that they do not fall in step with the load.
pub(crate) const INTERVAL: Duration = Duration::from_micros(250);
/// A repeat has at least so many requests, however short it is.
const LEAST_REQUESTS: u64 = 100;

/// A ring through all lines in random order, which no prefetcher can guess.
#[derive(Debug)]
pub(crate) struct Ring {
    lines: Vec<Line>,
    at: u32,
}

#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
struct Line {
    next: u32,
}

impl Ring {
    pub(crate) fn new() -> Self {
        let count = WORKING_SET / size_of::<Line>();
        let mut order: Vec<u32> = (0..count as u32).collect();
        let mut random = Random::new();
        for last in (1..count).rev() {
            order.swap(last, random.below(last as u64 + 1) as usize);
        }
        let mut lines = vec![Line { next: 0 }; count];
        for (n, &line) in order.iter().enumerate() {
            lines[line as usize].next = order[(n + 1) % count];
        }
        Self { lines, at: 0 }
    }

    /// One request: goes on where the last one ended.
    fn follow(&mut self) {
        for _ in 0..HOPS {
            self.at = self.lines[self.at as usize].next;
        }
        black_box(self.at);
    }

    fn warm_up(&mut self) {
        for _ in 0..2 * self.lines.len() / HOPS {
            self.follow();
        }
    }
}

/// xorshift64: the same numbers in every command.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn new() -> Self {
        Self(0x9E37_79B9_7F4A_7C15)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// Sleeps until then.
pub(super) fn sleep_until(due: Instant) {
    loop {
        let left = due.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        thread::sleep(left);
    }
}

/// How long requests took.
#[derive(Debug)]
pub(crate) struct Served {
    /// From when each was due to its end.
    pub(super) latency: Histogram<u64>,
    /// From its beginning to its end.
    pub(super) work: Histogram<u64>,
}

impl Served {
    pub(super) fn new() -> Self {
        let histogram = || Histogram::new(3).expect("3 digits are allowed");
        Self {
            latency: histogram(),
            work: histogram(),
        }
    }

    fn add(&mut self, latency: u64, work: u64) {
        for (to, ns) in [(&mut self.latency, latency), (&mut self.work, work)] {
            to.record(ns).expect("it grows as it has to");
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (to, from) in [
            (&mut self.latency, &other.latency),
            (&mut self.work, &other.work),
        ] {
            to.add(from).expect("both grow as they have to");
        }
    }
}

pub(super) fn percentiles(of: &Histogram<u64>) -> Percentiles {
    let at = |quantile| of.value_at_quantile(quantile) as f64;
    Percentiles {
        p50: at(0.5),
        p90: at(0.9),
        p99: at(0.99),
        p999: at(0.999),
        max: of.max() as f64,
        mean: of.mean(),
    }
}

/// Serves requests for so long, or until told to stop.
///
/// # Errors
/// [`Error::Interrupted`].
pub(super) fn serve(
    ring: &mut Ring,
    time: Duration,
    stop: &AtomicBool,
    mut progress: impl FnMut(f64),
) -> Result<Served, Error> {
    cpus::wake_this_thread_on_time();
    ring.warm_up();
    let mut served = Served::new();
    let mut random = Random::new();
    let start = Instant::now();
    let mut due = start;
    while due < start + time || served.work.len() < LEAST_REQUESTS {
        if stop.load(Ordering::Relaxed) {
            return Err(Error::Interrupted);
        }
        let jitter = random.below(INTERVAL.as_nanos() as u64);
        due += INTERVAL / 2 + Duration::from_nanos(jitter);
        sleep_until(due);
        let begun = Instant::now();
        ring.follow();
        let done = Instant::now();
        let ns = |from| done.saturating_duration_since(from).as_nanos() as u64;
        served.add(ns(due), ns(begun));
        progress((done - start).as_secs_f64() / time.as_secs_f64());
    }
    Ok(served)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ring_is_one() {
        let mut ring = Ring::new();
        let requests = ring.lines.len() / HOPS;
        assert_eq!(size_of_val(&ring.lines[..]), WORKING_SET);
        let mut seen = vec![false; ring.lines.len()];
        let mut at = 0;
        for _ in 0..ring.lines.len() {
            assert!(!std::mem::replace(&mut seen[at], true));
            at = ring.lines[at].next as usize;
        }
        assert_eq!(at, 0);
        for request in 0..requests {
            assert_eq!(ring.at == 0, request == 0);
            ring.follow();
        }
        assert_eq!(ring.at, 0);
    }

    #[test]
    fn requests_are_timed_from_when_they_are_due() {
        // A service that is late from the start: every request waits.
        let stop = AtomicBool::new(false);
        let served = serve(&mut Ring::new(), Duration::ZERO, &stop, |_| {}).unwrap();
        assert!(served.latency.len() >= LEAST_REQUESTS);
        assert_eq!(served.latency.len(), served.work.len());
        for quantile in [0.0, 0.5, 1.0] {
            let at = |of: &Histogram<u64>| of.value_at_quantile(quantile);
            assert!(at(&served.latency) >= at(&served.work) && at(&served.work) > 0);
        }
        stop.store(true, Ordering::Relaxed);
        assert!(serve(&mut Ring::new(), Duration::ZERO, &stop, |_| {}).is_err());
    }
}
