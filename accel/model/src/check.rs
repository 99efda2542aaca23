//! What a device checks before it touches any data (IAA 4.3 and chapter 6).
//!
//! The specification allows any order; this is the order in which the checks
//! stand here. The completion record's alignment comes before all of them,
//! because without it there is nowhere to report the others.

use crate::op::Generation;
use crate::profile::{Profile, QueueConfig};
use core::ops::Range;
use pagepress_abi::aecs::{self, compress as compress_aecs};
use pagepress_abi::flags::{compress, compress2, crc64, decompress, op};
use pagepress_abi::{Descriptor, IaaCap, Opcode, Status};

/// Why a descriptor was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// The status its completion record will have.
    pub status: Status,
    /// The offending flag bits, for the statuses about flags.
    pub invalid_flags: u32,
}

type Checked = Result<(), Refusal>;

fn refuse_if(wrong: bool, status: Status) -> Checked {
    if wrong {
        Err(Refusal {
            status,
            invalid_flags: 0,
        })
    } else {
        Ok(())
    }
}

fn no_flags(offending: u32, status: Status) -> Checked {
    if offending == 0 {
        Ok(())
    } else {
        Err(Refusal {
            status,
            invalid_flags: offending,
        })
    }
}

/// The bits that mark a data operation, as opposed to NOOP and Drain.
fn moves_data(opcode: Opcode) -> bool {
    opcode != Opcode::NOOP && opcode != Opcode::DRAIN
}

/// Checks everything but the data.
///
/// # Errors
/// The first thing wrong.
pub fn check(descriptor: &Descriptor, profile: &Profile, queue: &QueueConfig) -> Checked {
    let opcode = descriptor.opcode();
    let allowed = profile.op_cap.and(queue.op_config);
    refuse_if(!allowed.has(opcode), Status::BAD_OPCODE)?;
    op_flags(descriptor, profile, queue)?;
    match opcode {
        Opcode::COMPRESS => compress_flags(descriptor, profile)?,
        Opcode::DECOMPRESS => decompress_flags(descriptor, profile)?,
        Opcode::CRC64 => crc64_flags(descriptor, profile)?,
        _ => {}
    }
    reserved(descriptor)?;
    sizes(descriptor, profile, queue)?;
    let aecs_used = reads_aecs(descriptor) || writes_aecs(descriptor);
    let misaligned = descriptor.src2 % aecs::ALIGN as u64 != 0
        || descriptor.src2_len as usize % aecs::ALIGN != 0;
    refuse_if(aecs_used && misaligned, Status::BAD_ALIGNMENT)?;
    overlap(descriptor)?;
    let words = match opcode {
        Opcode::DECOMPRESS => descriptor.flags & decompress::BE16 != 0,
        Opcode::CRC64 => descriptor.flags & crc64::BE16 != 0,
        _ => false,
    };
    let odd_be16 = words && descriptor.src1_len % 2 != 0;
    refuse_if(odd_be16, Status::BAD_BE16_SIZE)
}

/// Whether source 2 is read as an AECS.
#[must_use]
pub fn reads_aecs(descriptor: &Descriptor) -> bool {
    descriptor.op_flags() & op::READ_SRC2 == op::READ_SRC2_AECS
}

/// Whether an AECS may be written to source 2.
#[must_use]
pub fn writes_aecs(descriptor: &Descriptor) -> bool {
    descriptor.op_flags() & op::WRITE_SRC2 != 0
}

/// The address of the AECS that is read, and of the one that is written.
#[must_use]
pub fn aecs_halves(descriptor: &Descriptor) -> (u64, u64) {
    let first = descriptor.src2;
    let second = first.wrapping_add(u64::from(descriptor.src2_len));
    if descriptor.op_flags() & op::AECS_TOGGLE == 0 {
        (first, second)
    } else {
        (second, first)
    }
}

/// Whether the destination is written at all: never under Suppress Output,
/// whatever address it has, unless that is where an index goes.
#[must_use]
pub fn writes_dst(descriptor: &Descriptor) -> bool {
    match descriptor.opcode() {
        Opcode::COMPRESS => true,
        Opcode::DECOMPRESS => {
            descriptor.flags & decompress::SUPPRESS_OUTPUT == 0
                || descriptor.flags & decompress::INDEXING != 0
        }
        _ => false,
    }
}

fn op_flags(descriptor: &Descriptor, profile: &Profile, queue: &QueueConfig) -> Checked {
    let flags = descriptor.op_flags();
    let opcode = descriptor.opcode();
    let data = moves_data(opcode);
    let two_sided = matches!(opcode, Opcode::COMPRESS | Opcode::DECOMPRESS);
    let mut reserved = op::RESERVED | op::INTERRUPT;
    let mut reserve_if = |when: bool, bits: u32| {
        if when {
            reserved |= bits;
        }
    };
    let may_block = profile.gen_cap.block_on_fault() && queue.block_on_fault;
    reserve_if(!data || !may_block, op::BLOCK_ON_FAULT);
    reserve_if(
        !two_sided || !profile.gen_cap.cache_control(),
        op::CACHE_CONTROL,
    );
    reserve_if(
        !two_sided || !profile.gen_cap.destination_readback(),
        op::READBACK,
    );
    reserve_if(
        !two_sided,
        op::STRICT_ORDER | op::READ_SRC2 | op::WRITE_SRC2,
    );
    let crc_select =
        two_sided || (opcode == Opcode::CRC64 && profile.generation().has(IaaCap::GEN2));
    reserve_if(!crc_select, op::CRC32C);
    reserve_if(
        !reads_aecs(descriptor) && !writes_aecs(descriptor),
        op::AECS_TOGGLE,
    );
    let mut wrong = flags & reserved;

    // Both must be 1 for data, and a record that is asked for needs a place.
    let missing = !flags & (op::CRAV | op::RCR);
    if data {
        wrong |= missing;
    } else if missing == op::CRAV {
        wrong |= op::RCR;
    }
    let read = flags & op::READ_SRC2;
    let write = flags & op::WRITE_SRC2;
    if read != 0 && read != op::READ_SRC2_AECS {
        wrong |= op::READ_SRC2;
    }
    if write == op::WRITE_SRC2 || (write == op::WRITE_SRC2_OVERFLOW && opcode != Opcode::DECOMPRESS)
    {
        wrong |= op::WRITE_SRC2;
    }
    if opcode == Opcode::COMPRESS {
        wrong |= compress_src2(descriptor);
    }
    if opcode == Opcode::DECOMPRESS && descriptor.flags & decompress::LOAD_PARTIAL != 0 {
        if read != op::READ_SRC2_AECS {
            wrong |= op::READ_SRC2;
        }
        wrong |= write;
    }
    no_flags(wrong, Status::BAD_OP_FLAGS)
}

/// When Compress must, may and must not use source 2 (IAA 3.10.2).
fn compress_src2(descriptor: &Descriptor) -> u32 {
    let flags = descriptor.op_flags();
    let reads = flags & op::READ_SRC2 != 0;
    let writes = flags & op::WRITE_SRC2 != 0;
    let dictionary = descriptor.flags & compress::LOAD_DICTIONARY != 0;
    let header_gen = (descriptor.flags & compress::HEADER_GEN) >> compress::HEADER_GEN_SHIFT;
    let (must_read, must_write, may_read, may_write) = match header_gen {
        0 if descriptor.flags & compress::STATISTICS != 0 => (dictionary, false, dictionary, false),
        1..=3 => (dictionary, false, true, true),
        5..=7 => (dictionary, true, true, true),
        _ => (true, false, true, true),
    };
    let mut wrong = 0;
    if (must_read && !reads) || (!may_read && reads) {
        wrong |= op::READ_SRC2;
    }
    if (must_write && !writes) || (!may_write && writes) {
        wrong |= op::WRITE_SRC2;
    }
    wrong
}

fn compress_flags(descriptor: &Descriptor, profile: &Profile) -> Checked {
    let flags = descriptor.flags;
    let generation = profile.generation();
    let mut wrong = flags & compress::RESERVED;
    if !profile.gen_cap.indexing() {
        wrong |= flags & compress::INDEXING;
    }
    if !generation.has(IaaCap::DICTIONARY) {
        wrong |= flags & compress::LOAD_DICTIONARY;
    }
    let header_gen = flags & compress::HEADER_GEN;
    // 0 is none; 4 would be two passes of nothing.
    if !generation.has(IaaCap::HEADER_GEN) || header_gen >> compress::HEADER_GEN_SHIFT == 4 {
        wrong |= header_gen;
    }
    if header_gen != 0 {
        wrong |= flags & compress::STATISTICS;
    }
    no_flags(u32::from(wrong), Status::BAD_FLAGS)?;

    let flags2 = descriptor.flags2;
    let mut wrong = match generation {
        Generation::One => flags2,
        Generation::Two(_) => flags2 & compress2::RESERVED,
    };
    if header_gen == 0 {
        wrong |= flags2 & (compress2::WRITE_TABLES | compress2::COMPLETE_TABLES);
    }
    if !generation.has(IaaCap::EARLY_ABORT) {
        wrong |= flags2 & (compress2::EARLY_ABORT | compress2::ABORT_CHECKPOINT);
    }
    // Two passes need the tables back, or the second has none.
    if header_gen >> compress::HEADER_GEN_SHIFT >= 5 && flags2 & compress2::WRITE_TABLES == 0 {
        wrong |= compress2::WRITE_TABLES;
    }
    no_flags(wrong, Status::BAD_FLAGS2)
}

fn decompress_flags(descriptor: &Descriptor, profile: &Profile) -> Checked {
    let flags = descriptor.flags;
    let generation = profile.generation();
    let mut wrong = flags & decompress::RESERVED;
    if flags & decompress::ENABLE == 0 {
        wrong |= decompress::ENABLE;
        wrong |= flags & !(decompress::FLUSH | decompress::SUPPRESS_OUTPUT);
    }
    let indexing = flags & decompress::INDEXING;
    if !profile.gen_cap.indexing() || flags & decompress::SUPPRESS_OUTPUT == 0 {
        wrong |= indexing;
    }
    if !generation.has(IaaCap::LOAD_PARTIAL) {
        wrong |= flags & decompress::LOAD_PARTIAL;
    }
    if !generation.has(IaaCap::GEN2) || flags & decompress::BE16 == 0 {
        wrong |= flags & decompress::IGNORE_END_BITS_8;
    }
    no_flags(u32::from(wrong), Status::BAD_FLAGS)
}

fn crc64_flags(descriptor: &Descriptor, profile: &Profile) -> Checked {
    let flags = descriptor.flags;
    let mut reserved = crc64::RESERVED;
    if !profile.generation().has(IaaCap::CRC64_CHAINING) || flags & crc64::ENABLE == 0 {
        reserved |= crc64::DECOMPRESS;
    }
    if flags & crc64::BE16 == 0 {
        reserved |= crc64::IGNORE_END_BITS_8;
    }
    no_flags(u32::from(flags & reserved), Status::BAD_FLAGS)
}

fn reserved(descriptor: &Descriptor) -> Checked {
    let d = descriptor;
    let src2 = d.src2 | u64::from(d.src2_len);
    let unused_src2 = !reads_aecs(d) && !writes_aecs(d);
    let wrong = match d.opcode() {
        // The polynomial fills bytes 56 to 63.
        Opcode::CRC64 => d.dst | src2 | u64::from(d.dst_max),
        Opcode::COMPRESS => u64::from(d.elements) | if unused_src2 { src2 } else { 0 },
        Opcode::DECOMPRESS => u64::from(d.elements | d.flags2) | if unused_src2 { src2 } else { 0 },
        _ => {
            d.src1
                | d.dst
                | src2
                | u64::from(d.src1_len | d.dst_max | d.flags2 | d.elements)
                | u64::from(d.flags)
        }
    };
    // The handle is reserved because the interrupt flag always is.
    refuse_if(wrong != 0 || d.interrupt_handle != 0, Status::BAD_RESERVED)
}

fn sizes(descriptor: &Descriptor, profile: &Profile, queue: &QueueConfig) -> Checked {
    let d = descriptor;
    if !moves_data(d.opcode()) {
        return Ok(());
    }
    let most = queue.max_transfer.min(profile.gen_cap.max_transfer());
    let too_long = [d.src1_len, d.dst_max, d.src2_len]
        .iter()
        .any(|&len| u64::from(len) > most);
    // Generation 2 counts source 2 in the rule against doing nothing.
    let counted = match profile.generation() {
        Generation::One => 0,
        Generation::Two(_) => d.src2_len,
    };
    let nothing = d.src1_len == 0 && d.dst_max == 0 && counted == 0;
    let aecs = d.src2_len as usize;
    let bad_aecs = (reads_aecs(d) || writes_aecs(d))
        && (aecs == 0
            || aecs > 1 << 16
            || (d.opcode() == Opcode::COMPRESS
                && reads_aecs(d)
                && aecs != compress_aecs_bytes(d.flags)));
    let no_input = d.opcode() == Opcode::CRC64 && d.src1_len == 0;
    refuse_if(
        too_long || nothing || bad_aecs || no_input,
        Status::BAD_SIZE,
    )
}

/// The exact size of a Compress AECS that is read.
fn compress_aecs_bytes(flags: u16) -> usize {
    let dictionary = (flags & compress::LOAD_DICTIONARY) >> compress::LOAD_DICTIONARY_SHIFT;
    compress_aecs::BYTES_WITH_DICTIONARY[usize::from(dictionary)]
}

/// No two of the regions that are used may share a byte.
fn overlap(descriptor: &Descriptor) -> Checked {
    let d = descriptor;
    let region = |used: bool, start: u64, len: u32| {
        let len = if used { u128::from(len) } else { 0 };
        u128::from(start)..u128::from(start) + len
    };
    let (read, written) = aecs_halves(d);
    let data = moves_data(d.opcode());
    let regions = [
        region(data, d.src1, d.src1_len),
        region(writes_dst(d), d.dst, d.dst_max),
        region(reads_aecs(d), read, d.src2_len),
        region(writes_aecs(d), written, d.src2_len),
    ];
    let meet = |a: &Range<u128>, b: &Range<u128>| a.start.max(b.start) < a.end.min(b.end);
    let overlapping =
        (1..regions.len()).any(|i| regions[..i].iter().any(|other| meet(other, &regions[i])));
    refuse_if(overlapping, Status::OVERLAP)
}
