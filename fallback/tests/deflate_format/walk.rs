//! A slow, plain inflate that looks at every token, and insists on what IAA does.

use pagepress_fallback::encoder::WINDOW;

/// What there was, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    Literal(u8),
    Repeat { length: usize, distance: usize },
}

/// All that a stream told.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) page: Vec<u8>,
    pub(crate) tokens: Vec<Token>,
    /// The type of each block.
    pub(crate) blocks: Vec<usize>,
    /// Bits of the stream, without what fills its last byte.
    pub(crate) bits: usize,
    /// The longest code that was used.
    pub(crate) longest_code: usize,
}

/// Reads a stream, which must be all there is.
pub(crate) fn walk(bytes: &[u8]) -> Told {
    let mut walk = Walk::new(bytes);
    walk.stream();
    walk.end()
}

/// Reads one block without a header, in codes of these lengths.
pub(crate) fn walk_body(bytes: &[u8], literals: &[u8], distances: &[u8]) -> Told {
    let mut walk = Walk::new(bytes);
    let code = |lengths: &[u8]| Code::new(&lengths.iter().map(|&l| l.into()).collect::<Vec<_>>());
    walk.block(&code(literals), &code(distances));
    walk.end()
}

struct Walk<'a> {
    bytes: &'a [u8],
    told: Told,
}

impl<'a> Walk<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            told: Told::default(),
        }
    }

    fn bits(&mut self, count: usize) -> usize {
        (0..count).fold(0, |value, i| {
            let bit = self.bytes[self.told.bits / 8] >> (self.told.bits % 8) & 1;
            self.told.bits += 1;
            value | usize::from(bit) << i
        })
    }

    fn end(mut self) -> Told {
        let bits = self.told.bits;
        assert_eq!(bits.div_ceil(8), self.bytes.len(), "bytes after the stream");
        let padding = bits.wrapping_neg() % 8;
        assert_eq!(self.bits(padding), 0, "the last byte is not filled with 0");
        self.told.bits = bits;
        self.told
    }

    fn stream(&mut self) {
        loop {
            let last = self.bits(1) == 1;
            let kind = self.bits(2);
            self.told.blocks.push(kind);
            match kind {
                0 => self.stored(),
                1 => {
                    let literals: Vec<usize> = (0..288)
                        .map(|i| match i {
                            0..144 => 8,
                            144..256 => 9,
                            256..280 => 7,
                            _ => 8,
                        })
                        .collect();
                    self.block(&Code::new(&literals), &Code::new(&[5; 32]));
                }
                2 => self.dynamic(),
                kind => panic!("block type {kind}"),
            }
            if last {
                return;
            }
        }
    }

    fn stored(&mut self) {
        self.told.bits = self.told.bits.next_multiple_of(8);
        let len = self.bits(16);
        assert_eq!(self.bits(16), !len & 0xFFFF);
        for _ in 0..len {
            let byte = self.bits(8) as u8;
            self.token(Token::Literal(byte));
        }
    }

    fn dynamic(&mut self) {
        let literals = self.bits(5) + 257;
        let distances = self.bits(5) + 1;
        assert!(literals <= 286 && distances <= 30, "more than there are");
        let mut lengths = [0; 19];
        for i in 0..self.bits(4) + 4 {
            let order = [
                16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
            ];
            lengths[order[i]] = self.bits(3);
        }
        let code = Code::new(&lengths);
        assert_eq!(code.unused, 0, "an incomplete code of code lengths");
        let mut lengths: Vec<usize> = Vec::new();
        while lengths.len() < literals + distances {
            let before = lengths.len();
            match self.symbol(&code) {
                16 => {
                    assert_ne!(before, literals, "the first distance length is a repeat");
                    let last = lengths[before - 1];
                    lengths.resize(before + 3 + self.bits(2), last);
                }
                17 => lengths.resize(before + 3 + self.bits(3), 0),
                18 => lengths.resize(before + 11 + self.bits(7), 0),
                length => lengths.push(length),
            }
            assert!(
                before >= literals || lengths.len() <= literals,
                "a repeat runs from the literal lengths into the distance lengths"
            );
        }
        assert_eq!(lengths.len(), literals + distances, "too many lengths");
        let (literals, distances) = lengths.split_at(literals);
        assert_ne!(literals[256], 0, "no code ends the block");
        let (literals, distances) = (Code::new(literals), Code::new(distances));
        for code in [&literals, &distances] {
            assert!(
                code.unused == 0 || code.symbols.len() < 2,
                "an incomplete code"
            );
        }
        self.block(&literals, &distances);
    }

    fn block(&mut self, literals: &Code, distances: &Code) {
        const LENGTHS: [(usize, usize); 29] = base_and_extra::<29>(3, 4);
        const DISTANCES: [(usize, usize); 30] = base_and_extra::<30>(1, 2);
        loop {
            match self.symbol(literals) {
                256 => return,
                byte @ 0..256 => self.token(Token::Literal(byte as u8)),
                symbol => {
                    let (base, extra) = if symbol == 285 {
                        (258, 0)
                    } else {
                        LENGTHS[symbol - 257]
                    };
                    let length = base + self.bits(extra);
                    // RFC 1951 has one way to say it.
                    assert!(length < 258 || symbol == 285, "258 by symbol {symbol}");
                    let (base, extra) = DISTANCES[self.symbol(distances)];
                    let distance = base + self.bits(extra);
                    self.token(Token::Repeat { length, distance });
                }
            }
        }
    }

    fn token(&mut self, token: Token) {
        self.told.tokens.push(token);
        let page = &mut self.told.page;
        match token {
            Token::Literal(byte) => page.push(byte),
            Token::Repeat { length, distance } => {
                assert!(distance <= WINDOW, "{distance} bytes back");
                assert!(distance <= page.len(), "before the page");
                for _ in 0..length {
                    page.push(page[page.len() - distance]);
                }
            }
        }
    }

    fn symbol(&mut self, code: &Code) -> usize {
        let (mut value, mut first, mut index) = (0, 0, 0);
        for length in 1..16 {
            value = value << 1 | self.bits(1);
            let count = code.counts[length];
            if value < first + count {
                self.told.longest_code = self.told.longest_code.max(length);
                return code.symbols[index + value - first];
            }
            index += count;
            first = (first + count) << 1;
        }
        panic!("no such code");
    }
}

/// RFC 1951, 3.2.5: after the first `group` values each extra bit serves as
/// many codes, `group` of which share it.
const fn base_and_extra<const N: usize>(first: usize, group: usize) -> [(usize, usize); N] {
    let mut table = [(0, 0); N];
    let (mut i, mut base) = (0, first);
    while i < N {
        let extra = if i < 2 * group { 0 } else { i / group - 1 };
        table[i] = (base, extra);
        base += 1 << extra;
        i += 1;
    }
    table
}

/// A canonical code: how many symbols have each length, and which, in order.
struct Code {
    counts: [usize; 16],
    symbols: Vec<usize>,
    /// Codes of 15 bits that mean nothing.
    unused: usize,
}

impl Code {
    fn new(lengths: &[usize]) -> Self {
        let mut counts = [0; 16];
        let mut symbols = Vec::new();
        let mut unused = 1usize << 15;
        for length in 1..16 {
            symbols.extend((0..lengths.len()).filter(|&symbol| lengths[symbol] == length));
            counts[length] = symbols.len() - counts[..length].iter().sum::<usize>();
            unused = unused
                .checked_sub(counts[length] << (15 - length))
                .expect("more codes than there can be");
        }
        Self {
            counts,
            symbols,
            unused,
        }
    }
}
