//! The 64-byte completion record (IAA 6.2; `idxd.h`
//! `struct iax_completion_record`).

use crate::status::{ErrorCode, Status};
use core::cell::UnsafeCell;
use core::fmt;
use core::sync::atomic::{AtomicU8, Ordering};

/// Where a device says how a descriptor ended.
///
/// The device writes it while the program watches, so it is memory with a
/// second writer: the status byte is only touched atomically, and the rest only
/// read after a status that is not zero was seen.
#[repr(C, align(64))]
pub struct CompletionRecord {
    status: AtomicU8,
    rest: UnsafeCell<[u8; 63]>,
}

const _: () = assert!(size_of::<CompletionRecord>() == CompletionRecord::BYTES);
const _: () = assert!(align_of::<CompletionRecord>() == CompletionRecord::BYTES);

impl CompletionRecord {
    /// Bytes of a completion record, and what its address is a multiple of.
    pub const BYTES: usize = 64;

    /// A record that no device has written.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            status: AtomicU8::new(0),
            rest: UnsafeCell::new([0; 63]),
        }
    }

    /// Makes the record ready for another descriptor.
    pub fn clear(&mut self) {
        *self.status.get_mut() = 0;
    }

    /// The first byte, or `None` while the device has not completed. What the
    /// device wrote before it is visible once this is `Some`.
    #[inline]
    pub fn poll(&self) -> Option<u8> {
        match self.status.load(Ordering::Acquire) {
            0 => None,
            byte => Some(byte),
        }
    }

    /// The whole record, for whoever knows that the device is done with it:
    /// `&mut` says so.
    #[must_use]
    pub fn read(&mut self) -> Completion {
        let mut bytes = [0; Self::BYTES];
        bytes[0] = *self.status.get_mut();
        bytes[1..].copy_from_slice(self.rest.get_mut());
        Completion::from_bytes(&bytes)
    }

    /// The address to put into a descriptor.
    #[must_use]
    pub fn as_ptr(&self) -> *mut u8 {
        // All 64 bytes lie in cells, so a second writer is foreseen.
        core::ptr::from_ref(self).cast_mut().cast()
    }
}

impl Default for CompletionRecord {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for CompletionRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompletionRecord")
            .field("poll", &self.poll())
            .finish_non_exhaustive()
    }
}

/// What a completion record says.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Completion {
    /// 0: the status in bits 5:0, [`Status::WRITE_FAULT`] in bit 7.
    pub status: u8,
    /// 1: the error code, if the status is [`Status::ANALYTICS_ERROR`].
    pub error: u8,
    /// 2: which address faulted, on devices that tell.
    pub fault_info: u8,
    /// 4: on a page fault, bytes written; on a Decompress overflow, bytes of
    /// source 1 consumed; else 0, on success too.
    pub bytes_completed: u32,
    /// 8: the address that faulted.
    pub fault_addr: u64,
    /// 16: mask of invalid flags, for the statuses about flags.
    pub invalid_flags: u32,
    /// 24: bytes written to the destination.
    pub output_size: u32,
    /// 28: valid bits in the last byte (last word for BE16), 0 for all.
    pub output_bits: u8,
    /// 30: XOR of the data's 16-bit little-endian words.
    pub xor: u16,
    /// 32: CRC-32 of the data.
    pub crc: u32,
    /// 40: result of a CRC64.
    pub crc64: u64,
}

impl Completion {
    /// Where [`output_size`](Self::output_size) lies in a record.
    pub const OUTPUT_SIZE: usize = 24;
    /// Where [`crc`](Self::crc) does.
    pub const CRC: usize = 32;

    /// The status without the bit for write faults.
    #[must_use]
    pub const fn status(&self) -> Status {
        Status::of(self.status)
    }

    /// The error code.
    #[must_use]
    pub const fn error(&self) -> ErrorCode {
        ErrorCode(self.error)
    }

    /// The record that these bytes are.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 64]) -> Self {
        let u16_at = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let u32_at = |at: usize| u32::from(u16_at(at)) | u32::from(u16_at(at + 2)) << 16;
        let u64_at = |at: usize| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;
        Self {
            status: bytes[0],
            error: bytes[1],
            fault_info: bytes[2],
            bytes_completed: u32_at(4),
            fault_addr: u64_at(8),
            invalid_flags: u32_at(16),
            output_size: u32_at(Self::OUTPUT_SIZE),
            output_bits: bytes[28],
            xor: u16_at(30),
            crc: u32_at(Self::CRC),
            crc64: u64_at(40),
        }
    }

    /// The bytes that this record is; what has no field is 0.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 64] {
        let mut bytes = [0; 64];
        let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
        put(0, &[self.status, self.error, self.fault_info]);
        put(4, &self.bytes_completed.to_le_bytes());
        put(8, &self.fault_addr.to_le_bytes());
        put(16, &self.invalid_flags.to_le_bytes());
        put(Self::OUTPUT_SIZE, &self.output_size.to_le_bytes());
        put(28, &[self.output_bits]);
        put(30, &self.xor.to_le_bytes());
        put(Self::CRC, &self.crc.to_le_bytes());
        put(40, &self.crc64.to_le_bytes());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_read_back() {
        let completion = Completion {
            status: 0x83,
            error: 0x19,
            fault_info: 3,
            bytes_completed: 0x0102_0304,
            fault_addr: 0x7F00_1234_5000,
            invalid_flags: 2,
            output_size: 4095,
            output_bits: 5,
            xor: 0xBEEF,
            crc: 0xDEAD_BEEF,
            crc64: 0x1122_3344_5566_7788,
        };
        assert_eq!(Completion::from_bytes(&completion.to_bytes()), completion);
        assert_eq!(completion.status(), Status::PAGE_FAULT);
    }

    #[test]
    fn a_fresh_record_is_not_complete() {
        let mut record = CompletionRecord::new();
        assert_eq!(record.poll(), None);
        assert_eq!(record.read(), Completion::default());
        assert_eq!(record.as_ptr().addr(), (&raw const record).addr());
    }
}
