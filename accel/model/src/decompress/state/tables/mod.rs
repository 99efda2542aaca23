//! The fields of an AECS that hold Huffman codes (IAA tables 6-14 to
//! 6-19).
//!
//! The device finds a literal or a short length by arithmetic on its code: by
//! how many codes of its length there are (`NUM_CODES`), where they begin
//! (`FIRST_CODES`), and a mapping from there to symbols, which is what differs
//! between [`format1`] and [`format2`]. The other lengths, the distances and
//! the end-of-block are each compared with a code and a mask ([`words`]).
//! Totals and least totals are for the device's pipeline: they are written as
//! it would, and not read.

mod format1;
mod format2;
mod words;

use super::image::{Format, Image};
use crate::decompress::codes::{Code, Codes, MAX_BITS};
use crate::decompress::tables::{self, EOB, Tables};
use core::ops::Range;
use pagepress_abi::ErrorCode;
use pagepress_abi::aecs::decompress as at;
use words::{cam_code, cam_word};

const COUNTS: usize = 0x1F4;
const FIRST_CODES: usize = 0x208;
const FIRST_LENGTH_CODES: usize = 0x21C;
const LITERAL_CAM: usize = 0x230;
const LITERAL_TOTALS: usize = 0x288;
const DISTANCE_CAM: usize = 0x298;
const DISTANCE_TOTALS: usize = 0x310;
const SHORTEST: usize = 0x324;

/// The parts that depend on the codes alone.
const PARTS: [Range<usize>; 3] = [
    at::EOB..at::DROP_BITS,
    format1::FIRST_INDEX..at::STATE,
    0x440..0x4D0,
];

/// Symbols that are found by arithmetic and a mapping; the rest is matched
/// against its code, as is [`EOB`].
const MAPPED: usize = 265;

/// A value for each length of a code; the one at 0 is not used.
type ByLength = [u32; MAX_BITS + 1];

/// Codes of mapped symbols, as both formats have them.
struct Ranges {
    /// How many codes of each length there are.
    counts: ByLength,
    /// The least of them.
    first_codes: ByLength,
}

impl Ranges {
    /// Of a set of codes, ordered by length and code.
    fn of<'a>(codes: impl Iterator<Item = &'a Code>) -> Self {
        let mut ranges = Self {
            counts: [0; MAX_BITS + 1],
            first_codes: [0; MAX_BITS + 1],
        };
        for code in codes {
            let len = code.len() as usize;
            if ranges.counts[len] == 0 {
                ranges.first_codes[len] = code.code();
            }
            ranges.counts[len] += 1;
        }
        ranges
    }

    /// The code of this length with this rank, for a symbol; `None` if it has
    /// more bits than that.
    fn code(&self, len: usize, rank: u32, symbol: usize) -> Option<Code> {
        let code = self.first_codes[len] + rank;
        (code < 1 << len).then_some(Code::new(len as u32, code, symbol))
    }
}

/// The codes of symbols that are found by arithmetic.
fn mapped(literals: &[Code]) -> impl Iterator<Item = &Code> {
    literals.iter().filter(|code| code.symbol() < MAPPED)
}

impl Image {
    /// Whether both have the same tables.
    pub(in crate::decompress) fn has_tables_of(&self, other: &Self) -> bool {
        PARTS
            .iter()
            .all(|part| self.0[part.clone()] == other.0[part.clone()])
    }

    /// Takes over the tables of another one.
    pub(in crate::decompress) fn copy_tables(&mut self, other: &Self) {
        for part in PARTS {
            self.0[part.clone()].copy_from_slice(&other.0[part]);
        }
    }

    /// Reads the codes and makes their tables.
    pub(in crate::decompress) fn tables(
        &self,
        format: Format,
        tables: &mut Tables,
    ) -> Result<(), ErrorCode> {
        let read = self.codes(
            format,
            &mut tables.literal_codes,
            &mut tables.distance_codes,
        );
        read.ok_or(ErrorCode::BAD_AECS)?;
        tables.build();
        Ok(())
    }

    /// `None` if they make no sense.
    fn codes<const N: usize, const M: usize>(
        &self,
        format: Format,
        literals: &mut Codes<N>,
        distances: &mut Codes<M>,
    ) -> Option<()> {
        literals.clear();
        distances.clear();
        let eob = cam_code(self.u32(at::EOB), EOB)?;
        for symbol in MAPPED..tables::LITERALS {
            let word = self.u32(LITERAL_CAM + 4 * (symbol - MAPPED));
            if let Some(code) = cam_code(word, symbol)? {
                literals.push(code)?;
            }
        }
        if let Some(code) = eob {
            literals.push(code)?;
        }
        for symbol in 0..tables::DISTANCES {
            if let Some(code) = cam_code(self.u32(DISTANCE_CAM + 4 * symbol), symbol)? {
                distances.push(code)?;
            }
        }
        distances.sort();

        let ranges = Ranges {
            counts: self.by_length(COUNTS),
            first_codes: self.by_length(FIRST_CODES),
        };
        match format {
            Format::One => self.mapped_1(&ranges, eob, literals)?,
            Format::Two => self.mapped_2(&ranges, literals)?,
        }
        literals.sort();
        Some(())
    }

    /// Puts the codes.
    pub(in crate::decompress) fn put_tables(&mut self, format: Format, tables: &Tables) {
        for part in PARTS {
            self.0[part].fill(0);
        }
        let literals = tables.literal_codes.list();
        let distances = tables.distance_codes.list();
        let ranges = Ranges::of(mapped(literals));
        self.put_by_length(COUNTS, &ranges.counts);
        self.put_by_length(FIRST_CODES, &ranges.first_codes);
        let mut first_length_codes: ByLength = core::array::from_fn(|len| (2 << len) - 1);
        for code in mapped(literals).filter(|code| code.symbol() > EOB) {
            let first = &mut first_length_codes[code.len() as usize];
            *first = (*first).min(code.code());
        }
        self.put_by_length(FIRST_LENGTH_CODES, &first_length_codes);
        match format {
            Format::One => self.put_mapped_1(&ranges, literals),
            Format::Two => self.put_mapped_2(&ranges, literals),
        }

        let mut shortest = (15, 15);
        for code in literals {
            let symbol = code.symbol();
            let total = code.len() + tables::length_extra(symbol);
            match symbol {
                ..EOB => shortest.1 = shortest.1.min(total),
                EOB => self.put_u32(at::EOB, cam_word(code)),
                257..tables::LITERALS => {
                    shortest.0 = shortest.0.min(total);
                    if let Some(i) = symbol.checked_sub(MAPPED) {
                        self.put_u32(LITERAL_CAM + 4 * i, cam_word(code));
                        self.put_total(LITERAL_TOTALS, i, total);
                    }
                }
                _ => {}
            }
        }
        for code in distances {
            let symbol = code.symbol();
            if symbol < tables::DISTANCES {
                self.put_u32(DISTANCE_CAM + 4 * symbol, cam_word(code));
                let total = code.len() + tables::distance_extra(symbol);
                self.put_total(DISTANCE_TOTALS, symbol, total);
            }
        }
        self.put_u32(SHORTEST, shortest.0 | shortest.1 << 4);
    }
}

#[cfg(test)]
mod tests {
    use super::super::BYTES;
    use super::*;

    fn tables_of(literals: &[u8], distances: &[u8]) -> Tables {
        let mut tables = Tables::new();
        tables.literal_codes.set_lengths(literals).unwrap();
        tables.distance_codes.set_lengths(distances).unwrap();
        tables.build();
        tables
    }

    #[test]
    fn tables_survive() {
        let mut skewed = [0; 286];
        for (i, len) in (1..=14).enumerate() {
            skewed[i * 19] = len;
        }
        skewed[256] = 15;
        skewed[285] = 15;
        let mut single = [0; 286];
        single[256] = 1;
        let lengths = |lengths: &[u8]| lengths.to_vec();
        for (literals, distances) in [
            (lengths(&skewed), lengths(&[3, 3, 3, 3, 2, 2])),
            (lengths(&single), lengths(&[0])),
            (lengths(&[9; 286]), lengths(&[5; 30])),
            ([&[8; 100][..], &[9; 186]].concat(), lengths(&[0, 1])),
        ] {
            let tables = tables_of(&literals, &distances);
            for format in [Format::One, Format::Two] {
                let mut image = Image(Box::new([0; BYTES]));
                image.put_tables(format, &tables);
                let mut again = Tables::new();
                image.tables(format, &mut again).unwrap();
                assert_eq!(again.literal_codes.list(), tables.literal_codes.list());
                assert_eq!(again.distance_codes.list(), tables.distance_codes.list());
            }
        }
    }

    #[test]
    fn fields_have_the_form_of_the_specification() {
        let fixed = Tables::fixed();
        let one = Image::default_of(Format::One, &fixed);
        let two = Image::default_of(Format::Two, &fixed);
        assert_eq!((one.0[at::OUTPUT_BITS], one.0[at::FORMAT]), (0, 0));
        assert_eq!((two.0[at::OUTPUT_BITS], two.0[at::FORMAT]), (1, 1));
        for image in [one, two] {
            assert_eq!(image.u16(at::STATE), 1);
            // The end-of-block of the fixed code is seven zeros.
            assert_eq!(image.u32(at::EOB), 0x7F00_8000);
            // Distance 0 has five zeros, distance 29 11101.
            assert_eq!(image.u32(DISTANCE_CAM), 0x7C00_8000);
            assert_eq!(
                image.u32(DISTANCE_CAM + 4 * 29),
                0x7C00_8000 | 0b11101 << 10
            );
            // Symbol 285 has 11000101.
            assert_eq!(image.u32(LITERAL_CAM + 80), 0x7F80_8000 | 0b1100_0101 << 7);
            // Counts: 9 mapped codes of 7 bits, 144 of 8, 112 of 9.
            assert_eq!(image.u32(COUNTS + 4), 9 | 144 << 8 | 112 << 17);
            // No length code of 1 to 6 bits: all ones.
            assert_eq!(image.u32(FIRST_LENGTH_CODES), 0x07FF_FFFF);
            assert_eq!(
                image.u32(FIRST_LENGTH_CODES + 4),
                1 | 0x1FF << 8 | 0x3FF << 17
            );
            // Shortest: lengths 7 bits, literals 8.
            assert_eq!(image.u32(SHORTEST), 0x87);
            assert_eq!(image.u32(DISTANCE_TOTALS + 16) >> 26, 5 + 13);
        }
    }
}
