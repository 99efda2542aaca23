//! The two checksums of a completion record: a CRC-32 and an XOR of words
//! (IAA 6.2).

use pagepress_abi::flags::op;

/// Which CRC-32 a descriptor asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Polynomial {
    /// The CRC-32 of gzip and V.42.
    Gzip,
    /// CRC-32C of RFC 3720.
    Castagnoli,
}

impl Polynomial {
    /// What these operation flags select.
    #[must_use]
    pub const fn of(op_flags: u32) -> Self {
        if op_flags & op::CRC32C == 0 {
            Self::Gzip
        } else {
            Self::Castagnoli
        }
    }
}

/// The CRC of what `seed` is the CRC of, followed by `data`. The seed of a
/// fresh CRC is 0: the inversions of the standards happen inside.
#[must_use]
pub fn crc32(polynomial: Polynomial, seed: u32, data: &[u8]) -> u32 {
    match polynomial {
        Polynomial::Gzip => {
            let mut hasher = crc32fast::Hasher::new_with_initial(seed);
            hasher.update(data);
            hasher.finalize()
        }
        Polynomial::Castagnoli => !castagnoli(!seed, data),
    }
}

/// Slicing-by-16: entry `[k][b]` is the CRC of byte `b` followed by `k` zeros.
static CASTAGNOLI: [[u32; 256]; 16] = {
    let mut tables = [[0; 256]; 16];
    let mut b = 0;
    while b < 256 {
        let mut crc = b as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = crc >> 1 ^ if crc & 1 == 0 { 0 } else { 0x82F6_3B78 };
            bit += 1;
        }
        tables[0][b] = crc;
        b += 1;
    }
    let mut k = 1;
    while k < 16 {
        let mut b = 0;
        while b < 256 {
            let crc = tables[k - 1][b];
            tables[k][b] = crc >> 8 ^ tables[0][crc as usize & 0xFF];
            b += 1;
        }
        k += 1;
    }
    tables
};

fn castagnoli(mut crc: u32, data: &[u8]) -> u32 {
    let mut chunks = data.chunks_exact(16);
    for chunk in &mut chunks {
        let word = u128::from_le_bytes(chunk.try_into().expect("16 bytes"));
        let word = word ^ u128::from(crc);
        crc = (0..16).fold(0, |crc, i| {
            crc ^ CASTAGNOLI[15 - i][usize::from((word >> (8 * i)) as u8)]
        });
    }
    for &byte in chunks.remainder() {
        crc = crc >> 8 ^ CASTAGNOLI[0][usize::from(crc as u8 ^ byte)];
    }
    crc
}

/// The XOR of little-endian 16-bit words, an odd last byte being the low half
/// of a word. Pieces may have any length: it remembers where in a word it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Xor {
    sum: u16,
    odd: bool,
}

impl Xor {
    /// Continues from this sum, made of an even number of bytes.
    #[must_use]
    pub const fn new(seed: u16) -> Self {
        Self {
            sum: seed,
            odd: false,
        }
    }

    /// Continues from this sum; `odd` if the last word still lacks its high
    /// half.
    #[must_use]
    pub const fn resume(seed: u16, odd: bool) -> Self {
        Self { sum: seed, odd }
    }

    /// Takes in more data.
    pub fn update(&mut self, mut data: &[u8]) {
        if self.odd {
            let Some((&high, rest)) = data.split_first() else {
                return;
            };
            self.sum ^= u16::from(high) << 8;
            self.odd = false;
            data = rest;
        }
        let (chunks, rest) = data.split_at(data.len() & !7);
        let mut wide = 0;
        for chunk in chunks.chunks_exact(8) {
            wide ^= u64::from_le_bytes(chunk.try_into().expect("8 bytes"));
        }
        wide ^= wide >> 32;
        wide ^= wide >> 16;
        self.sum ^= wide as u16;
        for word in rest.chunks(2) {
            let high = word.get(1).copied().unwrap_or(0);
            self.sum ^= u16::from_le_bytes([word[0], high]);
        }
        self.odd = rest.len() % 2 == 1;
    }

    /// The sum so far.
    #[must_use]
    pub const fn sum(self) -> u16 {
        self.sum
    }

    /// Whether an odd number of bytes went in.
    #[must_use]
    pub const fn is_odd(self) -> bool {
        self.odd
    }
}

/// Both checksums of one operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checksums {
    polynomial: Polynomial,
    crc: u32,
    xor: Xor,
}

impl Checksums {
    /// Continues from these, with the CRC that the operation flags select.
    #[must_use]
    pub const fn new(op_flags: u32, crc: u32, xor: Xor) -> Self {
        Self {
            polynomial: Polynomial::of(op_flags),
            crc,
            xor,
        }
    }

    /// Takes in more data.
    pub fn update(&mut self, data: &[u8]) {
        self.crc = crc32(self.polynomial, self.crc, data);
        self.xor.update(data);
    }

    /// The CRC so far.
    #[must_use]
    pub const fn crc(&self) -> u32 {
        self.crc
    }

    /// The XOR so far.
    #[must_use]
    pub const fn xor(&self) -> Xor {
        self.xor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHECK: &[u8] = b"123456789";

    #[test]
    fn check_values() {
        assert_eq!(crc32(Polynomial::Gzip, 0, CHECK), 0xCBF4_3926);
        assert_eq!(crc32(Polynomial::Castagnoli, 0, CHECK), 0xE306_9283);
        // RFC 3720 B.4.
        assert_eq!(crc32(Polynomial::Castagnoli, 0, &[0; 32]), 0x8A91_36AA);
        assert_eq!(crc32(Polynomial::Castagnoli, 0, &[0xFF; 32]), 0x62A8_AB43);
        assert_eq!(Polynomial::of(op::CRC32C), Polynomial::Castagnoli);
        assert_eq!(Polynomial::of(!op::CRC32C), Polynomial::Gzip);
    }

    #[test]
    fn pieces_make_the_whole() {
        let data: Vec<u8> = (0..777_u32).map(|i| ((i * i) >> 3) as u8).collect();
        let words = data.chunks(2);
        let xor = words.fold(0, |sum, w| {
            sum ^ u16::from_le_bytes([w[0], *w.get(1).unwrap_or(&0)])
        });
        for flags in [0, op::CRC32C] {
            let mut whole = Checksums::new(flags, 0, Xor::new(0));
            whole.update(&data);
            assert_eq!(whole.xor().sum(), xor);
            for size in 1..100 {
                let mut pieces = Checksums::new(flags, 0, Xor::default());
                for piece in data.chunks(size) {
                    pieces.update(piece);
                    pieces.update(&[]);
                    let (crc, xor) = (pieces.crc(), pieces.xor());
                    pieces = Checksums::new(flags, crc, Xor::resume(xor.sum(), xor.is_odd()));
                }
                assert_eq!(pieces, whole, "{size}");
            }
        }
    }
}
