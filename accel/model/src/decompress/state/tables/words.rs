//! The words that such fields are made of.

use super::{ByLength, Image};
use crate::decompress::codes::{Code, MAX_BITS};

impl Image {
    /// One value for each length of code, in five dwords.
    pub(super) fn by_length(&self, at: usize) -> ByLength {
        core::array::from_fn(|len| match len {
            0 => 0,
            _ => {
                let (dword, shift) = BY_LENGTH[len - 1];
                self.u32(at + 4 * dword) >> shift & ((2 << len) - 1)
            }
        })
    }

    pub(super) fn put_by_length(&mut self, at: usize, values: &ByLength) {
        for (&(dword, shift), (len, &value)) in
            BY_LENGTH.iter().zip(values.iter().enumerate().skip(1))
        {
            let at = at + 4 * dword;
            self.put_u32(at, self.u32(at) | (value & ((2 << len) - 1)) << shift);
        }
    }

    /// Bits of a token, six values to a dword, each three to a half.
    pub(super) fn put_total(&mut self, at: usize, i: usize, total: u32) {
        let at = at + 4 * (i / 6);
        let shift = i % 6 * 5 + i % 6 / 3;
        self.put_u32(at, self.u32(at) | total << shift);
    }
}

/// Where a value for each length from 1 on is: dword and shift. A value has
/// one bit more than the codes.
const BY_LENGTH: [(usize, u32); MAX_BITS] = [
    (0, 0),
    (0, 2),
    (0, 5),
    (0, 9),
    (0, 14),
    (0, 20),
    (1, 0),
    (1, 8),
    (1, 17),
    (2, 0),
    (2, 11),
    (3, 0),
    (3, 13),
    (4, 0),
    (4, 15),
];

/// The form in which a code is matched: the code and a mask of its bits, both
/// from the top of 15 bits.
pub(super) fn cam_word(code: &Code) -> u32 {
    let shift = MAX_BITS as u32 - code.len();
    let mask = ((1 << code.len()) - 1) << shift;
    code.code() << shift | 1 << 15 | mask << 16
}

/// The code that such a word has, if it has one; `None` outside if it makes no
/// sense.
pub(super) fn cam_code(word: u32, symbol: usize) -> Option<Option<Code>> {
    if word & 1 << 15 == 0 {
        return Some(None);
    }
    let len = (word >> 16).count_ones();
    if !(1..=MAX_BITS as u32).contains(&len) {
        return None;
    }
    let code = Code::new(len, (word & 0x7FFF) >> (MAX_BITS as u32 - len), symbol);
    (cam_word(&code) == word).then_some(Some(code))
}
