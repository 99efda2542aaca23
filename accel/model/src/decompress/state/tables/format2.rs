//! The mapping of format 2 (generation 2): for each symbol the length of its
//! code, and its rank among the codes of that length.

use super::{EOB, Image, MAPPED, Ranges, mapped};
use crate::decompress::codes::{Code, Codes};
use crate::decompress::state::pack::{Packer, Unpacker};
use core::ops::Range;

const MAPPING_CAM: [Range<usize>; 2] = [0x340..0x420, 0x440..0x4D0];

/// Bits of a symbol's entry: a length, and a rank among the codes of that
/// length, of which there are no more than symbols before it.
const fn mapping_bits(symbol: usize) -> u32 {
    4 + (usize::BITS - symbol.leading_zeros())
}

/// Bytes of the mapping.
const MAPPING_BYTES: usize = {
    let mut bits = 0;
    let mut symbol = 0;
    while symbol < MAPPED {
        bits += mapping_bits(symbol) as usize;
        symbol += 1;
    }
    bits.div_ceil(8)
};

const _: () = assert!(MAPPING_BYTES == 2934_usize.div_ceil(8));
const _: () = assert!(MAPPING_BYTES <= 224 + 144);

impl Image {
    /// Adds the codes of mapped symbols. `None` if they make no sense.
    pub(super) fn mapped_2<const N: usize>(
        &self,
        ranges: &Ranges,
        literals: &mut Codes<N>,
    ) -> Option<()> {
        let mut reader = Unpacker::new(MAPPING_CAM.map(|part| &self.0[part]));
        for symbol in 0..MAPPED {
            let entry = reader.take(mapping_bits(symbol));
            let (len, rank) = ((entry & 15) as usize, entry >> 4);
            if len == 0 || symbol == EOB {
                continue;
            }
            if rank >= ranges.counts[len] {
                return None;
            }
            literals.push(ranges.code(len, rank, symbol)?)?;
        }
        Some(())
    }

    /// Puts the mapping.
    pub(super) fn put_mapped_2(&mut self, ranges: &Ranges, literals: &[Code]) {
        let mut entries = [0; MAPPED];
        for code in mapped(literals) {
            let rank = code.code() - ranges.first_codes[code.len() as usize];
            entries[code.symbol()] = code.len() | rank << 4;
        }
        let mut bytes = [0; MAPPING_BYTES];
        let mut writer = Packer::new(&mut bytes);
        for (symbol, &entry) in entries.iter().enumerate() {
            writer.put(u64::from(entry), mapping_bits(symbol));
        }
        writer.finish();
        let [one, two] = MAPPING_CAM;
        let (first, second) = bytes.split_at(one.len());
        self.0[one].copy_from_slice(first);
        self.0[two][..second.len()].copy_from_slice(second);
    }
}
