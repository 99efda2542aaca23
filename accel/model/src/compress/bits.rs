//! The output accumulator: bits on their way to bytes, first bit lowest.

use pagepress_abi::aecs::compress::ACCUMULATOR_BITS_MAX;

/// Output leaves in units of this many bytes unless it is flushed. The state
/// written back has room for as many bytes of accumulator, and Intel's QPL
/// counts on it (its output between two descriptors is a multiple of this).
pub(super) const UNIT: usize = 32;

/// Bytes that are gathered before they leave: the accumulator brought along,
/// then the worst that is written between two calls of [`Bits::drain`].
const STAGE: usize = 12 * 1024;

/// Bits not yet handed out, and the bytes before them.
#[derive(Debug)]
pub(super) struct Bits {
    stage: Box<[u8; STAGE]>,
    /// Whole bytes in `stage`.
    bytes: usize,
    hold: u64,
    /// Valid bits in `hold`, less than 8; the others are 0.
    count: u32,
    /// Bytes handed out.
    drained: usize,
}

impl Bits {
    pub(super) fn new() -> Self {
        Self {
            stage: Box::new([0; STAGE]),
            bytes: 0,
            hold: 0,
            count: 0,
            drained: 0,
        }
    }

    /// Starts with the first `bits` bits of `accumulator`, as many as it has.
    pub(super) fn start(&mut self, accumulator: &[u8], bits: u32) {
        let bits = bits
            .min(ACCUMULATOR_BITS_MAX)
            .min(8 * accumulator.len() as u32);
        let whole = bits as usize / 8;
        self.stage[..whole].copy_from_slice(&accumulator[..whole]);
        (self.bytes, self.hold, self.count, self.drained) = (whole, 0, 0, 0);
        if bits % 8 != 0 {
            let last = u64::from(accumulator[whole]) & ((1 << (bits % 8)) - 1);
            self.put(last, bits % 8);
        }
    }

    /// The bits on their way, to be added to.
    #[inline]
    pub(super) fn take(&mut self) -> Pending<'_> {
        Pending {
            stage: &mut self.stage,
            bytes: self.bytes,
            hold: self.hold,
            count: self.count,
            drained: self.drained,
            home: (&mut self.bytes, &mut self.hold, &mut self.count),
        }
    }

    /// Adds at most 56 bits.
    pub(super) fn put(&mut self, bits: u64, count: u32) {
        let mut pending = self.take();
        pending.put(bits, count);
        pending.give_back();
    }

    /// Adds zeros up to a multiple of `bits`.
    fn align(&mut self, bits: usize) {
        let over = (8 * self.bytes + self.count as usize) % bits;
        if over != 0 {
            self.put(0, (bits - over) as u32);
        }
    }

    /// Adds an empty stored block.
    pub(super) fn put_empty_stored_block(&mut self, is_final: bool) {
        self.put(u64::from(is_final), 3);
        self.align(8);
        self.put(0xFFFF_0000, 32);
    }

    /// All bits so far, those handed out too.
    pub(super) fn total(&self) -> usize {
        8 * (self.drained + self.bytes) + self.count as usize
    }

    /// Hands out whole units, at most `limit` bytes in all; with `be16`, the
    /// first bit of each 16-bit little-endian word is its highest. False if there are more.
    #[must_use]
    pub(super) fn drain(&mut self, out: &mut Vec<u8>, limit: usize, be16: bool) -> bool {
        let whole = self.bytes - self.bytes % UNIT;
        self.hand_out(whole, out, limit, be16)
    }

    /// Hands out all bits, padded to a byte or, with `be16`, to a 16-bit word.
    /// Returns how many of its bits are valid, 0 for all.
    pub(super) fn flush(&mut self, out: &mut Vec<u8>, limit: usize, be16: bool) -> Option<u8> {
        let unit = if be16 { 16 } else { 8 };
        let valid = self.total() % unit;
        self.align(unit);
        self.hand_out(self.bytes, out, limit, be16)
            .then_some(valid as u8)
    }

    fn hand_out(&mut self, bytes: usize, out: &mut Vec<u8>, limit: usize, be16: bool) -> bool {
        if out.len() + bytes > limit {
            return false;
        }
        let ready = &self.stage[..bytes];
        if be16 {
            let turned = ready.chunks_exact(2).map(|word| [word[1], word[0]]);
            out.extend(turned.flatten().map(u8::reverse_bits));
        } else {
            out.extend_from_slice(ready);
        }
        self.stage.copy_within(bytes..self.bytes, 0);
        self.bytes -= bytes;
        self.drained += bytes;
        true
    }

    /// Copies the bits that are left to an accumulator of zeros, and returns
    /// how many there are; `None` if they do not fit.
    pub(super) fn save(&mut self, accumulator: &mut [u8]) -> Option<u32> {
        let len = self.bytes + usize::from(self.count != 0);
        let accumulator = accumulator.get_mut(..len)?;
        self.stage[self.bytes] = self.hold as u8;
        accumulator.copy_from_slice(&self.stage[..len]);
        Some(8 * self.bytes as u32 + self.count)
    }
}

/// Bits on their way, outside of [`Bits`]: the compiler can have them in
/// registers until they are given back.
#[derive(Debug)]
pub(super) struct Pending<'a> {
    stage: &'a mut [u8; STAGE],
    bytes: usize,
    hold: u64,
    count: u32,
    drained: usize,
    home: (&'a mut usize, &'a mut u64, &'a mut u32),
}

impl Pending<'_> {
    /// Adds at most 56 bits.
    #[inline(always)]
    pub(super) fn put(&mut self, bits: u64, count: u32) {
        self.hold |= bits << self.count;
        self.count += count;
        self.stage[self.bytes..self.bytes + 8].copy_from_slice(&self.hold.to_le_bytes());
        self.bytes += self.count as usize / 8;
        self.hold >>= self.count & !7;
        self.count %= 8;
    }

    /// All bits so far, those handed out too.
    #[inline]
    pub(super) fn total(&self) -> usize {
        8 * (self.drained + self.bytes) + self.count as usize
    }

    /// Puts them back.
    #[inline]
    pub(super) fn give_back(self) {
        (*self.home.0, *self.home.1, *self.home.2) = (self.bytes, self.hold, self.count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_come_out_lowest_first() {
        let (mut bits, mut out) = (Bits::new(), Vec::new());
        bits.start(&[0xFF, 0xFF], 11);
        bits.put(0b101, 3);
        assert_eq!(bits.total(), 14);
        assert_eq!(bits.flush(&mut out, 2, false), Some(6));
        assert_eq!(out, [0xFF, 0b0010_1111]);
    }

    #[test]
    fn words_are_turned_and_filled() {
        let (mut bits, mut out) = (Bits::new(), Vec::new());
        bits.start(&[1, 2, 3], 24);
        assert_eq!(bits.flush(&mut out, 3, true), None);
        bits.start(&[1, 2, 3], 24);
        assert_eq!(bits.flush(&mut out, 4, true), Some(8));
        assert_eq!(out, [0x40, 0x80, 0, 0xC0]);
    }

    #[test]
    fn unflushed_bytes_leave_in_units() {
        let (mut bits, mut out) = (Bits::new(), Vec::new());
        bits.start(&[7; 256], 8 * 65 + 3);
        assert!(!bits.drain(&mut out, 63, false));
        assert!(bits.drain(&mut out, 64, false));
        assert_eq!(out, [7; 64]);
        let mut accumulator = [0; UNIT];
        assert_eq!(bits.save(&mut accumulator), Some(11));
        assert_eq!(accumulator[..3], [7, 7, 0]);
    }

    #[test]
    fn a_stored_block_is_aligned() {
        let (mut bits, mut out) = (Bits::new(), Vec::new());
        bits.start(&[0x3F], 6);
        bits.put_empty_stored_block(true);
        assert_eq!(bits.flush(&mut out, 99, false), Some(0));
        assert_eq!(out, [0x7F, 0, 0, 0, 0xFF, 0xFF]);
    }
}
