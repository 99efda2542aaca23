//! Memory that the client has registered, and nothing else: fast, and without
//! a crash for a wrong address.

use super::{Fault, Memory, PAGE, Trusting};
use std::sync::{PoisonError, RwLock};

/// A list of regions that descriptors may name.
#[derive(Debug, Default)]
pub struct Regions {
    list: RwLock<Vec<Region>>,
}

#[derive(Debug, Clone, Copy)]
struct Region {
    start: u64,
    len: u64,
    writable: bool,
}

impl Regions {
    /// No regions.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets descriptors name these `len` bytes.
    ///
    /// # Safety
    /// They must stay valid, and be used by others only as
    /// [`Trusting`] allows, until [`remove`](Self::remove) returns.
    pub unsafe fn add(&self, start: *const u8, len: usize, writable: bool) {
        let region = Region {
            start: start.expose_provenance() as u64,
            len: len as u64,
            writable,
        };
        self.list
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .push(region);
    }

    /// Withdraws the regions that start here. Nothing touches them once this has
    /// returned: work that still names them meets a fault.
    pub fn remove(&self, start: *const u8) {
        let start = start.addr() as u64;
        let mut list = self.list.write().unwrap_or_else(PoisonError::into_inner);
        list.retain(|region| region.start != start);
    }

    /// Calls `use_it` if one region holds all the bytes, while none can be
    /// withdrawn.
    fn within(
        &self,
        address: u64,
        len: usize,
        write: bool,
        use_it: impl FnOnce() -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let list = self.list.read().unwrap_or_else(PoisonError::into_inner);
        let usable = |region: &&Region| {
            region.start <= address
                && address - region.start < region.len
                && (region.writable || !write)
        };
        // Of overlapping regions, the one that reaches farthest.
        let farthest = list
            .iter()
            .filter(usable)
            .map(|region| region.start + region.len)
            .max();
        let there = farthest.map_or(0, |end| (end - address) as usize);
        if there >= len {
            return use_it();
        }
        let address = address.saturating_add(there as u64) / PAGE * PAGE;
        Err(Fault { address, done: 0 })
    }
}

// SAFETY: writes are of exactly the bytes given, at exactly the address given,
// as `Trusting` does them.
unsafe impl Memory for Regions {
    unsafe fn read(&self, address: u64, to: &mut [u8]) -> Result<(), Fault> {
        self.within(address, to.len(), false, || {
            // SAFETY: a registered region holds the bytes, and stays while the
            // list is locked; `add` made the client promise the rest.
            unsafe { Trusting.read(address, to) }
        })
    }

    unsafe fn write(&self, address: u64, from: &[u8]) -> Result<(), Fault> {
        self.within(address, from.len(), true, || {
            // SAFETY: as for reading, and the region is writable.
            unsafe { Trusting.write(address, from) }
        })
    }

    unsafe fn complete(&self, address: u64, record: &[u8; 64]) -> Result<(), Fault> {
        self.within(address, record.len(), true, || {
            // SAFETY: as for writing.
            unsafe { Trusting.complete(address, record) }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_registered() {
        let regions = Regions::new();
        let mut bytes = vec![1u8; 1000];
        let start = bytes.as_mut_ptr();
        let at = start.addr() as u64;
        // SAFETY: `bytes` outlives the regions and is not touched otherwise.
        unsafe { regions.add(start, 500, true) };
        // SAFETY: as above; reading only.
        unsafe { regions.add(start, 1000, false) };
        let read = |at, len| {
            // SAFETY: what is not registered is refused.
            unsafe { regions.read(at, &mut vec![0; len]) }.is_ok()
        };
        let write = |at, len| {
            // SAFETY: as above.
            unsafe { regions.write(at, &vec![2; len]) }.is_ok()
        };
        assert!(read(at, 1000) && !read(at, 1001) && !read(at - 1, 10));
        assert!(write(at, 500) && !write(at, 501) && !write(at + 500, 1));
        regions.remove(start);
        assert!(!read(at, 1));
        assert_eq!(bytes[..501], [[2; 500].as_slice(), &[1]].concat());
    }
}
