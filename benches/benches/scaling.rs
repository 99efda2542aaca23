//! Two threads on two CPUs against one, through one pool.
//!
//! `cargo bench --bench scaling -- CORPUS`

use pagepress::{Backend, Codec, Outcome, Pool};
use pagepress_benches::{ROUNDS, corpus, median, pin, quantile};
use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

/// How long one measurement lasts: long against a thread's start, short
/// against the machine's moods.
const SLICE: Duration = Duration::from_millis(100);

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
        for round in 0..=ROUNDS {
            let first = rate(&pool, &pages, &[0]);
            let both = rate(&pool, &pages, &[0, 1]);
            let second = rate(&pool, &pages, &[1]);
            if round > 0 {
                speedups.push(both / first.max(second));
                of_sum.push(both / (first + second));
            }
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

/// Pages per second that threads on these CPUs compress together.
fn rate(pool: &Pool, pages: &[Vec<u8>], cpus: &[usize]) -> f64 {
    let start = Barrier::new(cpus.len());
    thread::scope(|scope| {
        let threads: Vec<_> = cpus
            .iter()
            .map(|&cpu| {
                let start = &start;
                scope.spawn(move || {
                    pin(cpu);
                    start.wait();
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
                    done as f64 / began.elapsed().as_secs_f64()
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("no panic"))
            .sum()
    })
}
