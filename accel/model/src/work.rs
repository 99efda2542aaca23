//! One descriptor's way through the device, from the queue to its completion
//! record.

#![expect(unsafe_code, reason = "descriptors name the client's memory")]

use crate::check::{self, Refusal, aecs_halves, reads_aecs, writes_aecs, writes_dst};
use crate::compress::Compressor;
use crate::decompress::Decompressor;
use crate::device::Queue;
use crate::memory::Fault;
use crate::op::{End, Job, Product};
use pagepress_abi::flags::op;
use pagepress_abi::{Completion, CompletionRecord, Descriptor, ErrorCode, Opcode, Status, SwError};

/// What executes one descriptor at a time.
#[derive(Default)]
pub(crate) struct Engine {
    pub(crate) compressor: Compressor,
    pub(crate) decompressor: Decompressor,
    pub(crate) product: Product,
}

/// A descriptor that a queue has taken and that has not completed yet. It holds
/// the queue's entry; dropped without completing, it never will.
#[derive(Debug)]
pub struct Work {
    queue: Queue,
    descriptor: Descriptor,
    src1: Vec<u8>,
    aecs: Vec<u8>,
    verdict: Verdict,
    holds_entry: bool,
}

/// What taking a descriptor found out.
#[derive(Debug, Clone, Copy)]
enum Verdict {
    Run,
    /// Its completion is known without running it.
    Ended(Completion),
    /// It has no valid place for a completion.
    NoRecord(SwError),
}

impl Work {
    /// Takes the descriptor, with a copy of its sources.
    ///
    /// # Safety
    /// The sources are valid, as the device's memory asks, until this returns;
    /// the rest of what the descriptor names, until the work has completed.
    pub(crate) unsafe fn take(queue: Queue, descriptor: Descriptor) -> Self {
        let mut work = Self {
            queue,
            descriptor,
            src1: Vec::new(),
            aecs: Vec::new(),
            verdict: Verdict::Run,
            holds_entry: true,
        };
        // SAFETY: the caller's promise is the same.
        work.verdict = unsafe { work.prepare() };
        work
    }

    /// The descriptor.
    #[must_use]
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// The queue that took it.
    #[must_use]
    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    /// Executes it and writes its results, the completion record last.
    pub fn complete(self) {
        let completion = self.execute(|_| {});
        if let Some(completion) = completion {
            self.finish(&completion);
        }
    }

    /// As [`complete`](Self::complete), with the output passed through
    /// `disturb` before it is written: a device that computes wrongly.
    pub fn complete_disturbed(self, disturb: impl FnOnce(&mut Vec<u8>)) {
        let completion = self.execute(disturb);
        if let Some(completion) = completion {
            self.finish(&completion);
        }
    }

    /// Writes this completion without executing anything.
    pub fn complete_with(self, completion: &Completion) {
        match self.verdict {
            Verdict::NoRecord(_) => self.complete(),
            _ => self.finish(completion),
        }
    }

    /// Checks the descriptor and copies what it reads.
    ///
    /// # Safety
    /// The sources are valid, as the device's memory asks.
    unsafe fn prepare(&mut self) -> Verdict {
        let d = self.descriptor;
        let profile = self.queue.device().profile();
        let wants_record = d.op_flags() & op::CRAV != 0;
        if wants_record && d.completion % CompletionRecord::BYTES as u64 != 0 {
            return Verdict::NoRecord(SwError::CR_MISALIGNED);
        }
        if let Err(Refusal {
            status,
            invalid_flags,
        }) = check::check(&d, profile, self.queue.config())
        {
            return ended(Completion {
                status: status.0,
                invalid_flags,
                ..Completion::default()
            });
        }
        let memory = self.queue.memory();
        self.src1.resize(d.src1_len as usize, 0);
        // SAFETY: the caller promises source 1.
        if let Err(fault) = unsafe { memory.read(d.src1, &mut self.src1) } {
            return ended(page_fault(&d, fault, false));
        }
        if reads_aecs(&d) {
            self.aecs.resize(d.src2_len as usize, 0);
            // SAFETY: the caller promises the AECS half that is read.
            if let Err(fault) = unsafe { memory.read(aecs_halves(&d).0, &mut self.aecs) } {
                return ended(page_fault(&d, fault, false));
            }
        }
        Verdict::Run
    }

    /// Runs the operation and writes its data. `None` if there is nowhere to
    /// say how it ended.
    fn execute(&self, disturb: impl FnOnce(&mut Vec<u8>)) -> Option<Completion> {
        let device = self.queue.device();
        let d = &self.descriptor;
        match self.verdict {
            Verdict::Run => {}
            Verdict::Ended(completion) => return Some(completion),
            Verdict::NoRecord(error) => {
                device.record_error(error, self.queue.index(), d.opcode(), d.completion);
                return None;
            }
        }
        let job = Job {
            generation: device.profile().generation(),
            op_flags: d.op_flags(),
            flags: d.flags,
            flags2: d.flags2,
            src1: &self.src1,
            aecs: reads_aecs(d).then_some(&self.aecs[..]),
            src2_len: d.src2_len as usize,
            dst_max: d.dst_max as usize,
        };
        let success = Completion {
            status: Status::SUCCESS.0,
            ..Completion::default()
        };
        match d.opcode() {
            Opcode::COMPRESS | Opcode::DECOMPRESS => {}
            Opcode::CRC64 => {
                let polynomial = u64::from(d.elements) << 32 | u64::from(d.flags2);
                let crc64 = crate::crc64::crc64(polynomial, d.flags, &self.src1);
                return Some(Completion { crc64, ..success });
            }
            _ => return Some(success),
        }
        let mut engine = device.engine();
        let Engine {
            compressor,
            decompressor,
            product,
        } = &mut *engine;
        product.output.clear();
        product.aecs.clear();
        let end = if d.opcode() == Opcode::COMPRESS {
            compressor.run(&job, product)
        } else {
            decompressor.run(&job, product)
        };
        disturb(&mut product.output);
        let completion = self.write_data(&end, product);
        device.rest(engine);
        Some(completion)
    }

    /// Writes output and AECS; what the completion record will say.
    fn write_data(&self, end: &End, product: &Product) -> Completion {
        let d = &self.descriptor;
        let memory = self.queue.memory();
        let output = if writes_dst(d) {
            &product.output[..]
        } else {
            &[]
        };
        debug_assert!(
            output.len() <= d.dst_max as usize,
            "an engine keeps to its limit"
        );
        // SAFETY: whoever submitted promised the destination until the work
        // completes, and the output is no longer than it.
        if let Err(fault) = unsafe { memory.write(d.dst, output) } {
            return page_fault(d, fault, true);
        }
        if writes_aecs(d) {
            // SAFETY: as above, for the AECS half that is written: no more
            // than the size that the descriptor gives it.
            let written = unsafe { memory.write(aecs_halves(d).1, &product.aecs) };
            if let Err(fault) = written {
                return page_fault(d, fault, true);
            }
        }
        let error = if end.status == Status::ANALYTICS_ERROR {
            end.error
        } else {
            ErrorCode(0)
        };
        Completion {
            status: end.status.0,
            error: error.0,
            bytes_completed: end.bytes_completed,
            output_size: output.len() as u32,
            output_bits: end.output_bits,
            xor: end.xor,
            crc: end.crc,
            ..Completion::default()
        }
    }

    /// Writes the completion record, if one is wanted.
    fn finish(mut self, completion: &Completion) {
        // First: a client that counts entries takes a completion for a free
        // one.
        self.free_entry();
        let device = self.queue.device();
        let d = &self.descriptor;
        let flags = d.op_flags();
        let success = completion.status() == Status::SUCCESS;
        if flags & op::CRAV == 0 {
            if !success {
                let error = SwError(completion.status().0);
                device.record_error(error, self.queue.index(), d.opcode(), 0);
                return;
            }
        } else if !success || flags & op::RCR != 0 {
            let memory = self.queue.memory();
            // SAFETY: whoever submitted promised the record until now, and its
            // alignment was checked when the work was taken.
            let written = unsafe { memory.complete(d.completion, &completion.to_bytes()) };
            if let Err(fault) = written {
                let error = SwError::CR_FAULT;
                device.record_error(error, self.queue.index(), d.opcode(), fault.address);
                return;
            }
        }
        device.count(|counters| &mut counters.completed);
    }
}

impl Work {
    fn free_entry(&mut self) {
        if core::mem::take(&mut self.holds_entry) {
            self.queue.free_entry();
        }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.free_entry();
    }
}

fn ended(completion: Completion) -> Verdict {
    Verdict::Ended(completion)
}

/// The completion of a page fault. Asked to wait, the device has the system
/// look, which finds nothing to map.
fn page_fault(descriptor: &Descriptor, fault: Fault, write: bool) -> Completion {
    let waited = descriptor.op_flags() & op::BLOCK_ON_FAULT != 0;
    let status = if waited {
        Status::PAGE_FAULT_UNRESOLVED
    } else {
        Status::PAGE_FAULT
    };
    Completion {
        status: status.0 | if write { Status::WRITE_FAULT } else { 0 },
        bytes_completed: if write { fault.done as u32 } else { 0 },
        fault_addr: fault.address,
        ..Completion::default()
    }
}
