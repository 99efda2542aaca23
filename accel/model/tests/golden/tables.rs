//! What a client does to a Compress AECS between descriptors.

use crate::capture::Recorded;
use pagepress_abi::aecs::compress as at;
use pagepress_fallback::huffman;

fn dword(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn put(bytes: &mut [u8], at: usize, dword: u32) {
    bytes[at..at + 4].copy_from_slice(&dword.to_le_bytes());
}

/// Takes over what QPL changed: where its AECS differs from the one that it
/// had, or all of it if it had none.
pub(crate) fn take_over(ours: &mut [u8], recorded: &[u8], had: Option<&[u8]>) {
    for (i, (ours, &recorded)) in ours.iter_mut().zip(recorded).enumerate() {
        if had.is_none_or(|had| had[i] != recorded) {
            *ours = recorded;
        }
    }
}

/// The same after statistics, which lie where the tables go: the tables and
/// the header are those of the capture if they fit, else made from the counts.
/// Returns whether they had to be made.
pub(crate) fn take_over_with_codes(
    ours: &mut [u8],
    recorded: &Recorded,
    had: Option<&[u8]>,
) -> bool {
    let theirs = recorded.aecs_in.as_ref().expect("a table to encode with");
    let histogram = ours[at::LITERALS..at::BYTES].to_vec();
    // Checksums, not the accumulator.
    let sums = at::ACCUMULATOR_BITS;
    take_over(&mut ours[..sums], &theirs[..sums], had);

    // The header goes behind what the accumulator has already.
    let (carried, their_carried) = match had {
        Some(had) => (
            dword(ours, at::ACCUMULATOR_BITS),
            dword(had, at::ACCUMULATOR_BITS),
        ),
        None => {
            ours[at::ACCUMULATOR..at::LITERALS].fill(0);
            (0, 0)
        }
    };
    let mut bits = carried;
    let mut push = |ours: &mut [u8], value: u32, count: u32| {
        for i in 0..count {
            let byte = &mut ours[at::ACCUMULATOR + bits as usize / 8];
            let bit = 1 << (bits % 8);
            *byte = *byte & !bit | if value >> i & 1 != 0 { bit } else { 0 };
            bits += 1;
        }
    };
    let their_bit = |i: u32| u32::from(theirs[at::ACCUMULATOR + i as usize / 8]) >> (i % 8) & 1;

    let made = !has_codes(&theirs[at::LITERALS..at::BYTES], &histogram);
    if made {
        let is_final = their_bit(their_carried) != 0;
        let (literals, distances) = lengths(&histogram);
        let header = huffman::Header::new(&literals, &distances);
        header.write(is_final, |value, count| push(ours, value, count));
        put_codes(ours, at::LITERALS, &literals);
        put_codes(ours, at::DISTANCES, &distances);
    } else {
        for i in their_carried..dword(theirs, at::ACCUMULATOR_BITS) {
            push(ours, their_bit(i), 1);
        }
        ours[at::LITERALS..at::BYTES].copy_from_slice(&theirs[at::LITERALS..at::BYTES]);
    }
    put(ours, at::ACCUMULATOR_BITS, bits);
    made
}

/// Whether tables have a code for all that was counted, and for the end.
fn has_codes(tables: &[u8], histogram: &[u8]) -> bool {
    let end = 4 * huffman::END_OF_BLOCK;
    (0..tables.len())
        .step_by(4)
        .all(|i| (i != end && dword(histogram, i) == 0) || dword(tables, i) >> 15 & 15 != 0)
}

/// Code lengths for the counts, with an end of block.
fn lengths(histogram: &[u8]) -> ([u8; huffman::LITERALS], [u8; huffman::DISTANCES]) {
    let count = |i: usize| dword(histogram, i);
    let mut literals: [u32; huffman::LITERALS] = core::array::from_fn(|i| count(4 * i));
    literals[huffman::END_OF_BLOCK] = literals[huffman::END_OF_BLOCK].max(1);
    let distances: [u32; huffman::DISTANCES] =
        core::array::from_fn(|i| count(at::HISTOGRAM_DISTANCES + 4 * i));
    let mut lengths = ([0; huffman::LITERALS], [0; huffman::DISTANCES]);
    huffman::code_lengths(&literals, huffman::CODE_BITS_MAX, &mut lengths.0);
    huffman::code_lengths(&distances, huffman::CODE_BITS_MAX, &mut lengths.1);
    lengths
}

fn put_codes(aecs: &mut [u8], at: usize, lengths: &[u8]) {
    let mut codes = vec![0; lengths.len()];
    huffman::canonical_codes(lengths, &mut codes);
    for (i, (&code, &len)) in codes.iter().zip(lengths).enumerate() {
        put(
            aecs,
            at + 4 * i,
            at::code_dword(u32::from(code), u32::from(len)),
        );
    }
}
