//! How often each symbol occurs: what statistics mode writes, and what codes
//! are made from.

use super::matcher::Sink;
use super::plan::{Ending, Plan};
use super::symbols::{
    DISTANCES, END_OF_BLOCK, FIRST_LENGTH, LENGTH_SYMBOL, LITERALS, distance_symbol,
};
use pagepress_abi::aecs::compress as layout;

/// Counts of symbols.
#[derive(Debug)]
pub(super) struct Histogram {
    pub(super) literals: [u32; LITERALS],
    pub(super) distances: [u32; DISTANCES],
}

impl Histogram {
    pub(super) fn new() -> Self {
        Self {
            literals: [0; LITERALS],
            distances: [0; DISTANCES],
        }
    }

    pub(super) fn clear(&mut self) {
        self.literals.fill(0);
        self.distances.fill(0);
    }

    /// Counts what follows the last token, and, if the plan says so, each
    /// symbol that does not occur as if it did once.
    pub(super) fn finish(&mut self, plan: &Plan) {
        if plan.ending != Ending::Nothing {
            self.literals[END_OF_BLOCK] += 1;
        }
        if plan.complete_tables {
            for count in self.literals.iter_mut().chain(&mut self.distances) {
                *count = (*count).max(1);
            }
        }
    }

    /// Adds the counts to `out` in the layout of the AECS's tables.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let mut bytes = [0; layout::HISTOGRAM_BYTES];
        let (literals, distances) = bytes.split_at_mut(layout::HISTOGRAM_DISTANCES);
        for (table, counts) in [(literals, &self.literals[..]), (distances, &self.distances)] {
            for (dword, &count) in table.chunks_exact_mut(4).zip(counts) {
                dword.copy_from_slice(&count.min(layout::HISTOGRAM_MAX).to_le_bytes());
            }
        }
        out.extend_from_slice(&bytes);
    }
}

impl Sink for Histogram {
    #[inline]
    fn literal(&mut self, byte: u8) {
        self.literals[usize::from(byte)] += 1;
    }

    #[inline]
    fn repeat(&mut self, length: u16, distance: u16) {
        let symbol = usize::from(LENGTH_SYMBOL[usize::from(length)]);
        self.literals[FIRST_LENGTH + symbol] += 1;
        self.distances[distance_symbol(distance)] += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_saturate_where_their_bits_end() {
        let mut histogram = Histogram::new();
        histogram.literals[65] = layout::HISTOGRAM_MAX + 7;
        histogram.distances[29] = 5;
        let mut out = Vec::new();
        histogram.write(&mut out);
        assert_eq!(out.len(), layout::HISTOGRAM_BYTES);
        assert_eq!(out[4 * 65..][..4], layout::HISTOGRAM_MAX.to_le_bytes());
        let distance = layout::HISTOGRAM_DISTANCES + 4 * 29;
        assert_eq!(out[distance..][..4], 5u32.to_le_bytes());
    }
}
