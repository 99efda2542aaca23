//! Tables: what they are made from, as files, and what they save.

#![cfg(feature = "deflate")]

use pagepress_fallback::deflate::Deflate;
use pagepress_fallback::encoder::{Encoder, SLACK};
use pagepress_fallback::huffman::{DISTANCES, END_OF_BLOCK, LITERALS};
use pagepress_fallback::tables::{BYTES, BadTables, Histogram, Tables, TrainedOn, Trainer};
use pagepress_fallback::{Corrupt, NotCompressed, PageCodec};
use std::sync::Arc;

/// Pages alike and yet each different: words of a few kinds, numbers, and pointers.
fn pages(seed: u64, count: usize) -> Vec<Vec<u8>> {
    let words = [
        "next", "name", "value", "parent", "0", "1700", "\"key\":", "null,",
    ];
    let mut state = seed;
    let mut random = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as usize % below
    };
    let mut page = || {
        let mut page = Vec::new();
        while page.len() < 4096 {
            match random(4) {
                0 => page.extend((0x7F3A_2400_0000 + 16 * random(5000) as u64).to_le_bytes()),
                1 => page.extend((random(300) as u32).to_le_bytes()),
                _ => page.extend(words[random(words.len())].bytes()),
            }
        }
        page.truncate(4096);
        page
    };
    (0..count).map(|_| page()).collect()
}

fn trained(seed: u64) -> Tables {
    let mut trainer = Trainer::new(4096).unwrap();
    assert!(pages(seed, 40).iter().all(|page| trainer.add(page)));
    trainer.tables().unwrap()
}

/// What is counted is what is written: the bits of all symbols are those of the page.
#[test]
fn counts_are_what_one_pass_writes() {
    const LENGTH_EXTRA: [u32; 29] = [
        0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0,
    ];
    let tables = trained(1);
    let mut dst = vec![0; 65536 + SLACK];
    let mut all = Histogram::default();
    let (few, far) = (pages(2, 30), pages(3, 16).concat());
    for page in few.iter().map(Vec::as_slice).chain([&far[..], &[], &[7]]) {
        let mut encoder = Encoder::new(page.len()).unwrap();
        let mut counts = Histogram::default();
        encoder.count(page, &mut counts);
        assert_eq!(counts.literals[END_OF_BLOCK], 1);
        let codes = tables.codes();
        let lengths = (0..).zip(counts.literals).map(|(symbol, count)| {
            let extra = usize::checked_sub(symbol, END_OF_BLOCK + 1).map_or(0, |i| LENGTH_EXTRA[i]);
            count * (u32::from(codes.literals()[symbol]) + extra)
        });
        let distances = (0..).zip(counts.distances).map(|(symbol, count)| {
            let extra = if symbol < 4 { 0 } else { symbol as u32 / 2 - 1 };
            count * (u32::from(codes.distances()[symbol]) + extra)
        });
        let bits: u32 = lengths.chain(distances).sum();
        let written = encoder.with_codes(page, &mut dst, 65536, tables.writer());
        assert_eq!(
            written,
            Some(bits.div_ceil(8) as usize),
            "{} bytes",
            page.len()
        );
        all.add(&counts);
    }
    assert!(all.distances.iter().sum::<u32>() > 1000);
    assert_eq!(all.literals[END_OF_BLOCK], 33);
}

#[test]
fn tables_serve_any_page_and_theirs_well() {
    let mut skewed = Histogram::default();
    let (literals, distances) = (&mut skewed.literals, &mut skewed.distances[..24]);
    for counts in [&mut literals[..], distances] {
        for (i, count) in counts.iter_mut().enumerate() {
            *count = 1 << i.min(28);
        }
    }
    let skewed = Tables::new(skewed, TrainedOn::default());
    assert!(skewed.codes().literals().contains(&12));
    for tables in [Tables::flat(), trained(1), skewed] {
        let codes = tables.codes();
        assert!(codes.literals().iter().all(|len| (1..=12).contains(len)));
        let (near, far) = codes.distances().split_at(24);
        assert!(near.iter().all(|len| (1..=12).contains(len)) && far == [0; DISTANCES - 24]);
    }
    let (flat, tables) = (Tables::flat(), trained(1));
    let mut encoder = Encoder::new(4096).unwrap();
    let mut dst = [0; 4096 + SLACK];
    let mut size = |tables: &Tables| -> usize {
        let pages = pages(9, 40);
        let sizes = pages
            .iter()
            .map(|page| encoder.with_codes(page, &mut dst, 4096, tables.writer()));
        sizes.map(Option::unwrap).sum()
    };
    let (theirs, any) = (size(&tables), size(&flat));
    assert!(theirs * 10 < any * 9, "{theirs} bytes of {any}");
}

#[test]
fn what_a_page_of_random_bytes_has_is_not_learnt() {
    let mut state = 1u64;
    let random: Vec<u8> = (0..4096)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(9);
            (state >> 40) as u8
        })
        .collect();
    let mut trainer = Trainer::new(4096).unwrap();
    assert!(!trainer.add(&random));
    assert!(trainer.tables().is_none(), "of no page");
    assert!(trainer.add(&pages(5, 1)[0]));
    assert!(!trainer.add(&random));
    let of_one = trainer.tables().unwrap();
    let trained_on = of_one.trained_on();
    assert_eq!((trained_on.pages, trained_on.bytes), (1, 4096));
    let mut again = Trainer::new(4096).unwrap();
    again.add(&pages(5, 1)[0]);
    assert_eq!(again.tables().unwrap(), of_one);
}

#[test]
fn the_same_tables_come_back() {
    for tables in [Tables::flat(), trained(1), trained(2)] {
        let bytes = tables.to_bytes();
        let back = Tables::from_bytes(&bytes).unwrap();
        assert_eq!(
            (&back, back.id(), back.trained_on()),
            (&tables, tables.id(), tables.trained_on())
        );
        assert_eq!(back.codes().of_length(), tables.codes().of_length());
        assert_eq!(back.codes().header(), tables.codes().header());
        assert_eq!(back.to_bytes(), bytes);
    }
    assert_ne!(trained(1).id(), trained(2).id());
}

/// Kept with pages and in files: neither may change.
#[test]
fn ids_and_bytes_stay_what_they_are() {
    let flat = Tables::flat();
    let bytes = flat.to_bytes();
    assert_eq!(bytes[..12], *b"ppTables\x01\0\0\0");
    assert_eq!(bytes[12..16], flat.id().get().to_le_bytes());
    assert_eq!(
        (flat.id().get(), sum(&bytes[..BYTES - 8])),
        (2620240465, 2801023206811965103)
    );
}

fn sum(bytes: &[u8]) -> u64 {
    let step = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3);
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, step)
}

/// Bytes with the sum and the id that their contents have.
fn signed(mut bytes: [u8; BYTES]) -> [u8; BYTES] {
    let lengths = &bytes[32..32 + LITERALS + DISTANCES];
    let id = lengths.iter().fold(0x811C_9DC5u32, |hash, &len| {
        (hash ^ u32::from(len)).wrapping_mul(0x0100_0193)
    });
    bytes[12..16].copy_from_slice(&id.to_le_bytes());
    let sum = sum(&bytes[..BYTES - 8]);
    bytes[BYTES - 8..].copy_from_slice(&sum.to_le_bytes());
    bytes
}

#[test]
fn damage_is_noticed() {
    let bytes = trained(1).to_bytes();
    assert_eq!(signed(bytes), bytes);
    let read = |bytes: &[u8]| Tables::from_bytes(bytes).map(|_| ());
    for at in 0..BYTES {
        for bit in 0..8 {
            let mut changed = bytes;
            changed[at] ^= 1 << bit;
            let expected = match at {
                0..8 => BadTables::NotTables,
                8..12 if changed[8..12] != [0; 4] => {
                    let version = u32::from_le_bytes(changed[8..12].try_into().unwrap());
                    BadTables::Newer { version }
                }
                _ => BadTables::Damaged,
            };
            assert_eq!(read(&changed), Err(expected), "bit {bit} of byte {at}");
        }
    }
    for len in 0..BYTES {
        let expected = if len < 8 {
            BadTables::NotTables
        } else {
            BadTables::Damaged
        };
        assert_eq!(read(&bytes[..len]), Err(expected), "{len} bytes");
    }
    assert_eq!(read(&[&bytes[..], b"\n"].concat()), Err(BadTables::Damaged));
    // A sum that is right, with an id that is not.
    let mut other = bytes;
    other[12] ^= 1;
    let sum = sum(&other[..BYTES - 8]);
    other[BYTES - 8..].copy_from_slice(&sum.to_le_bytes());
    assert_eq!(read(&other), Err(BadTables::Damaged));
}

#[test]
fn codes_that_serve_not_every_page_are_refused() {
    let bytes = trained(1).to_bytes();
    let with = |changes: &[(usize, u8)]| {
        let mut bytes = bytes;
        for &(symbol, len) in changes {
            bytes[32 + symbol] = len;
        }
        Tables::from_bytes(&signed(bytes)).map(|_| ())
    };
    let len = |symbol: usize| bytes[32 + symbol];
    // Each length once more is as good as before.
    assert_eq!(with(&[(b'a'.into(), len(b'a'.into()))]), Ok(()));
    for symbol in (0..LITERALS).chain(LITERALS..LITERALS + 24) {
        for wrong in [0, len(symbol) - 1, len(symbol) + 1, 16, 255] {
            assert_eq!(
                with(&[(symbol, wrong)]),
                Err(BadTables::Incomplete),
                "{symbol}: {wrong}"
            );
        }
    }
    // Distances that no page has may have codes, if the others leave room.
    let last = LITERALS + 23;
    let longer = len(last) + 1;
    assert_eq!(with(&[(last, longer), (last + 1, longer)]), Ok(()));
    assert_eq!(
        with(&[(last, longer), (last + 1, longer + 1)]),
        Err(BadTables::Incomplete)
    );
    // A whole code, of which one symbol has nothing.
    for symbols in [0..LITERALS, LITERALS..LITERALS + 24] {
        let pairs = symbols
            .clone()
            .flat_map(|a| (symbols.start..a).map(move |b| (a, b)));
        let (a, b) = pairs.clone().find(|&(a, b)| len(a) == len(b)).unwrap();
        let without = with(&[(a, 0), (b, len(b) - 1)]);
        assert_eq!(without, Err(BadTables::Incomplete), "{a}");
    }
}

/// A file may have longer codes than are made here.
#[test]
fn codes_of_15_bits_are_written_and_read() {
    // A comb, and what is left by halves of the shortest.
    let mut lens: Vec<u8> = (1..=15).chain([15]).collect();
    while lens.len() < LITERALS {
        lens.sort_unstable();
        let shortest = lens.remove(0) + 1;
        lens.extend([shortest; 2]);
    }
    lens.sort_unstable_by_key(|&len| core::cmp::Reverse(len));
    let mut bytes = Tables::flat().to_bytes();
    bytes[32..32 + LITERALS].copy_from_slice(&lens);
    let tables = Tables::from_bytes(&signed(bytes)).unwrap();
    assert_eq!(tables.codes().literals()[..2], [15, 15]);
    let mut codec = Deflate::canned(4096, Arc::new(tables)).unwrap();
    let mut dst = vec![0; codec.dst_bytes()];
    // Long codes, one behind the other.
    let page: Vec<u8> = (0..4096).map(|i| (i * i / 7 % 5) as u8).collect();
    let len = codec.compress(&page, &mut dst, 4095).unwrap();
    let mut back = vec![0; 4096];
    assert_eq!(codec.decompress_canned(&dst[..len], &mut back), Ok(()));
    assert_eq!(back, page);
}

/// Canned pages of all lengths, read with the header in front; nothing but them.
#[test]
fn canned_pages_come_back() {
    let tables = Arc::new(trained(1));
    for unit in [4096, 65536] {
        let mut codec = Deflate::canned(unit, Arc::clone(&tables)).unwrap();
        let mut plain = Deflate::new(unit, 1).unwrap();
        let mut dst = vec![0; codec.dst_bytes()];
        let mut back = vec![0; unit];
        let pages = pages(7, 40 * unit / 4096).concat();
        let mut slack = [0; 8];
        for (i, page) in pages.chunks_exact(unit).enumerate() {
            let mut page = page.to_vec();
            page[unit / 50 * i..].fill(i as u8);
            let len = codec.compress(&page, &mut dst, unit - 1).unwrap();
            let packed = dst[..len].to_vec();
            assert_eq!(codec.decompress_canned(&packed, &mut back), Ok(()));
            assert_eq!(back, page);
            assert_eq!(codec.compress(&page, &mut dst, len), Ok(len));
            let refused = codec.compress(&page, &mut dst, len - 1);
            assert_eq!(refused, Err(NotCompressed::Incompressible));
            let last = packed.last().unwrap().leading_zeros();
            slack[last.min(7) as usize] += 1;
            let longer = [&packed[..], &[0]].concat();
            let strays = codec.decompress_canned(&longer, &mut back);
            assert_eq!(strays, Err(Corrupt::TrailingBytes), "page {i}");
            assert!(
                codec
                    .decompress_canned(&packed[..len - 1], &mut back)
                    .is_err()
            );
            assert!(plain.decompress_canned(&packed, &mut back).is_err());
            // It reads what others write.
            let len = plain.compress(&page, &mut dst, unit - 1).unwrap();
            assert_eq!(codec.decompress(&dst[..len], &mut back), Ok(()));
            assert_eq!(back, page);
        }
        assert!(
            slack.iter().filter(|&&count| count > 0).count() > 4,
            "{slack:?}"
        );
    }
}
