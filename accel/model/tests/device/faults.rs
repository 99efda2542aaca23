//! Devices that fail on demand: each fault happens as planned, and is counted.

#![expect(unsafe_code, reason = "descriptors name memory of the test")]

use super::client::{Client, shared};
use super::codes::BY_FAULTS;
use pagepress_abi::flags::op;
use pagepress_abi::{Completion, Descriptor, ErrorCode, Opcode, Portal, Status, Submission};
use pagepress_model::device::Device;
use pagepress_model::faults::{Counts, Faults, Faulty};
use pagepress_model::memory::Trusting;
use pagepress_model::profile::Profile;
use pagepress_model::time::{Costs, Timeline};

/// A device of generation 2 with one faulty queue, and what stands around it.
struct Drill {
    timeline: Timeline,
    device: Device,
    faults: Faults,
    portal: Faulty,
}

impl Drill {
    fn new(plan: &str) -> Self {
        let device = Device::new(Profile::GEN2, Trusting, &[shared(8)]).unwrap();
        let timeline = Timeline::in_virtual_time();
        let faults = Faults::new(plan.parse().expect("a plan"));
        let queue = timeline
            .device(device.clone(), Costs::SAPPHIRE_RAPIDS)
            .queue(0);
        Self {
            portal: Faulty::new(queue, &faults),
            timeline,
            device,
            faults,
        }
    }

    fn client(&self, opcode: Opcode) -> (Client, Descriptor) {
        let mut client = Client::new(self.device.clone());
        let descriptor = client.sound(opcode);
        (client, descriptor)
    }

    fn submit(&self, client: &Client, descriptor: &Descriptor) -> Submission {
        client.clear_record();
        // SAFETY: the descriptor names memory of the client, which waits for
        // it or outlives the drill.
        unsafe { self.portal.submit(&descriptor.to_bytes()) }
    }

    /// Submits and waits, for a second of virtual time at most. Refusals are
    /// counted and tried again.
    fn run(&self, client: &Client, descriptor: &Descriptor) -> Seen {
        let start = self.timeline.now();
        let mut retries = 0;
        while self.submit(client, descriptor) == Submission::Retry {
            retries += 1;
            assert!(retries < 1000, "refusals end");
        }
        while client.poll() == 0 && self.timeline.now() - start < 1_000_000_000 {
            if !self.timeline.step() {
                self.timeline.advance(1_000_000_000);
            }
        }
        Seen {
            completion: Completion::from_bytes(&client.record_bytes()),
            nanoseconds: self.timeline.now() - start,
            retries,
        }
    }
}

/// What a client saw of a descriptor.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    completion: Completion,
    nanoseconds: u64,
    retries: u32,
}

/// What `count` descriptors of one kind met, under a plan.
fn campaign(plan: &str, opcode: Opcode, flags: u32, count: usize) -> (Vec<Seen>, Counts) {
    let drill = Drill::new(plan);
    let (client, mut descriptor) = drill.client(opcode);
    descriptor.opcode_flags |= flags;
    let seen = (0..count)
        .map(|_| drill.run(&client, &descriptor))
        .collect();
    assert_eq!(drill.device.counters().software_errors, 0);
    (seen, drill.faults.counts())
}

fn with_status(seen: &[Seen], status: u8) -> u64 {
    seen.iter()
        .filter(|seen| seen.completion.status == status)
        .count() as u64
}

/// Everything at once: what clients see is what was counted, and a plan with
/// the same seed does the same again.
#[test]
fn faults_are_counted_and_repeat() {
    let plan = "read-fault@1/20,write-fault@1/20,status:0x20@1/30,error:0x25@1/30,\
                early-abort@1/25,retry:3@1/20,late:50us-500us@1/20,seed:";
    let of = |seed: u64| campaign(&format!("{plan}{seed}"), Opcode::COMPRESS, 0, 1000);
    let (seen, counts) = of(7);
    assert_eq!(counts.accepted, 1000);
    assert_eq!(counts.read_faults, with_status(&seen, 0x03));
    assert_eq!(counts.write_faults, with_status(&seen, 0x83));
    assert_eq!(counts.statuses, with_status(&seen, 0x20));
    let with_error = |error: ErrorCode| {
        let of_error = seen.iter().filter(|s| s.completion.error() == error);
        of_error.count() as u64
    };
    assert_eq!(counts.errors, with_error(ErrorCode::ADMINISTRATIVE_TIMEOUT));
    assert_eq!(counts.early_aborts, with_error(ErrorCode::EARLY_ABORT));
    let retries = seen.iter().map(|seen| u64::from(seen.retries)).sum::<u64>();
    assert_eq!(counts.retries, retries);
    assert!(seen.iter().all(|seen| seen.retries % 3 == 0));
    let late = seen.iter().filter(|seen| seen.nanoseconds > 50_000);
    assert_eq!(counts.late, late.count() as u64);
    for (name, count) in [
        ("read faults", counts.read_faults),
        ("write faults", counts.write_faults),
        ("statuses", counts.statuses),
        ("errors", counts.errors),
        ("early aborts", counts.early_aborts),
        ("late", counts.late),
    ] {
        assert!((10..120).contains(&count), "{name}: {count}");
    }
    println!("{counts}");
    // But for addresses, which are the allocator's choice.
    let anywhere = |seen: &[Seen]| -> Vec<_> {
        let outline = |seen: &Seen| {
            let Completion { status, error, .. } = seen.completion;
            (status, error, seen.nanoseconds, seen.retries)
        };
        seen.iter().map(outline).collect()
    };
    let (again, counts_again) = of(7);
    assert_eq!(counts, counts_again);
    assert!(anywhere(&seen) == anywhere(&again));
    assert!(anywhere(&seen) != anywhere(&of(8).0));
}

/// A fault names a page of what is read or written; what comes before a write
/// fault is written.
#[test]
fn page_faults_are_where_the_data_is() {
    for opcode in [Opcode::COMPRESS, Opcode::DECOMPRESS] {
        let drill = Drill::new("write-fault");
        let (client, mut descriptor) = drill.client(opcode);
        // So that the output crosses a page.
        descriptor.dst += 4096 - (descriptor.dst + 100) % 4096;
        let mut faults = [0; 2];
        for _ in 0..40 {
            let seen = drill.run(&client, &descriptor).completion;
            assert_eq!(seen.status, 0x83);
            let page = descriptor.dst / 4096;
            let which = (seen.fault_addr / 4096 - page) as usize;
            assert_eq!(u64::from(seen.bytes_completed), 100 * which as u64);
            faults[which] += 1;
        }
        assert!(faults.iter().all(|&count| count > 5), "{faults:?}");
        let drill = Drill::new("read-fault");
        for _ in 0..40 {
            let seen = drill.run(&client, &descriptor).completion;
            let read = [
                (descriptor.src1, u64::from(descriptor.src1_len)),
                (descriptor.src2, u64::from(descriptor.src2_len)),
            ];
            let is_read = |(start, len): (u64, u64)| {
                (start / 4096 * 4096..start + len).contains(&seen.fault_addr)
            };
            assert!(seen.fault_addr % 4096 == 0 && read.into_iter().any(is_read));
            assert_eq!((seen.status, seen.bytes_completed), (0x03, 0));
        }
    }
}

/// A descriptor that waits for pages comes late instead.
#[test]
fn waiting_for_a_page_is_a_stall() {
    for plan in ["read-fault@1/4", "write-fault@1/4"] {
        let (seen, counts) = campaign(plan, Opcode::COMPRESS, op::BLOCK_ON_FAULT, 400);
        assert_eq!(with_status(&seen, 0x01), 400);
        // Nothing else takes longer than 3.5 us here.
        let stalled = seen.iter().filter(|seen| seen.nanoseconds > 4_400);
        assert_eq!(counts.stalls, stalled.count() as u64);
        assert_eq!(counts.total(), counts.stalls);
        assert!((60..140).contains(&counts.stalls));
    }
}

#[test]
fn statuses_and_errors_by_faults() {
    let unresolved = (Status::PAGE_FAULT_UNRESOLVED, ErrorCode(0));
    for &(status, error) in BY_FAULTS.iter().chain([&unresolved]) {
        let plan = match error.0 {
            0 => format!("status:{:#04x}", status.0),
            _ => format!("error:{:#04x}", error.0),
        };
        let drill = Drill::new(&plan);
        let (client, descriptor) = drill.client(Opcode::DECOMPRESS);
        let untouched = client.destination(4096);
        let seen = drill.run(&client, &descriptor).completion;
        assert_eq!((seen.status(), seen.error()), (status, error), "{plan}");
        assert_eq!(
            seen.fault_addr != 0,
            status == Status::PAGE_FAULT_UNRESOLVED
        );
        assert_eq!(client.destination(4096), untouched);
    }
}

/// One wrong bit, which the checksum of what was meant gives away.
#[test]
fn flips_are_one_bit_of_the_output() {
    let drill = Drill::new("flip/decompress@1/3");
    let (sound, descriptor) = drill.client(Opcode::COMPRESS);
    assert_eq!(
        drill.run(&sound, &descriptor).completion.status(),
        Status::SUCCESS
    );
    let (client, descriptor) = drill.client(Opcode::DECOMPRESS);
    let text = sound.source();
    let mut flips = 0;
    for _ in 0..60 {
        let seen = drill.run(&client, &descriptor).completion;
        let output = client.destination(4096);
        assert_eq!((seen.status(), seen.output_size), (Status::SUCCESS, 4096));
        let differ = output.iter().zip(&text).map(|(a, b)| (a ^ b).count_ones());
        let bits: u32 = differ.sum();
        assert!(bits <= 1);
        assert_eq!(crc32fast::hash(&output) != seen.crc, bits == 1);
        flips += u64::from(bits);
    }
    assert_eq!(flips, drill.faults.counts().flips);
    assert!(flips > 5);
}

/// A completion that does not come holds its entry until the device is reset.
#[test]
fn never_is_until_reset() {
    let drill = Drill::new("never@#2");
    let (client, descriptor) = drill.client(Opcode::COMPRESS);
    let statuses = || drill.run(&client, &descriptor).completion.status;
    assert_eq!([statuses(), statuses(), statuses()], [1, 0, 1]);
    assert_eq!(drill.portal.queue().queue().occupancy(), 1);
    // A Drain behind it does not come either.
    let (drain, descriptor) = drill.client(Opcode::DRAIN);
    assert_eq!(drill.run(&drain, &descriptor).completion.status, 0);
    drill.device.reset();
    assert_eq!(drill.run(&drain, &descriptor).completion.status, 1);
    assert_eq!(drill.portal.queue().queue().occupancy(), 0);
    assert_eq!(drill.faults.counts().never, 1);
}

#[test]
fn late_completions_come_out_of_order() {
    for (plan, alone) in [("late:40us@#2", 40_000), ("reorder@#2", 100_000)] {
        let drill = Drill::new(plan);
        let clients: Vec<_> = (0..4).map(|_| drill.client(Opcode::COMPRESS)).collect();
        for (client, descriptor) in &clients {
            assert_eq!(drill.submit(client, descriptor), Submission::Accepted);
        }
        let mut order = Vec::new();
        while order.len() < 4 {
            assert!(drill.timeline.step());
            for (i, (client, _)) in clients.iter().enumerate() {
                if client.poll() != 0 && !order.contains(&i) {
                    order.push(i);
                }
            }
        }
        let expected = if plan.starts_with("late") {
            [0, 2, 3, 1]
        } else {
            [0, 2, 1, 3]
        };
        assert_eq!(order, expected, "{plan}");
        // With nothing behind it, it comes all the same.
        let drill = Drill::new(plan);
        let (client, descriptor) = drill.client(Opcode::COMPRESS);
        drill.run(&client, &descriptor);
        let seen = drill.run(&client, &descriptor);
        assert_eq!(seen.completion.status(), Status::SUCCESS);
        assert!((alone..alone + 5_000).contains(&seen.nanoseconds));
        let counts = drill.faults.counts();
        assert_eq!(counts.late + counts.reordered, 1);
    }
}

/// With the third of five descriptors in flight the device halts, or the queue
/// is disabled: none of them completes, and none is taken until that ends.
#[test]
fn outages_lose_what_is_in_flight() {
    for (plan, recovers) in [
        ("halt@#3", false),
        ("disable@#3", false),
        ("halt:1ms@#3", true),
        ("disable:1ms@#3", true),
    ] {
        let drill = Drill::new(plan);
        let clients: Vec<_> = (0..5).map(|_| drill.client(Opcode::COMPRESS)).collect();
        let submissions: Vec<_> = clients
            .iter()
            .map(|(client, descriptor)| drill.submit(client, descriptor))
            .collect();
        let taken = submissions.iter().filter(|&&s| s == Submission::Accepted);
        assert_eq!(taken.count(), 3, "{plan}");
        drill.timeline.advance(500_000);
        let (client, descriptor) = &clients[4];
        assert_eq!(drill.submit(client, descriptor), Submission::Retry);
        drill.timeline.advance(1_000_000_000);
        assert!(clients.iter().all(|(client, _)| client.poll() == 0));
        assert_eq!(drill.device.counters().abandoned, 3);
        if recovers {
            assert_eq!(drill.run(client, descriptor).completion.status, 1);
        } else {
            assert_eq!(drill.submit(client, descriptor), Submission::Retry);
        }
        let counts = drill.faults.counts();
        assert_eq!((counts.halts + counts.disables, counts.total()), (1, 1));
    }
}

/// Threads that share a faulty device in real time: every descriptor is
/// accounted for.
#[test]
fn threads_meet_faults_in_real_time() {
    let device = Device::new(Profile::GEN1, Trusting, &[shared(2)]).unwrap();
    let timeline = Timeline::in_real_time();
    let faults = Faults::new(
        "late:1us-200us@1/3,retry@1/5,status:0x20@1/7,reorder@1/9"
            .parse()
            .unwrap(),
    );
    let queue = timeline
        .device(device.clone(), Costs::SAPPHIRE_RAPIDS)
        .queue(0);
    let (portal, each) = (Faulty::new(queue, &faults), 200);
    let failed: u64 = std::thread::scope(|scope| {
        let client = || {
            let mut client = Client::new(device.clone());
            let descriptor = client.sound(Opcode::COMPRESS).to_bytes();
            let mut failed = 0;
            for _ in 0..each {
                client.clear_record();
                // SAFETY: the client's memory, for which it waits below.
                while unsafe { portal.submit(&descriptor) } == Submission::Retry {
                    std::thread::yield_now();
                }
                while client.poll() == 0 {
                    std::thread::yield_now();
                }
                failed += u64::from(client.poll() == Status::HARDWARE_ERROR.0);
            }
            failed
        };
        let threads: Vec<_> = (0..3).map(|_| scope.spawn(client)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    let counts = faults.counts();
    assert_eq!((counts.accepted, counts.statuses), (3 * each, failed));
    assert!(counts.late > 0 && counts.retries > 0 && counts.reordered > 0);
    assert_eq!(device.counters().completed, 3 * each);
}
