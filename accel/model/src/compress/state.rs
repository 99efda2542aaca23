//! What the AECS carries from descriptor to descriptor besides tables.

use super::bits::{Bits, UNIT};
use super::plan::{Plan, Tables};
use crate::checksum::Checksums;
use pagepress_abi::ErrorCode;
use pagepress_abi::aecs::compress as layout;

/// Generation 2 marks an AECS after which no descriptor with an index can
/// follow. The specification names the bit and not its place: this is a guess.
const LAST_DESCRIPTOR: u32 = 1 << 31;

/// Bytes of the accumulator.
const ACCUMULATOR_BYTES: usize = layout::ACCUMULATOR_BITS_MAX as usize / 8;

/// The AECS that is read, or the zeros that stand for it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct State<'a> {
    pub(super) crc: u32,
    pub(super) xor: u16,
    pub(super) bits: u32,
    pub(super) accumulator: &'a [u8],
    pub(super) tables: Option<&'a [u8]>,
    pub(super) dictionary: &'a [u8],
}

impl<'a> State<'a> {
    pub(super) fn read(aecs: Option<&'a [u8]>, plan: &Plan) -> Result<Self, ErrorCode> {
        let Some(aecs) = aecs else {
            let none_needed = plan.statistics || plan.tables != Tables::Given;
            if none_needed && plan.dictionary == 0 {
                return Ok(Self::default());
            }
            return Err(ErrorCode::BAD_AECS);
        };
        if aecs.len() < plan.aecs_bytes {
            return Err(ErrorCode::BAD_AECS);
        }
        let dword =
            |at: usize| u32::from_le_bytes([aecs[at], aecs[at + 1], aecs[at + 2], aecs[at + 3]]);
        let mut bits = dword(layout::ACCUMULATOR_BITS);
        if plan.last_descriptor {
            if bits & LAST_DESCRIPTOR != 0 && plan.mini_block.is_some() {
                return Err(ErrorCode::BAD_LINKING);
            }
            bits &= !LAST_DESCRIPTOR;
        }
        // A header needs at least one bit of the accumulator.
        let bits_max = match plan.tables {
            Tables::Given => layout::ACCUMULATOR_BITS_MAX,
            _ => layout::ACCUMULATOR_BITS_MAX - 1,
        };
        if bits > bits_max {
            return Err(ErrorCode::BAD_AECS);
        }
        Ok(Self {
            crc: dword(layout::CRC),
            xor: dword(layout::XOR) as u16,
            bits,
            accumulator: &aecs[layout::ACCUMULATOR..layout::LITERALS],
            tables: Some(&aecs[layout::LITERALS..layout::BYTES]),
            dictionary: &aecs[layout::DICTIONARY..layout::DICTIONARY + plan.dictionary],
        })
    }
}

/// Writes an AECS of at most `limit` bytes: with tables all of it, else the
/// part before them that changes, whose accumulator is one unit of output.
pub(super) fn write(
    out: &mut Vec<u8>,
    limit: usize,
    checksums: Checksums,
    bits: &mut Bits,
    last: bool,
    tables: Option<&[u8]>,
) -> Result<(), ErrorCode> {
    let mut accumulator = [0; ACCUMULATOR_BYTES];
    let room = if tables.is_some() {
        ACCUMULATOR_BYTES
    } else {
        UNIT
    };
    let count = bits
        .save(&mut accumulator[..room])
        .ok_or(ErrorCode::HEADER_TOO_LONG)?;
    let last = u32::from(last) * LAST_DESCRIPTOR;

    out.clear();
    out.extend(checksums.crc().to_le_bytes());
    out.extend(checksums.xor().sum().to_le_bytes());
    out.resize(layout::ACCUMULATOR_BITS, 0);
    out.extend((count | last).to_le_bytes());
    out.extend(&accumulator[..room]);
    out.extend(tables.unwrap_or_default());
    out.truncate(limit);
    Ok(())
}
