//! Whatever the input, and whatever the job.

use crate::inflate::assert_inflates;
use crate::{GENERATION_2, aecs, fixed_aecs, header, job, lengths_for};
use pagepress_abi::Status;
use pagepress_abi::flags::compress::*;
use pagepress_model::compress::Compressor;
use pagepress_model::op::{Generation, Job, Product};
use proptest::collection::vec;
use proptest::prelude::*;

/// Data with repetitions at all distances: noise and copies.
fn data() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        vec(any::<u8>(), 1..40).prop_map(|bytes| (bytes, 0, 0)),
        vec(0..4u8, 1..40).prop_map(|bytes| (bytes, 0, 0)),
        (1..5000usize, 1..400usize).prop_map(|(back, len)| (vec![], back, len)),
    ];
    vec(piece, 0..60).prop_map(|pieces| {
        let mut data = Vec::new();
        for (bytes, back, len) in pieces {
            data.extend(bytes);
            for _ in 0..len {
                let at = data.len().checked_sub(back);
                data.push(at.map_or(0, |at| data[at]));
            }
        }
        data
    })
}

fn run(job: &Job<'_>) -> Product {
    let mut product = Product::default();
    let end = Compressor::new().run(job, &mut product);
    assert_eq!(end.status, Status::SUCCESS, "{}", end.error);
    product
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_data_comes_back(data in data(), mode in 0..16u16) {
        let literals = if mode >= 8 { ALL_LITERALS } else { 0 };
        let mode = (mode & 7) << INDEXING_SHIFT | literals;
        let state = fixed_aecs(true);
        let product = run(&job(&data, Some(&state), FLUSH | END_EOB | mode));
        assert_inflates(&product.output, &data);

        let statistics = run(&job(&data, None, STATISTICS | mode));
        let (literals, distances) = lengths_for(&statistics.output);
        let state = aecs(&literals, &distances, &header(&literals, &distances));
        let product = run(&job(&data, Some(&state), FLUSH | END_EOB | mode));
        assert_inflates(&product.output, &data);

        if data.len() <= 4096 {
            let mut job = job(&data, None, 3 << HEADER_GEN_SHIFT | FLUSH | END_EOB | mode);
            job.generation = GENERATION_2;
            prop_assert_eq!(run(&job).output, product.output);
        }
    }

    #[test]
    fn any_job_ends(
        data in data(),
        mut state in vec(any::<u8>(), 0..14_000),
        has_state in any::<bool>(),
        likely in any::<bool>(),
        op_flags in any::<u32>(),
        flags in any::<u16>(),
        flags2 in any::<u32>(),
        src2_len in 0..14_000usize,
        dst_max in 0..9000usize,
        generation_2 in any::<bool>(),
    ) {
        if likely && state.len() >= 1568 {
            state[..1568].copy_from_slice(&fixed_aecs(true));
        }
        let job = Job {
            generation: if generation_2 { GENERATION_2 } else { Generation::One },
            op_flags,
            flags,
            flags2,
            src1: &data,
            aecs: has_state.then_some(&state[..]),
            src2_len,
            dst_max,
        };
        let mut engine = Compressor::new();
        let mut product = Product::default();
        let end = engine.run(&job, &mut product);
        prop_assert!(product.output.len() <= dst_max);
        prop_assert!(product.aecs.len() <= src2_len);
        if end.status != Status::SUCCESS {
            prop_assert!(product.output.is_empty() && product.aecs.is_empty());
        }
        // The engine is as good as new.
        let state = fixed_aecs(true);
        let good = job_of(&data, &state);
        engine.run(&good, &mut product);
        prop_assert_eq!(&product.output, &run(&good).output);
    }

    #[test]
    fn any_cut_into_descriptors_is_one_stream(data in data(), cuts in vec(0..4000usize, 0..6)) {
        let mut state = fixed_aecs(false);
        let mut stream = Vec::new();
        let mut rest = &data[..];
        for cut in cuts {
            let (chunk, after) = rest.split_at(cut.min(rest.len()));
            rest = after;
            let mut job = job(chunk, Some(&state), 0);
            job.op_flags |= pagepress_abi::flags::op::WRITE_SRC2_AECS;
            let product = run(&job);
            prop_assert_eq!(product.output.len() % 32, 0);
            stream.extend(product.output);
            state[..64].copy_from_slice(&product.aecs);
        }
        let product = run(&job(rest, Some(&state), FLUSH | END_EOB_BFINAL));
        stream.extend(product.output);
        assert_inflates(&stream, &data);
    }
}

fn job_of<'a>(data: &'a [u8], state: &'a [u8]) -> Job<'a> {
    job(data, Some(state), FLUSH | END_EOB)
}
