//! A child process that inherits a pool: the device is its parent's.

#![cfg(target_os = "linux")]
#![expect(unsafe_code, reason = "fork is unsafe")]

use pagepress::iaa::{Devices, Format, Model, Options, Tables};
use pagepress::{FallbackReason, Pool, StoredBuf};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `child` in a child process; whether it went through.
fn in_child(child: impl FnOnce()) -> bool {
    // SAFETY: the only thread of the child is a copy of this one, and no other
    // thread of this program holds a lock: the one that runs tests waits for
    // this one. glibc's allocator sees to its own.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "fork failed");
    if pid == 0 {
        let code = i32::from(catch_unwind(AssertUnwindSafe(child)).is_err());
        // SAFETY: ends the child without running what belongs to the parent.
        unsafe { libc::_exit(code) };
    }
    let mut status = 0;
    // SAFETY: the child made above, and a place for its status.
    let waited = unsafe { libc::waitpid(pid, &raw mut status, 0) };
    assert_eq!(waited, pid);
    status == 0
}

fn pages() -> Vec<Vec<u8>> {
    (0..20u8)
        .map(|i| (0..4096).map(|at| (at / 7) as u8 ^ i).collect())
        .collect()
}

fn compress(pool: &Pool, pages: &[Vec<u8>]) -> (pagepress::Report, Vec<StoredBuf>) {
    let mut store = vec![None; pages.len()];
    let report = pool.compress_batch(pages, |i, outcome| {
        store[i] = Some(outcome.unwrap().to_stored(&pages[i]));
    });
    (report, store.into_iter().map(Option::unwrap).collect())
}

fn decompress(pool: &Pool, stored: &[StoredBuf], pages: &[Vec<u8>]) -> pagepress::Report {
    let list: Vec<_> = stored.iter().map(StoredBuf::as_stored).collect();
    pool.decompress_batch(&list, |i, page| assert!(page == Ok(&pages[i][..])))
}

/// A call in the child: all of it in software, because the device is gone.
fn falls_back(pool: &Pool, stored: &[StoredBuf], pages: &[Vec<u8>]) {
    let gone = [(FallbackReason::DeviceGone, 20)];
    let (report, own) = compress(pool, pages);
    assert!(report.fallback_reasons().eq(gone));
    assert!(decompress(pool, stored, pages).fallback_reasons().eq(gone));
    assert!(decompress(pool, &own, pages).fallback_reasons().eq(gone));
    // A same-filled page needs room, and there is no slot to lend any.
    let same = [StoredBuf::SameFilled(7)];
    let word = 7u64.to_le_bytes().repeat(512);
    assert_eq!(decompress(pool, &same, &[word]).same_filled_pages(), 1);
}

/// One test, so that no other thread works when the process forks.
#[test]
fn a_child_falls_back_and_its_parent_goes_on() {
    let pages = pages();
    for format in [
        Format::Fixed,
        Format::Dynamic,
        Format::Canned(Tables::flat()),
    ] {
        let mut options = Options::default();
        options.format = format;
        let (devices, _) = Devices::of_model(&Model::default());
        let pool = Pool::builder()
            .devices(devices)
            .iaa(options)
            .build()
            .unwrap();
        let (report, stored) = compress(&pool, &pages);
        assert_eq!(report.modelled_pages(), 20);

        assert!(in_child(|| {
            falls_back(&pool, &stored, &pages);
            // Deeper than there are contexts: the child makes some itself.
            nested(&pool, &pages, pool.memory().contexts.len() + 2);
            falls_back(&pool, &stored, &pages);
            drop(pool.clone());
        }));
        // From a sink, with pages in flight behind it.
        let mut forked = false;
        pool.compress_batch(&pages, |_, outcome| {
            assert!(outcome.is_ok());
            if !forked {
                forked = true;
                assert!(in_child(|| falls_back(&pool, &stored, &pages)));
            }
        });

        let (report, again) = compress(&pool, &pages);
        assert_eq!(report.modelled_pages(), 20, "the parent goes on");
        assert_eq!(decompress(&pool, &again, &pages).modelled_pages(), 20);
        // The child frees its copy, which is not all there.
        assert!(in_child(move || drop(pool)));
    }
}

fn nested(pool: &Pool, pages: &[Vec<u8>], depth: usize) {
    pool.compress_batch(&pages[..1], |_, outcome| {
        let stored = outcome.unwrap().to_stored(&pages[0]);
        if depth > 0 {
            nested(pool, pages, depth - 1);
        }
        assert!(pool.decompress(stored.as_stored()).as_ref() == Ok(&pages[0]));
    });
}
