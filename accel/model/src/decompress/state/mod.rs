//! What a decoder knows between two jobs, and the AECS that holds it (IAA
//! tables 6-14 to 6-19).
//!
//! | module | what |
//! |---|---|
//! | `image` | the bytes of an AECS, its formats, its defaults |
//! | `load` | from them: state, input, history |
//! | `store` | back to them |
//! | `tables` | the fields with the Huffman codes |
//! | `pack` | fields of any number of bits |
//!
//! Every field has the device's own form, tables included, so that an AECS
//! made elsewhere by the specification can be read. Three things that a
//! decoder must remember have no place there that is known. They are kept in
//! reserved bytes: a match that was cut off and two flags in the dword
//! [`PENDING`], the place in a mini-block in the dword [`OUTPUT_COUNT`]. Both
//! are 0 in an AECS that was made by software.

mod image;
mod load;
mod pack;
mod store;
mod tables;

pub(super) use image::{BYTES, Format, Image};
use pagepress_abi::aecs;

/// The most bits of input that an AECS can carry.
pub(super) const INPUT_BITS_MAX: usize = 2048;

/// Bits 8:0 the bytes of a match that are still to be written, 20:9 its
/// distance less one; 21 whether the XOR checksum lacks half a word; 22
/// whether the block has had output.
const PENDING: usize = 0x43C;
/// Bytes of output so far, modulo the largest mini-block.
const OUTPUT_COUNT: usize = 0x4D0;

/// Where in a stream the decoder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Before a block's header.
    Header,
    /// Before a token.
    Token,
    /// In a stored block, with that many bytes to come.
    Stored(u32),
    /// At the end-of-block that was to be the end.
    Ended,
}

/// The last end-of-block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum LastEnd {
    /// There was a token after it, or there was none.
    None,
    /// Of a block that is not the last one.
    Block,
    /// Of a final block.
    Final,
}

/// The rest of a match whose beginning has been written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Pending {
    /// Bytes still to be written, 0 if there is no such match.
    pub(super) len: usize,
    /// From how far back.
    pub(super) distance: usize,
}

/// What a decoder knows between two jobs, but for its tables, its history and
/// the input it was given.
#[derive(Debug, Clone, Copy)]
pub(super) struct State {
    /// CRC of the output.
    pub(super) crc: u32,
    /// XOR of the output.
    pub(super) xor: u16,
    /// Whether the output so far has an odd length.
    pub(super) odd: bool,
    /// Output that was not written, lowest byte first.
    pub(super) output: u64,
    /// How many bytes of it there are, up to 7.
    pub(super) output_len: usize,
    /// Input bits read so far.
    pub(super) input_bits: u32,
    /// Leading bits of the input to be dropped.
    pub(super) drop_bits: u8,
    /// Where in a stream.
    pub(super) place: Place,
    /// Whether the block is a final one.
    pub(super) is_final: bool,
    /// Whether the last token was an end-of-block.
    pub(super) last_end: LastEnd,
    /// A match that did not fit.
    pub(super) pending: Pending,
    /// Whether the block has had output.
    pub(super) has_output: bool,
    /// Bytes of output so far, modulo the largest mini-block.
    pub(super) output_count: u32,
    /// Next place in the history.
    pub(super) history_at: usize,
    /// Whether the history is full.
    pub(super) history_full: bool,
}

impl State {
    /// Before a stream's first header.
    pub(super) const FRESH: Self = Self {
        crc: 0,
        xor: 0,
        odd: false,
        output: 0,
        output_len: 0,
        input_bits: 0,
        drop_bits: 0,
        place: Place::Header,
        is_final: false,
        last_end: LastEnd::None,
        pending: Pending {
            len: 0,
            distance: 0,
        },
        has_output: false,
        output_count: 0,
        history_at: 0,
        history_full: false,
    };

    /// Bytes of history.
    pub(super) fn history_len(&self) -> usize {
        if self.history_full {
            aecs::HISTORY
        } else {
            self.history_at
        }
    }
}
