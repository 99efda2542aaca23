//! Software codecs for memory pages.
//!
//! This floor knows pages and bytes, and nothing of pools, batches or devices.
//! Every codec is a context taken by `&mut`, made once and reused for page
//! after page: [`PageCodec`]. The caller owns the destination; nothing is
//! allocated per page.
//!
//! | module | format | written by | read by |
//! |---|---|---|---|
//! | [`lz4`] | LZ4 block, no length prefix | lz4_flex | liblz4 |
//! | [`zstd`] | zstd frame without magic, size or checksum | libzstd | libzstd |
//! | [`deflate`] | raw deflate, history of at most 4096 bytes | our [`encoder`], zlib-rs from level 3 on | libdeflate |
//!
//! Canned pages, which are deflate without a header, are read by [`inflate`].
//! [`tables`] has the Huffman codes that software and devices share, and trains those
//! that pages are stored without.
//!
//! Why these libraries: `benches/README.md` has the measurements.

#[cfg(feature = "deflate")]
pub mod deflate;
pub mod encoder;
pub mod huffman;
pub mod inflate;
#[cfg(feature = "lz4")]
pub mod lz4;
pub mod probe;
pub mod tables;
#[cfg(feature = "zstd")]
pub mod zstd;

/// So many zero bytes, or `None` if the system has no memory.
#[must_use]
pub fn zeroed(len: usize) -> Option<Box<[u8]>> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(len).ok()?;
    bytes.resize(len, 0);
    Some(bytes.into_boxed_slice())
}

/// Whether the system has so much memory just now. The codecs written in Rust
/// end the process if it refuses theirs, so they are not asked to try.
fn is_there(bytes: usize) -> bool {
    let mut there = Vec::<u8>::new();
    let is_there = there.try_reserve_exact(bytes).is_ok();
    // Not to be optimised away.
    core::hint::black_box(&there);
    is_there
}

/// A codec's reusable state, able to compress one page after another.
///
/// "Page" is the pool's unit: 4 KiB by default, a power of two up to 64 KiB.
/// A context is made for one page size and used for that size alone.
pub trait PageCodec: Send {
    /// Bytes that `dst` must hold for [`compress`](Self::compress): the
    /// codec's worst case where it cannot be told to stop, one page otherwise.
    fn dst_bytes(&self) -> usize;

    /// Compresses `page` into `dst`, accepting at most `limit` bytes.
    ///
    /// Returns the bytes written, always in `1..=limit`. `limit` is at most
    /// `page.len() - 1`, so a result is always smaller than its page. What
    /// lies in `dst` beyond the returned length is unspecified.
    ///
    /// # Errors
    /// [`NotCompressed::Incompressible`] if the result would exceed `limit`,
    /// [`NotCompressed::Failed`] if the codec itself failed.
    fn compress(
        &mut self,
        page: &[u8],
        dst: &mut [u8],
        limit: usize,
    ) -> Result<usize, NotCompressed>;

    /// Decompresses `src` into `page`, filling it exactly.
    ///
    /// `src` may be anything: no input reads or writes out of bounds, panics
    /// or loops.
    ///
    /// # Errors
    /// [`Corrupt`] if `src` is not exactly one stream of this codec that makes
    /// `page.len()` bytes. `page` then holds unspecified bytes.
    fn decompress(&mut self, src: &[u8], page: &mut [u8]) -> Result<(), Corrupt>;

    /// As [`decompress`](Self::decompress), for a page that was compressed with the
    /// canned tables that the context has. To one without, all of them are corrupt.
    ///
    /// # Errors
    /// As for [`decompress`](Self::decompress).
    fn decompress_canned(&mut self, _src: &[u8], _page: &mut [u8]) -> Result<(), Corrupt> {
        Err(Corrupt::BadStream)
    }

    /// Bytes this context holds on the heap for its codecs' states.
    fn state_bytes(&self) -> usize;
}

/// Why [`PageCodec::compress`] made no bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotCompressed {
    /// The page does not fit the limit when compressed. Not an error.
    Incompressible,
    /// The codec failed, for the reason named. The page may well be
    /// compressible: treating this as [`Incompressible`](Self::Incompressible)
    /// would hide a fault.
    Failed(&'static str),
}

/// Why [`PageCodec::decompress`] refused its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Corrupt {
    /// The bytes are no valid stream of this codec, or end too early.
    BadStream,
    /// The stream is valid but makes fewer bytes than a page.
    ShortPage,
    /// The stream makes more bytes than a page.
    LongPage,
    /// Bytes follow the end of the stream.
    TrailingBytes,
}

impl Corrupt {
    /// What is wrong, as a phrase that completes "the compressed page ...".
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::BadStream => "is damaged or cut short",
            Self::ShortPage => "decodes to less than a page",
            Self::LongPage => "decodes to more than a page",
            Self::TrailingBytes => "is followed by stray bytes",
        }
    }
}

impl core::fmt::Display for Corrupt {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "the compressed page {}", self.reason())
    }
}

impl core::error::Error for Corrupt {}
