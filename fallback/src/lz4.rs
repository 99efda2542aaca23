//! LZ4 blocks: lz4_flex writes them, liblz4 reads them.
//!
//! lz4_flex's encoder with a kept table is faster than liblz4's on 4 KiB
//! pages; its decoder is slower by a third to a half, and far slower on pages
//! that are one long run. Both speak the plain block format, so each does what
//! it is better at.

use crate::{Corrupt, NotCompressed, PageCodec};
use lz4_flex::block::{CompressTable, compress_into_with_table, get_maximum_output_size};

/// Bytes of lz4_flex's hash table: 4096 entries of 2 bytes, or of 4 where a
/// unit's positions need more than 16 bits.
const fn table_bytes(unit: usize) -> usize {
    if unit < u16::MAX as usize {
        8192
    } else {
        16384
    }
}

/// One LZ4 context.
pub struct Lz4 {
    table: CompressTable,
    unit: usize,
}

impl core::fmt::Debug for Lz4 {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Lz4")
            .field("unit", &self.unit)
            .finish_non_exhaustive()
    }
}

impl Lz4 {
    /// A context for pages of `unit` bytes; `None` if the system has no memory.
    #[must_use]
    pub fn new(unit: usize) -> Option<Self> {
        if !crate::is_there(table_bytes(unit)) {
            return None;
        }
        let table = if unit < u16::MAX as usize {
            CompressTable::small()
        } else {
            CompressTable::large()
        };
        Some(Self { table, unit })
    }
}

impl PageCodec for Lz4 {
    /// LZ4's worst case: lz4_flex refuses a smaller buffer whatever the page,
    /// and cannot be told to stop early. On random bytes its search speeds up
    /// by itself, so a page that does not fit still costs little.
    fn dst_bytes(&self) -> usize {
        get_maximum_output_size(self.unit)
    }

    fn compress(
        &mut self,
        page: &[u8],
        dst: &mut [u8],
        limit: usize,
    ) -> Result<usize, NotCompressed> {
        match compress_into_with_table(page, dst, &mut self.table) {
            Ok(n) if n <= limit => Ok(n),
            Ok(_) => Err(NotCompressed::Incompressible),
            Err(_) => Err(NotCompressed::Failed(
                "lz4: the dst buffer is below the worst case",
            )),
        }
    }

    fn decompress(&mut self, src: &[u8], page: &mut [u8]) -> Result<(), Corrupt> {
        match ffi::decompress_safe(src, page) {
            Some(n) if n == page.len() => Ok(()),
            Some(_) => Err(Corrupt::ShortPage),
            // liblz4 has one code for every fault, an overflow included.
            None => Err(Corrupt::BadStream),
        }
    }

    fn state_bytes(&self) -> usize {
        table_bytes(self.unit)
    }
}

/// The one call into liblz4.
mod ffi {
    #![expect(unsafe_code, reason = "liblz4 is C")]

    use core::ffi::c_int;

    /// Decodes a block into `dst`; the bytes written, or `None` if `src` is
    /// not a whole block that fits.
    #[inline]
    pub(super) fn decompress_safe(src: &[u8], dst: &mut [u8]) -> Option<usize> {
        let src_len = c_int::try_from(src.len()).ok()?;
        let dst_len = c_int::try_from(dst.len()).ok()?;
        // SAFETY: LZ4_decompress_safe reads at most `src_len` bytes from the
        // first pointer and writes at most `dst_len` bytes at the second
        // (lz4.h: "This function is protected against malicious data
        // packets"). Both lengths are those of live slices, which as `&` and
        // `&mut` do not overlap; the call keeps neither pointer.
        let n = unsafe {
            lz4_sys::LZ4_decompress_safe(
                src.as_ptr().cast(),
                dst.as_mut_ptr().cast(),
                src_len,
                dst_len,
            )
        };
        usize::try_from(n).ok()
    }
}
