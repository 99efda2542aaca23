//! Memory that is there because the client says so: the fast way.

use super::{Fault, Memory};
use core::ptr;
use core::sync::atomic::{AtomicU8, Ordering};

/// Touches whatever address it is given, as the CPU would.
///
/// Addresses must be valid: of live memory that is readable or writable as
/// used, that nobody else writes while the operation runs, and that no Rust
/// reference claims for itself. A wrong address crashes the program or worse;
/// [`Checked`](super::Checked) and [`Regions`](super::Regions) report it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Trusting;

fn pointer(address: u64) -> *mut u8 {
    ptr::with_exposed_provenance_mut(address as usize)
}

// SAFETY: writes are of exactly the bytes given, at exactly the address given.
unsafe impl Memory for Trusting {
    unsafe fn read(&self, address: u64, to: &mut [u8]) -> Result<(), Fault> {
        // SAFETY: the caller promises `to.len()` readable bytes at `address`
        // that do not change meanwhile; `to` is a live slice, which cannot
        // overlap memory that no Rust reference claims.
        unsafe { ptr::copy_nonoverlapping(pointer(address), to.as_mut_ptr(), to.len()) };
        Ok(())
    }

    unsafe fn write(&self, address: u64, from: &[u8]) -> Result<(), Fault> {
        // SAFETY: the caller promises `from.len()` writable bytes at `address`
        // that nobody else uses meanwhile; `from` is a live slice elsewhere.
        unsafe { ptr::copy_nonoverlapping(from.as_ptr(), pointer(address), from.len()) };
        Ok(())
    }

    unsafe fn complete(&self, address: u64, record: &[u8; 64]) -> Result<(), Fault> {
        let to = pointer(address);
        // SAFETY: the caller promises 64 writable bytes at `address`. A client
        // that polls looks at the first byte alone until it is not zero, so
        // nobody else uses these 63 now.
        unsafe { ptr::copy_nonoverlapping(record[1..].as_ptr(), to.wrapping_add(1), 63) };
        // SAFETY: the byte is valid for as long as the record is, and clients
        // touch it only atomically, or before they submit, or after they have
        // seen this store.
        let status = unsafe { AtomicU8::from_ptr(to) };
        status.store(record[0], Ordering::Release);
        Ok(())
    }
}
