//! The mapping of format 1 (generation 1): a byte for each code, in the order
//! of the codes, and for each length of code the place where its bytes begin.
//! A byte is a literal, or, from the first length code of that length on, a
//! length less three.

use super::{EOB, FIRST_LENGTH_CODES, Image, Ranges, at, mapped};
use crate::decompress::codes::{Code, Codes, MAX_BITS};

pub(super) const FIRST_INDEX: usize = 0x1E0;
const MAPPING: usize = 0x328;

impl Image {
    /// Adds the codes of mapped symbols. `None` if they make no sense.
    pub(super) fn mapped_1<const N: usize>(
        &self,
        ranges: &Ranges,
        eob: Option<Code>,
        literals: &mut Codes<N>,
    ) -> Option<()> {
        let first_index = self.by_length(FIRST_INDEX);
        let first_length_codes = self.by_length(FIRST_LENGTH_CODES);
        for len in 1..=MAX_BITS {
            for rank in 0..ranges.counts[len] {
                let code = ranges.code(len, rank, 0)?;
                let index = (first_index[len] + rank) as usize;
                if index >= at::STATE - MAPPING {
                    return None;
                }
                let value = usize::from(self.0[MAPPING + index]);
                let symbol = match value {
                    _ if code.code() < first_length_codes[len] => value,
                    0..8 => value + 257,
                    _ => return None,
                };
                // The end-of-block has a place among these, but no value.
                if eob != Some(Code::new(code.len(), code.code(), EOB)) {
                    literals.push(Code::new(code.len(), code.code(), symbol))?;
                }
            }
        }
        Some(())
    }

    /// Puts the mapping.
    pub(super) fn put_mapped_1(&mut self, ranges: &Ranges, literals: &[Code]) {
        let mut first_index = [0; MAX_BITS + 1];
        for len in 1..MAX_BITS {
            first_index[len + 1] = first_index[len] + ranges.counts[len];
        }
        self.put_by_length(FIRST_INDEX, &first_index);
        for (i, code) in mapped(literals).enumerate() {
            self.0[MAPPING + i] = match code.symbol() {
                symbol @ ..EOB => symbol as u8,
                EOB => 0,
                symbol => (symbol - 257) as u8,
            };
        }
    }
}
