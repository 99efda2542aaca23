//! One descriptor's way through the device, from the queue to its completion
//! record.

#![expect(unsafe_code, reason = "descriptors name the client's memory")]

use crate::check::{self, Refusal, aecs_halves, reads_aecs, writes_aecs, writes_dst};
use crate::compress::Compressor;
use crate::decompress::Decompressor;
use crate::device::{Queue, Taken};
use crate::memory::{Fault, Memory, PAGE};
use crate::observe::End as Told;
use crate::op::{End, Job, Product};
use crate::watch::Ticket;
use pagepress_abi::flags::{compress, crc64, op};
use pagepress_abi::{Completion, CompletionRecord, Descriptor, ErrorCode, Opcode, Status, SwError};

/// What executes one descriptor at a time.
#[derive(Default)]
pub(crate) struct Engine {
    pub(crate) compressor: Compressor,
    pub(crate) decompressor: Decompressor,
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
    taken: Taken,
    holds_entry: bool,
    /// Whether somebody was told how.
    has_ended: bool,
    ticket: Option<Ticket>,
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

/// How work ends, when it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// As the operation comes out.
    Sound,
    /// With one bit of the output wrong, the one that this number picks, or of
    /// the CRC if there is no output. The checksums of a flipped output are
    /// those of the right one.
    Flipped(u64),
    /// With a page fault on one of the pages of the output, the one that this
    /// number picks, or on the destination's first if there is no output; what
    /// comes before it is written.
    WriteFault(u64),
    /// With this completion and nothing written.
    Instead(Completion),
}

impl Work {
    /// Takes the descriptor, with a copy of its sources.
    ///
    /// # Safety
    /// The sources are valid, as the device's memory asks, until this returns;
    /// the rest of what the descriptor names, until the work has completed or
    /// is [gone](Self::is_gone).
    pub(crate) unsafe fn take(queue: Queue, taken: Taken, descriptor: Descriptor) -> Self {
        let mut work = Self {
            queue,
            descriptor,
            src1: Vec::new(),
            aecs: Vec::new(),
            verdict: Verdict::Run,
            taken,
            holds_entry: true,
            has_ended: false,
            ticket: None,
        };
        // SAFETY: the caller's promise is the same.
        work.verdict = unsafe { work.prepare() };
        let runs = matches!(work.verdict, Verdict::Run);
        let (queue, d) = (&work.queue, &work.descriptor);
        let watch = queue.device().watch();
        // SAFETY: the caller promises what the descriptor writes to the device,
        // from now until the work has completed.
        let ticket = watch.map(|watch| unsafe { watch.take(queue, taken, d, runs) });
        work.ticket = ticket;
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

    /// Whether the device has been reset, or the queue aborted, since this was
    /// taken: it will never complete.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.queue.has_forgotten(self.taken)
    }

    /// Executes it and writes its results, the completion record last.
    pub fn complete(self) {
        self.run().publish(&Ending::Sound);
    }

    /// Executes it. Nothing is written yet.
    #[must_use]
    pub fn run(self) -> Done {
        let device = self.queue.device();
        let mut product = device.product();
        let computed = self.execute(&mut product);
        Done {
            work: self,
            computed,
            product,
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
        // SAFETY: the caller promises source 1.
        if let Err(fault) = unsafe { copy(memory, d.src1, d.src1_len, &mut self.src1) } {
            return ended(page_fault(&d, fault, false));
        }
        if reads_aecs(&d) {
            let read = aecs_halves(&d).0;
            // SAFETY: the caller promises the AECS half that is read.
            if let Err(fault) = unsafe { copy(memory, read, d.src2_len, &mut self.aecs) } {
                return ended(page_fault(&d, fault, false));
            }
        }
        Verdict::Run
    }

    /// Runs the operation.
    fn execute(&self, product: &mut Product) -> Computed {
        let device = self.queue.device();
        let d = &self.descriptor;
        match self.verdict {
            Verdict::Run => {}
            Verdict::Ended(completion) => return Computed::Record(completion),
            Verdict::NoRecord(error) => return Computed::NoRecord(error),
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
                return match self.crc64(product) {
                    Ok(crc64) => Computed::Record(Completion { crc64, ..success }),
                    Err(end) => Computed::Record(Completion {
                        status: end.status.0,
                        error: end.error.0,
                        ..Completion::default()
                    }),
                };
            }
            _ => return Computed::Record(success),
        }
        let mut engine = device.engine();
        let end = if d.opcode() == Opcode::COMPRESS {
            engine.compressor.run(&job, product)
        } else {
            engine.decompressor.run(&job, product)
        };
        device.rest(engine);
        Computed::Data(end)
    }

    fn crc64(&self, product: &mut Product) -> Result<u64, End> {
        let d = &self.descriptor;
        let polynomial = u64::from(d.elements) << 32 | u64::from(d.flags2);
        if d.flags & crc64::ENABLE == 0 {
            return Ok(crate::crc64::crc64(polynomial, d.flags, &self.src1));
        }
        let device = self.queue.device();
        let generation = device.profile().generation();
        let mut engine = device.engine();
        let decompressor = &mut engine.decompressor;
        let crc = crate::crc64::inflated(
            generation,
            polynomial,
            d.flags,
            &self.src1,
            decompressor,
            product,
        );
        device.rest(engine);
        crc
    }

    /// Writes output and AECS; what the completion record will say.
    fn write_data(&self, end: &End, product: &Product) -> Completion {
        let d = &self.descriptor;
        let memory = self.queue.memory();
        let output = &product.output[..];
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
                // What counts is the output, and all of that was written.
                let done = output.len();
                return page_fault(d, Fault { done, ..fault }, true);
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
    fn finish(&mut self, completion: &Completion) {
        // First: a client that counts entries takes a completion for a free
        // one, and its memory for its own again.
        self.ticket = None;
        self.free_entry();
        self.has_ended = true;
        self.tell(Told::Completed(*completion));
        let device = self.queue.device();
        let d = &self.descriptor;
        let flags = d.op_flags();
        let success = completion.status() == Status::SUCCESS;
        if flags & op::CRAV == 0 {
            if !success {
                self.fail(SwError(completion.status().0), 0);
                return;
            }
        } else if !success || flags & op::RCR != 0 {
            let memory = self.queue.memory();
            // SAFETY: whoever submitted promised the record until now, and its
            // alignment was checked when the work was taken.
            let written = unsafe { memory.complete(d.completion, &completion.to_bytes()) };
            if let Err(fault) = written {
                self.fail(SwError::CR_FAULT, fault.address);
                return;
            }
        }
        device.count(|counters| &mut counters.completed);
    }

    /// Has SWERROR say what no record can.
    fn fail(&self, error: SwError, address: u64) {
        let (queue, opcode) = (self.queue.index(), self.descriptor.opcode());
        self.tell(Told::Untold(error));
        let device = self.queue.device();
        device.record_error(error, queue, opcode, address);
    }

    /// Tells whoever wants to know.
    fn tell(&self, end: Told) {
        if let Some(observer) = self.queue.device().observer() {
            observer.ended(self.queue.index(), &self.descriptor, end);
        }
    }
}

/// Work that has been executed and has not completed.
#[derive(Debug)]
pub struct Done {
    work: Work,
    computed: Computed,
    product: Product,
}

/// What executing came to.
#[derive(Debug, Clone, Copy)]
enum Computed {
    /// There is data to write.
    Data(End),
    /// There is nothing but a completion record to write.
    Record(Completion),
    /// There is nowhere to say how it ended.
    NoRecord(SwError),
}

impl Done {
    /// The work.
    #[must_use]
    pub fn work(&self) -> &Work {
        &self.work
    }

    /// Bytes that the engine worked on: of the input for Compress and CRC64,
    /// of the output for Decompress, none for a descriptor that was refused.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let refused = match self.computed {
            Computed::Data(_) => false,
            Computed::Record(completion) => completion.status() != Status::SUCCESS,
            Computed::NoRecord(_) => true,
        };
        if refused {
            return 0;
        }
        match self.work.descriptor.opcode() {
            // A suppressed output was worked for as well.
            Opcode::DECOMPRESS if !writes_dst(&self.work.descriptor) => self.work.src1.len(),
            Opcode::DECOMPRESS => self.product.output.len(),
            _ => self.work.src1.len(),
        }
    }

    /// Writes the results, the completion record last. If the device has been
    /// halted or reset, or the queue aborted, nothing is written.
    pub fn publish(mut self, ending: &Ending) {
        let queue = self.work.queue.clone();
        let device = queue.device();
        // Held until the record is written: who resets the device knows that
        // nothing is written afterwards.
        let gate = device.gate();
        if device.is_halted() || self.work.is_gone() {
            device.count(|counters| &mut counters.abandoned);
        } else if let Computed::NoRecord(error) = self.computed {
            self.work.has_ended = true;
            self.work.fail(error, self.work.descriptor.completion);
        } else {
            if let Some(ticket) = &self.work.ticket {
                ticket.inspect(&self.work.src1, &self.work.aecs);
            }
            let completion = self.completion(ending);
            self.work.finish(&completion);
        }
        drop(gate);
        device.keep(self.product);
    }

    /// Writes what the ending lets through, but for the record.
    fn completion(&mut self, ending: &Ending) -> Completion {
        let (work, product) = (&self.work, &mut self.product);
        if let Ending::Instead(completion) = ending {
            return *completion;
        }
        let mut end = match self.computed {
            Computed::Data(end) => end,
            Computed::Record(completion) => return completion,
            Computed::NoRecord(_) => unreachable!("there is a place for a record"),
        };
        if !writes_dst(&work.descriptor) {
            product.output.clear();
        }
        let output = &mut product.output;
        match *ending {
            Ending::Flipped(pick) => match data_bits(&work.descriptor, &end, output.len()) {
                0 => end.crc ^= 1 << (pick % 32),
                bits => output[(pick % bits / 8) as usize] ^= 1 << (pick % bits % 8),
            },
            Ending::WriteFault(pick) => return work.write_until_fault(pick, output),
            _ => {}
        }
        work.write_data(&end, product)
    }
}

impl Work {
    /// Writes the output up to one of its pages, which is said to fault.
    fn write_until_fault(&self, pick: u64, output: &[u8]) -> Completion {
        let d = &self.descriptor;
        let first = d.dst / PAGE;
        let last = (d.dst + (output.len() as u64).saturating_sub(1)) / PAGE;
        let address = (first + pick % (last - first + 1)) * PAGE;
        let done = address.saturating_sub(d.dst) as usize;
        // SAFETY: whoever submitted promised the destination until the work
        // completes, and this is a part of the output.
        let written = unsafe { self.queue.memory().write(d.dst, &output[..done]) };
        page_fault(d, written.err().unwrap_or(Fault { address, done }), true)
    }

    fn free_entry(&mut self) {
        if core::mem::take(&mut self.holds_entry) {
            self.queue.free_entry();
        }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if !self.has_ended {
            self.tell(Told::Abandoned);
        }
        self.free_entry();
    }
}

/// The bits of the output that mean something. With 16-bit words, whose last
/// ones do is left out.
fn data_bits(descriptor: &Descriptor, end: &End, output: usize) -> u64 {
    let words = descriptor.opcode() == Opcode::COMPRESS && descriptor.flags & compress::BE16 != 0;
    let bytes = output as u64;
    match end.output_bits {
        _ if words => 8 * bytes.saturating_sub(2),
        0 => 8 * bytes,
        bits => 8 * bytes.saturating_sub(1) + u64::from(bits),
    }
}

/// Sources are copied this much at a time: of one that is said to be huge, no
/// more is made room for than is there.
const COPY: usize = 1 << 20;

/// Copies `len` bytes to `to`, which is empty.
///
/// # Safety
/// They are valid, as the memory asks.
unsafe fn copy(memory: &dyn Memory, address: u64, len: u32, to: &mut Vec<u8>) -> Result<(), Fault> {
    let mut done = 0;
    while done < len as usize {
        let end = (done + COPY).min(len as usize);
        to.resize(end, 0);
        // SAFETY: a part of what the caller promises. It does not wrap, as the
        // last byte of the address space is never there.
        let read = unsafe { memory.read(address.wrapping_add(done as u64), &mut to[done..]) };
        read.map_err(|fault| Fault {
            done: done + fault.done,
            ..fault
        })?;
        done = end;
    }
    Ok(())
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
