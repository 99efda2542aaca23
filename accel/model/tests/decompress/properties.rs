//! Anything at all.

use crate::chains::chained;
use crate::writers::{text, zlib, zlib_blocks};
use crate::{GEN1, GEN2, job, run};
use pagepress_abi::aecs::decompress as at;
use pagepress_abi::flags::{decompress as flag, op};
use pagepress_abi::{ErrorCode, IaaCap, Status};
use pagepress_model::decompress::Decompressor;
use pagepress_model::op::{Generation, Job, Product};
use proptest::prelude::*;

/// Any AECS of the right format.
fn arbitrary_aecs() -> impl Strategy<Value = Vec<u8>> {
    let bytes = prop::collection::vec(any::<u8>(), 0..at::BYTES + 100);
    (bytes, 0..16_u8, any::<bool>(), any::<bool>()).prop_map(|(mut aecs, state, mend, zero)| {
        if mend && aecs.len() >= 0x440 {
            let number = aecs[0] & 1;
            aecs[at::OUTPUT_BITS..][..4].copy_from_slice(&[24 * number + number, 0, 0, 0]);
            aecs[at::FORMAT] = number;
            aecs[at::INPUT_SIZES..][..32].fill(0);
            aecs[at::STATE..][..4].copy_from_slice(&[state, 0, 0, 0]);
            aecs[at::STORED_LEFT..][..8].copy_from_slice(&[100, 0, 0, 0, 0, 0, 0, 0]);
            if zero {
                aecs[at::EOB..at::STATE].fill(0);
            }
            if let Some(high) = aecs.get_mut(at::HISTORY_POINTER + 1) {
                *high |= 0x80;
            }
        }
        aecs
    })
}

/// A job without a limit on what it may hold.
#[derive(Debug, Clone)]
struct Any {
    two: Option<u64>,
    op_flags: u32,
    flags: u16,
    src1: Vec<u8>,
    aecs: Option<Vec<u8>>,
    src2_len: usize,
    dst_max: usize,
}

fn any_job() -> impl Strategy<Value = Any> {
    let deflate = (0..3000_usize, 0..10_i32).prop_map(|(len, level)| zlib(&text(len), level));
    let src1 = prop_oneof![prop::collection::vec(any::<u8>(), 0..600), deflate];
    (
        any::<Option<u64>>(),
        any::<u32>(),
        any::<u16>(),
        src1,
        prop::option::of(arbitrary_aecs()),
        0..8000_usize,
        0..6000_usize,
    )
        .prop_map(
            |(two, op_flags, flags, src1, aecs, src2_len, dst_max)| Any {
                two,
                op_flags,
                flags,
                src1,
                aecs,
                src2_len,
                dst_max,
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn nothing_is_too_strange(jobs in prop::collection::vec(any_job(), 1..4)) {
        let mut engine = Decompressor::new();
        let mut product = Product::default();
        for any in jobs {
            let end = engine.run(
                &Job {
                    generation: any.two.map_or(GEN1, |caps| Generation::Two(IaaCap(caps))),
                    op_flags: any.op_flags,
                    flags: any.flags,
                    flags2: 0,
                    src1: &any.src1,
                    aecs: any.aecs.as_deref(),
                    src2_len: any.src2_len,
                    dst_max: any.dst_max,
                },
                &mut product,
            );
            prop_assert!(product.output.len() <= any.dst_max);
            prop_assert!(product.aecs.len() <= any.src2_len);
            prop_assert!(end.bytes_completed as usize <= any.src1.len());
            prop_assert!((end.status == Status::ANALYTICS_ERROR) == (end.error != ErrorCode(0)));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() })]

    #[test]
    fn cut_anywhere(
        len in 0..20_000_usize,
        level in 0..10_i32,
        block in 100..5000_usize,
        two in any::<bool>(),
        pieces in prop::collection::vec(0..300_usize, 0..60),
        rooms in prop::collection::vec(1..700_usize, 0..60),
    ) {
        let data = text(len);
        let generation = if two { GEN2 } else { GEN1 };
        for stream in [zlib(&data, level), zlib_blocks(&data, level, block)] {
            let whole = job(generation, &stream);
            let (mut pieces, mut rooms) = (pieces.iter().copied(), rooms.iter().copied());
            prop_assert!(chained(whole, &mut pieces, &mut rooms) == Ok(data.clone()));
        }
    }

    /// An AECS from the middle of a stream, damaged.
    #[test]
    fn a_damaged_aecs_is_survived(
        len in 100..9000_usize,
        level in 0..10_i32,
        cut in any::<prop::sample::Index>(),
        dst_max in 1..5000_usize,
        two in any::<bool>(),
        flags in any::<u16>(),
        // Where the fields are, rather than the history.
        flips in prop::collection::vec((0..0x4E8_usize, 0..8_u8), 1..6),
    ) {
        let stream = zlib(&text(len), level);
        let generation = if two { GEN2 } else { GEN1 };
        let mut product = Product::default();
        let mut engine = Decompressor::new();
        let first = Job {
            op_flags: op::WRITE_SRC2_AECS,
            flags: flag::ENABLE,
            src2_len: at::BYTES,
            dst_max,
            ..job(generation, &stream[..cut.index(stream.len())])
        };
        if engine.run(&first, &mut product).status == Status::ANALYTICS_ERROR {
            return Ok(());
        }
        let mut aecs = product.aecs.clone();
        for (at, bit) in flips {
            aecs[at] ^= 1 << bit;
        }
        let next = Job { flags, aecs: Some(&aecs), ..first };
        let end = engine.run(&next, &mut product);
        prop_assert!(product.output.len() <= dst_max);
        prop_assert!(product.aecs.is_empty() == (end.status == Status::ANALYTICS_ERROR));
    }

    /// An error is the same error in however many jobs.
    #[test]
    fn errors_do_not_depend_on_cuts(
        len in 1..3000_usize,
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0..8_u8), 1..4),
        piece in 1..50_usize,
        room in 1..500_usize,
    ) {
        let mut stream = zlib(&text(len), 9);
        for (at, bit) in flips {
            *at.get_mut(&mut stream) ^= 1 << bit;
        }
        let (end, product) = run(&job(GEN1, &stream));
        let once = match end.status {
            Status::SUCCESS => Ok(product.output),
            _ => Err(end.error),
        };
        let mut pieces = std::iter::repeat(piece);
        let mut rooms = std::iter::repeat(room);
        let cut = chained(job(GEN1, &stream), &mut pieces, &mut rooms);
        // A header may be too long to be cut.
        if cut != Err(ErrorCode::HEADER_TOO_LARGE) {
            prop_assert_eq!(once, cut);
        }
    }

    /// What miniz_oxide makes of damaged streams, where both have an opinion.
    #[test]
    fn agrees_with_miniz(
        len in 1..2000_usize,
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0..8_u8), 0..3),
    ) {
        let mut stream = zlib(&text(len), 6);
        for (at, bit) in flips {
            *at.get_mut(&mut stream) ^= 1 << bit;
        }
        let (end, product) = run(&job(GEN1, &stream));
        if let Ok(data) = miniz_oxide::inflate::decompress_to_vec_with_limit(&stream, 1 << 20) {
            // It allows what the device does not, but where both read on they
            // read the same.
            if end.status == Status::SUCCESS {
                prop_assert_eq!(product.output, data);
            } else {
                let stricter = [
                    ErrorCode::WRONG_LL_COUNT,
                    ErrorCode::FIRST_D_REPEATS,
                    ErrorCode::BAD_DISTANCE,
                    ErrorCode::NO_LL_CODE,
                ];
                prop_assert!(stricter.contains(&end.error), "{:?}", end.error);
            }
        }
    }
}
