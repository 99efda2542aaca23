//! Writing an AECS: what [`load`](super::load) reads, back to where it was.
//! Fields of other operations stay as they were read.

use super::image::{Format, Image};
use super::{LastEnd, OUTPUT_COUNT, PENDING, Place, State};
use pagepress_abi::aecs::{self, decompress as at};

impl Image {
    /// Puts what `state` says.
    pub(in crate::decompress) fn put_state(&mut self, format: Format, state: &State) {
        self.put_u32(at::CRC, state.crc);
        self.put_u16(at::XOR, state.xor);
        self.0[at::OUTPUT_ACCUMULATOR..at::OUTPUT_BITS]
            .copy_from_slice(&state.output.to_le_bytes());
        self.put_u32(at::OUTPUT_BITS, 8 * state.output_len as u32);
        self.put_u32(at::INDEX_BITS, state.input_bits);
        self.0[at::DROP_BITS] = 0;
        self.put_format(format);

        let is_final = if state.is_final { at::state::FINAL } else { 0 };
        let place = match (state.place, state.last_end) {
            (Place::Header, LastEnd::None) => at::state::HEADER,
            (Place::Header, LastEnd::Block) => at::state::HEADER | at::state::STORED,
            (Place::Header, LastEnd::Final) => {
                at::state::HEADER | at::state::STORED | at::state::FINAL
            }
            (Place::Token, _) => at::state::TOKEN | is_final,
            (Place::Stored(_), _) => at::state::STORED | is_final,
            (Place::Ended, _) => at::state::ENDED | is_final,
        };
        self.put_u16(at::STATE, place);
        let stored = match state.place {
            Place::Stored(left) => left,
            _ => 0,
        };
        self.put_u32(at::STORED_LEFT, stored);

        let match_left = match state.pending.len {
            0 => 0,
            len => len as u32 | (state.pending.distance as u32 - 1) << 9,
        };
        let flags = u32::from(state.odd) << 21 | u32::from(state.has_output) << 22;
        self.put_u32(PENDING, match_left | flags);
        self.put_u32(OUTPUT_COUNT, state.output_count & 0x7FFF);
        let history = state.history_at as u16 | u16::from(state.history_full) << 15;
        self.put_u16(at::HISTORY_POINTER, history);
    }

    /// Puts `bits` bits into the input accumulator; `fill` writes them, lowest
    /// first, into bytes that are zero.
    pub(in crate::decompress) fn put_input(&mut self, bits: usize, fill: impl FnOnce(&mut [u8])) {
        let accumulator = &mut self.0[at::INPUT_ACCUMULATOR..at::INPUT_SIZES];
        accumulator.fill(0);
        fill(accumulator);
        for (i, size) in self.0[at::INPUT_SIZES..][..32].iter_mut().enumerate() {
            *size = bits.saturating_sub(64 * i).min(64) as u8;
        }
        self.put_u16(at::STATE_BITS, bits as u16);
    }

    /// Puts the end of the history before the place where `state` has it.
    pub(in crate::decompress) fn put_history(&mut self, state: &State, end: &[u8]) {
        let ring = &mut self.0[at::HISTORY..at::HISTORY + aecs::HISTORY];
        let end = &end[end.len().saturating_sub(aecs::HISTORY)..];
        let wrapped = end.len().saturating_sub(state.history_at);
        let (before, after) = end.split_at(wrapped);
        ring[aecs::HISTORY - wrapped..].copy_from_slice(before);
        ring[state.history_at - after.len()..state.history_at].copy_from_slice(after);
    }
}
