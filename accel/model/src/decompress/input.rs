//! Source 1 as a string of bits, behind what an AECS carried over, and how much
//! of it a job used (IAA 3.8).

use super::bits::Bits;
use crate::op::Job;
use pagepress_abi::flags::decompress as flag;
use pagepress_abi::{ErrorCode, IaaCap};

/// A job's input.
#[derive(Debug, Clone, Copy)]
pub(super) struct Input<'a> {
    /// What decoding begins with.
    pub(super) bits: Bits<'a>,
    /// All bits, those that are dropped included.
    pub(super) total: u64,
    carried_bits: u64,
    /// Bytes of source 1.
    pub(super) src_bytes: usize,
    /// Bits that a stream is read by: those of a byte, or of a BE16 word.
    unit: u64,
}

impl<'a> Input<'a> {
    /// `carried_bits` bits of `carried`, then source 1. `turned` holds it if
    /// it comes in 16-bit big-endian words.
    pub(super) fn new(
        job: &Job<'a>,
        carried: &'a [u8],
        carried_bits: usize,
        turned: &'a mut Vec<u8>,
    ) -> Self {
        let be16 = job.flags & flag::BE16 != 0;
        let mut ignored =
            u32::from((job.flags & flag::IGNORE_END_BITS) >> flag::IGNORE_END_BITS_SHIFT);
        let mut src = job.src1;
        if be16 {
            turn(src, turned);
            src = turned;
            let more = job.flags & flag::IGNORE_END_BITS_8 != 0;
            if more && job.generation.has(IaaCap::GEN2) {
                ignored += 8;
            }
        }
        let bits = Bits::new(carried, carried_bits, src, ignored);
        Self {
            bits,
            total: bits.left(),
            carried_bits: carried_bits as u64,
            src_bytes: src.len(),
            unit: if be16 { 16 } else { 8 },
        }
    }

    /// Drops bits from the beginning (Drop Initial Bits).
    pub(super) fn drop_bits(&mut self, count: u8) -> Result<(), ErrorCode> {
        for _ in 0..count {
            self.bits.take(1).ok_or(ErrorCode::SRC1_TOO_SMALL)?;
        }
        Ok(())
    }

    /// On an overflow with `left` bits to go, the bytes of source 1 that are
    /// done with, and the bits that the AECS must keep: those of the byte
    /// (word) that was begun. The rest will be given again.
    pub(super) fn consumed(&self, left: u64) -> (usize, u64) {
        let src_bits = self.total - self.carried_bits;
        let Some(read) = src_bits.checked_sub(left) else {
            return (0, left - src_bits);
        };
        let whole = read
            .next_multiple_of(self.unit)
            .min(8 * self.src_bytes as u64);
        (whole.div_ceil(8) as usize, whole.min(src_bits) - read)
    }
}

/// Turns words so that their first bit is the lowest: it comes as the highest
/// bit of each little-endian word.
fn turn(src: &[u8], turned: &mut Vec<u8>) {
    turned.clear();
    for word in src.chunks_exact(2) {
        let word = u16::from_le_bytes([word[0], word[1]]).reverse_bits();
        turned.extend_from_slice(&word.to_le_bytes());
    }
}
