//! The 64-byte descriptor (IAA 6.1; `idxd.h` `struct iax_hw_desc`).

use crate::opcode::Opcode;
use core::fmt;

/// What a program submits. Fields in the order of their offsets, all
/// little-endian in memory, which is the only byte order that IAA meets.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
#[repr(C, align(64))]
pub struct Descriptor {
    /// 0: PASID in bits 19:0 and privilege in bit 31. Zero from user space.
    pub trusted: u32,
    /// 4: [operation flags](crate::flags::op) in bits 23:0, opcode in 31:24.
    pub opcode_flags: u32,
    /// 8: address of the completion record, a multiple of 64.
    pub completion: u64,
    /// 16: address of source 1.
    pub src1: u64,
    /// 24: address of the destination.
    pub dst: u64,
    /// 32: bytes of source 1.
    pub src1_len: u32,
    /// 36: completion interrupt handle.
    pub interrupt_handle: u16,
    /// 38: [decompression](crate::flags::decompress),
    /// [compression](crate::flags::compress) or CRC64 flags.
    pub flags: u16,
    /// 40: address of source 2, or of the AECS: then a multiple of 32.
    pub src2: u64,
    /// 48: bytes at the destination, at most.
    pub dst_max: u32,
    /// 52: bytes of source 2, or of the AECS: then a multiple of 32.
    pub src2_len: u32,
    /// 56: [compression-2 flags](crate::flags::compress2), or the low half of
    /// a CRC64's polynomial.
    pub flags2: u32,
    /// 60: number of input elements, or the high half of the polynomial.
    pub elements: u32,
}

const _: () = assert!(size_of::<Descriptor>() == Descriptor::BYTES);
const _: () = assert!(align_of::<Descriptor>() == Descriptor::BYTES);

impl Descriptor {
    /// Bytes of a descriptor.
    pub const BYTES: usize = 64;

    /// A descriptor of this operation with these operation flags, and nothing
    /// else set.
    #[must_use]
    pub fn new(opcode: Opcode, op_flags: u32) -> Self {
        Self {
            opcode_flags: u32::from(opcode.0) << 24 | op_flags,
            ..Self::default()
        }
    }

    /// The operation.
    #[must_use]
    pub const fn opcode(&self) -> Opcode {
        Opcode((self.opcode_flags >> 24) as u8)
    }

    /// The operation flags.
    #[must_use]
    pub const fn op_flags(&self) -> u32 {
        self.opcode_flags & 0xFF_FFFF
    }

    /// The descriptor that these bytes are.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        let u16_at = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let u32_at = |at: usize| u32::from(u16_at(at)) | u32::from(u16_at(at + 2)) << 16;
        let u64_at = |at: usize| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;
        Self {
            trusted: u32_at(0),
            opcode_flags: u32_at(4),
            completion: u64_at(8),
            src1: u64_at(16),
            dst: u64_at(24),
            src1_len: u32_at(32),
            interrupt_handle: u16_at(36),
            flags: u16_at(38),
            src2: u64_at(40),
            dst_max: u32_at(48),
            src2_len: u32_at(52),
            flags2: u32_at(56),
            elements: u32_at(60),
        }
    }

    /// The bytes that this descriptor is.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
        put(0, &self.trusted.to_le_bytes());
        put(4, &self.opcode_flags.to_le_bytes());
        put(8, &self.completion.to_le_bytes());
        put(16, &self.src1.to_le_bytes());
        put(24, &self.dst.to_le_bytes());
        put(32, &self.src1_len.to_le_bytes());
        put(36, &self.interrupt_handle.to_le_bytes());
        put(38, &self.flags.to_le_bytes());
        put(40, &self.src2.to_le_bytes());
        put(48, &self.dst_max.to_le_bytes());
        put(52, &self.src2_len.to_le_bytes());
        put(56, &self.flags2.to_le_bytes());
        put(60, &self.elements.to_le_bytes());
        bytes
    }

    /// Changes [`src1`](Self::src1) and [`src1_len`](Self::src1_len) in the bytes
    /// of a descriptor, for clients that keep all the rest.
    #[inline]
    pub fn put_src1(bytes: &mut [u8; Self::BYTES], address: u64, len: u32) {
        bytes[16..24].copy_from_slice(&address.to_le_bytes());
        bytes[32..36].copy_from_slice(&len.to_le_bytes());
    }
}

impl fmt::Debug for Descriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} op_flags={:#08x} cr={:#x} src1={:#x}+{} dst={:#x}+{} src2={:#x}+{} \
             flags={:#06x} flags2={:#x} elements={:#x}",
            self.opcode(),
            self.op_flags(),
            self.completion,
            self.src1,
            self.src1_len,
            self.dst,
            self.dst_max,
            self.src2,
            self.src2_len,
            self.flags,
            self.flags2,
            self.elements,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::mem::offset_of;

    #[test]
    fn fields_lie_where_the_specification_has_them() {
        assert_eq!(offset_of!(Descriptor, opcode_flags), 4);
        assert_eq!(offset_of!(Descriptor, completion), 8);
        assert_eq!(offset_of!(Descriptor, src1), 16);
        assert_eq!(offset_of!(Descriptor, dst), 24);
        assert_eq!(offset_of!(Descriptor, src1_len), 32);
        assert_eq!(offset_of!(Descriptor, interrupt_handle), 36);
        assert_eq!(offset_of!(Descriptor, flags), 38);
        assert_eq!(offset_of!(Descriptor, src2), 40);
        assert_eq!(offset_of!(Descriptor, dst_max), 48);
        assert_eq!(offset_of!(Descriptor, src2_len), 52);
        assert_eq!(offset_of!(Descriptor, flags2), 56);
        assert_eq!(offset_of!(Descriptor, elements), 60);
    }

    #[test]
    fn bytes_and_back() {
        let bytes = core::array::from_fn(|i| i as u8 + 1);
        let descriptor = Descriptor::from_bytes(&bytes);
        assert_eq!(descriptor.to_bytes(), bytes);
        assert_eq!(descriptor.opcode(), Opcode(8));
        assert_eq!(descriptor.op_flags(), 0x07_06_05);
        assert_eq!(descriptor.src2, 0x302F_2E2D_2C2B_2A29);
        let mut changed = bytes;
        Descriptor::put_src1(&mut changed, 5, 6);
        let expected = Descriptor {
            src1: 5,
            src1_len: 6,
            ..descriptor
        };
        assert_eq!(Descriptor::from_bytes(&changed), expected);
    }
}
