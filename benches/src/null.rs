//! A device that does nothing but complete, at once: what is left is what the
//! host does for a page.

#![expect(unsafe_code, reason = "a device writes memory that Rust does not see")]

use core::sync::atomic::{AtomicU64, Ordering};
use pagepress_abi::{GenCap, Opcode, Portal, Status, Submission};
use pagepress_iaa::fleet::Facts;
use pagepress_iaa::recipe::Base;

/// What it says that a page has shrunk to.
pub const PACKED: u32 = 1500;

/// The portal of a device that writes a completion record with success and a
/// plausible size, and nothing else.
#[derive(Debug)]
pub struct Null;

/// The bytes of a descriptor from here on.
fn field<const N: usize>(descriptor: &[u8; 64], at: usize) -> [u8; N] {
    *descriptor[at..].first_chunk().expect("a field inside")
}

impl Null {
    /// Its facts: a shared queue of generation 1.
    #[must_use]
    pub fn facts() -> Facts {
        Facts {
            name: "null".to_owned(),
            package: None,
            credits: None,
            base: Base::new(GenCap::SAPPHIRE_RAPIDS, true),
            gen2: false,
            header_gen: false,
            compresses: true,
            decompresses: true,
        }
    }
}

impl Portal for Null {
    #[inline]
    unsafe fn submit(&self, descriptor: &[u8; 64]) -> Submission {
        let record = u64::from_le_bytes(field(descriptor, 8));
        let size = if Opcode(descriptor[7]) == Opcode::COMPRESS {
            PACKED
        } else {
            u32::from_le_bytes(field(descriptor, 48))
        };
        let record = core::ptr::with_exposed_provenance_mut::<AtomicU64>(record as usize);
        // SAFETY: the submitter promises that a completion record lies there,
        // 64 bytes at a multiple of 64, which nobody touches but by polling
        // atomically.
        let words = unsafe { core::slice::from_raw_parts(record, 8) };
        for (word, value) in words[1..].iter().zip([0, 0, size.into(), 0, 0, 0, 0]) {
            word.store(value, Ordering::Relaxed);
        }
        words[0].store(Status::SUCCESS.0.into(), Ordering::Release);
        Submission::Accepted
    }
}
