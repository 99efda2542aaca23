//! Memory that a device writes while the program runs.

#![expect(
    unsafe_code,
    reason = "memory with a second writer is reached by address"
)]

use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicU8, Ordering};
use pagepress_abi::Completion;
use std::io;

/// Bytes of a page of this process' memory; what regions are rounded up to.
const PAGE: usize = 4096;

/// A mapping of its own, touched in advance, that only raw accesses reach.
///
/// No Rust reference to its bytes exists while a device may write them: callers
/// copy in and out, and say by `unsafe` that no descriptor in flight names what
/// they touch. A child process does not inherit it, so that no write is copied
/// elsewhere. Dropped, it is unmapped; who cannot know that the device is done
/// with it must [leak](Self::leak) it.
#[derive(Debug)]
pub struct Region {
    base: NonNull<u8>,
    len: usize,
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
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_POPULATE;
        // SAFETY: a fresh mapping at an address of the kernel's choice.
        let base = unsafe { libc::mmap(ptr::null_mut(), len, access, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast()).expect("nothing is mapped at 0");
        let region = Self { base, len };
        // SAFETY: the mapping made above, which nothing has used.
        let advised =
            unsafe { libc::madvise(region.base.as_ptr().cast(), len, libc::MADV_DONTFORK) };
        if advised != 0 {
            return Err(io::Error::last_os_error());
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
    pub fn address(&self, at: usize) -> u64 {
        assert!(at < self.len, "byte {at} of {}", self.len);
        self.base.as_ptr().addr() as u64 + at as u64
    }

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

    /// The status byte of a completion record, with what the device wrote
    /// before it visible; `None` if it is still 0.
    ///
    /// # Panics
    /// If the record lies outside.
    #[must_use]
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

    /// Makes a completion record ready for a descriptor.
    ///
    /// # Safety
    /// No descriptor in flight names it.
    ///
    /// # Panics
    /// If the record lies outside.
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
        // SAFETY: the mapping made in `new`, whose owner says that nobody uses
        // it any more. It cannot fail for a range that is mapped.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
    }
}
