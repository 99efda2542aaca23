//! CRC64 of what the input inflates to.

#![expect(unsafe_code, reason = "descriptors name memory of the test")]

use super::client::{Region, shared};
use pagepress_abi::flags::{crc64 as flag, op};
use pagepress_abi::{Completion, Descriptor, ErrorCode, Opcode, Portal, Status};
use pagepress_model::crc64::crc64;
use pagepress_model::device::Device;
use pagepress_model::memory::Trusting;
use pagepress_model::profile::Profile;

const ECMA_182: u64 = 0x42F0_E1EB_A9EA_3693;

fn run(source: &[u8], polynomial: u64, flags: u16) -> Completion {
    let device = Device::new(Profile::GEN2, Trusting, &[shared(1)]).unwrap();
    let (src1, record) = (Region::new(source.len()), Region::new(64));
    src1.put(0, source);
    let mut d = Descriptor::new(Opcode::CRC64, op::CRAV | op::RCR);
    d.completion = record.address();
    (d.src1, d.src1_len) = (src1.address(), source.len() as u32);
    d.flags = flags;
    (d.flags2, d.elements) = (polynomial as u32, (polynomial >> 32) as u32);
    // SAFETY: the regions outlive the work, which is done when this returns.
    unsafe { device.queue(0).submit(&d.to_bytes()) };
    Completion::from_bytes(record.get(0, 64).first_chunk().expect("64 bytes"))
}

/// The bits of every 16-bit word, from the other end.
fn words(bytes: &[u8]) -> Vec<u8> {
    let turn = |pair: &[u8]| u16::from_le_bytes([pair[0], pair[1]]).reverse_bits();
    let turned = bytes.chunks_exact(2).map(|pair| turn(pair).to_le_bytes());
    turned.flatten().collect()
}

#[test]
fn crc_of_what_is_inflated() {
    // More than one piece of 64 KiB, and not a multiple.
    let data: Vec<u8> = include_bytes!("checks.rs").repeat(12);
    assert!(data.len() > 150_000);
    let stop = flag::ENABLE | 1 << 2 | 1 << 3 | 1 << 4;
    // Matches within the device's history only.
    let mut packed: Vec<u8> = Vec::new();
    for chunk in data.chunks(4096) {
        let stored = [chunk.len() as u16, !(chunk.len() as u16)].map(u16::to_le_bytes);
        packed.push(0);
        packed.extend(stored.concat());
        packed.extend(chunk);
    }
    packed.extend(miniz_oxide::deflate::compress_to_vec(&data[..4000], 9));
    let inflated = [&data[..], &data[..4000]].concat();
    for flags in [0, flag::INVERT, flag::INVERT | flag::BE_BIT_ORDER] {
        let expected = Completion {
            status: Status::SUCCESS.0,
            crc64: crc64(ECMA_182, flags, &inflated),
            ..Completion::default()
        };
        assert_eq!(run(&packed, ECMA_182, flags | stop), expected);
        let plain = crc64(ECMA_182, flags, &packed);
        assert_eq!(run(&packed, ECMA_182, flags).crc64, plain);
        let mut even = packed.clone();
        even.resize(packed.len().next_multiple_of(2), 0);
        let be16 = flags | stop | flag::BE16;
        assert_eq!(run(&words(&even), ECMA_182, be16), expected);
    }
}

#[test]
fn what_does_not_inflate_is_an_error() {
    let failed = |source: &[u8], flags| {
        let completion = run(source, ECMA_182, flags);
        (
            completion.status(),
            completion.error(),
            completion.invalid_flags,
            completion.crc64,
        )
    };
    assert_eq!(
        failed(&[0x07], flag::ENABLE),
        (Status::ANALYTICS_ERROR, ErrorCode::BAD_BLOCK_TYPE, 0, 0)
    );
    for (flags, invalid) in [
        (flag::ENABLE | 1 << 1, 1 << 1),
        (1 << 2, 1 << 2),
        (flag::ENABLE | flag::IGNORE_END_BITS_8, 1 << 9),
        (flag::ENABLE | 1 << 10, 1 << 10),
    ] {
        assert_eq!(
            failed(&[0x03, 0x00], flags),
            (Status::BAD_FLAGS, ErrorCode(0), invalid, 0)
        );
    }
    assert_eq!(
        failed(&[0x03, 0x00, 0x00], flag::ENABLE | flag::BE16).0,
        Status::BAD_BE16_SIZE
    );
}
