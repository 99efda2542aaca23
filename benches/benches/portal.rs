//! What it costs to bring a descriptor to a device: by the mapped portal, by
//! `write(2)`, and beside both the model called directly.
//!
//! `pagepress vdev run -- cargo bench -p pagepress-benches --bench portal -- CORPUS` asks
//! a virtual device, where the portal is a trap (modelled); without `vdev run`, a real
//! one. The queue is `/dev/iax/wq1.0`, unless `PAGEPRESS_NODE` names another. A dedicated
//! one can be opened once: by its portal, or by `write(2)` if `PAGEPRESS_WRITE` is set.

#![expect(unsafe_code, reason = "submits descriptors")]

use core::ptr;
use core::sync::atomic::{Ordering, fence};
use pagepress_abi::aecs::compress as aecs;
use pagepress_abi::{CompletionRecord, Descriptor, Portal, Status, Submission};
use pagepress_benches::{PAGE, corpus, median, pin, quantile, ratios};
use pagepress_iaa::recipe::Base;
use pagepress_iaa::tables;
use pagepress_idxd::host::Mode;
use pagepress_idxd::queue::OpenQueue;
use pagepress_model::device::Device;
use pagepress_model::memory::Checked;
use pagepress_model::profile::{Profile, QueueConfig};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Descriptors in a burst.
const BURST: usize = 8;
/// Descriptors of one measurement.
const MEASURED: usize = 1024;
/// Measurements of each kind, taken in turn.
const ROUNDS: usize = 41;
/// Nothing takes as long.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a burst of descriptors names.
#[repr(C, align(4096))]
struct Memory {
    pages: [[u8; PAGE]; BURST],
    packed: [[u8; 2 * PAGE]; BURST],
    records: [CompletionRecord; BURST],
    aecs: [u8; aecs::BYTES],
}

fn address<T>(of: &T) -> u64 {
    ptr::from_ref(of).expose_provenance() as u64
}

/// A way to a device.
struct Way {
    name: String,
    portal: Box<dyn Portal>,
}

/// What is submitted, and how.
#[derive(Clone, Copy)]
struct Load {
    name: &'static str,
    compress: bool,
    burst: usize,
}

const LOADS: [Load; 3] = [
    Load {
        name: "noop, one at a time",
        compress: false,
        burst: 1,
    },
    Load {
        name: "noop, 8 at a time",
        compress: false,
        burst: BURST,
    },
    Load {
        name: "compress a page, 8 at a time",
        compress: true,
        burst: BURST,
    },
];

fn main() {
    pin(1);
    let node = std::env::var_os("PAGEPRESS_NODE");
    let node = PathBuf::from(node.unwrap_or_else(|| "/dev/iax/wq1.0".into()));
    let (name, pages) = corpus();
    let dedicated = attribute(&node, "mode").as_deref() == Some("dedicated");
    let device = if attribute(&node, "../modelled").is_some() {
        "a virtual device: all of this is modelled"
    } else {
        "what this measures of the first way is modelled, the rest is the device's"
    };
    println!("{}: {device}\npages: {name}\n", node.display());
    let ways = ways(&node, dedicated);
    let mut memory = Box::new(Memory {
        pages: [[0; PAGE]; BURST],
        packed: [[0; 2 * PAGE]; BURST],
        records: Default::default(),
        aecs: tables::fixed_aecs(),
    });
    for load in LOADS {
        println!("{}: ns per descriptor, and by the first way's", load.name);
        let mut times = vec![Vec::new(); ways.len()];
        for round in 0..ROUNDS {
            for (way, times) in ways.iter().zip(&mut times) {
                times.push(measure(way, load, &mut memory, &pages, round));
            }
        }
        let first = times[0].clone();
        for (way, times) in ways.iter().zip(times) {
            let ratios = ratios(&times, &first);
            println!(
                "  {:22} {:9.0} ({:.0}-{:.0})   {:6.2} ({:.2}-{:.2})",
                way.name,
                median(&times),
                quantile(&times, 0.25),
                quantile(&times, 0.75),
                median(&ratios),
                quantile(&ratios, 0.25),
                quantile(&ratios, 0.75),
            );
        }
    }
}

/// What sysfs says of the queue behind a node.
fn attribute(node: &Path, name: &str) -> Option<String> {
    let queue = Path::new("/sys/bus/dsa/devices").join(node.file_name()?);
    let text = std::fs::read_to_string(queue.join(name)).ok()?;
    Some(text.trim().to_owned())
}

/// The ways there are, the model itself first.
fn ways(node: &Path, dedicated: bool) -> Vec<Way> {
    let config = if dedicated {
        QueueConfig::dedicated(128)
    } else {
        QueueConfig::shared(128)
    };
    let memory = Checked::new().expect("a process may copy its own memory");
    let device = Device::new(Profile::GEN1, memory, &[config]).expect("a plain device");
    let mut ways = vec![Way {
        name: "the model, called".to_owned(),
        portal: Box::new(device.queue(0)),
    }];
    let mode = if dedicated {
        Mode::Dedicated
    } else {
        Mode::Shared
    };
    // A dedicated queue is opened once: by `write`, in a process of its own.
    let only_write = std::env::var_os("PAGEPRESS_WRITE").is_some();
    for map in [true, false] {
        if dedicated && map == only_write {
            continue;
        }
        match OpenQueue::open_by(node, mode, map) {
            Ok(queue) => ways.push(Way {
                name: queue.route().to_string(),
                portal: Box::new(queue),
            }),
            Err(error) => println!("{}: {error}", node.display()),
        }
    }
    ways
}

/// Nanoseconds per descriptor of one measurement.
fn measure(way: &Way, load: Load, memory: &mut Memory, pages: &[Vec<u8>], round: usize) -> f64 {
    let mut spent = Duration::ZERO;
    let mut done = 0;
    while done < MEASURED {
        let mut descriptors = [[0; Descriptor::BYTES]; BURST];
        for slot in 0..load.burst {
            memory.pages[slot].copy_from_slice(&pages[(round + done + slot) % pages.len()]);
            memory.records[slot].clear();
            descriptors[slot] = descriptor(memory, slot, load.compress).to_bytes();
        }
        let begin = Instant::now();
        // SAFETY: what they name is `memory`'s, which is left alone until all have
        // completed, or leaked with the process.
        unsafe { submit(way, &descriptors[..load.burst]) };
        for record in &memory.records[..load.burst] {
            while record.poll().is_none() {
                assert!(
                    begin.elapsed() < PATIENCE,
                    "{}: nothing completes",
                    way.name
                );
                core::hint::spin_loop();
            }
        }
        spent += begin.elapsed();
        for record in &memory.records[..load.burst] {
            assert_eq!(record.poll(), Some(Status::SUCCESS.0), "{}", way.name);
        }
        done += load.burst;
    }
    spent.as_nanos() as f64 / done as f64
}

fn descriptor(memory: &Memory, slot: usize, compress: bool) -> Descriptor {
    let completion = memory.records[slot].as_ptr().expose_provenance() as u64;
    if !compress {
        return Descriptor {
            completion,
            ..Base::plain().noop()
        };
    }
    Descriptor {
        completion,
        src1: address(&memory.pages[slot]),
        src1_len: PAGE as u32,
        dst: address(&memory.packed[slot]),
        dst_max: 2 * PAGE as u32,
        src2: address(&memory.aecs),
        ..Base::plain().compress()
    }
}

/// Submits all of them.
///
/// # Safety
/// As for [`Portal::submit_burst`].
unsafe fn submit(way: &Way, mut descriptors: &[[u8; 64]]) {
    let begin = Instant::now();
    fence(Ordering::Release);
    while !descriptors.is_empty() {
        // SAFETY: the caller's promise is the same.
        let (taken, then) = unsafe { way.portal.submit_burst(descriptors) };
        descriptors = &descriptors[taken..];
        let goes_on = then != Submission::Gone && begin.elapsed() < PATIENCE;
        assert!(goes_on, "{}: nothing is taken", way.name);
    }
}
