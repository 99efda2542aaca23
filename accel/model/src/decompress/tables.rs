//! Huffman codes, and the tables that decode them.

/// Literal/length symbols of a dynamic block, and of an AECS.
pub(super) const LITERALS: usize = 286;
/// Distance symbols of a dynamic block, and of an AECS.
pub(super) const DISTANCES: usize = 30;
/// The end-of-block symbol.
pub(super) const EOB: usize = 256;
/// The most bits a code can have.
pub(super) const MAX_BITS: usize = 15;

/// A symbol and its code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Code {
    /// Bits of the code.
    pub(super) len: u8,
    /// The code, its first bit the highest of `len`.
    pub(super) code: u16,
    /// What it stands for.
    pub(super) symbol: u16,
}

/// A set of codes, ordered by length and code.
#[derive(Debug, Clone)]
pub(super) struct Codes<const N: usize> {
    list: [Code; N],
    len: usize,
}

impl<const N: usize> Codes<N> {
    /// No codes.
    pub(super) const NONE: Self = Self {
        list: [Code {
            len: 0,
            code: 0,
            symbol: 0,
        }; N],
        len: 0,
    };

    /// The canonical codes of these lengths, or `None` if there are too many
    /// short ones.
    ///
    /// Lengths that leave codes unused are taken as they are, and using such a
    /// code is an error. That is what the device's error codes 02, 0B and 0C
    /// are for; zlib refuses most of these sets, but no deflate writer makes
    /// them. All accept what writers do make: no distance code, or a single
    /// one.
    pub(super) fn set_lengths(&mut self, lengths: &[u8]) -> Option<()> {
        debug_assert!(lengths.len() <= N);
        let mut counts = [0_u16; MAX_BITS + 1];
        for &len in lengths {
            counts[usize::from(len) & MAX_BITS] += 1;
        }
        let unused = usize::from(counts[0]);
        counts[0] = 0;
        let mut code = 0_u32;
        let mut first = 0;
        let mut next_code = [0_u16; MAX_BITS + 1];
        let mut next_place = [0_u16; MAX_BITS + 1];
        for len in 1..=MAX_BITS {
            code <<= 1;
            next_code[len] = code as u16;
            next_place[len] = first;
            first += counts[len];
            code += u32::from(counts[len]);
            if code > 1 << len {
                return None;
            }
        }
        self.len = lengths.len() - unused;
        for (symbol, &len) in lengths.iter().enumerate() {
            if len != 0 {
                let at = usize::from(len) & MAX_BITS;
                self.list[usize::from(next_place[at])] = Code {
                    len,
                    code: next_code[at],
                    symbol: symbol as u16,
                };
                next_place[at] += 1;
                next_code[at] += 1;
            }
        }
        Some(())
    }

    /// Takes one more code, or `None` if there is no room.
    pub(super) fn push(&mut self, code: Code) -> Option<()> {
        *self.list.get_mut(self.len)? = code;
        self.len += 1;
        Some(())
    }

    /// Puts codes that were pushed in order.
    pub(super) fn sort(&mut self) {
        self.list[..self.len].sort_unstable();
    }

    /// All of them, ordered by length and code.
    pub(super) fn list(&self) -> &[Code] {
        &self.list[..self.len]
    }

    /// Forgets them.
    pub(super) fn clear(&mut self) {
        self.len = 0;
    }
}

/// Entries of a table, 32 bits that say what to do with the bits at hand:
/// bits 4:0 are the length of the code, 12:8 of the extra bits behind it,
/// 31:16 a value, the rest flags.
pub(super) mod entry {
    /// The value is a literal.
    pub(in super::super) const LITERAL: u32 = 1 << 5;
    /// Neither literal nor length nor distance: one of the three below.
    pub(in super::super) const SPECIAL: u32 = 1 << 6;
    /// The end of the block.
    pub(in super::super) const EOB: u32 = 1 << 13;
    /// No code begins like this.
    pub(in super::super) const INVALID: u32 = 1 << 14;
    /// The value is where the entries for longer codes begin.
    pub(in super::super) const LONGER: u32 = 1 << 15;

    /// Bits of the code.
    #[inline]
    pub(in super::super) const fn code_bits(entry: u32) -> u32 {
        entry & 0x1F
    }

    /// Bits behind the code.
    #[inline]
    pub(in super::super) const fn extra_bits(entry: u32) -> u32 {
        entry >> 8 & 0x1F
    }

    /// The literal, or the least length or distance.
    #[inline]
    pub(in super::super) const fn value(entry: u32) -> u32 {
        entry >> 16
    }
}

/// No code: as long as any, so that the end of the input can tell a bad code
/// from one that is cut off.
const INVALID: u32 = entry::SPECIAL | entry::INVALID | MAX_BITS as u32;

/// Entries of literal/length symbols, without the code's length. The last two
/// exist in the fixed code only, and mean nothing.
static LITERAL_ENTRIES: [u32; 288] = {
    let mut entries = [INVALID & !0x1F; 288];
    let mut symbol = 0;
    while symbol < 256 {
        entries[symbol] = entry::LITERAL | (symbol as u32) << 16;
        symbol += 1;
    }
    entries[EOB] = entry::SPECIAL | entry::EOB;
    let mut symbol = 257;
    while symbol < LITERALS {
        entries[symbol] = length_extra(symbol) << 8 | length_base(symbol) << 16;
        symbol += 1;
    }
    entries
};

/// Entries of distance symbols, likewise.
static DISTANCE_ENTRIES: [u32; 32] = {
    let mut entries = [INVALID & !0x1F; 32];
    let mut symbol = 0;
    while symbol < DISTANCES {
        let extra = distance_extra(symbol);
        let base = if symbol < 2 {
            symbol as u32
        } else {
            (2 + symbol as u32 % 2) << extra
        };
        entries[symbol] = extra << 8 | (base + 1) << 16;
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
pub(super) type LiteralTable = Table<1024>;
/// For distances.
pub(super) type DistanceTable = Table<256>;

impl<const SIZE: usize> Table<SIZE> {
    const BITS: u32 = SIZE.trailing_zeros();
    const LONG_BITS: u32 = MAX_BITS as u32 - Self::BITS;

    /// A table without codes.
    pub(super) fn new() -> Self {
        Self {
            short: Box::new([INVALID; SIZE]),
            long: Vec::new(),
        }
    }

    /// Makes the table of these codes, ordered by length. `entries` says what
    /// each symbol means.
    fn build(&mut self, codes: &[Code], entries: &[u32]) {
        self.long.clear();
        self.short[..2].fill(INVALID);
        let mut codes = codes.iter();
        let mut next = codes.next();
        // Entries repeat with the period of their code's length. So the table
        // is first made for codes of one bit, and doubled for each more.
        for len in 1..=Self::BITS {
            while let Some(&code) = next.filter(|code| u32::from(code.len) == len) {
                let at = usize::from(reversed(code)) & (SIZE - 1);
                self.short[at] = entries[usize::from(code.symbol)] | len;
                next = codes.next();
            }
            if len < Self::BITS {
                self.short.copy_within(..1 << len, 1 << len);
            }
        }
        while let Some(&code) = next {
            let bits = usize::from(reversed(code));
            let short = &mut self.short[bits & (SIZE - 1)];
            if *short & entry::LONGER == 0 {
                *short = entry::SPECIAL | entry::LONGER | (self.long.len() as u32) << 16;
                self.long
                    .resize(self.long.len() + (1 << Self::LONG_BITS), INVALID);
            }
            let start = entry::value(*short) as usize;
            let own = &mut self.long[start..start + (1 << Self::LONG_BITS)];
            let entry = entries[usize::from(code.symbol)] | u32::from(code.len);
            let period = 1 << (u32::from(code.len) - Self::BITS);
            own.iter_mut()
                .skip(bits >> Self::BITS)
                .step_by(period)
                .for_each(|e| *e = entry);
            next = codes.next();
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

/// A code as it comes out of the bit string, lowest bit first.
fn reversed(code: Code) -> u16 {
    code.code.reverse_bits() >> (16 - u32::from(code.len))
}

/// The codes of a block and their tables.
#[derive(Debug)]
pub(super) struct Tables {
    /// Codes of literals and lengths.
    pub(super) literal_codes: Codes<288>,
    /// Codes of distances.
    pub(super) distance_codes: Codes<32>,
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
        self.literals
            .build(self.literal_codes.list(), &LITERAL_ENTRIES);
        self.distances
            .build(self.distance_codes.list(), &DISTANCE_ENTRIES);
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
                (entry::value(entry), entry::extra_bits(entry)),
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
                (entry::value(entry), entry::extra_bits(entry)),
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
                    .find(|&&code| bits as u16 & ((1 << code.len) - 1) == reversed(code));
                match code {
                    Some(code) => {
                        reached += 1;
                        let expected =
                            LITERAL_ENTRIES[usize::from(code.symbol)] | u32::from(code.len);
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
}
