//! What every backend must do alike. A backend joins by one line at the end,
//! and kinds of devices by the matrix before it.

use crate::pages::{Random, kinds, units};
use crate::subject::{self, Route, Subject};
use pagepress::iaa::Generation;
use pagepress::page::same_filled;
use pagepress::{
    Codec, Compressed, Corrupt, FallbackReason, Outcome, PageError, Pool, Stored, StoredBuf,
    UnitSize, Units,
};
use std::num::NonZeroU32;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Every kind of page, at every unit size, comes back as it was by every way
/// there is, and the reports add up.
fn round_trip(subject: &Subject) {
    for unit in units() {
        let pool = subject.pool_of(unit);
        assert_eq!((pool.codec(), pool.unit_size()), (subject.codec, unit));
        let (names, pages): (Vec<_>, Vec<_>) = kinds(unit).into_iter().unzip();
        let mut store: Vec<Option<StoredBuf>> = vec![None; pages.len()];
        let mut order = Vec::new();
        let report = pool.compress_batch(&pages, |i, outcome| {
            order.push(i);
            let outcome = outcome.unwrap_or_else(|error| panic!("{}: {error}", names[i]));
            match outcome {
                Outcome::Compressed { page, performed_by } => {
                    assert_eq!(page.codec(), subject.codec);
                    assert_eq!(page.tables().is_some(), subject.is_canned());
                    assert_eq!(performed_by, subject.performed_by, "{subject:?}");
                    assert!(
                        (1..unit.bytes()).contains(&page.bytes().len()),
                        "{}",
                        names[i]
                    );
                }
                Outcome::SameFilled(word) => assert_eq!(same_filled(&pages[i]), Some(word)),
                Outcome::Incompressible => {
                    assert!(subject.may_be_raw(names[i]), "{}, {subject:?}", names[i]);
                }
            }
            let twice = store[i].replace(outcome.to_stored(&pages[i]));
            assert!(twice.is_none(), "{} was handed over twice", names[i]);
        });

        if subject.keeps_order {
            assert!(order.is_sorted(), "{order:?}");
        }
        let store: Vec<StoredBuf> = store
            .into_iter()
            .map(|page| page.expect("handed over"))
            .collect();
        let count =
            |is: fn(&StoredBuf) -> bool| store.iter().filter(|page| is(page)).count() as u64;
        let raw = count(|page| matches!(page, StoredBuf::Raw(_)));
        let same = count(|page| matches!(page, StoredBuf::SameFilled(_)));
        let bytes: usize = store
            .iter()
            .filter(|page| matches!(page, StoredBuf::Compressed { .. }))
            .map(|page| page.as_stored().stored_bytes())
            .sum();
        assert!(same >= 3 && raw >= 1);
        assert_eq!(report.pages(), pages.len() as u64);
        assert_eq!(report.same_filled_pages(), same);
        let coded = pages.len() as u64 - same;
        assert_eq!(subject.done(&report), coded, "{subject:?}: {report:?}");
        assert_eq!(report.incompressible_pages(), raw);
        assert_eq!(report.compressed_bytes(), bytes as u64);
        assert_eq!(report.failed_pages(), 0);
        assert_eq!(report.fallback_reasons().count(), 0);

        let stored: Vec<Stored<'_>> = store.iter().map(StoredBuf::as_stored).collect();
        let mut seen = 0;
        let back = pool.decompress_batch(&stored, |i, page| {
            assert!(page == Ok(&pages[i][..]), "{}, {subject:?}", names[i]);
            seen += 1;
        });
        assert_eq!((seen, back.pages()), (pages.len(), report.pages()));
        // Raw pages need no codec on the way back.
        let with_raw = if subject.is_device() { 0 } else { raw };
        assert_eq!(subject.done(&back), coded - raw + with_raw, "{subject:?}");
        assert_eq!(back.software_pages() + back.hardware_pages(), coded);
        assert_eq!(back.incompressible_pages(), raw);
        assert_eq!(back.compressed_bytes(), bytes as u64);
        assert_eq!((back.failed_pages(), back.same_filled_pages()), (0, same));
        assert_eq!(back.fallback_reasons().count(), 0);
        let mut rooms = vec![vec![0xA5; unit.bytes()]; pages.len()];
        let into = pool.decompress_batch_into(&stored, &mut rooms, |i, done| {
            assert_eq!(done, Ok(()), "{}", names[i]);
        });
        assert_eq!(into, back);
        assert_eq!(rooms, pages);

        for (i, page) in pages.iter().enumerate() {
            let alone = pool.compress(page).unwrap();
            assert_eq!(alone, store[i], "{}: a batch of one differs", names[i]);
            assert_eq!(pool.decompress(alone.as_stored()).unwrap(), *page);
        }
        let stats = pool.stats();
        assert_eq!(stats.compress.pages(), 2 * pages.len() as u64);
        assert_eq!(stats.decompress.pages(), 3 * pages.len() as u64);
    }
}

/// A page that takes n bytes is accepted at a limit of n and not at n - 1.
fn accept_limit(subject: &Subject) {
    let limited = |limit| {
        let builder = subject.builder().accept_limit(limit);
        builder.build().unwrap()
    };
    let plain = subject.pool();
    let mut tried = 0;
    for (name, page) in kinds(UnitSize::DEFAULT) {
        let StoredBuf::Compressed { bytes, .. } = plain.compress(&page).unwrap() else {
            continue;
        };
        tried += 1;
        let n = bytes.len();
        match limited(n).compress(&page).unwrap() {
            StoredBuf::Compressed { bytes, .. } => assert_eq!(bytes.len(), n, "{name}"),
            other => panic!("{name}: {other:?} at a limit of its own {n} bytes"),
        }
        if n > 1 {
            let below = limited(n - 1).compress(&page).unwrap();
            assert!(
                matches!(below, StoredBuf::Raw(_)),
                "{name}: {below:?} at a limit of {n} - 1"
            );
        }
    }
    assert!(tried >= 10);
}

/// The compressed page that a kind of page becomes, if it does.
fn packed(pool: &Pool, page: &[u8]) -> Option<(StoredBuf, Vec<u8>)> {
    let stored = pool.compress(page).unwrap();
    let StoredBuf::Compressed { bytes, .. } = &stored else {
        return None;
    };
    let bytes = bytes.to_vec();
    Some((stored, bytes))
}

/// Compressed bytes that were cut short are refused: every cut of every kind
/// of page. Those that stray bytes follow are refused or make the page.
fn truncated(subject: &Subject) {
    let pool = subject.pool();
    let mut room = vec![0; 4096];
    for (name, page) in kinds(UnitSize::DEFAULT) {
        let Some((stored, bytes)) = packed(&pool, &page) else {
            continue;
        };
        let stored = stored.as_stored();
        for cut in 0..bytes.len() {
            let result = pool.decompress_into(subject.altered(&stored, &bytes[..cut]), &mut room);
            // The last byte of a canned page may hold no more than zeroes of
            // its end of block, which its reader has at the end anyway.
            if subject.is_canned() && cut + 1 == bytes.len() && result.is_ok() {
                assert!(room == page, "{name} cut by a byte is another page");
                continue;
            }
            assert!(
                matches!(result, Err(PageError::Corrupt { codec, .. }) if codec == subject.codec),
                "{subject:?}: {name} cut to {cut} of {} bytes: {result:?}",
                bytes.len()
            );
        }
        for stray in [0, 0xFF] {
            let longer: Vec<u8> = bytes.iter().copied().chain([stray]).collect();
            let result = pool.decompress_into(subject.altered(&stored, &longer), &mut room);
            if subject.notices_strays {
                assert!(
                    result.is_err(),
                    "{name} with a stray byte {stray:#x} decodes"
                );
            } else if subject.is_device() || result.is_ok() {
                assert_eq!(result, Ok(()), "{name} with a stray byte {stray:#x}");
                assert!(room == page, "{name} with a stray byte {stray:#x}");
            }
        }
    }
}

/// Damaged bytes give an error or some page, and never touch what lies around
/// the room; the context then works as before.
fn damaged(subject: &Subject) {
    const GUARD: usize = 256;
    let pool = subject.pool();
    let mut random = Random::new(3);
    let mut refused = 0;
    for (name, page) in kinds(UnitSize::DEFAULT) {
        let Some((stored, bytes)) = packed(&pool, &page) else {
            continue;
        };
        let stored = stored.as_stored();
        let mut around = vec![0x5A; GUARD + 4096 + GUARD];
        for _ in 0..400 {
            let mut hurt = bytes.clone();
            for _ in 0..=random.below(3) {
                hurt[random.below(bytes.len())] ^= 1 << random.below(8);
            }
            let room = &mut around[GUARD..GUARD + 4096];
            let result = pool.decompress_into(subject.altered(&stored, &hurt), room);
            refused += usize::from(result.is_err());
            assert!(
                around[..GUARD]
                    .iter()
                    .chain(&around[GUARD + 4096..])
                    .all(|&b| b == 0x5A)
            );
        }
        for len in [0, 1, 2, 3, 10, 100, 5000] {
            let noise = random.bytes(len);
            let _ = pool.decompress(subject.altered(&stored, &noise));
        }
        assert_eq!(pool.decompress(stored).unwrap(), page, "{name}");
    }
    assert!(refused > 0);
}

/// A whole stream that makes another number of bytes than a page's.
fn wrong_length(subject: &Subject) {
    let small = subject.pool();
    let large = subject.pool_of(UnitSize::MAX);
    let page = |len: usize| (0..len).map(|i| (i / 7) as u8).collect::<Vec<u8>>();
    let (short, _) = packed(&small, &page(4096)).expect("a plain page");
    let (long, _) = packed(&large, &page(65536)).expect("a plain page");
    let cause = |result| match result {
        Err(PageError::Corrupt { cause, .. }) => cause,
        other => panic!("{other:?}"),
    };
    let short_in_large = cause(large.decompress(short.as_stored()));
    assert_eq!(short_in_large, Corrupt::ShortPage);
    let long_in_small = cause(small.decompress(long.as_stored()));
    // liblz4 has one answer for all faults.
    let expected = if subject.codec == Codec::Lz4 {
        Corrupt::BadStream
    } else {
        Corrupt::LongPage
    };
    assert_eq!(long_in_small, expected);
}

/// Pages and rooms of the wrong size, and pages of another codec, are refused
/// one by one; the good pages among them are done.
fn misuse(subject: &Subject) {
    let pool = subject.pool();
    let good = kinds(UnitSize::DEFAULT).swap_remove(5).1;
    let sizes = [0, 1, 8, 4095, 4096, 4097, 8192];
    let pages: Vec<Vec<u8>> = sizes
        .iter()
        .map(|&len| good.iter().copied().cycle().take(len).collect())
        .collect();
    let report = pool.compress_batch(&pages, |i, outcome| match outcome {
        Ok(_) => assert_eq!(sizes[i], 4096),
        Err(error) => {
            assert_eq!(
                error,
                PageError::WrongSize {
                    expected: 4096,
                    actual: sizes[i]
                }
            );
        }
    });
    assert_eq!(
        (subject.done(&report), report.failed_pages(), report.pages()),
        (1, 6, 7)
    );

    let (kept, bytes) = packed(&pool, &good).expect("a plain page");
    let stored = kept.as_stored();
    for len in [0, 4095, 4097] {
        let expected = Err(PageError::WrongRoom {
            expected: 4096,
            actual: len,
        });
        assert_eq!(pool.decompress_into(stored, &mut vec![0; len]), expected);
        assert_eq!(
            pool.decompress_into(Stored::SameFilled(0), &mut vec![0; len]),
            expected
        );
        let expected = Err(PageError::WrongSize {
            expected: 4096,
            actual: len,
        });
        assert_eq!(pool.decompress(Stored::Raw(&vec![0; len])), expected);
    }
    for other in Codec::ALL
        .into_iter()
        .filter(|&other| other != subject.codec)
    {
        let expected = Err(PageError::WrongCodec {
            expected: subject.codec,
            actual: other,
        });
        assert_eq!(pool.decompress(Stored::compressed(other, &bytes)), expected);
    }
    let unknown = NonZeroU32::MAX;
    let other = Compressed::new(subject.codec, &bytes).with_tables(Some(unknown));
    assert_eq!(
        pool.decompress(Stored::Compressed(other)),
        Err(PageError::WrongTables { actual: unknown })
    );
    let mixed = [
        subject.altered(&stored, &bytes[1..]),
        stored,
        Stored::Raw(&good[1..]),
        stored,
    ];
    let report = pool.decompress_batch(&mixed, |i, page| match i {
        0 | 2 => assert!(page.is_err()),
        _ => assert_eq!(page, Ok(&good[..])),
    });
    assert_eq!((subject.done(&report), report.failed_pages()), (2, 2));
}

/// Batches of none, of one and of far more than any backend works on at once;
/// pages in one region.
fn batch_sizes(subject: &Subject) {
    let pool = subject.pool();
    let none: [&[u8]; 0] = [];
    assert_eq!(
        pool.compress_batch(&none, |_, _| panic!("there is no page"))
            .pages(),
        0
    );
    assert_eq!(
        pool.decompress_batch(&[], |_, _| panic!("there is no page"))
            .pages(),
        0
    );

    let region: Vec<u8> = kinds(UnitSize::DEFAULT).concat_pages(40);
    let units = Units::new(&region, UnitSize::DEFAULT);
    let mut seen = vec![0; region.len() / 4096];
    let mut order = Vec::new();
    let report = pool.compress_batch(&units, |i, outcome| {
        assert!(outcome.is_ok());
        seen[i] += 1;
        order.push(i);
    });
    assert!(!subject.keeps_order || order.is_sorted());
    assert_eq!(report.fallback_reasons().count(), 0, "{report:?}");
    assert!(seen.iter().all(|&times| times == 1));
    assert_eq!(report.pages(), seen.len() as u64);
}

trait ConcatPages {
    fn concat_pages(&self, times: usize) -> Vec<u8>;
}

impl ConcatPages for Vec<(&'static str, Vec<u8>)> {
    fn concat_pages(&self, times: usize) -> Vec<u8> {
        (0..times)
            .flat_map(|_| self.iter().flat_map(|(_, page)| page.iter().copied()))
            .collect()
    }
}

/// A sink's first error ends the call and comes back.
fn sink_errors(subject: &Subject) {
    let pool = subject.pool();
    let pages: Vec<Vec<u8>> = kinds(UnitSize::DEFAULT)
        .into_iter()
        .map(|(_, page)| page)
        .collect();
    let mut handed = 0;
    let result = pool.try_compress_batch(&pages, |_, _| {
        handed += 1;
        if handed == 3 {
            Err("the store is full")
        } else {
            Ok(())
        }
    });
    assert_eq!((result, handed), (Err("the store is full"), 3));
    let stored = [Stored::SameFilled(1); 5];
    let mut shown = 0;
    let result = pool.try_decompress_batch(&stored, |_, _| {
        shown += 1;
        if shown == 2 { Err("no room") } else { Ok(()) }
    });
    assert_eq!((result, shown), (Err("no room"), 2));
    let report = pool
        .try_compress_batch(&pages, |_, _| Ok::<(), ()>(()))
        .unwrap();
    assert_eq!(report.pages(), pages.len() as u64);
}

/// A sink that panics costs its own call only.
fn sink_panics(subject: &Subject) {
    let pool = subject.pool();
    let page = kinds(UnitSize::DEFAULT).swap_remove(5).1;
    for _ in 0..20 {
        let panicking = pool.clone();
        let pages = [page.clone()];
        let result =
            thread::spawn(move || panicking.compress_batch(&pages, |_, _| panic!("as told")));
        assert!(result.join().is_err());
    }
    let stored = pool.compress(&page).unwrap();
    assert_eq!(pool.decompress(stored.as_stored()).unwrap(), page);
}

/// Sinks may call the pool again, to any depth, and may wait for threads that
/// do: neither deadlocks, however few CPUs there are.
fn sinks_call_back(subject: &Subject) {
    fn nested(pool: &Pool, page: &[u8], depth: usize) {
        pool.compress_batch(&[page], |_, outcome| {
            let stored = outcome.unwrap().to_stored(page);
            if depth > 0 {
                nested(pool, page, depth - 1);
            }
            assert_eq!(pool.decompress(stored.as_stored()).unwrap(), page);
        });
    }
    let pool = subject.pool();
    let page = kinds(UnitSize::DEFAULT).swap_remove(5).1;
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (pool, page) = (pool.clone(), page.clone());
            thread::spawn(move || nested(&pool, &page, 20))
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }

    // Every context is held by a sink that waits for one more caller.
    let holders = pool.memory().contexts.len() + 1;
    let (held, all_held) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let released = std::sync::Arc::new(std::sync::Mutex::new(released));
    let threads: Vec<_> = (0..holders)
        .map(|_| {
            let (pool, page, held) = (pool.clone(), page.clone(), held.clone());
            let released = released.clone();
            thread::spawn(move || {
                pool.compress_batch(&[&page], |_, _| {
                    held.send(()).unwrap();
                    let patience = Duration::from_secs(60);
                    released.lock().unwrap().recv_timeout(patience).unwrap();
                });
            })
        })
        .collect();
    for _ in 0..holders {
        all_held.recv_timeout(Duration::from_secs(60)).unwrap();
    }
    let stored = pool.compress(&page).unwrap();
    assert_eq!(pool.decompress(stored.as_stored()).unwrap(), page);
    for _ in 0..holders {
        release.send(()).unwrap();
    }
    for thread in threads {
        thread.join().unwrap();
    }
    let stats = pool.stats();
    assert!(stats.spare_calls > 0);
    assert_eq!(stats.compress.pages(), 4 * 21 + holders as u64 + 1);
}

/// Many threads on one pool: every page of every thread comes back.
fn threads_share(subject: &Subject) {
    let pool = subject.pool();
    thread::scope(|scope| {
        for seed in 0..6 {
            let pool = &pool;
            scope.spawn(move || {
                let mut random = Random::new(seed);
                let kinds = kinds(UnitSize::DEFAULT);
                for _ in 0..60 {
                    let pages: Vec<&[u8]> = (0..=random.below(9))
                        .map(|_| &kinds[random.below(kinds.len())].1[..])
                        .collect();
                    let mut store = vec![None; pages.len()];
                    pool.compress_batch(&pages[..], |i, outcome| {
                        store[i] = Some(outcome.unwrap().to_stored(pages[i]));
                    });
                    let store: Vec<StoredBuf> = store.into_iter().map(Option::unwrap).collect();
                    let stored: Vec<_> = store.iter().map(StoredBuf::as_stored).collect();
                    pool.decompress_batch(&stored, |i, page| assert_eq!(page, Ok(pages[i])));
                }
            });
        }
    });
    let stats = pool.stats();
    assert_eq!(stats.compress.pages(), stats.decompress.pages());
    assert_eq!(stats.compress.failed_pages(), 0);
    let reasons = stats.compress.fallback_reasons();
    for (reason, pages) in reasons.chain(stats.decompress.fallback_reasons()) {
        let busy = subject.may_be_busy && reason == FallbackReason::Busy;
        assert!(busy, "{subject:?}: {pages} pages, {reason}");
    }
    if subject.keeps_order {
        assert_eq!(stats.compress, stats.decompress);
    }
}

/// libzstd reads frame after frame; a page with an empty one behind it is no
/// page.
#[test]
fn zstd_pages_are_one_frame() {
    let page: &[u8] = &[0x00, 0x10, 0x03, 0x80, 0x00, 0x61];
    let empty: &[u8] = &[0x00, 0x00, 0x01, 0x00, 0x00];
    let pool = Subject::software(Codec::Zstd).pool();
    assert_eq!(
        pool.decompress(Stored::compressed(Codec::Zstd, page)),
        Ok(vec![b'a'; 4096])
    );
    let cause = Corrupt::TrailingBytes;
    let expected = Err(PageError::Corrupt {
        codec: Codec::Zstd,
        cause,
    });
    let both = [page, empty].concat();
    assert_eq!(
        pool.decompress(Stored::compressed(Codec::Zstd, &both)),
        expected
    );
}

/// A device hands pages over as they complete, and these complete out of order.
#[test]
fn devices_hand_over_in_completion_order() {
    let pool = subject::canned_gen2().pool();
    let pages: Vec<Vec<u8>> = (0..64u8)
        .map(|i| (0..4096).map(|at| (at / 5) as u8 ^ i).collect())
        .collect();
    let mut order = Vec::new();
    pool.compress_batch(&pages, |i, outcome| {
        assert!(outcome.is_ok());
        order.push(i);
    });
    assert!(!order.is_sorted());
    order.sort_unstable();
    assert!(order.into_iter().eq(0..64), "each page once");
}

/// Every format, with and without waiting for page faults, on each generation
/// by each route: what a device is configured to be must not show in a page.
macro_rules! every_device_must_round_trip {
    ($($name:ident: $generation:ident $route:ident;)*) => {$(
        #[test]
        fn $name() {
            let subjects = subject::all_of(Generation::$generation, Route::$route);
            assert_eq!(subjects.len(), 6);
            for subject in &subjects {
                round_trip(subject);
            }
        }
    )*};
}

every_device_must_round_trip! {
    gen1_shared: One Shared;
    gen1_dedicated: One Dedicated;
    gen1_by_write: One Write;
    gen2_shared: Two Shared;
    gen2_dedicated: Two Dedicated;
    gen2_by_write: Two Write;
}

macro_rules! every_backend_must {
    ($($name:ident: $subject:expr;)*) => {$(
        mod $name {
            use super::*;

            every_backend_must!(@tests $subject;
                round_trip accept_limit truncated damaged wrong_length misuse batch_sizes
                sink_errors sink_panics sinks_call_back threads_share);
        }
    )*};
    (@tests $subject:expr; $($test:ident)*) => {$(
        #[test]
        fn $test() {
            super::$test(&$subject);
        }
    )*};
}

// Of devices, one for each way through the code that a page's content or a
// caller can take; what else they differ in is in the matrix.
every_backend_must! {
    lz4: Subject::software(Codec::Lz4);
    zstd: Subject::software(Codec::Zstd);
    deflate: Subject::software(Codec::Deflate);
    deflate_canned: Subject::canned_in_software();
    iaa_fixed: subject::fixed();
    iaa_dynamic: subject::dynamic();
    iaa_dynamic_gen2: subject::dynamic_gen2();
    iaa_canned: subject::canned();
    iaa_canned_gen2: subject::canned_gen2();
}
