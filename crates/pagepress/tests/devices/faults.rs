//! Each way in which a device does not do a page, and what the policy makes of
//! it.

use crate::rig::{compress, decompress, pages, pool, store};
use pagepress::FallbackReason as Why;
use pagepress::iaa::{Fallback, Model, Options, Verify};
use pagepress::{FallbackReason, PerformedBy};

/// A fault that costs some pages of a batch, and the reason told of them.
struct Case {
    reason: FallbackReason,
    plan: &'static str,
    verify: Verify,
    dedicated: bool,
    /// Of 24 pages, those that the device does not do.
    pages: u64,
}

impl Case {
    fn new(reason: FallbackReason, plan: &'static str, pages: u64) -> Self {
        Self {
            reason,
            plan,
            verify: Verify::Off,
            dedicated: false,
            pages,
        }
    }

    fn model(&self, model: &mut Model) {
        // Page faults are told instead of waited for.
        model.block_on_fault = false;
        model.dedicated = self.dedicated;
    }
}

/// Every reason but those for which there is no device.
fn cases() -> Vec<Case> {
    let verified = |plan, verify, pages| Case {
        verify,
        ..Case::new(Why::Mismatch, plan, pages)
    };
    vec![
        Case::new(Why::Busy, "retry/compress", 24),
        // A page's third fault is its last.
        Case::new(Why::PageFault, "read-fault/compress", 24),
        Case::new(Why::PageFault, "write-fault/compress", 24),
        Case::new(Why::Timeout, "never@#3", 1),
        Case::new(Why::Timeout, "late:15ms@#5", 1),
        Case::new(Why::DeviceError, "error:0x13@#1", 1),
        Case::new(Why::DeviceError, "status:0x20@#24", 1),
        Case {
            dedicated: true,
            ..Case::new(Why::Timeout, "never@#3", 1)
        },
        // Every page is two descriptors, the first eight of which compress.
        verified("flip/compress@#2", Verify::ByDevice(1), 1),
        verified("flip/compress@#2", Verify::InSoftware(1), 1),
        verified("flip/decompress@#9", Verify::ByDevice(1), 1),
    ]
}

#[test]
fn every_fault_costs_its_page_once() {
    let pages = pages(24);
    for case in cases() {
        for policy in [Fallback::OnAnyFault, Fallback::OnBusy, Fallback::Never] {
            let (pool, modelled) = pool(
                case.plan,
                |model| case.model(model),
                |options: &mut Options| {
                    options.fallback = policy;
                    options.verify = case.verify;
                },
            );
            let ended = compress(&pool, &pages);
            let name = format!("{} {policy:?}: {:?}", case.plan, ended.report);
            let software = match policy {
                Fallback::OnAnyFault => case.pages,
                Fallback::OnBusy if case.reason == Why::Busy => case.pages,
                _ => 0,
            };
            let reasons: Vec<_> = ended.report.fallback_reasons().collect();
            if software > 0 {
                assert_eq!(reasons, [(case.reason, software)], "{name}");
            } else {
                assert_eq!(reasons, [], "{name}");
            }
            assert_eq!(ended.refused(case.reason), case.pages - software, "{name}");
            assert_eq!(ended.report.failed_pages(), case.pages - software, "{name}");
            assert_eq!(ended.modelled(), 24 - case.pages, "{name}");
            assert!(modelled.faults().total() > 0, "{name}");
        }
    }
}

/// A descriptor that waits for its page takes longer and no more.
#[test]
fn waiting_for_a_page_is_no_fault() {
    let (pool, modelled) = pool("read-fault@1/4,write-fault@1/5", |_| {}, |_| {});
    let pages = pages(64);
    let ended = compress(&pool, &pages);
    assert_eq!(ended.modelled(), 64);
    assert!(modelled.faults().stalls > 10);
}

/// A page fault is cured by touching the page, twice at most.
#[test]
fn page_faults_are_cured() {
    for plan in [
        "read-fault@#2",
        "write-fault@#2",
        "read-fault@#2,write-fault@#9",
    ] {
        let (pool, _) = pool(plan, |model| model.block_on_fault = false, |_| {});
        let pages = pages(8);
        let ended = compress(&pool, &pages);
        assert_eq!(ended.modelled(), 8, "{plan}");
        let stats = &pool.device_stats()[0];
        let faults = plan.split(',').count() as u64;
        assert_eq!((stats.page_faults, stats.submitted), (faults, 8 + faults));
    }
}

/// The way back: the same reasons, and the same pages.
#[test]
fn decompressing_falls_back_alike() {
    let pages = pages(24);
    let sound = pool("", |_| {}, |_| {}).0;
    let stored = store(&sound, &pages);
    for (reason, plan, faulty) in [
        (Why::Busy, "retry/decompress", 24),
        (Why::PageFault, "read-fault/decompress", 24),
        (Why::Timeout, "never@#3", 1),
        (Why::DeviceError, "error:0x0f@#7", 1),
        (Why::DeviceError, "status:0x20@#7", 1),
    ] {
        let (pool, _) = pool(plan, |model| model.block_on_fault = false, |_| {});
        let report = decompress(&pool, &stored, &pages);
        let reasons: Vec<_> = report.fallback_reasons().collect();
        assert_eq!(reasons, [(reason, faulty)], "{plan}");
        assert_eq!(report.software_pages(), faulty, "{plan}");
        assert_eq!(report.modelled_pages(), 24 - faulty, "{plan}");
        assert_eq!(report.failed_pages(), 0);
    }
}

/// Chance decides what happens to a long batch, seed after seed: no page is lost
/// or told twice, and none is wrong.
#[test]
fn a_storm_costs_no_page() {
    let pages = pages(300);
    for seed in 0..12 {
        let plan = format!(
            "read-fault@1/9,write-fault@1/11,retry:2@1/7,late:1us-20ms@1/13,never@1/40,\
             reorder@1/5,status:0x20@1/50,error:0x13@1/60,seed:{seed}"
        );
        let (pool, modelled) = pool(
            &plan,
            |model| {
                model.devices = 1 + seed % 3;
                model.entries = [2, 9, 64][seed / 3 % 3];
                model.dedicated = seed % 2 == 1;
                model.block_on_fault = seed % 4 < 2;
            },
            |options| options.in_flight = [1, 8, 32][seed % 3],
        );
        let ended = compress(&pool, &pages);
        assert_eq!(ended.report.failed_pages(), 0, "seed {seed}");
        let stored: Vec<_> = ended.pages.into_iter().map(Result::unwrap).collect();
        decompress(&pool, &stored, &pages);
        assert!(modelled.faults().total() > 20, "{}", modelled.faults());
        assert!(ended.report.modelled_pages() > 0, "seed {seed}");
        for stats in pool.device_stats() {
            assert!(stats.completed <= stats.submitted, "{stats:?}");
        }
    }
}

/// Threads that share devices, too few entries and a plan of faults.
#[test]
fn threads_share_a_storm() {
    for dedicated in [false, true] {
        let (pool, _) = pool(
            "late:1us-20ms@1/9,never@1/70,reorder@1/5,status:0x20@1/50,seed:3",
            |model| {
                model.devices = 2;
                model.entries = 6;
                model.dedicated = dedicated;
            },
            |_| {},
        );
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let pages = pages(50);
                    for _ in 0..6 {
                        let ended = compress(&pool, &pages);
                        assert_eq!(ended.report.failed_pages(), 0);
                        let stored: Vec<_> = ended.pages.into_iter().map(Result::unwrap).collect();
                        decompress(&pool, &stored, &pages);
                    }
                });
            }
        });
        let stats = pool.stats();
        assert_eq!(stats.compress.pages(), 4 * 6 * 50);
        assert_eq!(stats.decompress.pages(), 4 * 6 * 50);
        assert!(stats.compress.modelled_pages() > 0);
    }
}

/// What the pool counts of a queue is what the device counts.
#[test]
fn device_stats_are_those_of_the_device() {
    let (pool, modelled) = pool(
        "never@#3,retry@#5,error:0x13@#9",
        |model| model.devices = 2,
        |_| {},
    );
    let pages = pages(40);
    let ended = compress(&pool, &pages);
    assert_eq!(
        ended
            .by
            .iter()
            .filter(|&&by| by == Some(PerformedBy::Software))
            .count(),
        2
    );
    let stats = pool.device_stats();
    assert_eq!(stats.len(), 2);
    let sum = |of: fn(&pagepress::iaa::DeviceStats) -> u64| stats.iter().map(of).sum::<u64>();
    assert_eq!((sum(|s| s.timeouts), sum(|s| s.errors)), (1, 1));
    assert_eq!(sum(|s| s.submitted), 40);
    assert_eq!(sum(|s| s.completed), 39, "one never does");
    assert!(sum(|s| s.refused) >= 1);
    assert_eq!((sum(|s| s.put_aside), sum(|s| s.mismatches)), (0, 0));
    let packed: usize = ended
        .pages
        .iter()
        .zip(&ended.by)
        .filter(|(_, by)| **by == Some(PerformedBy::Modelled))
        .map(|(page, _)| page.as_ref().unwrap().as_stored().stored_bytes())
        .sum();
    assert_eq!(sum(|s| s.bytes_in), 38 * 4096);
    assert_eq!(sum(|s| s.bytes_out), packed as u64);
    for (stats, device) in stats.iter().zip(modelled.devices()) {
        assert!(stats.submitted > 0, "both devices work");
        assert_eq!(stats.submitted, device.counters().accepted);
    }
}
