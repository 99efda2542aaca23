//! Sinks that stop, panic, or call the pool again while pages are in flight.

use crate::rig::{compress, decompress, pages, pool, store};
use pagepress::Pool;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Kinds of queues and devices that the same must hold on.
fn pools() -> Vec<Pool> {
    let mut pools = Vec::new();
    for dedicated in [false, true] {
        for (entries, in_flight) in [(128, 8), (4, 8), (64, 32), (128, 1)] {
            let made = pool(
                "late:1us-900us@1/3",
                |model| {
                    model.dedicated = dedicated;
                    model.entries = entries;
                    model.devices = 2;
                },
                |options| options.in_flight = in_flight,
            );
            pools.push(made.0);
        }
    }
    pools
}

/// A sink that has had enough gets nothing more, and leaves nothing behind.
#[test]
fn stopping_early_leaves_a_sound_pool() {
    let pages = pages(60);
    for pool in pools() {
        let stored = store(&pool, &pages);
        let list: Vec<_> = stored.iter().map(|page| page.as_stored()).collect();
        for enough in [1, 2, 9, 59] {
            let mut told = 0;
            let stopped = pool.try_compress_batch(&pages, |_, outcome| {
                assert!(outcome.is_ok());
                told += 1;
                if told == enough { Err(told) } else { Ok(()) }
            });
            assert_eq!((stopped, told), (Err(enough), enough));
            let mut told = 0;
            let stopped = pool.try_decompress_batch(&list, |i, page| {
                assert!(page == Ok(&pages[i][..]));
                told += 1;
                if told == enough { Err(told) } else { Ok(()) }
            });
            assert_eq!((stopped, told), (Err(enough), enough));
            assert_eq!(compress(&pool, &pages).modelled(), 60);
        }
        let stats = pool.device_stats();
        assert!(
            stats.iter().all(|s| s.submitted == s.completed),
            "{stats:?}"
        );
        assert!(stats.iter().all(|s| s.timeouts == 0), "{stats:?}");
    }
}

/// A sink that panics costs its own call. What flew then lands, and no later
/// page is mixed up with it.
#[test]
fn panics_leave_a_sound_pool() {
    let pages = pages(60);
    for pool in pools() {
        let stored = store(&pool, &pages);
        let list: Vec<_> = stored.iter().map(|page| page.as_stored()).collect();
        for enough in [1, 3, 20] {
            let mut told = 0;
            // Pages of its own, which are gone with the call.
            let gone = pages.clone();
            let call = catch_unwind(AssertUnwindSafe(|| {
                pool.compress_batch(&gone, |_, _| {
                    told += 1;
                    assert!(told < enough, "as told");
                });
            }));
            assert!(call.is_err());
            drop(gone);
            let report = decompress(&pool, &stored, &pages);
            assert_eq!(report.modelled_pages(), 60, "{report:?}");
            let mut told = 0;
            let call = catch_unwind(AssertUnwindSafe(|| {
                pool.decompress_batch(&list, |_, _| {
                    told += 1;
                    assert!(told < enough, "as told");
                });
            }));
            assert!(call.is_err());
            let ended = compress(&pool, &pages);
            assert_eq!(ended.modelled(), 60, "{:?}", ended.report);
        }
        let stats = pool.device_stats();
        assert!(
            stats.iter().all(|s| s.submitted == s.completed),
            "{stats:?}"
        );
        assert!(stats.iter().all(|s| s.put_aside == 0), "{stats:?}");
    }
}

/// A sink that calls the pool again, while pages of the outer call fly.
#[test]
fn sinks_call_again() {
    fn nested(pool: &Pool, pages: &[Vec<u8>], depth: usize) -> u64 {
        let mut inner = 0;
        let mut told = vec![0; pages.len()];
        let report = pool.compress_batch(pages, |i, outcome| {
            told[i] += 1;
            let stored = outcome.unwrap().to_stored(&pages[i]);
            if depth > 0 && i % 5 == 0 {
                inner += nested(pool, pages, depth - 1);
            }
            assert!(pool.decompress(stored.as_stored()).as_ref() == Ok(&pages[i]));
        });
        assert!(told.iter().all(|&times| times == 1));
        inner + report.pages()
    }
    let pages = pages(12);
    for pool in pools() {
        let called = nested(&pool, &pages, 2);
        assert_eq!(called, 12 + 3 * (12 + 3 * 12));
        let stats = pool.stats();
        assert_eq!(stats.compress.pages(), called);
        assert_eq!(stats.decompress.pages(), called);
        assert_eq!(
            stats.compress.failed_pages() + stats.decompress.failed_pages(),
            0
        );
        let devices = pool.device_stats();
        assert!(
            devices.iter().all(|s| s.submitted == s.completed),
            "{devices:?}"
        );
    }
}

/// More calls at once than contexts are kept for: spare ones come and go, and what
/// they did stays counted.
#[test]
fn what_spares_did_stays_counted() {
    let (pool, _) = pool("", |model| model.timed = false, |_| {});
    let pages = pages(1);
    fn nested(pool: &Pool, pages: &[Vec<u8>], depth: usize) {
        pool.compress_batch(pages, |_, outcome| {
            assert!(outcome.is_ok());
            if depth > 0 {
                nested(pool, pages, depth - 1);
            }
        });
    }
    for round in 1..=3 {
        nested(&pool, &pages, 99);
        let submitted: u64 = pool.device_stats().iter().map(|s| s.submitted).sum();
        assert_eq!(submitted, 100 * round);
    }
    let memory = pool.memory();
    assert!(
        memory.spares.len() <= 8 * memory.contexts.len(),
        "{memory:?}"
    );
}
