//! Flag bits of a descriptor: operation flags (bytes 4 to 6), operation-specific
//! flags (bytes 38 and 39), and compression-2 flags (bytes 56 to 59).

/// Operation flags, bits 23:0 of the dword at 4 (IAA table 6-3; `idxd.h`
/// `IDXD_OP_FLAG_*`).
pub mod op {
    /// Wait for a page fault to be resolved instead of reporting it. Reserved
    /// unless the queue allows it.
    pub const BLOCK_ON_FAULT: u32 = 1 << 1;
    /// The completion record address is valid. Must be 1 except for NOOP,
    /// Drain and Translation Fetch.
    pub const CRAV: u32 = 1 << 2;
    /// Write a completion record even on success. Must be 1 except for NOOP,
    /// Drain and Translation Fetch.
    pub const RCR: u32 = 1 << 3;
    /// Interrupt on completion.
    pub const INTERRUPT: u32 = 1 << 4;
    /// Hint: write the destination to the CPU's cache.
    pub const CACHE_CONTROL: u32 = 1 << 8;
    /// Traffic class B for source 1.
    pub const TC_SRC1: u32 = 1 << 9;
    /// Traffic class B for the destination.
    pub const TC_DST: u32 = 1 << 10;
    /// Traffic class B for source 2.
    pub const TC_SRC2: u32 = 1 << 11;
    /// Traffic class B for the completion record.
    pub const TC_CR: u32 = 1 << 12;
    /// Order all writes strictly.
    pub const STRICT_ORDER: u32 = 1 << 13;
    /// Read the destination back before completing.
    pub const READBACK: u32 = 1 << 14;
    /// Field: what source 2 is read as.
    pub const READ_SRC2: u32 = 3 << 16;
    /// Source 2 is read as an AECS.
    pub const READ_SRC2_AECS: u32 = 1 << 16;
    /// Source 2 is read as the second input of a filter.
    pub const READ_SRC2_FILTER: u32 = 2 << 16;
    /// Field: whether an AECS is written to source 2.
    pub const WRITE_SRC2: u32 = 3 << 18;
    /// An AECS is written at completion.
    pub const WRITE_SRC2_AECS: u32 = 1 << 18;
    /// An AECS is written only if the output overflows (Decompress only).
    pub const WRITE_SRC2_OVERFLOW: u32 = 2 << 18;
    /// CRC-32C (RFC 3720) instead of the CRC-32 of gzip.
    pub const CRC32C: u32 = 1 << 21;
    /// With A and S the address and size of source 2: 0 reads the AECS at A
    /// and writes it at A + S, 1 the other way round.
    pub const AECS_TOGGLE: u32 = 1 << 22;
    /// Bits that are reserved on every generation.
    pub const RESERVED: u32 = 1 << 0 | 7 << 5 | 1 << 15 | 1 << 20 | 1 << 23;
}

/// Decompression flags at 38 (IAA table 6-8).
pub mod decompress {
    /// Inflate. Must be 1 for Decompress.
    pub const ENABLE: u16 = 1 << 0;
    /// Write out the last partial output word.
    pub const FLUSH: u16 = 1 << 1;
    /// Stop at an end-of-block token.
    pub const STOP_ON_EOB: u16 = 1 << 2;
    /// The last token must be an end-of-block.
    pub const CHECK_EOB: u16 = 1 << 3;
    /// Only the end of a final block counts as one.
    pub const SELECT_BFINAL: u16 = 1 << 4;
    /// The bit stream is big-endian in 16-bit words.
    pub const BE16: u16 = 1 << 5;
    /// Field: bits of the last byte to leave out.
    pub const IGNORE_END_BITS: u16 = 7 << 6;
    /// Shift of [`IGNORE_END_BITS`].
    pub const IGNORE_END_BITS_SHIFT: u32 = 6;
    /// Write no output; the checksums are computed all the same.
    pub const SUPPRESS_OUTPUT: u16 = 1 << 9;
    /// Field: size of a mini-block, from 512 bytes (1) to 32 KiB (7).
    pub const INDEXING: u16 = 7 << 10;
    /// Shift of [`INDEXING`].
    pub const INDEXING_SHIFT: u32 = 10;
    /// Generation 2: source 2 holds an AECS from offset 448 on.
    pub const LOAD_PARTIAL: u16 = 1 << 13;
    /// Generation 2, BE16 only: a fourth bit for [`IGNORE_END_BITS`].
    pub const IGNORE_END_BITS_8: u16 = 1 << 14;
    /// Bits that are reserved on every generation.
    pub const RESERVED: u16 = 1 << 15;
}

/// Compression flags at 38 (IAA table 6-11).
pub mod compress {
    /// Write a histogram of the tokens instead of the tokens.
    pub const STATISTICS: u16 = 1 << 0;
    /// Pad and write out the last partial output word.
    pub const FLUSH: u16 = 1 << 1;
    /// Field: what follows the last token.
    pub const END_PROCESSING: u16 = 3 << 2;
    /// An end-of-block follows.
    pub const END_EOB: u16 = 1 << 2;
    /// An end-of-block and an empty stored block follow.
    pub const END_EOB_STORED: u16 = 2 << 2;
    /// An end-of-block and an empty final stored block follow.
    pub const END_EOB_BFINAL: u16 = 3 << 2;
    /// Find no matches.
    pub const ALL_LITERALS: u16 = 1 << 4;
    /// Write the bit stream big-endian in 16-bit words.
    pub const BE16: u16 = 1 << 5;
    /// Field: size of a mini-block, from 512 bytes (1) to 32 KiB (7).
    pub const INDEXING: u16 = 7 << 6;
    /// Shift of [`INDEXING`].
    pub const INDEXING_SHIFT: u32 = 6;
    /// Generation 2, field: size of the dictionary behind the AECS.
    pub const LOAD_DICTIONARY: u16 = 3 << 10;
    /// Shift of [`LOAD_DICTIONARY`].
    pub const LOAD_DICTIONARY_SHIFT: u32 = 10;
    /// Generation 2, field: the device makes codes and a header itself.
    pub const HEADER_GEN: u16 = 7 << 12;
    /// Shift of [`HEADER_GEN`].
    pub const HEADER_GEN_SHIFT: u32 = 12;
    /// Bits that are reserved on every generation.
    pub const RESERVED: u16 = 1 << 9 | 1 << 15;
}

/// Compression-2 flags at 56 (IAA table 6-12, generation 2).
pub mod compress2 {
    /// Give every symbol a code.
    pub const COMPLETE_TABLES: u32 = 1 << 0;
    /// Write the Huffman tables with the AECS.
    pub const WRITE_TABLES: u32 = 1 << 1;
    /// Field: give up when fewer than n/8 of the bytes were saved.
    pub const EARLY_ABORT: u32 = 7 << 2;
    /// Shift of [`EARLY_ABORT`].
    pub const EARLY_ABORT_SHIFT: u32 = 2;
    /// Field: where to check for that, from 512 (0) to 4096 (3) input bytes.
    pub const ABORT_CHECKPOINT: u32 = 3 << 5;
    /// Shift of [`ABORT_CHECKPOINT`].
    pub const ABORT_CHECKPOINT_SHIFT: u32 = 5;
    /// Bits that are reserved on every generation.
    pub const RESERVED: u32 = !0 << 7;
}

/// CRC64 flags at 38 (IAA table 6-13).
pub mod crc64 {
    /// Invert the CRC at both ends.
    pub const INVERT: u16 = 1 << 14;
    /// Take each byte's bits from the other end.
    pub const BE_BIT_ORDER: u16 = 1 << 15;
    /// Inflate the input first: generation 2, if it can chain.
    pub const ENABLE: u16 = 1 << 0;
    /// Take the input in 16-bit big-endian words, as Decompress does.
    pub const BE16: u16 = 1 << 5;
    /// The fourth bit of the number of end bits to ignore.
    pub const IGNORE_END_BITS_8: u16 = 1 << 9;
    /// All bits that say how the input is inflated: but for the one above,
    /// those of Decompress.
    pub const DECOMPRESS: u16 = 0x3FD;
    /// Bits that are reserved on every generation.
    pub const RESERVED: u16 = 0xF << 10 | 1 << 1;
}
