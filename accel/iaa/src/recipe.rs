//! Which descriptor and which AECS an operation on a page takes.
//!
//! A recipe is a descriptor with everything set but addresses and sizes. The
//! flags are those that Linux' `iaa_crypto` and QPL use.

use pagepress_abi::aecs::compress as aecs;
use pagepress_abi::flags::{compress, decompress, op};
use pagepress_abi::{Descriptor, GenCap, Opcode};
use pagepress_fallback::huffman;

/// What a device and its queue allow every descriptor to ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Base {
    op_flags: u32,
}

impl Base {
    /// With the hint to write results to the CPU's cache if the device takes
    /// it, and with waiting for pages if device and queue allow it.
    #[must_use]
    pub fn new(gen_cap: GenCap, block_on_fault: bool) -> Self {
        let mut op_flags = op::CRAV | op::RCR;
        if gen_cap.cache_control() {
            op_flags |= op::CACHE_CONTROL;
        }
        if block_on_fault && gen_cap.block_on_fault() {
            op_flags |= op::BLOCK_ON_FAULT;
        }
        Self { op_flags }
    }

    /// What every device and every queue takes.
    #[must_use]
    pub fn plain() -> Self {
        Self {
            op_flags: op::CRAV | op::RCR,
        }
    }

    /// A NOOP that tells of its completion.
    #[must_use]
    pub fn noop(self) -> Descriptor {
        // It may neither wait for pages nor ask for the cache.
        Descriptor::new(Opcode::NOOP, op::CRAV | op::RCR)
    }

    /// One-shot Compress with the tables and the header bits of an AECS.
    #[must_use]
    pub fn compress(self) -> Descriptor {
        let mut descriptor = Descriptor::new(Opcode::COMPRESS, self.op_flags | op::READ_SRC2_AECS);
        descriptor.flags = compress::FLUSH | compress::END_EOB;
        descriptor.src2_len = aecs::BYTES as u32;
        descriptor
    }

    /// One-shot Decompress of a raw deflate stream.
    #[must_use]
    pub fn decompress(self) -> Descriptor {
        let mut descriptor = Descriptor::new(Opcode::DECOMPRESS, self.op_flags);
        descriptor.flags = decompress::ENABLE
            | decompress::FLUSH
            | decompress::STOP_ON_EOB
            | decompress::CHECK_EOB
            | decompress::SELECT_BFINAL;
        descriptor
    }
}

/// Code lengths of deflate's fixed codes (RFC 1951, 3.2.6).
fn fixed_lengths() -> ([u8; huffman::SYMBOLS_MAX], [u8; huffman::DISTANCES]) {
    let mut literals = [8; huffman::SYMBOLS_MAX];
    literals[144..256].fill(9);
    literals[256..280].fill(7);
    (literals, [5; huffman::DISTANCES])
}

/// A Compress AECS for one final block with the fixed codes: the block's header
/// in the accumulator, the codes in the tables. It is only read, so any number
/// of descriptors may share it.
#[must_use]
pub fn fixed_aecs() -> [u8; aecs::BYTES] {
    let mut bytes = [0; aecs::BYTES];
    // BFINAL 1, BTYPE 01, lowest bit first.
    bytes[aecs::ACCUMULATOR_BITS] = 3;
    bytes[aecs::ACCUMULATOR] = 0b011;
    let (literals, distances) = fixed_lengths();
    put_codes(&mut bytes, aecs::LITERALS, &literals, huffman::LITERALS);
    put_codes(&mut bytes, aecs::DISTANCES, &distances, huffman::DISTANCES);
    bytes
}

/// Writes the canonical codes of these lengths, of the first `count` symbols.
fn put_codes(bytes: &mut [u8; aecs::BYTES], at: usize, lengths: &[u8], count: usize) {
    let mut codes = [0; huffman::SYMBOLS_MAX];
    huffman::canonical_codes(lengths, &mut codes[..lengths.len()]);
    for (i, (&code, &len)) in codes.iter().zip(lengths).take(count).enumerate() {
        let dword = aecs::code_dword(u32::from(code), u32::from(len));
        bytes[at + 4 * i..at + 4 * i + 4].copy_from_slice(&dword.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Table values of Linux' `iaa_crypto_comp_fixed.c`.
    #[test]
    fn fixed_codes_are_those_of_the_kernel() {
        let bytes = fixed_aecs();
        let dword = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let literal = |symbol: usize| dword(aecs::LITERALS + 4 * symbol);
        assert_eq!(literal(0), 0x40030);
        assert_eq!(literal(143), 0x400BF);
        assert_eq!(literal(144), 0x48190);
        assert_eq!(literal(255), 0x481FF);
        assert_eq!(literal(256), 0x38000);
        assert_eq!(literal(280), 0x400C0);
        assert_eq!(literal(285), 0x400C5);
        assert_eq!(dword(aecs::DISTANCES), 0x28000);
        assert_eq!(dword(aecs::DISTANCES + 4 * 29), 0x2801D);
        assert_eq!(dword(aecs::ACCUMULATOR_BITS), 3);
    }
}
