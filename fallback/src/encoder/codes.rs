//! Deflate's symbols with their codes, as they are put into a stream.

use crate::huffman::{
    self, CODE_BITS_MAX, DISTANCES, DISTANCES_NEAR, END_OF_BLOCK, FIXED, LITERALS, PLACES,
    SYMBOLS_MAX,
};

/// The longest match that deflate can tell.
pub const MATCH_MAX: usize = 258;

/// The furthest match that the device can follow (IAA specification 2.1, 3.8).
pub const WINDOW: usize = 4096;

/// The first length of each length symbol (RFC 1951, 3.2.5).
pub(crate) const LENGTH_BASE: [u16; 29] = [
    3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131,
    163, 195, 227, 258,
];

/// Extra bits of each length symbol.
pub(crate) const LENGTH_EXTRA: [u8; 29] = [
    0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0,
];

/// The length symbol of each length, less 257.
pub(super) const LENGTH_SYMBOL: [u8; MATCH_MAX + 1] = {
    let mut symbols = [0; MATCH_MAX + 1];
    let (mut length, mut symbol) = (3, 0);
    while length <= MATCH_MAX {
        while symbol + 1 < LENGTH_BASE.len() && LENGTH_BASE[symbol + 1] as usize <= length {
            symbol += 1;
        }
        symbols[length] = symbol as u8;
        length += 1;
    }
    symbols
};

/// The symbol of a distance, and how many extra bits it has.
#[inline]
pub(super) const fn distance_symbol(distance: u32) -> (u32, u32) {
    let offset = distance - 1;
    if offset < 4 {
        return (offset, 0);
    }
    let extra = 30 - offset.leading_zeros();
    (2 * extra + (offset >> extra), extra)
}

/// Bits of a stream, lowest first: the bits below, how many there are in the five
/// highest.
pub(super) type Bits = u32;

const COUNT_SHIFT: u32 = 27;

/// A code with the extra bits behind it.
pub(super) fn bits(code: u16, len: u8, extra: u32, extra_bits: u32) -> Bits {
    let code = u32::from(huffman::reversed(code, len));
    code | extra << len | (u32::from(len) + extra_bits) << COUNT_SHIFT
}

/// The bits, without how many there are.
#[inline(always)]
pub(super) fn value(bits: Bits) -> u64 {
    u64::from(bits & ((1 << COUNT_SHIFT) - 1))
}

/// How many bits there are.
#[inline(always)]
pub(super) fn count(bits: Bits) -> u32 {
    bits >> COUNT_SHIFT
}

/// The codes of a block that is the same for all pages, ready to be written.
#[repr(align(64))]
pub struct Codes {
    pub(super) literals: [Bits; 256],
    /// By length.
    pub(super) lengths: [Bits; MATCH_MAX + 1],
    /// By distance.
    pub(super) distances: [Bits; WINDOW],
    pub(super) end_of_block: Bits,
    header: Box<[u8]>,
    header_bits: usize,
    /// A literal's code may have 15 bits.
    pub(super) long_literals: bool,
}

impl core::fmt::Debug for Codes {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Codes")
            .field("header_bits", &self.header_bits)
            .finish_non_exhaustive()
    }
}

impl Codes {
    /// The codes of RFC 1951, 3.2.6.
    #[must_use]
    pub fn fixed() -> Self {
        // BFINAL 1, BTYPE 01.
        Self::with_header(&FIXED.0, &FIXED.1, &[0b011], 3)
    }

    /// Codes of these lengths, in blocks that begin with this header: so many bits of
    /// these bytes, lowest first. Canned pages have none.
    ///
    /// # Panics
    /// If a literal, the end of block, or a length or distance of a page has no code,
    /// if a length is above 15 bits or there are more codes than such lengths allow, or
    /// if `header` has fewer bits.
    #[must_use]
    pub fn with_header(
        literal_lengths: &[u8],
        distance_lengths: &[u8],
        header: &[u8],
        header_bits: usize,
    ) -> Self {
        let (mut literals, mut distances) = ([0; SYMBOLS_MAX], [0; DISTANCES + 2]);
        huffman::canonical_codes(literal_lengths, &mut literals);
        huffman::canonical_codes(distance_lengths, &mut distances);
        assert!(header_bits <= 8 * header.len());
        for lengths in [literal_lengths, distance_lengths] {
            assert!(huffman::places(lengths).is_some_and(|taken| taken <= PLACES));
        }
        let used = &literal_lengths[..LITERALS];
        let near = &distance_lengths[..DISTANCES_NEAR];
        assert!(
            used.iter()
                .chain(near)
                .all(|len| (1..=CODE_BITS_MAX).contains(len))
        );
        let literal = |symbol: usize, extra, extra_bits| {
            bits(literals[symbol], literal_lengths[symbol], extra, extra_bits)
        };
        let mut lengths = [0; MATCH_MAX + 1];
        for (length, to) in lengths.iter_mut().enumerate().skip(3) {
            let symbol = usize::from(LENGTH_SYMBOL[length]);
            let extra = (length - usize::from(LENGTH_BASE[symbol])) as u32;
            *to = literal(257 + symbol, extra, LENGTH_EXTRA[symbol].into());
        }
        let by_distance = |distance: usize| {
            let distance = if distance == 0 { WINDOW } else { distance };
            let (symbol, extra_bits) = distance_symbol(distance as u32);
            let symbol = symbol as usize;
            let extra = (distance as u32 - 1) & ((1 << extra_bits) - 1);
            bits(
                distances[symbol],
                distance_lengths[symbol],
                extra,
                extra_bits,
            )
        };
        Self {
            literals: core::array::from_fn(|byte| literal(byte, 0, 0)),
            lengths,
            distances: core::array::from_fn(by_distance),
            end_of_block: literal(END_OF_BLOCK, 0, 0),
            header: header.into(),
            header_bits,
            long_literals: literal_lengths[..256].iter().any(|&len| len > 14),
        }
    }

    /// The header's bytes, and how many of their bits count.
    #[must_use]
    pub fn header(&self) -> (&[u8], usize) {
        (&self.header, self.header_bits)
    }
}
