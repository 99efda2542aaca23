//! Whether a stream has a repeat of code lengths that runs from the literals
//! into the distances. RFC 1951 allows it and some writers do it; the device
//! refuses it. A slow reader, for streams that were refused.

use pagepress_fallback::huffman::{canonical_codes, reversed};

/// Whether any block's header has one, in a stream that is sound.
pub(crate) fn has_crossing_repeat(stream: &[u8]) -> bool {
    let mut reader = Reader { stream, at: 0 };
    loop {
        let is_final = reader.bits(1) == 1;
        match reader.bits(2) {
            0 => {
                reader.at = reader.at.next_multiple_of(8);
                let len = reader.bits(16);
                reader.at += 16 + 8 * len;
            }
            1 => {
                let mut lengths = [8; 288];
                lengths[144..256].fill(9);
                lengths[256..280].fill(7);
                reader.skip_tokens(&lengths, &[5; 30]);
            }
            _ => match reader.lengths() {
                Some((literals, distances)) => reader.skip_tokens(&literals, &distances),
                None => return true,
            },
        }
        if is_final {
            return false;
        }
    }
}

struct Reader<'a> {
    stream: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn bits(&mut self, count: usize) -> usize {
        (0..count).fold(0, |value, i| {
            let bit = self.stream[self.at / 8] >> (self.at % 8) & 1;
            self.at += 1;
            value | usize::from(bit) << i
        })
    }

    /// The next symbol of a code with these lengths and codes.
    fn symbol(&mut self, lengths: &[u8], codes: &[u16]) -> usize {
        let (mut code, mut len) = (0, 0);
        loop {
            code |= (self.bits(1) as u16) << len;
            len += 1;
            assert!(len <= 15, "no such code");
            let is_it = |&i: &usize| lengths[i] == len && reversed(codes[i], len) == code;
            if let Some(symbol) = (0..lengths.len()).find(is_it) {
                return symbol;
            }
        }
    }

    /// The lengths of a dynamic block's codes, `None` if a repeat crosses.
    fn lengths(&mut self) -> Option<(Vec<u8>, Vec<u8>)> {
        const ORDER: [usize; 19] = [
            16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
        ];
        let (literals, distances) = (257 + self.bits(5), 1 + self.bits(5));
        let code_lengths = 4 + self.bits(4);
        let (mut lengths, mut codes) = ([0; 19], [0; 19]);
        for &symbol in &ORDER[..code_lengths] {
            lengths[symbol] = self.bits(3) as u8;
        }
        canonical_codes(&lengths, &mut codes);
        let mut table = |count: usize| {
            let mut table: Vec<u8> = Vec::new();
            while table.len() < count {
                let (value, times) = match self.symbol(&lengths, &codes) {
                    // The first one repeats what another table ended with.
                    16 => (*table.last()?, 3 + self.bits(2)),
                    17 => (0, 3 + self.bits(3)),
                    18 => (0, 11 + self.bits(7)),
                    len => (len as u8, 1),
                };
                table.extend(vec![value; times]);
            }
            (table.len() == count).then_some(table)
        };
        Some((table(literals)?, table(distances)?))
    }

    fn skip_tokens(&mut self, literals: &[u8], distances: &[u8]) {
        let codes = |lengths: &[u8]| {
            let mut codes = vec![0; lengths.len()];
            canonical_codes(lengths, &mut codes);
            codes
        };
        let (literal_codes, distance_codes) = (codes(literals), codes(distances));
        loop {
            match self.symbol(literals, &literal_codes) {
                0..256 => {}
                256 => return,
                symbol => {
                    self.at += match symbol {
                        ..265 | 285.. => 0,
                        _ => (symbol - 261) / 4,
                    };
                    let symbol = self.symbol(distances, &distance_codes);
                    self.at += (symbol / 2).saturating_sub(1);
                }
            }
        }
    }
}
