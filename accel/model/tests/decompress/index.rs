//! Mini-blocks.

use crate::stream::Stream;
use crate::writers::text;
use crate::{GEN1, WHOLE, job, run, sums};
use pagepress_abi::aecs::decompress as at;
use pagepress_abi::flags::{decompress as flag, op};
use pagepress_abi::{ErrorCode, Status};
use pagepress_model::op::{Job, Product};

/// The index of a stream, as (bit, CRC).
fn index(product: &Product) -> Vec<(u32, u32)> {
    let half = |b: &[u8]| u32::from_le_bytes(b.try_into().unwrap());
    let entries = product.output.chunks_exact(8);
    entries.map(|e| (half(&e[..4]), half(&e[4..]))).collect()
}

const INDEX_512: u16 = 1 << flag::INDEXING_SHIFT;

#[test]
fn an_index_has_mini_blocks() {
    // 1024 bytes in one block, 10 in the next, none in the last.
    let mut stream = Stream::new().block(false, 1);
    let mut places = vec![stream.len];
    let mut data = Vec::new();
    for i in 0..1034_u32 {
        data.push((i % 99) as u8);
        stream = stream.fixed(i % 99);
        if i % 512 == 511 || i == 1033 {
            places.push(stream.len);
        }
        if i == 1023 || i == 1033 {
            stream = stream.fixed(256);
            places.push(stream.len);
        }
        if i == 1023 {
            stream = stream.block(false, 1);
            places.push(stream.len);
        }
    }
    stream = stream.stored(true, &[]);
    places.extend([stream.len; 2]);
    let lens = [0, 512, 1024, 1024, 1024, 1034, 1034, 1034, 1034];
    let expected: Vec<_> = places
        .iter()
        .zip(lens)
        .map(|(&bit, len)| (bit as u32, sums(&data[..len]).0))
        .collect();
    let indexed = Job {
        flags: WHOLE | flag::SUPPRESS_OUTPUT | INDEX_512,
        ..job(GEN1, &stream.bytes)
    };
    let (end, product) = run(&indexed);
    assert_eq!(end.status, Status::SUCCESS);
    assert_eq!(index(&product), expected);
    assert_eq!((end.crc, end.xor), sums(&data));

    // Any room for it, in as many jobs as are needed; and any input.
    for piece in [1, 3, 100, usize::MAX] {
        for room in [16, 17, 31, 64, 1000] {
            let mut entries = Vec::new();
            let mut aecs: Option<Vec<u8>> = None;
            let mut rest = &stream.bytes[..];
            loop {
                let (piece, after) = rest.split_at(piece.min(rest.len()));
                let (end, product) = run(&Job {
                    op_flags: op::WRITE_SRC2_AECS,
                    flags: indexed.flags & !flag::CHECK_EOB,
                    src1: piece,
                    aecs: aecs.as_deref(),
                    src2_len: at::BYTES,
                    dst_max: room,
                    ..indexed
                });
                entries.extend(index(&product));
                aecs = Some(product.aecs);
                rest = match end.status {
                    Status::SUCCESS => after,
                    Status::OUTPUT_OVERFLOW => &rest[end.bytes_completed as usize..],
                    _ => panic!("{end:?}"),
                };
                if end.status == Status::SUCCESS && rest.is_empty() {
                    break;
                }
                assert!(end.status == Status::SUCCESS || !product.output.is_empty());
            }
            assert_eq!(entries, expected, "{piece} {room}");
        }
    }
}

#[test]
fn an_index_of_stored_blocks() {
    let data = text(1100);
    let stream = Stream::new()
        .stored(false, &data[..1024])
        .stored(true, &data[1024..]);
    let (end, product) = run(&Job {
        flags: WHOLE | flag::SUPPRESS_OUTPUT | INDEX_512,
        ..job(GEN1, &stream.bytes)
    });
    assert_eq!(end.status, Status::SUCCESS);
    let bits = [5, 517, 1029, 1029, 1034, 1110, 1110].map(|byte| 8 * byte);
    let lens = [0, 512, 1024, 1024, 1024, 1100, 1100];
    let expected: Vec<_> = bits
        .into_iter()
        .zip(lens.map(|len| sums(&data[..len]).0))
        .collect();
    assert_eq!(index(&product), expected);
}

#[test]
fn mini_blocks_stand_alone() {
    use ErrorCode as E;
    let literals = |s: Stream, n| (0..n).fold(s, |s, _| s.fixed(97));
    let s = || Stream::new().block(true, 1);
    let end = |s: Stream| s.fixed(256).bits(0, 32);
    for (stream, error) in [
        (
            end(literals(s(), 510).fixed_match(3, 0, 0, 0)),
            E::LENGTH_SPANS,
        ),
        (end(literals(s(), 509).fixed_match(3, 0, 0, 0)), E(0)),
        (
            end(literals(s(), 512).fixed_match(3, 0, 0, 0)),
            E::DISTANCE_SPANS,
        ),
        (
            end(literals(s(), 513).fixed_match(3, 1, 0, 0)),
            E::DISTANCE_SPANS,
        ),
        (end(literals(s(), 513).fixed_match(3, 0, 0, 0)), E(0)),
        (
            end(literals(
                Stream::new().stored(false, &[1; 100]).block(true, 1),
                1,
            )),
            E::BAD_BLOCK_SIZE,
        ),
        (
            Stream::new().stored(false, &[1; 100]).stored(true, &[2; 3]),
            E::BAD_BLOCK_SIZE,
        ),
        (
            Stream::new()
                .stored(false, &[1; 1024])
                .stored(true, &[2; 3]),
            E(0),
        ),
        (
            Stream::new().stored(false, &[1; 100]).stored(true, &[]),
            E(0),
        ),
    ] {
        let flags = WHOLE | flag::SUPPRESS_OUTPUT;
        for (flags, error) in [(flags, E(0)), (flags | INDEX_512, error)] {
            let (end, _) = run(&Job {
                flags,
                ..job(GEN1, &stream.bytes)
            });
            assert_eq!(end.error, error);
        }
    }
}
