//! Which descriptor and which AECS an operation on a page takes.
//!
//! A recipe is a descriptor with everything set but addresses and sizes. The
//! flags are those that Linux' `iaa_crypto` and QPL use.

use pagepress_abi::aecs::compress as aecs;
use pagepress_abi::flags::{compress, decompress, op};
use pagepress_abi::{Descriptor, GenCap, Opcode};

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

    /// A Drain, which completes after all that its queue has taken before.
    #[must_use]
    pub fn drain(self) -> Descriptor {
        Descriptor::new(Opcode::DRAIN, op::CRAV | op::RCR)
    }

    /// One-shot Compress with the tables and the header bits of an AECS.
    #[must_use]
    pub fn compress(self) -> Descriptor {
        let mut descriptor = Descriptor::new(Opcode::COMPRESS, self.op_flags | op::READ_SRC2_AECS);
        descriptor.flags = compress::FLUSH | compress::END_EOB;
        descriptor.src2_len = aecs::BYTES as u32;
        descriptor
    }

    /// A histogram of a page's tokens, for the tables of a second pass over
    /// the same page.
    #[must_use]
    pub fn statistics(self) -> Descriptor {
        let mut descriptor = Descriptor::new(Opcode::COMPRESS, self.op_flags);
        descriptor.flags = compress::STATISTICS;
        descriptor.dst_max = aecs::HISTOGRAM_BYTES as u32;
        descriptor
    }

    /// One-shot Compress with codes and a header that the device makes itself:
    /// generation 2, up to 4096 bytes.
    #[must_use]
    pub fn compress_with_header(self) -> Descriptor {
        let mut descriptor = Descriptor::new(Opcode::COMPRESS, self.op_flags);
        // One pass, header of a final block.
        descriptor.flags = 3 << compress::HEADER_GEN_SHIFT | compress::FLUSH | compress::END_EOB;
        descriptor
    }

    /// Reads the header of a dynamic block, of `header_bits` bits, and writes
    /// the AECS that a decoder has behind it to where source 2 is.
    #[must_use]
    pub fn load_tables(self, header_bits: usize, aecs_bytes: usize) -> Descriptor {
        let flags = self.op_flags | op::WRITE_SRC2_AECS | op::AECS_TOGGLE;
        let mut descriptor = Descriptor::new(Opcode::DECOMPRESS, flags);
        let unused = (8 * header_bits.div_ceil(8) - header_bits) as u16;
        descriptor.flags = decompress::ENABLE
            | decompress::SUPPRESS_OUTPUT
            | unused << decompress::IGNORE_END_BITS_SHIFT;
        descriptor.src1_len = header_bits.div_ceil(8) as u32;
        descriptor.src2_len = aecs_bytes as u32;
        descriptor
    }

    /// One-shot Decompress of a page without a header, with the tables of an
    /// AECS.
    #[must_use]
    pub fn decompress_canned(self, aecs_bytes: usize) -> Descriptor {
        let flags = self.op_flags | op::READ_SRC2_AECS;
        let mut descriptor = Descriptor::new(Opcode::DECOMPRESS, flags);
        descriptor.flags = decompress::ENABLE | decompress::FLUSH | decompress::STOP_ON_EOB;
        descriptor.src2_len = aecs_bytes as u32;
        descriptor
    }

    /// Decompress that writes nothing and computes the CRC of what it would
    /// have.
    #[must_use]
    pub fn verifying(mut descriptor: Descriptor) -> Descriptor {
        // A page whose end of block is damaged has the right checksum.
        descriptor.flags |= decompress::SUPPRESS_OUTPUT | decompress::CHECK_EOB;
        // Sizes of 0 on both sides are refused, and nothing is written to it.
        descriptor.dst_max = 1;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_bits_are_those_behind_the_header() {
        let load = |bits| Base::plain().load_tables(bits, 1248);
        let ignored = |bits| load(bits).flags >> decompress::IGNORE_END_BITS_SHIFT & 7;
        assert_eq!([ignored(469), ignored(472), ignored(473)], [3, 0, 7]);
        assert_eq!(
            [load(469), load(472), load(473)].map(|d| d.src1_len),
            [59, 59, 60]
        );
    }
}
