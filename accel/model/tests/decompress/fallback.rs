//! What the software writer writes, read under the device's stricter rules.

use crate::stream::{Stream, some};
use crate::writers::{pages, text};
use crate::{GEN1, GEN2, job, run, sums};
use pagepress_abi::aecs::decompress as at;
use pagepress_abi::flags::{decompress as flag, op};
use pagepress_abi::{ErrorCode, Status};
use pagepress_fallback::encoder::{Codes, Encoder, SLACK, WINDOW};
use pagepress_fallback::huffman::{DISTANCES, Header, LITERALS, code_lengths};
use pagepress_model::op::{Generation, Job};

/// Units of up to 64 KiB, with repeats from beyond the history too.
fn units() -> Vec<Vec<u8>> {
    let mut units = pages();
    for len in [8192, 16384, 65536] {
        let mut unit = text(len);
        for (i, back) in [4095, 4096, 4097, 5000].into_iter().enumerate() {
            let to = 5100 + 500 * i;
            unit.copy_within(to - back..to - back + 400, to);
        }
        units.push(unit);
    }
    // Literals of nine bits in the fixed codes, and too few for others.
    units.push((0..80).map(|i| 0xFF - i * 3 % 64).collect());
    units
}

fn encoder() -> Encoder {
    Encoder::new(65536).expect("memory")
}

fn write(page: &[u8], by: impl FnOnce(&mut [u8], usize) -> Option<usize>) -> Vec<u8> {
    let limit = 2 * page.len() + 1024;
    let mut dst = vec![0xFF; limit + SLACK];
    let len = by(&mut dst, limit).expect("there is room");
    dst.truncate(len);
    dst
}

/// Lengths that differ as far as they can, of codes for all symbols.
fn lengths(page: &[u8]) -> ([u8; LITERALS], [u8; DISTANCES]) {
    let (mut literals, mut distances) = ([1; LITERALS], [1; DISTANCES]);
    for &byte in page {
        literals[usize::from(byte)] += 1;
    }
    for (i, count) in distances.iter_mut().enumerate() {
        *count += 1 << i.min(20);
    }
    let mut lengths = ([0; LITERALS], [0; DISTANCES]);
    code_lengths(&literals, 15, &mut lengths.0);
    code_lengths(&distances, 15, &mut lengths.1);
    lengths
}

#[test]
fn streams() {
    let mut encoder = encoder();
    let fixed = Codes::fixed();
    let mut kinds = [0; 4];
    for page in units() {
        let (literals, distances) = lengths(&page);
        let header = Header::new(&literals, &distances);
        let mut bytes = vec![0; header.bits().div_ceil(8) + 8];
        header.write_bytes(true, &mut bytes);
        bytes.truncate(header.bits().div_ceil(8));
        let own = Codes::with_header(&literals, &distances, &bytes, header.bits());
        let streams = [
            write(&page, |dst, limit| {
                encoder.with_codes(&page, dst, limit, &fixed)
            }),
            write(&page, |dst, limit| {
                encoder.with_codes(&page, dst, limit, &own)
            }),
            write(&page, |dst, limit| encoder.dynamic(&page, dst, limit)),
        ];
        for stream in &streams {
            kinds[usize::from(stream[0] >> 1 & 3)] += 1;
            for generation in [GEN1, GEN2] {
                let (end, product) = run(&Job {
                    dst_max: page.len(),
                    ..job(generation, stream)
                });
                assert_eq!((end.status, end.error), (Status::SUCCESS, ErrorCode(0)));
                assert_eq!((end.crc, end.xor), sums(&page));
                assert!(product.output == page);
            }
        }
    }
    let [stored, fixed, dynamic, _] = kinds;
    let written = stored + fixed + dynamic;
    assert!(stored == 0 && 3 * fixed > written && 3 * dynamic > written);
}

/// Pages without a header, by the tables that a device makes of it.
#[test]
fn canned_pages() {
    let mut encoder = encoder();
    let (literals, distances) = lengths(&text(9000));
    let header = Header::new(&literals, &distances);
    let bits = header.bits();
    let mut bytes = vec![0; bits.div_ceil(8) + 8];
    header.write_bytes(true, &mut bytes);
    let codes = Codes::with_header(&literals, &distances, &[], 0);
    for (generation, size) in [
        (GEN1, at::BYTES_NO_HISTORY_1),
        (GEN2, at::BYTES_NO_HISTORY_2),
    ] {
        let mut aecs = tables(generation, &bytes[..bits.div_ceil(8)], bits, size);
        // Before a token of a block that is not final.
        aecs[at::STATE..at::STATE + 4].fill(0);
        for page in units() {
            let body = write(&page, |dst, limit| {
                encoder.with_codes(&page, dst, limit, &codes)
            });
            for check in [0, flag::CHECK_EOB] {
                let read = |body: &[u8]| {
                    run(&Job {
                        op_flags: op::READ_SRC2_AECS,
                        flags: flag::ENABLE | flag::FLUSH | flag::STOP_ON_EOB | check,
                        aecs: Some(&aecs),
                        src2_len: size,
                        dst_max: page.len(),
                        ..job(generation, body)
                    })
                };
                let (end, product) = read(&body);
                assert_eq!((end.status, end.error), (Status::SUCCESS, ErrorCode(0)));
                assert_eq!((end.crc, end.xor), sums(&page));
                assert!(product.output == page);
                if check != 0 {
                    let (end, _) = read(&body[..body.len() - 1]);
                    assert_eq!(end.error, ErrorCode::BAD_END, "no end of block");
                }
            }
        }
    }
}

/// What a device makes of a header alone.
fn tables(generation: Generation, header: &[u8], bits: usize, size: usize) -> Vec<u8> {
    let ignored = (8 * header.len() - bits) as u16;
    let (end, product) = run(&Job {
        op_flags: op::WRITE_SRC2_AECS | op::AECS_TOGGLE,
        flags: flag::ENABLE | flag::SUPPRESS_OUTPUT | ignored << flag::IGNORE_END_BITS_SHIFT,
        src2_len: size,
        dst_max: 0,
        ..job(generation, header)
    });
    assert_eq!(end.status, Status::SUCCESS);
    assert_eq!(product.aecs.len(), size);
    product.aecs
}

/// The rules are looked at: a header that breaks one, in front of the tokens of the
/// same page, is refused for it.
#[test]
fn other_headers_are_refused() {
    // Literals 'a' and 'b', the end of the block, and two distances.
    let literals = some(257, &[(97, 2), (98, 2), (256, 1)]);
    let page = b"abab";
    let tokens = |header: Stream| {
        let literals = |s: Stream, a: u32| s.code(a, 2);
        let body = [0b10, 0b11, 0b10, 0b11].into_iter().fold(header, literals);
        body.code(0, 1)
    };
    let head = |hlit, hdist| Stream::new().plain_dynamic(true, hlit, hdist);
    let sound = tokens(head(257, 2).lengths(&literals).lengths(&[1, 1]));
    // Zeroes for two lengths and for the first distance.
    let crossing = tokens(
        head(259, 2)
            .lengths(&literals)
            .code(17, 5)
            .bits(0, 3)
            .lengths(&[1]),
    );
    // The last length for another one and for both distances.
    let repeat = tokens(head(258, 2).lengths(&literals).code(16, 5).bits(0, 2));
    let first = tokens(head(257, 3).lengths(&literals).code(16, 5).bits(0, 2));
    for generation in [GEN1, GEN2] {
        let (end, product) = run(&job(generation, &sound.bytes));
        assert_eq!(
            (end.status, &product.output[..]),
            (Status::SUCCESS, &page[..])
        );
        for (stream, error) in [
            (&crossing, ErrorCode::WRONG_LL_COUNT),
            (&repeat, ErrorCode::WRONG_LL_COUNT),
            (&first, ErrorCode::FIRST_D_REPEATS),
        ] {
            let (end, _) = run(&job(generation, &stream.bytes));
            assert_eq!((end.status, end.error), (Status::ANALYTICS_ERROR, error));
        }
    }
    assert_eq!(ErrorCode::WRONG_LL_COUNT, ErrorCode(0x06));

    // And the window: the same stream, with its farthest repeat one byte farther.
    let far = |back: usize| {
        let mut stream = Stream::new().block(true, 1);
        for _ in 0..WINDOW + 1 {
            stream = stream.fixed(97);
        }
        let (symbol, base, bits) = if back > WINDOW {
            (24, 4097, 11)
        } else {
            (23, 3073, 10)
        };
        let extra = (back - base) as u32;
        stream.fixed_match(3, symbol, extra, bits).fixed(256)
    };
    let (end, _) = run(&job(GEN1, &far(WINDOW).bytes));
    assert_eq!(end.status, Status::SUCCESS);
    let (end, _) = run(&job(GEN1, &far(WINDOW + 1).bytes));
    assert_eq!(end.error, ErrorCode::BAD_DISTANCE);
}

/// The same in our own headers: the lengths stay as they are, only how many of them are
/// the literals' changes.
#[test]
fn a_boundary_moved_is_noticed() {
    let mut encoder = encoder();
    let mut crossed = 0;
    for page in units() {
        let stream = write(&page, |dst, limit| encoder.dynamic(&page, dst, limit));
        if stream[0] >> 1 & 3 != 2 {
            continue;
        }
        for hlit in 0..29 {
            let mut stream = stream.clone();
            // One literal length less is one distance length more.
            let (own, distances) = (stream[0] >> 3, stream[1] & 31);
            let Some(hdist) = (distances + own).checked_sub(hlit).filter(|&n| n < 30) else {
                continue;
            };
            stream[0] = stream[0] & 7 | hlit << 3;
            stream[1] = stream[1] & !31 | hdist;
            let (end, product) = run(&job(GEN1, &stream));
            if hlit == own {
                assert!(end.status == Status::SUCCESS && product.output == page);
            }
            crossed += usize::from(end.error == ErrorCode::WRONG_LL_COUNT);
        }
    }
    assert!(crossed > 0, "no run crosses the boundary");
}
