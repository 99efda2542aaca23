//! The portal of a process that may not map one, and goes by `write(2)`.

#![expect(unsafe_code, reason = "portals pass on the promise of who submits")]

use crate::device;
use pagepress_abi::{Portal, Submission};

/// A portal reached by `write(2)`: a burst is one call, which may take less of
/// it than there is.
#[derive(Debug)]
pub struct ByWrite {
    portal: Box<dyn Portal>,
}

impl ByWrite {
    /// The node of the queue behind this portal.
    #[must_use]
    pub fn new(portal: Box<dyn Portal>) -> Self {
        Self { portal }
    }
}

impl Portal for ByWrite {
    unsafe fn submit(&self, descriptor: &[u8; 64]) -> Submission {
        // SAFETY: the caller's promise is the same.
        unsafe { self.submit_burst(core::slice::from_ref(descriptor)) }.1
    }

    unsafe fn submit_burst(&self, descriptors: &[[u8; 64]]) -> (usize, Submission) {
        // SAFETY: the caller's promise is the same.
        let written = unsafe { device::write(&*self.portal, descriptors.as_flattened()) };
        Submission::of_write(written, descriptors.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Device;
    use crate::memory::Trusting;
    use crate::profile::{Profile, QueueConfig};
    use crate::time::{Costs, Timeline};
    use pagepress_abi::flags::op;
    use pagepress_abi::{Descriptor, Opcode};

    #[test]
    fn a_burst_is_taken_as_far_as_there_is_room() {
        let device = Device::new(Profile::GEN1, Trusting, &[QueueConfig::shared(2)]).unwrap();
        let timeline = Timeline::in_virtual_time();
        let queue = timeline.device(device.clone(), Costs::SAPPHIRE_RAPIDS);
        let portal = ByWrite::new(Box::new(queue.queue(0)));
        let mut record = Box::new(pagepress_abi::CompletionRecord::new());
        let mut noop = Descriptor::new(Opcode::NOOP, op::CRAV | op::RCR);
        noop.completion = (&raw mut *record).expose_provenance() as u64;
        let burst = [noop.to_bytes(); 3];
        // SAFETY: the record outlives the device, and only that writes it.
        let taken = unsafe { portal.submit_burst(&burst) };
        assert_eq!(taken, (2, Submission::Retry));
        // SAFETY: as above.
        let taken = unsafe { portal.submit_burst(&burst) };
        assert_eq!(taken, (0, Submission::Retry));
        timeline.advance(1_000_000);
        // SAFETY: as above.
        assert_eq!(unsafe { portal.submit(&burst[0]) }, Submission::Accepted);
        timeline.advance(1_000_000);
        assert_eq!(device.counters().completed, 3);
    }
}
