//! Operation codes: byte 7 of a descriptor (IAA table 6-1; `idxd.h`
//! `enum iax_opcode`).

use core::fmt;

/// An operation code. Any byte is one; the named ones mean something.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Opcode(pub u8);

impl Opcode {
    /// Does nothing but complete.
    pub const NOOP: Self = Self(0x00);
    /// Completes after all descriptors submitted to the queue before it.
    pub const DRAIN: Self = Self(0x02);
    /// Generation 2: fills the address translation cache.
    pub const TRANSLATION_FETCH: Self = Self(0x0A);
    /// Inflates raw deflate.
    pub const DECOMPRESS: Self = Self(0x42);
    /// Makes raw deflate, or a histogram of its tokens.
    pub const COMPRESS: Self = Self(0x43);
    /// A 64-bit CRC with a polynomial of the caller's choice.
    pub const CRC64: Self = Self(0x44);

    /// The operation's name, if it has one on any generation.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0x00 => "noop",
            0x02 => "drain",
            0x03 => "memmove",
            0x0A => "translation-fetch",
            0x40 => "decrypt",
            0x41 => "encrypt",
            0x42 => "decompress",
            0x43 => "compress",
            0x44 => "crc64",
            0x48 => "zero-decompress-32",
            0x49 => "zero-decompress-16",
            0x4A => "zero-decompress-8",
            0x4C => "zero-compress-32",
            0x4D => "zero-compress-16",
            0x4E => "zero-compress-8",
            0x50 => "scan",
            0x51 => "set-membership",
            0x52 => "extract",
            0x53 => "select",
            0x54 => "rle-burst",
            0x55 => "find-unique",
            0x56 => "expand",
            _ => return None,
        })
    }
}

impl fmt::Debug for Opcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Opcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => write!(f, "opcode {:#04x}", self.0),
        }
    }
}
