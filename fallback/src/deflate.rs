//! Raw deflate (RFC 1951) that Intel's IAA can read back: written by our own
//! [encoder] or by zlib-rs, read by libdeflate.
//!
//! The device keeps a history of 4096 bytes and refuses a dynamic block whose
//! code-length repeat runs from the literal/length lengths into the distance
//! lengths. Both writers honour that, zlib-rs with a window of 2^12. libdeflate's
//! encoder promises neither, but its decoder is the fastest that builds with
//! cargo alone, and reads any deflate, whatever its window.

use crate::encoder::{self, Codes, Encoder};
use crate::probe::Probe;
use crate::tables::Tables;
use crate::{Corrupt, NotCompressed, PageCodec};
use std::sync::{Arc, OnceLock};
use zlib_rs::{DeflateFlush, Status};

/// log2 of the history that the device keeps (IAA specification 2.1, 3.8:
/// 4096 bytes).
const WINDOW_BITS: u8 = 12;

/// What zlib-rs allocates for one encoder at a window of 2^12 (a test counts
/// it): hash heads, chains, window, pending and symbol buffers.
const ZLIB_BYTES: usize = 265_344;

/// The default level: one pass, fixed Huffman codes.
pub const DEFAULT_LEVEL: i32 = 1;

/// The level of codes made for each page.
pub const DYNAMIC_LEVEL: i32 = 2;

/// The levels that [`Deflate::new`] takes. From 3 on they are zlib's.
pub const LEVELS: core::ops::RangeInclusive<i32> = 1..=9;

/// One deflate context: an encoder and a decoder.
pub struct Deflate {
    writer: Writer,
    decoder: ffi::Decoder,
    probe: Option<Box<Probe>>,
    unit: usize,
}

/// Who writes, and how.
enum Writer {
    /// With codes that are there before the page.
    OnePass(Encoder, Arc<Codes>),
    /// With codes that are not stored with it.
    Canned(Encoder, Arc<Tables>),
    /// With codes made for it.
    Dynamic(Encoder),
    Zlib(zlib_rs::Deflate),
}

impl core::fmt::Debug for Deflate {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Deflate")
            .field("unit", &self.unit)
            .finish_non_exhaustive()
    }
}

impl Deflate {
    /// A context for pages of `unit` bytes, at a level from [`LEVELS`].
    ///
    /// Returns `None` if the system has no memory.
    ///
    /// # Panics
    /// If `level` is outside [`LEVELS`].
    #[must_use]
    pub fn new(unit: usize, level: i32) -> Option<Self> {
        static FIXED: OnceLock<Arc<Codes>> = OnceLock::new();

        assert!(LEVELS.contains(&level), "deflate has no level {level}");
        let writer = match level {
            DEFAULT_LEVEL => {
                let codes = FIXED.get_or_init(|| Arc::new(Codes::fixed()));
                Writer::OnePass(Encoder::new(unit)?, Arc::clone(codes))
            }
            DYNAMIC_LEVEL => Writer::Dynamic(Encoder::new(unit)?),
            _ if crate::is_there(ZLIB_BYTES) => {
                Writer::Zlib(zlib_rs::Deflate::new(level, false, WINDOW_BITS))
            }
            _ => return None,
        };
        Self::with(writer, unit)
    }

    /// A context that writes canned pages with these tables in one pass, and reads them
    /// by [`decompress_canned`](PageCodec::decompress_canned).
    ///
    /// Returns `None` if the system has no memory.
    #[must_use]
    pub fn canned(unit: usize, tables: Arc<Tables>) -> Option<Self> {
        Self::with(Writer::Canned(Encoder::new(unit)?, tables), unit)
    }

    fn with(writer: Writer, unit: usize) -> Option<Self> {
        Some(Self {
            writer,
            decoder: ffi::Decoder::new()?,
            probe: Some(Probe::boxed()?),
            unit,
        })
    }

    /// Decompresses the stream at the start of `src`, which must make exactly
    /// one page; how many bytes of `src` it had.
    ///
    /// # Errors
    /// As for [`PageCodec::decompress`], but for bytes that follow the stream.
    pub fn decompress_prefix(&mut self, src: &[u8], page: &mut [u8]) -> Result<usize, Corrupt> {
        self.decoder.decompress(src, page)
    }

    /// The same context without the probe for random pages: every page is
    /// compressed in full. For measuring the probe.
    #[must_use]
    pub fn without_probe(mut self) -> Self {
        self.probe = None;
        self
    }
}

/// zlib-rs, for which `dst` must have room for its worst case.
fn zlib(
    encoder: &mut zlib_rs::Deflate,
    page: &[u8],
    dst: &mut [u8],
) -> Result<usize, NotCompressed> {
    encoder.reset();
    match encoder.compress(page, dst, DeflateFlush::Finish) {
        Ok(Status::StreamEnd) => {}
        Ok(_) => return Err(NotCompressed::Failed("deflate: the stream did not end")),
        Err(error) => return Err(NotCompressed::Failed(error.as_str())),
    }
    usize::try_from(encoder.total_out()).map_err(|_| NotCompressed::Incompressible)
}

impl PageCodec for Deflate {
    /// For zlib-rs zlib's conservative bound for a window and hash that are not
    /// its defaults (`deflateBound` in zlib's deflate.c). A smaller buffer would
    /// let it stop midway, and zlib-rs 0.6.8 does not fully reset a
    /// stream that did: some fifteen such pages later it panics.
    fn dst_bytes(&self) -> usize {
        match self.writer {
            Writer::Zlib(_) => self.unit + self.unit.div_ceil(8) + self.unit.div_ceil(64) + 5,
            _ => self.unit + encoder::SLACK,
        }
    }

    fn compress(
        &mut self,
        page: &[u8],
        dst: &mut [u8],
        limit: usize,
    ) -> Result<usize, NotCompressed> {
        if dst.len() < self.dst_bytes() {
            return Err(NotCompressed::Failed(
                "deflate: the dst buffer is below the worst case",
            ));
        }
        if page.len() > self.unit {
            return Err(NotCompressed::Failed(
                "deflate: the page is longer than the context's unit",
            ));
        }
        let limit = limit.min(self.unit);
        if self
            .probe
            .as_mut()
            .is_some_and(|probe| probe.looks_random(page))
        {
            return Err(NotCompressed::Incompressible);
        }
        match &mut self.writer {
            Writer::OnePass(encoder, codes) => encoder.with_codes(page, dst, limit, codes),
            Writer::Canned(encoder, tables) => {
                encoder.with_codes(page, dst, limit, tables.writer())
            }
            Writer::Dynamic(encoder) => encoder.dynamic(page, dst, limit),
            Writer::Zlib(encoder) => Some(zlib(encoder, page, dst)?).filter(|&n| n <= limit),
        }
        .ok_or(NotCompressed::Incompressible)
    }

    fn decompress(&mut self, src: &[u8], page: &mut [u8]) -> Result<(), Corrupt> {
        match self.decompress_prefix(src, page)? {
            read if read != src.len() => Err(Corrupt::TrailingBytes),
            _ => Ok(()),
        }
    }

    fn decompress_canned(&mut self, src: &[u8], page: &mut [u8]) -> Result<(), Corrupt> {
        let Writer::Canned(_, tables) = &self.writer else {
            return Err(Corrupt::BadStream);
        };
        match tables.reader().decode(src, page)? {
            read if read != src.len() => Err(Corrupt::TrailingBytes),
            _ => Ok(()),
        }
    }

    fn state_bytes(&self) -> usize {
        let writer = match &self.writer {
            Writer::OnePass(encoder, _) | Writer::Canned(encoder, _) | Writer::Dynamic(encoder) => {
                encoder.state_bytes()
            }
            Writer::Zlib(_) => ZLIB_BYTES,
        };
        let probe = if self.probe.is_some() {
            size_of::<Probe>()
        } else {
            0
        };
        writer + ffi::DECODER_BYTES + probe
    }
}

/// The calls into libdeflate.
///
/// Its safe wrapper crate hides how much of the input was read, so it cannot
/// tell a page followed by stray bytes from a whole one.
mod ffi {
    #![expect(unsafe_code, reason = "libdeflate is C")]

    use crate::Corrupt;
    use core::ptr::NonNull;
    use libdeflate_sys as sys;

    /// What libdeflate allocates for a decoder (a test counts it).
    pub(super) const DECODER_BYTES: usize = 11_576;

    pub(super) struct Decoder(NonNull<sys::libdeflate_decompressor>);

    // SAFETY: the decoder is a plain heap block without thread affinity
    // (libdeflate.h: "A single decompressor is not safe to use by multiple
    // threads concurrently. However, different threads may use different
    // decompressors"), owned by this value alone and used through `&mut`.
    unsafe impl Send for Decoder {}

    impl Decoder {
        pub(super) fn new() -> Option<Self> {
            // SAFETY: takes nothing; returns an owned block or null.
            NonNull::new(unsafe { sys::libdeflate_alloc_decompressor() }).map(Self)
        }

        /// How many bytes of `src` the stream had.
        pub(super) fn decompress(&mut self, src: &[u8], page: &mut [u8]) -> Result<usize, Corrupt> {
            let (mut read, mut written) = (0, 0);
            // SAFETY: `self.0` is a live decoder that `&mut self` makes ours
            // alone. libdeflate reads at most `src.len()` bytes at `src` and
            // writes at most `page.len()` at `page`, whatever the input
            // (libdeflate.h documents `in_nbytes` and `out_nbytes_avail` as
            // the buffers' sizes); both are live slices that do not overlap.
            // The last two pointers are to locals that outlive the call.
            let code = unsafe {
                sys::libdeflate_deflate_decompress_ex(
                    self.0.as_ptr(),
                    src.as_ptr().cast(),
                    src.len(),
                    page.as_mut_ptr().cast(),
                    page.len(),
                    &raw mut read,
                    &raw mut written,
                )
            };
            match code {
                sys::libdeflate_result_LIBDEFLATE_SUCCESS if written != page.len() => {
                    Err(Corrupt::ShortPage)
                }
                sys::libdeflate_result_LIBDEFLATE_SUCCESS => Ok(read),
                sys::libdeflate_result_LIBDEFLATE_INSUFFICIENT_SPACE => Err(Corrupt::LongPage),
                _ => Err(Corrupt::BadStream),
            }
        }
    }

    impl Drop for Decoder {
        fn drop(&mut self) {
            // SAFETY: the pointer came from libdeflate_alloc_decompressor, is
            // freed here and nowhere else, and is not used again.
            unsafe { sys::libdeflate_free_decompressor(self.0.as_ptr()) };
        }
    }
}
