//! Sets of Huffman codes (RFC 1951, 3.2.2).

/// The most bits a code can have.
pub(super) const MAX_BITS: usize = 15;

/// A symbol and its code, in one word because sets are made in a hurry: 8:0 the
/// symbol, 23:9 the code, 27:24 its length. So they are ordered by length, then
/// by code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Code(u32);

impl Code {
    /// A code of `len` bits, its first bit the highest of them.
    pub(super) const fn new(len: u32, code: u32, symbol: usize) -> Self {
        Self(len << 24 | code << 9 | symbol as u32)
    }

    /// Bits of the code.
    pub(super) const fn len(self) -> u32 {
        self.0 >> 24
    }

    /// The code, its first bit the highest of [`Code::len`].
    pub(super) const fn code(self) -> u32 {
        self.0 >> 9 & 0x7FFF
    }

    /// What it stands for.
    pub(super) const fn symbol(self) -> usize {
        (self.0 & 0x1FF) as usize
    }

    /// The code as it comes out of the bit string, lowest bit first.
    pub(super) fn reversed(self) -> usize {
        let [low, high, ..] = self.code().to_le_bytes();
        let [low, high] = [low, high].map(|byte| usize::from(REVERSED[usize::from(byte)]));
        (low << 8 | high) >> (16 - self.len())
    }
}

/// Bytes with their bits in opposite order: the CPU has no instruction for it.
static REVERSED: [u8; 256] = {
    let mut bytes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        bytes[byte] = (byte as u8).reverse_bits();
        byte += 1;
    }
    bytes
};

/// How many codes there are of each length; at 0, of symbols without one.
pub(super) type Counts = [u16; MAX_BITS + 1];

/// A set of codes, ordered by length and code.
#[derive(Debug, Clone)]
pub(super) struct Codes<const N: usize> {
    /// Behind the first `len`, anything.
    list: [Code; N],
    len: usize,
    counts: Counts,
}

impl<const N: usize> Codes<N> {
    /// No codes.
    pub(super) const NONE: Self = Self {
        list: [Code(0); N],
        len: 0,
        counts: [0; MAX_BITS + 1],
    };

    /// The canonical codes of these lengths, of which there are so many each,
    /// or `None` if there are too many short ones.
    ///
    /// Lengths that leave codes unused are taken as they are, and using such a
    /// code is an error. That is what the device's error codes 02, 0B and 0C
    /// are for; zlib refuses most of these sets, but no deflate writer makes
    /// them. All accept what writers do make: no distance code, or a single
    /// one.
    pub(super) fn set(&mut self, lengths: &[u8], counts: &Counts) -> Option<()> {
        let mut code = 0_u32;
        let mut first = 0;
        // For each length the next place in the list, and below it the next
        // code.
        let mut next = [0_u32; MAX_BITS + 1];
        for len in 1..=MAX_BITS {
            code <<= 1;
            next[len] = first << 16 | code;
            first += u32::from(counts[len]);
            code += u32::from(counts[len]);
            if code > 1 << len {
                return None;
            }
        }
        // Symbols without a code go behind the others: asking is slower.
        next[0] = first << 16;
        self.len = first as usize;
        self.counts = *counts;
        self.counts[0] = 0;
        for (symbol, &len) in lengths.iter().enumerate() {
            let next = &mut next[usize::from(len) & MAX_BITS];
            // Behind the others, codes may be anything.
            let code = *next & 0x7FFF;
            self.list[(*next >> 16) as usize] = Code::new(u32::from(len), code, symbol);
            *next += 1 << 16 | 1;
        }
        Some(())
    }

    /// The same, with the lengths still to be counted.
    pub(super) fn set_lengths(&mut self, lengths: &[u8]) -> Option<()> {
        let mut counts = [0; MAX_BITS + 1];
        for &len in lengths {
            counts[usize::from(len) & MAX_BITS] += 1;
        }
        self.set(lengths, &counts)
    }

    /// Takes one more code, or `None` if there is no room.
    pub(super) fn push(&mut self, code: Code) -> Option<()> {
        *self.list.get_mut(self.len)? = code;
        self.len += 1;
        self.counts[code.len() as usize & MAX_BITS] += 1;
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

    /// The same, those of each length for themselves, from length 1 on.
    pub(super) fn by_length(&self) -> impl Iterator<Item = (u32, &[Code])> {
        let mut rest = self.list();
        (1..).zip(&self.counts[1..]).map(move |(len, &count)| {
            let (codes, behind) = rest.split_at(usize::from(count));
            rest = behind;
            (len, codes)
        })
    }

    /// Forgets them.
    pub(super) fn clear(&mut self) {
        self.len = 0;
        self.counts = [0; MAX_BITS + 1];
    }
}
