//! Block headers (RFC 1951, 3.2.3 to 3.2.7), with the device's errors.

use super::bits::{Bits, REFILL};
use super::codes::{Codes, Counts, MAX_BITS};
use super::tables::{CodeLengthTable, DISTANCES, EOB, LITERALS, Tables, entry};
use pagepress_abi::ErrorCode;

/// What a block header announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Block {
    /// That many bytes as they are.
    Stored(u32),
    /// Tokens in the fixed code.
    Fixed,
    /// Tokens in a code of their own, which is in the tables now.
    Dynamic,
}

/// The order in which the lengths of the code-length code are stored.
const ORDER: [u8; 19] = [
    16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
];

/// Reads a header: whether the block is the last one, and what it is. `None`
/// if the input ends before the header does; then `bits` has not moved.
pub(super) fn read(
    bits: &mut Bits<'_>,
    tables: &mut Tables,
) -> Result<Option<(bool, Block)>, ErrorCode> {
    let mut ahead = *bits;
    let Some(first) = ahead.take(3) else {
        return Ok(None);
    };
    let block = match first >> 1 {
        0 => stored(&mut ahead)?,
        1 => Some(Block::Fixed),
        2 => dynamic(&mut ahead, tables)?,
        _ => return Err(ErrorCode::BAD_BLOCK_TYPE),
    };
    Ok(block.map(|block| {
        *bits = ahead;
        (first & 1 != 0, block)
    }))
}

fn stored(bits: &mut Bits<'_>) -> Result<Option<Block>, ErrorCode> {
    let Some(word) = bits.align().and_then(|()| bits.take(32)) else {
        return Ok(None);
    };
    let (len, complement) = (word & 0xFFFF, word >> 16);
    if len ^ complement != 0xFFFF {
        return Err(ErrorCode::BAD_STORED_LENGTH);
    }
    Ok(Some(Block::Stored(len)))
}

fn dynamic(bits: &mut Bits<'_>, tables: &mut Tables) -> Result<Option<Block>, ErrorCode> {
    let Some(counts) = bits.take(14) else {
        return Ok(None);
    };
    let literals = (counts & 0x1F) as usize + 257;
    let distances = (counts >> 5 & 0x1F) as usize + 1;
    let code_lengths = (counts >> 10) as usize + 4;
    if literals > LITERALS {
        return Err(ErrorCode::HLIT_TOO_LARGE);
    }
    if distances > DISTANCES {
        return Err(ErrorCode::HDIST_TOO_LARGE);
    }

    let mut lengths = [0; 19];
    for &symbol in &ORDER[..code_lengths] {
        let Some(len) = bits.take(3) else {
            return Ok(None);
        };
        lengths[usize::from(symbol)] = len as u8;
    }
    let mut codes = Codes::<19>::NONE;
    codes
        .set_lengths(&lengths)
        .filter(|()| !codes.list().is_empty())
        .ok_or(ErrorCode::BAD_CL_LENGTHS)?;
    let code = &mut tables.code_lengths;
    code.build(&codes, &CODE_LENGTH_ENTRIES);

    let mut own = Lengths::<LITERALS_ROOM>::new(literals);
    let errors = (ErrorCode::FIRST_LL_REPEATS, ErrorCode::WRONG_LL_COUNT);
    if !own.read(bits, code, errors)? {
        return Ok(None);
    }
    // Each alphabet's lengths stand alone. RFC 1951 lets a repeat run from one
    // into the other; the device does not.
    let mut own_distances = Lengths::<DISTANCES_ROOM>::new(distances);
    let errors = (ErrorCode::FIRST_D_REPEATS, ErrorCode::WRONG_D_COUNT);
    if !own_distances.read(bits, code, errors)? {
        return Ok(None);
    }

    // A block that cannot end is refused, as by zlib and by QPL's software.
    if own.list()[EOB] == 0 {
        return Err(ErrorCode::NO_LL_CODE);
    }
    let literals = tables.literal_codes.set(own.list(), &own.counts);
    literals.ok_or(ErrorCode::BAD_LL_LENGTHS)?;
    let distances = tables
        .distance_codes
        .set(own_distances.list(), &own_distances.counts);
    distances.ok_or(ErrorCode::BAD_D_LENGTHS)?;
    tables.build();
    Ok(Some(Block::Dynamic))
}

/// For a table of code lengths: in a value's bits 7:0 how many lengths, in
/// 11:8 which. The extra bits add to how many.
static CODE_LENGTH_ENTRIES: [u32; 19] = {
    let mut entries = [0; 19];
    let mut len = 0;
    while len < 16 {
        entries[len] = (1 | (len as u32) << 8) << 16;
        len += 1;
    }
    entries[16] = AGAIN | 3 << 16 | 2;
    entries[17] = 3 << 16 | 3;
    entries[18] = 11 << 16 | 7;
    entries
};

/// The flag of the entry for the length before, instead of the value's.
const AGAIN: u32 = entry::LITERAL;

/// The most bits of a code of a length, and behind it.
const LENGTH_BITS_MAX: u32 = 14;

/// Bytes that lengths are written by, so that no step need be shorter. Longer
/// runs are of zeros, which are there from the beginning.
const STEP: usize = 8;
const LITERALS_ROOM: usize = LITERALS + STEP;
const DISTANCES_ROOM: usize = DISTANCES + STEP;

/// The lengths of an alphabet's codes.
struct Lengths<const ROOM: usize> {
    lengths: [u8; ROOM],
    count: usize,
    counts: Counts,
}

impl<const ROOM: usize> Lengths<ROOM> {
    /// So many, all zero.
    fn new(count: usize) -> Self {
        debug_assert!(count + STEP <= ROOM);
        Self {
            lengths: [0; ROOM],
            count,
            counts: [0; MAX_BITS + 1],
        }
    }

    fn list(&self) -> &[u8] {
        &self.lengths[..self.count]
    }

    /// Reads them; false if the input ends before they do. The errors are for
    /// a repeat where there is nothing to be repeated, and for one that goes
    /// on too long.
    fn read(
        &mut self,
        bits: &mut Bits<'_>,
        code: &CodeLengthTable,
        (first, count): (ErrorCode, ErrorCode),
    ) -> Result<bool, ErrorCode> {
        let mut at = 0;
        let mut last = 0;
        while at < self.count {
            bits.refill();
            for _ in 0..REFILL / LENGTH_BITS_MAX {
                let entry = code.get_short(bits.buf);
                if entry & entry::INVALID != 0 {
                    // With fewer bits it could be a code that is cut off.
                    if bits.count < CodeLengthTable::BITS {
                        return Ok(false);
                    }
                    return Err(ErrorCode::BAD_CL_CODE);
                }
                let used = entry::bits(entry);
                if used > bits.count {
                    return Ok(false);
                }
                let value = entry::value_in(entry, bits.buf);
                bits.consume(used);
                let again = entry & AGAIN != 0;
                if again && at == 0 {
                    return Err(first);
                }
                last = if again { last } else { (value >> 8) as u8 };
                let repeats = value & 0xFF;
                // What is too much is overwritten by the next step.
                let run = u64::from(last) * (u64::MAX / 0xFF);
                self.lengths[at..at + STEP].copy_from_slice(&run.to_le_bytes());
                self.counts[usize::from(last) & MAX_BITS] += repeats as u16;
                at += repeats;
                if at >= self.count {
                    break;
                }
            }
        }
        if at > self.count {
            Err(count)
        } else {
            Ok(true)
        }
    }
}
