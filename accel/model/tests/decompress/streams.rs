//! Streams of real writers, and the flags that say how to read them.

use crate::chains::chained;
use crate::stream::{Stream, some};
use crate::writers::{libdeflate, pages, text, zlib, zlib_blocks};
use crate::{GEN1, GEN2, WHOLE, job, run, sums};
use pagepress_abi::flags::{decompress as flag, op};
use pagepress_abi::{ErrorCode, Status};
use pagepress_model::checksum::{Polynomial, crc32};
use pagepress_model::decompress::Decompressor;
use pagepress_model::op::{End, Job, Product};

#[test]
fn reads_what_others_write() {
    let mut engine = Decompressor::new();
    let mut product = Product::default();
    let mut check = |stream: &[u8], page: &[u8]| {
        let exact = Job {
            dst_max: page.len(),
            ..job(GEN1, stream)
        };
        let end = engine.run(&exact, &mut product);
        if end.status == Status::SUCCESS {
            assert_eq!(product.output, page);
            assert_eq!((end.crc, end.xor), sums(page));
            assert_eq!((end.output_bits, end.bytes_completed), (0, 0));
        }
        end
    };
    let mut crossing = 0;
    for page in &pages() {
        for level in 0..=9 {
            assert_eq!(check(&zlib(page, level), page).status, Status::SUCCESS);
            assert_eq!(
                check(&zlib_blocks(page, level, 700), page).status,
                Status::SUCCESS
            );
            let stream = miniz_oxide::deflate::compress_to_vec(page, level as u8);
            assert_eq!(check(&stream, page).status, Status::SUCCESS);
        }
        for level in 0..=12 {
            let end = check(&libdeflate(page, level), page);
            // libdeflate's repeats cross between the alphabets at times.
            if end.error == ErrorCode::WRONG_LL_COUNT || end.error == ErrorCode::FIRST_D_REPEATS {
                crossing += 1;
            } else {
                assert_eq!(end.status, Status::SUCCESS, "{:?}", end.error);
            }
        }
    }
    println!("{crossing} streams of libdeflate have repeats that cross");
    let large = text(1 << 20);
    for level in [0, 1, 6, 9] {
        assert_eq!(check(&zlib(&large, level), &large).status, Status::SUCCESS);
    }
}

/// Without CHECK the end of the input is a good end wherever it is, and what
/// was decoded is there.
#[test]
fn input_may_end_anywhere() {
    let stream = Stream::new()
        .stored(false, b"abcd")
        .dynamic(false, &some(257, &[(98, 1), (256, 1)]), &[0])
        .code(0, 1)
        .code(1, 1)
        .block(true, 1)
        .fixed(99)
        .fixed_match(4, 0, 0, 0)
        .fixed(256);
    let whole = b"abcdbccccc";
    for len in 0..=stream.bytes.len() {
        let bytes = &stream.bytes[..len];
        let unchecked = Job {
            flags: WHOLE & !flag::CHECK_EOB,
            ..job(GEN1, bytes)
        };
        let (end, product) = run(&unchecked);
        assert_eq!((end.status, end.bytes_completed), (Status::SUCCESS, 0));
        assert!(whole.starts_with(&product.output));
        assert_eq!((end.crc, end.xor), sums(&product.output));
        let (end, product) = run(&job(GEN1, bytes));
        if len < stream.bytes.len() {
            assert_eq!(end, End::error(ErrorCode::BAD_END));
        } else {
            assert_eq!(
                (end.status, &product.output[..]),
                (Status::SUCCESS, &whole[..])
            );
        }
    }
}

#[test]
fn stops_where_it_is_told() {
    let stream = Stream::new()
        .block(false, 1)
        .fixed(97)
        .fixed(256)
        .stored(true, b"b")
        .block(false, 1)
        .fixed(99)
        .fixed(256);
    let (stop, check) = (flag::STOP_ON_EOB, flag::CHECK_EOB);
    let bfinal = flag::SELECT_BFINAL;
    let flags = flag::ENABLE | flag::FLUSH;
    for (more, expected) in [
        (stop, Ok("a")),
        (stop | check, Ok("a")),
        (stop | bfinal, Ok("ab")),
        (stop | check | bfinal, Ok("ab")),
        (0, Ok("abc")),
        (check, Ok("abc")),
        // The last end-of-block is not of a final block.
        (check | bfinal, Err(ErrorCode::BAD_END)),
    ] {
        let flags = flags | more;
        let (end, product) = run(&Job {
            flags,
            ..job(GEN1, &stream.bytes)
        });
        let result = match end.status {
            Status::SUCCESS => Ok(std::str::from_utf8(&product.output).unwrap()),
            _ => Err(end.error),
        };
        assert_eq!(result, expected, "{more:#x}");
    }
    // Whatever follows the stop is ignored.
    let mut bytes = stream.bytes;
    bytes.extend([0xFF; 100]);
    assert_eq!(run(&job(GEN1, &bytes)).1.output, b"ab");
}

#[test]
fn bits_at_the_end_can_be_ignored() {
    // What follows in the last byte would be a bad code.
    let stream = Stream::new().block(false, 1).fixed(97).fixed(98).fixed(99);
    let used = stream.len % 8;
    let bytes = stream.bits(!0, 8 - used).bytes;
    let flags = flag::ENABLE | flag::FLUSH | ((8 - used) as u16) << flag::IGNORE_END_BITS_SHIFT;
    let (end, product) = run(&Job {
        flags,
        ..job(GEN1, &bytes)
    });
    assert_eq!(
        (end.status, &product.output[..]),
        (Status::SUCCESS, &b"abc"[..])
    );
}

/// BE16 turns the bits of each little-endian word round.
#[test]
fn words_can_be_big_endian() {
    let data = text(3000);
    let mut bytes = zlib(&data, 6);
    let len = bytes.len();
    bytes.resize(len.next_multiple_of(2), 0);
    for word in bytes.chunks_exact_mut(2) {
        let turned = u16::from_le_bytes([word[0], word[1]]).reverse_bits();
        word.copy_from_slice(&turned.to_le_bytes());
    }
    for generation in [GEN1, GEN2] {
        let be16 = Job {
            flags: WHOLE | flag::BE16,
            ..job(generation, &bytes)
        };
        let (end, product) = run(&be16);
        assert_eq!(
            (end.status, product.output),
            (Status::SUCCESS, data.clone())
        );
        for step in [1, 7, 1000] {
            let all = chained(
                be16,
                &mut std::iter::repeat(usize::MAX),
                &mut std::iter::repeat(step),
            );
            assert_eq!(all.unwrap(), data);
        }
    }
    // Nine bits to be ignored, with the fourth bit of generation 2.
    let stream = Stream::new()
        .block(false, 1)
        .fixed(97)
        .fixed(98)
        .fixed(99)
        .fixed(97);
    assert_eq!(stream.len, 35);
    let bytes = stream.bits(!0, 13).bytes;
    let words = bytes.chunks_exact(2).flat_map(|w| {
        u16::from_le_bytes([w[0], w[1]])
            .reverse_bits()
            .to_le_bytes()
    });
    let (end, product) = run(&Job {
        flags: flag::ENABLE
            | flag::FLUSH
            | flag::BE16
            | flag::IGNORE_END_BITS_8
            | 5 << flag::IGNORE_END_BITS_SHIFT,
        ..job(GEN2, &words.collect::<Vec<_>>())
    });
    assert_eq!(
        (end.status, &product.output[..]),
        (Status::SUCCESS, &b"abca"[..])
    );
}

/// Suppressed output is checked, not written; and needs no room.
#[test]
fn suppressed_output_has_checksums() {
    let data = text(100_000);
    let stream = zlib(&data, 6);
    for (op_flags, polynomial) in [(0, Polynomial::Gzip), (op::CRC32C, Polynomial::Castagnoli)] {
        let verify = Job {
            op_flags,
            flags: WHOLE | flag::SUPPRESS_OUTPUT,
            dst_max: 1,
            ..job(GEN1, &stream)
        };
        let (end, product) = run(&verify);
        assert_eq!(end.status, Status::SUCCESS);
        assert!(product.output.is_empty());
        assert_eq!(
            (end.crc, end.xor),
            (crc32(polynomial, 0, &data), sums(&data).1)
        );
    }
}

/// The destination is as large as the data, or too small by any amount.
#[test]
fn overflows_are_told_from_exact_fits() {
    let data = text(600);
    for stream in [zlib(&data, 0), zlib(&data, 1), zlib(&data, 9)] {
        for dst_max in 0..=data.len() + 1 {
            let (end, product) = run(&Job {
                dst_max,
                ..job(GEN1, &stream)
            });
            let fits = dst_max >= data.len();
            let status = if fits {
                Status::SUCCESS
            } else {
                Status::OUTPUT_OVERFLOW
            };
            assert_eq!(end.status, status);
            assert_eq!(product.output, data[..dst_max.min(data.len())]);
            assert_eq!((end.crc, end.xor), sums(&product.output));
            assert!(product.aecs.is_empty(), "nobody asked for it");
        }
    }
}
