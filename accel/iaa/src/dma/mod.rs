//! Memory that a device writes while the program runs.

#![expect(
    unsafe_code,
    reason = "memory with a second writer is reached by address"
)]

#[cfg(not(loom))]
mod mapped;
#[cfg(loom)]
mod tracked;

use crate::clock::Watched;
use crate::sync::Arc;
use core::ptr;
use core::sync::atomic::Ordering;
#[cfg(not(loom))]
use mapped::Mapping;
use pagepress_abi::Completion;
use std::io;
#[cfg(loom)]
use tracked::Mapping;
#[cfg(all(test, loom))]
pub(crate) use tracked::device;

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
    mapping: Mapping,
}

impl Region {
    /// A region of at least `len` bytes, all zero, aligned to a page.
    ///
    /// # Errors
    /// If the system has no memory.
    pub fn new(len: usize) -> io::Result<Self> {
        Mapping::new(len).map(|mapping| Self { mapping })
    }

    /// Bytes.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a region is never empty")]
    pub fn len(&self) -> usize {
        self.mapping.len()
    }

    /// The address of the byte `at`, for a descriptor.
    ///
    /// # Panics
    /// If the region has no such byte.
    #[must_use]
    #[inline]
    pub fn address(&self, at: usize) -> u64 {
        assert!(at < self.len(), "byte {at} of {}", self.len());
        self.mapping.base().addr() as u64 + at as u64
    }

    /// Whether the mapping is part of this process: not in a child of the one
    /// that made it, which must not touch it.
    #[must_use]
    pub fn is_here(&self) -> bool {
        self.mapping.is_here()
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
        let to = self.mapping.written(at, bytes.len());
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
        let from = self.mapping.read(at, to.len());
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
        let from = self.mapping.read(at, 4).cast::<[u8; 4]>();
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
        let from = self.mapping.read(at, len);
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
        let from = self.mapping.written(at, len);
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
        match self.mapping.status(record).load(Ordering::Acquire) {
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
        assert!(record < self.len(), "byte {record} of {}", self.len());
        Watched(self.mapping.base().wrapping_add(record))
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
        self.mapping.own_status(record).store(0, Ordering::Relaxed);
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

    /// Likewise, of a region that others have a part of.
    pub(crate) fn leak_shared(region: Arc<Self>) {
        // Loom wants every pointer back; the mapping stays all the same.
        #[cfg(loom)]
        region.mapping.keep();
        #[cfg(not(loom))]
        core::mem::forget(region);
    }
}
