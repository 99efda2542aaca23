//! Which repeats are found: a writer that misses some writes sound pages as well.

use crate::pages::random;
use crate::walk::Token::{Literal, Repeat};
use crate::walk::{Token, walk};
use crate::ways::{Tables, Way, check, most};
use pagepress_fallback::encoder::{Codes, Encoder};

/// The tokens of both efforts: of one pass, and of two.
fn tokens(page: &[u8]) -> [Vec<Token>; 2] {
    let mut encoder = Encoder::new(page.len()).expect("memory");
    let fixed = Codes::fixed();
    check(&mut encoder, &fixed, &Tables::flat(), page);
    [Way::Fixed(&fixed), Way::Dynamic].map(|way| {
        let bytes = way.write(&mut encoder, page, most(page)).expect("room");
        walk(&bytes).tokens
    })
}

/// Where repeats are, how long, and how far back.
fn repeats(tokens: &[Token]) -> Vec<(usize, usize, usize)> {
    let mut at = 0;
    let repeats = tokens.iter().filter_map(|token| match *token {
        Repeat { length, distance } => {
            at += length;
            Some((at - length, length, distance))
        }
        Literal(_) => {
            at += 1;
            None
        }
    });
    repeats.collect()
}

/// Bytes at the end of a page that are literals if the token before ends there.
const TAIL: usize = 23;

#[test]
fn runs_end_with_the_page() {
    for len in [24, 25, 257, 258, 259, 260, 516, 517, 518, 4096, 65536] {
        let both = tokens(&vec![7; len]);
        let mut left = len - 1;
        let mut lengths = Vec::new();
        while left > TAIL {
            lengths.push(left.min(258));
            left -= left.min(258);
        }
        for tokens in &both {
            let repeats = repeats(tokens);
            let found: Vec<_> = repeats.iter().map(|&(_, length, _)| length).collect();
            assert_eq!(found, lengths, "{len} bytes");
            assert_eq!(tokens.len(), 1 + lengths.len() + left, "{len} bytes");
        }
    }
}

#[test]
fn short_periods() {
    for period in 1..=8 {
        let page: Vec<u8> = (0..4096).map(|i| b"abcdefgh"[i % period]).collect();
        for tokens in &tokens(&page) {
            let repeats = repeats(tokens);
            assert_eq!(repeats.len(), (4096 - period).div_ceil(258), "{period}");
            assert!(repeats.iter().all(|&(_, _, back)| back % period == 0));
            assert_eq!(tokens.len(), period + repeats.len(), "{period}");
        }
    }
}

/// A copy of each length, at the end of a page and elsewhere. That it is found a few
/// bytes late is a matter of luck, as a slot has one position only.
#[test]
fn copies_are_found_up_to_their_ends() {
    for length in 30..=600 {
        for rest in [0, 100] {
            let mut page = random(700, length as u64);
            page.extend_from_within(50..50 + length);
            let end = page.len();
            page.extend(random(rest, 1));
            if rest > 0 {
                page[end] = !page[50 + length];
            }
            let tail = 10 + if rest == 0 { TAIL } else { 0 };
            for tokens in tokens(&page) {
                let repeats = repeats(&tokens);
                assert!(repeats.iter().all(|&(_, _, back)| back == 650));
                let found: usize = repeats.iter().map(|&(_, length, _)| length).sum();
                let missed = length.saturating_sub(found);
                assert!(missed <= tail, "{missed} of {length}, then {rest}");
                let (at, found, _) = *repeats.last().expect("not all are missed");
                let is_cut = found == 258 && end - (at + found) <= tail;
                assert!(at + found == end || is_cut, "{length}, then {rest}");
            }
        }
    }
}

#[test]
fn the_history_is_used_up_to_its_end() {
    for (distance, expected) in [(4095, true), (4096, true), (4097, false), (5000, false)] {
        for unit in [8192, 65536] {
            // From the first byte that can be repeated on, and elsewhere.
            for from in [0, 1, 2000] {
                let mut page = vec![0; unit];
                let block: Vec<u8> = random(100, 3).iter().map(|byte| byte | 1).collect();
                page[from..from + 100].copy_from_slice(&block);
                let copy = from + distance;
                page[copy..copy + 100].copy_from_slice(&block);
                for tokens in tokens(&page) {
                    let there = |&(at, length, _): &(usize, usize, usize)| {
                        at < copy + 90 && at + length > copy + 4
                    };
                    let found: Vec<_> = repeats(&tokens).into_iter().filter(there).collect();
                    let is_it = |&(at, length, back): &(usize, usize, usize)| {
                        at == copy && length >= 100 && back == distance
                    };
                    let what = format!("from {from}, {distance} back: {found:?}");
                    assert_eq!(found.iter().any(is_it), expected, "{what}");
                    assert!(expected || found.is_empty(), "{what}");
                }
            }
        }
    }
}

/// Positions of one page are no positions of the next.
#[test]
fn pages_do_not_know_each_other() {
    let mut encoder = Encoder::new(4096).expect("memory");
    let fixed = Codes::fixed();
    let page = random(4096, 4);
    for page in [&page[..], &page[..3000], &page[500..]] {
        for way in [Way::Fixed(&fixed), Way::Dynamic] {
            let alone = way.write(&mut Encoder::new(4096).expect("memory"), page, most(page));
            let after = way.write(&mut encoder, page, most(page));
            assert!(alone.is_some() && alone == after, "{}", way.name());
        }
    }
}

/// Two passes can wait for a longer match, and look into matches.
#[test]
fn two_passes_find_more() {
    let mut page = random(200, 1);
    page.extend(b"abcd-");
    page.extend(random(50, 2));
    page.extend(b"bcdefghijk+");
    page.extend(random(50, 3));
    let at = page.len();
    page.extend(b"abcdefghijk*");
    page.extend(random(60, 4));
    let [one, two] = tokens(&page);
    assert_eq!(repeats(&one)[0], (at, 4, at - 200));
    assert_eq!(repeats(&two), [(at + 1, 10, at + 1 - 255)]);

    // The third is found in the second, of which one pass has but one position, two the
    // first eight of a match.
    for (into, back) in [(1, [299, 299]), (7, [583, 293]), (8, [582, 582])] {
        let mut page = random(300, 5);
        page.extend_from_within(10..210);
        page.extend(random(100, 6));
        page.extend_from_within(300 + into..360 + into);
        page.extend(random(60, 8));
        let found = tokens(&page).map(|tokens| repeats(&tokens));
        assert_eq!(
            found,
            back.map(|back| vec![(300, 200, 290), (600, 60, back)])
        );
    }
}

/// A match that was put off by a byte is found again from each of its first eight.
#[test]
fn later_matches_are_found_in_longer_ones() {
    for into in 1..8 {
        let mut page = random(200, 1);
        page.extend(b"abcd-");
        page.extend(random(50, 2));
        page.extend(b"bcdefghijklmnopqrstuvwx+");
        page.extend(random(50, 3));
        let longer = page.len() + 1;
        page.extend(b"abcdefghijklmnopqrstuvwx*");
        page.extend(random(50, 9));
        let at = page.len();
        page.extend_from_within(longer + into..longer + into + 12);
        page.extend(random(60, 5));
        let [_, two] = tokens(&page);
        let expected = [(longer, 23, longer - 255), (at, 12, at - longer - into)];
        assert_eq!(repeats(&two), expected, "{into}");
    }
}
