//! Header generation (generation 2): codes from counts, and the header of a
//! dynamic block that describes them.

use super::bits::Bits;
use super::codes::Codes;
use super::plan::BlockHeader;
use super::stats::Histogram;
use super::symbols::{DISTANCES, END_OF_BLOCK, LITERALS};
use pagepress_abi::ErrorCode;
use pagepress_abi::aecs::compress::ACCUMULATOR_BITS_MAX;
use pagepress_fallback::huffman;

/// Makes optimal codes of at most 15 bits for the counts, and adds the header
/// to the bits.
pub(super) fn generate(
    histogram: &Histogram,
    header: Option<BlockHeader>,
    codes: &mut Codes,
    bits: &mut Bits,
) -> Result<(), ErrorCode> {
    let (mut literals, mut distances) = ([0; LITERALS], [0; DISTANCES]);
    let max = huffman::CODE_BITS_MAX;
    huffman::code_lengths(&histogram.literals, max, &mut literals);
    huffman::code_lengths(&histogram.distances, max, &mut distances);
    codes.assign(&literals, &distances);

    let Some(header) = header else {
        return Ok(());
    };
    // A header has the lengths of 257 literals or more, so one symbol of at
    // least that number must have a code.
    if literals[END_OF_BLOCK..].iter().all(|&len| len == 0) {
        return Err(ErrorCode::NO_HEADER_POSSIBLE);
    }
    let lengths = huffman::Header::new(&literals, &distances);
    if bits.total() + lengths.bits() > ACCUMULATOR_BITS_MAX as usize {
        return Err(ErrorCode::HEADER_TOO_LONG);
    }
    let mut pending = bits.take();
    lengths.write(header.is_final, |value, count| {
        pending.put(u64::from(value), count);
    });
    pending.give_back();
    Ok(())
}
