//! Bits on their way to bytes.

use super::codes::{Bits, count, value};

/// Writes bits to a slice whose last eight bytes are room to write in.
pub(super) struct Writer<'a> {
    bytes: &'a mut [u8],
    at: usize,
    bits: u64,
    count: u32,
}

impl<'a> Writer<'a> {
    /// Goes on behind so many bits that are there already.
    pub(super) fn after(bytes: &'a mut [u8], written: usize) -> Option<Self> {
        let (at, count) = (written / 8, (written % 8) as u32);
        let odd = u64::from(*bytes.get(at)?) & ((1 << count) - 1);
        Some(Self {
            bytes,
            at,
            bits: odd,
            count,
        })
    }

    /// Adds bits; 64 may wait to be put out.
    #[inline(always)]
    pub(super) fn add(&mut self, bits: Bits) {
        self.add_raw(value(bits), count(bits));
    }

    #[inline(always)]
    pub(super) fn add_raw(&mut self, value: u64, count: u32) {
        self.bits |= value << self.count;
        self.count += count;
    }

    /// Puts out all whole bytes; `None` if there is no room for them.
    #[inline(always)]
    pub(super) fn put_out(&mut self) -> Option<()> {
        let room = self.bytes.get_mut(self.at..self.at + 8)?;
        room.copy_from_slice(&self.bits.to_le_bytes());
        self.at += (self.count >> 3) as usize;
        self.bits >>= self.count & 56;
        self.count &= 7;
        Some(())
    }

    /// How many bytes there are, the last one filled with zeroes.
    pub(super) fn finish(mut self) -> Option<usize> {
        self.put_out()?;
        Some(self.at + usize::from(self.count > 0))
    }
}
