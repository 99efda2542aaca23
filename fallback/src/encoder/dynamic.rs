//! Codes made for one page: what is found is kept and counted, then written.

use super::bits::Writer;
use super::codes::{self, Bits, LENGTH_BASE, LENGTH_EXTRA, LENGTH_SYMBOL, distance_symbol};
use super::cpu::Work;
use super::search::{self, Effort, Heads, Sink};
use crate::huffman::{self, DISTANCES, END_OF_BLOCK, FIXED, Header, LITERALS, SYMBOLS_MAX};

/// Longer codes would save next to nothing, and of these four fit between two times
/// that bits are put out.
const CODE_BITS_MAX: u8 = 14;

/// Two passes, the first of which is not the longer one.
struct Thorough;

impl Effort for Thorough {
    const MANY_POSITIONS: bool = true;
    const LAZY: bool = true;
}

/// A page to be written with codes of its own.
pub(super) struct TwoPasses<'a, P: ?Sized, const FAR: bool> {
    pub(super) heads: &'a mut Heads,
    pub(super) repeats: &'a mut [Repeat],
    pub(super) page: &'a P,
    pub(super) dst: &'a mut [u8],
    pub(super) limit: usize,
}

impl<P: AsRef<[u8]> + ?Sized, const FAR: bool> Work for TwoPasses<'_, P, FAR> {
    type Output = Option<usize>;

    #[inline(always)]
    fn run(self) -> Option<usize> {
        let mut sink = Counted::new(self.repeats);
        search::search::<_, _, Thorough, FAR>(self.page, self.heads, &mut sink)?;
        sink.write(self.page.as_ref(), self.dst, self.limit)
    }
}

/// A repeat, and the literals before it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Repeat {
    literals: u16,
    length: u16,
    distance: u16,
    length_symbol: u8,
    distance_symbol: u8,
}

/// Keeps and counts.
struct Counted<'a> {
    /// Two tables, as neighbours are often the same.
    literals: [[u32; 256]; 2],
    lengths: [u32; LENGTHS],
    distances: [u32; DISTANCES],
    repeats: &'a mut [Repeat],
    used: usize,
    /// Literals since the last repeat.
    since: usize,
}

const LENGTHS: usize = LITERALS - END_OF_BLOCK - 1;

impl<'a> Counted<'a> {
    fn new(repeats: &'a mut [Repeat]) -> Self {
        Self {
            literals: [[0; 256]; 2],
            lengths: [0; LENGTHS],
            distances: [0; DISTANCES],
            repeats,
            used: 0,
            since: 0,
        }
    }
}

impl Sink for Counted<'_> {
    #[inline(always)]
    fn literals<const N: usize>(&mut self, word: u64) -> Option<()> {
        for number in 0..N {
            let byte = word.to_le_bytes()[number];
            self.literals[number % 2][usize::from(byte)] += 1;
        }
        self.since += N;
        Some(())
    }

    #[inline(always)]
    fn repeat(&mut self, length: usize, distance: usize) -> Option<()> {
        let length_symbol = LENGTH_SYMBOL[length];
        let (distance_symbol, _) = distance_symbol(distance as u32);
        self.lengths[usize::from(length_symbol)] += 1;
        self.distances[distance_symbol as usize] += 1;
        *self.repeats.get_mut(self.used)? = Repeat {
            literals: self.since as u16,
            length: length as u16,
            distance: distance as u16,
            length_symbol,
            distance_symbol: distance_symbol as u8,
        };
        self.used += 1;
        self.since = 0;
        Some(())
    }
}

/// Codes by symbol, without extra bits.
struct BySymbol {
    literals: [Bits; LITERALS],
    distances: [Bits; DISTANCES],
}

impl BySymbol {
    fn new(literal_lengths: &[u8], distance_lengths: &[u8]) -> Self {
        let (mut literals, mut distances) = ([0; SYMBOLS_MAX], [0; DISTANCES + 2]);
        huffman::canonical_codes(literal_lengths, &mut literals);
        huffman::canonical_codes(distance_lengths, &mut distances);
        let bits = |code: u16, len: u8| {
            if len == 0 {
                0
            } else {
                codes::bits(code, len, 0, 0)
            }
        };
        Self {
            literals: core::array::from_fn(|i| bits(literals[i], literal_lengths[i])),
            distances: core::array::from_fn(|i| bits(distances[i], distance_lengths[i])),
        }
    }
}

impl Counted<'_> {
    /// Writes the page; `None` if that takes more than `limit` bytes, which is known
    /// before it is done.
    #[inline(always)]
    fn write(&mut self, page: &[u8], dst: &mut [u8], limit: usize) -> Option<usize> {
        let mut counts = [0; LITERALS];
        for (byte, count) in counts[..256].iter_mut().enumerate() {
            *count = self.literals[0][byte] + self.literals[1][byte];
        }
        counts[END_OF_BLOCK] = 1;
        counts[END_OF_BLOCK + 1..].copy_from_slice(&self.lengths);
        let (mut literals, mut distances) = ([0; LITERALS], [0; DISTANCES]);
        huffman::code_lengths(&counts, CODE_BITS_MAX, &mut literals);
        huffman::code_lengths(&self.distances, CODE_BITS_MAX, &mut distances);
        let header = Header::new(&literals, &distances);

        let bits = |counts: &[u32], lengths: &[u8]| -> u32 {
            let of = counts.iter().zip(lengths);
            of.map(|(&count, &len)| count * u32::from(len)).sum()
        };
        let extra = bits(&self.lengths, &LENGTH_EXTRA) + bits(&self.distances, &DISTANCE_EXTRA);
        let dynamic =
            header.bits() as u32 + bits(&counts, &literals) + bits(&self.distances, &distances);
        let fixed = 3 + bits(&counts, &FIXED.0) + bits(&self.distances, &FIXED.1);
        let total = (dynamic.min(fixed) + extra) as usize;
        if total.div_ceil(8) > limit {
            return None;
        }
        let (codes, header_bits) = if fixed <= dynamic {
            dst[0] = 0b011;
            (BySymbol::new(&FIXED.0, &FIXED.1), 3)
        } else {
            header.write_bytes(true, dst);
            (BySymbol::new(&literals, &distances), header.bits())
        };
        let mut out = Writer::after(dst, header_bits)?;
        let mut at = 0;
        for repeat in &self.repeats[..self.used] {
            let literals = &page[at..at + usize::from(repeat.literals)];
            codes.write_literals(literals, &mut out)?;
            codes.write_repeat(*repeat, &mut out)?;
            at += literals.len() + usize::from(repeat.length);
        }
        codes.write_literals(&page[at..], &mut out)?;
        out.add(codes.literals[END_OF_BLOCK]);
        let written = out.finish()?;
        debug_assert_eq!(written, total.div_ceil(8));
        Some(written)
    }
}

impl BySymbol {
    #[inline(always)]
    fn write_literals(&self, literals: &[u8], out: &mut Writer<'_>) -> Option<()> {
        let mut fours = literals.chunks_exact(4);
        for four in &mut fours {
            for &byte in four {
                out.add(self.literals[usize::from(byte)]);
            }
            out.put_out()?;
        }
        for &byte in fours.remainder() {
            out.add(self.literals[usize::from(byte)]);
        }
        out.put_out()
    }

    #[inline(always)]
    fn write_repeat(&self, repeat: Repeat, out: &mut Writer<'_>) -> Option<()> {
        let symbol = usize::from(repeat.length_symbol);
        let extra = repeat.length - LENGTH_BASE[symbol];
        out.add(self.literals[END_OF_BLOCK + 1 + symbol]);
        out.add_raw(extra.into(), LENGTH_EXTRA[symbol].into());
        let symbol = usize::from(repeat.distance_symbol);
        let extra_bits = u32::from(DISTANCE_EXTRA[symbol]);
        let extra = u64::from(repeat.distance - 1) & ((1 << extra_bits) - 1);
        out.add(self.distances[symbol]);
        out.add_raw(extra, extra_bits);
        out.put_out()
    }
}

/// Extra bits of each distance symbol.
const DISTANCE_EXTRA: [u8; DISTANCES] = {
    let mut extra = [0; DISTANCES];
    let mut symbol = 4;
    while symbol < DISTANCES {
        extra[symbol] = (symbol / 2 - 1) as u8;
        symbol += 1;
    }
    extra
};
