//! One context on modelled devices.

mod rig;

use pagepress_abi::aecs;
use pagepress_fallback::encoder::{Codes, Encoder, SLACK};
use pagepress_iaa::lane::{Format, Reason, Verify};
use pagepress_model::profile::{Profile, QueueConfig};
use pagepress_model::time::Costs;
use rig::{Ended, Plan, Rig, pages};

const _: () = assert!(aecs::HISTORY == 4096);

/// All that can be done with pages, on all kinds of queues.
fn plans() -> Vec<Plan> {
    let mut plans = Vec::new();
    for profile in [Profile::GEN1, Profile::GEN2] {
        for format in [Format::Fixed, Format::Dynamic, Format::Canned] {
            for queue in [
                QueueConfig::shared(16),
                QueueConfig::shared(3),
                QueueConfig::dedicated(8),
                QueueConfig::dedicated(2),
                QueueConfig {
                    block_on_fault: false,
                    ..QueueConfig::shared(16)
                },
            ] {
                for devices in [1, 3] {
                    plans.push(Plan {
                        queue,
                        devices,
                        ..Plan::new(profile, format)
                    });
                }
            }
        }
    }
    plans
}

#[test]
fn pages_come_back() {
    for plan in plans() {
        for verify in [Verify::Off, Verify::Every(1)] {
            let mut plan = plan.clone();
            plan.settings.verify = verify;
            for costs in [Costs::NONE, Costs::SAPPHIRE_RAPIDS] {
                plan.costs = costs;

                let mut rig = Rig::new(&plan);
                for count in [1, 8, 37] {
                    let pages = pages(count);
                    let packed = rig.compress(&pages);
                    let kept: Vec<(usize, Vec<u8>)> = packed
                        .into_iter()
                        .enumerate()
                        .filter_map(|(i, ended)| match ended {
                            Ended::Done(bytes) => Some((i, bytes)),
                            Ended::TooBig if i == count - 1 => None,
                            other => panic!("page {i} of {count}: {other:?}, {plan:?}"),
                        })
                        .collect();
                    let bytes: Vec<Vec<u8>> = kept.iter().map(|(_, b)| b.clone()).collect();
                    let canned = plan.settings.format == Format::Canned;
                    let back = rig.decompress(&bytes, canned);
                    for ((i, _), page) in kept.iter().zip(back) {
                        assert!(page == Ended::Done(pages[*i].clone()), "page {i}, {plan:?}");
                    }
                }
                assert!(rig.devices.iter().all(|d| d.software_error().is_none()));
                let used = |d: &pagepress_model::device::Device| d.counters().accepted > 0;
                assert!(rig.devices.iter().all(used));
            }
        }
    }
}

/// What software writes instead of a device, devices read: canned pages too, by the
/// tables that they made themselves.
#[test]
fn software_pages_come_back() {
    let tables = rig::any_codes();
    let canned = Codes::with_header(tables.literals(), tables.distances(), &[], 0);
    let fixed = Codes::fixed();
    let mut encoder = Encoder::new(4096).unwrap();
    let pages = pages(37);
    for profile in [Profile::GEN1, Profile::GEN2] {
        for format in [Format::Fixed, Format::Dynamic, Format::Canned] {
            let packed: Vec<Vec<u8>> = pages
                .iter()
                .map(|page| {
                    let limit = 2 * page.len();
                    let mut dst = vec![0xFF; limit + SLACK];
                    let len = match format {
                        Format::Fixed => encoder.with_codes(page, &mut dst, limit, &fixed),
                        Format::Dynamic => encoder.dynamic(page, &mut dst, limit),
                        Format::Canned => encoder.with_codes(page, &mut dst, limit, &canned),
                    };
                    dst.truncate(len.unwrap());
                    dst
                })
                .collect();
            let mut rig = Rig::new(&Plan::new(profile, format));
            let back = rig.decompress(&packed, format == Format::Canned);
            for (i, (page, ended)) in pages.iter().zip(back).enumerate() {
                assert!(ended == Ended::Done(page.clone()), "page {i}, {format:?}");
            }
        }
    }
}

/// The library's answer to each fault.
#[test]
fn faults_cost_one_page_each() {
    for (faults, reason) in [
        (
            "read-fault/compress@#1,read-fault/compress@#9,read-fault/compress@#10",
            Reason::PageFault,
        ),
        (
            "write-fault/compress@#1,write-fault/compress@#9,write-fault/compress@#10",
            Reason::PageFault,
        ),
        ("status:0x20@#1", Reason::DeviceError),
        ("error:0x13@#1", Reason::DeviceError),
        ("never@#1", Reason::Timeout),
        ("late:5ms@#1", Reason::Timeout),
    ] {
        let mut plan = Plan::new(Profile::GEN1, Format::Fixed);
        plan.queue.block_on_fault = false;
        plan.faults = faults.to_owned();
        let mut rig = Rig::new(&plan);
        let pages = pages(9);
        let ended = rig.compress(&pages[..8]);
        let failed: Vec<usize> = (0..8)
            .filter(|&i| !matches!(ended[i], Ended::Done(_)))
            .collect();
        assert_eq!(failed, [0], "{faults}: {ended:?}");
        assert_eq!(ended[0], Ended::Failed(reason), "{faults}");
    }
}
