//! A stream in many jobs, which an AECS links.

use crate::stream::Stream;
use crate::writers::{text, zlib, zlib_blocks};
use crate::{GEN1, GEN2, WHOLE, job, run, sums};
use pagepress_abi::aecs::decompress as at;
use pagepress_abi::flags::{decompress as flag, op};
use pagepress_abi::{ErrorCode, Status};
use pagepress_model::checksum::{Polynomial, Xor, crc32};
use pagepress_model::decompress::Decompressor;
use pagepress_model::op::{Job, Product};

/// Decompress in as many jobs as the sizes say: source 1 in pieces, each
/// output buffer of another size. All but the last job write no partial word.
/// The last sizes are those of everything else.
pub(crate) fn chained(
    whole: Job<'_>,
    pieces: &mut dyn Iterator<Item = usize>,
    rooms: &mut dyn Iterator<Item = usize>,
) -> Result<Vec<u8>, ErrorCode> {
    let mut engine = Decompressor::new();
    let mut product = Product::default();
    let mut output = Vec::new();
    let mut aecs = Vec::new();
    let mut rest = whole.src1;
    let unit = if whole.flags & flag::BE16 == 0 { 1 } else { 2 };
    loop {
        let size = pieces.next().unwrap_or(usize::MAX).min(rest.len() / unit) * unit;
        let (mut piece, after) = rest.split_at(size);
        rest = after;
        let last = rest.is_empty();
        loop {
            let dst_max = rooms.next().unwrap_or(usize::MAX / 2).max(1);
            let job = Job {
                op_flags: whole.op_flags | op::WRITE_SRC2_AECS,
                flags: if last {
                    whole.flags
                } else {
                    whole.flags & !(flag::FLUSH | flag::CHECK_EOB | flag::IGNORE_END_BITS)
                },
                src1: piece,
                aecs: (!aecs.is_empty()).then_some(&aecs[..]),
                src2_len: at::BYTES,
                dst_max,
                ..whole
            };
            let end = engine.run(&job, &mut product);
            assert!(product.output.len() <= dst_max);
            output.extend_from_slice(&product.output);
            if end.status == Status::ANALYTICS_ERROR {
                return Err(end.error);
            }
            assert_eq!(product.aecs.len(), at::BYTES);
            aecs.clone_from(&product.aecs);
            if end.status == Status::SUCCESS {
                assert_eq!(end.bytes_completed, 0);
                if last {
                    assert_eq!((end.crc, end.xor), sums(&output));
                    return Ok(output);
                }
                assert_eq!(product.output.len() % 8, 0);
                break;
            }
            assert_eq!(end.status, Status::OUTPUT_OVERFLOW);
            assert_eq!(
                product.output.len(),
                dst_max,
                "an overflow fills the output"
            );
            piece = &piece[end.bytes_completed as usize..];
        }
    }
}

#[test]
fn goes_on_from_a_byte_at_a_time() {
    let data = text(6000);
    for generation in [GEN1, GEN2] {
        for stream in [
            zlib(&data, 0),
            zlib(&data, 1),
            zlib(&data, 9),
            zlib_blocks(&data, 6, 500),
        ] {
            let whole = job(generation, &stream);
            for (piece, room) in [(1, usize::MAX), (usize::MAX, 1), (1, 1), (3, 7), (100, 9)] {
                let room = room.min(usize::MAX / 2);
                let mut pieces = std::iter::repeat(piece);
                let mut rooms = std::iter::repeat(room);
                let output = chained(whole, &mut pieces, &mut rooms);
                assert!(output == Ok(data.clone()), "{piece} {room}");
            }
        }
    }
}

/// An AECS that is only written on overflow; what the last job does.
#[test]
fn an_aecs_is_written_when_it_is_asked_for() {
    let data = text(5000);
    let stream = zlib(&data, 6);
    let sized = |write, dst_max, src2_len| {
        let (end, product) = run(&Job {
            op_flags: write,
            dst_max,
            src2_len,
            ..job(GEN1, &stream)
        });
        (end.status == Status::SUCCESS, product.aecs.len())
    };
    let (always, overflow) = (op::WRITE_SRC2_AECS, op::WRITE_SRC2_OVERFLOW);
    assert_eq!(sized(0, 100, at::BYTES), (false, 0));
    assert_eq!(sized(always, 100, at::BYTES), (false, at::BYTES));
    assert_eq!(sized(always, 5000, at::BYTES), (true, at::BYTES));
    assert_eq!(sized(always, 5000, 1 << 16), (true, at::BYTES));
    assert_eq!(sized(always, 5000, 1088), (true, 1088));
    assert_eq!(sized(overflow, 100, at::BYTES), (false, at::BYTES));
    assert_eq!(sized(overflow, 5000, at::BYTES), (true, 0));
}

/// Fields that have a place of their own are there, in the device's form.
#[test]
fn the_aecs_says_where_it_is() {
    let stream = Stream::new()
        .block(true, 1)
        .fixed(97)
        .fixed(98)
        .fixed(99)
        .fixed(256);
    for (generation, number) in [(GEN1, 0), (GEN2, 1)] {
        let state = |piece: &[u8], flags, dst_max| {
            let (end, product) = run(&Job {
                op_flags: op::WRITE_SRC2_AECS,
                flags,
                dst_max,
                src2_len: at::BYTES,
                ..job(generation, piece)
            });
            assert_ne!(end.status, Status::ANALYTICS_ERROR);
            (end, product)
        };
        // The first 24 of 34 bits: two literals, and five bits more. Both
        // bytes wait for a word to be full.
        let (end, product) = state(&stream.bytes[..3], flag::ENABLE, 100);
        let aecs = &product.aecs;
        let u16_at = |at: usize| u16::from_le_bytes([aecs[at], aecs[at + 1]]);
        assert!(product.output.is_empty());
        assert_eq!((end.crc, end.xor), sums(b"ab"));
        assert_eq!(aecs[at::CRC..at::XOR], end.crc.to_le_bytes());
        assert_eq!(u16_at(at::XOR), end.xor);
        assert_eq!(aecs[at::OUTPUT_ACCUMULATOR..][..2], *b"ab");
        assert_eq!(
            (aecs[at::OUTPUT_BITS], aecs[at::FORMAT]),
            (16 | number, number)
        );
        assert_eq!(u16_at(at::INDEX_BITS), 19);
        assert_eq!((aecs[at::INPUT_SIZES], u16_at(at::STATE_BITS)), (5, 5));
        assert_eq!(aecs[at::INPUT_ACCUMULATOR], stream.bytes[2] >> 3);
        assert_eq!(u16_at(at::STATE), 4);
        assert_eq!(u16_at(at::HISTORY_POINTER), 2);
        assert_eq!(aecs[at::HISTORY..][..3], *b"ab\0");

        // At the end; before a header; in a stored block.
        let (_, product) = state(&stream.bytes, WHOLE, 100);
        assert_eq!(product.aecs[at::STATE], 12);
        let (_, product) = state(&stream.bytes[..0], flag::ENABLE, 100);
        assert_eq!(product.aecs[at::STATE], 1);
        let stored = Stream::new().stored(false, b"abcdef");
        let (end, product) = state(&stored.bytes, flag::ENABLE | flag::FLUSH, 2);
        assert_eq!(
            (end.status, end.bytes_completed),
            (Status::OUTPUT_OVERFLOW, 7)
        );
        assert_eq!(
            (product.aecs[at::STATE], product.aecs[at::STORED_LEFT]),
            (2, 4)
        );
    }
}

/// A dictionary in the history, a seed in the checksums.
#[test]
fn an_aecs_can_be_made_by_software() {
    let stream = Stream::new()
        .block(true, 1)
        .fixed_match(5, 3, 0, 0)
        .fixed_match(3, 23, 1023, 10)
        .fixed(256);
    for (generation, number) in [(GEN1, 0), (GEN2, 1)] {
        let mut aecs = vec![0; at::BYTES];
        aecs[at::CRC] = 5;
        aecs[at::XOR] = 6;
        aecs[at::OUTPUT_BITS] = number;
        aecs[at::FORMAT] = number;
        aecs[at::STATE] = 1;
        for i in 0..4096 {
            aecs[at::HISTORY + i] = (i / 16) as u8;
        }
        aecs[at::HISTORY_POINTER..][..2].copy_from_slice(&[0, 0x90]);
        let (end, product) = run(&Job {
            aecs: Some(&aecs),
            src2_len: at::BYTES,
            ..job(generation, &stream.bytes)
        });
        assert_eq!(end.status, Status::SUCCESS);
        assert_eq!(product.output, [255, 255, 255, 255, 255, 0, 0, 0]);
        let mut xor = Xor::new(6);
        xor.update(&product.output);
        let crc = crc32(Polynomial::Gzip, 5, &product.output);
        assert_eq!((end.crc, end.xor), (crc, xor.sum()));
        // A seed alone, in the shortest AECS; and bits of input.
        let stream = Stream::new().block(true, 1).fixed(97).fixed(256);
        let (end, product) = run(&Job {
            aecs: Some(&aecs[..32]),
            src2_len: 32,
            ..job(generation, &stream.bytes)
        });
        assert_eq!(end.crc, crc32(Polynomial::Gzip, 5, &product.output));
        aecs[at::INPUT_ACCUMULATOR] = stream.bytes[0] & 7;
        aecs[at::INPUT_ACCUMULATOR + 8] = stream.bytes[0] >> 3;
        aecs[at::INPUT_SIZES..][..2].copy_from_slice(&[3, 5]);
        let (_, product) = run(&Job {
            aecs: Some(&aecs),
            src2_len: at::BYTES,
            ..job(generation, &stream.bytes[1..])
        });
        assert_eq!(product.output, b"a");
    }
    // Dropped bits.
    let stream = Stream::new()
        .bits(!0, 11)
        .block(true, 1)
        .fixed(97)
        .fixed(256);
    let mut aecs = vec![0; 1248];
    aecs[at::OUTPUT_BITS] = 1;
    aecs[at::FORMAT] = 1;
    aecs[at::STATE] = 1;
    aecs[at::DROP_BITS] = 11;
    let dropping = |src1| {
        let (end, product) = run(&Job {
            aecs: Some(&aecs),
            src2_len: 1248,
            ..job(GEN2, src1)
        });
        (end.error, product.output)
    };
    assert_eq!(dropping(&stream.bytes), (ErrorCode(0), b"a".to_vec()));
    assert_eq!(
        dropping(&stream.bytes[..1]),
        (ErrorCode::SRC1_TOO_SMALL, vec![])
    );
}

/// Symbols of the fixed code that mean nothing are the same error in a job of
/// their own as in a whole, also if the input ends right behind them. An AECS
/// has no place for these symbols.
#[test]
fn symbols_without_a_meaning_keep_it() {
    let head = Stream::new().block(true, 1).fixed(65).fixed(66);
    let streams = [
        (head.clone().fixed_match(3, 30, 0, 0), ErrorCode::BAD_D_CODE),
        (head.clone().fixed_match(3, 31, 0, 0), ErrorCode::BAD_D_CODE),
        (head.clone().fixed(286), ErrorCode::BAD_LL_CODE),
        (head.fixed(287), ErrorCode::BAD_LL_CODE),
    ];
    for generation in [GEN1, GEN2] {
        for (stream, error) in &streams {
            let whole = job(generation, &stream.bytes);
            assert_eq!(run(&whole).0.error, *error);
            for piece in 1..stream.bytes.len() {
                let mut pieces = std::iter::repeat(piece);
                let mut rooms = std::iter::repeat(100);
                let ended = chained(whole, &mut pieces, &mut rooms);
                assert_eq!(ended, Err(*error), "{piece}");
            }
        }
    }
}
