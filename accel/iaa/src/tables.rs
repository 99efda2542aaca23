//! Huffman tables in the AECS of Compress: fixed, made for one page, or canned.

use core::fmt;
use pagepress_abi::aecs::compress as aecs;
use pagepress_fallback::huffman::{
    self, CODE_BITS_MAX, DISTANCES, END_OF_BLOCK, Header, LITERALS, SYMBOLS_MAX,
};

/// The AECS of Compress with its tables.
pub type Aecs = [u8; aecs::BYTES];

/// A Compress AECS for one final block with the fixed codes (RFC 1951, 3.2.6):
/// the block's header in the accumulator, the codes in the tables. It is only
/// read, so any number of descriptors may share it.
#[must_use]
pub fn fixed_aecs() -> Aecs {
    let mut bytes = [0; aecs::BYTES];
    // BFINAL 1, BTYPE 01, lowest bit first.
    bytes[aecs::ACCUMULATOR_BITS] = 3;
    bytes[aecs::ACCUMULATOR] = 0b011;
    let mut literals = [8; SYMBOLS_MAX];
    literals[144..256].fill(9);
    literals[256..280].fill(7);
    put_codes(&mut bytes, aecs::LITERALS, &literals, LITERALS);
    put_codes(&mut bytes, aecs::DISTANCES, &[5; DISTANCES], DISTANCES);
    bytes
}

/// The histogram that statistics mode writes.
#[derive(Clone)]
pub struct Histogram {
    literals: [u32; LITERALS],
    distances: [u32; DISTANCES],
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tokens: u32 = self.literals.iter().sum();
        write!(f, "Histogram({tokens} tokens)")
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            literals: [0; LITERALS],
            distances: [0; DISTANCES],
        }
    }
}

impl Histogram {
    /// Reads what the device wrote.
    #[must_use]
    pub fn read(bytes: &[u8; aecs::HISTOGRAM_BYTES]) -> Self {
        let count = |at: usize| {
            let dword = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
            u32::from_le_bytes(dword)
        };
        Self {
            literals: core::array::from_fn(|i| count(4 * i)),
            distances: core::array::from_fn(|i| count(aecs::HISTOGRAM_DISTANCES + 4 * i)),
        }
    }

    /// Adds another one, for tables that are to serve many pages.
    pub fn add(&mut self, other: &Self) {
        let pairs = self.literals.iter_mut().zip(&other.literals);
        for (sum, count) in pairs.chain(self.distances.iter_mut().zip(&other.distances)) {
            *sum = sum.saturating_add(*count);
        }
    }

    /// Gives every symbol a count, so that tables serve pages that nobody has
    /// seen yet.
    pub fn complete(&mut self) {
        for count in self.literals.iter_mut().chain(&mut self.distances) {
            *count = (*count).max(1);
        }
    }
}

/// Codes for pages with these counts, and the header that tells them.
#[derive(Debug, Clone)]
pub struct Codes {
    literals: [u8; LITERALS],
    distances: [u8; DISTANCES],
    header: Header,
}

impl Codes {
    /// The best codes for these counts.
    #[must_use]
    pub fn new(histogram: &Histogram) -> Self {
        let mut counts = histogram.literals;
        // The histogram counts no end of block, and every block has one.
        counts[END_OF_BLOCK] = counts[END_OF_BLOCK].max(1);
        let (mut literals, mut distances) = ([0; LITERALS], [0; DISTANCES]);
        huffman::code_lengths(&counts, CODE_BITS_MAX, &mut literals);
        huffman::code_lengths(&histogram.distances, CODE_BITS_MAX, &mut distances);
        let header = Header::new(&literals, &distances);
        Self {
            literals,
            distances,
            header,
        }
    }

    /// Code lengths of literals, end of block and lengths.
    #[must_use]
    pub fn literals(&self) -> &[u8; LITERALS] {
        &self.literals
    }

    /// Code lengths of distances.
    #[must_use]
    pub fn distances(&self) -> &[u8; DISTANCES] {
        &self.distances
    }

    /// The header of a final block, as bytes and how many bits of them count.
    #[must_use]
    pub fn header(&self) -> (Vec<u8>, usize) {
        let mut bytes = vec![0; self.header.bits().div_ceil(8)];
        put_header(&mut bytes, &self.header);
        (bytes, self.header.bits())
    }

    /// Writes the AECS of a page with a header of its own. `bytes` may hold
    /// anything.
    pub fn write(&self, bytes: &mut Aecs) {
        self.write_without_header(bytes);
        let bits = self.header.bits() as u32;
        bytes[aecs::ACCUMULATOR_BITS..aecs::ACCUMULATOR_BITS + 4]
            .copy_from_slice(&bits.to_le_bytes());
        put_header(&mut bytes[aecs::ACCUMULATOR..aecs::LITERALS], &self.header);
    }

    /// Writes the AECS of a page whose reader has the tables.
    pub fn write_without_header(&self, bytes: &mut Aecs) {
        bytes[..aecs::LITERALS].fill(0);
        put_codes(bytes, aecs::LITERALS, &self.literals, LITERALS);
        put_codes(bytes, aecs::DISTANCES, &self.distances, DISTANCES);
    }
}

/// Writes the canonical codes of these lengths, of the first `count` symbols.
fn put_codes(bytes: &mut Aecs, at: usize, lengths: &[u8], count: usize) {
    let mut codes = [0; SYMBOLS_MAX];
    huffman::canonical_codes(lengths, &mut codes[..lengths.len()]);
    let dwords = bytes[at..at + 4 * count].chunks_exact_mut(4);
    for (dword, (&code, &len)) in dwords.zip(codes.iter().zip(lengths)) {
        dword.copy_from_slice(&aecs::code_dword(u32::from(code), u32::from(len)).to_le_bytes());
    }
}

/// Writes a header, lowest bit of each byte first, over zeroes.
fn put_header(bytes: &mut [u8], header: &Header) {
    let (mut bits, mut count, mut at) = (0u64, 0, 0);
    header.write(true, |value, len| {
        bits |= u64::from(value) << count;
        count += len;
        if count >= 32 {
            bytes[at..at + 4].copy_from_slice(&(bits as u32).to_le_bytes());
            at += 4;
            bits >>= 32;
            count -= 32;
        }
    });
    let rest = count.div_ceil(8) as usize;
    bytes[at..at + rest].copy_from_slice(&bits.to_le_bytes()[..rest]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dword(bytes: &Aecs, at: usize) -> u32 {
        u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
    }

    /// Table values of Linux' `iaa_crypto_comp_fixed.c`.
    #[test]
    fn fixed_codes_are_those_of_the_kernel() {
        let bytes = fixed_aecs();
        let literal = |symbol: usize| dword(&bytes, aecs::LITERALS + 4 * symbol);
        assert_eq!([literal(0), literal(143)], [0x40030, 0x400BF]);
        assert_eq!([literal(144), literal(255)], [0x48190, 0x481FF]);
        assert_eq!(
            [literal(256), literal(280), literal(285)],
            [0x38000, 0x400C0, 0x400C5]
        );
        assert_eq!(dword(&bytes, aecs::DISTANCES), 0x28000);
        assert_eq!(dword(&bytes, aecs::DISTANCES + 4 * 29), 0x2801D);
        assert_eq!(dword(&bytes, aecs::ACCUMULATOR_BITS), 3);
    }

    #[test]
    fn codes_tell_themselves() {
        let mut histogram = Histogram::default();
        for (i, count) in histogram.literals.iter_mut().enumerate().step_by(7) {
            *count = i as u32 * 3 + 1;
        }
        let codes = Codes::new(&histogram);
        let mut bytes = [0xFF; aecs::BYTES];
        codes.write(&mut bytes);
        let (header, bits) = codes.header();
        assert_eq!(dword(&bytes, aecs::ACCUMULATOR_BITS) as usize, bits);
        assert_eq!(bytes[aecs::ACCUMULATOR..][..header.len()], header[..]);
        assert_eq!(header[0] & 7, 0b101, "final, dynamic");
        let len = |symbol: usize| dword(&bytes, aecs::LITERALS + 4 * symbol) >> 15;
        assert!(len(END_OF_BLOCK) > 0 && len(7) > 0 && len(8) == 0);
        assert_eq!(dword(&bytes, aecs::DISTANCES), 0, "no match, no distance");
    }
}
