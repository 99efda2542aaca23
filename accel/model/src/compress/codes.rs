//! Huffman codes, made ready for writing: bits in the order of the stream,
//! with their lengths, and for match lengths with the extra bits.

use super::bits::Bits;
use super::matcher::Sink;
use super::symbols::{
    DISTANCES, END_OF_BLOCK, FIRST_LENGTH, LENGTH_BASE, LENGTH_EXTRA, LENGTH_MAX, LENGTH_MIN,
    LENGTH_SYMBOL, LITERALS, distance_base, distance_extra, distance_symbol,
};
use pagepress_abi::aecs::compress as layout;
use pagepress_fallback::huffman;

/// A code: its bits in 23:0, how many in 29:24, and bit 31 if there is none.
type Code = u32;

const NO_CODE: Code = 1 << 31;

const fn code(bits: u32, count: u32) -> Code {
    bits | count << 24
}

const fn bits_of(code: Code) -> u64 {
    (code & 0xFF_FFFF) as u64
}

const fn count_of(code: Code) -> u32 {
    code >> 24 & 0x3F
}

/// The codes of all symbols.
pub(super) struct Codes {
    /// Literals and end of block.
    literals: [Code; END_OF_BLOCK + 1],
    /// By match length, extra bits included.
    lengths: [Code; LENGTH_MAX + 1],
    /// By distance symbol, without extra bits.
    distances: [Code; DISTANCES],
    /// The tables of the AECS that these are, so that the same ones again cost
    /// a comparison only.
    made_from: [u8; layout::HISTOGRAM_BYTES],
}

impl Codes {
    pub(super) fn new() -> Self {
        Self {
            literals: [NO_CODE; END_OF_BLOCK + 1],
            lengths: [NO_CODE; LENGTH_MAX + 1],
            distances: [NO_CODE; DISTANCES],
            made_from: [0; layout::HISTOGRAM_BYTES],
        }
    }

    /// The tables in the form of the AECS.
    pub(super) fn tables(&self) -> &[u8] {
        &self.made_from
    }

    /// Takes the codes from the tables of an AECS; false if one is impossible.
    ///
    /// Bits 31:19 of the dwords are reserved, but Intel's QPL leaves the
    /// number of extra bits there in its static tables: nothing looks at them.
    #[must_use]
    pub(super) fn load(&mut self, tables: &[u8]) -> bool {
        if tables == self.made_from {
            return true;
        }
        let Ok(tables) = <&[u8; layout::HISTOGRAM_BYTES]>::try_from(tables) else {
            return false;
        };
        let dword = |at: usize| {
            let bytes = [tables[at], tables[at + 1], tables[at + 2], tables[at + 3]];
            u32::from_le_bytes(bytes)
        };
        let entry = |at: usize| (dword(at) & 0x7FFF, (dword(at) >> 15 & 15) as u8);
        let literals: [_; LITERALS] = core::array::from_fn(|i| entry(4 * i));
        let distances: [_; DISTANCES] =
            core::array::from_fn(|i| entry(layout::HISTOGRAM_DISTANCES + 4 * i));
        let mut entries = literals.iter().chain(&distances);
        if entries.any(|&(value, len)| len != 0 && value >> len != 0) {
            return false;
        }
        self.set(
            |i| (literals[i].0 as u16, literals[i].1),
            |i| (distances[i].0 as u16, distances[i].1),
        );
        self.made_from = *tables;
        true
    }

    /// Takes canonical codes with these lengths.
    pub(super) fn assign(&mut self, literals: &[u8; LITERALS], distances: &[u8; DISTANCES]) {
        let (mut literal_codes, mut distance_codes) = ([0; LITERALS], [0; DISTANCES]);
        huffman::canonical_codes(literals, &mut literal_codes);
        huffman::canonical_codes(distances, &mut distance_codes);
        self.set(
            |i| (literal_codes[i], literals[i]),
            |i| (distance_codes[i], distances[i]),
        );
        self.made_from.fill(0);
        let mut put = |at: usize, value: u16, len: u8| {
            let dword = layout::code_dword(u32::from(value), u32::from(len));
            self.made_from[at..at + 4].copy_from_slice(&dword.to_le_bytes());
        };
        for (i, (&value, &len)) in literal_codes.iter().zip(literals).enumerate() {
            put(4 * i, value, len);
        }
        for (i, (&value, &len)) in distance_codes.iter().zip(distances).enumerate() {
            put(layout::HISTOGRAM_DISTANCES + 4 * i, value, len);
        }
    }

    /// Both functions give a symbol's canonical value and length.
    fn set(&mut self, literal: impl Fn(usize) -> (u16, u8), distance: impl Fn(usize) -> (u16, u8)) {
        let ready = |(value, len): (u16, u8)| match len {
            0 => NO_CODE,
            _ => code(u32::from(huffman::reversed(value, len)), u32::from(len)),
        };
        for (i, entry) in self.literals.iter_mut().enumerate() {
            *entry = ready(literal(i));
        }
        let mut of_symbol = [0; LENGTH_BASE.len()];
        for (i, entry) in of_symbol.iter_mut().enumerate() {
            *entry = ready(literal(FIRST_LENGTH + i));
        }
        for (len, entry) in self.lengths.iter_mut().enumerate().skip(LENGTH_MIN) {
            let symbol = usize::from(LENGTH_SYMBOL[len]);
            let extra = len as u32 - u32::from(LENGTH_BASE[symbol]);
            let bare = of_symbol[symbol];
            *entry = if bare == NO_CODE {
                NO_CODE
            } else {
                let count = count_of(bare);
                let extra_bits = u32::from(LENGTH_EXTRA[symbol]);
                code(bits_of(bare) as u32 | extra << count, count + extra_bits)
            };
        }
        for (i, entry) in self.distances.iter_mut().enumerate() {
            *entry = ready(distance(i));
        }
    }
}

/// Writes tokens with codes.
pub(super) struct Writer<'a> {
    codes: &'a Codes,
    bits: &'a mut Bits,
    /// All codes that were used, for [`NO_CODE`].
    used: Code,
}

impl<'a> Writer<'a> {
    pub(super) fn new(codes: &'a Codes, bits: &'a mut Bits) -> Self {
        Self {
            codes,
            bits,
            used: 0,
        }
    }

    #[inline]
    fn put(&mut self, code: Code) {
        self.used |= code;
        self.bits.put(bits_of(code), count_of(code));
    }

    pub(super) fn end_of_block(&mut self) {
        self.put(self.codes.literals[END_OF_BLOCK]);
        self.bits.settle();
    }

    /// What was written.
    pub(super) fn bits(&self) -> &Bits {
        self.bits
    }

    /// Whether every token had a code.
    #[must_use]
    pub(super) fn is_sound(&self) -> bool {
        self.used & NO_CODE == 0
    }
}

impl Sink for Writer<'_> {
    #[inline]
    fn literal(&mut self, byte: u8) {
        self.put(self.codes.literals[usize::from(byte)]);
        self.bits.settle();
    }

    #[inline]
    fn repeat(&mut self, length: u16, distance: u16) {
        let symbol = distance_symbol(distance);
        let extra = u64::from(u32::from(distance) - distance_base(symbol));
        let length = self.codes.lengths[usize::from(length)];
        let distance = self.codes.distances[symbol];
        self.used |= length | distance;
        // Joined first: 20 bits and 28 at most.
        let extra_at = count_of(distance);
        let distance_at = count_of(length);
        let joined = bits_of(length) | (bits_of(distance) | extra << extra_at) << distance_at;
        let count = distance_at + extra_at + distance_extra(symbol);
        self.bits.put(joined, count);
        self.bits.settle();
    }
}

impl core::fmt::Debug for Codes {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Codes").finish_non_exhaustive()
    }
}
