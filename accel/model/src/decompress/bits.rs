//! The input as one string of bits: what an AECS brought along, then source 1.

/// Bits that are still to be read. A copy is a place to come back to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bits<'a> {
    /// The next bits, lowest first. Above `count` there may be bits that
    /// [`Bits::src`] still holds: a refill puts the same ones there again.
    pub(super) buf: u64,
    /// How many bits of `buf` count.
    pub(super) count: u32,
    /// What is not yet in `buf` of the bits that were carried over.
    carried: &'a [u8],
    /// Valid bits of the last byte of `carried`.
    carried_tail: u32,
    /// What is not yet in `buf` of source 1.
    pub(super) src: &'a [u8],
    /// Valid bits of the last byte of `src`.
    src_tail: u32,
}

/// Bits that a refill makes available unless the input ends: more than the
/// longest token (15 + 5 + 15 + 13).
pub(super) const REFILL: u32 = 56;

impl<'a> Bits<'a> {
    /// `carried_bits` bits of `carried`, then `src` without its last
    /// `ignored` bits.
    pub(super) fn new(carried: &'a [u8], carried_bits: usize, src: &'a [u8], ignored: u32) -> Self {
        let carried_bits = carried_bits.min(8 * carried.len());
        let src_bits = (8 * src.len() as u64).saturating_sub(u64::from(ignored));
        let tail = |bits: u64| (bits.wrapping_sub(1) % 8 + 1) as u32;
        Self {
            buf: 0,
            count: 0,
            carried: &carried[..carried_bits.div_ceil(8)],
            carried_tail: tail(carried_bits as u64),
            src: &src[..src_bits.div_ceil(8) as usize],
            src_tail: tail(src_bits),
        }
    }

    /// Whether eight bytes or more of source 1 come next, behind what is in
    /// `buf` already.
    #[inline]
    pub(super) const fn has_words(&self) -> bool {
        self.carried.is_empty() && self.src.len() >= 8
    }

    /// Fills `buf` with at least [`REFILL`] bits, or with all that are left.
    #[inline(always)]
    pub(super) fn refill(&mut self) {
        if self.carried.is_empty() {
            if let Some(word) = self.src.first_chunk() {
                self.buf |= u64::from_le_bytes(*word) << self.count;
                self.src = &self.src[(63 - self.count as usize) / 8..];
                self.count |= 56;
                return;
            }
        }
        self.refill_bytes();
    }

    fn refill_bytes(&mut self) {
        self.buf &= (1 << self.count) - 1;
        while self.count < REFILL {
            let (bytes, tail) = match self.carried {
                [] => (&mut self.src, self.src_tail),
                _ => (&mut self.carried, self.carried_tail),
            };
            let Some((&byte, rest)) = bytes.split_first() else {
                return;
            };
            let valid = if rest.is_empty() { tail } else { 8 };
            *bytes = rest;
            self.buf |= (u64::from(byte) & ((1 << valid) - 1)) << self.count;
            self.count += valid;
        }
    }

    /// The next bits without reading them, or `None` if fewer are left. At
    /// most [`REFILL`].
    #[inline]
    pub(super) fn peek(&mut self, bits: u32) -> Option<u64> {
        if self.count < bits {
            self.refill();
            if self.count < bits {
                return None;
            }
        }
        Some(self.buf & ((1 << bits) - 1))
    }

    /// Reads bits that [`Bits::peek`] showed to be there.
    #[inline]
    pub(super) fn consume(&mut self, bits: u32) {
        debug_assert!(bits <= self.count);
        self.buf >>= bits;
        self.count -= bits;
    }

    /// Reads the next bits, lowest first; all of them or none.
    #[inline]
    pub(super) fn take(&mut self, bits: u32) -> Option<u32> {
        let value = self.peek(bits)? as u32;
        self.consume(bits);
        Some(value)
    }

    /// Skips to a byte boundary of source 1. Bits that were carried over end
    /// at one. `None` if the input ends before it.
    pub(super) fn align(&mut self) -> Option<()> {
        // Ignored bits at the end belong to their byte.
        let missing = if self.src.is_empty() {
            8 - self.src_tail
        } else {
            0
        };
        let skip = (u64::from(self.count + missing) + self.carried_left()) % 8;
        self.take(skip as u32)?;
        Some(())
    }

    /// Whole bytes of source 1 that can be read without going through `buf`.
    pub(super) fn whole_bytes(&self) -> &'a [u8] {
        if self.count != 0 || !self.carried.is_empty() {
            return &[];
        }
        match self.src {
            [whole @ .., _] if self.src_tail < 8 => whole,
            all => all,
        }
    }

    /// Reads that many of [`Bits::whole_bytes`].
    pub(super) fn skip_bytes(&mut self, bytes: usize) {
        self.buf = 0;
        self.src = &self.src[bytes..];
    }

    fn carried_left(&self) -> u64 {
        match self.carried.len() as u64 {
            0 => 0,
            bytes => 8 * bytes - 8 + u64::from(self.carried_tail),
        }
    }

    fn src_left(&self) -> u64 {
        match self.src.len() as u64 {
            0 => 0,
            bytes => 8 * bytes - 8 + u64::from(self.src_tail),
        }
    }

    /// Bits left to read.
    pub(super) fn left(&self) -> u64 {
        u64::from(self.count) + self.carried_left() + self.src_left()
    }

    /// Reads `bits` bits into `bytes`, lowest first, the last byte filled up
    /// with zeros. There must be that many.
    pub(super) fn read(&mut self, bits: usize, bytes: &mut [u8]) {
        for (i, byte) in bytes[..bits.div_ceil(8)].iter_mut().enumerate() {
            let part = (bits - 8 * i).min(8) as u32;
            *byte = self.take(part).unwrap_or(0) as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carried_bits_come_first() {
        let mut bits = Bits::new(&[0xA5, 0x03], 11, &[0x12, 0x34, 0xFF], 5);
        assert_eq!(bits.left(), 11 + 19);
        assert_eq!(bits.take(8), Some(0xA5));
        // To the boundary where source 1 begins.
        let mut aligned = bits;
        assert_eq!(aligned.align(), Some(()));
        assert_eq!(aligned.take(8), Some(0x12));
        assert_eq!(bits.take(3), Some(3));
        assert!(bits.carried.is_empty());
        assert_eq!(bits.take(16), Some(0x3412));
        assert_eq!(bits.take(4), None);
        assert_eq!(bits.take(3), Some(7));
        assert_eq!(bits.take(1), None);
        assert_eq!(bits.left(), 0);
        assert_eq!(bits.align(), None, "the boundary is behind ignored bits");
    }

    #[test]
    fn nothing_is_nothing() {
        let mut bits = Bits::new(&[], 0, &[0xFF], 15);
        assert_eq!((bits.left(), bits.take(1)), (0, None));
        assert_eq!(bits.take(0), Some(0));
        assert_eq!(bits.align(), Some(()));
        assert_eq!(bits.whole_bytes(), [0; 0]);
    }
}
