//! The one door to a device.

use crate::Descriptor;
use std::io::{self, ErrorKind};

/// What became of a descriptor that was submitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Submission {
    /// The device has it, or, on a dedicated queue, it was sent: nothing says
    /// whether there was room.
    Accepted,
    /// The queue is full or disabled: ENQCMD's zero flag.
    Retry,
    /// The portal leads nowhere any more, and will not again: the device is
    /// gone, or this is a child of the process that opened the queue.
    Gone,
}

impl Submission {
    /// What `write(2)` of a burst to a queue's node says: how many descriptors
    /// were taken, and what became of the one after them.
    #[must_use]
    pub fn of_write(written: io::Result<usize>, burst: usize) -> (usize, Self) {
        match written {
            Ok(bytes) if bytes < burst * Descriptor::BYTES => {
                (bytes / Descriptor::BYTES, Self::Retry)
            }
            Ok(_) => (burst, Self::Accepted),
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::Interrupted => (0, Self::Retry),
                _ => (0, Self::Gone),
            },
        }
    }
}

#[expect(unsafe_code, reason = "a device writes memory that Rust does not see")]
/// A work queue's portal: hardware, a model, or a decorator around either.
pub trait Portal: core::fmt::Debug + Send + Sync {
    /// Submits one descriptor, given as its bytes.
    ///
    /// # Safety
    /// Until the descriptor has completed, the memory it names must stay valid
    /// and be used by nobody else as the device uses it: sources not written,
    /// destination, written AECS and completion record not touched, except that
    /// the record's status may be polled atomically.
    unsafe fn submit(&self, descriptor: &[u8; 64]) -> Submission;

    /// Submits descriptors until one is not accepted; returns how many were,
    /// and what became of the one after them.
    ///
    /// # Safety
    /// As for [`submit`](Self::submit), for each that was accepted.
    unsafe fn submit_burst(&self, descriptors: &[[u8; 64]]) -> (usize, Submission) {
        for (accepted, descriptor) in descriptors.iter().enumerate() {
            // SAFETY: the caller promises for each descriptor what `submit`
            // asks.
            let submission = unsafe { self.submit(descriptor) };
            if submission != Submission::Accepted {
                return (accepted, submission);
            }
        }
        (descriptors.len(), Submission::Accepted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_writes_are_refusals() {
        let of = |written| Submission::of_write(written, 3);
        assert_eq!(of(Ok(192)), (3, Submission::Accepted));
        assert_eq!(of(Ok(128)), (2, Submission::Retry));
        let error = |kind| Err(io::Error::from(kind));
        for kind in [ErrorKind::WouldBlock, ErrorKind::Interrupted] {
            assert_eq!(of(error(kind)), (0, Submission::Retry));
        }
        assert_eq!(
            of(error(ErrorKind::PermissionDenied)),
            (0, Submission::Gone)
        );
    }
}
