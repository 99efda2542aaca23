//! A device of each generation, and memory for one descriptor at a time.

#![expect(unsafe_code, reason = "descriptors name memory of the test")]

use pagepress_abi::aecs::compress as aecs;
use pagepress_abi::flags::op;
use pagepress_abi::{Completion, Descriptor, Portal, Submission};
use pagepress_model::device::{Device, Queue};
use pagepress_model::memory::Trusting;
use pagepress_model::profile::{Profile, QueueConfig};

/// The most bytes of a source, and of an output.
pub(crate) const ROOM: usize = 1 << 18;

/// One cache line, to align by.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line(#[expect(dead_code, reason = "read by address")] [u8; 64]);

/// Aligned bytes that a device may write: used by address alone.
struct Region {
    lines: *mut [Line],
}

impl Region {
    fn new(len: usize) -> Self {
        let lines = vec![Line([0; 64]); len.div_ceil(64)].into_boxed_slice();
        Self {
            lines: Box::into_raw(lines),
        }
    }

    fn address(&self) -> u64 {
        self.lines.cast::<u8>().expose_provenance() as u64
    }

    fn put(&self, bytes: &[u8]) {
        assert!(bytes.len() <= 64 * self.lines.len());
        let to = self.lines.cast::<u8>();
        // SAFETY: inside the region, as asserted; no reference to it exists.
        unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
    }

    fn get(&self, len: usize) -> Vec<u8> {
        assert!(len <= 64 * self.lines.len());
        let mut bytes = vec![0; len];
        let from = self.lines.cast::<u8>();
        // SAFETY: inside the region, as asserted; no reference to it exists.
        unsafe { core::ptr::copy_nonoverlapping(from, bytes.as_mut_ptr(), len) };
        bytes
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: the pointer came from `Box::into_raw` and is not used again.
        drop(unsafe { Box::from_raw(self.lines) });
    }
}

/// Which of the two devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Generation {
    One,
    Two,
}

pub(crate) struct Station {
    queues: [Queue; 2],
    source: Region,
    destination: Region,
    aecs: Region,
    record: Region,
}

impl Station {
    pub(crate) fn new() -> Self {
        let queue = |profile| {
            let device = Device::new(profile, Trusting, &[QueueConfig::shared(8)]);
            device.expect("a sound configuration").queue(0)
        };
        Self {
            queues: [Profile::GEN1, Profile::GEN2].map(queue),
            source: Region::new(ROOM),
            destination: Region::new(ROOM),
            aecs: Region::new(2 * aecs::BYTES),
            record: Region::new(64),
        }
    }

    /// Puts what the next descriptor reads as its AECS.
    pub(crate) fn put_aecs(&mut self, bytes: &[u8]) {
        assert_eq!(bytes.len(), aecs::BYTES);
        self.aecs.put(bytes);
    }

    /// Submits this operation with these flags on `source`; the rest of the
    /// descriptor is filled in here. What the record says, and the output.
    pub(crate) fn run(
        &mut self,
        generation: Generation,
        operation: Descriptor,
        source: &[u8],
    ) -> (Completion, Vec<u8>) {
        self.source.put(source);
        self.record.put(&[0; 64]);
        let mut d = operation;
        d.opcode_flags |= op::CRAV | op::RCR;
        d.completion = self.record.address();
        (d.src1, d.src1_len) = (self.source.address(), source.len() as u32);
        assert!(d.dst_max as usize <= ROOM);
        d.dst = self.destination.address();
        if d.op_flags() & (op::READ_SRC2 | op::WRITE_SRC2) != 0 {
            (d.src2, d.src2_len) = (self.aecs.address(), aecs::BYTES as u32);
        }
        let queue = &self.queues[generation as usize];
        // SAFETY: the descriptor names regions of this station, which are as
        // long as it says and which nothing else uses; the model is done when
        // this returns.
        let submission = unsafe { queue.submit(&d.to_bytes()) };
        assert_eq!(submission, Submission::Accepted);
        let record = self.record.get(64);
        let completion = Completion::from_bytes(record.first_chunk().expect("64 bytes"));
        let output = self.destination.get(completion.output_size as usize);
        (completion, output)
    }
}
