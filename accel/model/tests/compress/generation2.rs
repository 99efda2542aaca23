//! What generation 2 adds: header generation, dictionaries, early abort.

use crate::errors::assert_error;
use crate::inflate::{BitString, Token, assert_inflates, assert_inflates_after, tokens};
use crate::{GENERATION_2, aecs, fixed_aecs, get, job, put, run, run_well, samples};
use crate::{header, set_accumulator};
use pagepress_abi::aecs::compress as layout;
use pagepress_abi::flags::compress::*;
use pagepress_abi::flags::{compress2, op};
use pagepress_abi::{ErrorCode, IaaCap};
use pagepress_model::op::{Generation, Job};

const TABLES: u16 = 1 << HEADER_GEN_SHIFT;
const OPEN_HEADER: u16 = 2 << HEADER_GEN_SHIFT;
const FINAL_HEADER: u16 = 3 << HEADER_GEN_SHIFT;
const TWO_PASSES: u16 = 4 << HEADER_GEN_SHIFT;

fn job2<'a>(src1: &'a [u8], aecs: Option<&'a [u8]>, flags: u16, flags2: u32) -> Job<'a> {
    Job {
        generation: GENERATION_2,
        flags2,
        src2_len: layout::BYTES,
        ..job(src1, aecs, flags)
    }
}

fn lengths_in(aecs: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let len = |at: usize| (get(aecs, at) >> 15) as u8;
    (
        (0..286).map(|i| len(layout::LITERALS + 4 * i)).collect(),
        (0..30).map(|i| len(layout::DISTANCES + 4 * i)).collect(),
    )
}

#[test]
fn one_pass_with_a_final_header() {
    for data in samples() {
        for flags2 in [0, compress2::COMPLETE_TABLES] {
            for mode in [0, ALL_LITERALS, 1 << INDEXING_SHIFT] {
                let flags = FINAL_HEADER | FLUSH | END_EOB | mode;
                let job = job2(&data, None, flags, flags2);
                if data.len() > 4096 {
                    assert_error(&job, ErrorCode::INPUT_TOO_LARGE);
                    continue;
                }
                let (_, product) = run_well(&job);
                assert_inflates(&product.output, &data);
                tokens(&product.output);
            }
        }
    }
}

#[test]
fn one_pass_takes_4096_bytes() {
    let flags = FINAL_HEADER | FLUSH | END_EOB;
    run_well(&job2(&[5; 4096], None, flags, 0));
    assert_error(
        &job2(&[5; 4097], None, flags, 0),
        ErrorCode::INPUT_TOO_LARGE,
    );
}

#[test]
fn one_pass_is_as_small_as_two_descriptors() {
    for data in samples().iter().filter(|data| data.len() <= 4096) {
        let (_, statistics) = run_well(&job(data, None, STATISTICS | END_EOB));
        let (literals, distances) = crate::lengths_for(&statistics.output);
        let aecs = aecs(&literals, &distances, &header(&literals, &distances));
        let (_, two) = run_well(&job(data, Some(&aecs), FLUSH | END_EOB));
        let (_, one) = run_well(&job2(data, None, FINAL_HEADER | FLUSH | END_EOB, 0));
        assert_eq!(one.output, two.output);
    }
}

#[test]
fn blocks_with_their_headers_over_two_descriptors() {
    let data = &samples()[0];
    let (first, second) = data.split_at(2048);
    let mut job = job2(first, None, OPEN_HEADER | END_EOB, 0);
    job.op_flags |= op::WRITE_SRC2_AECS;
    let (_, product) = run_well(&job);
    assert_eq!(product.aecs.len(), layout::STATE_BYTES);
    let mut stream = product.output;
    assert_eq!(stream.len() % 32, 0);
    let mut state = vec![0; layout::BYTES];
    state[..64].copy_from_slice(&product.aecs);
    let (end, product) = run_well(&job2(
        second,
        Some(&state),
        FINAL_HEADER | FLUSH | END_EOB,
        0,
    ));
    stream.extend(product.output);
    assert_inflates(&stream, data);
    assert_eq!(end.crc, crate::crc(0, 0, data));
}

#[test]
fn tables_without_a_header_are_written_back() {
    let data = &samples()[0];
    let mut job = job2(
        data,
        None,
        TABLES | FLUSH | END_EOB,
        compress2::WRITE_TABLES,
    );
    job.op_flags |= op::WRITE_SRC2_AECS;
    let (end, product) = run_well(&job);
    assert_eq!(product.aecs.len(), layout::BYTES);
    let (literals, distances) = lengths_in(&product.aecs);
    let mut stream = header(&literals, &distances);
    stream.push_flushed(&product.output, end.output_bits);
    assert_inflates(&stream.bytes(), data);
    // They serve as they are for data that they have codes for.
    let mut canned = product.aecs.clone();
    put(&mut canned, layout::CRC, 0);
    put(&mut canned, layout::XOR, 0);
    let (_, again) = run_well(&crate::job(data, Some(&canned), FLUSH | END_EOB));
    assert_eq!(again.output, product.output);
}

#[test]
fn complete_tables_have_a_code_for_everything() {
    let mut job = job2(
        &[],
        None,
        TWO_PASSES | TABLES | FLUSH,
        compress2::COMPLETE_TABLES | compress2::WRITE_TABLES,
    );
    job.op_flags |= op::WRITE_SRC2_AECS;
    let (_, product) = run_well(&job);
    let (literals, distances) = lengths_in(&product.aecs);
    assert!(literals.iter().chain(&distances).all(|&len| len != 0));
    assert_eq!(get(&product.aecs, layout::ACCUMULATOR_BITS), 0);
    for data in samples() {
        let mut canned = product.aecs.clone();
        set_accumulator(&mut canned, &header(&literals, &distances));
        let (_, product) = run_well(&crate::job(&data, Some(&canned), FLUSH | END_EOB));
        assert_inflates(&product.output, &data);
    }
}

#[test]
fn two_passes() {
    for data in samples() {
        let mut carried = BitString::default();
        carried.push(0b011_1010, 7);
        let mut state = vec![0; layout::BYTES];
        set_accumulator(&mut state, &carried);
        put(&mut state, layout::CRC, 77);
        put(&mut state, layout::XOR, 88);

        let flags = TWO_PASSES | FINAL_HEADER | END_EOB | FLUSH;
        let mut first = job2(&data, Some(&state), flags, compress2::WRITE_TABLES);
        first.op_flags |= op::WRITE_SRC2_AECS;
        first.dst_max = 0;
        let (first_end, product) = run_well(&first);
        assert_eq!(product.output, []);
        assert_eq!(product.aecs.len(), layout::BYTES);
        // The seeds are those of the first pass.
        assert_eq!(product.aecs[..8], state[..8]);

        let second = job2(&data, Some(&product.aecs), END_EOB | FLUSH, 0);
        let (end, product) = run_well(&second);
        assert_eq!((end.crc, end.xor), (first_end.crc, first_end.xor));
        let mut all = BitString::default();
        all.push_flushed(&product.output, end.output_bits);
        let mut stream = BitString::default();
        let bytes = all.bytes();
        for at in carried.len()..all.len() {
            stream.push(u32::from(bytes[at / 8] >> (at % 8) & 1), 1);
        }
        assert_inflates(&stream.bytes(), &data);
        assert_eq!(u32::from(bytes[0]) & 0x7F, 0b011_1010);
    }
}

#[test]
fn a_header_needs_a_symbol_from_256_on() {
    let job = job2(b"abcdefg", None, OPEN_HEADER | FLUSH, 0);
    assert_error(&job, ErrorCode::NO_HEADER_POSSIBLE);
    // Tables alone do not.
    run_well(&Job {
        flags: TABLES | FLUSH,
        ..job
    });
    // A match, an end, or completeness gives one.
    run_well(&Job {
        src1: b"abcabcabcabc",
        ..job
    });
    run_well(&Job {
        flags: job.flags | END_EOB,
        ..job
    });
    run_well(&Job {
        flags2: compress2::COMPLETE_TABLES,
        ..job
    });
}

#[test]
fn a_header_must_fit_the_accumulator() {
    let data = &samples()[0];
    let flags = TWO_PASSES | FINAL_HEADER | END_EOB;
    let mut job = job2(data, None, flags, compress2::WRITE_TABLES);
    job.op_flags |= op::WRITE_SRC2_AECS;
    let header_bits = get(&run_well(&job).1.aecs, layout::ACCUMULATOR_BITS);

    let mut state = vec![0; layout::BYTES];
    for (room, error) in [
        (header_bits, ErrorCode(0)),
        (header_bits - 1, ErrorCode::HEADER_TOO_LONG),
    ] {
        put(&mut state, layout::ACCUMULATOR_BITS, 2048 - room);
        for flags in [flags, flags ^ TWO_PASSES] {
            let (end, _) = run(&Job {
                aecs: Some(&state),
                flags,
                ..job
            });
            assert_eq!(end.error, error);
        }
    }
    put(&mut state, layout::ACCUMULATOR_BITS, 2048);
    assert_error(
        &Job {
            aecs: Some(&state),
            ..job
        },
        ErrorCode::BAD_AECS,
    );
}

#[test]
fn matches_reach_into_a_dictionary() {
    let text = &samples()[11];
    for (field, bytes) in [(1, 2048), (2, 4096), (3, 4096)] {
        let size = layout::BYTES_WITH_DICTIONARY[usize::from(field)];
        let dictionary = &text[5000..5000 + bytes];
        let mut state = fixed_aecs(true);
        state.resize(size, 0xA5);
        state[layout::DICTIONARY..][..bytes].copy_from_slice(dictionary);
        for data in samples() {
            let flags = FLUSH | END_EOB | field << LOAD_DICTIONARY_SHIFT;
            let (_, product) = run_well(&job2(&data, Some(&state), flags, 0));
            assert_inflates_after(dictionary, &product.output, &data);
            // Of statistics and generated codes too.
            put(&mut state, layout::ACCUMULATOR_BITS, 0);
            let (_, statistics) = run_well(&job2(&data, Some(&state), flags | STATISTICS, 0));
            assert_eq!(statistics.output.len(), 1280);
            if data.len() <= 4096 {
                let job = job2(&data, Some(&state), flags | FINAL_HEADER, 0);
                let (_, product) = run_well(&job);
                assert_inflates_after(dictionary, &product.output, &data);
            }
            put(&mut state, layout::ACCUMULATOR_BITS, 3);
        }
        // Noise has one match only, and that one is long.
        let noise = &samples()[3][..bytes];
        state[layout::DICTIONARY..][..bytes].copy_from_slice(noise);
        let data = &noise[bytes - 1024..];
        let flags = FLUSH | END_EOB | field << LOAD_DICTIONARY_SHIFT;
        let (_, product) = run_well(&job2(data, Some(&state), flags, 0));
        let first = Token::Match {
            length: 258,
            distance: 1024,
        };
        assert_eq!(tokens(&product.output)[0], first);
        assert_inflates_after(noise, &product.output, data);

        let short = &state[..size - 32];
        assert_error(&job2(data, Some(short), flags, 0), ErrorCode::BAD_AECS);
        assert_error(
            &job2(data, None, flags | FINAL_HEADER, 0),
            ErrorCode::BAD_AECS,
        );
        // A device that has none does not look for it.
        let mut job = job2(data, Some(&state), flags, 0);
        job.generation = Generation::Two(IaaCap::GEN2);
        assert!(matches!(
            tokens(&run_well(&job).1.output)[0],
            Token::Literal(_)
        ));
    }
}

/// Early abort after 512 << `checkpoint` bytes.
fn abort(eighths: u32, checkpoint: u32) -> u32 {
    eighths << compress2::EARLY_ABORT_SHIFT | checkpoint << compress2::ABORT_CHECKPOINT_SHIFT
}

#[test]
fn giving_up_early() {
    let state = fixed_aecs(true);
    let [text, zeros, noise] = [0, 2, 3].map(|i| samples().swap_remove(i));
    for checkpoint in 0..4 {
        for eighths in 1..8 {
            let flags2 = abort(eighths, checkpoint);
            for flags in [FLUSH | END_EOB, FINAL_HEADER | FLUSH | END_EOB] {
                let job = job2(&noise, Some(&state), flags, flags2);
                assert_error(&job, ErrorCode::EARLY_ABORT);
                run_well(&Job {
                    flags2: abort(0, checkpoint),
                    ..job
                });
                // Checked where it is due, and there only.
                let short = &noise[..(512 << checkpoint) - 1];
                run_well(&Job { src1: short, ..job });
                let late = [&zeros[..512 << checkpoint], &noise[..]].concat();
                let late = &late[..4096];
                assert_ne!(
                    run(&Job { src1: late, ..job }).0.error,
                    ErrorCode::EARLY_ABORT
                );
                run_well(&Job {
                    generation: Generation::Two(IaaCap::HEADER_GEN),
                    ..job
                });
            }
        }
    }
    // Looking does not change what is made.
    for flags in [FLUSH | END_EOB, FINAL_HEADER | FLUSH | END_EOB] {
        let plain = run_well(&job2(&text, Some(&state), flags, 0)).1;
        for checkpoint in 0..4 {
            let job = job2(&text, Some(&state), flags, abort(1, checkpoint));
            assert_eq!(run_well(&job).1.output, plain.output);
        }
    }
    // As many bytes as asked for must have been saved.
    let (_, product) = run_well(&job2(&text[..1024], Some(&state), FLUSH, 0));
    let saved = 1024 - product.output.len() as u32;
    let eighths = saved / 128;
    assert!((1..7).contains(&eighths));
    run_well(&job2(&text[..1024], Some(&state), FLUSH, abort(eighths, 1)));
    let job = job2(&text[..1024], Some(&state), FLUSH, abort(eighths + 1, 1));
    assert_error(&job, ErrorCode::EARLY_ABORT);
    // Passes that write no tokens are not checked.
    run_well(&job2(&noise, None, STATISTICS, abort(7, 0)));
}

#[test]
fn tables_that_are_not_used_do_not_matter() {
    let data = &samples()[0];
    let mut state = vec![0xFF; layout::BYTES];
    state[..layout::LITERALS].fill(0);
    let (_, product) = run_well(&job2(data, Some(&state), FINAL_HEADER | FLUSH | END_EOB, 0));
    assert_inflates(&product.output, data);
}

#[test]
fn empty_input_has_a_header_too() {
    let (_, product) = run_well(&job2(&[], None, FINAL_HEADER | FLUSH | END_EOB, 0));
    assert_eq!(tokens(&product.output), [Token::EndOfBlock]);
}
