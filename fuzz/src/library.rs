//! Things that descriptors are good for: AECSs, text, streams. A device finds
//! them in read-only memory.

use crate::{pages, rules};
use pagepress_abi::IaaCap;
use pagepress_abi::aecs::{compress, decompress};
use pagepress_abi::flags::{decompress as flag, op};
use pagepress_model::decompress::Decompressor;
use pagepress_model::op::{Generation, Job, Product};
use std::sync::LazyLock;

/// What there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item {
    /// A Compress AECS: the header of a final fixed block, the fixed codes.
    FixedAecs,
    /// 4 KiB of text.
    Text,
    /// The text as a stream in a code of its own.
    Dynamic,
    /// The text as a stream in the fixed code.
    Fixed,
    /// The text as a stream of several blocks of all kinds.
    Blocks,
    /// A Decompress AECS of generation 1 with the tables of `Dynamic`.
    Canned1,
    /// The same for generation 2.
    Canned2,
    /// What follows the header of `Dynamic`, from a byte on.
    Body,
}

/// All items.
pub const ITEMS: [Item; 8] = [
    Item::FixedAecs,
    Item::Text,
    Item::Dynamic,
    Item::Fixed,
    Item::Blocks,
    Item::Canned1,
    Item::Canned2,
    Item::Body,
];

static BYTES: LazyLock<[Vec<u8>; 8]> = LazyLock::new(|| ITEMS.map(make));

/// The bytes of an item.
#[must_use]
pub fn bytes(item: Item) -> &'static [u8] {
    &BYTES[item as usize]
}

/// Where an item is in the library: at a multiple of 64.
#[must_use]
pub fn offset(item: Item) -> usize {
    BYTES[..item as usize]
        .iter()
        .map(|bytes| bytes.len().next_multiple_of(64))
        .sum()
}

/// Puts all items where [`offset`] says.
pub(crate) fn fill(room: &mut [u8]) {
    for item in ITEMS {
        let bytes = bytes(item);
        room[offset(item)..][..bytes.len()].copy_from_slice(bytes);
    }
}

fn make(item: Item) -> Vec<u8> {
    let text = pages::sample(0, 4096);
    match item {
        Item::FixedAecs => fixed_aecs(),
        Item::Text => text,
        Item::Dynamic => zlib(&text, 9, None),
        Item::Fixed => {
            let strategy = zlib_rs::Strategy::Fixed;
            zlib(&text, 6, Some(strategy))
        }
        Item::Blocks => blocks(&text),
        Item::Canned1 => canned(Generation::One),
        Item::Canned2 => canned(Generation::Two(IaaCap::GEN2)),
        Item::Body => {
            let stream = make(Item::Dynamic);
            from_bit(&stream, header_bits(&stream))
        }
    }
}

/// The fixed codes in the form of a Compress AECS, and the header of a final
/// block in them.
fn fixed_aecs() -> Vec<u8> {
    let mut bytes = vec![0; compress::BYTES];
    bytes[compress::ACCUMULATOR_BITS] = 3;
    bytes[compress::ACCUMULATOR] = 0b011;
    let mut put = |at: usize, code: u32, len: u32| {
        bytes[at..at + 4].copy_from_slice(&compress::code_dword(code, len).to_le_bytes());
    };
    for symbol in 0..286u32 {
        let at = compress::LITERALS + 4 * symbol as usize;
        match symbol {
            0..144 => put(at, 0x30 + symbol, 8),
            144..256 => put(at, 0x190 + symbol - 144, 9),
            256..280 => put(at, symbol - 256, 7),
            _ => put(at, 0xC0 + symbol - 280, 8),
        }
    }
    for symbol in 0..30u32 {
        put(compress::DISTANCES + 4 * symbol as usize, symbol, 5);
    }
    bytes
}

/// What zlib-rs makes of `data`, with the history that the device has.
#[must_use]
pub fn zlib(data: &[u8], level: i32, strategy: Option<zlib_rs::Strategy>) -> Vec<u8> {
    let mut config = zlib_rs::DeflateConfig::new(level);
    // Negative: raw deflate.
    config.window_bits = -12;
    config.strategy = strategy.unwrap_or_default();
    let mut out = vec![0; 2 * data.len() + 1024];
    let (made, code) = zlib_rs::compress_slice(&mut out, data, config);
    assert_eq!(code, zlib_rs::ReturnCode::Ok);
    made.to_vec()
}

/// The same, flushed in several ways.
#[must_use]
pub fn blocks(data: &[u8]) -> Vec<u8> {
    use zlib_rs::DeflateFlush as Flush;
    let mut encoder = zlib_rs::Deflate::new(6, false, 12);
    let mut out = vec![0; 2 * data.len() + 1024];
    let flushes = [Flush::PartialFlush, Flush::SyncFlush, Flush::Block];
    let pieces = data.chunks(data.len().div_ceil(4).max(1));
    for (piece, flush) in pieces.zip(flushes.into_iter().cycle()) {
        let at = encoder.total_out() as usize;
        let result = encoder.compress(piece, &mut out[at..], flush);
        assert_eq!(result, Ok(zlib_rs::Status::Ok));
    }
    let at = encoder.total_out() as usize;
    let result = encoder.compress(&[], &mut out[at..], Flush::Finish);
    assert_eq!(result, Ok(zlib_rs::Status::StreamEnd));
    out.truncate(encoder.total_out() as usize);
    out
}

/// Bits of the first header.
fn header_bits(stream: &[u8]) -> usize {
    let asked = rules::Asked {
        stop: true,
        check: false,
        only_final: false,
        ignored: 0,
        room: usize::MAX,
    };
    rules::decode(stream, asked).headers[0].end
}

/// The bits from that one on, moved to the beginning of a byte.
pub(crate) fn from_bit(stream: &[u8], first: usize) -> Vec<u8> {
    let shift = first % 8;
    let rest = &stream[first / 8..];
    let moved = rest.iter().enumerate().map(|(i, &low)| {
        let high = rest.get(i + 1).copied().unwrap_or(0);
        (u16::from_le_bytes([low, high]) >> shift) as u8
    });
    let len = (8 * stream.len() - first).div_ceil(8);
    moved.take(len).collect()
}

/// What the device makes of a header alone: an AECS with its codes.
fn canned(generation: Generation) -> Vec<u8> {
    let stream = make(Item::Dynamic);
    let bits = header_bits(&stream);
    let header = &stream[..bits.div_ceil(8)];
    let ignored = (8 * header.len() - bits) as u16;
    let job = Job {
        generation,
        op_flags: op::WRITE_SRC2_AECS,
        flags: flag::ENABLE | flag::SUPPRESS_OUTPUT | ignored << flag::IGNORE_END_BITS_SHIFT,
        flags2: 0,
        src1: header,
        aecs: None,
        src2_len: decompress::BYTES,
        dst_max: 0,
    };
    let mut product = Product::default();
    let end = Decompressor::new().run(&job, &mut product);
    assert_eq!(end.status, pagepress_abi::Status::SUCCESS);
    product.aecs
}
