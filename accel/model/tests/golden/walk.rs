//! A slow reader of deflate that knows where everything is, and shares no code
//! with the model.

/// A stream, read to the end of its final block.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    pub(crate) data: Vec<u8>,
    pub(crate) blocks: Vec<Block>,
    /// Bits up to the end of the final block.
    pub(crate) bits: usize,
}

/// A block with Huffman codes; stored ones have no symbols.
#[derive(Debug)]
pub(crate) struct Block {
    /// How often each symbol occurs, end of block included.
    pub(crate) literals: [u32; 286],
    pub(crate) distances: [u32; 30],
    /// The first bit behind the header.
    pub(crate) start: usize,
    /// For each token, end of block included, the bit behind it, and the bytes
    /// of data up to there.
    pub(crate) tokens: Vec<(usize, usize)>,
}

/// Reads all of a stream.
///
/// # Panics
/// If it is not sound.
pub(crate) fn walk(stream: &[u8]) -> Walk {
    let mut reader = Reader { stream, at: 0 };
    let mut walk = Walk::default();
    loop {
        let is_final = reader.bits(1) == 1;
        match reader.bits(2) {
            0 => reader.stored(&mut walk.data),
            1 => {
                let block = reader.block(&FIXED, &[5; 30], &mut walk.data, usize::MAX);
                walk.blocks.push(block.expect("matches in the data"));
            }
            2 => {
                let (literals, distances) = reader.lengths();
                let block = reader.block(&literals, &distances, &mut walk.data, usize::MAX);
                walk.blocks.push(block.expect("matches in the data"));
            }
            _ => panic!("block type 3"),
        }
        if is_final {
            walk.bits = reader.at;
            return walk;
        }
    }
}

/// `len` bytes of a fixed block from this bit on, without what came before:
/// `None` if a match needs that.
pub(crate) fn fixed_tokens(stream: &[u8], bit: usize, len: usize) -> Option<Vec<u8>> {
    let mut reader = Reader { stream, at: bit };
    let mut data = Vec::new();
    reader.block(&FIXED, &[5; 30], &mut data, len)?;
    Some(data)
}

const FIXED: [u8; 288] = {
    let mut lengths = [8; 288];
    let mut i = 144;
    while i < 280 {
        lengths[i] = if i < 256 { 9 } else { 7 };
        i += 1;
    }
    lengths
};

/// Canonical codes: how many have each length, and symbols by length.
struct Decoder {
    counts: [usize; 16],
    symbols: Vec<usize>,
}

impl Decoder {
    fn new(lengths: &[u8]) -> Self {
        let mut counts = [0; 16];
        let mut symbols = Vec::new();
        for len in 1..=15 {
            let before = symbols.len();
            symbols.extend((0..lengths.len()).filter(|&i| lengths[i] == len));
            counts[usize::from(len)] = symbols.len() - before;
        }
        Self { counts, symbols }
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

    fn symbol(&mut self, decoder: &Decoder) -> usize {
        // `first` is the first code of a length, `index` its symbol's place.
        let (mut code, mut first, mut index) = (0, 0, 0);
        for &count in &decoder.counts[1..] {
            code |= self.bits(1);
            if code < first + count {
                return decoder.symbols[index + code - first];
            }
            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        panic!("bit {}: no such code", self.at);
    }

    fn stored(&mut self, data: &mut Vec<u8>) {
        self.at = self.at.next_multiple_of(8);
        let len = self.bits(16);
        assert_eq!(len ^ self.bits(16), 0xFFFF, "lengths of a stored block");
        let from = self.at / 8;
        data.extend_from_slice(&self.stream[from..from + len]);
        self.at += 8 * len;
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
        let decoder = Decoder::new(&code);
        let mut lengths = Vec::new();
        while lengths.len() < hlit + hdist {
            let (value, times) = match self.symbol(&decoder) {
                16 => (*lengths.last().expect("one to repeat"), 3 + self.bits(2)),
                17 => (0, 3 + self.bits(3)),
                18 => (0, 11 + self.bits(7)),
                len => (len as u8, 1),
            };
            lengths.extend(vec![value; times]);
        }
        assert_eq!(lengths.len(), hlit + hdist, "a run over the end");
        let distances = lengths.split_off(hlit);
        (lengths, distances)
    }

    /// The tokens of a block, until its end or until there are `most` bytes.
    /// `None` if a match starts before the data.
    fn block(
        &mut self,
        literals: &[u8],
        distances: &[u8],
        data: &mut Vec<u8>,
        most: usize,
    ) -> Option<Block> {
        let (literals, distances) = (Decoder::new(literals), Decoder::new(distances));
        let mut block = Block {
            literals: [0; 286],
            distances: [0; 30],
            start: self.at,
            tokens: Vec::new(),
        };
        while data.len() < most {
            let symbol = self.symbol(&literals);
            block.literals[symbol] += 1;
            match symbol {
                0..256 => data.push(symbol as u8),
                256 => {
                    block.tokens.push((self.at, data.len()));
                    return Some(block);
                }
                _ => {
                    let i = symbol - 257;
                    let extra = if (8..28).contains(&i) { (i - 4) / 4 } else { 0 };
                    let length = match i {
                        0..8 => 3 + i,
                        28 => 258,
                        _ => 3 + ((4 + i % 4) << extra) + self.bits(extra),
                    };
                    let i = self.symbol(&distances);
                    block.distances[i] += 1;
                    let extra = (i / 2).saturating_sub(1);
                    let distance = match i {
                        0..4 => 1 + i,
                        _ => 1 + ((2 + i % 2) << extra) + self.bits(extra),
                    };
                    let from = data.len().checked_sub(distance)?;
                    assert!(distance <= 4096, "a match in the history");
                    for k in from..from + length {
                        data.push(data[k]);
                    }
                }
            }
            block.tokens.push((self.at, data.len()));
        }
        Some(block)
    }
}
