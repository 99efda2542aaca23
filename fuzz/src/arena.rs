//! Memory for a device: regions with pages between them that nobody may touch.

#![expect(
    unsafe_code,
    reason = "a device reaches its client's memory by address"
)]

use pagepress_model::memory::Regions;
use std::ops::Range;
use std::ptr;

const PAGE: usize = 4096;

/// Pages without access before, between and behind the regions: more than the
/// largest AECS, so that no address made by adding its size leaps over them.
const GAP: usize = 32 * PAGE;

/// A region of an [`Arena`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Region {
    /// Its first byte.
    pub(crate) start: u64,
    /// Its bytes.
    pub(crate) len: usize,
    /// Whether it can be written.
    pub(crate) writable: bool,
    /// Where it begins in a snapshot.
    snapshot: usize,
}

impl Region {
    /// The place of the last `len` bytes: what comes after them faults.
    pub(crate) fn end_for(&self, len: usize) -> u64 {
        self.start + self.len.saturating_sub(len) as u64
    }

    fn holds(&self, address: u64, len: u64, kept_back: usize) -> bool {
        let end = self.start + (self.len - kept_back) as u64;
        (self.start..=end).contains(&address) && len <= end - address
    }
}

/// The regions, in one mapping of their own. They are used by address alone:
/// no reference to their bytes ever exists.
#[derive(Debug)]
pub(crate) struct Arena {
    regions: Vec<Region>,
    bytes: usize,
}

impl Arena {
    /// Regions of these many pages. `fill` says what the read-only ones hold.
    pub(crate) fn new(pages: &[(usize, bool)], fill: impl Fn(usize, &mut [u8])) -> Self {
        let mapped = pages
            .iter()
            .fold(GAP, |sum, (pages, _)| sum + pages * PAGE + GAP);
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a fresh mapping where the kernel sees fit.
        let base = unsafe { libc::mmap(ptr::null_mut(), mapped, libc::PROT_NONE, flags, -1, 0) };
        assert_ne!(base, libc::MAP_FAILED, "no address space");
        let mut this = Self {
            regions: Vec::new(),
            bytes: 0,
        };
        let mut offset = GAP;
        for (index, &(pages, writable)) in pages.iter().enumerate() {
            let len = pages * PAGE;
            let start = base.wrapping_byte_add(offset);
            let protect = |access| {
                // SAFETY: pages of the mapping made above, which no reference
                // points into.
                let result = unsafe { libc::mprotect(start, len, access) };
                assert_eq!(result, 0, "mprotect");
            };
            protect(libc::PROT_READ | libc::PROT_WRITE);
            this.regions.push(Region {
                start: start.expose_provenance() as u64,
                len,
                writable: true,
                snapshot: this.bytes,
            });
            if !writable {
                let mut bytes = vec![0; len];
                fill(index, &mut bytes);
                this.put(this.regions[index].start, &bytes);
                protect(libc::PROT_READ);
                this.regions[index].writable = false;
            }
            this.bytes += len;
            offset += len + GAP;
        }
        this
    }

    /// All regions.
    pub(crate) fn regions(&self) -> &[Region] {
        &self.regions
    }

    /// Whether one region, without its last `kept_back` bytes, holds all of
    /// these.
    pub(crate) fn reaches(&self, address: u64, len: u64, write: bool, kept_back: usize) -> bool {
        self.regions
            .iter()
            .any(|region| (region.writable || !write) && region.holds(address, len, kept_back))
    }

    /// Registers the regions, each without its last `kept_back` bytes.
    pub(crate) fn register(&self, kept_back: usize) -> Regions {
        let list = Regions::new();
        for region in &self.regions {
            let start = ptr::with_exposed_provenance(region.start as usize);
            // SAFETY: the mapping is never undone, and nothing but the device
            // touches it while the device works.
            unsafe { list.add(start, region.len - kept_back, region.writable) };
        }
        list
    }

    /// Writes `bytes`, all of which must lie in one writable region.
    pub(crate) fn put(&self, address: u64, bytes: &[u8]) {
        assert!(self.reaches(address, bytes.len() as u64, true, 0));
        let to = ptr::with_exposed_provenance_mut(address as usize);
        // SAFETY: in a writable region, as asserted; `bytes` lies elsewhere,
        // because no reference to a region exists.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
    }

    /// Reads bytes, all of which must lie in one region.
    pub(crate) fn get(&self, address: u64, bytes: &mut [u8]) {
        assert!(self.reaches(address, bytes.len() as u64, false, 0));
        let from = ptr::with_exposed_provenance(address as usize);
        // SAFETY: in a region, as asserted; `bytes` lies elsewhere.
        unsafe { ptr::copy_nonoverlapping(from, bytes.as_mut_ptr(), bytes.len()) };
    }

    /// The bytes of all regions, one after the other.
    pub(crate) fn snapshot(&self, into: &mut Vec<u8>) {
        into.resize(self.bytes, 0);
        for region in &self.regions {
            self.get(region.start, &mut into[region.snapshot..][..region.len]);
        }
    }

    /// Brings the writable regions back to what `snapshot` has.
    pub(crate) fn restore(&self, snapshot: &[u8]) {
        for region in self.regions.iter().filter(|region| region.writable) {
            self.put(region.start, &snapshot[region.snapshot..][..region.len]);
        }
    }

    /// Where in a snapshot those of the bytes are that lie in regions.
    pub(crate) fn in_snapshot(
        &self,
        address: u64,
        len: u64,
    ) -> impl Iterator<Item = Range<usize>> + '_ {
        let end = address.saturating_add(len);
        self.regions.iter().filter_map(move |region| {
            let region_end = region.start + region.len as u64;
            let (from, to) = (address.max(region.start), end.min(region_end));
            let at = |address: u64| region.snapshot + (address - region.start) as usize;
            (from < to).then(|| at(from)..at(to))
        })
    }

    /// The bytes at `address` in a snapshot, if one region holds all of them.
    pub(crate) fn seen<'s>(&self, snapshot: &'s [u8], address: u64, len: u64) -> Option<&'s [u8]> {
        if !self.reaches(address, len, false, 0) {
            return None;
        }
        let range = self.in_snapshot(address, len).next();
        Some(range.map_or(&[][..], |range| &snapshot[range]))
    }
}
