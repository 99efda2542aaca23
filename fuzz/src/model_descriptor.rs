//! Any descriptors on the device's model.
//!
//! An input is memory and up to eight descriptors that work on it, one after
//! the other: what one writes, AECSs among it, the next may read. Addresses
//! lie in an arena, at its edges, in its gaps, or nowhere.
//! Whatever the descriptors are,
//!
//! - each completes exactly once: in its record, or, if that cannot be, in
//!   SWERROR;
//! - the record is one that the specification allows for it;
//! - nothing but the record, the output and the AECS half that is written
//!   changes, and without a completion nothing at all;
//! - a descriptor that was run was fit to be run;
//! - checksums are those of the data; a stream that was compressed with sound
//!   codes is inflated by zlib-rs to the data;
//! - on another device, which has done nothing before, it comes to the same
//!   (one input in four).

#![expect(unsafe_code, reason = "descriptors name memory by address")]

use crate::arena::Arena;
use crate::door::{self, QUEUES};
use crate::input::Input;
use crate::library::{self, Item};
use crate::mend;
use crate::pages::Noise;
use crate::reference::{self, Opinion};
use pagepress_abi::aecs::{compress as compress_aecs, decompress as decompress_aecs};
use pagepress_abi::flags::{compress, compress2, decompress, op};
use pagepress_abi::{Completion, Descriptor, Opcode, Status, SwError};
use pagepress_model::device::Device;
use pagepress_model::memory::Checked;
use std::ops::Range;
use std::sync::{LazyLock, Mutex};

/// Regions of the arena, by their numbers in an address of an input: the
/// number times 65536, plus an offset.
pub mod region {
    /// 16 KiB for data.
    pub const DATA: u64 = 0;
    /// 16 KiB for AECSs.
    pub const AECS: u64 = 1;
    /// 4 KiB for completion records.
    pub const RECORDS: u64 = 2;
    /// The [library](crate::library), read-only.
    pub const LIBRARY: u64 = 3;
}

/// Their pages, and whether they can be written.
const REGIONS: [(usize, bool); 4] = [(4, true), (4, true), (1, true), (8, false)];

/// Descriptors of an input, at most.
const DESCRIPTORS: usize = 8;

/// Bytes at the end of each region that are not registered.
const KEPT_BACK: usize = 40;

/// How an input begins: bits of its first byte.
pub mod setup {
    /// On generation 2.
    pub const SECOND: u8 = 1;
    /// Memory reached through the kernel, not registered memory.
    pub const CHECKED: u8 = 2;
    /// Shift of the queue's number, 0 to 2.
    pub const QUEUE: u8 = 2;
    /// By `write(2)`.
    pub const WRITE: u8 = 1 << 4;
    /// Again on a new device, if both bits are set.
    pub const AGAIN: u8 = 3 << 5;
}

struct Bench {
    arena: Arena,
    /// By generation, then by memory.
    devices: [[Device; 2]; 2],
    before: Vec<u8>,
    after: Vec<u8>,
}

/// What holds for all descriptors of an input.
#[derive(Clone, Copy)]
struct Setup {
    second: bool,
    checked: bool,
    queue: usize,
    by_write: bool,
    again: bool,
}

impl Setup {
    fn read(byte: u8) -> Self {
        Self {
            second: byte & setup::SECOND != 0,
            checked: byte & setup::CHECKED != 0,
            queue: usize::from(byte >> setup::QUEUE & 3) % QUEUES.len(),
            by_write: byte & setup::WRITE != 0,
            again: byte & setup::AGAIN == setup::AGAIN,
        }
    }

    fn kept_back(self) -> usize {
        if self.checked { 0 } else { KEPT_BACK }
    }
}

static BENCH: LazyLock<Mutex<Bench>> = LazyLock::new(|| Mutex::new(Bench::new()));

/// Has a device do what `data` describes.
///
/// # Panics
/// If anything is not as the module says.
pub fn check(data: &[u8]) {
    let mut bench = BENCH.lock().expect("a failed check ends the process");
    bench.check(data);
}

/// An input for [`check`]: things of the library put into the arena, at a
/// region and an offset, and descriptors with addresses that are a region's
/// number times 65536, plus an offset.
#[must_use]
pub fn input(setup: u8, things: &[(u64, u16, Item)], descriptors: &[Descriptor]) -> Vec<u8> {
    let mut bytes = vec![setup, things.len() as u8];
    for &(region, offset, item) in things {
        let place = (region as u16) << 14 | offset;
        bytes.extend([1]);
        bytes.extend(place.to_le_bytes());
        bytes.push(item as u8);
    }
    for descriptor in descriptors {
        bytes.extend([0, 0]);
        bytes.extend(descriptor.to_bytes());
    }
    bytes
}

impl Bench {
    fn new() -> Self {
        let arena = Arena::new(&REGIONS, |_, room| library::fill(room));
        let both = |second| {
            let checked = Checked::new().expect("the kernel copies memory");
            [
                door::device(second, arena.register(KEPT_BACK)),
                door::device(second, checked),
            ]
        };
        Self {
            devices: [both(false), both(true)],
            arena,
            before: Vec::new(),
            after: Vec::new(),
        }
    }

    fn check(&mut self, data: &[u8]) {
        let mut input = Input(data);
        let setup = Setup::read(input.byte());
        self.fill(&mut input);
        for _ in 0..DESCRIPTORS {
            if input.0.is_empty() {
                break;
            }
            let descriptor = self.descriptor(setup, &mut input);
            self.run(setup, &descriptor);
        }
    }

    /// Fills the arena: with a pattern, then as the input says.
    fn fill(&mut self, input: &mut Input<'_>) {
        static PATTERN: LazyLock<Vec<u8>> =
            LazyLock::new(|| (0..16384_u32).map(|i| ((i * 167) >> 3) as u8 | 1).collect());
        for region in self.arena.regions() {
            if region.writable {
                self.arena.put(region.start, &PATTERN[..region.len]);
            }
        }
        for _ in 0..input.index(16) {
            let kind = input.byte();
            let place = input.u16();
            let region = self.arena.regions()[usize::from(place >> 14) % 3];
            let offset = usize::from(place & 0x3FFF) % region.len;
            let room = region.len - offset;
            let noise;
            let filling;
            let bytes = match kind % 4 {
                0 => {
                    let len = usize::from(input.u16());
                    input.take(len)
                }
                1 => {
                    let item = library::ITEMS[input.index(library::ITEMS.len())];
                    library::bytes(item)
                }
                2 => {
                    let byte = input.byte();
                    filling = vec![byte; usize::from(input.u16() % 0x1000)];
                    &filling[..]
                }
                _ => {
                    let mut generator = Noise::new(u64::from(input.byte()));
                    let mut bytes = vec![0; usize::from(input.u16() % 0x1000)];
                    generator.fill(&mut bytes);
                    noise = bytes;
                    &noise[..]
                }
            };
            let bytes = &bytes[..bytes.len().min(room)];
            self.arena.put(region.start + offset as u64, bytes);
        }
    }

    /// The next descriptor: bytes as they are, but for addresses, and what 16
    /// bits before them say is to be mended. With none of them set, only
    /// addresses are translated.
    fn descriptor(&self, setup: Setup, input: &mut Input<'_>) -> Descriptor {
        let wish = input.u16();
        let bit = |n: u32| wish >> n & 1 != 0;
        let mut bytes = [0; 64];
        let raw = input.take(64);
        bytes[..raw.len()].copy_from_slice(raw);
        let mut d = Descriptor::from_bytes(&bytes);
        if bit(8) {
            mend::opcode(&mut d);
        }
        if bit(13) {
            mend::flags(setup.second, &mut d);
        }
        if bit(9) {
            mend::op_flags(&mut d);
        }
        if bit(10) {
            d.src1_len %= 16385;
            d.dst_max %= 16385;
        }
        if bit(11) {
            d.src2_len = mend::aecs_bytes(&d) as u32;
        }
        if bit(12) {
            mend::reserved(setup.second, &mut d);
        }
        let mode = |shift: u32| wish >> shift & 3;
        d.src1 = self.address(setup, d.src1, d.src1_len, mode(0));
        d.dst = self.address(setup, d.dst, d.dst_max, mode(2));
        d.src2 = self.address(setup, d.src2, d.src2_len.saturating_mul(2), mode(4));
        d.completion = match mode(6) {
            0 => self.address(setup, d.completion, 64, 0) & !63,
            1 => self.address(setup, d.completion, 64, 0),
            2 => self.arena.regions()[2].start + d.completion % 64 * 64,
            _ => self.address(setup, d.completion, 64, 3),
        };
        d
    }

    /// The address that an input means, unless it is 0: by mode 0 in a region
    /// or a little beyond it; 1 so that the bytes lie in it; 2 the last bytes
    /// of it; 3 somewhere else.
    fn address(&self, setup: Setup, raw: u64, len: u32, mode: u16) -> u64 {
        let region = self.arena.regions()[(raw >> 16) as usize % 4];
        let offset = raw & 0xFFFF;
        let len = len as usize;
        match mode {
            _ if raw == 0 => 0,
            0 => region.start + offset % (region.len as u64 + 64),
            1 => {
                let last = region.len.saturating_sub(len) as u64;
                region.start + (offset % region.len as u64).min(last)
            }
            2 => region.end_for(len + if setup.checked { 0 } else { KEPT_BACK }),
            // Registered memory is safe from any address. The kernel would
            // find what this process has mapped, the sanitizer's shadow for
            // one: there, only what nobody can map.
            _ if !setup.checked => raw,
            _ => match raw >> 62 {
                0 => raw % 0x1_0000,
                1 => u64::MAX - raw % 0x1_0000,
                _ => (raw | 1 << 63) & !(1 << 62),
            },
        }
    }

    fn run(&mut self, setup: Setup, d: &Descriptor) {
        let device = self.devices[usize::from(setup.second)][usize::from(setup.checked)].clone();
        // Blank, so that whatever is there afterwards was written.
        if self.arena.reaches(d.completion, 64, true, 0) {
            self.arena.put(d.completion, &[0; 64]);
        }
        self.arena.snapshot(&mut self.before);
        let record = self.submit(&device, setup, d);
        if !setup.again || record.is_none_or(|record| !door::was_run(record.status())) {
            return;
        }
        self.arena.restore(&self.before);
        let other = if setup.checked {
            let checked = Checked::new().expect("the kernel copies memory");
            door::device(setup.second, checked)
        } else {
            door::device(setup.second, self.arena.register(KEPT_BACK))
        };
        let first = self.after.clone();
        let again = self.submit(&other, setup, d);
        assert_eq!(again, record, "a new device comes to something else: {d:?}");
        assert!(first == self.after, "a new device writes other data: {d:?}");
    }

    /// Submits, and checks what comes of it; the completion record if one was
    /// written.
    fn submit(&mut self, device: &Device, setup: Setup, d: &Descriptor) -> Option<Completion> {
        let counters = device.counters();
        device.clear_software_error();
        let bytes = d.to_bytes();
        // SAFETY: the device's memory checks addresses: it is `Regions`, or
        // `Checked` with addresses that are of the arena or of nothing.
        let taken = unsafe { door::submit(device, setup.queue, setup.by_write, &bytes) };
        self.arena.snapshot(&mut self.after);
        let completed = door::completed(counters, device.counters(), taken);

        let misaligned = !d.completion.is_multiple_of(64);
        if !taken {
            assert!(setup.by_write && misaligned, "refused at the door: {d:?}");
            self.assert_only(&[], d);
            return None;
        }
        let wants_record = d.op_flags() & op::CRAV != 0;
        let error = device.software_error();
        assert_eq!(error.is_none(), completed);
        if let Some(error) = error {
            assert_eq!((error.opcode, error.overflow), (d.opcode(), false));
            let expected = match error.error {
                SwError::CR_MISALIGNED => {
                    wants_record && misaligned && error.address == d.completion
                }
                SwError::CR_FAULT => {
                    let there = self.reaches(setup, d.completion, 64, true);
                    wants_record && !misaligned && !there
                }
                // A refusal that has no record to say so.
                error => {
                    !wants_record && matches!(error.0, 0x10..=0x13 | 0x16 | 0x1C | 0x30..=0x32)
                }
            };
            assert!(expected, "{error:?} for {d:?}");
            // If the record alone was missing, data may have been written.
            let data = match error.error {
                SwError::CR_FAULT => self.writable(d, None),
                _ => Vec::new(),
            };
            self.assert_only(&data, d);
            return None;
        }
        let silent = d.op_flags() & op::RCR == 0;
        if silent || !wants_record {
            let record = self.arena.seen(&self.after, d.completion, 64);
            // What cannot be written holds what it held.
            let untouched = !self.reaches(setup, d.completion, 64, true);
            if !wants_record || untouched || record.is_none_or(|record| record[0] == 0) {
                assert!(matches!(d.opcode(), Opcode::NOOP | Opcode::DRAIN), "{d:?}");
                assert_fit(d, setup);
                self.assert_only(&[], d);
                return None;
            }
        }
        assert!(self.reaches(setup, d.completion, 64, true), "{d:?}");
        let bytes = self.arena.seen(&self.after, d.completion, 64);
        let bytes = bytes.expect("the record lies in a region");
        let record = door::check_record(d, bytes.first_chunk().expect("64 bytes"));
        self.assert_only(&self.writable(d, Some(&record)), d);
        // Registered regions need not end with a page.
        if setup.checked && record.fault_addr != 0 {
            let write = record.status & Status::WRITE_FAULT != 0;
            let there = self.arena.reaches(record.fault_addr, 1, write, 0);
            assert!(!there, "no fault there: {record:?}; {d:?}");
        }
        if door::was_run(record.status()) {
            self.was_fit(setup, d);
            if record.status() == Status::SUCCESS && d.opcode() == Opcode::COMPRESS {
                self.check_compressed(d, &record);
            }
            if d.opcode() == Opcode::DECOMPRESS {
                self.check_decompressed(d, &record);
            }
            if d.opcode() == Opcode::CRC64 {
                self.check_crc64(d, &record);
            }
        }
        Some(record)
    }

    fn reaches(&self, setup: Setup, address: u64, len: u64, write: bool) -> bool {
        self.arena.reaches(address, len, write, setup.kept_back())
    }

    /// What may have been written for a descriptor with this record, or with
    /// one that could not be written.
    fn writable(&self, d: &Descriptor, record: Option<&Completion>) -> Vec<(u64, u64)> {
        let mut places = Vec::new();
        if record.is_some() {
            places.push((d.completion, 64));
        }
        let output = match d.opcode() {
            Opcode::COMPRESS => true,
            Opcode::DECOMPRESS => {
                d.flags & decompress::SUPPRESS_OUTPUT == 0 || d.flags & decompress::INDEXING != 0
            }
            _ => return places,
        };
        // By the first byte of the record; a write that faulted may have been
        // of anything.
        let status = record.map_or(0x83, |record| record.status);
        let output_most = match status {
            0x01 | 0x0A | 0x0B => record.map_or(0, |record| record.output_size),
            0x83 | 0x84 => record.map_or(d.dst_max, |record| record.bytes_completed),
            _ => 0,
        };
        if output {
            places.push((d.dst, u64::from(output_most)));
        } else {
            assert_eq!(record.map_or(0, |record| record.output_size), 0);
        }
        let written = match (d.op_flags() & op::WRITE_SRC2, status) {
            (op::WRITE_SRC2_AECS, 0x01 | 0x0B | 0x83 | 0x84) => true,
            (op::WRITE_SRC2_OVERFLOW, 0x0B | 0x83 | 0x84) => d.opcode() == Opcode::DECOMPRESS,
            _ => false,
        };
        if written {
            let most = match d.opcode() {
                Opcode::DECOMPRESS => decompress_aecs::BYTES,
                _ if d.flags2 & compress2::WRITE_TABLES != 0 => compress_aecs::BYTES,
                _ => compress_aecs::STATE_BYTES,
            };
            places.push((door::aecs_halves(d).1, (most as u64).min(d.src2_len.into())));
        }
        places
    }

    /// Asserts that nothing but these places has changed.
    fn assert_only(&self, places: &[(u64, u64)], d: &Descriptor) {
        let mut allowed: Vec<Range<usize>> = places
            .iter()
            .flat_map(|&(address, len)| self.arena.in_snapshot(address, len))
            .collect();
        allowed.sort_by_key(|range| range.start);
        let end = self.before.len();
        let mut from = 0;
        for range in allowed.into_iter().chain(std::iter::once(end..end)) {
            let part = from..range.start.max(from);
            let same = self.before[part.clone()] == self.after[part.clone()];
            assert!(same, "bytes in {part:?} of the arena changed: {d:?}");
            from = from.max(range.end);
        }
    }

    /// Asserts that a descriptor which was run should have been.
    fn was_fit(&self, setup: Setup, d: &Descriptor) {
        assert_fit(d, setup);
        let src1 = (d.src1, u64::from(d.src1_len));
        assert!(
            src1.1 == 0 || self.reaches(setup, src1.0, src1.1, false),
            "{d:?}"
        );
        let size = u64::from(d.src2_len);
        let (read, written) = door::aecs_halves(d);
        let reads = d.op_flags() & op::READ_SRC2 != 0;
        let writes = d.op_flags() & op::WRITE_SRC2 != 0;
        assert!(!reads || self.reaches(setup, read, size, false), "{d:?}");
        if reads || writes {
            let aligned = d.src2.is_multiple_of(32)
                && size.is_multiple_of(32)
                && (32..=65536).contains(&size);
            assert!(aligned, "an AECS out of place: {d:?}");
        }
        let output = d.opcode() == Opcode::COMPRESS
            || d.opcode() == Opcode::DECOMPRESS && d.flags & decompress::SUPPRESS_OUTPUT == 0;
        let used = [
            (true, src1),
            (output, (d.dst, u64::from(d.dst_max))),
            (reads, (read, size)),
            (writes, (written, size)),
        ];
        for (i, &(_, a)) in used.iter().enumerate().filter(|(_, (used, _))| *used) {
            for &(_, b) in used[..i].iter().filter(|(used, _)| *used) {
                let apart = a.1 == 0
                    || b.1 == 0
                    || a.0 >= b.0.saturating_add(b.1)
                    || b.0 >= a.0.saturating_add(a.1);
                assert!(apart, "overlapping buffers: {d:?}");
            }
        }
    }

    /// Checksums, and the stream if it must be one.
    fn check_compressed(&self, d: &Descriptor, record: &Completion) {
        let Some(data) = self.arena.seen(&self.before, d.src1, d.src1_len.into()) else {
            return assert_eq!(d.src1_len, 0);
        };
        let read = door::aecs_halves(d).0;
        let aecs = if d.op_flags() & op::READ_SRC2 == 0 {
            None
        } else {
            self.arena.seen(&self.before, read, d.src2_len.into())
        };
        let seed = |at: usize, len: usize| {
            let seed = aecs.map_or(&[][..], |aecs| &aecs[at..at + len]);
            seed.iter().rev().fold(0, |sum, &b| sum << 8 | u32::from(b))
        };
        let xor = door::xor(seed(compress_aecs::XOR, 2) as u16, data);
        assert_eq!(record.xor, xor, "{d:?}");
        if d.op_flags() & op::CRC32C == 0 {
            let crc = zlib_rs::crc32::crc32(seed(compress_aecs::CRC, 4), data);
            assert_eq!(record.crc, crc, "{d:?}");
        }

        let made = (d.dst, u64::from(record.output_size));
        let Some(stream) = self.arena.seen(&self.after, made.0, made.1) else {
            return assert_eq!(made.1, 0);
        };
        let record_apart =
            made.0 >= d.completion + 64 || d.completion >= made.0.saturating_add(made.1);
        let whole = compress::STATISTICS | compress::FLUSH | compress::BE16;
        let whole = d.flags & whole == compress::FLUSH && d.flags & compress::END_PROCESSING != 0;
        let header = (d.flags & compress::HEADER_GEN) >> compress::HEADER_GEN_SHIFT;
        let sound = match (header, aecs) {
            // Codes and the header of a final block.
            (0, Some(aecs)) => aecs.starts_with(library::bytes(Item::FixedAecs)),
            (3, None) => true,
            _ => false,
        };
        if record_apart && whole && sound && d.flags & compress::LOAD_DICTIONARY == 0 {
            reference::inflate(stream, data.len(), |opinion, inflated| {
                let ended = matches!(opinion, Opinion::Page | Opinion::NotOnePage(_));
                assert!(ended && inflated == data, "zlib-rs: {opinion:?}; {d:?}");
            });
        }
    }

    /// A plain CRC of few bytes: one bit after the other, highest first.
    fn check_crc64(&self, d: &Descriptor, record: &Completion) {
        let data = self.arena.seen(&self.before, d.src1, d.src1_len.into());
        let data = data.expect("a source that was read");
        if d.flags != 0 || data.len() > 512 {
            return;
        }
        let polynomial = u64::from(d.elements) << 32 | u64::from(d.flags2);
        let crc = data.iter().fold(0, |crc, &byte| {
            (0..8).fold(crc ^ u64::from(byte) << 56, |crc: u64, _| {
                (crc << 1) ^ ((crc >> 63) * polynomial)
            })
        });
        assert_eq!(record.crc64, crc, "{d:?}");
    }

    /// Checksums of output that is all there.
    fn check_decompressed(&self, d: &Descriptor, record: &Completion) {
        let hidden = d.flags & decompress::SUPPRESS_OUTPUT != 0;
        let unflushed = d.flags & decompress::FLUSH == 0;
        let resumed = d.op_flags() & op::READ_SRC2 != 0;
        if record.status() != Status::SUCCESS || hidden || unflushed || resumed {
            return;
        }
        let made = (d.dst, u64::from(record.output_size));
        let apart = made.0 >= d.completion + 64 || d.completion >= made.0.saturating_add(made.1);
        let output = self.arena.seen(&self.after, made.0, made.1);
        if let (true, Some(output)) = (apart, output) {
            assert_eq!(record.xor, door::xor(0, output), "{d:?}");
            if d.op_flags() & op::CRC32C == 0 {
                assert_eq!(record.crc, zlib_rs::crc32::crc32(0, output), "{d:?}");
            }
        }
    }
}

/// Asserts what the fields of a descriptor must keep to that was run.
fn assert_fit(d: &Descriptor, setup: Setup) {
    const RESERVED: u32 = 0x90_80F1;
    let flags = d.op_flags();
    let opcode = d.opcode();
    assert_eq!(flags & RESERVED, 0, "{d:?}");
    assert_eq!(d.interrupt_handle, 0, "{d:?}");
    let queue = &QUEUES[setup.queue];
    assert!(
        flags & op::BLOCK_ON_FAULT == 0 || queue.block_on_fault,
        "{d:?}"
    );
    let lens = [d.src1_len, d.dst_max, d.src2_len].map(u64::from);
    assert!(lens.iter().all(|&len| len <= queue.max_transfer), "{d:?}");
    let recorded = flags & (op::CRAV | op::RCR) == op::CRAV | op::RCR;
    match opcode {
        Opcode::NOOP | Opcode::DRAIN => {
            assert_eq!(lens, [0; 3], "{d:?}");
            assert_eq!(flags & !(op::CRAV | op::RCR | 0x1E00), 0, "{d:?}");
        }
        Opcode::CRC64 => assert!(recorded && d.dst == 0 && d.src1_len != 0, "{d:?}"),
        Opcode::COMPRESS => {
            assert!(recorded && d.elements == 0, "{d:?}");
            assert!(
                setup.second || (d.flags & 0x7C00, d.flags2) == (0, 0),
                "{d:?}"
            );
        }
        Opcode::DECOMPRESS => {
            assert!(recorded && (d.elements, d.flags2) == (0, 0), "{d:?}");
            assert_eq!(
                d.flags & (decompress::ENABLE | decompress::RESERVED),
                1,
                "{d:?}"
            );
            assert!(setup.second || d.flags & 0x6000 == 0, "{d:?}");
        }
        _ => panic!("an operation that the device does not have: {d:?}"),
    }
}
