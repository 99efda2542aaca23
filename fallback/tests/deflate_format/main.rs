//! What we write is deflate, and what IAA asks of it, checked token by token: one
//! final block, no match further back than 4096 bytes, and no code-length repeat
//! from the literal/length lengths into the distance lengths.

#![cfg(feature = "deflate")]

mod limits;
mod pages;
mod properties;
mod readers;
mod tokens;
mod walk;
mod ways;

use pagepress_fallback::PageCodec;
use pagepress_fallback::deflate::{DYNAMIC_LEVEL, Deflate, LEVELS};
use pagepress_fallback::encoder::{Codes, Encoder};
use pages::pages;
use walk::{Token, walk};
use ways::Tables;

/// All units that a pool can have.
const UNITS: [usize; 5] = [4096, 8192, 16384, 32768, 65536];

#[test]
fn all_levels_write_what_the_device_reads() {
    let (mut streams, mut dynamic_blocks) = (0, 0);
    for unit in [4096, 16384, 65536] {
        for level in LEVELS {
            let mut codec = Deflate::new(unit, level).expect("memory").without_probe();
            let mut dst = vec![0; codec.dst_bytes()];
            for page in pages(unit) {
                let Ok(len) = codec.compress(&page, &mut dst, unit - 1) else {
                    continue;
                };
                let told = walk(&dst[..len]);
                assert!(told.page == page, "level {level}, unit {unit}");
                if level <= DYNAMIC_LEVEL {
                    assert_eq!(told.blocks.len(), 1, "level {level}, unit {unit}");
                }
                streams += 1;
                dynamic_blocks += told.blocks.iter().filter(|&&kind| kind == 2).count();
            }
        }
    }
    assert!(streams >= 4 * 3 * 9 - 6, "only {streams} were compressed");
    assert!(
        dynamic_blocks > 50,
        "only {dynamic_blocks} dynamic blocks were seen"
    );
}

#[test]
fn all_ways_write_all_units() {
    let fixed = Codes::fixed();
    for unit in UNITS {
        let mut encoder = Encoder::new(unit).expect("memory");
        for page in pages(unit) {
            for tables in [Tables::flat(), Tables::steep(true), Tables::of(&page)] {
                ways::check(&mut encoder, &fixed, &tables, &page);
            }
        }
    }
}

/// One encoder, for pages of any length after each other: with repeats, with none,
/// of literals of eight bits and of nine.
#[test]
fn all_ways_write_all_lengths() {
    let fixed = Codes::fixed();
    let all_tables = [Tables::flat(), Tables::steep(true), Tables::steep(false)];
    assert_eq!(
        all_tables.each_ref().map(Tables::longest_literal),
        [9, 15, 9]
    );
    let mut encoder = Encoder::new(4096).expect("memory");
    let (mut fixed_blocks, mut nine_bits) = (0, 0);
    for len in 0..=600 {
        let all: Vec<u8> = (0..len).map(|i| (i * 151 % 256) as u8).collect();
        let high = all.iter().map(|byte| byte | 0x90).collect();
        let few = all.iter().map(|byte| byte % 5).collect();
        for (page, tables) in [all, high, few].iter().zip(&all_tables) {
            let told = ways::check(&mut encoder, &fixed, tables, page);
            if told.blocks == [1] {
                fixed_blocks += 1;
                nine_bits += usize::from(
                    told.tokens
                        .iter()
                        .any(|token| matches!(token, Token::Literal(144..))),
                );
            }
        }
    }
    assert!(fixed_blocks > 100, "the dynamic way took {fixed_blocks}");
    assert!(nine_bits > 50, "of which {nine_bits} had longer literals");
}

/// Literals that would have codes of some 18 bits: a few rare ones, each as often as the
/// last two together, among many that do not repeat.
#[test]
fn long_codes_are_cut() {
    let mut next = pages::noise(1);
    let mut page: Vec<u8> = (0..60_000).map(|_| 50 + (next() % 200) as u8).collect();
    let (mut a, mut b) = (1, 1);
    for byte in 0..12 {
        page.resize(page.len() + a, byte);
        (a, b) = (b, a + b);
    }
    for i in (1..page.len()).rev() {
        page.swap(i, next() as usize % (i + 1));
    }
    // Three of the rarest between two repeats: nothing is longer in a stream.
    for back in [4000, 3500] {
        page.extend([0, 1, 2]);
        let from = page.len() - back;
        page.extend_from_within(from..from + 100);
    }
    let mut encoder = Encoder::new(65536).expect("memory");
    let tables = Tables::of(&page);
    assert_eq!(tables.longest_literal(), 15);
    let told = ways::check(&mut encoder, &Codes::fixed(), &tables, &page);
    assert_eq!(told.blocks, [2]);
    assert_eq!(told.longest_code, 14);
}
