//! Descriptors on their way from any bytes to sound ones. Each function mends
//! one thing, so that a fuzzer can have the others wrong.

use pagepress_abi::aecs::{compress as compress_aecs, decompress as decompress_aecs};
use pagepress_abi::flags::{compress, compress2, decompress, op};
use pagepress_abi::{Descriptor, Opcode};

/// Bits that say to which traffic class memory belongs: all operations have
/// them.
const TRAFFIC: u32 = op::TC_SRC1 | op::TC_DST | op::TC_SRC2 | op::TC_CR;

/// An operation that the device has, most often one that moves data.
pub(crate) fn opcode(d: &mut Descriptor) {
    const SOUND: [Opcode; 8] = [
        Opcode::COMPRESS,
        Opcode::DECOMPRESS,
        Opcode::COMPRESS,
        Opcode::DECOMPRESS,
        Opcode::COMPRESS,
        Opcode::DECOMPRESS,
        Opcode::CRC64,
        Opcode::DRAIN,
    ];
    let opcode = SOUND[usize::from(d.opcode().0) % SOUND.len()];
    d.opcode_flags = u32::from(opcode.0) << 24 | d.op_flags();
}

/// Operation flags that the operation can have.
pub(crate) fn op_flags(d: &mut Descriptor) {
    let mut flags = d.op_flags() | op::CRAV | op::RCR;
    match d.opcode() {
        Opcode::COMPRESS => {
            flags &= !(op::RESERVED | op::INTERRUPT | op::READ_SRC2 | op::WRITE_SRC2_OVERFLOW);
            flags |= op::READ_SRC2_AECS;
            let header = (d.flags & compress::HEADER_GEN) >> compress::HEADER_GEN_SHIFT;
            let plain = d.flags & compress::LOAD_DICTIONARY == 0;
            if header == 0 && d.flags & compress::STATISTICS != 0 {
                flags &= !op::WRITE_SRC2;
            }
            if plain && (header != 0 || d.flags & compress::STATISTICS != 0) {
                flags &= !op::READ_SRC2_AECS;
            }
            if header >= 5 {
                flags |= op::WRITE_SRC2_AECS;
            }
        }
        Opcode::DECOMPRESS => {
            flags &= !(op::RESERVED | op::INTERRUPT | op::READ_SRC2_FILTER);
            if flags & op::WRITE_SRC2 == op::WRITE_SRC2 {
                flags &= !op::WRITE_SRC2_OVERFLOW;
            }
            if d.flags & decompress::LOAD_PARTIAL != 0 {
                flags = flags & !op::WRITE_SRC2 | op::READ_SRC2_AECS;
            }
        }
        _ => flags &= op::CRAV | op::RCR | TRAFFIC,
    }
    if flags & (op::READ_SRC2 | op::WRITE_SRC2) == 0 {
        flags &= !op::AECS_TOGGLE;
    }
    d.opcode_flags = u32::from(d.opcode().0) << 24 | flags;
}

/// Flags of the operation itself, on a device of this generation.
pub(crate) fn flags(second: bool, d: &mut Descriptor) {
    match d.opcode() {
        Opcode::COMPRESS => {
            d.flags &= !compress::RESERVED;
            if !second {
                d.flags &= !(compress::HEADER_GEN | compress::LOAD_DICTIONARY);
            }
            if d.flags & compress::HEADER_GEN != 0 {
                d.flags &= !compress::STATISTICS;
            }
            if d.flags & compress::HEADER_GEN == 4 << compress::HEADER_GEN_SHIFT {
                d.flags &= !compress::HEADER_GEN;
            }
        }
        Opcode::DECOMPRESS => {
            d.flags = d.flags & !decompress::RESERVED | decompress::ENABLE;
            if !second {
                d.flags &= !(decompress::LOAD_PARTIAL | decompress::IGNORE_END_BITS_8);
            }
            if d.flags & decompress::SUPPRESS_OUTPUT == 0 {
                d.flags &= !decompress::INDEXING;
            }
            if d.flags & decompress::BE16 == 0 {
                d.flags &= !decompress::IGNORE_END_BITS_8;
            }
        }
        Opcode::CRC64 => d.flags &= 3 << 14,
        _ => d.flags = 0,
    }
}

/// What must be 0, on a device of this generation.
pub(crate) fn reserved(second: bool, d: &mut Descriptor) {
    d.interrupt_handle = 0;
    let header = d.flags & compress::HEADER_GEN;
    match d.opcode() {
        Opcode::COMPRESS => {
            d.elements = 0;
            d.flags2 &= if second { !compress2::RESERVED } else { 0 };
            if header == 0 {
                d.flags2 &= !3;
            } else if header >> compress::HEADER_GEN_SHIFT >= 5 {
                d.flags2 |= compress2::WRITE_TABLES;
            }
        }
        Opcode::DECOMPRESS => {
            (d.elements, d.flags2) = (0, 0);
        }
        Opcode::CRC64 => (d.dst, d.dst_max) = (0, 0),
        _ => {
            (d.src1, d.src1_len, d.dst, d.dst_max) = (0, 0, 0, 0);
            (d.flags, d.flags2, d.elements) = (0, 0, 0);
        }
    }
    if d.op_flags() & (op::READ_SRC2 | op::WRITE_SRC2) == 0 {
        (d.src2, d.src2_len) = (0, 0);
    }
}

/// A size of the AECS that suits the operation.
pub(crate) fn aecs_bytes(d: &Descriptor) -> usize {
    let dictionary = (d.flags & compress::LOAD_DICTIONARY) >> compress::LOAD_DICTIONARY_SHIFT;
    match d.opcode() {
        Opcode::COMPRESS => compress_aecs::BYTES_WITH_DICTIONARY[usize::from(dictionary)],
        _ => {
            let start = if d.flags & decompress::LOAD_PARTIAL == 0 {
                0
            } else {
                decompress_aecs::PARTIAL_START
            };
            let whole = [
                decompress_aecs::BYTES_NO_HISTORY_1,
                decompress_aecs::BYTES_NO_HISTORY_2,
                decompress_aecs::BYTES,
                decompress_aecs::BYTES,
            ];
            whole[d.src2_len as usize % whole.len()] - start
        }
    }
}
