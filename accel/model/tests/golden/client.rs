//! A client's memory, and the way its descriptors take.

#![expect(unsafe_code, reason = "descriptors name memory of the test")]

use crate::Outcome;
use pagepress_abi::{Completion, CompletionRecord, Descriptor, Status, Submission};
use pagepress_model::device::{Counters, Device, Queue};
use pagepress_model::memory::Regions;
use pagepress_model::profile::{Profile, QueueConfig};
use std::fmt::Debug;

/// What lies around buffers, and in them before anything is written.
pub(crate) const CANARY: u8 = 0xC5;

/// Canaries before and behind a buffer, at least.
const GUARD: usize = 128;

/// One cache line, to align by.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line(#[expect(dead_code, reason = "read by address")] [u8; 64]);

/// Bytes that a device may reach: used by address alone.
pub(crate) struct Buffer {
    lines: *mut [Line],
    start: usize,
    len: usize,
}

impl Buffer {
    /// `len` bytes that lie in a cache line as those at `like` did.
    fn new(len: usize, like: u64) -> Self {
        let start = GUARD + (like % 64) as usize;
        let lines = (start + len + GUARD).div_ceil(64);
        let lines = vec![Line([CANARY; 64]); lines].into_boxed_slice();
        Self {
            lines: Box::into_raw(lines),
            start,
            len,
        }
    }

    fn pointer(&self) -> *mut u8 {
        self.lines.cast::<u8>().wrapping_add(self.start)
    }

    pub(crate) fn address(&self) -> u64 {
        self.pointer().expose_provenance() as u64
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn put(&self, at: usize, bytes: &[u8]) {
        assert!(at + bytes.len() <= self.len);
        let to = self.pointer().wrapping_add(at);
        // SAFETY: inside the buffer, as asserted; no reference to it exists.
        unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
    }

    pub(crate) fn get(&self, at: usize, len: usize) -> Vec<u8> {
        assert!(at + len <= self.len);
        self.copy(self.start + at, len)
    }

    fn copy(&self, at: usize, len: usize) -> Vec<u8> {
        assert!(at + len <= 64 * self.lines.len());
        let mut bytes = vec![0; len];
        let from = self.lines.cast::<u8>().wrapping_add(at);
        // SAFETY: inside the allocation, as asserted; no reference to it exists.
        unsafe { core::ptr::copy_nonoverlapping(from, bytes.as_mut_ptr(), len) };
        bytes
    }

    /// Whether nothing was written outside.
    fn is_alone(&self) -> bool {
        let end = self.start + self.len;
        let before = self.copy(0, self.start);
        let behind = self.copy(end, 64 * self.lines.len() - end);
        before.iter().chain(&behind).all(|&byte| byte == CANARY)
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: the pointer came from `Box::into_raw` and is not used again.
        drop(unsafe { Box::from_raw(self.lines) });
    }
}

/// How descriptors are submitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry {
    Enqcmd,
    Write,
}

/// What memory a job has: bytes or how many, and an address recorded for them.
#[derive(Default)]
pub(crate) struct Layout<'a> {
    pub(crate) source: (&'a [u8], u64),
    pub(crate) output: (usize, u64),
    pub(crate) aecs: (usize, u64),
    pub(crate) verify_aecs: (usize, u64),
    pub(crate) scratch: (usize, u64),
}

/// A job's memory, and a device of its own. The device may reach the buffers
/// and nothing else, and the source only to read it.
pub(crate) struct Job {
    queue: Queue,
    entry: Entry,
    pub(crate) source: Buffer,
    pub(crate) output: Buffer,
    /// The AECS of Compress, or of a job that only decompresses.
    pub(crate) aecs: Buffer,
    /// The AECS of Decompress in a job that compresses.
    pub(crate) verify_aecs: Buffer,
    /// Where output goes that does not count.
    pub(crate) scratch: Buffer,
    record: Buffer,
    submitted: usize,
    findings: Vec<String>,
}

impl Job {
    pub(crate) fn new(profile: Profile, entry: Entry, layout: &Layout<'_>) -> Self {
        let buffer = |(len, like)| Buffer::new(len, like);
        let source = Buffer::new(layout.source.0.len(), layout.source.1);
        source.put(0, layout.source.0);
        let output = buffer(layout.output);
        let aecs = buffer(layout.aecs);
        let verify_aecs = buffer(layout.verify_aecs);
        let scratch = buffer(layout.scratch);
        let record = Buffer::new(CompletionRecord::BYTES, 0);
        let regions = Regions::new();
        let add = |buffer: &Buffer, writable| {
            // SAFETY: the buffer goes into the same `Job` as the device that
            // gets these regions, and its bytes stay where they are until it
            // is dropped; the model has no threads, so nothing uses them but
            // calls made in `submit`.
            unsafe { regions.add(buffer.pointer(), buffer.len, writable) };
        };
        add(&source, false);
        for buffer in [&output, &aecs, &verify_aecs, &scratch, &record] {
            add(buffer, true);
        }
        let device = Device::new(profile, regions, &[QueueConfig::shared(16)]);
        Self {
            queue: device.expect("one queue").queue(0),
            entry,
            source,
            output,
            aecs,
            verify_aecs,
            scratch,
            record,
            submitted: 0,
            findings: Vec::new(),
        }
    }

    /// Submits a descriptor whose other addresses are already those of this
    /// job, and looks at all that holds for every completion.
    pub(crate) fn submit(&mut self, descriptor: &Descriptor) -> Completion {
        let mut d = *descriptor;
        // QPL's NOOP has a record too.
        d.completion = self.record.address();
        let mut unwritten = [CANARY; CompletionRecord::BYTES];
        unwritten[0] = 0;
        self.record.put(0, &unwritten);
        let bytes = d.to_bytes();
        let accepted = match self.entry {
            Entry::Enqcmd => {
                // SAFETY: the device reaches only this job's buffers, whatever
                // the descriptor names; nothing else uses them meanwhile, and
                // the model is done when this returns.
                let submission = unsafe { self.queue.enqcmd(&bytes) };
                submission == Submission::Accepted
            }
            Entry::Write => {
                // SAFETY: as above.
                let written = unsafe { self.queue.write(&bytes) };
                written.is_ok_and(|written| written == bytes.len())
            }
        };
        self.submitted += 1;
        self.same("accepted", accepted, true);
        let done = self.submitted as u64;
        let counters = Counters {
            accepted: done,
            completed: done,
            ..Counters::default()
        };
        let device = self.queue.device().clone();
        self.same("one completion each", device.counters(), counters);
        self.same("software error", device.software_error(), None);
        self.same("occupancy", self.queue.occupancy(), 0);

        let bytes = *self.record.get(0, 64).first_chunk().expect("64 bytes");
        let completion = Completion::from_bytes(&bytes);
        self.same("unused fields are 0", completion.to_bytes(), bytes);
        if completion.status() == Status::SUCCESS {
            let clean = Completion {
                error: 0,
                fault_info: 0,
                bytes_completed: 0,
                fault_addr: 0,
                invalid_flags: 0,
                ..completion
            };
            self.same("a success without errors", completion, clean);
        }
        let buffers = [
            &self.source,
            &self.output,
            &self.aecs,
            &self.verify_aecs,
            &self.scratch,
            &self.record,
        ];
        let alone = buffers.map(Buffer::is_alone);
        self.same("canaries", alone, [true; 6]);
        completion
    }

    /// Notes it if these are not the same.
    pub(crate) fn same<T: Debug + PartialEq>(&mut self, what: &str, ours: T, wanted: T) {
        if ours != wanted {
            let at = self.submitted;
            let finding = format!("descriptor {at}: {what}: {ours:x?}, wanted {wanted:x?}");
            self.findings.push(finding);
        }
    }

    /// Notes it if this does not hold.
    pub(crate) fn holds(&mut self, what: &str, it_does: bool) {
        self.same(what, it_does, true);
    }

    /// What all outcomes have.
    pub(crate) fn outcome(&mut self) -> Outcome {
        Outcome {
            descriptors: self.submitted,
            findings: std::mem::take(&mut self.findings),
            ..Outcome::default()
        }
    }
}
