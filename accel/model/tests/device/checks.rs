//! What the device refuses before it touches data, and what it finds missing.

use super::client::{Client, shared, unmapped_page};
use super::codes::{Case, GEN1, GEN2, MAX_TRANSFER};
use pagepress_abi::aecs::compress as aecs;
use pagepress_abi::flags::{compress, compress2, decompress, op};
use pagepress_abi::{Completion, Descriptor, Opcode, Status, SwError};
use pagepress_model::device::Device;
use pagepress_model::memory::{Checked, Trusting};
use pagepress_model::profile::{Profile, QueueConfig};

const BASE: u32 = op::CRAV | op::RCR;

fn case(
    how: &'static str,
    opcode: Opcode,
    change: fn(&mut Descriptor),
    status: Status,
    invalid_flags: u32,
) -> Case {
    let change = move |_: &mut Client, d: &mut Descriptor| change(d);
    let mut case = Case::new(how, GEN1, opcode, status, change);
    case.expected.invalid_flags = invalid_flags;
    case
}

fn gen2(mut case: Case) -> Case {
    case.on = GEN2;
    case
}

/// What there is to be refused.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = refusals();
    cases.extend(page_faults());
    cases.push(unrecorded(
        "record in a page that is gone",
        Status::CR_FAULT,
        |d| {
            d.completion = unmapped_page();
        },
    ));
    cases.push(unrecorded(
        "record at an odd place",
        Status::CR_MISALIGNED,
        |d| {
            d.completion += 8;
        },
    ));
    cases
}

fn unrecorded(how: &'static str, status: Status, change: fn(&mut Descriptor)) -> Case {
    let mut case = case(how, Opcode::COMPRESS, change, status, 0);
    case.recorded = false;
    case
}

fn refusals() -> Vec<Case> {
    use Opcode as O;
    use Status as S;
    let flags = S::BAD_FLAGS;
    let op_flags = S::BAD_OP_FLAGS;
    vec![
        case("nothing wrong", O::NOOP, |_| {}, S::SUCCESS, 0),
        case("nothing wrong", O::DRAIN, |_| {}, S::SUCCESS, 0),
        case("nothing wrong", O::COMPRESS, |_| {}, S::SUCCESS, 0),
        case("nothing wrong", O::DECOMPRESS, |_| {}, S::SUCCESS, 0),
        case("nothing wrong", O::CRC64, |_| {}, S::SUCCESS, 0),
        // The opcode.
        case("batch", Opcode(0x01), |_| {}, S::BAD_OPCODE, 0),
        case(
            "translation fetch",
            O::TRANSLATION_FETCH,
            |_| {},
            S::BAD_OPCODE,
            0,
        ),
        case("scan", Opcode(0x50), |_| {}, S::BAD_OPCODE, 0),
        case("expand", Opcode(0x56), |_| {}, S::BAD_OPCODE, 0),
        case("encrypt", Opcode(0x41), |_| {}, S::BAD_OPCODE, 0),
        case("no such opcode", Opcode(0xFF), |_| {}, S::BAD_OPCODE, 0),
        // Operation flags.
        case("fence", O::COMPRESS, |d| d.opcode_flags |= 1, op_flags, 1),
        case(
            "bit 20",
            O::DECOMPRESS,
            |d| d.opcode_flags |= 1 << 20,
            op_flags,
            1 << 20,
        ),
        case(
            "bit 23",
            O::CRC64,
            |d| d.opcode_flags |= 1 << 23,
            op_flags,
            1 << 23,
        ),
        case(
            "interrupt",
            O::NOOP,
            |d| d.opcode_flags |= 1 << 4,
            op_flags,
            1 << 4,
        ),
        case(
            "no RCR",
            O::COMPRESS,
            |d| d.opcode_flags &= !op::RCR,
            op_flags,
            op::RCR,
        ),
        case(
            "wait in a noop",
            O::NOOP,
            |d| d.opcode_flags |= 2,
            op_flags,
            2,
        ),
        case(
            "cache in a noop",
            O::NOOP,
            |d| d.opcode_flags |= 1 << 8,
            op_flags,
            1 << 8,
        ),
        case(
            "cache in CRC64",
            O::CRC64,
            |d| d.opcode_flags |= 1 << 8,
            op_flags,
            1 << 8,
        ),
        case(
            "order in a drain",
            O::DRAIN,
            |d| d.opcode_flags |= 1 << 13,
            op_flags,
            1 << 13,
        ),
        case(
            "CRC-32C for CRC64",
            O::CRC64,
            |d| d.opcode_flags |= op::CRC32C,
            op_flags,
            op::CRC32C,
        ),
        case(
            "toggle without AECS",
            O::DECOMPRESS,
            |d| d.opcode_flags |= op::AECS_TOGGLE,
            op_flags,
            op::AECS_TOGGLE,
        ),
        case(
            "second filter input",
            O::DECOMPRESS,
            |d| d.opcode_flags |= op::READ_SRC2_FILTER,
            op_flags,
            op::READ_SRC2,
        ),
        case(
            "compress without AECS",
            O::COMPRESS,
            |d| {
                d.opcode_flags &= !op::READ_SRC2;
                (d.src2, d.src2_len) = (0, 0);
            },
            op_flags,
            op::READ_SRC2,
        ),
        case(
            "compress with AECS on overflow",
            O::COMPRESS,
            |d| d.opcode_flags |= op::WRITE_SRC2_OVERFLOW,
            op_flags,
            op::WRITE_SRC2,
        ),
        case(
            "statistics with AECS",
            O::COMPRESS,
            |d| d.flags = compress::STATISTICS,
            op_flags,
            op::READ_SRC2,
        ),
        gen2(case(
            "two-pass header without AECS to write",
            O::COMPRESS,
            |d| d.flags = 6 << compress::HEADER_GEN_SHIFT,
            op_flags,
            op::WRITE_SRC2,
        )),
        gen2(case(
            "partial AECS that is not read",
            O::DECOMPRESS,
            |d| d.flags |= decompress::LOAD_PARTIAL,
            op_flags,
            op::READ_SRC2,
        )),
        // Flags at 38.
        case("bit 9", O::COMPRESS, |d| d.flags |= 1 << 9, flags, 1 << 9),
        case(
            "dictionary",
            O::COMPRESS,
            |d| d.flags |= 1 << 10,
            flags,
            1 << 10,
        ),
        case(
            "header generation",
            O::COMPRESS,
            |d| d.flags |= 3 << 12,
            flags,
            3 << 12,
        ),
        gen2(case(
            "statistics and header",
            O::COMPRESS,
            |d| d.flags = 3 << 12 | compress::STATISTICS,
            flags,
            1,
        )),
        case(
            "no enable",
            O::DECOMPRESS,
            |d| d.flags = decompress::FLUSH,
            flags,
            1,
        ),
        case(
            "bit 15",
            O::DECOMPRESS,
            |d| d.flags |= 1 << 15,
            flags,
            1 << 15,
        ),
        case(
            "index with output",
            O::DECOMPRESS,
            |d| d.flags |= 1 << 10,
            flags,
            1 << 10,
        ),
        case(
            "partial AECS",
            O::DECOMPRESS,
            |d| {
                d.flags |= decompress::LOAD_PARTIAL;
                d.opcode_flags |= op::READ_SRC2_AECS;
            },
            flags,
            1 << 13,
        ),
        case(
            "fourth end bit",
            O::DECOMPRESS,
            |d| d.flags |= 1 << 14,
            flags,
            1 << 14,
        ),
        case("inflate in CRC64", O::CRC64, |d| d.flags = 1, flags, 1),
        // Flags at 56.
        case(
            "compression-2",
            O::COMPRESS,
            |d| d.flags2 = 1 << 3,
            S::BAD_FLAGS2,
            1 << 3,
        ),
        gen2(case(
            "bit 7",
            O::COMPRESS,
            |d| d.flags2 = 1 << 7,
            S::BAD_FLAGS2,
            1 << 7,
        )),
        gen2(case(
            "tables without header",
            O::COMPRESS,
            |d| d.flags2 = compress2::WRITE_TABLES,
            S::BAD_FLAGS2,
            compress2::WRITE_TABLES,
        )),
        // Reserved fields.
        case(
            "elements",
            O::COMPRESS,
            |d| d.elements = 1,
            S::BAD_RESERVED,
            0,
        ),
        case(
            "flags at 56",
            O::DECOMPRESS,
            |d| d.flags2 = 1,
            S::BAD_RESERVED,
            0,
        ),
        case(
            "source 2",
            O::DECOMPRESS,
            |d| d.src2 = 64,
            S::BAD_RESERVED,
            0,
        ),
        case(
            "interrupt handle",
            O::COMPRESS,
            |d| d.interrupt_handle = 1,
            S::BAD_RESERVED,
            0,
        ),
        case(
            "source in a noop",
            O::NOOP,
            |d| d.src1 = 1,
            S::BAD_RESERVED,
            0,
        ),
        case(
            "destination in CRC64",
            O::CRC64,
            |d| d.dst = 1,
            S::BAD_RESERVED,
            0,
        ),
        // Sizes.
        case(
            "source above the queue's limit",
            O::DECOMPRESS,
            |d| {
                d.src1_len = MAX_TRANSFER + 1;
            },
            S::BAD_SIZE,
            0,
        ),
        case(
            "neither source nor room",
            O::DECOMPRESS,
            |d| {
                (d.src1_len, d.dst_max) = (0, 0);
            },
            S::BAD_SIZE,
            0,
        ),
        case(
            "compress AECS too short",
            O::COMPRESS,
            |d| d.src2_len = 1536,
            S::BAD_SIZE,
            0,
        ),
        case(
            "AECS of no size",
            O::COMPRESS,
            |d| d.src2_len = 0,
            S::BAD_SIZE,
            0,
        ),
        // Alignment.
        case(
            "AECS address",
            O::COMPRESS,
            |d| d.src2 += 16,
            S::BAD_ALIGNMENT,
            0,
        ),
        case(
            "AECS size",
            O::DECOMPRESS,
            |d| {
                d.opcode_flags |= op::WRITE_SRC2_AECS;
                d.src2_len = 100;
            },
            S::BAD_ALIGNMENT,
            0,
        ),
        // Overlap.
        case(
            "destination in source",
            O::COMPRESS,
            |d| d.dst = d.src1 + 100,
            S::OVERLAP,
            0,
        ),
        case(
            "destination in AECS",
            O::COMPRESS,
            |d| d.dst = d.src2 + 8,
            S::OVERLAP,
            0,
        ),
        case(
            "source in AECS",
            O::COMPRESS,
            |d| d.src1 = d.src2 + 4,
            S::OVERLAP,
            0,
        ),
        // 16-bit big-endian.
        case(
            "odd size",
            O::DECOMPRESS,
            |d| {
                d.flags |= decompress::BE16;
                d.src1_len = 7;
            },
            S::BAD_BE16_SIZE,
            0,
        ),
        // No refusal, but no error either.
        case(
            "output too small",
            O::DECOMPRESS,
            |d| d.dst_max = 100,
            S::OUTPUT_OVERFLOW,
            0,
        ),
    ]
}

/// Unmapped memory, in turn under each of the addresses.
fn page_faults() -> Vec<Case> {
    type Place = fn(&mut Descriptor, u64);
    let gone = unmapped_page();
    let faults: [(&str, Place, Status, u8); 5] = [
        (
            "source in a page that is gone",
            |d, gone| d.src1 = gone - 100,
            Status::PAGE_FAULT,
            0,
        ),
        (
            "AECS in a page that is gone",
            |d, gone| d.src2 = gone - 64,
            Status::PAGE_FAULT,
            0,
        ),
        (
            "destination in a page that is gone",
            |d, gone| d.dst = gone - 8,
            Status::PAGE_FAULT,
            Status::WRITE_FAULT,
        ),
        (
            "source in a page that is gone, waiting",
            |d, gone| {
                d.src1 = gone;
                d.opcode_flags |= op::BLOCK_ON_FAULT;
            },
            Status::PAGE_FAULT_UNRESOLVED,
            0,
        ),
        (
            "destination in a page that is gone, waiting",
            |d, gone| {
                d.dst = gone + 5;
                d.opcode_flags |= op::BLOCK_ON_FAULT;
            },
            Status::PAGE_FAULT_UNRESOLVED,
            Status::WRITE_FAULT,
        ),
    ];
    let case = |(how, place, status, write): (_, Place, _, _)| {
        let change = move |_: &mut Client, d: &mut Descriptor| place(d, gone);
        let mut case = Case::new(how, GEN1, Opcode::COMPRESS, status, change);
        case.expected.status |= write;
        case.expected.fault_addr = gone;
        case
    };
    faults.into_iter().map(case).collect()
}

#[test]
fn waiting_needs_the_queue_to_allow_it() {
    for block_on_fault in [false, true] {
        let config = QueueConfig {
            block_on_fault,
            ..shared(16)
        };
        let mut client = Client::new(Device::new(Profile::GEN1, Trusting, &[config]).unwrap());
        let mut descriptor = client.sound(Opcode::COMPRESS);
        descriptor.opcode_flags |= op::BLOCK_ON_FAULT;
        let completion = client.submit(&descriptor).unwrap();
        if block_on_fault {
            assert_eq!(completion.status(), Status::SUCCESS);
        } else {
            assert_eq!(completion.status(), Status::BAD_OP_FLAGS);
            assert_eq!(completion.invalid_flags, op::BLOCK_ON_FAULT);
        }
    }
}

/// What would be told by a record that faults is told by the register.
#[test]
fn a_record_that_faults_is_in_the_register() {
    let device = Device::new(Profile::GEN1, Checked::new().unwrap(), &[shared(16)]).unwrap();
    let gone = unmapped_page();
    let mut client = Client::new(device.clone());
    let mut descriptor = client.sound(Opcode::COMPRESS);
    descriptor.completion = gone;
    client.submit_unseen(&descriptor);
    let error = device.software_error().unwrap();
    assert_eq!(
        (error.error, error.address, error.overflow),
        (SwError::CR_FAULT, gone, false)
    );
}

#[test]
fn a_misaligned_record_is_never_written() {
    let device = Device::new(Profile::GEN1, Trusting, &[shared(16)]).unwrap();
    let mut client = Client::new(device.clone());
    for times in 1..=2 {
        let mut descriptor = client.sound(Opcode::COMPRESS);
        descriptor.completion += 8;
        client.submit_unseen(&descriptor);
        assert_eq!(client.record_bytes(), [0; 64]);
        let error = device.software_error().unwrap();
        assert_eq!(
            (error.error, error.overflow),
            (SwError::CR_MISALIGNED, times > 1)
        );
    }
    device.clear_software_error();
    assert_eq!(device.software_error(), None);
    assert_eq!(device.counters().software_errors, 2);
}

#[test]
fn a_noop_may_go_without_a_record() {
    let device = Device::new(Profile::GEN1, Trusting, &[shared(16)]).unwrap();
    let mut client = Client::new(device.clone());
    let mut descriptor = client.sound(Opcode::NOOP);
    descriptor.opcode_flags &= !BASE;
    descriptor.completion = 0;
    client.submit_unseen(&descriptor);
    assert_eq!(device.counters().completed, 1);
    // RCR without CRAV asks for a record without a place.
    descriptor.opcode_flags |= op::RCR;
    client.submit_unseen(&descriptor);
    assert_eq!(
        device.software_error().unwrap().error.0,
        Status::BAD_OP_FLAGS.0
    );
}

/// Suppressed output is written nowhere, even if the destination is an address
/// of something else.
#[test]
fn suppressed_output_goes_nowhere() {
    let device = Device::new(Profile::GEN1, Trusting, &[shared(16)]).unwrap();
    let mut client = Client::new(device);
    let mut descriptor = client.sound(Opcode::DECOMPRESS);
    let plain = client.submit(&descriptor).unwrap();
    descriptor.flags |= decompress::SUPPRESS_OUTPUT;
    descriptor.dst = descriptor.src1;
    descriptor.dst_max = 1;
    let source = client.source();
    let completion = client.submit(&descriptor).unwrap();
    assert_eq!(completion.status(), Status::SUCCESS);
    assert_eq!((completion.crc, completion.xor), (plain.crc, plain.xor));
    assert_eq!(client.source(), source);
}

#[test]
fn compress_says_what_it_did() {
    let device = Device::new(Profile::GEN1, Trusting, &[shared(16)]).unwrap();
    let mut client = Client::new(device);
    let descriptor = client.sound(Opcode::COMPRESS);
    assert_eq!(descriptor.src2_len as usize, aecs::BYTES);
    let completion = client.submit(&descriptor).unwrap();
    assert!(completion.output_size > 0 && completion.output_size < 4096);
    let unused = Completion {
        status: 1,
        output_size: completion.output_size,
        output_bits: completion.output_bits,
        crc: completion.crc,
        xor: completion.xor,
        ..Completion::default()
    };
    assert_eq!(completion, unused, "fields without a meaning are 0");
}
