//! The Compress engine, its output read back by others.

mod errors;
mod generation2;
mod inflate;
mod linking;
mod modes;
mod properties;

use inflate::{BitString, fixed_lengths};
use pagepress_abi::aecs::compress as layout;
use pagepress_abi::flags::{compress as flags, op};
use pagepress_abi::{ErrorCode, IaaCap, Status};
use pagepress_fallback::huffman;
use pagepress_model::compress::Compressor;
use pagepress_model::op::{End, Generation, Job, Product};

const GENERATION_2: Generation = Generation::Two(
    IaaCap::GEN2
        .with(IaaCap::EARLY_ABORT)
        .with(IaaCap::DICTIONARY)
        .with(IaaCap::HEADER_GEN),
);

/// A job on generation 1 with room for any output.
fn job<'a>(src1: &'a [u8], aecs: Option<&'a [u8]>, flags: u16) -> Job<'a> {
    let read = aecs.map_or(0, |_| op::READ_SRC2_AECS);
    Job {
        generation: Generation::One,
        op_flags: op::CRAV | op::RCR | read,
        flags,
        flags2: 0,
        src1,
        aecs,
        src2_len: aecs.map_or(0, <[u8]>::len),
        dst_max: 2 * src1.len() + 4096,
    }
}

/// What a job makes, by an engine that has seen other jobs before.
fn run(job: &Job<'_>) -> (End, Product) {
    let mut engine = Compressor::new();
    let mut product = Product::default();
    let fresh_end = engine.run(job, &mut product);
    let fresh = core::mem::take(&mut product);
    for sample in samples() {
        let aecs = fixed_aecs(true);
        engine.run(&self::job(&sample, Some(&aecs), flags::FLUSH), &mut product);
    }
    let end = engine.run(job, &mut product);
    assert_eq!(end, fresh_end);
    assert_eq!(product.output, fresh.output);
    assert_eq!(product.aecs, fresh.aecs);
    (end, product)
}

/// The same for a job that must succeed, with its checksums looked at.
#[track_caller]
fn run_well(job: &Job<'_>) -> (End, Product) {
    let (end, product) = run(job);
    assert_eq!(end.status, Status::SUCCESS, "{}", end.error);
    assert_eq!(end.error, ErrorCode(0));
    assert_eq!(end.bytes_completed, 0);
    let seed = |at: usize| {
        let bytes = job
            .aecs
            .map_or([0; 4], |aecs| aecs[at..at + 4].try_into().unwrap());
        u32::from_le_bytes(bytes)
    };
    let crc = crc(job.op_flags, seed(layout::CRC), job.src1);
    assert_eq!(end.crc, crc);
    assert_eq!(end.xor, xor(seed(layout::XOR) as u16, job.src1));
    (end, product)
}

/// Bit by bit, for either polynomial.
fn crc(op_flags: u32, seed: u32, data: &[u8]) -> u32 {
    let polynomial = match op_flags & op::CRC32C {
        0 => 0xEDB8_8320,
        _ => 0x82F6_3B78,
    };
    !data.iter().fold(!seed, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ ((crc & 1) * polynomial)
        })
    })
}

fn xor(seed: u16, data: &[u8]) -> u16 {
    data.iter().enumerate().fold(seed, |sum, (i, &byte)| {
        sum ^ u16::from(byte) << (8 * (i % 2))
    })
}

/// An AECS with these tables, by code lengths, and these accumulator bits.
fn aecs(literals: &[u8], distances: &[u8], accumulator: &BitString) -> Vec<u8> {
    let mut aecs = vec![0; layout::BYTES];
    let tables = [
        (layout::LITERALS, literals, huffman::LITERALS),
        (layout::DISTANCES, distances, huffman::DISTANCES),
    ];
    for (at, lengths, used) in tables {
        let mut codes = vec![0; lengths.len()];
        huffman::canonical_codes(lengths, &mut codes);
        for (i, (&code, &len)) in codes.iter().zip(lengths).take(used).enumerate() {
            let dword = layout::code_dword(u32::from(code), u32::from(len));
            put(&mut aecs, at + 4 * i, dword);
        }
    }
    set_accumulator(&mut aecs, accumulator);
    aecs
}

fn set_accumulator(aecs: &mut [u8], accumulator: &BitString) {
    let bytes = accumulator.bytes();
    put(aecs, layout::ACCUMULATOR_BITS, accumulator.len() as u32);
    aecs[layout::ACCUMULATOR..][..bytes.len()].copy_from_slice(&bytes);
}

fn put(aecs: &mut [u8], at: usize, dword: u32) {
    aecs[at..at + 4].copy_from_slice(&dword.to_le_bytes());
}

fn get(aecs: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(aecs[at..at + 4].try_into().unwrap())
}

/// Fixed codes, and the header of a block with them.
fn fixed_aecs(is_final: bool) -> Vec<u8> {
    let mut header = BitString::default();
    header.push(u32::from(is_final) | 1 << 1, 3);
    aecs(&fixed_lengths(), &[5; 30], &header)
}

/// The code lengths that fit a histogram, every literal among them.
fn lengths_for(histogram: &[u8]) -> ([u8; 286], [u8; 30]) {
    let count = |at: usize, i: usize| get(histogram, at + 4 * i);
    let literals: [u32; 286] = core::array::from_fn(|i| match i {
        256 => 1,
        _ => count(0, i),
    });
    let distances: [u32; 30] = core::array::from_fn(|i| count(layout::HISTOGRAM_DISTANCES, i));
    let mut lengths = ([0; 286], [0; 30]);
    huffman::code_lengths(&literals, 15, &mut lengths.0);
    huffman::code_lengths(&distances, 15, &mut lengths.1);
    lengths
}

/// The header of a final block with these code lengths.
fn header(literals: &[u8], distances: &[u8]) -> BitString {
    let mut bits = BitString::default();
    let header = huffman::Header::new(literals, distances);
    header.write(true, |value, count| bits.push(value, count));
    assert_eq!(bits.len(), header.bits());
    bits
}

/// Data of different kinds and lengths.
fn samples() -> Vec<Vec<u8>> {
    let mut state = 1_u32;
    let mut random = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let mut noise = |len: usize| (0..len).map(|_| random()).collect::<Vec<_>>();
    let words = [
        &b"page "[..],
        b"compress ",
        b"device ",
        b"queue ",
        b"descriptor ",
        b"the ",
        b"of ",
        b"\n",
    ];
    let text = |noise: Vec<u8>| {
        let words = noise.iter().map(|&n| words[usize::from(n % 8)]);
        words.flatten().copied().collect::<Vec<_>>()
    };
    let records = |noise: Vec<u8>| {
        let records = noise.chunks_exact(2).enumerate().map(|(i, n)| {
            [
                i as u8,
                0x7F,
                0,
                0,
                n[0],
                (i >> 8) as u8,
                0xFF,
                0,
                n[1] & 3,
                0,
                0,
                0,
            ]
        });
        records.flatten().collect::<Vec<_>>()
    };
    let mut page = text(noise(900));
    page.truncate(4096);
    let mut heap = records(noise(700));
    heap.truncate(4096);
    vec![
        page,
        heap,
        vec![0; 4096],
        noise(4096),
        vec![],
        vec![7],
        b"ab".to_vec(),
        b"aaa".to_vec(),
        b"abcabcabcabc".to_vec(),
        (0..=255).collect(),
        text(noise(12)),
        text(noise(30_000)),
        [
            noise(3000),
            vec![1; 3000],
            text(noise(300)),
            vec![1; 70_000],
        ]
        .concat(),
    ]
}
