//! The Analytics Engine Configuration and State: what an operation reads from
//! and writes to source 2 besides data (IAA 6.3).

/// An AECS's address and size are multiples of this.
pub const ALIGN: usize = 32;

/// The history a device keeps, in bytes: no match reaches farther back.
pub const HISTORY: usize = 4096;

/// The AECS of Compress (IAA tables 6-20 and 6-21).
pub mod compress {
    /// Bytes of the AECS with its Huffman tables; the exact size if it is
    /// read and there is no dictionary.
    pub const BYTES: usize = 1568;
    /// Bytes written back if the tables are not.
    pub const STATE_BYTES: usize = 64;
    /// Bytes by the [load-dictionary](crate::flags::compress::LOAD_DICTIONARY)
    /// field.
    pub const BYTES_WITH_DICTIONARY: [usize; 4] = [BYTES, 7712, 9760, 13856];
    /// u32: CRC so far.
    pub const CRC: usize = 0x000;
    /// u16: XOR checksum so far.
    pub const XOR: usize = 0x004;
    /// u32: valid bits in the accumulator.
    pub const ACCUMULATOR_BITS: usize = 0x01C;
    /// The most bits an accumulator can bring.
    pub const ACCUMULATOR_BITS_MAX: u32 = 2048;
    /// 256 bytes: bits that go before the first token, LSB first.
    pub const ACCUMULATOR: usize = 0x020;
    /// 286 code dwords: literals, end of block, lengths.
    pub const LITERALS: usize = 0x120;
    /// 30 code dwords: distances.
    pub const DISTANCES: usize = 0x5A0;
    /// The dictionary and its hash table (generation 2).
    pub const DICTIONARY: usize = 0x620;

    /// Bytes of the histogram that statistics mode writes: the two tables with
    /// their padding, laid out as here from [`LITERALS`] on.
    pub const HISTOGRAM_BYTES: usize = 1280;
    /// Where the distances are in a histogram.
    pub const HISTOGRAM_DISTANCES: usize = DISTANCES - LITERALS;
    /// Counts of a histogram stop here: they have 19 bits.
    pub const HISTOGRAM_MAX: u32 = (1 << 19) - 1;

    /// A code dword: `code` is the canonical value, not reversed, `len` its
    /// length in bits, 0 for a symbol without a code.
    #[must_use]
    pub const fn code_dword(code: u32, len: u32) -> u32 {
        len << 15 | code
    }
}

/// The AECS of Decompress (IAA tables 6-14 to 6-19).
pub mod decompress {
    /// Bytes of all of it.
    pub const BYTES: usize = 5376;
    /// Bytes without the history, format 1 (generation 1).
    pub const BYTES_NO_HISTORY_1: usize = 1088;
    /// Bytes without the history, format 2 (generation 2).
    pub const BYTES_NO_HISTORY_2: usize = 1248;
    /// Where a partial AECS starts (generation 2).
    pub const PARTIAL_START: usize = 448;
    /// u32: CRC so far.
    pub const CRC: usize = 0x000;
    /// u16: XOR checksum so far.
    pub const XOR: usize = 0x004;
    /// 8 bytes: output not yet written.
    pub const OUTPUT_ACCUMULATOR: usize = 0x0A8;
    /// u32: valid bits there, a multiple of 8 up to 56; bit 0 says that the
    /// format number is valid.
    pub const OUTPUT_BITS: usize = 0x0B0;
    /// u32: input bits consumed, for indexing.
    pub const INDEX_BITS: usize = 0x0B4;
    /// 32 u64: input not yet consumed.
    pub const INPUT_ACCUMULATOR: usize = 0x0B8;
    /// 32 bytes: valid bits in each of those words.
    pub const INPUT_SIZES: usize = 0x1B8;
    /// u32: the code of the end-of-block symbol.
    pub const EOB: usize = 0x1D8;
    /// u8: leading bits to drop (generation 2).
    pub const DROP_BITS: usize = 0x1DC;
    /// u8: the format number in the low three bits: 0 is format 1.
    pub const FORMAT: usize = 0x1DD;
    /// u16: where in a stream the decoder is; see [`state`].
    pub const STATE: usize = 0x434;
    /// u16: bits from the last token to the end of the input accumulator.
    pub const STATE_BITS: usize = 0x436;
    /// u32: bytes left of a stored block.
    pub const STORED_LEFT: usize = 0x438;
    /// u16: next position in the history, bit 15 set once it has wrapped.
    pub const HISTORY_POINTER: usize = 0x4E4;
    /// 4096 bytes: the history.
    pub const HISTORY: usize = 0x4E8;

    /// Values of [`STATE`].
    pub mod state {
        /// Before a token of a block that is not final.
        pub const TOKEN: u16 = 0;
        /// Before a block's header (bit 0).
        pub const HEADER: u16 = 1;
        /// In a stored block (bit 1).
        pub const STORED: u16 = 2;
        /// In a final block (bit 2).
        pub const FINAL: u16 = 4;
        /// Ended by an end-of-block (bit 3).
        pub const ENDED: u16 = 8;
    }
}

#[cfg(test)]
mod tests {
    use super::{compress, decompress};

    #[test]
    fn parts_fill_the_whole() {
        assert_eq!(compress::LITERALS + 4 * 286 + 8, compress::DISTANCES);
        assert_eq!(compress::DISTANCES + 4 * 30 + 8, compress::BYTES);
        assert_eq!(compress::DICTIONARY, compress::BYTES);
        assert_eq!(
            compress::LITERALS + compress::HISTOGRAM_BYTES,
            compress::BYTES
        );
        assert_eq!(decompress::HISTORY + super::HISTORY + 24, decompress::BYTES);
    }
}
