//! Blocks whose codes are known beforehand, against libdeflate and zlib-rs reading
//! the same behind a header that tells the codes.

#![cfg(feature = "deflate")]

use pagepress_fallback::Corrupt;
use pagepress_fallback::deflate::Deflate;
use pagepress_fallback::encoder::{Codes, Encoder};
use pagepress_fallback::huffman::{
    self, CODE_BITS_MAX, DISTANCES, END_OF_BLOCK, Header, LITERALS, SYMBOLS_MAX,
};
use pagepress_fallback::inflate::Known;
use proptest::collection::vec;
use proptest::prelude::*;
use zlib_rs::{Inflate, InflateFlush, Status};

#[derive(Debug, Clone, Copy)]
enum Token {
    Literal(u8),
    Match { length: usize, distance: usize },
}

/// Bits, lowest first.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    count: usize,
}

impl Bits {
    fn put(&mut self, value: u32, count: u32) {
        for i in 0..count {
            if self.count % 8 == 0 {
                self.bytes.push(0);
            }
            self.bytes[self.count / 8] |= ((value >> i & 1) as u8) << (self.count % 8);
            self.count += 1;
        }
    }
}

/// Code lengths of literals and lengths, and of distances.
type Lengths = (Vec<u8>, Vec<u8>);

/// RFC 1951, 3.2.5, by search.
fn symbol(value: usize, first: usize, group: usize) -> (usize, u32, u32) {
    let (mut symbol, mut base, mut extra) = (0, first, 0);
    while value >= base + (1 << extra) {
        base += 1 << extra;
        symbol += 1;
        extra = (symbol / group).saturating_sub(1);
    }
    (symbol, (value - base) as u32, extra as u32)
}

fn length_symbol(length: usize) -> (usize, u32, u32) {
    if length == 258 {
        return (285, 0, 0);
    }
    let (symbol, extra, bits) = symbol(length, 3, 4);
    (257 + symbol, extra, bits)
}

fn distance_symbol(distance: usize) -> (usize, u32, u32) {
    symbol(distance, 1, 2)
}

fn body(tokens: &[Token], lengths: &Lengths) -> Vec<u8> {
    let (mut literals, mut distances) = ([0; SYMBOLS_MAX], [0; 32]);
    huffman::canonical_codes(&lengths.0, &mut literals);
    huffman::canonical_codes(&lengths.1, &mut distances);
    let mut out = Bits::default();
    let put = |out: &mut Bits, codes: &[u16], lengths: &[u8], symbol: usize| {
        assert_ne!(lengths[symbol], 0, "symbol {symbol} has no code");
        let code = huffman::reversed(codes[symbol], lengths[symbol]);
        out.put(code.into(), lengths[symbol].into());
    };
    for token in tokens {
        match *token {
            Token::Literal(byte) => put(&mut out, &literals, &lengths.0, byte.into()),
            Token::Match { length, distance } => {
                let (symbol, extra, bits) = length_symbol(length);
                put(&mut out, &literals, &lengths.0, symbol);
                out.put(extra, bits);
                let (symbol, extra, bits) = distance_symbol(distance);
                put(&mut out, &distances, &lengths.1, symbol);
                out.put(extra, bits);
            }
        }
    }
    put(&mut out, &literals, &lengths.0, END_OF_BLOCK);
    out.bytes
}

fn page(tokens: &[Token]) -> Vec<u8> {
    let mut page = Vec::new();
    for token in tokens {
        match *token {
            Token::Literal(byte) => page.push(byte),
            Token::Match { length, distance } => {
                for _ in 0..length {
                    page.push(page[page.len() - distance]);
                }
            }
        }
    }
    page
}

/// A header, and in front of it empty blocks with which it ends at a byte's end: so
/// what follows is the same bytes with and without it.
fn whole_bytes_of_header(lengths: &Lengths) -> Vec<u8> {
    let mut out = Bits::default();
    let header = Header::new(&lengths.0, &lengths.1);
    if header.bits() % 2 == 1 {
        // One with dynamic codes for an odd number of bits.
        let odd = (0..256).find_map(|literal| {
            let mut literals = [0; LITERALS];
            (literals[literal], literals[END_OF_BLOCK]) = (1, 1);
            let header = Header::new(&literals, &[1, 1]);
            (header.bits() % 2 == 0).then_some(header)
        });
        let odd = odd.expect("some literal makes an odd one");
        odd.write(false, |value, bits| out.put(value, bits));
        // The end of block comes after the literal.
        out.put(1, 1);
    }
    while (out.count + header.bits()) % 8 != 0 {
        // Not the last one, fixed codes, end of block: ten bits.
        out.put(0b010, 10);
    }
    header.write(true, |value, bits| out.put(value, bits));
    assert_eq!(out.count % 8, 0);
    out.bytes
}

/// What zlib-rs makes of a stream: how many bytes it had, and the page.
fn zlib_rs(stream: &[u8], len: usize) -> Result<(usize, Vec<u8>), Corrupt> {
    let mut inflate = Inflate::new(false, 15);
    let mut page = vec![0; len + 1];
    let status = inflate.decompress(stream, &mut page, InflateFlush::Finish);
    match (status, inflate.total_out() as usize) {
        (Ok(Status::StreamEnd), made) if made < len => Err(Corrupt::ShortPage),
        (Ok(Status::StreamEnd), made) if made == len => {
            page.truncate(len);
            Ok((inflate.total_in() as usize, page))
        }
        (_, made) if made > len => Err(Corrupt::LongPage),
        _ => Err(Corrupt::BadStream),
    }
}

/// Where a block is damaged as well as too long, which is told is a decoder's choice.
fn verdict<T>(result: &Result<T, Corrupt>) -> &'static str {
    match result {
        Ok(_) => "sound",
        Err(Corrupt::ShortPage) => "short",
        Err(_) => "bad",
    }
}

/// All three make the same of a block.
fn agreed(known: &Known, lengths: &Lengths, body: &[u8], len: usize) -> Result<Vec<u8>, Corrupt> {
    let mut ours = vec![0xA5; len];
    let read = known.decode(body, &mut ours);

    let header = whole_bytes_of_header(lengths);
    let stream = [&header, body].concat();
    let mut theirs = vec![0x5A; len];
    let mut deflate = Deflate::new(4096, 1).expect("memory");
    let libdeflate = deflate.decompress_prefix(&stream, &mut theirs);
    let zlib_rs = zlib_rs(&stream, len);
    assert_eq!(
        verdict(&read),
        verdict(&libdeflate),
        "{read:?}, {libdeflate:?}"
    );
    assert_eq!(verdict(&read), verdict(&zlib_rs), "{read:?}");
    let read = read?;
    assert_eq!(libdeflate, Ok(header.len() + read));
    assert!(theirs == ours, "libdeflate makes another page");
    assert!(
        zlib_rs == Ok((header.len() + read, ours.clone())),
        "zlib-rs makes another page"
    );
    Ok(ours)
}

/// Codes for what occurs and more; the larger `skew`, the longer the longest.
fn lengths_for(tokens: &[Token], skew: u32, seed: u32) -> Lengths {
    let (mut literals, mut distances) = (vec![0; LITERALS], vec![0; DISTANCES]);
    for token in tokens {
        match *token {
            Token::Literal(byte) => literals[usize::from(byte)] = 1,
            Token::Match { length, distance } => {
                literals[length_symbol(length).0] = 1;
                distances[distance_symbol(distance).0] = 1;
            }
        }
    }
    literals[END_OF_BLOCK] = 1;
    let mut state = seed | 1;
    let mut code = |counts: &mut [u32]| {
        for (symbol, count) in counts.iter_mut().enumerate() {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            let also = symbol < 2 || state % 4 == 0;
            *count = (*count | u32::from(also)) << ((state >> 8) % (skew + 1));
        }
        let mut lengths = vec![0; counts.len()];
        huffman::code_lengths(counts, CODE_BITS_MAX, &mut lengths);
        lengths
    };
    (code(&mut literals), code(&mut distances))
}

fn tokens(from: &[(u8, u16, u16)]) -> Vec<Token> {
    let mut made = 0;
    let mut token = |&(kind, a, b): &(u8, u16, u16)| {
        if made == 0 || kind % 4 != 0 {
            made += 1;
            return Token::Literal(if kind % 4 == 1 { a as u8 % 4 } else { a as u8 });
        }
        // Half of them near, where repeats overlap what they make.
        let far = if b % 2 == 0 { 40 } else { 32768 };
        let distance = 1 + usize::from(b / 2) % far.min(made);
        let length = if a % 2 == 0 {
            3 + a / 2 % 16
        } else {
            3 + a / 2 % 256
        };
        let length = usize::from(length);
        made += length;
        Token::Match { length, distance }
    };
    from.iter().map(&mut token).collect()
}

#[derive(Debug, Clone)]
enum Damage {
    Flip(usize),
    Cut(usize),
    Append(Vec<u8>),
    Overwrite(usize, u8),
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        any::<usize>().prop_map(Damage::Flip),
        (0usize..24).prop_map(Damage::Cut),
        any::<usize>().prop_map(Damage::Cut),
        vec(any::<u8>(), 1..20).prop_map(Damage::Append),
        any::<(usize, u8)>().prop_map(|(at, byte)| Damage::Overwrite(at, byte)),
    ]
}

fn do_damage(body: &mut Vec<u8>, damage: &Damage) {
    let len = body.len();
    match *damage {
        Damage::Append(ref bytes) => body.extend(bytes),
        _ if len == 0 => {}
        Damage::Flip(bit) => body[bit / 8 % len] ^= 1 << (bit % 8),
        Damage::Cut(by) => body.truncate(len - by % (len + 1)),
        Damage::Overwrite(at, byte) => body[at % len] = byte,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn three_decoders_agree(
        from in vec(any::<(u8, u16, u16)>(), 0..600),
        (skew, seed) in (0u32..20, any::<u32>()),
        damages in vec(vec(damage(), 1..4), 12),
        longer in 1usize..300,
    ) {
        let tokens = tokens(&from);
        let page = page(&tokens);
        let lengths = lengths_for(&tokens, skew, seed);
        let known = Known::new(&lengths.0, &lengths.1).expect("the codes are complete");
        let body = body(&tokens, &lengths);

        let ours = agreed(&known, &lengths, &body, page.len());
        prop_assert_eq!(&ours, &Ok(page.clone()));
        let mut room = page.clone();
        prop_assert_eq!(known.decode(&body, &mut room), Ok(body.len()));
        let mut long = vec![0; page.len() + longer];
        prop_assert_eq!(known.decode(&body, &mut long), Err(Corrupt::ShortPage));
        if let Some(len) = page.len().checked_sub(longer) {
            prop_assert_eq!(known.decode(&body, &mut long[..len]), Err(Corrupt::LongPage));
        }

        for damages in damages {
            let mut body = body.clone();
            for damage in &damages {
                do_damage(&mut body, damage);
            }
            for len in [page.len(), page.len() / 2, page.len() + longer] {
                let _ = agreed(&known, &lengths, &body, len);
            }
        }
    }
}

/// Codes of one length, or nearly, for all symbols.
fn flat() -> Lengths {
    let (mut literals, mut distances) = (vec![0; LITERALS], vec![0; DISTANCES]);
    huffman::code_lengths(&[1; LITERALS], CODE_BITS_MAX, &mut literals);
    huffman::code_lengths(&[1; DISTANCES], CODE_BITS_MAX, &mut distances);
    (literals, distances)
}

/// Codes of all lengths up to 15 bits, the longest for what comes first.
fn steep() -> Lengths {
    let of = |symbols: usize| {
        let counts: Vec<u32> = (0..symbols as u32)
            .map(|symbol| 1 << symbol.saturating_sub(symbols as u32 - 20))
            .collect();
        let mut lengths = vec![0; symbols];
        huffman::code_lengths(&counts, CODE_BITS_MAX, &mut lengths);
        assert_eq!(lengths[0], CODE_BITS_MAX);
        lengths
    };
    (of(LITERALS), of(DISTANCES))
}

#[test]
fn every_length_and_distance() {
    const UNIT: usize = 1 << 16;
    let near = (1..=64).flat_map(|distance| (3..=258).map(move |length| (length, distance)));
    let far = (1..=32768).map(|distance| (3 + distance * 7 % 256, distance));
    let mut all = near.chain(far).peekable();
    let mut state = 1u32;
    let mut literal = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Token::Literal((state >> 24) as u8)
    };
    let codes = [flat(), steep()].map(|lengths| {
        let known = Known::new(&lengths.0, &lengths.1).expect("the codes are complete");
        (lengths, known)
    });
    let mut pages = 0;
    while all.peek().is_some() {
        let mut tokens: Vec<Token> = (0..32768).map(|_| literal()).collect();
        let mut made = tokens.len();
        while let Some((length, distance)) = all.next_if(|&(length, _)| made + length <= UNIT) {
            tokens.push(Token::Match { length, distance });
            made += length;
        }
        tokens.extend((made..UNIT).map(|_| literal()));
        let expected = page(&tokens);
        for (lengths, known) in &codes {
            let made = agreed(known, lengths, &body(&tokens, lengths), UNIT);
            assert!(made.as_ref() == Ok(&expected), "page {pages}");
        }
        pages += 1;
    }
    assert!(pages > 100, "{pages} pages hold all matches");
}

/// Matches end where the page does, or beyond it by a little.
#[test]
fn the_last_byte_of_a_page() {
    let lengths = flat();
    let known = Known::new(&lengths.0, &lengths.1).expect("the codes are complete");
    for distance in 1..=40 {
        let start: Vec<Token> = (0..40).map(Token::Literal).collect();
        for length in 3..=258 {
            for behind in [0, 1, 2, 15, 16, 17, 31, 32, 33] {
                let mut tokens = start.clone();
                tokens.push(Token::Match { length, distance });
                tokens.extend((0..behind).map(|_| Token::Literal(0xEE)));
                let expected = page(&tokens);
                let body = body(&tokens, &lengths);
                let mut room = vec![0; expected.len()];
                assert_eq!(known.decode(&body, &mut room), Ok(body.len()));
                assert!(room == expected, "distance {distance}, length {length}");
                room.pop();
                assert_eq!(known.decode(&body, &mut room), Err(Corrupt::LongPage));
            }
        }
    }
}

#[test]
fn what_was_not_written_is_not_repeated() {
    let lengths = steep();
    let known = Known::new(&lengths.0, &lengths.1).expect("the codes are complete");
    for before in [0, 1, 7, 8, 31, 100] {
        for (distance, length) in [(1, 3), (8, 3), (9, 40), (20, 258), (33, 3), (32768, 258)] {
            let mut tokens = vec![Token::Literal(7); before];
            tokens.push(Token::Match { length, distance });
            let body = body(&tokens, &lengths);
            // Room enough for the fast loop, and just enough.
            for len in [4096, before + length] {
                let result = known.decode(&body, &mut vec![0; len]);
                let expected = match distance > before {
                    true => Err(Corrupt::BadStream),
                    false if len == before + length => Ok(body.len()),
                    false => Err(Corrupt::ShortPage),
                };
                assert_eq!(result, expected, "{distance} back after {before} bytes");
            }
        }
    }
}

/// The end of block is a zero, as is what a decoder may make up behind the source.
#[test]
fn what_is_not_there_is_not_read() {
    let (mut literals, mut distances) = (vec![0; LITERALS], vec![0; DISTANCES]);
    let mut counts = [1; LITERALS];
    counts[END_OF_BLOCK] = 1 << 20;
    huffman::code_lengths(&counts, CODE_BITS_MAX, &mut literals);
    huffman::code_lengths(&[1; DISTANCES], CODE_BITS_MAX, &mut distances);
    assert_eq!(literals[END_OF_BLOCK], 1);
    let lengths = (literals, distances);
    let known = Known::new(&lengths.0, &lengths.1).expect("the codes are complete");
    let mut alone = 0;
    for count in 0..100 {
        let tokens: Vec<Token> = (0..count).map(Token::Literal).collect();
        let body = body(&tokens, &lengths);
        let bits: usize = (0..count)
            .map(|i| usize::from(lengths.0[usize::from(i)]))
            .sum();
        // The last byte holds the end of block and nothing else.
        if bits % 8 == 0 {
            let cut = &body[..body.len() - 1];
            let made = agreed(&known, &lengths, cut, count.into());
            assert_eq!(made, Err(Corrupt::BadStream), "{count} literals");
            alone += 1;
        }
    }
    assert!(alone > 5);
}

#[test]
fn codes_that_are_none() {
    let (literals, distances) = flat();
    assert!(Known::new(&literals, &distances).is_some());
    let refused = |change: &dyn Fn(&mut Lengths)| {
        let mut lengths = (literals.clone(), distances.clone());
        change(&mut lengths);
        Known::new(&lengths.0, &lengths.1).is_none()
    };
    let longest = literals.iter().rposition(|&len| len == 9).expect("some");
    assert!(
        refused(&|(literals, _)| literals[longest] = 10),
        "incomplete"
    );
    assert!(refused(&|(literals, _)| literals[longest] = 8), "too full");
    assert!(refused(&|(literals, _)| literals[longest] = 16), "too long");
    assert!(refused(&|(literals, _)| literals[longest] = 0), "a gap");
    assert!(refused(&|(literals, _)| literals.truncate(256)), "no end");
    assert!(refused(&|(literals, _)| literals.clear()), "none");
    assert!(
        refused(&|(literals, _)| literals.resize(289, 0)),
        "too many"
    );
    assert!(refused(&|(_, distances)| distances.resize(33, 0)));
    assert!(refused(&|(_, distances)| distances.fill(0)), "no distances");
    assert!(
        refused(&|(_, distances)| *distances = vec![1]),
        "half of them"
    );
    // Complete, but nothing ends the block.
    assert!(refused(&|(literals, _)| {
        literals.fill(0);
        literals[..256].fill(8);
    }));
}

#[test]
fn fixed_blocks() {
    let known = Known::fixed().expect("memory");
    let codes = Codes::fixed();
    let mut encoder = Encoder::new(4096).expect("memory");
    let source = include_bytes!("inflate.rs");
    for page in source.chunks_exact(4096) {
        let mut dst = vec![0; 4096 + 8];
        let len = encoder.with_codes(page, &mut dst, 4096, &codes);
        let stream = &dst[..len.expect("text takes less than a page")];
        let mut room = vec![0; 4096];
        let read = known.decode_fixed(stream, &mut room);
        assert_eq!(read, Some(Ok(stream.len())));
        assert!(room == page);
        // Not the last block; another kind of block.
        for first in [0b010, 0b001, 0b101, 0b111] {
            let other = [&[stream[0] & !7 | first], &stream[1..]].concat();
            assert_eq!(known.decode_fixed(&other, &mut room), None);
        }
    }
    assert_eq!(known.decode_fixed(&[], &mut []), None);
    // Symbols 286 and 287, then 30 and 31: codes without a meaning, in streams that
    // would be sound if these were 285 and 29.
    for symbol in [6, 7] {
        let mut bits = Bits::default();
        bits.put(0b011, 3);
        bits.put(huffman::reversed(0b0011_0000, 8).into(), 8);
        bits.put(huffman::reversed(0b1100_0000 | symbol, 8).into(), 8);
        // A distance of 1, and the end of block.
        bits.bytes.extend([0; 25]);
        let read = known.decode_fixed(&bits.bytes, &mut [0; 1 + 258]);
        assert_eq!(read, Some(Err(Corrupt::BadStream)), "{}", 280 + symbol);
    }
    for symbol in [30, 31] {
        let mut bits = Bits::default();
        bits.put(0b011, 3);
        bits.put(huffman::reversed(0b0011_0000, 8).into(), 8);
        // Further than any distance, by lengths of 258.
        for _ in 0..200 {
            bits.put(huffman::reversed(0b1100_0101, 8).into(), 8);
            bits.put(0, 5);
        }
        bits.put(huffman::reversed(0b000_0001, 7).into(), 7);
        bits.put(huffman::reversed(symbol, 5).into(), 5);
        // Extra bits for as many as there could be, and the end of block.
        bits.bytes.extend([0; 25]);
        let read = known.decode_fixed(&bits.bytes, &mut vec![0; 1 + 200 * 258 + 3]);
        assert_eq!(read, Some(Err(Corrupt::BadStream)), "distance {symbol}");
    }
}
