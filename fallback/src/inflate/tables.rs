//! Tables that are looked up by the next bits of a stream.

use crate::encoder::{LENGTH_BASE, LENGTH_EXTRA};
use crate::huffman::{self, CODE_BITS_MAX, DISTANCES, END_OF_BLOCK, PLACES, SYMBOLS_MAX};

/// Bits that are looked up at once; a longer code takes a second look. With more of
/// them the tables would leave the page less of a 32 KiB cache.
pub(super) const BITS: u32 = 11;
pub(super) const DISTANCE_BITS: u32 = 8;

/// Entries of second tables for codes that begin alike.
pub(super) const MORE: usize = 1 << (CODE_BITS_MAX as u32 - BITS);
pub(super) const DISTANCE_MORE: usize = 1 << (CODE_BITS_MAX as u32 - DISTANCE_BITS);

/// What the next bits say.
///
/// | bits | of literals | of a length | of a long code |
/// |---|---|---|---|
/// | 5:0 | how many bits it has | extra ones included | those looked up |
/// | 11:8 | how many literals, 1 or 2 | bits below the extra ones | |
/// | 15:12 | nothing | [`MATCH`] | [`LONG`] |
/// | 31:16 | the literals | the least length | where it goes on |
///
/// Bits 7:6 are zero.
pub(super) type Entry = u32;

pub(super) const MATCH: Entry = 1 << 12;
pub(super) const LONG: Entry = 1 << 13;
pub(super) const END: Entry = 1 << 14;
pub(super) const BAD: Entry = 1 << 15;
/// Something else than literals.
pub(super) const OTHER: Entry = MATCH | LONG | END | BAD;

/// A first table, and the second ones behind each other.
pub(super) struct Table<const SIZE: usize> {
    pub(super) first: Box<[Entry; SIZE]>,
    pub(super) second: Box<[Entry]>,
}

pub(super) type Literals = Table<{ 1 << BITS }>;
pub(super) type Distances = Table<{ 1 << DISTANCE_BITS }>;

impl Literals {
    pub(super) fn new(lengths: &[u8]) -> Option<Self> {
        if *lengths.get(END_OF_BLOCK)? == 0 {
            return None;
        }
        let mut table = Self::of(lengths, MORE, |symbol, len| match symbol {
            0..END_OF_BLOCK => (symbol as Entry) << 16 | 1 << 8 | len,
            END_OF_BLOCK => END | len,
            _ => {
                let symbol = symbol - END_OF_BLOCK - 1;
                match (LENGTH_BASE.get(symbol), LENGTH_EXTRA.get(symbol)) {
                    (Some(&base), Some(&extra)) => value(base, len, extra.into()),
                    _ => BAD | len,
                }
            }
        })?;
        // Two literals where their codes are short enough.
        let one_each = *table.first;
        for (index, entry) in table.first.iter_mut().enumerate() {
            let next = one_each[index >> (*entry & 63)];
            let bits = (*entry & 63) + (next & 63);
            if (*entry | next) & OTHER == 0 && bits <= BITS {
                *entry = next >> 16 << 24 | *entry & 0xFF << 16 | 2 << 8 | bits;
            }
        }
        Some(table)
    }
}

impl Distances {
    pub(super) fn new(lengths: &[u8]) -> Option<Self> {
        if lengths.len() > DISTANCES + 2 {
            return None;
        }
        Self::of(lengths, DISTANCE_MORE, |symbol, len| {
            if symbol >= DISTANCES {
                return BAD | len;
            }
            let extra = (symbol as u32 / 2).saturating_sub(1);
            let base = if symbol < 2 {
                symbol as u16 + 1
            } else {
                ((2 + (symbol as u16 & 1)) << extra) + 1
            };
            value(base, len, extra)
        })
    }
}

/// A length or distance.
fn value(base: u16, len: u32, extra: u32) -> Entry {
    Entry::from(base) << 16 | MATCH | len << 8 | (len + extra)
}

impl<const SIZE: usize> Table<SIZE> {
    /// `None` if the code is incomplete or none, or there is no memory. `more` is the
    /// size of a second table, `one` makes the entry of a symbol whose code has so
    /// many bits.
    fn of(lengths: &[u8], more: usize, one: impl Fn(usize, u32) -> Entry) -> Option<Self> {
        if lengths.len() > SYMBOLS_MAX || huffman::places(lengths)? != PLACES {
            return None;
        }
        let bits = SIZE.trailing_zeros();
        let mut codes = [0; SYMBOLS_MAX];
        huffman::canonical_codes(lengths, &mut codes);
        let (mut first, mut second) = (Vec::new(), Vec::new());
        extend(&mut first, SIZE)?;
        for (symbol, (&code, &len)) in codes.iter().zip(lengths).enumerate() {
            let code = usize::from(huffman::reversed(code, len));
            let len = u32::from(len);
            if len == 0 {
                continue;
            }
            if len <= bits {
                fill(&mut first[code..], len, one(symbol, len));
                continue;
            }
            let link = &mut first[code % SIZE];
            if *link == 0 {
                *link = (second.len() as Entry) << 16 | LONG | bits;
                extend(&mut second, more)?;
            }
            let at = (*link >> 16) as usize;
            let len = len - bits;
            fill(
                &mut second[at..at + more][code / SIZE..],
                len,
                one(symbol, len),
            );
        }
        Some(Self {
            first: first.into_boxed_slice().try_into().ok()?,
            second: second.into_boxed_slice(),
        })
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.first) + size_of_val(&*self.second)
    }
}

/// Whatever follows a code of so many bits, the entry is the same.
fn fill(table: &mut [Entry], len: u32, with: Entry) {
    for entry in table.iter_mut().step_by(1 << len) {
        *entry = with;
    }
}

fn extend(table: &mut Vec<Entry>, by: usize) -> Option<()> {
    table.try_reserve_exact(by).ok()?;
    table.resize(table.len() + by, 0);
    Some(())
}
