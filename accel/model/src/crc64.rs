//! The CRC64 operation: a CRC of up to 64 bits with a polynomial of the
//! caller's choice. The plain form; inflating the input first is an option of
//! generation 2 that is not modelled.

use pagepress_abi::flags::crc64 as flag;

/// The CRC of `data`.
///
/// `polynomial` is the descriptor's: most significant bit first, without the
/// leading one, and left-justified if it has fewer than 64 bits. The result is
/// justified alike. With [`flag::BE_BIT_ORDER`] data, polynomial and result
/// are mirrored: the bits of a byte come lowest first, and the result is
/// right-justified. With [`flag::INVERT`] the CRC starts from ones and is
/// inverted at the end, in the bits that the polynomial has.
#[must_use]
pub fn crc64(polynomial: u64, flags: u16, data: &[u8]) -> u64 {
    // Where a short polynomial ends is told by its lowest one: all of them
    // have that term.
    let width = if flags & flag::INVERT == 0 || polynomial == 0 {
        0
    } else {
        !0 << polynomial.trailing_zeros()
    };
    let crc = |start: u64, step: fn(&[u64; 256], u64, u8) -> u64, table: &[u64; 256]| {
        data.iter().fold(start, |crc, &byte| step(table, crc, byte))
    };
    if flags & flag::BE_BIT_ORDER == 0 {
        let table = table(|byte| {
            (0..8).fold((byte as u64) << 56, |crc, _| {
                crc << 1 ^ if crc >> 63 == 0 { 0 } else { polynomial }
            })
        });
        let step =
            |t: &[u64; 256], crc: u64, byte| crc << 8 ^ t[usize::from((crc >> 56) as u8 ^ byte)];
        crc(width, step, &table) ^ width
    } else {
        let (polynomial, width) = (polynomial.reverse_bits(), width.reverse_bits());
        let table = table(|byte| {
            (0..8).fold(byte as u64, |crc, _| {
                crc >> 1 ^ if crc & 1 == 0 { 0 } else { polynomial }
            })
        });
        let step = |t: &[u64; 256], crc: u64, byte| crc >> 8 ^ t[usize::from(crc as u8 ^ byte)];
        crc(width, step, &table) ^ width
    }
}

fn table(entry: impl FnMut(usize) -> u64) -> [u64; 256] {
    core::array::from_fn(entry)
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
