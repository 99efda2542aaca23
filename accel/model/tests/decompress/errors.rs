//! Causes of errors, and what is none.

use crate::stream::{Stream, some};
use crate::writers::{text, zlib};
use crate::{GEN1, GEN2, job, run};
use pagepress_abi::aecs::decompress as at;
use pagepress_abi::flags::{decompress as flag, op};
use pagepress_abi::{ErrorCode, Status};
use pagepress_model::op::{End, Job};

/// Errors that have more than one cause: the others. One of each is among the
/// tests of the device.
#[test]
fn errors_have_several_causes() {
    use ErrorCode as E;
    let s = Stream::new;
    let two = some(257, &[(0, 1), (256, 1)]);
    let table: Vec<(ErrorCode, &str, Stream)> = vec![
        (
            E::NO_LL_CODE,
            "no end-of-block",
            s().dynamic(true, &some(257, &[(0, 1), (1, 1)]), &[0]),
        ),
        (
            E::WRONG_LL_COUNT,
            "zeros that cross into the distances",
            s().plain_dynamic(true, 258, 3)
                .lengths(&two)
                .code(17, 5)
                .bits(0, 3)
                .lengths(&[1]),
        ),
        (
            E::BAD_CL_LENGTHS,
            "no code at all",
            s().block(true, 2).counts(257, 1, 4).bits(0, 12).bits(0, 32),
        ),
        (
            E::BAD_LL_CODE,
            "287",
            s().block(true, 1).fixed(287).bits(0, 32),
        ),
        (
            E::BAD_LL_CODE,
            "a code that is not there",
            s().dynamic(true, &some(257, &[(0, 1), (256, 2)]), &[0])
                .bits(!0, 32),
        ),
        (
            E::BAD_D_CODE,
            "31",
            s().block(true, 1).fixed(97).fixed_match(3, 31, 0, 32),
        ),
        (
            E::BAD_D_CODE,
            "no distance has a code",
            s().dynamic(true, &some(258, &[(256, 1), (257, 1)]), &[0])
                .code(1, 1)
                .bits(0, 32),
        ),
        (
            E::BAD_D_CODE,
            "the other code than the single one",
            s().dynamic(true, &some(258, &[(0, 2), (256, 2), (257, 1)]), &[1])
                .code(0b10, 2)
                .code(0, 1)
                .code(1, 1)
                .bits(0, 32),
        ),
        (
            E::BAD_END,
            "the token is not complete",
            s().block(true, 1).fixed(97).bits(0, 3),
        ),
        (
            E::BAD_END,
            "the end is not of the final block",
            s().block(false, 1).fixed(97).fixed(256),
        ),
        (E::BAD_END, "no input", s()),
        (E::BAD_END, "half a stored block", {
            let mut stream = s().stored(true, b"abcd");
            stream.bytes.pop();
            stream
        }),
        (
            E::BAD_DISTANCE,
            "before it is before the start",
            s().block(true, 1).fixed_match(3, 29, 0, 13).bits(0, 32),
        ),
        (
            E::HLIT_TOO_LARGE,
            "and too many distances",
            s().plain_dynamic(true, 288, 31).bits(0, 32),
        ),
        (
            E::HDIST_TOO_LARGE,
            "32",
            s().plain_dynamic(true, 257, 32).bits(0, 32),
        ),
    ];
    for generation in [GEN1, GEN2] {
        for (code, why, stream) in &table {
            let (end, product) = run(&job(generation, &stream.bytes));
            assert_eq!(end, End::error(*code), "{why}");
            assert!(product.aecs.is_empty());
        }
    }
}

/// What is said of an AECS that is not right.
#[test]
fn an_aecs_can_be_wrong() {
    use ErrorCode as E;
    let data = text(9000);
    let stream = zlib(&data, 6);
    for (generation, other) in [(GEN1, GEN2), (GEN2, GEN1)] {
        let first = Job {
            op_flags: op::WRITE_SRC2_AECS,
            src2_len: at::BYTES,
            dst_max: 5000,
            ..job(generation, &stream)
        };
        let (end, product) = run(&first);
        let rest = &stream[end.bytes_completed as usize..];
        let again = |generation, change: &dyn Fn(&mut [u8])| {
            let mut aecs = product.aecs.clone();
            change(&mut aecs);
            let (end, _) = run(&Job {
                aecs: Some(&aecs),
                src2_len: at::BYTES,
                ..job(generation, rest)
            });
            end.error
        };
        assert_eq!(again(generation, &|_| ()), E(0));
        let foreign = if other == GEN2 {
            E::BAD_AECS_FORMAT
        } else {
            E::BAD_AECS
        };
        assert_eq!(again(other, &|_| ()), foreign);
        assert_eq!(again(generation, &|a| a[at::FORMAT] = 2), E::BAD_AECS);
        assert_eq!(again(generation, &|a| a[at::OUTPUT_BITS] |= 2), E::BAD_AECS);
        assert_eq!(
            again(generation, &|a| a[at::OUTPUT_BITS] |= 64),
            E::BAD_AECS
        );
        assert_eq!(again(generation, &|a| a[at::INPUT_SIZES] = 65), E::BAD_AECS);
        assert_eq!(
            again(generation, &|a| a[at::INPUT_SIZES + 9] = 1),
            E::BAD_AECS
        );
        let pointer = |a: &mut [u8]| a[at::HISTORY_POINTER..][..2].copy_from_slice(&[0, 0x10]);
        assert_eq!(again(generation, &pointer), E::BAD_AECS);
        // A code with a hole in its mask.
        let mask = |a: &mut [u8]| a[at::EOB..][..4].copy_from_slice(&[0, 0x80, 0, 0x50]);
        assert_eq!(again(generation, &mask), E::BAD_AECS);
        for (state, error) in [
            (2, E::BAD_STATE),
            (6, E::BAD_STATE),
            (16, E::BAD_STATE),
            (12, E(0)),
            // An end-of-block that is not of a final block.
            (8, E::BAD_END),
        ] {
            let change = |a: &mut [u8]| {
                a[at::STATE] = state;
                a[0x43C..0x440].fill(0);
            };
            assert_eq!(again(generation, &change), error, "{state}");
        }
        // A match that cannot be.
        assert_eq!(
            again(generation, &|a| a[0x43C..0x440].fill(0xFF)),
            E::BAD_STATE
        );
    }
}

/// A header of more than 256 bytes that is cut off does not fit.
#[test]
fn a_long_header_cannot_be_saved() {
    // 286 + 30 lengths of 7 bits each: 5 in code, and all of them 8 or 9.
    let lengths: Vec<u8> = [vec![8; 226], vec![9; 60]].concat();
    let stream = Stream::new().dynamic(true, &lengths, &[5; 30]).code(0, 9);
    assert!(stream.len < 2048, "{}", stream.len);
    let longer = Stream::new().block(true, 2).counts(286, 30, 19);
    // A code-length code whose 8 and 9 have seven bits.
    let cl = [7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7];
    let longer = cl.iter().fold(longer, |s, &l| s.bits(l, 3));
    let longer = lengths
        .iter()
        .chain(&[5; 30])
        .fold(longer, |s, &l| s.code(l.into(), 7));
    assert!(longer.len > 2048);
    // The end-of-block, symbol 256, is among those of nine bits.
    let longer = longer.code(226 * 2 + 30, 9);
    let (end, _) = run(&job(GEN1, &longer.bytes));
    assert_eq!(end.status, Status::SUCCESS, "{end:?}");
    for cut in 1..longer.bytes.len() {
        let first = Job {
            op_flags: op::WRITE_SRC2_AECS,
            flags: flag::ENABLE,
            src2_len: at::BYTES,
            ..job(GEN1, &longer.bytes[..cut])
        };
        let (end, product) = run(&first);
        if cut > 256 && 8 * cut < longer.len - 9 {
            assert_eq!(end, End::error(ErrorCode::HEADER_TOO_LARGE), "{cut}");
            continue;
        }
        assert_eq!(end.status, Status::SUCCESS, "{cut}");
        let (end, _) = run(&Job {
            aecs: Some(&product.aecs),
            src2_len: at::BYTES,
            ..job(GEN1, &longer.bytes[cut..])
        });
        assert_eq!(end.status, Status::SUCCESS, "{cut}");
    }
}

/// Codes that zlib writes and that are not complete.
#[test]
fn codes_need_not_be_complete() {
    let literals = some(258, &[(97, 1), (256, 2), (257, 2)]);
    for distances in [&[1][..], &[1, 0, 0], &[2, 2], &[5], &[1, 1]] {
        let len = usize::from(distances[0]);
        let stream = Stream::new()
            .dynamic(true, &literals, distances)
            .code(0, 1)
            .code(0b11, 2)
            .code(0, len)
            .code(0b10, 2);
        let (end, product) = run(&job(GEN1, &stream.bytes));
        assert_eq!(
            (end.status, &product.output[..]),
            (Status::SUCCESS, &b"aaaa"[..])
        );
    }
    for literals in [some(257, &[(256, 1)]), some(257, &[(256, 15)])] {
        let stream = Stream::new().dynamic(true, &literals, &[0]);
        let stream = stream.code(0, literals[256].into());
        let (end, product) = run(&job(GEN1, &stream.bytes));
        assert_eq!((end.status, product.output.len()), (Status::SUCCESS, 0));
    }
}
