//! The CRC64 operation: a CRC of up to 64 bits with a polynomial of the
//! caller's choice, of the input or, on devices that can chain, of what the
//! input inflates to.

use crate::decompress::Decompressor;
use crate::op::{End, Generation, Job, Product};
use pagepress_abi::Status;
use pagepress_abi::aecs::decompress as aecs;
use pagepress_abi::flags::{crc64 as flag, decompress, op};

/// A CRC that takes its data in pieces.
///
/// `polynomial` is the descriptor's: most significant bit first, without the
/// leading one, and left-justified if it has fewer than 64 bits. The result is
/// justified alike. With [`flag::BE_BIT_ORDER`] data, polynomial and result
/// are mirrored: the bits of a byte come lowest first, and the result is
/// right-justified. With [`flag::INVERT`] the CRC starts from ones and is
/// inverted at the end, in the bits that the polynomial has.
#[derive(Debug, Clone)]
pub struct Crc64 {
    table: Box<[u64; 256]>,
    mirrored: bool,
    inverted: u64,
    crc: u64,
}

impl Crc64 {
    /// The CRC of nothing.
    #[must_use]
    pub fn new(polynomial: u64, flags: u16) -> Self {
        // Where a short polynomial ends is told by its lowest one: all of them
        // have that term.
        let width: u64 = if flags & flag::INVERT == 0 || polynomial == 0 {
            0
        } else {
            !0 << polynomial.trailing_zeros()
        };
        let mirrored = flags & flag::BE_BIT_ORDER != 0;
        let (polynomial, inverted) = if mirrored {
            (polynomial.reverse_bits(), width.reverse_bits())
        } else {
            (polynomial, width)
        };
        let entry = |byte: usize| {
            (0..8).fold(
                if mirrored {
                    byte as u64
                } else {
                    (byte as u64) << 56
                },
                |crc, _| {
                    let (shifted, out) = if mirrored {
                        (crc >> 1, crc & 1)
                    } else {
                        (crc << 1, crc >> 63)
                    };
                    shifted ^ if out == 0 { 0 } else { polynomial }
                },
            )
        };
        Self {
            table: Box::new(core::array::from_fn(entry)),
            mirrored,
            inverted,
            crc: inverted,
        }
    }

    /// Takes more data.
    pub fn update(&mut self, data: &[u8]) {
        let table = &self.table;
        self.crc = if self.mirrored {
            let step = |crc: u64, &byte: &u8| crc >> 8 ^ table[usize::from(crc as u8 ^ byte)];
            data.iter().fold(self.crc, step)
        } else {
            let step =
                |crc: u64, &byte: &u8| crc << 8 ^ table[usize::from((crc >> 56) as u8 ^ byte)];
            data.iter().fold(self.crc, step)
        };
    }

    /// The CRC of all that was taken.
    #[must_use]
    pub fn finish(&self) -> u64 {
        self.crc ^ self.inverted
    }
}

/// The CRC of `data`, see [`Crc64`].
#[must_use]
pub fn crc64(polynomial: u64, flags: u16, data: &[u8]) -> u64 {
    let mut crc = Crc64::new(polynomial, flags);
    crc.update(data);
    crc.finish()
}

/// The CRC of what `data` inflates to, as the flags say that it does.
///
/// # Errors
/// How inflating failed.
pub(crate) fn inflated(
    generation: Generation,
    polynomial: u64,
    flags: u16,
    mut data: &[u8],
    decompressor: &mut Decompressor,
    product: &mut Product,
) -> Result<u64, End> {
    /// Nothing is written, so this is only the size of a piece.
    const PIECE: usize = 1 << 16;
    let mut crc = Crc64::new(polynomial, flags);
    let mut state: Option<Vec<u8>> = None;
    loop {
        product.output.clear();
        product.aecs.clear();
        let read = if state.is_some() {
            op::READ_SRC2_AECS
        } else {
            0
        };
        let job = Job {
            generation,
            op_flags: op::WRITE_SRC2_OVERFLOW | read,
            flags: inflate_flags(flags),
            flags2: 0,
            src1: data,
            aecs: state.as_deref(),
            src2_len: aecs::BYTES,
            dst_max: PIECE,
        };
        let end = decompressor.run(&job, product);
        crc.update(&product.output);
        match end.status {
            Status::SUCCESS => return Ok(crc.finish()),
            Status::OUTPUT_OVERFLOW => {
                data = &data[end.bytes_completed as usize..];
                core::mem::swap(state.get_or_insert_default(), &mut product.aecs);
            }
            _ => return Err(end),
        }
    }
}

/// The flags of Decompress that say what those of CRC64 do.
fn inflate_flags(flags: u16) -> u16 {
    let fourth = if flags & flag::IGNORE_END_BITS_8 == 0 {
        0
    } else {
        decompress::IGNORE_END_BITS_8
    };
    // The others have the same places.
    flags & flag::DECOMPRESS & !flag::IGNORE_END_BITS_8 | fourth | decompress::FLUSH
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The catalogue of parametrised CRCs has these for "123456789".
    #[test]
    fn check_values() {
        const ECMA_182: u64 = 0x42F0_E1EB_A9EA_3693;
        const ISO: u64 = 0x1B;
        let check = |polynomial, flags| crc64(polynomial, flags, b"123456789");
        assert_eq!(check(ECMA_182, 0), 0x6C40_DF5F_0B49_7347);
        assert_eq!(check(ECMA_182, flag::INVERT), 0x62EC_59E3_F1A4_F00A); // WE
        let both = flag::INVERT | flag::BE_BIT_ORDER;
        assert_eq!(check(ECMA_182, both), 0x995D_C9BB_DF19_39FA); // XZ
        assert_eq!(check(ISO, both), 0xB909_56C7_75A4_1001); // GO-ISO
        // Shorter ones: CRC-32 (reflected, inverted), CRC-16/XMODEM.
        assert_eq!(check(0x04C1_1DB7 << 32, both), 0xCBF4_3926);
        assert_eq!(check(0x1021 << 48, 0), 0x31C3 << 48);
        assert_eq!(check(0, both), crc64(0, both, b"x"));
    }
}
