//! The tables that decode Huffman codes.

use super::codes::{Code, Codes, MAX_BITS};

/// Literal/length symbols of a dynamic block, and of an AECS.
pub(super) const LITERALS: usize = 286;
/// Distance symbols of a dynamic block, and of an AECS.
pub(super) const DISTANCES: usize = 30;
/// The end-of-block symbol.
pub(super) const EOB: usize = 256;
/// Entries of a table, 32 bits that say what to do with the bits at hand: bits
/// 5:0 are how many the code and the extra bits behind it have, 11:8 how many
/// of them are the code's, 31:16 a value, the rest flags.
pub(super) mod entry {
    /// The end of the block. Goes with [`SPECIAL`].
    pub(in super::super) const EOB: u32 = 1 << 6;
    /// No code begins like this. Goes with [`SPECIAL`].
    pub(in super::super) const INVALID: u32 = 1 << 7;
    /// The value is a literal.
    pub(in super::super) const LITERAL: u32 = 1 << 12;
    /// Neither literal nor length nor distance, but something with a flag of
    /// its own.
    pub(in super::super) const SPECIAL: u32 = 1 << 13;
    /// The value is where the entries for longer codes begin. Goes with
    /// [`SPECIAL`].
    pub(in super::super) const LONGER: u32 = 1 << 14;

    /// The entry of a symbol whose code has `len` bits, made of one without.
    pub(super) const fn with_code(entry: u32, len: u32) -> u32 {
        entry + len * 0x101
    }

    /// Bits of the code and behind it. Not masked more than a shift does by
    /// itself: the next lookup waits for this.
    #[inline(always)]
    pub(in super::super) const fn bits(entry: u32) -> u32 {
        entry & 0x3F
    }

    /// What the entry says of `buf`, which begins with its code: the value
    /// plus the extra bits.
    #[inline(always)]
    pub(in super::super) const fn value_in(entry: u32, buf: u64) -> usize {
        let all = buf & ((1 << bits(entry)) - 1);
        value(entry) as usize + (all >> code_bits(entry)) as usize
    }

    /// Bits of the code alone.
    #[inline(always)]
    pub(super) const fn code_bits(entry: u32) -> u32 {
        entry >> 8 & 0xF
    }

    /// The literal, or the least length or distance.
    #[inline(always)]
    pub(in super::super) const fn value(entry: u32) -> u32 {
        entry >> 16
    }
}

/// No code, without its length.
const UNUSED: u32 = entry::SPECIAL | entry::INVALID;

/// No code: as long as any, so that the end of the input can tell a bad code
/// from one that is cut off.
const INVALID: u32 = entry::with_code(UNUSED, MAX_BITS as u32);

/// Leads to codes that are longer than any.
const LONGER: u32 = entry::SPECIAL | entry::LONGER | (MAX_BITS as u32) << 8;

/// Entries of literal/length symbols, without the code's length. The last two
/// exist in the fixed code only, and mean nothing.
static LITERAL_ENTRIES: [u32; 288] = {
    let mut entries = [UNUSED; 288];
    let mut symbol = 0;
    while symbol < 256 {
        entries[symbol] = entry::LITERAL | (symbol as u32) << 16;
        symbol += 1;
    }
    entries[EOB] = entry::SPECIAL | entry::EOB;
    let mut symbol = 257;
    while symbol < LITERALS {
        entries[symbol] = length_extra(symbol) | length_base(symbol) << 16;
        symbol += 1;
    }
    entries
};

/// Entries of distance symbols, likewise.
static DISTANCE_ENTRIES: [u32; 32] = {
    let mut entries = [UNUSED; 32];
    let mut symbol = 0;
    while symbol < DISTANCES {
        let extra = distance_extra(symbol);
        let base = if symbol < 2 {
            symbol as u32
        } else {
            (2 + symbol as u32 % 2) << extra
        };
        entries[symbol] = extra | (base + 1) << 16;
        symbol += 1;
    }
    entries
};

/// Extra bits of a length symbol, 257 to 285.
pub(super) const fn length_extra(symbol: usize) -> u32 {
    match symbol {
        ..265 | 285.. => 0,
        _ => (symbol as u32 - 261) / 4,
    }
}

const fn length_base(symbol: usize) -> u32 {
    match symbol {
        285 => 258,
        ..265 => symbol as u32 - 254,
        _ => 3 + ((4 + (symbol as u32 - 1) % 4) << length_extra(symbol)),
    }
}

/// Extra bits of a distance symbol.
pub(super) const fn distance_extra(symbol: usize) -> u32 {
    if symbol < 4 { 0 } else { symbol as u32 / 2 - 1 }
}

/// A table for codes of up to log2(`SIZE`) bits, with further ones behind it
/// for longer codes.
#[derive(Debug)]
pub(super) struct Table<const SIZE: usize> {
    short: Box<[u32; SIZE]>,
    long: Vec<u32>,
}

/// For literals and lengths.
pub(super) type LiteralTable = Table<2048>;
/// For the lengths of codes, which have up to seven bits.
pub(super) type CodeLengthTable = Table<128>;
/// For distances.
pub(super) type DistanceTable = Table<256>;

impl<const SIZE: usize> Table<SIZE> {
    /// Longer codes need a second look.
    pub(super) const BITS: u32 = SIZE.trailing_zeros();
    const DISPLACED: u32 = if Self::BITS < 10 { Self::BITS } else { 10 };
    const LONG_BITS: u32 = MAX_BITS as u32 - Self::BITS;

    /// A table without codes.
    pub(super) fn new() -> Self {
        Self {
            short: Box::new([INVALID; SIZE]),
            long: Vec::new(),
        }
    }

    /// Makes the table of these codes. `entries` says what each symbol means.
    pub(super) fn build<const N: usize>(&mut self, codes: &Codes<N>, entries: &[u32; N]) {
        self.long.clear();
        self.short[..2].fill(INVALID);
        // Entries repeat with the period of their code's length. So the table
        // is first made for codes of one bit, and doubled for each more.
        for (len, codes) in codes.by_length() {
            if len > Self::BITS {
                self.build_long(len, codes, entries);
                continue;
            }
            for &code in codes {
                let at = code.reversed() & (SIZE - 1);
                if len > Self::DISPLACED {
                    self.displace(at);
                }
                self.short[at] = entry::with_code(entries[code.symbol()], len);
            }
            if len < Self::BITS {
                self.short.copy_within(..1 << len, 1 << len);
            }
        }
    }

    /// Makes place for a code of more than [`Table::DISPLACED`] bits: what
    /// begins like it stands no longer for a code of no more than those. In a
    /// header's codes there is no such thing, in those of an AECS there may be.
    fn displace(&mut self, at: usize) {
        let first = at & ((1 << Self::DISPLACED) - 1);
        for entry in self.short[first..].iter_mut().step_by(1 << Self::DISPLACED) {
            if entry::code_bits(*entry) <= Self::DISPLACED {
                *entry = INVALID;
            }
        }
    }

    fn build_long(&mut self, len: u32, codes: &[Code], entries: &[u32]) {
        for &code in codes {
            let bits = code.reversed();
            self.displace(bits & (SIZE - 1));
            let short = &mut self.short[bits & (SIZE - 1)];
            if *short & entry::LONGER == 0 {
                let begin = self.long.len();
                self.long.resize(begin + (1 << Self::LONG_BITS), *short);
                *short = LONGER | (begin as u32) << 16;
            }
            let start = entry::value(*short) as usize;
            let own = &mut self.long[start..start + (1 << Self::LONG_BITS)];
            let entry = entry::with_code(entries[code.symbol()], len);
            own.iter_mut()
                .skip(bits >> Self::BITS)
                .step_by(1 << (len - Self::BITS))
                .for_each(|e| *e = entry);
        }
    }

    /// The entry for what `bits` begin with, lowest bit first.
    #[inline(always)]
    pub(super) fn get(&self, bits: u64) -> u32 {
        let entry = self.get_short(bits);
        if entry & entry::LONGER == 0 {
            entry
        } else {
            self.get_long(entry, bits)
        }
    }

    /// The same, but maybe an entry that leads to [`Table::get_long`].
    #[inline(always)]
    pub(super) fn get_short(&self, bits: u64) -> u32 {
        self.short[bits as usize & (SIZE - 1)]
    }

    /// The entry that an entry with [`entry::LONGER`] leads to.
    #[inline]
    pub(super) fn get_long(&self, entry: u32, bits: u64) -> u32 {
        let offset = (bits >> Self::BITS) as usize & ((1 << Self::LONG_BITS) - 1);
        self.long[entry::value(entry) as usize + offset]
    }
}

/// The codes of a block and their tables.
#[derive(Debug)]
pub(super) struct Tables {
    /// Codes of literals and lengths.
    pub(super) literal_codes: Codes<288>,
    /// Codes of distances.
    pub(super) distance_codes: Codes<32>,
    /// Decodes a header's lengths.
    pub(super) code_lengths: CodeLengthTable,
    /// Decodes literals and lengths.
    pub(super) literals: LiteralTable,
    /// Decodes distances.
    pub(super) distances: DistanceTable,
}

impl Tables {
    /// Tables without codes.
    pub(super) fn new() -> Self {
        Self {
            literal_codes: Codes::NONE,
            distance_codes: Codes::NONE,
            code_lengths: Table::new(),
            literals: Table::new(),
            distances: Table::new(),
        }
    }

    /// The tables of fixed blocks.
    pub(super) fn fixed() -> Self {
        let mut tables = Self::new();
        let length = |symbol| match symbol {
            0..144 | 280.. => 8,
            144..256 => 9,
            _ => 7,
        };
        let lengths: [u8; 288] = core::array::from_fn(length);
        let literals = tables.literal_codes.set_lengths(&lengths);
        let distances = tables.distance_codes.set_lengths(&[5; 32]);
        literals.and(distances).expect("a complete code");
        tables.build();
        tables
    }

    /// Makes the tables of the codes.
    pub(super) fn build(&mut self) {
        self.literals.build(&self.literal_codes, &LITERAL_ENTRIES);
        self.distances
            .build(&self.distance_codes, &DISTANCE_ENTRIES);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_rfc_1951() {
        let lengths = [
            (257, 3, 0),
            (264, 10, 0),
            (265, 11, 1),
            (268, 17, 1),
            (269, 19, 2),
        ];
        for (symbol, base, extra) in lengths.into_iter().chain([
            (273, 35, 3),
            (277, 67, 4),
            (280, 115, 4),
            (281, 131, 5),
            (284, 227, 5),
            (285, 258, 0),
        ]) {
            let entry = LITERAL_ENTRIES[symbol];
            assert_eq!(
                (entry::value(entry), entry::bits(entry)),
                (base, extra),
                "{symbol}"
            );
        }
        for (symbol, base, extra) in [
            (0, 1, 0),
            (3, 4, 0),
            (4, 5, 1),
            (5, 7, 1),
            (6, 9, 2),
            (23, 3073, 10),
            (29, 24577, 13),
        ] {
            let entry = DISTANCE_ENTRIES[symbol];
            assert_eq!(
                (entry::value(entry), entry::bits(entry)),
                (base, extra),
                "{symbol}"
            );
        }
    }

    #[test]
    fn every_code_is_found() {
        // Lengths of a skewed but complete code, and the same with holes.
        let mut lengths = [0_u8; 286];
        for (symbol, len) in (1..=14).enumerate() {
            lengths[17 * symbol] = len;
        }
        lengths[256] = 15;
        lengths[285] = 15;
        for holes in [false, true] {
            if holes {
                lengths[17] = 0;
                lengths[17 * 12] = 0;
            }
            let mut tables = Tables::new();
            tables.literal_codes.set_lengths(&lengths).unwrap();
            tables.build();
            let mut reached = 0;
            for bits in 0..1_u64 << 15 {
                let entry = tables.literals.get(bits);
                let code = tables
                    .literal_codes
                    .list()
                    .iter()
                    .find(|&&code| bits as usize & ((1 << code.len()) - 1) == code.reversed());
                match code {
                    Some(code) => {
                        reached += 1;
                        let expected = entry::with_code(LITERAL_ENTRIES[code.symbol()], code.len());
                        assert_eq!(entry, expected);
                    }
                    None => assert_eq!(entry, INVALID),
                }
            }
            assert_eq!(reached == 1 << 15, !holes);
        }
        lengths[3] = 1;
        lengths[4] = 1;
        let mut codes = Codes::<288>::NONE;
        assert!(codes.set_lengths(&lengths).is_none());
    }

    #[test]
    fn longer_codes_displace_shorter_ones() {
        let mut tables = Tables::new();
        for code in [Code::new(2, 0, 1), Code::new(11, 0, 2), Code::new(12, 2, 3)] {
            tables.literal_codes.push(code).unwrap();
        }
        tables.build();
        let entry = |symbol: usize, len| entry::with_code(LITERAL_ENTRIES[symbol], len);
        let literals = &tables.literals;
        assert_eq!(literals.get(0), entry(2, 11));
        assert_eq!(literals.get(1 << 10), entry(3, 12));
        assert_eq!(literals.get(3 << 10), INVALID);
        assert_eq!(literals.get(1 << 9), entry(1, 2));
    }
}
