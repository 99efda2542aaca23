//! Several descriptors, one stream: the AECS carries bits and checksums on.

use crate::inflate::{BitString, assert_inflates};
use crate::{GENERATION_2, fixed_aecs, get, job, run, run_well, samples, set_accumulator};
use crate::{aecs, header, lengths_for};
use pagepress_abi::ErrorCode;
use pagepress_abi::aecs::compress as layout;
use pagepress_abi::flags::compress::*;
use pagepress_abi::flags::op;

/// What the next descriptor reads: an AECS written over one with tables.
fn next(aecs: &[u8], written: &[u8]) -> Vec<u8> {
    assert_eq!(written.len(), layout::STATE_BYTES);
    let mut next = aecs.to_vec();
    next[..written.len()].copy_from_slice(written);
    next
}

#[test]
fn one_block_over_four_descriptors() {
    let data = &samples()[0];
    let mut state = fixed_aecs(false);
    let mut stream = Vec::new();
    let chunks: Vec<&[u8]> = data.chunks(1024).collect();
    let (last, others) = chunks.split_last().unwrap();
    for chunk in others {
        let mut job = job(chunk, Some(&state), 0);
        job.op_flags |= op::WRITE_SRC2_AECS;
        let (end, product) = run_well(&job);
        assert_eq!(product.output.len() % 32, 0);
        assert_eq!(end.output_bits, 0);
        assert!(get(&product.aecs, layout::ACCUMULATOR_BITS) < 256);
        assert_eq!(get(&product.aecs, layout::CRC), end.crc);
        assert_eq!(get(&product.aecs, layout::XOR), u32::from(end.xor));
        stream.extend(product.output);
        state = next(&state, &product.aecs);
    }
    let (end, product) = run_well(&job(last, Some(&state), FLUSH | END_EOB_BFINAL));
    assert!(product.aecs.is_empty());
    stream.extend(product.output);
    assert_inflates(&stream, data);
    assert_eq!(end.crc, crate::crc(0, 0, data));
    assert_eq!(end.xor, crate::xor(0, data));
}

#[test]
fn a_block_of_its_own_codes_for_each_descriptor() {
    let data = &samples()[0];
    let mut carried = BitString::default();
    let mut stream = Vec::new();
    let mut crc = 0;
    for (i, chunk) in data.chunks(2048).enumerate() {
        let (_, statistics) = run_well(&job(chunk, None, STATISTICS));
        let (literals, distances) = lengths_for(&statistics.output);
        let mut block = header(&literals, &distances).bytes();
        let bits = header(&literals, &distances).len();
        block[0] = block[0] & !1 | u8::from(i == 1);
        carried.push_flushed(&block, (bits % 8) as u8);
        let mut state = aecs(&literals, &distances, &carried);
        state[..4].copy_from_slice(&u32::to_le_bytes(crc));
        let flush = if i == 1 { FLUSH } else { 0 };
        let mut job = job(chunk, Some(&state), flush | END_EOB);
        job.op_flags |= op::WRITE_SRC2_AECS;
        let (end, product) = run_well(&job);
        crc = end.crc;
        stream.extend(product.output);
        let bits = get(&product.aecs, layout::ACCUMULATOR_BITS) as usize;
        carried = BitString::default();
        let bytes = &product.aecs[layout::ACCUMULATOR..][..bits.div_ceil(8)];
        carried.push_flushed(bytes, (bits % 8) as u8);
    }
    assert_eq!(carried.len(), 0);
    assert_inflates(&stream, data);
    assert_eq!(crc, crate::crc(0, 0, data));
}

#[test]
fn blocks_joined_by_the_bits_of_a_last_byte() {
    let data = &samples()[0];
    let mut stream = BitString::default();
    for (i, chunk) in data.chunks(700).enumerate() {
        let last = (i + 1) * 700 >= data.len();
        // The bits of a byte that is not full go before the next header.
        let whole = stream.len() / 8;
        let mut carried = BitString::default();
        carried.push_flushed(&stream.bytes()[whole..], (stream.len() % 8) as u8);
        carried.push(u32::from(last) | 1 << 1, 3);
        let mut state = fixed_aecs(true);
        set_accumulator(&mut state, &carried);
        let (end, product) = run_well(&job(chunk, Some(&state), FLUSH | END_EOB));
        let mut joined = BitString::default();
        joined.push_bytes(&stream.bytes()[..whole]);
        joined.push_flushed(&product.output, end.output_bits);
        stream = joined;
    }
    assert_inflates(&stream.bytes(), data);
}

#[test]
fn what_is_written_back_has_its_size() {
    let data = &samples()[0];
    let state = fixed_aecs(false);
    let mut job = job(data, Some(&state), END_EOB);
    job.op_flags |= op::WRITE_SRC2_AECS;
    for (src2_len, written) in [(1568, 64), (64, 64), (32, 32), (0, 0)] {
        job.src2_len = src2_len;
        assert_eq!(run_well(&job).1.aecs.len(), written);
    }
    // Flushed: no bits are left.
    job.src2_len = 1568;
    job.flags |= FLUSH;
    let (_, product) = run_well(&job);
    assert_eq!(get(&product.aecs, layout::ACCUMULATOR_BITS), 0);
    assert_eq!(product.aecs[layout::ACCUMULATOR..], [0; 32]);
    // Writing on overflow is for Decompress.
    job.op_flags ^= op::WRITE_SRC2_AECS | op::WRITE_SRC2_OVERFLOW;
    assert_eq!(run_well(&job).1.aecs, []);
}

#[test]
fn all_that_is_left_can_stay_in_the_accumulator() {
    let state = fixed_aecs(false);
    let mut job = job(b"short", Some(&state), END_EOB);
    job.op_flags |= op::WRITE_SRC2_AECS;
    job.dst_max = 0;
    let (_, product) = run_well(&job);
    assert_eq!(product.output, []);
    assert_eq!(get(&product.aecs, layout::ACCUMULATOR_BITS), 3 + 5 * 8 + 7);
}

#[test]
fn an_index_ends_with_a_partial_mini_block() {
    let data = &samples()[0];
    let index = END_EOB | 1 << INDEXING_SHIFT;
    for (len, fits) in [(1024, true), (1000, false)] {
        let state = fixed_aecs(false);
        let mut job = job(&data[..len], Some(&state), index);
        job.op_flags |= op::WRITE_SRC2_AECS;
        job.generation = GENERATION_2;
        let (_, product) = run_well(&job);
        let state = next(&state, &product.aecs);
        job.aecs = Some(&state);
        let (end, _) = run(&job);
        let error = if fits {
            ErrorCode(0)
        } else {
            ErrorCode::BAD_LINKING
        };
        assert_eq!(end.error, error);
        // Without an index it does not matter.
        job.flags = END_EOB;
        assert_eq!(run(&job).0.error, ErrorCode(0));
    }
}
