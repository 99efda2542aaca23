//! The one door to a device.

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
