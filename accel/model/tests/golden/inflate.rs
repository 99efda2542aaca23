//! Independent readers of streams, and independent checksums.

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};
use zlib_rs::{Inflate, InflateFlush, Status};

pub(crate) const GZIP_HEADER: usize = 10;
pub(crate) const GZIP_TRAILER: usize = 8;
pub(crate) const ZLIB_HEADER: usize = 2;

/// Whether two implementations make exactly `data` of all of `stream`; if not,
/// what they say.
pub(crate) fn inflates_to(stream: &[u8], data: &[u8]) -> Result<(), String> {
    let mut out = vec![0; data.len() + 1];
    let mut inflate = Inflate::new(false, 15);
    let end = inflate.decompress(stream, &mut out, InflateFlush::Finish);
    let (read, written) = (inflate.total_in(), inflate.total_out() as usize);
    let whole = matches!(end, Ok(Status::StreamEnd)) && read == stream.len() as u64;
    if !whole || out[..written] != *data {
        return Err(format!("zlib-rs: {end:?}, {read} bytes to {written}"));
    }
    out.fill(0);
    let flags = inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
    let mut state = DecompressorOxide::new();
    let (end, read, written) = decompress(&mut state, stream, &mut out, 0, flags);
    if end != TINFLStatus::Done || read != stream.len() || out[..written] != *data {
        return Err(format!("miniz_oxide: {end:?}, {read} bytes to {written}"));
    }
    Ok(())
}

/// A raw stream in the wrapper of gzip, as QPL makes it.
pub(crate) fn gzip(raw: &[u8], crc: u32, len: usize) -> Vec<u8> {
    let header = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF];
    let len = (len as u32).to_le_bytes();
    [&header, raw, &crc.to_le_bytes(), &len].concat()
}

/// A raw stream in the wrapper of zlib, with a window of 4 KiB.
pub(crate) fn zlib(raw: &[u8], adler: u32) -> Vec<u8> {
    let method = 0x48;
    let check = 31 - (u16::from(method) << 8) % 31;
    let header = [method, check as u8];
    [&header, raw, &adler.to_be_bytes()].concat()
}

/// Whether a gzip or zlib stream has this data, wrapper and all.
pub(crate) fn unwraps_to(stream: &[u8], data: &[u8]) -> bool {
    let mut out = vec![0; data.len()];
    let mut reader = libdeflater::Decompressor::new();
    let written = if stream[0] == 0x1F {
        reader.gzip_decompress(stream, &mut out)
    } else {
        reader.zlib_decompress(stream, &mut out)
    };
    written == Ok(data.len()) && out == data
}

pub(crate) fn crc32(data: &[u8]) -> u32 {
    libdeflater::crc32(data)
}

pub(crate) fn adler32(data: &[u8]) -> u32 {
    libdeflater::adler32(data)
}

/// XOR of 16-bit words.
pub(crate) fn xor16(data: &[u8]) -> u16 {
    data.iter()
        .enumerate()
        .fold(0, |sum, (i, &byte)| sum ^ u16::from(byte) << (8 * (i % 2)))
}
