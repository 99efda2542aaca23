//! Does one thing once over a corpus, for a tool that counts instructions:
//! `scripts/instructions` runs it.
//!
//! `instructions WHAT [FILE]`; without a file, of pages that are the same on every
//! machine. What is to be counted happens in a function called `counted`. Prints how
//! many pages it had.

use pagepress_benches::ours;
use pagepress_benches::rivals::{self, Rival};
use pagepress_benches::{PAGE, args, made, random_pages};
use std::fs;
use std::hint::black_box;
use std::process::ExitCode;

/// Half of them are what canned codes are made from.
const PAGES: usize = 256;

fn main() -> ExitCode {
    let args = args();
    let Some(what) = args.first() else {
        eprintln!("usage: instructions WHAT [FILE]");
        return ExitCode::from(2);
    };
    let all = match args.get(1) {
        Some(path) => {
            let bytes = fs::read(path).unwrap_or_else(|error| panic!("{path}: {error}"));
            let pages = bytes.chunks_exact(PAGE);
            let pages = pages.filter(|page| pagepress::page::same_filled(page).is_none());
            pages.map(<[u8]>::to_vec).collect()
        }
        None => made::pages(PAGES),
    };
    // Runs of eight in turn: made pages repeat their kinds every eight.
    let half = |odd| {
        let runs = all.chunks(8).skip(odd).step_by(2);
        runs.flatten().cloned().collect::<Vec<_>>()
    };
    let (others, pages) = (half(0), half(1));
    let Some((way, codec)) = what.split_once('-') else {
        return unknown(what);
    };
    let canned = || {
        let tables = ours::train(others.iter().map(Vec::as_slice));
        ours::canned(&tables)
    };
    let rival = match codec {
        "fixed" => ours::level(1),
        "canned" => canned(),
        "dynamic" => ours::level(2),
        "liblz4" => rivals::liblz4(),
        "libdeflate" => rivals::libdeflate(1),
        _ => return unknown(what),
    };
    let count = match way {
        "compress" => compress(rival, &pages),
        "random" => compress(rival, &random_pages(64)),
        "decompress" => decompress(rival, &pages),
        _ => return unknown(what),
    };
    println!("{count}");
    ExitCode::SUCCESS
}

fn unknown(what: &str) -> ExitCode {
    eprintln!("instructions: nothing is called {what}");
    ExitCode::from(2)
}

/// The first time is not counted: codecs look then what the CPU can do.
fn compress(mut rival: Rival, pages: &[Vec<u8>]) -> usize {
    let mut dst = vec![0; 2 * PAGE];
    let mut all = || {
        for page in pages {
            black_box((rival.compress)(page, &mut dst));
        }
    };
    all();
    counted(&mut all);
    pages.len()
}

fn decompress(mut rival: Rival, pages: &[Vec<u8>]) -> usize {
    let mut dst = vec![0; 2 * PAGE];
    let mut streams = Vec::new();
    for page in pages {
        if let Some(len) = (rival.compress)(page, &mut dst) {
            streams.push(dst[..len].to_vec());
        }
    }
    let mut page = vec![0; PAGE];
    let mut all = || {
        for stream in &streams {
            assert!((rival.decompress)(stream, &mut page));
            black_box(&page);
        }
    };
    all();
    counted(&mut all);
    streams.len()
}

#[inline(never)]
fn counted(work: &mut dyn FnMut()) {
    work();
    // Work after the call, or it would be a jump, and leave no function to count in.
    black_box(());
}
