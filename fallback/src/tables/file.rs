//! Tables as bytes, for files.
//!
//! | bytes | what |
//! |---|---|
//! | 0..8 | `ppTables` |
//! | 8..12 | the version, 1 |
//! | 12..16 | the id |
//! | 16..24 | pages trained on |
//! | 24..32 | their bytes |
//! | 32..318 | code lengths of literals, end of block and lengths, a byte each |
//! | 318..348 | code lengths of distances |
//! | 348..356 | FNV-1a, of 64 bits, of all before |
//!
//! Numbers have their lowest byte first. Every version begins with the first twelve
//! bytes.

use super::{Codes, Tables, TrainedOn};
use crate::huffman::{DISTANCES, LITERALS};
use core::fmt;

const MAGIC: &[u8; 8] = b"ppTables";

/// The version that is written, and the newest that is read.
pub const VERSION: u32 = 1;

const ID: usize = 12;
const PAGES: usize = 16;
const PAGE_BYTES: usize = 24;
const LENGTHS: usize = 32;
const SUM: usize = LENGTHS + LITERALS + DISTANCES;

/// How many bytes tables are.
pub const BYTES: usize = SUM + 8;

/// Why bytes are no tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BadTables {
    /// They never were any.
    NotTables,
    /// They are of a version that this one does not know.
    Newer {
        /// Their version.
        version: u32,
    },
    /// They were, but are cut short or changed.
    Damaged,
    /// Some symbol has no code, or codes contradict each other.
    Incomplete,
}

impl fmt::Display for BadTables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotTables => f.write_str("these are no tables"),
            Self::Newer { version } => write!(
                f,
                "tables of version {version}, of which nothing is known here; {VERSION} is"
            ),
            Self::Damaged => f.write_str("the tables are damaged or cut short"),
            Self::Incomplete => f.write_str("the tables do not have one code for each symbol"),
        }
    }
}

impl core::error::Error for BadTables {}

/// A sum that no single changed byte leaves as it was.
fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
    })
}

impl Tables {
    /// The tables as bytes, for [`from_bytes`](Self::from_bytes).
    #[must_use]
    pub fn to_bytes(&self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..ID].copy_from_slice(&VERSION.to_le_bytes());
        bytes[ID..PAGES].copy_from_slice(&self.id.get().to_le_bytes());
        bytes[PAGES..PAGE_BYTES].copy_from_slice(&self.trained_on.pages.to_le_bytes());
        bytes[PAGE_BYTES..LENGTHS].copy_from_slice(&self.trained_on.bytes.to_le_bytes());
        let (literals, distances) = bytes[LENGTHS..SUM].split_at_mut(LITERALS);
        literals.copy_from_slice(&self.codes.literals);
        distances.copy_from_slice(&self.codes.distances);
        let sum = sum(&bytes[..SUM]);
        bytes[SUM..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// The tables that [`to_bytes`](Self::to_bytes) made these bytes of.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BadTables> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(BadTables::NotTables)?;
        let version = rest.first_chunk().ok_or(BadTables::Damaged)?;
        match u32::from_le_bytes(*version) {
            0 => return Err(BadTables::Damaged),
            VERSION => {}
            version => return Err(BadTables::Newer { version }),
        }
        let bytes: &[u8; BYTES] = bytes.try_into().map_err(|_| BadTables::Damaged)?;
        let number = |at: usize| {
            let chunk = bytes[at..].first_chunk().expect("there are more behind");
            u64::from_le_bytes(*chunk)
        };
        if number(SUM) != sum(&bytes[..SUM]) {
            return Err(BadTables::Damaged);
        }
        let (literals, distances) = bytes[LENGTHS..SUM].split_at(LITERALS);
        let (mut of_literals, mut of_distances) = ([0; LITERALS], [0; DISTANCES]);
        of_literals.copy_from_slice(literals);
        of_distances.copy_from_slice(distances);
        let codes = Codes::of_lengths(of_literals, of_distances).ok_or(BadTables::Incomplete)?;
        let trained_on = TrainedOn {
            pages: number(PAGES),
            bytes: number(PAGE_BYTES),
        };
        let tables = Self::of_codes(codes, trained_on);
        if tables.id.get().to_le_bytes() != bytes[ID..PAGES] {
            return Err(BadTables::Damaged);
        }
        Ok(tables)
    }
}
