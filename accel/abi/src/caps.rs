//! What a device can do, as its registers and sysfs say (DSA 9.2, IAA 7.2).

use core::fmt;

/// The VERSION register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u32);

impl Version {
    /// Generation 1: Sapphire Rapids, Emerald Rapids.
    pub const GEN1: Self = Self(0x100);
    /// Generation 2: Granite Rapids, Sierra Forest.
    pub const GEN2: Self = Self(0x200);
}

/// The GENCAP register (DSA 9.2.2, IAA 7.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GenCap(pub u64);

impl GenCap {
    /// What Sapphire Rapids reports.
    pub const SAPPHIRE_RAPIDS: Self = Self(0x0007_1F10_901F_0105);

    /// Descriptors may ask to wait for page faults.
    #[must_use]
    pub const fn block_on_fault(self) -> bool {
        self.0 & 1 << 0 != 0
    }

    /// Descriptors may steer their output to the cache.
    #[must_use]
    pub const fn cache_control(self) -> bool {
        self.0 & 1 << 2 != 0
    }

    /// Descriptors may ask for their output to be read back.
    #[must_use]
    pub const fn destination_readback(self) -> bool {
        self.0 & 1 << 8 != 0
    }

    /// Completion records say which address faulted.
    #[must_use]
    pub const fn fault_info(self) -> bool {
        self.0 & 1 << 12 != 0
    }

    /// The most bytes a transfer may have.
    #[must_use]
    pub const fn max_transfer(self) -> u64 {
        1 << (self.0 >> 16 & 0x1F)
    }

    /// Decompress is supported.
    #[must_use]
    pub const fn decompress(self) -> bool {
        self.0 & 1 << 40 != 0
    }

    /// Mini-block indexing is supported.
    #[must_use]
    pub const fn indexing(self) -> bool {
        self.0 & 1 << 41 != 0
    }
}

/// The IAACAP register of generation 2 (IAA 7.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct IaaCap(pub u64);

impl IaaCap {
    /// The least that generation 2 can: format 2 of the AECS among it.
    pub const GEN2: Self = Self(1 << 0);
    /// Leading bits of the input can be dropped.
    pub const DROP_BITS: Self = Self(1 << 1);
    /// CRC64 can inflate its input.
    pub const CRC64_CHAINING: Self = Self(1 << 2);
    /// Filters can force an array.
    pub const FORCE_ARRAY: Self = Self(1 << 3);
    /// A partial AECS can be loaded.
    pub const LOAD_PARTIAL: Self = Self(1 << 4);
    /// Compress can give up early.
    pub const EARLY_ABORT: Self = Self(1 << 5);
    /// Compress can use a dictionary.
    pub const DICTIONARY: Self = Self(1 << 7);
    /// Compress can make Huffman codes and a header.
    pub const HEADER_GEN: Self = Self(1 << 8);

    /// Whether all of `other` is there.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// The OPCAP register: one bit per opcode, 256 of them. A queue's op_config
/// has the same form.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct OpCap(pub [u64; 4]);

impl OpCap {
    /// What Sapphire Rapids reports (words of 64 bits, lowest first).
    pub const SAPPHIRE_RAPIDS: Self = Self([0xD, 0x7F_331C, 0, 0]);

    /// Whether the bit of `opcode` is set.
    #[must_use]
    pub const fn has(self, opcode: crate::Opcode) -> bool {
        self.0[opcode.0 as usize / 64] >> (opcode.0 % 64) & 1 != 0
    }

    /// The operations that are in both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(core::array::from_fn(|i| self.0[i] & other.0[i]))
    }

    /// With these operations too.
    #[must_use]
    pub const fn with(mut self, opcode: crate::Opcode) -> Self {
        self.0[opcode.0 as usize / 64] |= 1 << (opcode.0 % 64);
        self
    }

    /// None of them.
    pub const NONE: Self = Self([0; 4]);
}

/// As current kernels print it: eight words of 32 bits, highest first.
impl fmt::Display for OpCap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, word) in self.0.iter().rev().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            write!(f, "{comma}{:08x},{:08x}", word >> 32, word & 0xFFFF_FFFF)?;
        }
        Ok(())
    }
}

impl fmt::Debug for OpCap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpCap({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Opcode;

    #[test]
    fn sapphire_rapids() {
        let op = OpCap::SAPPHIRE_RAPIDS;
        let text = "00000000,00000000,00000000,00000000,00000000,007f331c,00000000,0000000d";
        assert_eq!(op.to_string(), text);
        for (code, there) in [
            (0x00, true),
            (0x01, false),
            (0x02, true),
            (0x42, true),
            (0x43, true),
        ] {
            assert_eq!(op.has(Opcode(code)), there, "{code:#x}");
        }
        let cap = GenCap::SAPPHIRE_RAPIDS;
        assert_eq!(cap.0, 0x71f10901f0105);
        assert_eq!(cap.max_transfer(), 1 << 31);
        assert!(cap.block_on_fault() && cap.cache_control() && cap.destination_readback());
        assert!(cap.decompress() && cap.indexing() && !cap.fault_info());
    }
}
