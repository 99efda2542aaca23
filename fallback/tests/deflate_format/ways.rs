//! All ways in which the encoder writes, and what must be true of each.

use crate::readers::assert_read_by_all;
use crate::walk::{Token, Told, walk, walk_body};
use pagepress_fallback::encoder::{Codes, Encoder, SLACK};
use pagepress_fallback::huffman::{DISTANCES, Header, LITERALS, code_lengths};

/// What lies in the room before anything is written there.
const UNTOUCHED: u8 = 0xA5;

/// Code lengths for any page, the header that tells them, and both made ready.
pub(crate) struct Tables {
    literals: [u8; LITERALS],
    distances: [u8; DISTANCES],
    header: Vec<u8>,
    header_bits: usize,
    with_header: Codes,
    canned: Codes,
}

impl Tables {
    /// For symbols that occur so often, and once more.
    pub(crate) fn new(literals: &[u32; LITERALS], distances: &[u32; DISTANCES]) -> Self {
        let mut tables = ([0; LITERALS], [0; DISTANCES]);
        code_lengths(&literals.map(|n| n + 1), 15, &mut tables.0);
        code_lengths(&distances.map(|n| n + 1), 15, &mut tables.1);
        let (literals, distances) = tables;
        let (mut header, mut header_bits) = (Vec::new(), 0);
        Header::new(&literals, &distances).write(true, |value, count| {
            push_bits(&mut header, header_bits, value, count);
            header_bits += count as usize;
        });
        Self {
            with_header: Codes::with_header(&literals, &distances, &header, header_bits),
            canned: Codes::with_header(&literals, &distances, &[], 0),
            literals,
            distances,
            header,
            header_bits,
        }
    }

    /// All codes about equally long.
    pub(crate) fn flat() -> Self {
        Self::new(&[0; LITERALS], &[0; DISTANCES])
    }

    /// Codes of all lengths: literals up to 15 bits, or lengths and distances.
    pub(crate) fn steep(literals: bool) -> Self {
        let fibonacci = |i: usize| (0..i % 32).fold((1, 1), |(a, b), _| (b, a + b)).0;
        let lengths_from = LITERALS - 29;
        Self::new(
            &core::array::from_fn(|i| match (literals, i < lengths_from) {
                (true, true) => fibonacci(i),
                (false, false) => fibonacci(i - lengths_from),
                (true, false) => 10,
                (false, true) => 10_000,
            }),
            &core::array::from_fn(|i| if literals { 0 } else { fibonacci(i) }),
        )
    }

    /// For pages like this one, as far as its literals go.
    pub(crate) fn of(page: &[u8]) -> Self {
        let mut literals = [0; LITERALS];
        for &byte in page {
            literals[usize::from(byte)] += 1;
        }
        Self::new(&literals, &[0; DISTANCES])
    }

    /// Bits of the longest code of a literal.
    pub(crate) fn longest_literal(&self) -> u8 {
        self.literals[..256].iter().copied().max().unwrap_or(0)
    }
}

/// A way to write a page.
#[derive(Clone, Copy)]
pub(crate) enum Way<'a> {
    Fixed(&'a Codes),
    Dynamic,
    WithHeader(&'a Tables),
    Canned(&'a Tables),
}

impl Way<'_> {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Fixed(_) => "fixed",
            Self::Dynamic => "dynamic",
            Self::WithHeader(_) => "with a header",
            Self::Canned(_) => "canned",
        }
    }

    /// Writes a page, in exactly as much room as the limit asks for; nothing
    /// behind that may change.
    pub(crate) fn write(
        &self,
        encoder: &mut Encoder,
        page: &[u8],
        limit: usize,
    ) -> Option<Vec<u8>> {
        let mut room = vec![UNTOUCHED; limit + SLACK + 64];
        let dst = &mut room[..];
        let written = match self {
            Self::Fixed(codes) => encoder.with_codes(page, dst, limit, codes),
            Self::Dynamic => encoder.dynamic(page, dst, limit),
            Self::WithHeader(tables) => encoder.with_codes(page, dst, limit, &tables.with_header),
            Self::Canned(tables) => encoder.with_codes(page, dst, limit, &tables.canned),
        };
        let behind = &room[limit + SLACK..];
        assert!(
            behind.iter().all(|&byte| byte == UNTOUCHED),
            "{}: written behind the room",
            self.name()
        );
        written.map(|len| {
            assert!(len <= limit, "{}: {len} of {limit} bytes", self.name());
            room[..len].to_vec()
        })
    }
}

/// More bytes than a page can take.
pub(crate) fn most(page: &[u8]) -> usize {
    2 * page.len() + 1024
}

/// Checks all ways to write a page; what the dynamic one made of it.
#[track_caller]
pub(crate) fn check(encoder: &mut Encoder, fixed: &Codes, tables: &Tables, page: &[u8]) -> Told {
    let mut check = |way: Way<'_>| check_way(encoder, way, page);
    let (_, by_fixed) = check(Way::Fixed(fixed));
    assert_eq!(by_fixed.blocks, [1]);
    let (bytes, with_header) = check(Way::WithHeader(tables));
    assert_eq!(with_header.blocks, [2]);
    assert_eq!(by_fixed.tokens, with_header.tokens, "codes change tokens");
    let (body, canned) = check(Way::Canned(tables));
    assert_eq!(by_fixed.tokens, canned.tokens, "codes change tokens");
    assert_joined(tables, &bytes, &body, canned.bits);
    let (bytes, dynamic) = check(Way::Dynamic);
    assert_eq!(dynamic.blocks.len(), 1);
    let most = 3 + fixed_bits(&dynamic.tokens);
    assert!(bytes.len() <= most.div_ceil(8), "fixed codes were shorter");
    dynamic
}

#[track_caller]
fn check_way(encoder: &mut Encoder, way: Way<'_>, page: &[u8]) -> (Vec<u8>, Told) {
    let name = way.name();
    let bytes = way.write(encoder, page, most(page)).expect(name);
    let told = match way {
        Way::Canned(tables) => walk_body(&bytes, &tables.literals, &tables.distances),
        _ => walk(&bytes),
    };
    assert!(told.page == page, "{name}: another page");
    if !matches!(way, Way::Canned(_)) {
        assert_read_by_all(&bytes, page);
    }
    let mut at = |limit| way.write(encoder, page, limit);
    assert!(at(bytes.len()).as_ref() == Some(&bytes), "{name}: exactly");
    assert_eq!(at(bytes.len() - 1), None, "{name}: one byte below");
    (bytes, told)
}

/// A header and the body of a canned page are the page with that header.
fn assert_joined(tables: &Tables, whole: &[u8], body: &[u8], body_bits: usize) {
    let mut joined = tables.header.clone();
    for bit in 0..body_bits {
        let at = tables.header_bits + bit;
        let value = body[bit / 8] >> (bit % 8) & 1;
        push_bits(&mut joined, at, value.into(), 1);
    }
    assert!(
        joined == whole,
        "the header is not what the pages differ in"
    );
}

/// What the fixed codes take for it (RFC 1951, 3.2.5 and 3.2.6).
fn fixed_bits(tokens: &[Token]) -> usize {
    let bits = tokens.iter().map(|token| match *token {
        Token::Literal(..144) => 8,
        Token::Literal(144..) => 9,
        Token::Repeat { length, distance } => {
            let code = if length < 115 { 7 } else { 8 };
            let length_extra = match length {
                258 => 0,
                3..=10 => 0,
                _ => (length - 3).ilog2() - 2,
            };
            let distance_extra = match distance {
                1..=4 => 0,
                _ => (distance - 1).ilog2() - 1,
            };
            (code + length_extra + 5 + distance_extra) as usize
        }
    });
    bits.sum::<usize>() + 7
}

fn push_bits(bytes: &mut Vec<u8>, at: usize, value: u32, count: u32) {
    for bit in 0..count {
        let at = at + bit as usize;
        bytes.resize(at / 8 + 1, 0);
        bytes[at / 8] |= ((value >> bit & 1) as u8) << (at % 8);
    }
}
