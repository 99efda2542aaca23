//! Devices that stop, for a while or for good.

use crate::rig::{compress, decompress, pages, pool, store};
use pagepress::iaa::{Fallback, Format, Generation, Tables, leaked_bytes};
use pagepress::{Compressed, FallbackReason, PageError, Stored, StoredBuf};
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Longer than a queue is put aside for at first.
const LONG: u64 = 50_000_000;

/// What is leaked is counted for the whole process: such tests take turns.
fn one_at_a_time() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A halted device costs no page, and is taken up again with all its entries
/// when it has been reset: as often as that happens.
#[test]
fn a_halted_device_is_taken_up_again() {
    let _turn = one_at_a_time();
    for dedicated in [false, true] {
        for (in_flight, entries) in [(8, 8), (1, 2), (32, 16), (4, 128)] {
            let (pool, modelled) = pool(
                "",
                |model| {
                    model.dedicated = dedicated;
                    model.entries = entries;
                },
                |options| options.in_flight = in_flight,
            );
            let pages = pages(40);
            let stored = store(&pool, &pages);
            for round in 0..7 {
                let name = format!("{dedicated} {in_flight} {entries}, round {round}");
                let device = &modelled.devices()[0];
                device.halt();
                for _ in 0..3 {
                    let ended = compress(&pool, &pages);
                    assert_eq!(ended.report.software_pages(), 40, "{name}");
                    let report = decompress(&pool, &stored, &pages);
                    assert_eq!(report.software_pages(), 40, "{name}");
                    assert_eq!(report.failed_pages(), 0, "{name}");
                }
                device.reset();
                // Twice: a queue that did not answer is asked later and later.
                modelled.advance(LONG * 1000);
                let _ = compress(&pool, &pages);
                modelled.advance(LONG * 1000);
                let ended = compress(&pool, &pages);
                assert_eq!(ended.modelled(), 40, "{name}: {:?}", ended.report);
                let report = decompress(&pool, &stored, &pages);
                assert_eq!(report.modelled_pages(), 40, "{name}: {report:?}");
            }
            let stats = &pool.device_stats()[0];
            assert_eq!(stats.put_aside, stats.taken_up, "{stats:?}");
            // ENQCMD tells that nothing is taken; MOVDIR64B does not.
            assert_eq!(stats.put_aside > 0, dedicated, "{stats:?}");
        }
    }
}

/// A queue all of whose entries were lost, one by one between pages that went
/// well, is asked for them.
#[test]
fn lost_entries_are_found() {
    let _turn = one_at_a_time();
    let (pool, modelled) = pool(
        "never@#5,never@#10,never@#15,never@#20",
        |model| {
            model.dedicated = true;
            model.entries = 4;
        },
        |options| options.in_flight = 8,
    );
    let pages = pages(40);
    let ended = compress(&pool, &pages);
    assert_eq!(
        ended.report.fallbacks(FallbackReason::Timeout),
        4,
        "{:?}",
        ended.report
    );
    // While the descriptors hang, the queue has no entry.
    modelled.advance(LONG);
    assert_eq!(compress(&pool, &pages).modelled(), 0);
    modelled.devices()[0].reset();
    modelled.advance(LONG);
    assert_eq!(compress(&pool, &pages).modelled(), 40);
}

/// Pages late by far are done in software; their slots serve again later.
#[test]
fn late_pages_come_too_late() {
    let (pool, modelled) = pool(
        "late:100ms@#1,late:100ms@#2",
        |_| {},
        |options| {
            options.in_flight = 2;
        },
    );
    let pages = pages(10);
    let ended = compress(&pool, &pages);
    assert_eq!(ended.report.fallbacks(FallbackReason::Timeout), 2);
    assert_eq!(ended.modelled(), 8, "{:?}", ended.report);
    modelled.advance(200_000_000);
    assert_eq!(compress(&pool, &pages).modelled(), 10);
    let stats = &pool.device_stats()[0];
    // A context finds its late pages when it is used again.
    assert_eq!(stats.submitted, 20);
    assert!((18..=20).contains(&stats.completed), "{stats:?}");
}

/// One device of two hangs: the other goes on, and the first is left alone.
#[test]
fn a_sound_device_goes_on() {
    let _turn = one_at_a_time();
    let (pool, modelled) = pool(
        "",
        |model| {
            model.devices = 2;
            model.dedicated = true;
        },
        |_| {},
    );
    modelled.devices()[0].halt();
    let pages = pages(200);
    let ended = compress(&pool, &pages);
    let lost = ended.report.fallbacks(FallbackReason::Timeout);
    assert!((3..=8).contains(&lost), "{:?}", ended.report);
    assert_eq!(ended.modelled(), 200 - lost);
    let stats = pool.device_stats();
    assert!(stats[0].is_aside && !stats[1].is_aside);
    assert_eq!(compress(&pool, &pages).modelled(), 200);
}

/// No queue is left: the reason says so, whatever the policy.
#[test]
fn a_device_that_is_gone() {
    let _turn = one_at_a_time();
    let pages = pages(20);
    for policy in [Fallback::OnAnyFault, Fallback::OnBusy, Fallback::Never] {
        let (pool, _) = pool("never", |_| {}, |options| options.fallback = policy);
        let ended = compress(&pool, &pages);
        let (timeout, gone) = (FallbackReason::Timeout, FallbackReason::DeviceGone);
        if policy == Fallback::OnAnyFault {
            let reasons: Vec<_> = ended.report.fallback_reasons().collect();
            assert_eq!(reasons, [(timeout, 8), (gone, 12)]);
        } else {
            assert_eq!((ended.refused(timeout), ended.refused(gone)), (8, 12));
        }
        assert!(pool.device_stats()[0].is_aside);
    }
}

/// A queue that is disabled refuses, or drops, what it is given, until it is
/// enabled again.
#[test]
fn a_disabled_queue_comes_back() {
    let _turn = one_at_a_time();
    for dedicated in [false, true] {
        let (pool, modelled) = pool(
            "disable:30ms@#10",
            |model| model.dedicated = dedicated,
            |_| {},
        );
        let pages = pages(60);
        let ended = compress(&pool, &pages);
        assert!(ended.report.software_pages() > 0);
        assert_eq!(ended.report.failed_pages(), 0);
        modelled.advance(LONG);
        let _ = compress(&pool, &pages);
        modelled.advance(LONG);
        assert_eq!(compress(&pool, &pages).modelled(), 60, "{dedicated}");
    }
}

/// A pool whose device hangs is dropped all the same, and what the device may
/// still write is given up.
#[test]
fn dropping_is_bounded_and_leaks_what_it_must() {
    let _turn = one_at_a_time();
    let (before, start) = (leaked_bytes(), Instant::now());
    let (hung, _) = pool("never", |_| {}, |_| {});
    let _ = compress(&hung, &pages(8));
    drop(hung);
    assert!(start.elapsed() < Duration::from_secs(20));
    assert!(leaked_bytes() >= before + 8 * 4096);

    // The count is the program's: other tests may add to it meanwhile, but not
    // every time.
    let leaves_nothing = || {
        let before = leaked_bytes();
        let (sound, _) = pool("", |_| {}, |_| {});
        let _ = compress(&sound, &pages(8));
        drop(sound);
        leaked_bytes() == before
    };
    assert!((0..50).any(|_| leaves_nothing()), "a sound device leaks");
}

/// Canned pages keep the number of their tables, can be read in software when
/// the device is gone, and by nobody who has other tables.
#[test]
fn canned_pages_outlive_their_device() {
    let _turn = one_at_a_time();
    for generation in [Generation::One, Generation::Two] {
        let tables = Tables::flat();
        let (pool, modelled) = pool(
            "",
            |model| {
                model.generation = generation;
                model.dedicated = true;
            },
            |options| options.format = Format::Canned(tables.clone()),
        );
        let mut pages = pages(30);
        // Of all lengths, so that their last bytes are full and less full.
        for (i, page) in pages.iter_mut().enumerate() {
            page[100 + i * 130..].fill(i as u8);
        }
        let ended = compress(&pool, &pages);
        assert_eq!(ended.modelled(), 30);
        let stored: Vec<StoredBuf> = ended.pages.into_iter().map(Result::unwrap).collect();
        for page in &stored {
            let Stored::Compressed(page) = page.as_stored() else {
                panic!("a plain page");
            };
            assert_eq!(page.tables(), Some(tables.id()));
            let other = NonZeroU32::new(tables.id().get() ^ 1);
            let wrong = Compressed::new(page.codec(), page.bytes()).with_tables(other);
            assert_eq!(
                pool.decompress(Stored::Compressed(wrong)),
                Err(PageError::WrongTables {
                    actual: other.unwrap()
                })
            );
        }
        assert_eq!(decompress(&pool, &stored, &pages).modelled_pages(), 30);
        modelled.devices()[0].halt();
        for _ in 0..2 {
            let report = decompress(&pool, &stored, &pages);
            assert_eq!((report.software_pages(), report.failed_pages()), (30, 0));
        }
        // Software goes on with the same tables, and a device reads what it wrote.
        let ended = compress(&pool, &pages);
        assert_eq!(ended.report.software_pages(), 30);
        let mixed: Vec<StoredBuf> = ended.pages.into_iter().map(Result::unwrap).collect();
        let with = |page: &StoredBuf| page.tables() == Some(tables.id());
        assert!(mixed.iter().all(with));
        decompress(&pool, &mixed, &pages);
        let (sound, _) = crate::rig::pool(
            "",
            |model| model.generation = generation,
            |options| options.format = Format::Canned(tables.clone()),
        );
        assert_eq!(decompress(&sound, &mixed, &pages).modelled_pages(), 30);
    }
}
