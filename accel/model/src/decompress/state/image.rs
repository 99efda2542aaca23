//! The bytes of an AECS: how fields are reached, which format they have, and
//! what they are where no AECS was read (IAA table 6-19).

use crate::decompress::tables::Tables;
use crate::op::Generation;
use pagepress_abi::aecs::decompress as at;
use pagepress_abi::{ErrorCode, IaaCap};

/// Bytes of an AECS with its history.
pub(in crate::decompress) const BYTES: usize = at::BYTES;

/// The format of the AECS of a generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::decompress) enum Format {
    /// Generation 1: literals and lengths are found by arithmetic.
    One,
    /// Generation 2: each has its length and rank.
    Two,
}

impl Format {
    pub(in crate::decompress) fn of(generation: Generation) -> Self {
        if generation.has(IaaCap::GEN2) {
            Self::Two
        } else {
            Self::One
        }
    }
}

/// The bytes of an AECS.
#[derive(Debug, Clone)]
pub(in crate::decompress) struct Image(pub(in crate::decompress) Box<[u8; BYTES]>);

impl Image {
    /// What stands for an AECS, or for the part of one, that is not read.
    pub(in crate::decompress) fn default_of(format: Format, fixed: &Tables) -> Self {
        let mut image = Self(Box::new([0; BYTES]));
        image.put_format(format);
        image.put_u16(at::STATE, at::state::HEADER);
        image.put_tables(format, fixed);
        image
    }

    pub(super) fn u16(&self, at: usize) -> u16 {
        u16::from_le_bytes([self.0[at], self.0[at + 1]])
    }

    pub(super) fn u32(&self, at: usize) -> u32 {
        u32::from(self.u16(at)) | u32::from(self.u16(at + 2)) << 16
    }

    pub(super) fn put_u16(&mut self, at: usize, value: u16) {
        self.0[at..at + 2].copy_from_slice(&value.to_le_bytes());
    }

    pub(super) fn put_u32(&mut self, at: usize, value: u32) {
        self.0[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }

    pub(super) fn put_format(&mut self, format: Format) {
        let number = u8::from(format == Format::Two);
        self.0[at::OUTPUT_BITS] = self.0[at::OUTPUT_BITS] & !1 | number;
        self.0[at::FORMAT] = self.0[at::FORMAT] & !7 | number;
    }

    /// Whether the AECS has the device's format.
    pub(in crate::decompress) fn check_format(&self, format: Format) -> Result<(), ErrorCode> {
        let marked = self.0[at::OUTPUT_BITS] & 1 != 0;
        match (format, marked, self.0[at::FORMAT] & 7) {
            (Format::One, false, 0) | (Format::Two, true, 1) => Ok(()),
            (Format::Two, false, _) | (Format::Two, _, 0) => Err(ErrorCode::BAD_AECS_FORMAT),
            _ => Err(ErrorCode::BAD_AECS),
        }
    }
}
