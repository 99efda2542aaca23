//! Pages whose codes are known beforehand: our decoder against libdeflate, which
//! keeps the tables of the fixed codes and makes those of canned ones for every page,
//! and against zlib-rs. "Joined" is libdeflate with what it takes to put the header in
//! front of a canned page.
//!
//! `cargo bench --bench inflate -- CORPUS...`
//!
//! Canned codes come from every second page; the others are what is read.

use pagepress_benches::rivals::{self, Rival};
use pagepress_benches::{Maker, PAGE, corpora, median, pin, ratios, rounds, touch, verdict};
use pagepress_fallback::deflate::{Deflate, Joined};
use pagepress_fallback::encoder::{Codes, Encoder, SLACK};
use pagepress_fallback::huffman::{self, CODE_BITS_MAX, DISTANCES, END_OF_BLOCK, Header, LITERALS};
use pagepress_fallback::inflate::Known;
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
        let taught = packed(pages.iter().step_by(2), &Codes::fixed());
        let judged: Vec<_> = pages.iter().skip(1).step_by(2).collect();
        let canned = Canned::taught(&taught);
        let bodies = packed(judged.iter().copied(), &canned.bare());
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
            let known = canned.known();
            let whole: Vec<_> = bodies.iter().map(|body| canned.whole(body)).collect();
            let ours = reader(&bodies, |src, page| {
                known.decode(src, page) == Ok(src.len())
            });
            let makers = [
                ours,
                peer(rivals::libdeflate, &whole),
                peer(rivals::zlib_rs, &whole),
                canned.joined(&bodies),
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

/// Codes for pages like those they were taught by.
struct Canned {
    literals: [u8; LITERALS],
    distances: [u8; DISTANCES],
    header: Vec<u8>,
    header_bits: usize,
}

impl Canned {
    /// From the symbols of streams with the fixed codes, every other one once.
    fn taught(streams: &[Vec<u8>]) -> Self {
        let (mut literals, mut distances) = ([1; LITERALS], [1; DISTANCES]);
        for stream in streams {
            count(stream, &mut literals, &mut distances);
        }
        let mut lengths = ([0; LITERALS], [0; DISTANCES]);
        huffman::code_lengths(&literals, CODE_BITS_MAX, &mut lengths.0);
        huffman::code_lengths(&distances, CODE_BITS_MAX, &mut lengths.1);
        let header = Header::new(&lengths.0, &lengths.1);
        let mut bytes = vec![0; header.bits().div_ceil(8) + 8];
        header.write_bytes(true, &mut bytes);
        bytes.truncate(header.bits().div_ceil(8));
        Self {
            literals: lengths.0,
            distances: lengths.1,
            header: bytes,
            header_bits: header.bits(),
        }
    }

    fn bare(&self) -> Codes {
        Codes::with_header(&self.literals, &self.distances, &[], 0)
    }

    fn known(&self) -> Known {
        Known::new(&self.literals, &self.distances).expect("the codes are complete")
    }

    fn joiner(&self) -> Joined {
        Joined::new(&self.header, self.header_bits, PAGE)
    }

    fn whole(&self, body: &[u8]) -> Vec<u8> {
        self.joiner()
            .join(body)
            .expect("it is below a page")
            .to_vec()
    }

    /// libdeflate, and what it takes to put the header in front.
    fn joined<'a>(&'a self, bodies: &'a [Vec<u8>]) -> Maker<'a> {
        Box::new(move || {
            let mut joiner = self.joiner();
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
}

/// Counts the symbols of one block with the fixed codes.
fn count(stream: &[u8], literals: &mut [u32; LITERALS], distances: &mut [u32; DISTANCES]) {
    let mut at = 3;
    let mut bit = || {
        at += 1;
        usize::from(stream[(at - 1) / 8] >> ((at - 1) % 8) & 1)
    };
    loop {
        // RFC 1951, 3.2.6: 7 bits up to 0010111, 9 from 110010000 on, 8 elsewhere.
        let mut code = (0..7).fold(0, |code, _| code << 1 | bit());
        let symbol = if code < 0b001_1000 {
            256 + code
        } else {
            code = code << 1 | bit();
            match code {
                0b1100_0000..0b1100_1000 => 280 + code - 0b1100_0000,
                0b1100_1000.. => 144 + (code << 1 | bit()) - 0b1_1001_0000,
                _ => code - 0b0011_0000,
            }
        };
        literals[symbol] += 1;
        match symbol {
            END_OF_BLOCK => return,
            0..END_OF_BLOCK => continue,
            265..285 => {
                for _ in 0..(symbol - 261) / 4 {
                    bit();
                }
            }
            _ => {}
        }
        let symbol = (0..5).fold(0, |code, _| code << 1 | bit());
        distances[symbol] += 1;
        for _ in 0..(symbol / 2).saturating_sub(1) {
            bit();
        }
    }
}
