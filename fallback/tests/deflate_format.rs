//! What IAA asks of a deflate stream, checked on ours token by token: no match
//! reaches back more than 4096 bytes, and no code-length repeat runs from the
//! literal/length lengths into the distance lengths.

#![cfg(feature = "deflate")]

use pagepress_fallback::PageCodec;
use pagepress_fallback::deflate::{Deflate, LEVELS};

/// The device's history (IAA specification 2.1, 3.8).
const HISTORY: usize = 4096;

#[test]
fn our_streams_are_what_the_device_reads() {
    let (mut streams, mut dynamic_blocks) = (0, 0);
    for unit in [4096, 16384, 65536] {
        for level in LEVELS {
            let mut codec = Deflate::new(unit, level).expect("memory").without_probe();
            let mut dst = vec![0; codec.dst_bytes()];
            for page in pages(unit) {
                let Ok(len) = codec.compress(&page, &mut dst, unit - 1) else {
                    continue;
                };
                let mut walk = Walk::new(&dst[..len]);
                assert_eq!(walk.stream(), page, "level {level}, unit {unit}");
                assert!(
                    walk.farthest <= HISTORY,
                    "level {level} reaches {} back",
                    walk.farthest
                );
                streams += 1;
                dynamic_blocks += walk.dynamic_blocks;
            }
        }
    }
    assert!(streams >= 4 * 3 * 9 - 6, "only {streams} were compressed");
    assert!(
        dynamic_blocks > 50,
        "only {dynamic_blocks} dynamic blocks were seen"
    );
}

fn pages(unit: usize) -> Vec<Vec<u8>> {
    let source = include_str!("../src/probe.rs").as_bytes();
    let text: Vec<u8> = source.iter().copied().cycle().take(unit).collect();
    let mut state = 88_172_645_463_325_252u64;
    let random: Vec<u8> = (0..unit)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        })
        .collect();
    let words = (0..unit as u32 / 4)
        .flat_map(|i| (i * i).to_le_bytes())
        .collect();
    // Repeats at every distance up to and beyond the history.
    let mut repeats = random.clone();
    for at in (64..unit - 64).step_by(64) {
        let back = (at * 7 % 9000).clamp(1, at);
        repeats.copy_within(at - back..at - back + 40, at);
    }
    vec![text, random, words, repeats, vec![b'a'; unit]]
}

/// A slow, plain inflate that looks at every token.
struct Walk<'a> {
    bytes: &'a [u8],
    bit: usize,
    out: Vec<u8>,
    farthest: usize,
    dynamic_blocks: usize,
}

impl<'a> Walk<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            bit: 0,
            out: Vec::new(),
            farthest: 0,
            dynamic_blocks: 0,
        }
    }

    fn bits(&mut self, count: usize) -> usize {
        (0..count).fold(0, |value, i| {
            let bit = self.bytes[self.bit / 8] >> (self.bit % 8) & 1;
            self.bit += 1;
            value | usize::from(bit) << i
        })
    }

    fn stream(&mut self) -> Vec<u8> {
        loop {
            let last = self.bits(1) == 1;
            match self.bits(2) {
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
                    self.block(&Code::new(&literals), &Code::new(&[5; 30]));
                }
                2 => self.dynamic(),
                kind => panic!("block type {kind}"),
            }
            if last {
                assert_eq!(
                    self.bit.div_ceil(8),
                    self.bytes.len(),
                    "bytes after the stream"
                );
                return std::mem::take(&mut self.out);
            }
        }
    }

    fn stored(&mut self) {
        self.bit = self.bit.next_multiple_of(8);
        let len = self.bits(16);
        assert_eq!(self.bits(16), !len & 0xFFFF);
        for _ in 0..len {
            let byte = self.bits(8) as u8;
            self.out.push(byte);
        }
    }

    fn dynamic(&mut self) {
        self.dynamic_blocks += 1;
        let literals = self.bits(5) + 257;
        let distances = self.bits(5) + 1;
        let mut lengths = [0; 19];
        for i in 0..self.bits(4) + 4 {
            let order = [
                16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
            ];
            lengths[order[i]] = self.bits(3);
        }
        let code = Code::new(&lengths);
        let mut lengths: Vec<usize> = Vec::new();
        while lengths.len() < literals + distances {
            let before = lengths.len();
            match self.symbol(&code) {
                16 => {
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
        let (literals, distances) = lengths.split_at(literals);
        self.block(&Code::new(literals), &Code::new(distances));
    }

    fn block(&mut self, literals: &Code, distances: &Code) {
        const LENGTHS: [(usize, usize); 29] = base_and_extra::<29>(3, 4);
        const DISTANCES: [(usize, usize); 30] = base_and_extra::<30>(1, 2);
        loop {
            match self.symbol(literals) {
                256 => return,
                byte @ 0..256 => self.out.push(byte as u8),
                symbol => {
                    let (base, extra) = if symbol == 285 {
                        (258, 0)
                    } else {
                        LENGTHS[symbol - 257]
                    };
                    let length = base + self.bits(extra);
                    let (base, extra) = DISTANCES[self.symbol(distances)];
                    let distance = base + self.bits(extra);
                    self.farthest = self.farthest.max(distance);
                    for _ in 0..length {
                        self.out.push(self.out[self.out.len() - distance]);
                    }
                }
            }
        }
    }

    fn symbol(&mut self, code: &Code) -> usize {
        let (mut length, mut value) = (0, 0);
        loop {
            length += 1;
            value = value << 1 | self.bits(1);
            if let Some(&(_, _, symbol)) =
                code.0.iter().find(|&&(l, v, _)| (l, v) == (length, value))
            {
                return symbol;
            }
            assert!(length < 16, "no such code");
        }
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

/// A canonical code as (length, value, symbol).
struct Code(Vec<(usize, usize, usize)>);

impl Code {
    fn new(lengths: &[usize]) -> Self {
        let mut codes = Vec::new();
        let mut value = 0;
        for length in 1..16 {
            for (symbol, _) in lengths.iter().enumerate().filter(|&(_, &l)| l == length) {
                codes.push((length, value, symbol));
                value += 1;
            }
            value <<= 1;
        }
        Self(codes)
    }
}
