//! Block headers (RFC 1951, 3.2.3 to 3.2.7), with the device's errors.

use super::bits::Bits;
use super::tables::{Codes, DISTANCES, EOB, LITERALS, Tables};
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
    let code = CodeLengthCode::new(&lengths).ok_or(ErrorCode::BAD_CL_LENGTHS)?;

    let mut lengths = [0; LITERALS];
    let lengths = &mut lengths[..literals];
    let errors = (ErrorCode::FIRST_LL_REPEATS, ErrorCode::WRONG_LL_COUNT);
    if !code.lengths(bits, lengths, errors)? {
        return Ok(None);
    }
    // Each alphabet's lengths stand alone. RFC 1951 lets a repeat run from one
    // into the other; the device does not.
    let mut own = [0; DISTANCES];
    let own = &mut own[..distances];
    let errors = (ErrorCode::FIRST_D_REPEATS, ErrorCode::WRONG_D_COUNT);
    if !code.lengths(bits, own, errors)? {
        return Ok(None);
    }

    // A block that cannot end is refused, as by zlib and by QPL's software.
    if lengths[EOB] == 0 {
        return Err(ErrorCode::NO_LL_CODE);
    }
    let literals = tables.literal_codes.set_lengths(lengths);
    literals.ok_or(ErrorCode::BAD_LL_LENGTHS)?;
    let distances = tables.distance_codes.set_lengths(own);
    distances.ok_or(ErrorCode::BAD_D_LENGTHS)?;
    tables.build();
    Ok(Some(Block::Dynamic))
}

/// The code of the code lengths: at the next seven bits, the symbol and above
/// it the length of its code, 0 for no code.
struct CodeLengthCode([u8; 128]);

impl CodeLengthCode {
    /// `None` if there is no code at all, or too many short ones.
    fn new(lengths: &[u8; 19]) -> Option<Self> {
        let mut codes = Codes::<19>::NONE;
        codes.set_lengths(lengths)?;
        if codes.list().is_empty() {
            return None;
        }
        let mut table = [0; 128];
        for code in codes.list() {
            let first = usize::from(code.code.reverse_bits() >> (16 - u32::from(code.len)));
            let entry = code.symbol as u8 | code.len << 5;
            table
                .iter_mut()
                .skip(first)
                .step_by(1 << code.len)
                .for_each(|e| *e = entry);
        }
        Some(Self(table))
    }

    /// Reads that many lengths; false if the input ends before they do. The
    /// errors are for a repeat where there is nothing to be repeated, and for
    /// one that goes on too long.
    fn lengths(
        &self,
        bits: &mut Bits<'_>,
        lengths: &mut [u8],
        (first, count): (ErrorCode, ErrorCode),
    ) -> Result<bool, ErrorCode> {
        let mut at = 0;
        while at < lengths.len() {
            // A code and what follows it have up to 14 bits.
            if bits.count < 14 {
                bits.refill();
            }
            let entry = self.0[bits.buf as usize & 0x7F];
            let (symbol, len) = (entry & 0x1F, u32::from(entry >> 5));
            if len == 0 {
                // With fewer bits it could be a code that is cut off.
                if bits.count < 7 {
                    return Ok(false);
                }
                return Err(ErrorCode::BAD_CL_CODE);
            }
            let (extra, least) = match symbol {
                16 => (2, 3),
                17 => (3, 3),
                18 => (7, 11),
                _ => (0, 1),
            };
            if bits.count < len + extra {
                return Ok(false);
            }
            let more = bits.buf >> len & ((1 << extra) - 1);
            bits.consume(len + extra);
            if symbol < 16 {
                lengths[at] = symbol;
                at += 1;
                continue;
            }
            let repeated = match (symbol, at) {
                (16, 0) => return Err(first),
                (16, _) => lengths[at - 1],
                _ => 0,
            };
            let end = at + least + more as usize;
            lengths.get_mut(at..end).ok_or(count)?.fill(repeated);
            at = end;
        }
        Ok(true)
    }
}
