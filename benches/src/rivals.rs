//! The bare codecs: library calls with nothing around them, each with a
//! context that is made once. Ours are measured against these.

use crate::PAGE;
use zstd::zstd_safe::{CCtx, CParameter, DCtx, DParameter, FrameFormat};

/// Compresses a page into the buffer; the bytes written, or `None` if they do
/// not fit below a page.
pub type Compress = Box<dyn FnMut(&[u8], &mut [u8]) -> Option<usize>>;

/// Decompresses into a page; whether that filled it.
pub type Decompress = Box<dyn FnMut(&[u8], &mut [u8]) -> bool>;

/// A library's two sides.
pub struct Rival {
    /// What reports call it.
    pub name: String,
    /// Its encoder.
    pub compress: Compress,
    /// Its decoder.
    pub decompress: Decompress,
}

impl std::fmt::Debug for Rival {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rival")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

fn below_a_page(len: usize) -> Option<usize> {
    (len < PAGE).then_some(len)
}

/// lz4_flex with a kept table; its decoder.
#[must_use]
pub fn lz4_flex() -> Rival {
    let mut table = lz4_flex::block::CompressTable::small();
    Rival {
        name: "lz4_flex".into(),
        compress: Box::new(move |page, dst| {
            lz4_flex::block::compress_into_with_table(page, dst, &mut table)
                .ok()
                .and_then(below_a_page)
        }),
        decompress: Box::new(|src, page| {
            lz4_flex::block::decompress_into(src, page).is_ok_and(|len| len == page.len())
        }),
    }
}

/// liblz4, told to stop one byte below a page.
#[must_use]
pub fn liblz4() -> Rival {
    Rival {
        name: "liblz4".into(),
        compress: Box::new(|page, dst| {
            liblz4_ffi::compress(page, &mut dst[..PAGE - 1]).and_then(below_a_page)
        }),
        decompress: Box::new(|src, page| liblz4_ffi::decompress(src, page) == Some(page.len())),
    }
}

/// lz4_flex's encoder with liblz4's decoder: what our lz4 is made of.
#[must_use]
pub fn lz4_pair() -> Rival {
    Rival {
        name: "lz4_flex + liblz4".into(),
        decompress: liblz4().decompress,
        ..lz4_flex()
    }
}

/// libzstd with frames as ours: no magic number, content size or checksum.
#[must_use]
pub fn zstd(level: i32) -> Rival {
    let mut encoder = CCtx::create();
    for parameter in [
        CParameter::CompressionLevel(level),
        CParameter::Format(FrameFormat::Magicless),
        CParameter::ContentSizeFlag(false),
    ] {
        encoder
            .set_parameter(parameter)
            .expect("libzstd knows its parameters");
    }
    let mut decoder = DCtx::create();
    let magicless = DParameter::Format(FrameFormat::Magicless);
    decoder
        .set_parameter(magicless)
        .expect("libzstd knows its parameters");
    Rival {
        name: format!("libzstd {level}"),
        compress: Box::new(move |page, dst| encoder.compress2(&mut dst[..PAGE - 1], page).ok()),
        decompress: Box::new(move |src, page| decoder.decompress(page, src) == Ok(page.len())),
    }
}

/// zlib-rs at a window of 4096 bytes; its decoder.
#[must_use]
pub fn zlib_rs(level: i32) -> Rival {
    let mut encoder = zlib_rs::Deflate::new(level, false, 12);
    let mut decoder = zlib_rs::Inflate::new(false, 12);
    Rival {
        name: format!("zlib-rs {level}"),
        compress: Box::new(move |page, dst| {
            encoder.reset();
            encoder
                .compress(page, dst, zlib_rs::DeflateFlush::Finish)
                .ok()?;
            below_a_page(encoder.total_out() as usize)
        }),
        decompress: Box::new(move |src, page| {
            decoder.reset(false);
            decoder
                .decompress(src, page, zlib_rs::InflateFlush::Finish)
                .is_ok()
                && decoder.total_out() as usize == page.len()
        }),
    }
}

/// libdeflate, both sides.
#[must_use]
pub fn libdeflate(level: i32) -> Rival {
    let level_of = libdeflater::CompressionLvl::new(level).expect("a level libdeflate has");
    let mut encoder = libdeflater::Compressor::new(level_of);
    let mut decoder = libdeflater::Decompressor::new();
    Rival {
        name: format!("libdeflate {level}"),
        compress: Box::new(move |page, dst| {
            encoder.deflate_compress(page, &mut dst[..PAGE - 1]).ok()
        }),
        decompress: Box::new(move |src, page| {
            decoder.deflate_decompress(src, page) == Ok(page.len())
        }),
    }
}

/// zlib-rs's encoder with libdeflate's decoder: what our deflate is made of.
#[must_use]
pub fn deflate_pair(level: i32) -> Rival {
    Rival {
        name: format!("zlib-rs {level} + libdeflate"),
        decompress: libdeflate(level).decompress,
        ..zlib_rs(level)
    }
}

/// miniz_oxide, both sides.
#[must_use]
pub fn miniz_oxide(level: i32) -> Rival {
    use miniz_oxide::deflate::core as deflate;
    use miniz_oxide::inflate::core as inflate;
    let flags = deflate::create_comp_flags_from_zip_params(level, -15, 0);
    let mut encoder = Box::new(deflate::CompressorOxide::new(flags));
    let mut decoder = Box::new(inflate::DecompressorOxide::new());
    Rival {
        name: format!("miniz_oxide {level}"),
        compress: Box::new(move |page, dst| {
            encoder.reset();
            let finish = deflate::TDEFLFlush::Finish;
            let (status, _, len) = deflate::compress(&mut encoder, page, dst, finish);
            (status == deflate::TDEFLStatus::Done)
                .then_some(len)
                .and_then(below_a_page)
        }),
        decompress: Box::new(move |src, page| {
            decoder.init();
            let flat = inflate::inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
            let (_, _, len) = inflate::decompress(&mut decoder, src, page, 0, flat);
            len == page.len()
        }),
    }
}

/// The calls into liblz4.
mod liblz4_ffi {
    #![expect(unsafe_code, reason = "liblz4 is C")]

    pub(super) fn compress(page: &[u8], dst: &mut [u8]) -> Option<usize> {
        // SAFETY: LZ4_compress_fast reads `page.len()` bytes of a live slice
        // and writes at most `dst.len()` bytes of another (lz4.h:
        // "dstCapacity"); both fit a C int, being some pages at most.
        let n = unsafe {
            lz4_sys::LZ4_compress_fast(
                page.as_ptr().cast(),
                dst.as_mut_ptr().cast(),
                page.len() as i32,
                dst.len() as i32,
                1,
            )
        };
        usize::try_from(n).ok().filter(|&n| n > 0)
    }

    pub(super) fn decompress(src: &[u8], page: &mut [u8]) -> Option<usize> {
        // SAFETY: LZ4_decompress_safe reads at most `src.len()` bytes of a
        // live slice and writes at most `page.len()` bytes of another,
        // whatever the input; both fit a C int, being some pages at most.
        let n = unsafe {
            lz4_sys::LZ4_decompress_safe(
                src.as_ptr().cast(),
                page.as_mut_ptr().cast(),
                src.len() as i32,
                page.len() as i32,
            )
        };
        usize::try_from(n).ok()
    }
}
