//! Reading an AECS: where in a stream it stands, and what it brings along in
//! the input accumulator and the history.
//!
//! What no device would have written is refused with the two errors that there
//! are for it: 16 for a value that is out of its range, 2E for a state that
//! contradicts itself.

use super::image::Image;
use super::pack::Packer;
use super::{LastEnd, OUTPUT_COUNT, PENDING, Pending, Place, State};
use pagepress_abi::ErrorCode;
use pagepress_abi::aecs::{self, decompress as at};

impl Image {
    /// All but tables and input.
    pub(in crate::decompress) fn state(&self) -> Result<State, ErrorCode> {
        let output_bits = self.u32(at::OUTPUT_BITS) & !1;
        if output_bits > 56 || output_bits % 8 != 0 {
            return Err(ErrorCode::BAD_AECS);
        }
        let history = self.u16(at::HISTORY_POINTER);
        let (history_at, history_full) = (usize::from(history & 0x7FFF), history >> 15 != 0);
        if history_at >= aecs::HISTORY && !history_full {
            return Err(ErrorCode::BAD_AECS);
        }

        let flags = self.u16(at::STATE);
        let is_final = flags & at::state::FINAL != 0;
        let ended = if is_final {
            LastEnd::Final
        } else {
            LastEnd::Block
        };
        let stored = self.u32(at::STORED_LEFT);
        let (place, last_end) = match flags {
            _ if flags & !15 != 0 => return Err(ErrorCode::BAD_STATE),
            _ if flags & at::state::ENDED != 0 => (Place::Ended, ended),
            // Before a header the two bits in the middle are free. Here bit 1
            // says that a block ended, and bit 2 whether it was a final one.
            _ if flags & at::state::HEADER != 0 => {
                let after = flags & at::state::STORED != 0;
                (Place::Header, if after { ended } else { LastEnd::None })
            }
            _ if flags & at::state::STORED != 0 => match stored {
                1..=0xFFFF => (Place::Stored(stored), LastEnd::None),
                _ => return Err(ErrorCode::BAD_STATE),
            },
            _ => (Place::Token, LastEnd::None),
        };

        let word = self.u32(PENDING);
        let pending = Pending {
            len: (word & 0x1FF) as usize,
            distance: (word >> 9 & 0xFFF) as usize + 1,
        };
        let mut output = [0; 8];
        output.copy_from_slice(&self.0[at::OUTPUT_ACCUMULATOR..at::OUTPUT_BITS]);
        let state = State {
            crc: self.u32(at::CRC),
            xor: self.u16(at::XOR),
            odd: word >> 21 & 1 != 0,
            output: u64::from_le_bytes(output),
            output_len: output_bits as usize / 8,
            input_bits: self.u32(at::INDEX_BITS),
            drop_bits: self.0[at::DROP_BITS],
            place,
            is_final,
            last_end,
            pending,
            has_output: word >> 22 & 1 != 0,
            output_count: self.u32(OUTPUT_COUNT) & 0x7FFF,
            history_at: history_at % aecs::HISTORY,
            history_full,
        };
        let impossible = pending.len != 0
            && (place != Place::Token
                || pending.len > 258
                || pending.distance > state.history_len());
        if impossible || word >> 23 != 0 {
            return Err(ErrorCode::BAD_STATE);
        }
        Ok(state)
    }

    /// Puts the bits of the input accumulator next to each other, and says how
    /// many there are.
    pub(in crate::decompress) fn input(&self, bytes: &mut [u8; 256]) -> Result<usize, ErrorCode> {
        let sizes = &self.0[at::INPUT_SIZES..at::INPUT_SIZES + 32];
        if sizes[0] == 0 && sizes.iter().all(|&size| size == 0) {
            return Ok(0);
        }
        let used = sizes.iter().take_while(|&&size| size != 0).count();
        let total = sizes.iter().map(|&size| usize::from(size)).sum::<usize>();
        let bad = sizes.iter().any(|&size| size > 64)
            || sizes[used..].iter().any(|&size| size != 0)
            || sizes[31] != 0 && total < 193
            || sizes[30] != 0 && total < 129;
        if bad {
            return Err(ErrorCode::BAD_AECS);
        }
        let mut writer = Packer::new(bytes);
        let words = self.0[at::INPUT_ACCUMULATOR..at::INPUT_SIZES].chunks_exact(8);
        for (word, &size) in words.zip(&sizes[..used]) {
            let word = u64::from_le_bytes(word.try_into().expect("8 bytes"));
            let low = u32::from(size).min(32);
            writer.put(word & 0xFFFF_FFFF, low);
            writer.put(word >> 32, u32::from(size) - low);
        }
        writer.finish();
        Ok(total)
    }

    /// The history, oldest byte first, to the beginning of `window`.
    pub(in crate::decompress) fn history(&self, state: &State, window: &mut [u8]) {
        let ring = &self.0[at::HISTORY..at::HISTORY + aecs::HISTORY];
        if state.history_full {
            let old = aecs::HISTORY - state.history_at;
            window[..old].copy_from_slice(&ring[state.history_at..]);
            window[old..aecs::HISTORY].copy_from_slice(&ring[..state.history_at]);
        } else {
            window[..state.history_at].copy_from_slice(&ring[..state.history_at]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::BYTES;
    use super::*;

    #[test]
    fn words_of_any_size_make_the_input() {
        let mut image = Image(Box::new([0; BYTES]));
        let mut bytes = [0; 256];
        assert_eq!(image.input(&mut bytes), Ok(0));
        image.0[at::INPUT_ACCUMULATOR] = 0xFF;
        image.0[at::INPUT_ACCUMULATOR + 8] = 0x55;
        image.0[at::INPUT_ACCUMULATOR + 15] = 0x80;
        image.0[at::INPUT_SIZES..][..3].copy_from_slice(&[3, 64, 1]);
        assert_eq!(image.input(&mut bytes), Ok(68));
        assert_eq!(bytes[..9], [0xAF, 2, 0, 0, 0, 0, 0, 0, 4]);
        for (i, size) in [(1, 0), (1, 65), (5, 1)] {
            let mut image = image.clone();
            image.0[at::INPUT_SIZES + i] = size;
            assert_eq!(image.input(&mut bytes), Err(ErrorCode::BAD_AECS));
        }
        image.0[at::INPUT_SIZES..][..32].fill(4);
        assert_eq!(image.input(&mut bytes), Err(ErrorCode::BAD_AECS));
        image.0[at::INPUT_SIZES..][..32].fill(64);
        assert_eq!(image.input(&mut bytes), Ok(2048));
    }
}
