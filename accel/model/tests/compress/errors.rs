//! Each error that a Compress can end with, but those of generation 2.

use crate::inflate::{BitString, fixed_lengths};
use crate::{GENERATION_2, aecs, fixed_aecs, get, job, put, run, run_well, samples};
use pagepress_abi::aecs::compress as layout;
use pagepress_abi::flags::compress::*;
use pagepress_abi::flags::op;
use pagepress_abi::{ErrorCode, Status};
use pagepress_model::op::Job;

#[track_caller]
pub(crate) fn assert_error(job: &Job<'_>, error: ErrorCode) {
    let (end, product) = run(job);
    assert_eq!((end.status, end.error), (Status::ANALYTICS_ERROR, error));
    assert_eq!((product.output, product.aecs), (vec![], vec![]));
}

#[test]
fn an_impossible_aecs() {
    let good = fixed_aecs(true);
    assert_error(&job(b"a", None, FLUSH), ErrorCode::BAD_AECS);
    for len in [0, 1, 63, 64, 1567] {
        assert_error(&job(b"a", Some(&good[..len]), FLUSH), ErrorCode::BAD_AECS);
    }
    for bits in [2049, 1 << 16, 1 << 31, u32::MAX] {
        let mut bad = good.clone();
        put(&mut bad, layout::ACCUMULATOR_BITS, bits);
        assert_error(&job(b"a", Some(&bad), FLUSH), ErrorCode::BAD_AECS);
    }
    for at in [layout::LITERALS + 4 * 77, layout::DISTANCES] {
        let mut bad = good.clone();
        put(&mut bad, at, layout::code_dword(0b100, 2));
        assert_error(&job(b"a", Some(&bad), FLUSH), ErrorCode::BAD_AECS);
    }
}

#[test]
fn output_that_does_not_fit() {
    for data in samples() {
        for mode in [FLUSH | END_EOB, FLUSH | END_EOB_BFINAL | BE16, END_EOB] {
            let state = fixed_aecs(false);
            let mut job = job(&data, Some(&state), mode);
            job.op_flags |= op::WRITE_SRC2_AECS;
            job.dst_max = run_well(&job).1.output.len();
            assert!(!run_well(&job).1.aecs.is_empty());
            if job.dst_max > 0 {
                job.dst_max -= 1;
                assert_error(&job, ErrorCode::OVERFLOW);
            }
        }
    }
}

#[test]
fn a_histogram_needs_all_its_room() {
    let mut job = job(b"abc", None, STATISTICS);
    job.dst_max = 1280;
    run_well(&job);
    job.dst_max = 1279;
    assert_error(&job, ErrorCode::OVERFLOW);
}

#[test]
fn tokens_without_a_code() {
    let data = b"abcdabcdabcdefgh";
    for symbol in [usize::from(b'c'), usize::from(b'h'), 256, 257 + 5] {
        let mut lengths = fixed_lengths();
        lengths[symbol] = 0;
        let aecs = aecs(&lengths, &[5; 30], &BitString::default());
        assert_error(
            &job(data, Some(&aecs), FLUSH | END_EOB),
            ErrorCode::ZERO_LENGTH_CODE,
        );
    }
    let mut distances = [5; 30];
    distances[3] = 0;
    let bad = aecs(&fixed_lengths(), &distances, &BitString::default());
    assert_error(
        &job(data, Some(&bad), FLUSH | END_EOB),
        ErrorCode::ZERO_LENGTH_CODE,
    );
    // Not written, not missed.
    let mut lengths = fixed_lengths();
    lengths[256] = 0;
    let good = aecs(&lengths, &[5; 30], &BitString::default());
    run_well(&job(data, Some(&good), FLUSH));
}

#[test]
fn generation_1_has_none_of_generation_2() {
    let state = fixed_aecs(true);
    let data = &samples()[0];
    let (_, plain) = run_well(&job(data, Some(&state), FLUSH | END_EOB));
    let mut job = job(
        data,
        Some(&state),
        FLUSH | END_EOB | HEADER_GEN | LOAD_DICTIONARY,
    );
    job.flags2 = u32::MAX;
    assert_eq!(run_well(&job).1.output, plain.output);
    // Neither the bit that only it knows.
    let mut last = state.clone();
    let bits = get(&last, layout::ACCUMULATOR_BITS);
    put(&mut last, layout::ACCUMULATOR_BITS, bits | 1 << 31);
    let mut job = crate::job(data, Some(&last), FLUSH | END_EOB);
    assert_error(&job, ErrorCode::BAD_AECS);
    job.generation = GENERATION_2;
    assert_eq!(run(&job).1.output, plain.output);
}
