//! Any page, made of what memory has.

use crate::pages::noise;
use crate::walk::Token;
use crate::ways::{Tables, check};
use pagepress_fallback::encoder::{Codes, Encoder};
use proptest::collection::vec;
use proptest::prelude::*;
use std::cell::Cell;

/// What a page is made of.
#[derive(Debug, Clone)]
enum Piece {
    Bytes(Vec<u8>),
    /// So many bytes of few values, or of all, at least this one.
    Noise {
        seed: u64,
        least: u8,
        most: u8,
        len: usize,
    },
    /// Each value as often as the last two together.
    Skewed {
        seed: u64,
        len: usize,
    },
    /// Words that differ in their low bits.
    Pointers {
        seed: u64,
        count: usize,
    },
    Text(usize),
    /// What was so far back, if there is so much.
    Copy {
        back: usize,
        len: usize,
    },
}

impl Piece {
    fn add_to(&self, page: &mut Vec<u8>) {
        match *self {
            Self::Bytes(ref bytes) => page.extend_from_slice(bytes),
            Self::Noise {
                seed,
                least,
                most,
                len,
            } => {
                let mut next = noise(seed);
                let span = u32::from(most.saturating_sub(least)) + 1;
                page.extend((0..len).map(|_| least + (next() % span) as u8));
            }
            Self::Skewed { seed, len } => {
                let mut next = noise(seed);
                page.extend((0..len).map(|_| {
                    let share = f64::from(next() | 1) / f64::from(u32::MAX);
                    (share.log(0.618) as u8).saturating_mul(7)
                }));
            }
            Self::Pointers { seed, count } => {
                let mut next = noise(seed);
                for _ in 0..count {
                    let low = u64::from(next() % 0x8000) * 16;
                    page.extend((0x7F31_4000_0000 + low).to_le_bytes());
                }
            }
            Self::Text(from) => {
                let text = include_bytes!("properties.rs");
                let from = from % text.len();
                page.extend_from_slice(&text[from..text.len().min(from + 333)]);
            }
            Self::Copy { back, len } => {
                if let Some(from) = page.len().checked_sub(back) {
                    for at in from..from + len {
                        page.push(page[at]);
                    }
                }
            }
        }
    }
}

fn piece() -> impl Strategy<Value = Piece> {
    let back = prop_oneof![
        1..9usize,
        1..5000usize,
        Just(4095usize),
        Just(4096usize),
        Just(4097usize),
        Just(8192usize),
    ];
    let len = prop_oneof![
        3..40usize,
        1..700usize,
        256..261usize,
        514..519usize,
        Just(4096usize),
    ];
    prop_oneof![
        vec(any::<u8>(), 1..60).prop_map(Piece::Bytes),
        (any::<u64>(), any::<u8>(), any::<u8>(), 1..900usize).prop_map(
            |(seed, least, most, len)| Piece::Noise {
                seed,
                least,
                most,
                len
            }
        ),
        (any::<u64>(), 144..200u8, 1..300usize).prop_map(|(seed, least, len)| Piece::Noise {
            seed,
            least,
            most: 255,
            len
        }),
        (any::<u64>(), 1..4000usize).prop_map(|(seed, len)| Piece::Skewed { seed, len }),
        (any::<u64>(), 1..90usize).prop_map(|(seed, count)| Piece::Pointers { seed, count }),
        any::<usize>().prop_map(Piece::Text),
        (back.clone(), len.clone()).prop_map(|(back, len)| Piece::Copy { back, len }),
        (back, len).prop_map(|(back, len)| Piece::Copy { back, len }),
        (any::<u8>(), 1..700usize).prop_map(|(byte, len)| Piece::Bytes(vec![byte; len])),
    ]
}

fn noise_of(seed: u64, most: u8, len: usize) -> Piece {
    Piece::Noise {
        seed,
        least: 0,
        most,
        len,
    }
}

/// A page of any length up to this unit, and the unit.
fn page() -> impl Strategy<Value = (usize, Vec<u8>)> {
    let unit = prop_oneof![
        5 => Just(4096usize),
        2 => Just(8192usize),
        1 => prop_oneof![Just(16384usize), Just(32768usize), Just(65536usize)],
    ];
    let cut = prop_oneof![3 => Just(None), 1 => (0..70_000usize).prop_map(Some)];
    let pieces = prop_oneof![
        9 => vec(piece(), 1..40),
        // Nothing that repeats, but by chance.
        1 => any::<u64>().prop_map(|seed| vec![noise_of(seed, 255, 65536)]),
        // One distance.
        1 => (any::<u64>(), 1..900usize).prop_map(|(seed, back)| vec![
            noise_of(seed, 60, 900),
            Piece::Copy { back, len: 100 },
            Piece::Copy { back, len: 65536 },
        ]),
        // Codes that would be too long.
        1 => any::<u64>().prop_map(|seed| vec![Piece::Skewed { seed, len: 65536 }]),
    ];
    (unit, cut, pieces).prop_map(|(unit, cut, pieces)| {
        let mut page = Vec::new();
        // The pieces again and again, as many times as they fit.
        for piece in pieces.iter().cycle().take(400) {
            if page.len() >= unit {
                break;
            }
            piece.add_to(&mut page);
        }
        page.truncate(cut.map_or(unit, |cut| cut % (unit + 1)));
        (unit, page)
    })
}

/// What was met, so that none of it can go missing.
#[derive(Default)]
struct Met {
    fixed: Cell<u32>,
    fixed_nine_bits: Cell<u32>,
    no_repeats: Cell<u32>,
    one_distance: Cell<u32>,
    farthest: Cell<u32>,
    longest: Cell<u32>,
    to_the_end: Cell<u32>,
    long_codes: Cell<u32>,
}

fn check_page(met: &Met, unit: usize, page: &[u8], tables: &Tables) {
    let mut encoder = Encoder::new(unit).expect("memory");
    let told = check(&mut encoder, &Codes::fixed(), tables, page);
    let count = |cell: &Cell<u32>, is: bool| cell.set(cell.get() + u32::from(is));
    let repeats = told.tokens.iter().filter_map(|token| match *token {
        Token::Repeat { length, distance } => Some((length, distance)),
        Token::Literal(_) => None,
    });
    let repeats: Vec<_> = repeats.collect();
    let (is_fixed, is_long) = (told.blocks == [1], page.len() > 100);
    let high = |token: &Token| matches!(token, Token::Literal(144..));
    count(&met.fixed, is_fixed);
    count(
        &met.fixed_nine_bits,
        is_fixed && told.tokens.iter().any(high),
    );
    count(&met.no_repeats, is_long && repeats.is_empty());
    let one = repeats.first().map(|&(_, distance)| distance);
    count(
        &met.one_distance,
        !is_fixed && one.is_some() && repeats.iter().all(|&(_, d)| Some(d) == one),
    );
    count(&met.farthest, repeats.iter().any(|&(_, d)| d == 4096));
    count(
        &met.longest,
        repeats.iter().any(|&(length, _)| length == 258),
    );
    let last = told.tokens.last();
    count(&met.to_the_end, matches!(last, Some(Token::Repeat { .. })));
    count(&met.long_codes, !is_fixed && told.longest_code == 14);
}

#[test]
fn any_page() {
    let met = Met::default();
    let config = ProptestConfig {
        cases: 1000,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let counts = (vec(0..3000u32, 286), vec(0..300u32, 30), 0..4u8);
    proptest!(config, |((unit, page) in page(), (literals, distances, kind) in counts)| {
        let tables = match kind {
            0 => Tables::of(&page),
            1 => Tables::steep(true),
            2 => Tables::steep(false),
            _ => Tables::new(
                literals.first_chunk().expect("as many"),
                distances.first_chunk().expect("as many"),
            ),
        };
        check_page(&met, unit, &page, &tables);
    });
    let met = [
        ("fixed codes by choice", met.fixed),
        ("literals of nine bits among these", met.fixed_nine_bits),
        ("pages without repeats", met.no_repeats),
        ("pages with one distance", met.one_distance),
        ("the farthest distance", met.farthest),
        ("the greatest length", met.longest),
        ("repeats up to the last byte", met.to_the_end),
        ("codes of 14 bits", met.long_codes),
    ];
    for (what, count) in met {
        println!("{what}: {}", count.get());
        assert!(count.get() > 0, "{what}: none were met");
    }
}
