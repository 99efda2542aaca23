//! Modelled devices, their doors, and what every completion record keeps to.

#![expect(unsafe_code, reason = "descriptors name memory by address")]

use pagepress_abi::flags::{compress, decompress, op};
use pagepress_abi::{
    Completion, Descriptor, ErrorCode, IaaCap, Opcode, Portal, Status, Submission,
};
use pagepress_model::device::{Counters, Device};
use pagepress_model::memory::Memory;
use pagepress_model::profile::{Profile, QueueConfig};

/// The most bytes that a transfer on the second queue may have.
const SMALL_TRANSFER: u64 = 8192;

/// The queues of a device: one with all that can be set, one with little, and
/// one that takes descriptors by MOVDIR64B.
pub(crate) const QUEUES: [QueueConfig; 3] = [
    QueueConfig::shared(8),
    QueueConfig {
        max_transfer: SMALL_TRANSFER,
        block_on_fault: false,
        ..QueueConfig::shared(1)
    },
    QueueConfig::dedicated(8),
];

/// Generation 2 with all that the engines know of it.
const SECOND: Profile = Profile::gen2(
    IaaCap::GEN2
        .with(IaaCap::DROP_BITS)
        .with(IaaCap::LOAD_PARTIAL)
        .with(IaaCap::EARLY_ABORT)
        .with(IaaCap::DICTIONARY)
        .with(IaaCap::HEADER_GEN),
);

/// A device of generation 1, or of generation 2 with all that the model has.
pub(crate) fn device(second: bool, memory: impl Memory + 'static) -> Device {
    let profile = if second { SECOND } else { Profile::GEN1 };
    Device::new(profile, memory, &QUEUES).expect("a sound configuration")
}

/// Submits to a queue by its own instruction or by `write(2)`; whether the
/// device has taken the descriptor, which is then done with.
///
/// # Safety
/// The device's memory checks addresses, or those in the descriptor are its
/// client's to give away.
pub(crate) unsafe fn submit(
    device: &Device,
    queue: usize,
    by_write: bool,
    descriptor: &[u8; 64],
) -> bool {
    let queue = device.queue(queue);
    let taken = if by_write {
        // SAFETY: the caller's promise is the same.
        let written = unsafe { queue.write(descriptor) };
        match written {
            Ok(len) => {
                assert_eq!(len, descriptor.len());
                true
            }
            Err(error) => {
                assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
                false
            }
        }
    } else {
        // SAFETY: the caller's promise is the same.
        let submission = unsafe { queue.submit(descriptor) };
        assert_eq!(submission, Submission::Accepted, "an empty queue is full");
        true
    };
    assert_eq!(queue.occupancy(), 0, "an entry was not given back");
    taken
}

/// What one descriptor, taken or not, added to a device's counters: whether it
/// completed.
///
/// # Panics
/// If it did not end exactly once.
pub(crate) fn completed(before: Counters, after: Counters, taken: bool) -> bool {
    let accepted = after.accepted - before.accepted;
    let completed = after.completed - before.completed;
    let errors = after.software_errors - before.software_errors;
    assert_eq!(accepted, u64::from(taken), "descriptors accepted");
    assert_eq!(completed + errors, accepted, "completions of a descriptor");
    assert_eq!(
        (after.retried, after.dropped),
        (before.retried, before.dropped)
    );
    completed == 1
}

/// The addresses of the AECS that is read, and of the one that is written.
pub(crate) fn aecs_halves(d: &Descriptor) -> (u64, u64) {
    let (low, high) = (d.src2, d.src2.wrapping_add(u64::from(d.src2_len)));
    if d.op_flags() >> 22 & 1 == 0 {
        (low, high)
    } else {
        (high, low)
    }
}

/// Codes of errors that Decompress can end with, and that Compress can.
const DECOMPRESS_ERRORS: [u8; 23] = [
    0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x0E, 0x0F, 0x11,
    0x12, 0x16, 0x17, 0x23, 0x24, 0x2D, 0x2E,
];
const INDEX_ERRORS: [u8; 3] = [0x1A, 0x1B, 0x1C];
const COMPRESS_ERRORS: [u8; 8] = [0x16, 0x19, 0x1E, 0x28, 0x29, 0x2A, 0x2B, 0x2C];

/// Whether a descriptor with this status has been run: not refused, and not
/// stopped by a fault.
pub(crate) fn was_run(status: Status) -> bool {
    matches!(status.0, 0x01 | 0x0A | 0x0B)
}

/// Checks a record against the descriptor alone.
///
/// # Panics
/// If no device may write such a record for it.
pub(crate) fn check_record(d: &Descriptor, bytes: &[u8; 64]) -> Completion {
    let record = Completion::from_bytes(bytes);
    let status = record.status();
    let two_sided = matches!(d.opcode(), Opcode::COMPRESS | Opcode::DECOMPRESS);
    let waits = d.op_flags() & op::BLOCK_ON_FAULT != 0;

    // What is reserved, or belongs to other operations. No modelled device
    // says more about faults.
    let crc64 = d.opcode() == Opcode::CRC64 && status == Status::SUCCESS;
    for (at, &byte) in bytes.iter().enumerate() {
        let used =
            matches!(at, 0..=1 | 4..=19 | 24..=28 | 30..=35) || crc64 && (40..48).contains(&at);
        assert!(used || byte == 0, "byte {at} of the record: {record:?}");
    }

    // Section 4.4.1: which statuses there are, and when.
    let possible = match record.status {
        0x01 | 0x10..=0x13 => true,
        0x03 | 0x83 => !waits,
        0x04 | 0x84 => waits,
        0x0A => two_sided,
        0x0B => d.opcode() == Opcode::DECOMPRESS,
        0x16 => true,
        0x1C => two_sided,
        0x30 => two_sided || d.opcode() == Opcode::CRC64,
        0x31 => d.opcode() == Opcode::COMPRESS,
        0x32 => {
            d.opcode() == Opcode::DECOMPRESS
                && d.flags & decompress::BE16 != 0
                && d.src1_len % 2 == 1
        }
        _ => false,
    };
    assert!(possible, "a status that cannot be: {record:?}");

    let error = match (record.status, d.opcode()) {
        (0x0A, Opcode::COMPRESS) => COMPRESS_ERRORS.contains(&record.error),
        (0x0A, _) => {
            DECOMPRESS_ERRORS.contains(&record.error)
                || d.flags & decompress::INDEXING != 0 && INDEX_ERRORS.contains(&record.error)
        }
        _ => record.error().0 == 0,
    };
    assert!(error, "an error that cannot be: {record:?}");
    let too_large = ErrorCode::HEADER_TOO_LARGE;
    let writes = d.op_flags() & op::WRITE_SRC2 != 0;
    assert!(record.error() != too_large || writes, "nothing to be saved");

    let most = match record.status {
        0x0B => d.src1_len,
        0x83 | 0x84 => d.dst_max,
        _ => 0,
    };
    assert!(record.bytes_completed <= most, "{record:?}");
    let fault = matches!(record.status & 0x7F, 0x03 | 0x04);
    assert!(fault || record.fault_addr == 0, "{record:?}");
    assert_eq!(record.fault_addr % 4096, 0, "{record:?}");
    let flags_named = match record.status {
        0x11 => record.invalid_flags != 0 && record.invalid_flags >> 24 == 0,
        0x30 => record.invalid_flags != 0 && record.invalid_flags >> 16 == 0,
        0x31 => record.invalid_flags != 0,
        _ => record.invalid_flags == 0,
    };
    assert!(flags_named, "{record:?}");

    let output_most = if was_run(status) { d.dst_max } else { 0 };
    assert!(record.output_size <= output_most, "{record:?}");
    let flushed = d.opcode() == Opcode::COMPRESS
        && status == Status::SUCCESS
        && d.flags & compress::FLUSH != 0;
    let bits_most = match d.flags & compress::BE16 {
        _ if !flushed => 0,
        0 => 7,
        _ => 15,
    };
    assert!(record.output_bits <= bits_most, "{record:?}");
    let summed = two_sided && matches!(record.status, 0x01 | 0x0B);
    assert!(summed || (record.crc, record.xor) == (0, 0), "{record:?}");
    record
}

/// The XOR of the 16-bit words of `data`, after that of what came before.
pub(crate) fn xor(seed: u16, data: &[u8]) -> u16 {
    let (wide, rest) = data.as_chunks::<8>();
    let wide = wide
        .iter()
        .fold(0, |sum, &word| sum ^ u64::from_le_bytes(word));
    let words = (0..4).map(|i| (wide >> (16 * i)) as u16);
    let tail = rest.chunks(2).map(|word| {
        let high = word.get(1).copied().unwrap_or(0);
        u16::from_le_bytes([word[0], high])
    });
    words.chain(tail).fold(seed, |sum, word| sum ^ word)
}
