//! How a device reaches the memory that descriptors name.

#![expect(unsafe_code, reason = "the memory of the client is reached by address")]

use core::fmt;

/// The page size that faults are reported in.
pub const PAGE: u64 = 4096;

/// Memory that could not be read or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// The first address that failed, rounded down to its page.
    pub address: u64,
    /// Bytes before it that were read or written.
    pub done: usize,
}

/// Memory by the addresses of the program that submits.
///
/// # Safety
/// An implementation must write nothing but the bytes it is told to.
pub unsafe trait Memory: fmt::Debug + Send + Sync {
    /// Copies `to.len()` bytes from `address` on.
    ///
    /// # Errors
    /// [`Fault`] if not all of them can be read.
    ///
    /// # Safety
    /// What the implementation asks of addresses must hold for these.
    unsafe fn read(&self, address: u64, to: &mut [u8]) -> Result<(), Fault>;

    /// Copies all of `from` to `address`.
    ///
    /// # Errors
    /// [`Fault`] if not all of it can be written; what comes before the fault
    /// is.
    ///
    /// # Safety
    /// What the implementation asks of addresses must hold for these.
    unsafe fn write(&self, address: u64, from: &[u8]) -> Result<(), Fault>;

    /// Writes a completion record: bytes 1 to 63 first, then, for all to see
    /// who saw it, the status byte.
    ///
    /// # Errors
    /// [`Fault`] if it cannot be written.
    ///
    /// # Safety
    /// What the implementation asks of addresses must hold for these;
    /// `address` is a multiple of 64.
    unsafe fn complete(&self, address: u64, record: &[u8; 64]) -> Result<(), Fault>;
}

mod checked;
mod regions;
mod trusting;

pub use checked::Checked;
pub use regions::Regions;
pub use trusting::Trusting;

/// The pages that `len` bytes from `address` on touch, each with the part of
/// it that they cover.
fn pages(address: u64, len: usize) -> impl Iterator<Item = (u64, usize)> {
    let end = address.saturating_add(len as u64);
    let mut at = address;
    core::iter::from_fn(move || {
        (at < end).then(|| {
            let next = (at / PAGE + 1).saturating_mul(PAGE).min(end);
            let part = (at, (next - at) as usize);
            at = next;
            part
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_a_range() {
        assert_eq!(pages(4000, 0).count(), 0);
        assert_eq!(
            pages(4000, 5000).collect::<Vec<_>>(),
            [(4000, 96), (4096, 4096), (8192, 808)]
        );
        assert_eq!(
            pages(u64::MAX - 10, 100).map(|(_, len)| len).sum::<usize>(),
            10
        );
    }
}
