//! A lane's memory that devices write, and where everything is in it.

#![expect(unsafe_code, reason = "the device writes buffers and records")]

use crate::clock::Watched;
use crate::dma::Region;
use crate::sync::{Arc, Mutex};
use crate::tables::{self, Codes, Histogram};
use core::sync::atomic::{AtomicU64, Ordering};
use pagepress_abi::aecs::compress as aecs;
use pagepress_abi::{Completion, CompletionRecord};
use pagepress_idxd::fork::forks;
use std::io;
use std::sync::PoisonError;

/// Times that a lane's memory is replaced when all of its slots are lost.
const RENEWALS: usize = 4;

static LEAKED: AtomicU64 = AtomicU64::new(0);

/// Bytes that lanes have given up for good since the program began, because a
/// device that did not answer may still write them.
#[must_use]
pub fn leaked_bytes() -> u64 {
    LEAKED.load(Ordering::Relaxed)
}

/// Memory for the lanes of one pool, in as few mappings as will do.
///
/// A lane's share is no multiple of a page, so lanes that are made together lie
/// next to each other in one mapping.
#[derive(Debug)]
pub struct Store {
    state: Mutex<Chunk>,
    made_in: u32,
}

#[derive(Debug, Default)]
struct Chunk {
    region: Option<Arc<Region>>,
    used: usize,
    /// Lanes that are to come, for whom the next mapping has room.
    expected: usize,
}

impl Store {
    /// A store for about so many lanes; more find room as well.
    #[must_use]
    pub fn new(lanes: usize) -> Self {
        let chunk = Chunk {
            expected: lanes,
            ..Chunk::default()
        };
        Self {
            state: Mutex::new(chunk),
            made_in: forks(),
        }
    }

    /// `bytes` of a mapping, a multiple of 64, from a cache line on.
    fn take(&self, bytes: usize) -> io::Result<(Arc<Region>, usize)> {
        if self.made_in != forks() {
            // In a child, the lock may be held by a thread that is not there.
            return Ok((Arc::new(Region::new(bytes)?), 0));
        }
        let mut chunk = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(region) = &chunk.region {
            let (region, at) = (Arc::clone(region), chunk.used);
            if region.is_here() && at + bytes <= region.len() {
                chunk.used += bytes;
                return Ok((region, at));
            }
        }
        let region = Arc::new(Region::new(bytes * chunk.expected.max(1))?);
        chunk.expected = 1;
        chunk.region = Some(Arc::clone(&region));
        chunk.used = bytes;
        Ok((region, 0))
    }
}

/// Buffers, then tables if pages have tables of their own, then records, each
/// in slot order. Everything starts at a cache line.
#[derive(Debug)]
pub(super) struct Memory {
    store: std::sync::Arc<Store>,
    region: Arc<Region>,
    /// Where in the region the lane's share begins.
    base: usize,
    /// Regions whose slots were all lost.
    lost: Vec<Arc<Region>>,
    slots: usize,
    unit: usize,
    aecs: usize,
}

impl Memory {
    pub(super) fn new(
        store: &std::sync::Arc<Store>,
        slots: usize,
        unit: usize,
        with_aecs: bool,
    ) -> io::Result<Self> {
        let aecs = if with_aecs {
            aecs::BYTES.next_multiple_of(CompletionRecord::BYTES)
        } else {
            0
        };
        let bytes = slots * (unit + aecs + CompletionRecord::BYTES);
        let (region, base) = store.take(bytes)?;
        Ok(Self {
            store: store.clone(),
            region,
            base,
            lost: Vec::with_capacity(RENEWALS),
            slots,
            unit,
            aecs,
        })
    }

    /// Bytes of the lane's share.
    pub(super) fn bytes(&self) -> usize {
        self.slots * (self.unit + self.aecs + CompletionRecord::BYTES)
    }

    fn region(&self) -> &Region {
        &self.region
    }

    pub(super) fn is_here(&self) -> bool {
        self.region.is_here()
    }

    fn dst_at(&self, slot: usize) -> usize {
        self.base + slot * self.unit
    }

    fn aecs_at(&self, slot: usize) -> usize {
        self.base + self.slots * self.unit + slot * self.aecs
    }

    fn record_at(&self, slot: usize) -> usize {
        self.base + self.slots * (self.unit + self.aecs) + slot * CompletionRecord::BYTES
    }

    pub(super) fn dst_address(&self, slot: usize) -> u64 {
        self.region().address(self.dst_at(slot))
    }

    pub(super) fn aecs_address(&self, slot: usize) -> u64 {
        self.region().address(self.aecs_at(slot))
    }

    /// Where in the AECS the tables will be: statistics go there.
    pub(super) fn histogram_address(&self, slot: usize) -> u64 {
        self.region().address(self.aecs_at(slot) + aecs::LITERALS)
    }

    pub(super) fn record_address(&self, slot: usize) -> u64 {
        self.region().address(self.record_at(slot))
    }

    #[inline]
    pub(super) fn poll(&self, slot: usize) -> Option<u8> {
        self.region().poll(self.record_at(slot))
    }

    pub(super) fn watched(&self, slot: usize) -> Watched {
        self.region().watched(self.record_at(slot))
    }

    /// # Safety
    /// The slot is not in flight.
    #[inline]
    pub(super) unsafe fn clear(&self, slot: usize) {
        // SAFETY: the caller's promise is the same.
        unsafe { self.region().clear(self.record_at(slot)) };
    }

    /// # Safety
    /// The slot has completed, and is not in flight again.
    #[inline]
    pub(super) unsafe fn record(&self, slot: usize) -> Completion {
        // SAFETY: the caller's promise is the same.
        unsafe { self.region().record(self.record_at(slot)) }
    }

    /// Bytes written, from the slot's record.
    ///
    /// # Safety
    /// The slot has completed, and is not in flight again.
    #[inline]
    pub(super) unsafe fn output_size(&self, slot: usize) -> u32 {
        // SAFETY: the caller's promise is the same.
        unsafe {
            self.region()
                .dword(self.record_at(slot) + Completion::OUTPUT_SIZE)
        }
    }

    /// The CRC of the data, from the slot's record.
    ///
    /// # Safety
    /// The slot has completed, and is not in flight again.
    #[inline]
    pub(super) unsafe fn crc(&self, slot: usize) -> u32 {
        // SAFETY: the caller's promise is the same.
        unsafe { self.region().dword(self.record_at(slot) + Completion::CRC) }
    }

    /// # Safety
    /// The slot is not in flight, and will not be while the slice is used.
    #[inline]
    pub(super) unsafe fn dst(&self, slot: usize, len: usize) -> &[u8] {
        // SAFETY: the caller's promise is the same.
        unsafe { self.region().slice(self.dst_at(slot), len.min(self.unit)) }
    }

    /// The slot's buffer, to be written.
    ///
    /// # Safety
    /// The slot is not in flight, and will not be while the slice is used.
    pub(super) unsafe fn room(&mut self, slot: usize) -> &mut [u8] {
        // SAFETY: the caller's promise, and nobody else borrows this lane.
        unsafe { self.region().slice_mut(self.dst_at(slot), self.unit) }
    }

    /// # Safety
    /// The pass that writes it has completed.
    pub(super) unsafe fn histogram(&self, slot: usize) -> Histogram {
        let at = self.aecs_at(slot) + aecs::LITERALS;
        // SAFETY: the caller promises that nobody writes it until the next
        // submission, and the slice ends here.
        let bytes = unsafe { self.region().slice(at, aecs::HISTOGRAM_BYTES) };
        tables::read_histogram(bytes.first_chunk().expect("all of it"))
    }

    /// # Safety
    /// The slot is not in flight.
    pub(super) unsafe fn put_codes(&self, slot: usize, codes: &Codes) {
        let mut bytes = [0; aecs::BYTES];
        tables::write(codes, &mut bytes);
        // SAFETY: the caller's promise is the same.
        unsafe { self.region().put(self.aecs_at(slot), &bytes) };
    }

    /// Writes to every page of the slot's buffer and tables.
    ///
    /// # Safety
    /// The slot is not in flight.
    pub(super) unsafe fn touch(&self, slot: usize) {
        for at in (0..self.unit).step_by(4096) {
            // SAFETY: the caller's promise is the same.
            unsafe { self.region().put(self.dst_at(slot) + at, &[0]) };
        }
        for at in (0..self.aecs).step_by(1024) {
            // SAFETY: the caller's promise is the same.
            unsafe { self.region().put(self.aecs_at(slot) + at, &[0]) };
        }
    }

    /// Puts fresh memory in the place of what is lost, if that was not done too
    /// often and the system has any.
    pub(super) fn renew(&mut self) -> bool {
        if self.lost.len() == RENEWALS {
            return false;
        }
        let Ok((region, base)) = self.store.take(self.bytes()) else {
            return false;
        };
        self.lost.push(core::mem::replace(&mut self.region, region));
        self.base = base;
        true
    }

    /// Whether any of it, of now or before, stays for good.
    pub(super) fn is_any_lost(&self) -> bool {
        !self.lost.is_empty()
    }

    /// Gives it up for good: the mapping it lies in stays.
    pub(super) fn leak(&mut self) {
        self.lost.push(Arc::clone(&self.region));
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        let bytes = self.bytes() as u64;
        for region in self.lost.drain(..) {
            LEAKED.fetch_add(bytes, Ordering::Relaxed);
            Region::leak_shared(region);
        }
    }
}
