//! How often the probe for random pages is wrong, counted over the pages of
//! this machine's processes and files.
//!
//! `cargo bench --bench probe -- [PAGES] [PATH...]` takes the anonymous memory
//! of all processes it may read, then walks the paths (/usr and /var if none
//! are named), until it has seen that many distinct pages (1,000,000 if not
//! said; 0 for all). It then prints, for each codec and level, how many of them
//! would have fitted in less than a page and how many of those the probe
//! rejects.

use pagepress_benches::{PAGE, args, walk};
use pagepress_fallback::deflate::Deflate;
use pagepress_fallback::probe::Probe;
use pagepress_fallback::zstd::Zstd;
use pagepress_fallback::{NotCompressed, PageCodec};
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;

struct Judge {
    name: String,
    codec: Box<dyn PageCodec>,
    fitting: u64,
    wronged: u64,
    unfit: u64,
    caught: u64,
}

fn main() {
    let mut args = args();
    let wanted = match args.first().and_then(|arg| arg.parse::<u64>().ok()) {
        Some(n) => {
            args.remove(0);
            if n == 0 { u64::MAX } else { n }
        }
        None => 1_000_000,
    };
    if args.is_empty() {
        args = ["/usr", "/var"].map(str::to_owned).into();
    }
    let mut judges: Vec<Judge> = [-1, 1, 3]
        .map(|level| {
            let codec = Zstd::new(PAGE, level, None).expect("memory for a context");
            judge(format!("zstd {level}"), codec.without_probe())
        })
        .into_iter()
        .chain([1, 6].map(|level| {
            let codec = Deflate::new(PAGE, level).expect("memory for a context");
            judge(format!("deflate {level}"), codec.without_probe())
        }))
        .collect();

    let mut probe = Probe::default();
    let mut dst = vec![0; 2 * PAGE];
    let hasher = RandomState::new();
    let mut seen = HashSet::new();
    let mut rejected = 0u64;
    let mut look = |page: &[u8]| {
        if pagepress::page::same_filled(page).is_some() || !seen.insert(hasher.hash_one(page)) {
            return true;
        }
        let random = probe.looks_random(page);
        rejected += u64::from(random);
        for judge in &mut judges {
            judge.look(page, random, &mut dst);
        }
        (seen.len() as u64) < wanted
    };
    let of_processes = walk::of_processes(&mut look);
    walk::of_files(args.iter().map(PathBuf::from).collect(), &mut look);

    println!(
        "{} distinct pages, of {of_processes} processes and {}; {rejected} rejected by the probe",
        seen.len(),
        args.join(" ")
    );
    println!("codec        fit in 4095  wrongly rejected   per 10,000  do not fit  of them caught");
    for judge in &judges {
        let per = judge.wronged as f64 / judge.fitting.max(1) as f64 * 1e4;
        println!(
            "{:<11} {:>12} {:>17} {:>12.3} {:>11} {:>14.1} %",
            judge.name,
            judge.fitting,
            judge.wronged,
            per,
            judge.unfit,
            judge.caught as f64 / judge.unfit.max(1) as f64 * 100.0,
        );
    }
}

fn judge(name: String, codec: impl PageCodec + 'static) -> Judge {
    Judge {
        name,
        codec: Box::new(codec),
        fitting: 0,
        wronged: 0,
        unfit: 0,
        caught: 0,
    }
}

impl Judge {
    fn look(&mut self, page: &[u8], random: bool, dst: &mut [u8]) {
        match self.codec.compress(page, dst, PAGE - 1) {
            Ok(_) => {
                self.fitting += 1;
                self.wronged += u64::from(random);
            }
            Err(NotCompressed::Incompressible) => {
                self.unfit += 1;
                self.caught += u64::from(random);
            }
            Err(NotCompressed::Failed(reason)) => panic!("{}: {reason}", self.name),
        }
    }
}
