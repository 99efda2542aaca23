//! Huffman codes: complete, short enough, optimal, and understood by others.

use pagepress_fallback::huffman::{
    CODE_BITS_MAX, END_OF_BLOCK, Header, LITERALS, SYMBOLS_MAX, canonical_codes, code_lengths,
    reversed,
};
use proptest::collection::vec;
use proptest::prelude::*;
use zlib_rs::{Inflate, InflateFlush, Status};

fn lengths(counts: &[u32], max_len: u8) -> Vec<u8> {
    let mut lengths = vec![0xFF; counts.len()];
    code_lengths(counts, max_len, &mut lengths);
    lengths
}

fn cost(counts: &[u32], lengths: &[u8]) -> u64 {
    let costs = counts.iter().zip(lengths);
    costs.map(|(&n, &len)| u64::from(n) * u64::from(len)).sum()
}

/// The least cost of any code, by trying all ways to share 2^max_len leaves
/// among the symbols, rarest first and so with the longest codes first.
fn least_cost(counts: &[u32], max_len: u8) -> u64 {
    fn best(counts: &[u64], len: u8, max_len: u8, room: u32) -> Option<u64> {
        let Some((&count, rest)) = counts.split_first() else {
            return Some(0);
        };
        let shorter = (1..=len).filter_map(|len| {
            let room = room.checked_sub(1 << (max_len - len))?;
            Some(count * u64::from(len) + best(rest, len, max_len, room)?)
        });
        shorter.min()
    }
    let used = counts.iter().filter(|&&count| count != 0);
    let mut used: Vec<u64> = used.map(|&count| u64::from(count)).collect();
    used.sort_unstable();
    best(&used, max_len, max_len, 1 << max_len).expect("the symbols fit")
}

#[track_caller]
fn assert_sound(counts: &[u32], max_len: u8) {
    let lengths = lengths(counts, max_len);
    let used = counts.iter().filter(|&&count| count != 0).count();
    let mut kraft = 0_u32;
    for (i, (&count, &len)) in counts.iter().zip(&lengths).enumerate() {
        assert_eq!(count == 0, len == 0, "symbol {i}");
        assert!(len <= max_len, "symbol {i}");
        if len != 0 {
            kraft += 1 << (max_len - len);
        }
        for (&other, &other_len) in counts.iter().zip(&lengths) {
            assert!(
                count <= other || len <= other_len || other == 0,
                "symbol {i}"
            );
        }
    }
    match used {
        0 => assert_eq!(kraft, 0),
        1 => assert_eq!(kraft, 1 << (max_len - 1)),
        _ => assert_eq!(kraft, 1 << max_len),
    }
}

#[test]
fn few_symbols() {
    assert_eq!(lengths(&[], 15), []);
    assert_eq!(lengths(&[0, 0, 0], 15), [0, 0, 0]);
    assert_eq!(lengths(&[0, 9, 0], 15), [0, 1, 0]);
    assert_eq!(lengths(&[0, 9, 1], 1), [0, 1, 1]);
    assert_eq!(lengths(&[5, 1, 1], 15), [1, 2, 2]);
    assert_eq!(
        lengths(&[1, 1, 1, 1, 1], 3)
            .iter()
            .filter(|&&l| l == 3)
            .count(),
        2
    );
}

#[test]
fn codes_are_limited_where_huffman_would_not_be() {
    let mut fibonacci = [1; 40];
    for i in 2..fibonacci.len() {
        fibonacci[i] = fibonacci[i - 1] + fibonacci[i - 2];
    }
    for max_len in [6, 7, 9, 12, CODE_BITS_MAX] {
        assert_sound(&fibonacci, max_len);
        assert!(lengths(&fibonacci, max_len).contains(&max_len));
    }
    assert_eq!(
        cost(&fibonacci[..9], &lengths(&fibonacci[..9], 5)),
        least_cost(&fibonacci[..9], 5)
    );
}

#[test]
fn extreme_counts() {
    assert_sound(&[u32::MAX; SYMBOLS_MAX], CODE_BITS_MAX);
    assert_sound(&[u32::MAX; SYMBOLS_MAX], 9);
    assert_sound(&[1; 256], 8);
    let mut counts = [u32::MAX; SYMBOLS_MAX];
    counts[..200].fill(1);
    assert_sound(&counts, CODE_BITS_MAX);
    assert_sound(&counts, 9);
}

#[test]
#[should_panic(expected = "too many symbols")]
fn more_symbols_than_codes() {
    lengths(&[1; 5], 2);
}

#[test]
fn canonical_codes_of_rfc_1951() {
    // The example of 3.2.2, and the fixed code of 3.2.6.
    let mut codes = [0; 8];
    canonical_codes(&[3, 3, 3, 3, 3, 2, 4, 4], &mut codes);
    assert_eq!(
        codes,
        [0b010, 0b011, 0b100, 0b101, 0b110, 0b00, 0b1110, 0b1111]
    );
    let mut fixed = [8; 288];
    fixed[144..256].fill(9);
    fixed[256..280].fill(7);
    let mut codes = [0; 288];
    canonical_codes(&fixed, &mut codes);
    assert_eq!(
        (codes[0], codes[144], codes[256], codes[280]),
        (0x30, 0x190, 0, 0xC0)
    );
    assert_eq!(codes[287], 0xC7);
    canonical_codes(&[0, 1, 0], &mut codes);
    assert_eq!(codes[..3], [0, 0, 0]);
}

#[test]
fn reversed_codes() {
    assert_eq!(reversed(0b110, 3), 0b011);
    assert_eq!(reversed(1, 15), 1 << 14);
    assert_eq!(reversed(0, 0), 0);
    assert_eq!(reversed(1, 16), 1 << 15);
}

/// A block of nothing but its header and its end, for zlib-rs to read.
fn assert_header_is_read(literals: &[u8], distances: &[u8]) {
    let (mut bytes, mut at) = (Vec::new(), 0);
    let mut put = |value: u32, count: u32| {
        assert!(count <= 14 && value >> count == 0);
        for i in 0..count {
            bytes.resize(at / 8 + 1, 0);
            bytes[at / 8] |= ((value >> i & 1) as u8) << (at % 8);
            at += 1;
        }
    };
    let header = Header::new(literals, distances);
    header.write(true, &mut put);
    let mut codes = [0; SYMBOLS_MAX];
    canonical_codes(literals, &mut codes);
    let len = literals[END_OF_BLOCK];
    put(
        u32::from(reversed(codes[END_OF_BLOCK], len)),
        u32::from(len),
    );
    assert_eq!(at, header.bits() + usize::from(len));

    let mut inflate = Inflate::new(false, 15);
    let end = inflate.decompress(&bytes, &mut [0], InflateFlush::Finish);
    assert!(matches!(end, Ok(Status::StreamEnd)), "{end:?}");
    assert_eq!(
        (inflate.total_in(), inflate.total_out()),
        (bytes.len() as u64, 0)
    );
}

#[test]
fn headers_of_extreme_codes() {
    let mut only_end = [0; LITERALS];
    only_end[END_OF_BLOCK] = 1;
    assert_header_is_read(&only_end, &[0; 30]);
    assert_header_is_read(&only_end[..257], &[0]);
    assert_header_is_read(&lengths(&[1; LITERALS], 15), &lengths(&[1; 30], 15));
}

#[test]
fn a_run_ends_with_its_table() {
    // One run of zeros in either table, which deflate would let be one.
    let mut literals = [0; LITERALS];
    literals[..2].fill(2);
    literals[END_OF_BLOCK] = 1;
    let mut distances = [1; 2];
    distances[0] = 0;
    let mut written = Vec::new();
    Header::new(&literals, &distances).write(false, |value, count| written.push((value, count)));
    assert_eq!(written[..3], [(0b100, 3), (0, 5), (1, 5)]);
    assert_header_is_read(&literals, &distances);
    // Same lengths on both sides: three ones, not one and a repeat.
    let mut literals = [0; LITERALS];
    literals[255..257].fill(1);
    let lengths = |distances: &[u8]| {
        let mut runs = 0;
        Header::new(&literals, distances).write(false, |_, _| runs += 1);
        runs
    };
    assert_eq!(lengths(&[1, 1]), lengths(&[1]) + 1);
    assert_header_is_read(&literals, &[1, 1]);
}

proptest! {
    #[test]
    fn codes_are_sound(
        counts in vec(prop_oneof![Just(0), 0..9u32, any::<u32>(), 0..4096u32], 0..=SYMBOLS_MAX),
        max_len in 9..=CODE_BITS_MAX,
    ) {
        assert_sound(&counts, max_len);
    }

    #[test]
    fn codes_are_optimal(
        counts in vec(prop_oneof![0..5u32, 0..1000u32, (0..20u32).prop_map(|n| 1 << n)], 2..9),
        max_len in 3..7u8,
    ) {
        let used = counts.iter().filter(|&&count| count != 0).count();
        prop_assume!(used >= 2);
        let lengths = lengths(&counts, max_len);
        prop_assert_eq!(cost(&counts, &lengths), least_cost(&counts, max_len));
    }

    #[test]
    fn no_code_starts_another(counts in vec(0..50u32, 2..60)) {
        let lengths = lengths(&counts, 15);
        let mut codes = vec![0; counts.len()];
        canonical_codes(&lengths, &mut codes);
        for (i, (&a, &a_len)) in codes.iter().zip(&lengths).enumerate() {
            prop_assert!(u32::from(a) >> a_len == 0);
            for (&b, &b_len) in codes.iter().zip(&lengths).skip(i + 1) {
                let both = a_len.min(b_len);
                prop_assert!(both == 0 || a >> (a_len - both) != b >> (b_len - both));
            }
        }
    }

    #[test]
    fn headers_are_read(
        mut literals in vec(prop_oneof![3 => Just(0), 1 => 0..200u32], LITERALS),
        distances in vec(prop_oneof![1 => Just(0), 1 => 0..200u32], 1..=30),
        len in 257..=LITERALS,
    ) {
        literals[END_OF_BLOCK] = 1;
        literals[0] += 1;
        let literals = lengths(&literals[..len], 15);
        let distances = lengths(&distances, 15);
        assert_header_is_read(&literals, &distances);
    }
}
