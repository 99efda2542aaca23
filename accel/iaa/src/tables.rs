//! Huffman tables in the AECS of Compress: fixed, made for one page, or canned.

use pagepress_abi::aecs::compress as aecs;
use pagepress_fallback::huffman::{self, DISTANCES, LITERALS, LengthCounts};

pub use pagepress_fallback::tables::{Codes, Histogram};

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
    let (literals, distances) = &huffman::FIXED;
    let (mut of_literals, mut of_distances) = (LengthCounts::default(), LengthCounts::default());
    (of_literals[7], of_literals[8], of_literals[9]) = (24, 152, 112);
    of_distances[5] = 32;
    put_codes(&mut bytes, aecs::LITERALS, literals, &of_literals);
    put_codes(&mut bytes, aecs::DISTANCES, distances, &of_distances);
    // The last two of each have codes and no meaning.
    bytes[aecs::LITERALS + 4 * LITERALS..aecs::DISTANCES].fill(0);
    bytes[aecs::DISTANCES + 4 * DISTANCES..].fill(0);
    bytes
}

/// Reads the histogram that statistics mode wrote.
#[must_use]
pub fn read_histogram(bytes: &[u8; aecs::HISTOGRAM_BYTES]) -> Histogram {
    let mut histogram = Histogram::default();
    let read = |counts: &mut [u32], bytes: &[u8]| {
        for (count, dword) in counts.iter_mut().zip(bytes.chunks_exact(4)) {
            *count = u32::from_le_bytes([dword[0], dword[1], dword[2], dword[3]]);
        }
    };
    read(&mut histogram.literals, bytes);
    read(
        &mut histogram.distances,
        &bytes[aecs::HISTOGRAM_DISTANCES..],
    );
    histogram
}

/// Writes the AECS of a page with a header of its own. `bytes` may hold anything.
pub fn write(codes: &Codes, bytes: &mut Aecs) {
    let header = codes.block_header();
    let bits = header.bits() as u32;
    assert!(bits <= aecs::ACCUMULATOR_BITS_MAX);
    bytes[..aecs::LITERALS].fill(0);
    bytes[aecs::ACCUMULATOR_BITS..aecs::ACCUMULATOR_BITS + 4].copy_from_slice(&bits.to_le_bytes());
    // It may touch what is behind, so the codes come after it.
    header.write_bytes(true, &mut bytes[aecs::ACCUMULATOR..]);
    put_all_codes(codes, bytes);
}

/// Writes the AECS of a page whose reader has the tables.
pub fn write_without_header(codes: &Codes, bytes: &mut Aecs) {
    bytes[..aecs::LITERALS].fill(0);
    put_all_codes(codes, bytes);
}

fn put_all_codes(codes: &Codes, bytes: &mut Aecs) {
    let [of_literals, of_distances] = codes.of_length();
    put_codes(bytes, aecs::LITERALS, codes.literals(), of_literals);
    put_codes(bytes, aecs::DISTANCES, codes.distances(), of_distances);
}

/// Writes the canonical codes of these lengths, of each of which there are
/// exactly so many.
fn put_codes(bytes: &mut Aecs, at: usize, lengths: &[u8], of_length: &LengthCounts) {
    let first = huffman::first_codes(of_length);
    let mut up = [0u32; 16];
    let mut down = [0u32; 16];
    for len in 1..16 {
        up[len] = aecs::code_dword(u32::from(first[len]), len as u32);
        down[len] = up[len] + u32::from(of_length[len]);
    }
    // From both ends, so that a symbol need not wait for the one before it if
    // that has a code of the same length.
    let (low, high) = lengths.split_at(lengths.len() / 2);
    let (of_low, of_high) = bytes[at..at + 4 * lengths.len()].split_at_mut(4 * low.len());
    let mut from_below = of_low.chunks_exact_mut(4).zip(low);
    let from_above = of_high.chunks_exact_mut(4).zip(high).rev();
    for (dword, &len) in from_above {
        let code = &mut down[usize::from(len & 15)];
        *code = code.wrapping_sub(u32::from(len != 0));
        dword.copy_from_slice(&code.to_le_bytes());
        if let Some((dword, &len)) = from_below.next() {
            let code = &mut up[usize::from(len & 15)];
            dword.copy_from_slice(&code.to_le_bytes());
            *code += u32::from(len != 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pagepress_fallback::huffman::END_OF_BLOCK;

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
        write(&codes, &mut bytes);
        let (header, bits) = codes.header();
        assert_eq!(dword(&bytes, aecs::ACCUMULATOR_BITS) as usize, bits);
        assert_eq!(bytes[aecs::ACCUMULATOR..][..header.len()], header[..]);
        assert_eq!(header[0] & 7, 0b101, "final, dynamic");
        let len = |symbol: usize| dword(&bytes, aecs::LITERALS + 4 * symbol) >> 15;
        assert!(len(END_OF_BLOCK) > 0 && len(7) > 0 && len(8) == 0);
        assert_eq!(dword(&bytes, aecs::DISTANCES), 0, "no match, no distance");
    }
}
