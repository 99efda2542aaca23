//! One descriptor at a time, as generation 1 has them.

use crate::inflate::{BitString, Token, assert_inflates, tokens};
use crate::{aecs, fixed_aecs, get, header, job, lengths_for, put, run_well, samples};
use pagepress_abi::Status;
use pagepress_abi::aecs::HISTORY;
use pagepress_abi::aecs::compress as layout;
use pagepress_abi::flags::compress::*;
use pagepress_abi::flags::op;
use pagepress_model::decompress::Decompressor;
use pagepress_model::op::{Job, Product};

/// Data that a list of tokens stands for.
fn expand(tokens: &[Token]) -> Vec<u8> {
    let mut data: Vec<u8> = Vec::new();
    for token in tokens {
        match *token {
            Token::Literal(byte) => data.push(byte),
            Token::Match { length, distance } => {
                for _ in 0..length {
                    data.push(data[data.len() - distance]);
                }
            }
            Token::EndOfBlock => {}
        }
    }
    data
}

#[test]
fn fixed_codes() {
    for data in samples() {
        let aecs = fixed_aecs(true);
        let (_, product) = run_well(&job(&data, Some(&aecs), FLUSH | END_EOB));
        assert_inflates(&product.output, &data);
        let tokens = tokens(&product.output);
        assert_eq!(expand(&tokens), data);
        for token in tokens {
            if let Token::Match { length, distance } = token {
                assert!((3..=258).contains(&length) && (1..=HISTORY).contains(&distance));
            }
        }
        assert!(product.aecs.is_empty());
    }
}

#[test]
fn no_other_input_changes_what_is_made() {
    let data = &samples()[0];
    let aecs = fixed_aecs(true);
    let (_, first) = run_well(&job(data, Some(&aecs), FLUSH | END_EOB));
    for before in samples() {
        let mut engine = pagepress_model::compress::Compressor::new();
        let mut product = pagepress_model::op::Product::default();
        // Enough bytes that positions wrap.
        for _ in 0..20 {
            engine.run(&job(&before, Some(&aecs), FLUSH | END_EOB), &mut product);
            engine.run(&job(data, Some(&aecs), FLUSH | END_EOB), &mut product);
            assert_eq!(product.output, first.output);
        }
    }
}

#[test]
fn codes_made_from_statistics() {
    for data in samples() {
        for end in [0, END_EOB] {
            let (end, statistics) = run_well(&job(&data, None, STATISTICS | end));
            assert_eq!((statistics.output.len(), end.output_bits), (1280, 0));
            let (literals, distances) = lengths_for(&statistics.output);
            let aecs = aecs(&literals, &distances, &header(&literals, &distances));
            let (_, product) = run_well(&job(&data, Some(&aecs), FLUSH | END_EOB));
            assert_inflates(&product.output, &data);
        }
    }
}

#[test]
fn statistics_are_those_of_the_encoded_tokens() {
    for data in samples() {
        for mode in [0, ALL_LITERALS, 1 << INDEXING_SHIFT, 3 << INDEXING_SHIFT] {
            let mut counts = [0; 1280 / 4];
            let aecs = fixed_aecs(true);
            let (_, product) = run_well(&job(&data, Some(&aecs), FLUSH | END_EOB | mode));
            for token in tokens(&product.output) {
                match token {
                    Token::Literal(byte) => counts[usize::from(byte)] += 1,
                    Token::EndOfBlock => counts[256] += 1,
                    Token::Match { length, distance } => {
                        const BASES: [usize; 29] = [
                            3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51,
                            59, 67, 83, 99, 115, 131, 163, 195, 227, 258,
                        ];
                        counts[256 + BASES.partition_point(|&base| base <= length)] += 1;
                        let mut bases = vec![1, 2, 3];
                        for extra in 0..13 {
                            bases.push((3 << extra) + 1);
                            bases.push((4 << extra) + 1);
                        }
                        let symbol = bases.partition_point(|&base| base <= distance) - 1;
                        counts[288 + symbol] += 1;
                    }
                }
            }
            let (_, statistics) = run_well(&job(&data, None, STATISTICS | END_EOB | mode));
            let written: Vec<u32> = (0..320).map(|i| get(&statistics.output, 4 * i)).collect();
            assert_eq!(written, counts);
            // End of block is counted if it is written.
            let (_, statistics) = run_well(&job(&data, None, STATISTICS | mode));
            assert_eq!(get(&statistics.output, 4 * 256), 0);
        }
    }
}

#[test]
fn canned_codes_without_a_header() {
    let data = &samples()[0];
    let (_, statistics) = run_well(&job(data, None, STATISTICS));
    let (literals, distances) = lengths_for(&statistics.output);
    let aecs = aecs(&literals, &distances, &BitString::default());
    let (end, product) = run_well(&job(data, Some(&aecs), FLUSH | END_EOB));
    let mut stream = header(&literals, &distances);
    stream.push_flushed(&product.output, end.output_bits);
    assert_inflates(&stream.bytes(), data);
}

#[test]
fn reserved_bits_of_the_tables_do_not_matter() {
    let data = &samples()[0];
    let mut aecs = fixed_aecs(true);
    let (_, plain) = run_well(&job(data, Some(&aecs), FLUSH | END_EOB));
    for at in (layout::LITERALS..layout::BYTES).step_by(4) {
        let dword = get(&aecs, at);
        put(&mut aecs, at, dword | 0xA5 << 19);
    }
    let (_, product) = run_well(&job(data, Some(&aecs), FLUSH | END_EOB));
    assert_eq!(product.output, plain.output);
}

#[test]
fn every_end() {
    for data in samples() {
        let final_block = fixed_aecs(true);
        let open_block = fixed_aecs(false);

        let (end, product) = run_well(&job(&data, Some(&final_block), FLUSH));
        let mut stream = BitString::default();
        stream.push_flushed(&product.output, end.output_bits);
        stream.push(0, 7);
        assert_inflates(&stream.bytes(), &data);

        let (end, product) = run_well(&job(&data, Some(&final_block), FLUSH | END_EOB));
        assert_eq!(stream.bytes(), product.output);
        assert_eq!(usize::from(end.output_bits), stream.len() % 8);

        let (end, product) = run_well(&job(&data, Some(&open_block), FLUSH | END_EOB_STORED));
        assert_eq!(end.output_bits, 0);
        assert!(product.output.ends_with(&[0, 0, 0xFF, 0xFF]));
        assert_inflates(&[&product.output[..], &[3, 0]].concat(), &data);

        let (end, product) = run_well(&job(&data, Some(&open_block), FLUSH | END_EOB_BFINAL));
        assert_eq!(end.output_bits, 0);
        assert_inflates(&product.output, &data);
    }
}

#[test]
fn accumulator_bits_come_first() {
    let data = &samples()[0];
    for bits in [0, 1, 7, 8, 9, 63, 64, 65, 255, 256, 257, 2040, 2047, 2048] {
        let mut before = BitString::default();
        (0..bits).for_each(|i| before.push((i * i) >> 3, 1));
        let mut aecs = fixed_aecs(true);
        set_dirty_accumulator(&mut aecs, &before);
        let (end, product) = run_well(&job(data, Some(&aecs), FLUSH | END_EOB));
        let mut stream = BitString::default();
        stream.push_flushed(&product.output, end.output_bits);

        let mut aecs = fixed_aecs(true);
        put(&mut aecs, layout::ACCUMULATOR_BITS, 0);
        let (end, product) = run_well(&job(data, Some(&aecs), FLUSH | END_EOB));
        before.push_flushed(&product.output, end.output_bits);
        assert_eq!(stream, before);
    }
}

/// Bits that are not valid are not zero.
fn set_dirty_accumulator(aecs: &mut [u8], bits: &BitString) {
    aecs[layout::ACCUMULATOR..layout::LITERALS].fill(0xFF);
    let whole = bits.bytes();
    put(aecs, layout::ACCUMULATOR_BITS, bits.len() as u32);
    aecs[layout::ACCUMULATOR..][..whole.len()].copy_from_slice(&whole);
    if bits.len() % 8 != 0 {
        aecs[layout::ACCUMULATOR + whole.len() - 1] |= 0xFF << (bits.len() % 8);
    }
}

#[test]
fn all_literals() {
    for data in samples() {
        let aecs = fixed_aecs(true);
        let (_, product) = run_well(&job(&data, Some(&aecs), FLUSH | END_EOB | ALL_LITERALS));
        assert_inflates(&product.output, &data);
        let literals = data.iter().map(|&byte| Token::Literal(byte));
        let all: Vec<_> = literals.chain([Token::EndOfBlock]).collect();
        assert_eq!(tokens(&product.output), all);
    }
}

#[test]
fn words_with_their_highest_bit_first() {
    for data in samples() {
        for end in [END_EOB, END_EOB_BFINAL] {
            let aecs = fixed_aecs(end == END_EOB);
            let (plain_end, plain) = run_well(&job(&data, Some(&aecs), FLUSH | end));
            let (end, product) = run_well(&job(&data, Some(&aecs), FLUSH | end | BE16));
            assert_eq!(product.output.len() % 2, 0);
            // As QPL's software turns it: all 16 bits of little-endian words.
            let words = product.output.chunks(2);
            let words = words.map(|word| u16::from_le_bytes([word[0], word[1]]));
            let mut turned: Vec<u8> = words
                .flat_map(|word| word.reverse_bits().to_le_bytes())
                .collect();
            let bits = match end.output_bits {
                0 => 8 * turned.len(),
                bits => 8 * turned.len() - 16 + usize::from(bits),
            };
            assert_eq!(bits.div_ceil(8), plain.output.len());
            assert_eq!(bits % 8, usize::from(plain_end.output_bits));
            turned.truncate(bits.div_ceil(8));
            assert_eq!(turned, plain.output);
            assert_inflates(&turned, &data);
        }
    }
}

#[test]
fn mini_blocks_stand_alone() {
    for data in samples() {
        for field in 1..=7 {
            let bytes = 256 << field;
            let mode = field << INDEXING_SHIFT;
            let aecs = fixed_aecs(true);
            let (_, product) = run_well(&job(&data, Some(&aecs), FLUSH | END_EOB | mode));
            assert_inflates(&product.output, &data);
            let mut at = 0;
            for token in tokens(&product.output) {
                match token {
                    Token::Literal(_) => at += 1,
                    Token::EndOfBlock => {}
                    Token::Match { length, distance } => {
                        assert!(at % bytes >= distance, "{at}: {distance} back");
                        assert!(at % bytes + length <= bytes, "{at}: {length} on");
                        at += length;
                    }
                }
            }
        }
    }
}

#[test]
fn checksums_go_on_from_the_aecs() {
    for data in samples() {
        for select in [0, op::CRC32C] {
            let mut aecs = fixed_aecs(true);
            put(&mut aecs, layout::CRC, 0x1234_5678);
            put(&mut aecs, layout::XOR, 0x9ABC);
            let mut job = job(&data, Some(&aecs), FLUSH | END_EOB);
            job.op_flags |= select;
            run_well(&job);
            job.flags = STATISTICS;
            run_well(&job);
        }
    }
    // The standard's check value.
    let aecs = fixed_aecs(true);
    let (end, _) = run_well(&job(b"123456789", Some(&aecs), FLUSH));
    assert_eq!(end.crc, 0xCBF4_3926);
}

#[test]
fn symbols_that_are_not_used_need_no_code() {
    let mut lengths = [0; 286];
    lengths[usize::from(b'a')] = 1;
    lengths[256] = 2;
    lengths[260] = 2;
    let aecs = aecs(&lengths, &[1], &BitString::default());
    // One literal, then six bytes of match.
    let (end, product) = run_well(&job(b"aaaaaaa", Some(&aecs), FLUSH | END_EOB));
    assert_eq!((product.output.len(), end.output_bits), (1, 6));
}

#[test]
fn the_models_own_decompress_reads_it() {
    use pagepress_abi::flags::decompress as d;
    let whole = d::ENABLE | d::FLUSH | d::STOP_ON_EOB | d::CHECK_EOB | d::SELECT_BFINAL;
    let index = d::SUPPRESS_OUTPUT | 1 << d::INDEXING_SHIFT;
    let mut decompressor = Decompressor::new();
    let mut product = Product::default();
    for data in samples() {
        for (mode, back) in [
            (0, 0),
            (ALL_LITERALS, 0),
            (BE16, d::BE16),
            // It refuses tokens that cross a mini-block.
            (1 << INDEXING_SHIFT, index),
        ] {
            let aecs = fixed_aecs(true);
            let (end, stream) = run_well(&job(&data, Some(&aecs), FLUSH | END_EOB | mode));
            let job = job(&stream.output, None, whole | back);
            let job = Job {
                dst_max: data.len() + 4096,
                ..job
            };
            let back_end = decompressor.run(&job, &mut product);
            assert_eq!(back_end.status, Status::SUCCESS, "{}", back_end.error);
            assert_eq!((back_end.crc, back_end.xor), (end.crc, end.xor));
            assert!(back & d::SUPPRESS_OUTPUT != 0 || product.output == data);
        }
    }
}
