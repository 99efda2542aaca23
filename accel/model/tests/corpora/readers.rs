//! Two inflate implementations that share no code with the model, nor with
//! each other.

use zlib_rs::{Inflate, InflateFlush, Status};

/// A reader, by name: whether `stream` is exactly `data`.
pub(crate) type Reader = (&'static str, fn(&[u8], &[u8]) -> Result<(), String>);

pub(crate) const READERS: [Reader; 2] = [("zlib-rs", zlib), ("libdeflate", libdeflate)];

fn zlib(stream: &[u8], data: &[u8]) -> Result<(), String> {
    let mut inflate = Inflate::new(false, 15);
    let mut out = vec![0; data.len() + 1];
    let end = inflate.decompress(stream, &mut out, InflateFlush::Finish);
    if !matches!(end, Ok(Status::StreamEnd)) {
        return Err(format!("{end:?}"));
    }
    let left = stream.len() as u64 - inflate.total_in();
    if left != 0 {
        return Err(format!("{left} bytes left"));
    }
    same(&out[..inflate.total_out() as usize], data)
}

fn libdeflate(stream: &[u8], data: &[u8]) -> Result<(), String> {
    let mut out = vec![0; data.len() + 1];
    let len = libdeflater::Decompressor::new()
        .deflate_decompress(stream, &mut out)
        .map_err(|error| error.to_string())?;
    same(&out[..len], data)
}

/// Whether both are the same, or where they are not.
pub(crate) fn same(out: &[u8], data: &[u8]) -> Result<(), String> {
    if out == data {
        return Ok(());
    }
    let at = out.iter().zip(data).position(|(a, b)| a != b);
    let (is, should) = (out.len(), data.len());
    Err(match at {
        Some(at) => format!("differs at {at}"),
        None => format!("{is} bytes instead of {should}"),
    })
}
