//! How queues take descriptors, and how they refuse them.

#![expect(unsafe_code, reason = "descriptors name memory of the test")]

use super::client::{Client, shared};
use pagepress_abi::{Descriptor, Opcode, Portal, Status, Submission, SwError};
use pagepress_model::device::{ConfigError, Device, NotTaken, Queue};
use pagepress_model::memory::Trusting;
use pagepress_model::profile::{Profile, QueueConfig};
use pagepress_model::work::{Ending, Work};

fn device(queues: &[QueueConfig]) -> Device {
    Device::new(Profile::GEN1, Trusting, queues).expect("a sound configuration")
}

fn accept(queue: &Queue, descriptor: &Descriptor) -> Result<Work, NotTaken> {
    // SAFETY: the descriptor names memory of a client that outlives the work.
    unsafe { queue.accept(&descriptor.to_bytes()) }
}

fn enqcmd(queue: &Queue, descriptor: &Descriptor) -> Submission {
    // SAFETY: as above; the model is done when this returns.
    unsafe { queue.enqcmd(&descriptor.to_bytes()) }
}

fn movdir64b(queue: &Queue, descriptor: &Descriptor) {
    // SAFETY: as above; the model is done when this returns.
    unsafe { queue.movdir64b(&descriptor.to_bytes()) };
}

fn write(queue: &Queue, descriptors: &[Descriptor]) -> Result<usize, i32> {
    let bytes: Vec<u8> = descriptors.iter().flat_map(Descriptor::to_bytes).collect();
    // SAFETY: as above; the model is done when this returns.
    unsafe { queue.write(&bytes) }.map_err(|error| error.raw_os_error().expect("an errno"))
}

/// A shared queue says retry from its threshold on, and takes more as soon as
/// something has completed.
#[test]
fn a_shared_queue_is_full_at_its_threshold() {
    let device = device(&[QueueConfig {
        threshold: 3,
        ..shared(8)
    }]);
    let mut client = Client::new(device.clone());
    let descriptor = client.sound(Opcode::COMPRESS);
    let queue = device.queue(0);
    let mut held: Vec<_> = (0..3)
        .map(|_| accept(&queue, &descriptor).unwrap())
        .collect();
    assert_eq!(queue.occupancy(), 3);
    assert_eq!(enqcmd(&queue, &descriptor), Submission::Retry);
    assert_eq!(write(&queue, &[descriptor]), Err(libc::EAGAIN));
    held.pop().unwrap().complete();
    assert_eq!(enqcmd(&queue, &descriptor), Submission::Accepted);
    // Work that is dropped never completes, but gives its entry back.
    drop(held);
    assert_eq!(queue.occupancy(), 0);
    let counters = device.counters();
    assert_eq!(
        (counters.accepted, counters.retried, counters.completed),
        (4, 2, 2)
    );
    assert_eq!(device.software_error(), None);
}

/// A dedicated queue drops what it has no room for, and only a register says
/// so; ENQCMD is not for it, as MOVDIR64B is not for a shared one.
#[test]
fn a_full_dedicated_queue_drops() {
    let device = device(&[QueueConfig::dedicated(2), shared(2)]);
    let mut client = Client::new(device.clone());
    let descriptor = client.sound(Opcode::NOOP);
    let (dedicated, shared) = (device.queue(0), device.queue(1));
    let held: Vec<_> = (0..2)
        .map(|_| accept(&dedicated, &descriptor).unwrap())
        .collect();
    movdir64b(&dedicated, &descriptor);
    let error = device.software_error().unwrap();
    assert_eq!(
        (error.error, error.queue, error.opcode),
        (SwError::QUEUE_FULL, 0, Opcode::NOOP)
    );
    drop(held);
    assert_eq!(enqcmd(&dedicated, &descriptor), Submission::Retry);
    movdir64b(&shared, &descriptor);
    let counters = device.counters();
    assert_eq!(
        (counters.accepted, counters.dropped, counters.completed),
        (2, 1, 0)
    );
    // The portal picks the instruction that the queue takes.
    for queue in [dedicated, shared] {
        // SAFETY: as above; the model is done when this returns.
        let submission = unsafe { queue.submit(&descriptor.to_bytes()) };
        assert_eq!(submission, Submission::Accepted);
    }
    assert_eq!(device.counters().completed, 2);
}

#[test]
fn disabled_and_halted_queues_take_nothing() {
    let device = device(&[shared(4), QueueConfig::dedicated(4)]);
    let mut client = Client::new(device.clone());
    let descriptor = client.sound(Opcode::NOOP);
    let refuses = || {
        movdir64b(&device.queue(1), &descriptor);
        enqcmd(&device.queue(0), &descriptor) == Submission::Retry
    };
    device.halt();
    assert!(refuses());
    device.reset();
    device.set_enabled(0, false);
    device.set_enabled(1, false);
    assert!(refuses());
    assert_eq!(device.counters().accepted, 0);
    assert_eq!(
        device.software_error(),
        None,
        "a queue that is off drops in silence"
    );
    device.set_enabled(0, true);
    assert_eq!(enqcmd(&device.queue(0), &descriptor), Submission::Accepted);
}

/// `write(2)`: as many as fit, an error only if none does.
#[test]
fn write_takes_what_it_can() {
    let device = device(&[shared(4)]);
    let mut client = Client::new(device.clone());
    let good = client.sound(Opcode::COMPRESS);
    let crooked = Descriptor {
        completion: good.completion + 32,
        ..good
    };
    let queue = device.queue(0);
    assert_eq!(
        write(&queue, &[good; 9]),
        Ok(9 * 64),
        "each completes before the next"
    );
    assert_eq!(write(&queue, &[good, good, crooked, good]), Ok(2 * 64));
    assert_eq!(write(&queue, &[crooked, good]), Err(libc::EINVAL));
    assert_eq!(write(&queue, &[]), Err(libc::EINVAL));
    // SAFETY: refused for its length.
    let odd = unsafe { queue.write(&[0; 100]) };
    assert_eq!(odd.unwrap_err().raw_os_error(), Some(libc::EINVAL));
    let held: Vec<_> = (0..3).map(|_| accept(&queue, &good).unwrap()).collect();
    let before = device.counters().completed;
    assert_eq!(write(&queue, &[good; 3]), Ok(3 * 64));
    assert_eq!(device.counters().completed - before, 3);
    drop(held);
}

/// The sources are copied when a descriptor is taken: what the client does to
/// them later does not matter.
#[test]
fn sources_are_read_when_taken() {
    let device = device(&[shared(4)]);
    let mut client = Client::new(device.clone());
    let descriptor = client.sound(Opcode::DECOMPRESS);
    let expected = client.submit(&descriptor).unwrap();
    let work = accept(&device.queue(0), &descriptor).unwrap();
    client.sound(Opcode::COMPRESS);
    work.complete();
    let record = client.record_bytes();
    let completion = pagepress_abi::Completion::from_bytes(&record);
    assert_eq!(completion, expected);
}

#[test]
fn disturbed_work() {
    let device = device(&[shared(4)]);
    let mut client = Client::new(device.clone());
    let descriptor = client.sound(Opcode::DECOMPRESS);
    let sound = client.submit(&descriptor).unwrap();
    let output = client.destination(sound.output_size as usize);
    let work = accept(&device.queue(0), &descriptor).unwrap();
    work.run().publish(&Ending::Flipped(56));
    let mut wrong = client.destination(output.len());
    wrong[7] ^= 1;
    assert_eq!(wrong, output);
    let failed = pagepress_abi::Completion {
        status: Status::HARDWARE_ERROR.0,
        ..pagepress_abi::Completion::default()
    };
    accept(&device.queue(0), &descriptor)
        .unwrap()
        .run()
        .publish(&Ending::Instead(failed));
    assert_eq!(
        pagepress_abi::Completion::from_bytes(&client.record_bytes()),
        failed
    );
}

#[test]
fn impossible_configurations() {
    let device = |queues: &[QueueConfig]| Device::new(Profile::GEN1, Trusting, queues).err();
    assert_eq!(device(&[shared(128)]), None);
    assert_eq!(device(&[shared(16); 9]), Some(ConfigError::TooManyQueues));
    assert_eq!(
        device(&[shared(100), shared(29)]),
        Some(ConfigError::TooManyEntries)
    );
    assert_eq!(device(&[shared(0)]), Some(ConfigError::EmptyQueue));
    let odd = QueueConfig {
        max_transfer: 3 << 20,
        ..shared(1)
    };
    assert_eq!(device(&[odd]), Some(ConfigError::BadTransferSize));
}

/// Clients on several threads, each with its own memory, on one queue.
#[test]
fn threads_share_a_queue() {
    let device = device(&[shared(2)]);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let device = device.clone();
            scope.spawn(move || {
                let mut client = Client::new(device.clone());
                let compress = client.sound(Opcode::COMPRESS);
                for _ in 0..50 {
                    while enqcmd(&device.queue(0), &compress) == Submission::Retry {
                        std::thread::yield_now();
                    }
                    assert_eq!(client.record_bytes()[0], Status::SUCCESS.0);
                }
            });
        }
    });
    assert_eq!(device.counters().completed, 200);
}
