//! Devices that take time: what is done when, and what others have measured.

#![expect(unsafe_code, reason = "descriptors name memory of the test")]

use super::client::{Client, shared};
use pagepress_abi::flags::op;
use pagepress_abi::{Descriptor, Opcode, Portal, Status, Submission};
use pagepress_model::device::Device;
use pagepress_model::memory::Trusting;
use pagepress_model::profile::{Profile, QueueConfig};
use pagepress_model::time::{Cost, Costs, TimedQueue, Timeline};
use std::time::{Duration, Instant};

fn device(queue: QueueConfig) -> Device {
    Device::new(Profile::GEN1, Trusting, &[queue]).expect("a sound configuration")
}

/// A client for each descriptor in flight, with its descriptor.
fn clients(device: &Device, opcode: Opcode, count: usize) -> Vec<(Client, Descriptor)> {
    let client = |_| {
        let mut client = Client::new(device.clone());
        let descriptor = client.sound(opcode);
        (client, descriptor)
    };
    (0..count).map(client).collect()
}

fn submit(portal: &dyn Portal, descriptor: &Descriptor) -> Submission {
    // SAFETY: the descriptor names memory of a client, and all clients here
    // outlive the timelines that hold their work.
    unsafe { portal.submit(&descriptor.to_bytes()) }
}

fn status(client: &Client) -> Status {
    Status::of(client.poll())
}

/// Virtual nanoseconds that a page takes in batches of this size, over the
/// portals in turn.
fn per_page(batch: &[(Client, Descriptor)], timeline: &Timeline, portals: &[TimedQueue]) -> u64 {
    let start = timeline.now();
    let batches = 50;
    for _ in 0..batches {
        for (i, (client, descriptor)) in batch.iter().enumerate() {
            client.clear_record();
            assert_eq!(
                submit(&portals[i % portals.len()], descriptor),
                Submission::Accepted
            );
        }
        while batch
            .iter()
            .any(|(client, _)| status(client) == Status::NOT_YET)
        {
            assert!(timeline.step(), "what is pending completes");
        }
    }
    (timeline.now() - start) / (batches * batch.len() as u64)
}

/// The default costs reproduce what was measured on devices: Linux' zswap
/// series tells 3503, 1356 and 706 ns a page with its own work included, QPL's
/// benchmark 3.23 to 3.26 us without.
#[test]
fn batches_and_devices_cost_what_was_published() {
    let batch_of = |batch: usize, devices: usize| {
        let timeline = Timeline::in_virtual_time();
        let devices: Vec<Device> = (0..devices).map(|_| device(shared(128))).collect();
        let batch = clients(&devices[0], Opcode::COMPRESS, batch);
        let portals: Vec<TimedQueue> = devices
            .iter()
            .map(|device| timeline.device(device.clone(), Costs::default()).queue(0))
            .collect();
        per_page(&batch, &timeline, &portals)
    };
    println!("modelled ns a page    1 device  2 devices  4 devices");
    for batch in [1, 2, 4, 8, 16, 32] {
        let [one, two, four] = [1, 2, 4].map(|devices| batch_of(batch, devices));
        println!("batch of {batch:2}           {one:8}  {two:9}  {four:9}");
    }
    let [alone, batched, spread] = [(1, 1), (8, 1), (8, 4)].map(|(b, d)| batch_of(b, d));
    assert!((3230..=3503).contains(&alone), "{alone}");
    assert!((1000..=1356).contains(&batched), "{batched}");
    assert!((500..=706).contains(&spread), "{spread}");
}

#[test]
fn virtual_time_fills_a_queue_until_something_completes() {
    let timeline = Timeline::in_virtual_time();
    let device = device(QueueConfig {
        threshold: 4,
        ..shared(8)
    });
    let queue = timeline.device(device.clone(), Costs::default()).queue(0);
    let clients = clients(&device, Opcode::COMPRESS, 5);
    let submissions: Vec<_> = clients.iter().map(|(_, d)| submit(&queue, d)).collect();
    assert_eq!(submissions[..4], [Submission::Accepted; 4]);
    assert_eq!(submissions[4], Submission::Retry);
    assert_eq!(timeline.now(), 5 * Costs::default().enqcmd);
    assert_eq!((queue.queue().occupancy(), timeline.pending()), (4, 4));
    assert!(clients.iter().all(|(c, _)| status(c) == Status::NOT_YET));
    assert!(timeline.step());
    assert_eq!(status(&clients[0].0), Status::SUCCESS);
    assert_eq!(status(&clients[1].0), Status::NOT_YET);
    assert_eq!(submit(&queue, &clients[4].1), Submission::Accepted);
    timeline.advance(1_000_000);
    assert!(clients.iter().all(|(c, _)| status(c) == Status::SUCCESS));
    assert!(!timeline.step());
}

#[test]
fn a_drain_waits_for_its_queue() {
    let timeline = Timeline::in_virtual_time();
    let device = device(shared(8));
    let queue = timeline.device(device.clone(), Costs::default()).queue(0);
    let work = clients(&device, Opcode::COMPRESS, 3);
    let drain = clients(&device, Opcode::DRAIN, 1);
    let late = clients(&device, Opcode::NOOP, 1);
    for (_, descriptor) in work.iter().chain(&drain).chain(&late) {
        assert_eq!(submit(&queue, descriptor), Submission::Accepted);
    }
    let drained = || status(&drain[0].0) == Status::SUCCESS;
    while !drained() {
        assert!(timeline.step());
        let before = work.iter().all(|(c, _)| status(c) == Status::SUCCESS);
        assert_eq!(drained(), before);
    }
    assert_eq!(status(&late[0].0), Status::SUCCESS, "it need not wait");
}

/// What a device held when it was reset is never written, whatever becomes of
/// the memory.
#[test]
fn nothing_is_written_after_a_reset() {
    type Forget = fn(&Device);
    let ways: [Forget; 3] = [
        |device| device.reset(),
        |device| {
            device.halt();
            device.reset();
        },
        |device| {
            device.abort(0);
            device.set_enabled(0, true);
        },
    ];
    for forget in ways {
        let timeline = Timeline::in_virtual_time();
        let device = device(shared(8));
        let queue = timeline.device(device.clone(), Costs::default()).queue(0);
        let clients = clients(&device, Opcode::COMPRESS, 3);
        for (_, descriptor) in &clients {
            assert_eq!(submit(&queue, descriptor), Submission::Accepted);
        }
        timeline.step();
        forget(&device);
        let untouched = clients[1].0.destination(4096);
        timeline.advance(1_000_000);
        assert_eq!(status(&clients[0].0), Status::SUCCESS);
        for (client, _) in &clients[1..] {
            assert_eq!(client.record_bytes(), [0; 64]);
            assert_eq!(client.destination(4096), untouched);
        }
        let counters = device.counters();
        assert_eq!((counters.completed, counters.abandoned), (1, 2));
        assert_eq!(queue.queue().occupancy(), 0);
        assert_eq!(submit(&queue, &clients[1].1), Submission::Accepted);
        timeline.step();
        assert_eq!(status(&clients[1].0), Status::SUCCESS);
    }
}

/// In real time a thread completes behind the client's back, not before it is
/// due, and in the order in which it is.
#[test]
fn real_time_completes_by_itself() {
    let wait = Duration::from_millis(20);
    let slow = Cost {
        fixed: wait.as_nanos() as u64,
        bytes_per_us: 0,
    };
    let device = device(shared(2));
    let clients = clients(&device, Opcode::COMPRESS, 3);
    let timeline = Timeline::in_real_time();
    let costs = Costs {
        compress: slow,
        ..Costs::NONE
    };
    let queue = timeline.device(device.clone(), costs).queue(0);
    let start = Instant::now();
    for (_, descriptor) in &clients[..2] {
        assert_eq!(submit(&queue, descriptor), Submission::Accepted);
    }
    assert_eq!(submit(&queue, &clients[2].1), Submission::Retry);
    for (client, _) in &clients[..2] {
        while status(client) == Status::NOT_YET {
            assert!(start.elapsed() < Duration::from_secs(60), "it completes");
            std::thread::yield_now();
        }
        assert!(start.elapsed() >= wait);
        assert_eq!(status(client), Status::SUCCESS);
    }
    // What is pending when the last handle goes never completes.
    assert_eq!(submit(&queue, &clients[2].1), Submission::Accepted);
    drop((queue, timeline));
    assert_eq!(status(&clients[2].0), Status::NOT_YET);
}

/// Descriptors that are refused cost what a NOOP does.
#[test]
fn refusals_cost_little() {
    let timeline = Timeline::in_virtual_time();
    let device = device(shared(8));
    let queue = timeline.device(device.clone(), Costs::default()).queue(0);
    let mut clients = clients(&device, Opcode::COMPRESS, 1);
    let (client, descriptor) = &mut clients[0];
    descriptor.opcode_flags &= !op::RCR;
    assert_eq!(submit(&queue, descriptor), Submission::Accepted);
    timeline.step();
    assert_eq!(status(client), Status::BAD_OP_FLAGS);
    let costs = Costs::default();
    assert_eq!(timeline.now(), costs.enqcmd + costs.noop);
}
