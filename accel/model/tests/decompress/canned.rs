//! Tables that come in an AECS.

use crate::stream::Stream;
use crate::writers::{text, zlib};
use crate::{GEN1, GEN2, job, run, sums};
use pagepress_abi::Status;
use pagepress_abi::aecs::decompress as at;
use pagepress_abi::flags::{decompress as flag, op};
use pagepress_model::decompress::Decompressor;
use pagepress_model::op::{End, Generation, Job, Product};

/// A table AECS from a header alone, read by many jobs.
#[test]
fn canned_tables() {
    let page = text(4096);
    let stream = miniz_oxide::deflate::compress_to_vec(&page, 9);
    // One block in a code of its own. Its header is the shortest beginning
    // after which the decoder expects a token.
    assert_eq!(stream[0] & 7, 5);
    let at_token = |bits: usize| {
        let (end, product) = header_job(GEN1, &stream, bits, 1088);
        assert_eq!(end.status, Status::SUCCESS);
        product.aecs[at::STATE] == 4
    };
    let bits = (3..8 * stream.len()).find(|&bits| at_token(bits)).unwrap();
    // The rest, moved to a byte boundary.
    let mut body = Stream::new();
    for bit in bits..8 * stream.len() {
        body = body.bits(u32::from(stream[bit / 8] >> (bit % 8) & 1), 1);
    }

    for (generation, size) in [
        (GEN1, 1088),
        (GEN2, 1248),
        (GEN1, at::BYTES),
        (GEN2, at::BYTES),
    ] {
        let (end, product) = header_job(generation, &stream, bits, size);
        assert_eq!((end.status, end.crc, end.xor), (Status::SUCCESS, 0, 0));
        assert!(product.output.is_empty());
        let mut aecs = product.aecs;
        assert_eq!(aecs.len(), size);
        let mut engine = Decompressor::new();
        let mut product = Product::default();
        for state in [None, Some(4), Some(0)] {
            if let Some(state) = state {
                aecs[at::STATE..at::STATE + 4].copy_from_slice(&[state, 0, 0, 0]);
            }
            // A client of the kernel's kind, and one of QPL's.
            for flags in [0x000F, flag::ENABLE | flag::FLUSH | flag::STOP_ON_EOB] {
                let body = Job {
                    flags,
                    aecs: Some(&aecs),
                    src2_len: size,
                    dst_max: page.len(),
                    ..job(generation, &body.bytes)
                };
                let end = engine.run(&body, &mut product);
                assert_eq!((end.status, end.crc), (Status::SUCCESS, sums(&page).0));
                assert_eq!(product.output, page);
                if generation == GEN2 {
                    let partial = Job {
                        flags: flags | flag::LOAD_PARTIAL,
                        aecs: Some(&aecs[at::PARTIAL_START..]),
                        src2_len: size - at::PARTIAL_START,
                        ..body
                    };
                    let end = engine.run(&partial, &mut product);
                    assert_eq!((end.status, &product.output), (Status::SUCCESS, &page));
                }
                // Another stream in between.
                let other = zlib(&page, 6);
                assert_eq!(engine.run(&job(GEN1, &other), &mut product).crc, end.crc);
            }
        }
    }
}

/// A job that reads the first bits of a stream, for the sake of its AECS.
fn header_job(generation: Generation, stream: &[u8], bits: usize, size: usize) -> (End, Product) {
    let ignored = (bits.next_multiple_of(8) - bits) as u16;
    run(&Job {
        op_flags: op::WRITE_SRC2_AECS | op::AECS_TOGGLE,
        flags: flag::ENABLE | flag::SUPPRESS_OUTPUT | ignored << flag::IGNORE_END_BITS_SHIFT,
        src2_len: size,
        dst_max: 0,
        ..job(generation, &stream[..bits.div_ceil(8)])
    })
}

/// The tables that QPL makes for Huffman-only streams: literals alone, with
/// gaps between the lengths.
#[test]
fn literal_tables_made_by_software() {
    // 'a' has 0, 'b' 100, 'c' 101; 11 is not used.
    let mut one = vec![0; 1248];
    let put = |aecs: &mut [u8], at: usize, value: u32| {
        aecs[at..at + 4].copy_from_slice(&value.to_le_bytes());
    };
    put(&mut one, 0x1F4, 1 | 2 << 5); // Codes of 1 and of 3 bits,
    put(&mut one, 0x208, 4 << 5); // the first of them,
    put(&mut one, 0x1E0, 1 << 5); // where their values are.
    for (i, ones) in [
        0x07FF_FFFF,
        0x07FF_FFFF,
        0x007F_FFFF,
        0x07FF_FFFF,
        0x7FFF_FFFF,
    ]
    .into_iter()
    .enumerate()
    {
        put(&mut one, 0x21C + 4 * i, ones);
    }
    let mut two = one.clone();
    one[0x328..0x32B].copy_from_slice(b"abc");
    two[0x1E0..0x1F4].fill(0);
    // Entries 97, 98, 99 have 11 bits each, behind 1·4 + 5 + 2·6 + … bits.
    let start: usize = (0..97_usize)
        .map(|i| 4 + (usize::BITS - i.leading_zeros()) as usize)
        .sum();
    for (i, entry) in [1, 3, 3 | 1 << 4].into_iter().enumerate() {
        for bit in (0..11).filter(|bit| entry >> bit & 1 != 0) {
            let bit = start + 11 * i + bit;
            two[0x340 + bit / 8] |= 1 << (bit % 8);
        }
    }
    two[at::OUTPUT_BITS] = 1;
    two[at::FORMAT] = 1;
    let stream = Stream::new()
        .code(0, 1)
        .code(4, 3)
        .code(0, 1)
        .code(5, 3)
        .code(5, 3);
    let ignored = (8 * stream.bytes.len() - stream.len) as u16;
    for (generation, aecs) in [(GEN1, one), (GEN2, two)] {
        let (end, product) = run(&Job {
            flags: flag::ENABLE | flag::FLUSH | ignored << flag::IGNORE_END_BITS_SHIFT,
            aecs: Some(&aecs),
            src2_len: 1248,
            ..job(generation, &stream.bytes)
        });
        assert_eq!(end.status, Status::SUCCESS);
        assert_eq!(product.output, b"abacc");
    }
}
