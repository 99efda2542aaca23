//! Deflate writers that reach back 4096 bytes at most.

use miniz_oxide::deflate::core::{
    CompressionStrategy, CompressorOxide, TDEFLFlush, TDEFLStatus, compress,
    create_comp_flags_from_zip_params,
};
use pagepress_abi::aecs::HISTORY;
use pagepress_fallback::encoder::{self, Encoder, SLACK};
use zlib_rs::{Deflate, DeflateConfig, DeflateFlush, Status, Strategy};

/// Which code base a stream is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writer {
    Zlib(i32, Strategy),
    /// With a flush of a different kind after each so many bytes.
    ZlibBlocks(i32, usize),
    Miniz(i32, CompressionStrategy),
    /// Our own, with fixed codes or with codes of the page.
    Fallback(Codes),
}

/// Whose codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Codes {
    Fixed,
    Dynamic,
}

/// All block types, alone and together: stored at level 0, fixed, dynamic with
/// and without matches.
pub(crate) const WRITERS: [Writer; 21] = [
    Writer::Zlib(0, Strategy::Default),
    Writer::Zlib(1, Strategy::Default),
    Writer::Zlib(4, Strategy::Default),
    Writer::Zlib(6, Strategy::Default),
    Writer::Zlib(9, Strategy::Default),
    Writer::Zlib(6, Strategy::Fixed),
    Writer::Zlib(9, Strategy::Fixed),
    Writer::Zlib(6, Strategy::HuffmanOnly),
    Writer::Zlib(6, Strategy::Rle),
    Writer::Zlib(6, Strategy::Filtered),
    Writer::ZlibBlocks(6, 900),
    Writer::Miniz(0, CompressionStrategy::Default),
    Writer::Miniz(1, CompressionStrategy::Default),
    Writer::Miniz(6, CompressionStrategy::Default),
    Writer::Miniz(9, CompressionStrategy::Default),
    Writer::Miniz(6, CompressionStrategy::Fixed),
    Writer::Miniz(6, CompressionStrategy::HuffmanOnly),
    Writer::Miniz(6, CompressionStrategy::RLE),
    Writer::Miniz(6, CompressionStrategy::Filtered),
    Writer::Fallback(Codes::Fixed),
    Writer::Fallback(Codes::Dynamic),
];

impl Writer {
    /// Ours takes no more than a unit.
    pub(crate) fn takes(self, data: &[u8]) -> bool {
        !matches!(self, Self::Fallback(_)) || data.len() <= 1 << 16
    }

    pub(crate) fn write(self, data: &[u8]) -> Vec<u8> {
        match self {
            Self::Zlib(level, strategy) => zlib(data, level, strategy),
            Self::ZlibBlocks(level, piece) => zlib_blocks(data, level, piece),
            Self::Miniz(level, strategy) => miniz(data, level, strategy),
            Self::Fallback(codes) => fallback(data, codes),
        }
    }
}

/// More than any of them needs.
fn room(data: &[u8]) -> Vec<u8> {
    vec![0; 2 * data.len() + 1024]
}

fn zlib(data: &[u8], level: i32, strategy: Strategy) -> Vec<u8> {
    let mut out = room(data);
    let config = DeflateConfig {
        level,
        // Raw, 4096 bytes.
        window_bits: -12,
        strategy,
        ..DeflateConfig::default()
    };
    let (stream, code) = zlib_rs::compress_slice(&mut out, data, config);
    assert_eq!(code as i32, 0, "zlib-rs");
    stream.to_vec()
}

fn zlib_blocks(data: &[u8], level: i32, piece: usize) -> Vec<u8> {
    let mut encoder = Deflate::new(level, false, 12);
    let mut out = room(data);
    let kinds = [
        DeflateFlush::PartialFlush,
        DeflateFlush::SyncFlush,
        DeflateFlush::FullFlush,
        DeflateFlush::Block,
    ];
    for (piece, kind) in data.chunks(piece).zip(kinds.into_iter().cycle()) {
        let at = encoder.total_out() as usize;
        let end = encoder.compress(piece, &mut out[at..], kind);
        assert!(end.is_ok(), "zlib-rs: {end:?}");
    }
    let at = encoder.total_out() as usize;
    let end = encoder.compress(&[], &mut out[at..], DeflateFlush::Finish);
    assert_eq!(end, Ok(Status::StreamEnd));
    out.truncate(encoder.total_out() as usize);
    out
}

fn fallback(data: &[u8], codes: Codes) -> Vec<u8> {
    let mut out = room(data);
    let limit = out.len() - SLACK;
    let mut encoder = Encoder::new(data.len()).expect("memory");
    let len = match codes {
        Codes::Fixed => encoder.with_codes(data, &mut out, limit, &encoder::Codes::fixed()),
        Codes::Dynamic => encoder.dynamic(data, &mut out, limit),
    };
    out.truncate(len.expect("there is room"));
    out
}

/// It has a window of 32 KiB, which a full flush after each 4096 bytes empties.
fn miniz(data: &[u8], level: i32, strategy: CompressionStrategy) -> Vec<u8> {
    let flags = create_comp_flags_from_zip_params(level, 0, strategy as i32);
    let mut encoder = CompressorOxide::new(flags);
    let mut out = room(data);
    let mut len = 0;
    let mut put = |piece: &[u8], flush| {
        let (status, read, written) = compress(&mut encoder, piece, &mut out[len..], flush);
        assert_eq!(read, piece.len(), "miniz_oxide");
        len += written;
        status
    };
    for piece in data.chunks(HISTORY) {
        assert_eq!(put(piece, TDEFLFlush::Full), TDEFLStatus::Okay);
    }
    assert_eq!(put(&[], TDEFLFlush::Finish), TDEFLStatus::Done);
    out.truncate(len);
    out
}
