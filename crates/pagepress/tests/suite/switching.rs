//! Pools that follow each other while pages come and go.

use crate::pages;
use crate::subject::{self, Subject};
use pagepress::{Backend, Builder, Codec, Error, Kept, Pool, Pools, UnitSize};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

fn software(codec: Codec) -> Builder {
    Pool::builder().backend(Backend::Software).codec(codec)
}

fn samples() -> Vec<Vec<u8>> {
    let kinds = pages::kinds(UnitSize::DEFAULT);
    kinds.into_iter().map(|(_, page)| page).collect()
}

/// The codecs of the pools alive, the current one's first.
fn codecs(pools: &Pools) -> Vec<Codec> {
    pools.alive().iter().map(Pool::codec).collect()
}

#[test]
fn a_pool_goes_with_its_last_page() {
    let page = &samples()[0];
    let pools = Pools::new(software(Codec::Lz4)).expect("a pool");
    let old: Vec<Kept> = (0..3)
        .map(|_| pools.compress(page).expect("a page"))
        .collect();
    pools.switch(software(Codec::Zstd)).expect("a pool");
    let new = pools.compress(page).expect("a page");
    assert_eq!(codecs(&pools), [Codec::Zstd, Codec::Lz4]);
    assert_eq!(new.pool().codec(), Codec::Zstd);
    for kept in old {
        assert_eq!(codecs(&pools), [Codec::Zstd, Codec::Lz4]);
        assert_eq!(kept.decompress().as_ref(), Ok(page));
    }
    assert_eq!(codecs(&pools), [Codec::Zstd]);
    assert_eq!(new.decompress().as_ref(), Ok(page));
}

/// As zswap does with a pool of the same compressor.
#[test]
fn a_pool_that_still_holds_pages_is_taken_again() {
    let page = &samples()[0];
    let pools = Pools::new(software(Codec::Lz4)).expect("a pool");
    let lz4 = pools.current();
    let again = pools.switch(software(Codec::Lz4)).expect("a pool");
    assert!(again.is(&lz4), "it is current already");
    let kept = pools.compress(page).expect("a page");
    drop((lz4, again));

    pools.switch(software(Codec::Zstd)).expect("a pool");
    let again = pools.switch(software(Codec::Lz4)).expect("a pool");
    assert!(again.is(kept.pool()));
    assert_eq!(codecs(&pools), [Codec::Lz4], "nothing holds the other");
    let other = pools.switch(software(Codec::Lz4).accept_limit(2000));
    assert!(
        !other.expect("a pool").is(&again),
        "other settings, another pool"
    );

    drop((kept, again));
    pools.switch(software(Codec::Lz4)).expect("a pool");
    let stats = pools.current().stats();
    assert_eq!(
        stats.compress.pages(),
        0,
        "one that went does not come back"
    );
}

#[test]
fn a_pool_that_cannot_be_made_changes_nothing() {
    let pools = Pools::new(software(Codec::Lz4)).expect("a pool");
    let current = pools.current();
    let refused = pools.switch(software(Codec::Lz4).level(7));
    assert!(matches!(refused, Err(Error::Level { .. })), "{refused:?}");
    assert!(pools.current().is(&current));
    assert_eq!(codecs(&pools), [Codec::Lz4]);
}

/// Every backend in turn, with threads that store, load and forget pages
/// meanwhile.
#[test]
fn pages_outlive_every_switch() {
    const THREADS: usize = 4;
    let samples = samples();
    let subjects = [subject::software(), subject::devices()].concat();
    let settings: Vec<Builder> = subjects.iter().map(Subject::builder).collect();
    let pools = Pools::new(settings[0].clone()).expect("a pool");
    let over = AtomicBool::new(false);
    let verified = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let (pools, samples, over, verified) = (&pools, &samples, &over, &verified);
        let mut threads = Vec::new();
        for number in 0..THREADS {
            threads.push(scope.spawn(move || {
                let mut kept: Vec<(usize, Kept)> = Vec::new();
                let mut turn = number;
                while !over.load(Ordering::Relaxed) {
                    let from = turn * 8 % samples.len();
                    let batch = &samples[from..samples.len().min(from + 8)];
                    let pool = pools.current();
                    pool.compress_batch(batch, |i, outcome| {
                        let page = outcome.expect("a page").to_stored(&batch[i]);
                        kept.push((from + i, Kept::new(pool.clone(), page)));
                    });
                    turn += 1;
                    // Half of them, the oldest, go.
                    if kept.len() >= 64 {
                        for (number, page) in kept.drain(..32) {
                            assert_eq!(page.decompress().as_ref(), Ok(&samples[number]));
                            verified.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
                for (number, page) in kept {
                    assert_eq!(page.decompress().as_ref(), Ok(&samples[number]));
                }
            }));
        }
        for _ in 0..3 {
            for settings in &settings {
                let next = pools.switch(settings.clone()).expect("a pool");
                assert!(pools.current().is(&next));
                // Until this one has been used, by all as a rule.
                let until = verified.load(Ordering::Relaxed) + 32 * THREADS;
                while verified.load(Ordering::Relaxed) < until {
                    assert!(!threads.iter().any(|thread| thread.is_finished()));
                    std::thread::yield_now();
                }
            }
        }
        over.store(true, Ordering::Relaxed);
    });
    assert_eq!(pools.alive().len(), 1, "all pages are gone");
}
