//! Checksums from their definitions, one bit at a time.

/// What a completion record must say of some data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sums {
    /// The CRC of gzip, CRC-32C.
    pub(crate) crcs: [u32; 2],
    pub(crate) xor: u16,
}

impl Sums {
    pub(crate) fn of(data: &[u8]) -> Self {
        let xor = data
            .chunks(2)
            .map(|word| u16::from(word[0]) | u16::from(*word.get(1).unwrap_or(&0)) << 8);
        Self {
            // V.42 and RFC 3720, their polynomials reflected.
            crcs: [crc(0xEDB8_8320, data), crc(0x82F6_3B78, data)],
            xor: xor.fold(0, |sum, word| sum ^ word),
        }
    }
}

fn crc(polynomial: u32, data: &[u8]) -> u32 {
    let mut crc = !0;
    for &byte in data {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ ((crc & 1) * polynomial);
        }
    }
    !crc
}

#[test]
fn check_values() {
    let sums = Sums::of(b"123456789");
    assert_eq!(sums.crcs, [0xCBF4_3926, 0xE306_9283]);
    // "12" ^ "34" ^ "56" ^ "78" is 0x0800, low byte first.
    assert_eq!(sums.xor, 0x0800 ^ u16::from(b'9'));
}
