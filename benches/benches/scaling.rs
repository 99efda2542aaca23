//! Two threads on two CPUs against one, through one pool.
//!
//! `cargo bench --bench scaling -- CORPUS`
//!
//! Wall time, in short slices. A slice in which a thread waited for its CPU, as
//! Linux counts it, says something of the machine and nothing of the pool, and
//! is taken again. Waiting for a lock is not such a wait, and counts.

use pagepress::{Backend, Codec, Outcome, Pool};
use pagepress_benches::{ROUNDS, corpus, median, pin, quantile};
use std::fs;
use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

/// How long one measurement lasts: long against a thread's start, short
/// against the machine's moods.
const SLICE: Duration = Duration::from_millis(25);

/// The share of a slice that a thread may have waited for its CPU.
const WAIT_MAX: f64 = 0.01;

/// Slices tried before the machine is called too busy.
const TRIES: usize = 4000;

fn main() {
    let cpus = thread::available_parallelism().map_or(1, usize::from);
    if cpus < 2 {
        println!("skipped: needs two CPUs, this machine has {cpus}");
        return;
    }
    let (name, pages) = corpus();
    println!(
        "{name}: {} pages; pages/s of two threads over one, medians",
        pages.len()
    );
    for codec in Codec::ALL {
        let pool = Pool::builder()
            .backend(Backend::Software)
            .codec(codec)
            .build()
            .expect("built");
        let mut speedups = Vec::new();
        let mut of_sum = Vec::new();
        let mut tries = 0;
        while speedups.len() < ROUNDS && tries < TRIES {
            tries += 1;
            let rates = [&[0][..], &[0, 1], &[1]].map(|cpus| rate(&pool, &pages, cpus));
            if let [Some(first), Some(both), Some(second)] = rates {
                speedups.push(both / first.max(second));
                of_sum.push(both / (first + second));
            }
        }
        if speedups.len() < ROUNDS {
            println!(
                "{codec:<8} the machine is too busy: {} clean of {tries}",
                speedups.len()
            );
            continue;
        }
        let speedup = median(&speedups);
        println!(
            "{codec:<8} {speedup:.3}x the faster CPU alone ({:.3}-{:.3}), {:.1} % of both alone; \
             bar 1.88 {}; {} calls went to a neighbour",
            quantile(&speedups, 0.25),
            quantile(&speedups, 0.75),
            100.0 * median(&of_sum),
            if speedup >= 1.88 { "met" } else { "MISSED" },
            pool.stats().neighbour_calls,
        );
    }
}

/// Pages per second that threads on these CPUs compress together, if none of
/// them had to wait for its CPU.
fn rate(pool: &Pool, pages: &[Vec<u8>], cpus: &[usize]) -> Option<f64> {
    let start = Barrier::new(cpus.len());
    thread::scope(|scope| {
        let threads: Vec<_> = cpus
            .iter()
            .map(|&cpu| {
                let start = &start;
                scope.spawn(move || {
                    pin(cpu);
                    start.wait();
                    let waited = waited();
                    let began = Instant::now();
                    let mut done = 0usize;
                    while began.elapsed() < SLICE {
                        for batch in pages.chunks(8).skip(done / 8 % 64).take(8) {
                            pool.compress_batch(batch, |_, outcome| {
                                if let Ok(Outcome::Compressed { page, .. }) = outcome {
                                    black_box(page.bytes());
                                }
                            });
                            done += batch.len();
                        }
                    }
                    let took = began.elapsed();
                    let waited = self::waited().saturating_sub(waited);
                    (
                        done as f64 / took.as_secs_f64(),
                        waited.as_secs_f64() / took.as_secs_f64(),
                    )
                })
            })
            .collect();
        let rates = threads
            .into_iter()
            .map(|thread| thread.join().expect("no panic"));
        rates
            .map(|(rate, waited)| (waited <= WAIT_MAX).then_some(rate))
            .sum()
    })
}

/// How long this thread has been ready to run without a CPU.
fn waited() -> Duration {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let ns = stat
        .split_whitespace()
        .nth(1)
        .and_then(|ns| ns.parse().ok());
    Duration::from_nanos(ns.unwrap_or(0))
}
