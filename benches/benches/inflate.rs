//! Pages whose codes are known beforehand: our decoder against libdeflate, which
//! keeps the tables of the fixed codes and makes those of canned ones for every page,
//! and against zlib-rs. "Joined" is libdeflate with what it takes to put the header in
//! front of a canned page.
//!
//! `cargo bench --bench inflate -- CORPUS...`
//!
//! Canned codes come from every second page; the others are what is read.

use pagepress_benches::joined::Joined;
use pagepress_benches::rivals::{self, Rival};
use pagepress_benches::{Maker, PAGE, corpora, median, ours, pin, ratios, rounds, touch, verdict};
use pagepress_fallback::deflate::Deflate;
use pagepress_fallback::encoder::{Codes, Encoder, SLACK};
use pagepress_fallback::inflate::Known;
use pagepress_fallback::tables::Tables;
use std::hint::black_box;

/// At most these shares of libdeflate's time.
const CANNED_BAR: f64 = 0.9;
const FIXED_BAR: f64 = 1.0;

fn main() {
    pin(1);
    println!("medians of ns per page; what we take, divided by what libdeflate takes\n");
    println!(
        "corpus             codes    pages    ours  libdeflate  joined  zlib-rs  / joined  / libdeflate"
    );
    for (name, pages) in corpora() {
        let fixed = packed(&pages, &Codes::fixed());
        let judged: Vec<_> = pages.iter().skip(1).step_by(2).collect();
        let tables = ours::train(pages.iter().step_by(2).map(Vec::as_slice));
        let bodies = packed(judged.iter().copied(), tables.writer());
        let known = Known::fixed().expect("memory");
        let row = |codes: &str, count: usize, times: &[Vec<f64>], bar| {
            let joined = times
                .get(3)
                .map_or_else(String::new, |t| format!("{:.0}", median(t)));
            let over = times.get(3).map_or_else(String::new, |t| {
                format!("{:.3}", median(&ratios(&times[0], t)))
            });
            println!(
                "{name:<18} {codes:<7} {count:>6} {:>7.0} {:>11.0} {joined:>7} {:>8.0} {over:>9}  {}",
                median(&times[0]),
                median(&times[1]),
                median(&times[2]),
                verdict(&ratios(&times[0], &times[1]), bar),
            );
        };
        if !fixed.is_empty() {
            let ours = reader(&fixed, |src, page| {
                known.decode_fixed(src, page) == Some(Ok(src.len()))
            });
            let makers = [
                ours,
                peer(rivals::libdeflate, &fixed),
                peer(rivals::zlib_rs, &fixed),
            ];
            let times = rounds(fixed.len(), |range| touch(&fixed[range]), &makers);
            row("fixed", fixed.len(), &times, FIXED_BAR);
        }
        if !bodies.is_empty() {
            let known = tables.reader();
            let mut joiner = joiner(&tables);
            let whole = |body: &Vec<u8>| joiner.join(body).expect("below a page").to_vec();
            let whole: Vec<_> = bodies.iter().map(whole).collect();
            let ours = reader(&bodies, |src, page| {
                known.decode(src, page) == Ok(src.len())
            });
            let makers = [
                ours,
                peer(rivals::libdeflate, &whole),
                peer(rivals::zlib_rs, &whole),
                joined(&tables, &bodies),
            ];
            let times = rounds(bodies.len(), |range| touch(&bodies[range]), &makers);
            row("canned", bodies.len(), &times, CANNED_BAR);
        }
    }
}

/// The streams of those pages that get smaller.
fn packed<'a>(pages: impl IntoIterator<Item = &'a Vec<u8>>, codes: &Codes) -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new(PAGE).expect("memory");
    let mut dst = vec![0; PAGE + SLACK];
    let stream = |page: &'a Vec<u8>| {
        let len = encoder.with_codes(page, &mut dst, PAGE - 1, codes)?;
        Some(dst[..len].to_vec())
    };
    pages.into_iter().filter_map(stream).collect()
}

/// Our decoder, whose tables all pages share.
fn reader<'a>(
    streams: &'a [Vec<u8>],
    read: impl Fn(&[u8], &mut [u8]) -> bool + Copy + 'a,
) -> Maker<'a> {
    Box::new(move || {
        let mut page = vec![0; PAGE];
        Box::new(move |range| {
            for stream in &streams[range] {
                assert!(read(stream, &mut page));
                black_box(&page);
            }
        })
    })
}

fn peer(library: fn(i32) -> Rival, streams: &[Vec<u8>]) -> Maker<'_> {
    Box::new(move || {
        let mut rival = library(1);
        let mut page = vec![0; PAGE];
        Box::new(move |range| {
            for stream in &streams[range] {
                assert!((rival.decompress)(stream, &mut page));
                black_box(&page);
            }
        })
    })
}

fn joiner(tables: &Tables) -> Joined {
    let (header, bits) = tables.codes().header();
    Joined::new(&header, bits, PAGE)
}

/// libdeflate with the header put in front of each page.
fn joined<'a>(tables: &'a Tables, bodies: &'a [Vec<u8>]) -> Maker<'a> {
    Box::new(move || {
        let mut joiner = joiner(tables);
        let mut codec = Deflate::new(PAGE, 1).expect("memory");
        let mut page = vec![0; PAGE];
        Box::new(move |range| {
            for body in &bodies[range] {
                let whole = joiner.join(body).expect("it is below a page");
                assert!(codec.decompress_prefix(whole, &mut page).is_ok());
                black_box(&page);
            }
        })
    })
}
