//! Huffman codes, made ready for writing: bits in the order of the stream,
//! with their lengths, and for match lengths with the extra bits.

use super::bits::{Bits, Pending};
use super::matcher::Sink;
use super::symbols::{
    DISTANCES, END_OF_BLOCK, FIRST_LENGTH, LENGTH_BASE, LENGTH_EXTRA, LITERALS, distance_extra,
};
use super::tokens::{INDEXES, NO_DISTANCE, Token, index_of};
use pagepress_abi::aecs::compress as layout;
use pagepress_fallback::huffman;

/// A code: its bits in 22:0, in 27:23 how many there are, extra bits included,
/// and bit 31 if there is none. The extra bits of a distance are not in it: its
/// own bits are 14:0, and how many of them there are is in 22:19.
type Code = u32;

const NO_CODE: Code = 1 << 31;

const fn code(bits: u32, count: u32) -> Code {
    bits | count << 23
}

const fn count_of(code: Code) -> u32 {
    code >> 23 & 0x1F
}

/// The codes of all tokens.
pub(super) struct Codes {
    /// By token index, extra bits of lengths included.
    symbols: [Code; INDEXES],
    end_of_block: Code,
    /// By distance symbol; what stands for none has no bits.
    distances: [Code; 32],
    /// The tables of the AECS that these are, so that the same ones again cost
    /// a comparison only.
    made_from: [u8; layout::HISTOGRAM_BYTES],
}

impl Codes {
    pub(super) fn new() -> Self {
        let mut distances = [NO_CODE; 32];
        distances[NO_DISTANCE] = 0;
        Self {
            symbols: [NO_CODE; INDEXES],
            end_of_block: NO_CODE,
            distances,
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
        let mut too_long = 0;
        let mut entry = |at: usize| {
            let bytes = [tables[at], tables[at + 1], tables[at + 2], tables[at + 3]];
            let dword = u32::from_le_bytes(bytes);
            let (value, len) = (dword & 0x7FFF, dword >> 15 & 15);
            too_long |= if len == 0 { 0 } else { value >> len };
            ready(value, len)
        };
        let literals = core::array::from_fn(|i| entry(4 * i));
        let distances = core::array::from_fn(|i| entry(layout::HISTOGRAM_DISTANCES + 4 * i));
        if too_long != 0 {
            return false;
        }
        self.set(&literals, &distances);
        self.made_from = *tables;
        true
    }

    /// Takes canonical codes with these lengths.
    pub(super) fn assign(&mut self, literals: &[u8; LITERALS], distances: &[u8; DISTANCES]) {
        let (mut literal_codes, mut distance_codes) = ([0; LITERALS], [0; DISTANCES]);
        huffman::canonical_codes(literals, &mut literal_codes);
        huffman::canonical_codes(distances, &mut distance_codes);
        let ready = |code: u16, len: u8| ready(u32::from(code), u32::from(len));
        self.set(
            &core::array::from_fn(|i| ready(literal_codes[i], literals[i])),
            &core::array::from_fn(|i| ready(distance_codes[i], distances[i])),
        );
        self.made_from.fill(0);
        let (to_literals, to_distances) = self.made_from.split_at_mut(layout::HISTOGRAM_DISTANCES);
        put_dwords(to_literals, &literal_codes, literals);
        put_dwords(to_distances, &distance_codes, distances);
    }

    /// Both have a symbol's bare code.
    fn set(&mut self, literals: &[Code; LITERALS], distances: &[Code; DISTANCES]) {
        self.symbols[..END_OF_BLOCK].copy_from_slice(&literals[..END_OF_BLOCK]);
        self.end_of_block = literals[END_OF_BLOCK];
        let lengths = &literals[FIRST_LENGTH..];
        for ((&bare, &base), &extra_bits) in lengths.iter().zip(&LENGTH_BASE).zip(&LENGTH_EXTRA) {
            let (first, step) = match bare {
                NO_CODE => (NO_CODE, 0),
                _ => (bare + code(0, u32::from(extra_bits)), 1 << count_of(bare)),
            };
            // The longest has a symbol of its own, which comes last and takes
            // it back.
            let entries = &mut self.symbols[index_of(usize::from(base))..][..1 << extra_bits];
            for (extra, entry) in (0..).zip(entries) {
                *entry = first + extra * step;
            }
        }
        for (i, (entry, &bare)) in self.distances.iter_mut().zip(distances).enumerate() {
            *entry = match bare {
                NO_CODE => NO_CODE,
                _ => bare + code(0, distance_extra(i)) + (count_of(bare) << 19),
            };
        }
    }
}

/// The entries of an AECS for these codes.
fn put_dwords(table: &mut [u8], codes: &[u16], lengths: &[u8]) {
    for ((entry, &value), &len) in table.chunks_exact_mut(4).zip(codes).zip(lengths) {
        let dword = layout::code_dword(u32::from(value), u32::from(len));
        entry.copy_from_slice(&dword.to_le_bytes());
    }
}

/// All bytes with their bits in opposite order.
const REVERSED: [u8; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        table[i] = (i as u8).reverse_bits();
        i += 1;
    }
    table
};

/// A symbol's bare code from its canonical value and length.
#[inline(always)]
fn ready(value: u32, len: u32) -> Code {
    let [low, high, ..] = value.to_le_bytes().map(|byte| REVERSED[usize::from(byte)]);
    let reversed = u32::from(low) << 8 | u32::from(high);
    let none = if len == 0 { NO_CODE } else { 0 };
    code(reversed >> (16 - len), len) | none
}

/// Writes tokens with codes.
///
/// What it wrote is the bits' only after [`finish`](Self::finish).
pub(super) struct Writer<'a> {
    codes: &'a Codes,
    bits: Pending<'a>,
    /// All codes that were used, for [`NO_CODE`].
    used: Code,
}

impl<'a> Writer<'a> {
    #[inline]
    pub(super) fn new(codes: &'a Codes, bits: &'a mut Bits) -> Self {
        Self {
            codes,
            bits: bits.take(),
            used: 0,
        }
    }

    #[inline]
    pub(super) fn end_of_block(&mut self) {
        let code = self.codes.end_of_block;
        self.used |= code;
        self.bits.put(u64::from(code & 0x7F_FFFF), count_of(code));
    }

    /// Writes tokens.
    #[inline(always)]
    pub(super) fn write(&mut self, tokens: &[Token]) {
        let mut groups = tokens.chunks_exact(8);
        for group in &mut groups {
            let all = group.iter().fold(0, |all, token| all | token.index());
            if all < END_OF_BLOCK {
                self.put_literals(group);
            } else {
                for &token in group {
                    self.put(token);
                }
            }
        }
        for &token in groups.remainder() {
            self.put(token);
        }
    }

    /// Writes literals, two at a time.
    #[inline(always)]
    fn put_literals(&mut self, literals: &[Token]) {
        for pair in literals.chunks_exact(2) {
            let [first, second] = [pair[0], pair[1]].map(|token| self.codes.symbols[token.index()]);
            self.used |= first | second;
            let joined =
                u64::from(first & 0x7F_FFFF) | u64::from(second & 0x7F_FFFF) << count_of(first);
            self.bits.put(joined, count_of(first) + count_of(second));
        }
    }

    /// Writes a token, whatever it is: what kind comes next is not to be
    /// guessed, so there is no branch.
    #[inline(always)]
    fn put(&mut self, token: Token) {
        let symbol = self.codes.symbols[token.index()];
        let distance = self.codes.distances[token.distance_symbol()];
        self.used |= symbol | distance;
        // Joined first: 20 bits and 28 at most.
        let extra = token.distance_extra() << (distance >> 19 & 15);
        let back = u64::from(distance & 0x7FFF) | extra;
        let joined = u64::from(symbol & 0x7F_FFFF) | back << count_of(symbol);
        self.bits.put(joined, count_of(symbol) + count_of(distance));
    }

    /// All bits so far.
    #[inline]
    pub(super) fn total(&self) -> usize {
        self.bits.total()
    }

    /// Gives the bits back. False if a token had no code.
    #[must_use]
    #[inline]
    pub(super) fn finish(self) -> bool {
        self.bits.give_back();
        self.used & NO_CODE == 0
    }
}

impl Sink for Writer<'_> {
    #[inline(always)]
    fn literal(&mut self, byte: u8) {
        let code = self.codes.symbols[usize::from(byte)];
        self.used |= code;
        self.bits.put(u64::from(code & 0x7F_FFFF), count_of(code));
    }

    #[inline(always)]
    fn repeat(&mut self, length: u16, distance: u16) {
        self.put(Token::repeat(length, distance));
    }
}

impl core::fmt::Debug for Codes {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Codes").finish_non_exhaustive()
    }
}
