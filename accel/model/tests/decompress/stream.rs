//! Deflate streams by hand.

/// A deflate stream by hand.
#[derive(Default, Clone)]
pub(crate) struct Stream {
    pub(crate) bytes: Vec<u8>,
    pub(crate) len: usize,
}

impl Stream {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A value, lowest bit first.
    pub(crate) fn bits(mut self, value: u32, bits: usize) -> Self {
        for i in 0..bits {
            if self.len % 8 == 0 {
                self.bytes.push(0);
            }
            *self.bytes.last_mut().unwrap() |= ((value >> i & 1) as u8) << (self.len % 8);
            self.len += 1;
        }
        self
    }

    /// A Huffman code, highest bit first.
    pub(crate) fn code(self, code: u32, bits: usize) -> Self {
        (0..bits).rev().fold(self, |s, i| s.bits(code >> i & 1, 1))
    }

    /// A block header but for what follows the type.
    pub(crate) fn block(self, is_final: bool, kind: u32) -> Self {
        self.bits(u32::from(is_final), 1).bits(kind, 2)
    }

    pub(crate) fn align(mut self) -> Self {
        self.len = 8 * self.bytes.len();
        self
    }

    pub(crate) fn stored(self, is_final: bool, data: &[u8]) -> Self {
        let len = data.len() as u32;
        let head = self.block(is_final, 0).align();
        let head = head.bits(len, 16).bits(!len & 0xFFFF, 16);
        data.iter().fold(head, |s, &b| s.bits(b.into(), 8))
    }

    /// A literal/length symbol in the fixed code.
    pub(crate) fn fixed(self, symbol: u32) -> Self {
        match symbol {
            0..144 => self.code(0x30 + symbol, 8),
            144..256 => self.code(0x190 + symbol - 144, 9),
            256..280 => self.code(symbol - 256, 7),
            _ => self.code(0xC0 + symbol - 280, 8),
        }
    }

    /// A match of 3 to 10 bytes in the fixed code.
    pub(crate) fn fixed_match(
        self,
        len: u32,
        distance_symbol: u32,
        extra: u32,
        extra_bits: usize,
    ) -> Self {
        let head = self.fixed(254 + len).code(distance_symbol, 5);
        head.bits(extra, extra_bits)
    }

    /// The counts of a dynamic header: codes, not what is stored of them.
    pub(crate) fn counts(self, literals: u32, distances: u32, code_lengths: u32) -> Self {
        self.bits(literals - 257, 5)
            .bits(distances - 1, 5)
            .bits(code_lengths - 4, 4)
    }

    /// A dynamic header up to the lengths, whose code has five bits for each
    /// symbol from 0 to 18, so that a symbol is its own code.
    pub(crate) fn plain_dynamic(self, is_final: bool, literals: u32, distances: u32) -> Self {
        let head = self.block(is_final, 2).counts(literals, distances, 19);
        (0..19).fold(head, |s, _| s.bits(5, 3))
    }

    pub(crate) fn lengths(self, lengths: &[u8]) -> Self {
        lengths.iter().fold(self, |s, &l| s.code(l.into(), 5))
    }

    /// A whole dynamic header.
    pub(crate) fn dynamic(self, is_final: bool, literals: &[u8], distances: &[u8]) -> Self {
        self.plain_dynamic(is_final, literals.len() as u32, distances.len() as u32)
            .lengths(literals)
            .lengths(distances)
    }
}

/// Lengths that are 0 but for these.
pub(crate) fn some(len: usize, set: &[(usize, u8)]) -> Vec<u8> {
    let mut lengths = vec![0; len];
    for &(symbol, bits) in set {
        lengths[symbol] = bits;
    }
    lengths
}
