//! A client of the model: memory for one operation, and sound descriptors to
//! spoil.

#![expect(unsafe_code, reason = "descriptors name memory of the test")]

use pagepress_abi::aecs::compress as aecs;
use pagepress_abi::flags::{compress, decompress, op};
use pagepress_abi::{Completion, CompletionRecord, Descriptor, Opcode, Portal, Submission};
use pagepress_model::device::Device;
use pagepress_model::profile::QueueConfig;
use pagepress_model::work::Work;
use std::sync::atomic::{AtomicU8, Ordering};

/// A shared queue of this many entries.
pub(crate) fn shared(size: u16) -> QueueConfig {
    QueueConfig::shared(size)
}

/// One cache line, to align by.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line(#[expect(dead_code, reason = "read by address")] [u8; 64]);

/// Aligned bytes that a device may write: used by address alone.
pub(crate) struct Region {
    lines: *mut [Line],
}

impl Region {
    pub(crate) fn new(len: usize) -> Self {
        let lines = vec![Line([0; 64]); len.div_ceil(64)].into_boxed_slice();
        Self {
            lines: Box::into_raw(lines),
        }
    }

    pub(crate) fn address(&self) -> u64 {
        self.lines.cast::<u8>().expose_provenance() as u64
    }

    pub(crate) fn put(&self, at: usize, bytes: &[u8]) {
        assert!(at + bytes.len() <= 64 * self.lines.len());
        let to = self.lines.cast::<u8>().wrapping_add(at);
        // SAFETY: inside the region, as asserted; no reference to it exists.
        unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
    }

    pub(crate) fn get(&self, at: usize, len: usize) -> Vec<u8> {
        assert!(at + len <= 64 * self.lines.len());
        let mut bytes = vec![0; len];
        let from = self.lines.cast::<u8>().wrapping_add(at);
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

/// The address of two pages that nothing can touch; the page before them is
/// there. They stay mapped, so that no other thread is given their place.
pub(crate) fn unmapped_page() -> u64 {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a fresh mapping that is nobody else's.
    let base = unsafe { libc::mmap(core::ptr::null_mut(), 3 * 4096, access, flags, -1, 0) };
    assert_ne!(base, libc::MAP_FAILED);
    let gone = base.wrapping_byte_add(4096);
    // SAFETY: two pages of that mapping, which nothing has used.
    let protected = unsafe { libc::mprotect(gone, 2 * 4096, libc::PROT_NONE) };
    assert_eq!(protected, 0);
    gone.addr() as u64
}

/// What a client's memory holds, but for the record.
#[derive(PartialEq, Eq)]
pub(crate) struct Memory {
    pub(crate) src1: Vec<u8>,
    pub(crate) dst: Vec<u8>,
    /// Both halves.
    pub(crate) aecs: Vec<u8>,
}

/// A client with a queue and memory for one operation at a time.
pub(crate) struct Client {
    device: Device,
    src1: Region,
    dst: Region,
    aecs: Region,
    record: Region,
}

impl Client {
    pub(crate) fn new(device: Device) -> Self {
        let client = Self {
            device,
            src1: Region::new(8192),
            dst: Region::new(8192),
            aecs: Region::new(2 * 5376),
            record: Region::new(128),
        };
        client.aecs.put(0, &fixed_aecs());
        client
    }

    /// The data of sound descriptors.
    pub(crate) fn text(&self) -> Vec<u8> {
        let text = include_bytes!("client.rs").iter().copied();
        text.cycle().take(4096).collect()
    }

    /// A descriptor with which nothing is wrong; source 1 is filled to suit.
    pub(crate) fn sound(&mut self, opcode: Opcode) -> Descriptor {
        let text = self.text();
        let mut d = Descriptor::new(opcode, op::CRAV | op::RCR);
        d.completion = self.record.address();
        let data = |d: &mut Descriptor, source: &[u8]| {
            self.src1.put(0, source);
            (d.src1, d.src1_len) = (self.src1.address(), source.len() as u32);
        };
        match opcode {
            Opcode::COMPRESS => {
                data(&mut d, &text);
                d.opcode_flags |= op::READ_SRC2_AECS;
                d.flags = compress::FLUSH | compress::END_EOB;
                (d.src2, d.src2_len) = (self.aecs.address(), aecs::BYTES as u32);
                (d.dst, d.dst_max) = (self.dst.address(), 4096);
            }
            Opcode::DECOMPRESS => {
                data(&mut d, &miniz_oxide::deflate::compress_to_vec(&text, 6));
                d.flags = decompress::ENABLE
                    | decompress::FLUSH
                    | decompress::STOP_ON_EOB
                    | decompress::CHECK_EOB
                    | decompress::SELECT_BFINAL;
                (d.dst, d.dst_max) = (self.dst.address(), 4096);
            }
            Opcode::CRC64 => data(&mut d, &text),
            _ => {}
        }
        d
    }

    /// Makes these bytes source 1.
    pub(crate) fn put_source(&mut self, d: &mut Descriptor, bytes: &[u8]) {
        self.src1.put(0, bytes);
        (d.src1, d.src1_len) = (self.src1.address(), bytes.len() as u32);
    }

    /// Makes these bytes source 2, the half at its address.
    pub(crate) fn put_aecs(&mut self, d: &mut Descriptor, bytes: &[u8]) {
        self.aecs.put(0, bytes);
        (d.src2, d.src2_len) = (self.aecs.address(), bytes.len() as u32);
    }

    /// Changes some of the AECS.
    pub(crate) fn put_in_aecs(&self, at: usize, bytes: &[u8]) {
        self.aecs.put(at, bytes);
    }

    /// Has queue 0 take a descriptor without executing it.
    pub(crate) fn hold(&self, descriptor: &Descriptor) -> Work {
        self.record.put(0, &[0; CompletionRecord::BYTES]);
        // SAFETY: the descriptor names this client's regions, which live on
        // until the test has completed the work.
        let taken = unsafe { self.device.queue(0).accept(&descriptor.to_bytes()) };
        taken.expect("room in the queue")
    }

    /// Submits to queue 0; what the completion record says, if it was written.
    pub(crate) fn submit(&mut self, descriptor: &Descriptor) -> Option<Completion> {
        self.submit_unseen(descriptor);
        let completion = Completion::from_bytes(&self.record_bytes());
        (completion.status != 0).then_some(completion)
    }

    pub(crate) fn submit_unseen(&mut self, descriptor: &Descriptor) {
        self.clear_record();
        // SAFETY: the descriptor names this client's regions, which live on,
        // and the model is done when this returns. Cases that name other
        // memory are refused first, or run on memory that is checked.
        let submission = unsafe { self.device.queue(0).submit(&descriptor.to_bytes()) };
        assert_eq!(submission, Submission::Accepted);
    }

    pub(crate) fn clear_record(&self) {
        self.record.put(0, &[0; CompletionRecord::BYTES]);
    }

    /// The status byte, which a device may be about to write.
    pub(crate) fn poll(&self) -> u8 {
        let status = self.record.lines.cast::<u8>();
        // SAFETY: the region lives as long as the client, and what a device
        // writes to this byte it writes atomically.
        unsafe { AtomicU8::from_ptr(status) }.load(Ordering::Acquire)
    }

    pub(crate) fn record_bytes(&self) -> [u8; 64] {
        *self.record.get(0, 64).first_chunk().expect("64 bytes")
    }

    pub(crate) fn memory(&self) -> Memory {
        Memory {
            src1: self.source(),
            dst: self.destination(8192),
            aecs: self.aecs.get(0, 2 * 5376),
        }
    }

    pub(crate) fn source(&self) -> Vec<u8> {
        self.src1.get(0, 8192)
    }

    pub(crate) fn destination(&self, len: usize) -> Vec<u8> {
        self.dst.get(0, len)
    }
}

/// A Compress AECS with the header and the codes of a final fixed block (RFC
/// 1951, 3.2.6).
pub(crate) fn fixed_aecs() -> Vec<u8> {
    let mut bytes = vec![0; aecs::BYTES];
    bytes[aecs::ACCUMULATOR_BITS] = 3;
    bytes[aecs::ACCUMULATOR] = 0b011;
    for symbol in 0..286u32 {
        let (code, len) = match symbol {
            0..144 => (0x30 + symbol, 8),
            144..256 => (0x190 + symbol - 144, 9),
            256..280 => (symbol - 256, 7),
            _ => (0xC0 + symbol - 280, 8),
        };
        let at = aecs::LITERALS + 4 * symbol as usize;
        bytes[at..at + 4].copy_from_slice(&aecs::code_dword(code, len).to_le_bytes());
    }
    for symbol in 0..30u32 {
        let at = aecs::DISTANCES + 4 * symbol as usize;
        bytes[at..at + 4].copy_from_slice(&aecs::code_dword(symbol, 5).to_le_bytes());
    }
    bytes
}
