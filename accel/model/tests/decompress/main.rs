//! Decompress: every error, streams of real writers, jobs cut anywhere, and
//! canned tables.

mod canned;
mod chains;
mod errors;
mod fallback;
mod index;
mod properties;
mod stream;
mod streams;
mod writers;

use pagepress_abi::IaaCap;
use pagepress_abi::flags::decompress as flag;
use pagepress_model::checksum::{Polynomial, Xor, crc32};
use pagepress_model::decompress::Decompressor;
use pagepress_model::op::{End, Generation, Job, Product};

const GEN1: Generation = Generation::One;
const GEN2: Generation = Generation::Two(
    IaaCap::GEN2
        .with(IaaCap::LOAD_PARTIAL)
        .with(IaaCap::DROP_BITS),
);

/// What the kernel asks for, with a stream of any number of blocks.
const WHOLE: u16 =
    flag::ENABLE | flag::FLUSH | flag::STOP_ON_EOB | flag::CHECK_EOB | flag::SELECT_BFINAL;

/// A job with what most jobs have.
fn job(generation: Generation, src1: &[u8]) -> Job<'_> {
    Job {
        generation,
        op_flags: 0,
        flags: WHOLE,
        flags2: 0,
        src1,
        aecs: None,
        src2_len: 0,
        dst_max: 1 << 20,
    }
}

fn run(job: &Job<'_>) -> (End, Product) {
    let mut product = Product::default();
    let end = Decompressor::new().run(job, &mut product);
    (end, product)
}

/// The checksums of `data`.
fn sums(data: &[u8]) -> (u32, u16) {
    let mut xor = Xor::default();
    xor.update(data);
    (crc32(Polynomial::Gzip, 0, data), xor.sum())
}
