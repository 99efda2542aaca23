//! Memory that a device writes while the program runs.

#![expect(
    unsafe_code,
    reason = "memory with a second writer is reached by address"
)]

use crate::clock::Watched;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicU8, Ordering};
use pagepress_abi::Completion;
use pagepress_idxd::fork::forks;
use std::io;

/// Bytes of a page of this process' memory; what regions are rounded up to.
const PAGE: usize = 4096;
/// Bytes of a huge page.
const HUGE_PAGE: usize = 2 << 20;

/// A mapping of its own, touched in advance, that only raw accesses reach.
///
/// No Rust reference to its bytes exists while a device may write them: callers
/// copy in and out, and say by `unsafe` that no descriptor in flight names what
/// they touch. A child process does not inherit it, so that no write is copied
/// elsewhere. Dropped, it is unmapped; who cannot know that the device is done
/// with it must [leak](Self::leak) it. From 2 MiB on it asks for huge pages: a
/// device has fewer translations to look up.
#[derive(Debug)]
pub struct Region {
    base: NonNull<u8>,
    len: usize,
    made_in: u32,
}

// SAFETY: a region is an address range; who accesses it is up to the callers of
// its unsafe functions, whichever thread they are on.
unsafe impl Send for Region {}
// SAFETY: as above.
unsafe impl Sync for Region {}

impl Region {
    /// A region of at least `len` bytes, all zero, aligned to a page.
    ///
    /// # Errors
    /// If the system has no memory.
    pub fn new(len: usize) -> io::Result<Self> {
        let len = len.max(1).next_multiple_of(PAGE);
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: a fresh mapping at an address of the kernel's choice.
        let base = unsafe { libc::mmap(ptr::null_mut(), len, access, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast()).expect("nothing is mapped at 0");
        let region = Self {
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
            unsafe { region.put(at, &[0]) };
        }
        // A descriptor names it by number.
        region.base.as_ptr().expose_provenance();
        Ok(region)
    }

    /// Bytes.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a region is never empty")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// The address of the byte `at`, for a descriptor.
    ///
    /// # Panics
    /// If the region has no such byte.
    #[must_use]
    #[inline]
    pub fn address(&self, at: usize) -> u64 {
        assert!(at < self.len, "byte {at} of {}", self.len);
        self.base.as_ptr().addr() as u64 + at as u64
    }

    /// Whether the mapping is part of this process: not in a child of the one
    /// that made it, which must not touch it.
    #[must_use]
    pub fn is_here(&self) -> bool {
        self.made_in == forks()
    }

    #[inline]
    fn range(&self, at: usize, len: usize) -> *mut u8 {
        let fits = at.checked_add(len).is_some_and(|end| end <= self.len);
        assert!(fits, "{len} bytes from {at} of {}", self.len);
        // SAFETY: inside the mapping, as just asserted.
        unsafe { self.base.as_ptr().add(at) }
    }

    /// Copies bytes in.
    ///
    /// # Safety
    /// Nobody else reads or writes these bytes meanwhile: no descriptor in
    /// flight names them.
    ///
    /// # Panics
    /// If they lie outside.
    pub unsafe fn put(&self, at: usize, bytes: &[u8]) {
        let to = self.range(at, bytes.len());
        // SAFETY: inside the mapping, which no Rust reference points into; the
        // caller promises the rest.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
    }

    /// Copies bytes out.
    ///
    /// # Safety
    /// Nobody writes these bytes meanwhile.
    ///
    /// # Panics
    /// If they lie outside.
    pub unsafe fn get(&self, at: usize, to: &mut [u8]) {
        let from = self.range(at, to.len());
        // SAFETY: as for `put`.
        unsafe { ptr::copy_nonoverlapping(from, to.as_mut_ptr(), to.len()) };
    }

    /// Copies out four bytes, little-endian.
    ///
    /// # Safety
    /// Nobody writes these bytes meanwhile.
    ///
    /// # Panics
    /// If they lie outside.
    #[must_use]
    #[inline]
    pub unsafe fn dword(&self, at: usize) -> u32 {
        let from = self.range(at, 4).cast::<[u8; 4]>();
        // SAFETY: inside the mapping, and byte arrays have no alignment; the
        // caller promises that nobody writes.
        u32::from_le_bytes(unsafe { from.read() })
    }

    /// Bytes that nobody writes for as long as the slice lives.
    ///
    /// # Safety
    /// No descriptor in flight names them for writing, and none will, nor are
    /// they [`put`](Self::put), while the slice is used.
    ///
    /// # Panics
    /// If they lie outside.
    #[must_use]
    #[inline]
    pub unsafe fn slice(&self, at: usize, len: usize) -> &[u8] {
        let from = self.range(at, len);
        // SAFETY: inside the mapping, which lives as long as `self`; the
        // caller promises that nobody writes.
        unsafe { core::slice::from_raw_parts(from, len) }
    }

    /// Bytes that nobody else reads or writes for as long as the slice lives.
    ///
    /// # Safety
    /// No descriptor in flight names them, nor are they reached in any other
    /// way, while the slice is used.
    ///
    /// # Panics
    /// If they lie outside.
    #[must_use]
    #[expect(clippy::mut_from_ref, reason = "a region is an address range")]
    pub unsafe fn slice_mut(&self, at: usize, len: usize) -> &mut [u8] {
        let from = self.range(at, len);
        // SAFETY: inside the mapping, which lives as long as `self`; the
        // caller promises that nobody else reaches it.
        unsafe { core::slice::from_raw_parts_mut(from, len) }
    }

    /// The status byte of a completion record, with what the device wrote
    /// before it visible; `None` if it is still 0.
    ///
    /// # Panics
    /// If the record lies outside.
    #[must_use]
    #[inline]
    pub fn poll(&self, record: usize) -> Option<u8> {
        // SAFETY: inside the mapping, and bytes have no alignment. Devices
        // write a status at once, and this program only atomically or while no
        // descriptor names the record.
        let status = unsafe { AtomicU8::from_ptr(self.range(record, 1)) };
        match status.load(Ordering::Acquire) {
            0 => None,
            byte => Some(byte),
        }
    }

    /// Where the status byte is, to be watched and not touched.
    ///
    /// # Panics
    /// If the record lies outside.
    #[must_use]
    pub fn watched(&self, record: usize) -> Watched {
        Watched(self.range(record, 1))
    }

    /// Makes a completion record ready for a descriptor.
    ///
    /// # Safety
    /// No descriptor in flight names it.
    ///
    /// # Panics
    /// If the record lies outside.
    #[inline]
    pub unsafe fn clear(&self, record: usize) {
        // SAFETY: as for `poll`.
        let status = unsafe { AtomicU8::from_ptr(self.range(record, 1)) };
        status.store(0, Ordering::Relaxed);
    }

    /// A completion record whose status has been [seen](Self::poll).
    ///
    /// # Safety
    /// The descriptor that named it has completed, and no other does.
    ///
    /// # Panics
    /// If the record lies outside.
    #[must_use]
    pub unsafe fn record(&self, record: usize) -> Completion {
        let mut bytes = [0; 64];
        // SAFETY: the caller promises that the device is done with it.
        unsafe { self.get(record, &mut bytes) };
        Completion::from_bytes(&bytes)
    }

    /// Gives it up for good: a device may still write it.
    pub fn leak(self) {
        core::mem::forget(self);
    }
}

impl Drop for Region {
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
