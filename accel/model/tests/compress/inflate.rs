//! Ways to read a stream back: two independent inflate implementations, and a
//! slow reader of single tokens.

use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};
use pagepress_fallback::huffman::{canonical_codes, reversed};
use zlib_rs::{Inflate, InflateFlush, Status};

/// Both implementations must make exactly `data` of all of `stream`.
#[track_caller]
pub(crate) fn assert_inflates(stream: &[u8], data: &[u8]) {
    assert_inflates_after(&[], stream, data);
}

/// The same with what the stream may refer back to.
#[track_caller]
pub(crate) fn assert_inflates_after(dictionary: &[u8], stream: &[u8], data: &[u8]) {
    let mut inflate = Inflate::new(false, 15);
    if !dictionary.is_empty() {
        inflate
            .set_dictionary(dictionary)
            .expect("raw streams take one");
    }
    let mut out = vec![0; data.len() + 1];
    let end = inflate.decompress(stream, &mut out, InflateFlush::Finish);
    assert!(matches!(end, Ok(Status::StreamEnd)), "zlib-rs: {end:?}");
    assert_eq!(
        inflate.total_in(),
        stream.len() as u64,
        "zlib-rs: bytes left"
    );
    assert!(
        out[..inflate.total_out() as usize] == *data,
        "zlib-rs: other data"
    );

    let mut out = [dictionary, &vec![0; data.len() + 1]].concat();
    let flags = inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
    let mut state = DecompressorOxide::new();
    let (status, read, written) = decompress(&mut state, stream, &mut out, dictionary.len(), flags);
    assert_eq!(
        status,
        miniz_oxide::inflate::TINFLStatus::Done,
        "miniz_oxide"
    );
    assert_eq!(read, stream.len(), "miniz_oxide: bytes left");
    assert!(
        out[dictionary.len()..][..written] == *data,
        "miniz_oxide: other data"
    );
}

/// Bits in the order of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct BitString(Vec<bool>);

impl BitString {
    pub(crate) fn push(&mut self, value: u32, count: u32) {
        self.0.extend((0..count).map(|i| value >> i & 1 != 0));
    }

    /// The output of a job that was flushed.
    pub(crate) fn push_flushed(&mut self, bytes: &[u8], output_bits: u8) {
        self.push_bytes(bytes);
        if output_bits != 0 {
            self.0.truncate(self.0.len() - 8 + usize::from(output_bits));
        }
    }

    pub(crate) fn push_bytes(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.push(u32::from(byte), 8);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let byte = |bits: &[bool]| bits.iter().rev().fold(0, |b, &bit| b << 1 | u8::from(bit));
        self.0.chunks(8).map(byte).collect()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    Literal(u8),
    Match { length: usize, distance: usize },
    EndOfBlock,
}

/// All tokens of a stream, up to the end of its final block.
pub(crate) fn tokens(stream: &[u8]) -> Vec<Token> {
    let mut reader = Reader { stream, at: 0 };
    let mut tokens = Vec::new();
    loop {
        let is_final = reader.bits(1) == 1;
        match reader.bits(2) {
            0 => {
                reader.at = reader.at.next_multiple_of(8);
                let len = reader.bits(16);
                assert_eq!(len ^ reader.bits(16), 0xFFFF);
                assert_eq!(len, 0, "the device writes empty stored blocks only");
            }
            1 => reader.block(&fixed_lengths(), &[5; 30], &mut tokens),
            2 => {
                let (literals, distances) = reader.lengths();
                reader.block(&literals, &distances, &mut tokens);
            }
            _ => panic!("block type 3"),
        }
        if is_final {
            assert_eq!(reader.at.div_ceil(8), stream.len());
            return tokens;
        }
    }
}

pub(crate) fn fixed_lengths() -> [u8; 288] {
    let mut lengths = [8; 288];
    lengths[144..256].fill(9);
    lengths[256..280].fill(7);
    lengths
}

struct Reader<'a> {
    stream: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn bits(&mut self, count: u32) -> usize {
        (0..count).fold(0, |value, i| {
            let bit = self.stream[self.at / 8] >> (self.at % 8) & 1;
            self.at += 1;
            value | usize::from(bit) << i
        })
    }

    fn symbol(&mut self, lengths: &[u8]) -> usize {
        let mut codes = vec![0; lengths.len()];
        canonical_codes(lengths, &mut codes);
        let (mut code, mut len) = (0, 0);
        loop {
            code |= (self.bits(1) as u16) << len;
            len += 1;
            assert!(len <= 15, "no such code");
            let is_it = |i: &usize| lengths[*i] == len && reversed(codes[*i], len) == code;
            if let Some(symbol) = (0..lengths.len()).find(is_it) {
                return symbol;
            }
        }
    }

    fn lengths(&mut self) -> (Vec<u8>, Vec<u8>) {
        const ORDER: [usize; 19] = [
            16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
        ];
        let (hlit, hdist) = (257 + self.bits(5), 1 + self.bits(5));
        let hclen = 4 + self.bits(4);
        let mut code = [0; 19];
        for &symbol in &ORDER[..hclen] {
            code[symbol] = self.bits(3) as u8;
        }
        let mut table = |count: usize| {
            let mut lengths = Vec::new();
            while lengths.len() < count {
                let (value, times) = match self.symbol(&code) {
                    16 => (*lengths.last().unwrap(), 3 + self.bits(2)),
                    17 => (0, 3 + self.bits(3)),
                    18 => (0, 11 + self.bits(7)),
                    len => (len as u8, 1),
                };
                lengths.extend(vec![value; times]);
            }
            // A run over the end of a table is what the device refuses.
            assert_eq!(lengths.len(), count);
            lengths
        };
        (table(hlit), table(hdist))
    }

    fn block(&mut self, literals: &[u8], distances: &[u8], tokens: &mut Vec<Token>) {
        loop {
            match self.symbol(literals) {
                literal @ 0..256 => tokens.push(Token::Literal(literal as u8)),
                256 => return tokens.push(Token::EndOfBlock),
                symbol => {
                    let i = symbol - 257;
                    let extra = match i {
                        0..8 | 28 => 0,
                        _ => (i as u32 - 4) / 4,
                    };
                    let length = match i {
                        0..8 => 3 + i,
                        28 => 258,
                        _ => 3 + ((4 + i % 4) << extra) + self.bits(extra),
                    };
                    let i = self.symbol(distances);
                    let extra = (i as u32 / 2).saturating_sub(1);
                    let distance = match i {
                        0..4 => 1 + i,
                        _ => 1 + ((2 + i % 2) << extra) + self.bits(extra),
                    };
                    tokens.push(Token::Match { length, distance });
                }
            }
        }
    }
}
