//! A mapping of this process.

#![expect(
    unsafe_code,
    reason = "memory with a second writer is reached by address"
)]

use crate::sync::AtomicU8;
use core::ptr::{self, NonNull};
use pagepress_idxd::fork::forks;
use std::io;

/// Bytes of a page of this process' memory; what mappings are rounded up to.
const PAGE: usize = 4096;
/// Bytes of a huge page.
const HUGE_PAGE: usize = 2 << 20;

#[derive(Debug)]
pub(super) struct Mapping {
    base: NonNull<u8>,
    len: usize,
    made_in: u32,
}

// SAFETY: a mapping is an address range; it hands out raw pointers and atomics,
// and who follows the former is up to its callers, whichever thread they are on.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// At least `len` bytes, all zero, aligned to a page.
    pub(super) fn new(len: usize) -> io::Result<Self> {
        let len = len.max(1).next_multiple_of(PAGE);
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: a fresh mapping at an address of the kernel's choice.
        let base = unsafe { libc::mmap(ptr::null_mut(), len, access, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast()).expect("nothing is mapped at 0");
        let mapping = Self {
            base,
            len,
            made_in: forks(),
        };
        let advise = |advice| {
            // SAFETY: the mapping made above, which nothing has used.
            unsafe { libc::madvise(base.as_ptr().cast(), len, advice) }
        };
        if advise(libc::MADV_DONTFORK) != 0 {
            return Err(io::Error::last_os_error());
        }
        if len >= HUGE_PAGE {
            // A wish: without huge pages it works as well.
            let _ = advise(libc::MADV_HUGEPAGE);
        }
        for at in (0..len).step_by(PAGE) {
            // SAFETY: inside the mapping, which nobody else knows yet.
            unsafe { mapping.written(at, 1).write(0) };
        }
        // A descriptor names it by number.
        base.as_ptr().expose_provenance();
        Ok(mapping)
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(super) fn base(&self) -> *const u8 {
        self.base.as_ptr()
    }

    pub(super) fn is_here(&self) -> bool {
        self.made_in == forks()
    }

    /// Bytes that are about to be read.
    #[inline]
    pub(super) fn read(&self, at: usize, len: usize) -> *const u8 {
        self.written(at, len)
    }

    /// Bytes that are about to be written.
    #[inline]
    pub(super) fn written(&self, at: usize, len: usize) -> *mut u8 {
        let fits = at.checked_add(len).is_some_and(|end| end <= self.len);
        assert!(fits, "{len} bytes from {at} of {}", self.len);
        // SAFETY: inside the mapping, as just asserted.
        unsafe { self.base.as_ptr().add(at) }
    }

    /// The status byte of a completion record.
    #[inline]
    pub(super) fn status(&self, record: usize) -> &AtomicU8 {
        // SAFETY: inside the mapping, and bytes have no alignment. Devices
        // write a status at once, and this program only atomically or while no
        // descriptor names the record.
        unsafe { AtomicU8::from_ptr(self.written(record, 1)) }
    }

    /// Likewise, of a record that no descriptor names.
    #[inline]
    pub(super) fn own_status(&self, record: usize) -> &AtomicU8 {
        self.status(record)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // A child has no such mapping; something else may lie there.
        if !self.is_here() {
            return;
        }
        // SAFETY: the mapping made in `new`, whose owner says that nobody uses
        // it any more. It cannot fail for a range that is mapped.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
    }
}
