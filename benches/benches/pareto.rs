//! What pages shrink to and what that takes: our deflate, tier by tier, and the
//! libraries, on one corpus after the other.
//!
//! `cargo bench --bench pareto -- FILE...` judges by the first one; without any, the
//! bench gathers text, a program, memory and random bytes of its own.
//! `PAGEPRESS_JSON` names a file for all figures.
//!
//! Measured are the odd pages of each corpus. Canned codes are made from even ones: of
//! the same corpus (*own*), of all (*shared*), or of all others (*foreign*); never from
//! a page that is measured anywhere.

use pagepress_benches::contenders::{bare_compress, bare_decompress, pack};
use pagepress_benches::isal::{self, isal};
use pagepress_benches::joined::Joined;
use pagepress_benches::machine::{Meanwhile, Moment};
use pagepress_benches::ours;
use pagepress_benches::rivals::{self, Rival};
use pagepress_benches::walk::{self, Distinct};
use pagepress_benches::{
    PAGE, args, corpora, median, pin, quantile, random_pages, ratios, rounds, touch, verdict,
};
use pagepress_fallback::tables::Tables;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{env, fs};

/// What lz4 is called in this table; everything is compared with it.
const LZ4: &str = "liblz4";

struct Corpus {
    name: String,
    measured: Vec<Vec<u8>>,
    /// What codes may be made from.
    others: Vec<Vec<u8>>,
}

/// One line of a table.
struct Line<'a> {
    name: &'static str,
    /// Those that share code are measured in different sets, each with liblz4: one
    /// would find the branches predicted by another that had the same pages.
    set: usize,
    /// `None` if it is not installed.
    make: Option<Box<dyn Fn() -> Rival + 'a>>,
    /// Bits of each page that a reader would not need.
    spare_bits: usize,
}

/// What was measured of one.
struct Figures {
    name: &'static str,
    ratio: f64,
    compress: Times,
    /// Of those pages that all can shorten.
    decompress: Option<Times>,
    on_front: bool,
}

/// Round by round.
#[derive(Clone)]
struct Times {
    /// Nanoseconds per page.
    ns: Vec<f64>,
    to_lz4: Vec<f64>,
}

impl Times {
    fn ns(&self) -> f64 {
        median(&self.ns)
    }

    fn to_lz4(&self) -> f64 {
        median(&self.to_lz4)
    }

    fn json(&self) -> Value {
        let quartiles = |values: &[f64]| json!([0.25, 0.5, 0.75].map(|q| quantile(values, q)));
        json!({"ns": quartiles(&self.ns), "to_liblz4": quartiles(&self.to_lz4)})
    }
}

struct Measured {
    corpus: String,
    pages: usize,
    decoded: usize,
    others_cpu: Option<f64>,
    figures: Vec<Figures>,
}

fn main() {
    pin(1);
    let corpora = split(
        if args().is_empty() && env::var("PAGEPRESS_CORPUS").is_err() {
            own_corpora()
        } else {
            corpora()
        },
    );
    let shared = tables(&corpora, |_| true);
    let mut all = Vec::new();
    for corpus in &corpora {
        let own = tables([corpus], |_| true);
        let of_it: HashSet<_> = corpus.others.iter().collect();
        let foreign = tables(&corpora, |page| !of_it.contains(page));
        let lines = lines(corpus, &own, &shared, &foreign);
        let measured = measure(corpus, &lines);
        measured.print(own.trained_on().pages, foreign.trained_on().pages);
        for line in lines.iter().filter(|line| line.make.is_none()) {
            println!("{:<23} not installed", line.name);
        }
        all.push(measured);
    }
    summary(&all);
    let judged = &corpora[0];
    let bars = bars(judged, &all[0], &tables([judged], |_| true));
    if let Ok(path) = env::var("PAGEPRESS_JSON") {
        let json = json!({
            "shared_tables_pages": shared.trained_on().pages,
            "corpora": all.iter().map(Measured::json).collect::<Vec<_>>(),
            "bars": bars,
        });
        fs::write(&path, format!("{json:#}\n")).unwrap_or_else(|error| panic!("{path}: {error}"));
    }
}

/// Even pages for codes, odd ones to measure. Corpora may have pages in common: what
/// is measured in one is no material for codes in another.
fn split(corpora: Vec<(String, Vec<Vec<u8>>)>) -> Vec<Corpus> {
    let odd =
        |pages: &[Vec<u8>]| -> Vec<Vec<u8>> { pages.iter().skip(1).step_by(2).cloned().collect() };
    let measured: HashSet<Vec<u8>> = corpora.iter().flat_map(|(_, pages)| odd(pages)).collect();
    let corpora = corpora.into_iter().map(|(name, pages)| {
        assert!(pages.len() > 1, "{name} has not two pages");
        let even = pages.iter().step_by(2);
        Corpus {
            name: name.trim_end_matches(".pages").to_owned(),
            measured: odd(&pages),
            others: even
                .filter(|&page| !measured.contains(page))
                .cloned()
                .collect(),
        }
    });
    corpora.collect()
}

/// Codes made from those pages that `fit`.
fn tables<'a>(
    corpora: impl IntoIterator<Item = &'a Corpus>,
    fit: impl Fn(&Vec<u8>) -> bool,
) -> Arc<Tables> {
    let pages = corpora.into_iter().flat_map(|corpus| &corpus.others);
    let pages = pages.filter(|page| fit(page)).map(Vec::as_slice);
    ours::train(pages)
}

fn lines<'a>(
    corpus: &Corpus,
    own: &'a Arc<Tables>,
    shared: &'a Arc<Tables>,
    foreign: &'a Arc<Tables>,
) -> Vec<Line<'a>> {
    fn line<'a>(set: usize, name: &'static str, make: impl Fn() -> Rival + 'a) -> Line<'a> {
        Line {
            name,
            set,
            make: Some(Box::new(make)),
            spare_bits: 0,
        }
    }
    let with_isal = |set, name, level, codes: Option<isal::Codes>, spare_bits| {
        let made = codes.and_then(|codes| isal(level, codes.clone()).map(|_| codes));
        Line {
            name,
            set,
            make: made.map(|codes| -> Box<dyn Fn() -> Rival> {
                Box::new(move || isal(level, codes.clone()).expect("it was there just now"))
            }),
            spare_bits,
        }
    };
    let custom = isal::Tables::train(corpus.others.iter().map(Vec::as_slice));
    let header_bits = custom.as_ref().map_or(0, isal::Tables::header_bits);
    let custom = custom.map(isal::Codes::Custom);
    let mut lines = vec![
        line(0, LZ4, rivals::liblz4),
        line(0, "lz4_flex", rivals::lz4_pair),
        line(0, "ours, fixed", || ours::level(1)),
        line(1, "ours, canned: own", || ours::canned(own)),
        line(2, "ours, canned: shared", || ours::canned(shared)),
        line(0, "ours, dynamic", || ours::level(2)),
        line(0, "zlib-rs 1", || rivals::deflate_pair(1)),
        line(0, "libdeflate 1", || rivals::libdeflate(1)),
        line(0, "zstd -1", || rivals::zstd(-1)),
        line(1, "zstd 1", || rivals::zstd(1)),
        with_isal(0, "ISA-L 0, fixed", 0, Some(isal::Codes::Fixed), 0),
        with_isal(1, "ISA-L 0, its codes", 0, Some(isal::Codes::Default), 0),
        with_isal(2, "ISA-L 0, canned: own", 0, custom, header_bits),
        with_isal(0, "ISA-L 1", 1, Some(isal::Codes::Default), 0),
    ];
    if foreign.trained_on().pages > 0 {
        let foreign = line(3, "ours, canned: foreign", || ours::canned(foreign));
        lines.insert(5, foreign);
    }
    lines
}

/// What a library makes of each page, decoded and compared.
fn packed(make: &dyn Fn() -> Rival, pages: &[Vec<u8>]) -> Vec<Option<Vec<u8>>> {
    let mut rival = make();
    let (mut dst, mut back) = (vec![0; 2 * PAGE], vec![0; PAGE]);
    let mut pack = |page: &Vec<u8>| {
        let len = (rival.compress)(page, &mut dst)?;
        back.fill(0);
        assert!(
            (rival.decompress)(&dst[..len], &mut back) && &back == page,
            "{} does not give back what it was given",
            rival.name
        );
        Some(dst[..len].to_vec())
    };
    pages.iter().map(&mut pack).collect()
}

fn measure(corpus: &Corpus, lines: &[Line<'_>]) -> Measured {
    let pages = &corpus.measured;
    let there: Vec<_> = lines
        .iter()
        .filter_map(|line| Some((line, line.make.as_deref()?)))
        .collect();
    let packed: Vec<_> = there.iter().map(|(_, make)| packed(make, pages)).collect();
    // Each decoder has the same pages to make.
    let by_all: Vec<_> = (0..pages.len())
        .filter(|&number| packed.iter().all(|packed| packed[number].is_some()))
        .collect();
    let streams: Vec<Vec<_>> = packed
        .iter()
        .map(|packed| {
            by_all
                .iter()
                .filter_map(|&number| packed[number].clone())
                .collect()
        })
        .collect();

    let began = Moment::now();
    let compress = in_sets(&there, |numbers| {
        let makers: Vec<_> = numbers
            .iter()
            .map(|&number| bare_compress(there[number].1, pages))
            .collect();
        rounds(pages.len(), |range| touch(&pages[range]), &makers)
    });
    let decompress = (!by_all.is_empty()).then(|| {
        in_sets(&there, |numbers| {
            let makers: Vec<_> = numbers
                .iter()
                .map(|&number| bare_decompress(there[number].1, &streams[number]))
                .collect();
            let touch_all = |range: Range<usize>| {
                for &number in numbers {
                    touch(&streams[number][range.clone()]);
                }
            };
            rounds(by_all.len(), touch_all, &makers)
        })
    });
    let others_cpu = match began.meanwhile() {
        Meanwhile::Steady { others, .. } => Some(others),
        Meanwhile::CpusChanged => None,
    };

    let figures = there.iter().enumerate().map(|(number, (line, _))| {
        let kept = |stream: &Option<Vec<u8>>| {
            let len = stream.as_ref().map(Vec::len);
            len.map_or(PAGE, |len| len - line.spare_bits / 8)
        };
        let stored: usize = packed[number].iter().map(kept).sum();
        Figures {
            name: line.name,
            ratio: (pages.len() * PAGE) as f64 / stored as f64,
            compress: compress[number].clone(),
            decompress: decompress.as_ref().map(|times| times[number].clone()),
            on_front: false,
        }
    });
    let mut figures: Vec<Figures> = figures.collect();
    for i in 0..figures.len() {
        figures[i].on_front = !figures.iter().any(|other| other.dominates(&figures[i]));
    }
    Measured {
        corpus: corpus.name.clone(),
        pages: pages.len(),
        decoded: by_all.len(),
        others_cpu,
        figures,
    }
}

/// Lets the lines of each set take turns with liblz4, which is the first of all lines.
fn in_sets<M>(there: &[(&Line<'_>, M)], run: impl Fn(&[usize]) -> Vec<Vec<f64>>) -> Vec<Times> {
    let mut times = vec![None; there.len()];
    let sets = there.iter().map(|(line, _)| line.set).max().unwrap_or(0);
    for set in 0..=sets {
        let of_set = (1..there.len()).filter(|&number| there[number].0.set == set);
        let numbers: Vec<_> = [0].into_iter().chain(of_set).collect();
        let ns = run(&numbers);
        for (&number, ns_of) in numbers.iter().zip(&ns) {
            times[number].get_or_insert_with(|| Times {
                ns: ns_of.clone(),
                to_lz4: ratios(ns_of, &ns[0]),
            });
        }
    }
    let all = times.into_iter();
    all.map(|times| times.expect("each is in a set")).collect()
}

impl Figures {
    fn dominates(&self, other: &Self) -> bool {
        /// Times this close are the same: that much comes and goes between runs.
        const SAME: f64 = 1.02;
        let (time, others_time) = (self.compress.to_lz4(), other.compress.to_lz4());
        time <= SAME * others_time
            && self.ratio >= other.ratio
            && (SAME * time < others_time || self.ratio > other.ratio)
    }
}

impl Measured {
    fn of(&self, name: &str) -> &Figures {
        let found = self.figures.iter().find(|figures| figures.name == name);
        found.unwrap_or_else(|| panic!("{name} is always measured"))
    }

    fn print(&self, own: u64, foreign: u64) {
        println!(
            "\n{}: {} pages; codes from {own} others of it, {foreign} of other corpora; {} pages \
             decompressed; {}",
            self.corpus,
            self.pages,
            self.decoded,
            match self.others_cpu {
                Some(share) => format!("others had {:.1} % of the CPUs", 100.0 * share),
                None => "CPUs came or went".to_owned(),
            }
        );
        println!(
            "{:<23} {:>11} {:>8} {:>7} {:>7} {:>13} {:>8}",
            "", "compress ns", "/ liblz4", "ratio", "/ lz4's", "decompress ns", "/ liblz4"
        );
        let lz4 = self.of(LZ4);
        for figures in &self.figures {
            let decompress = figures.decompress.as_ref();
            let (ns, to_lz4) = decompress.map_or(("-".into(), "-".into()), |times| {
                (
                    format!("{:.0}", times.ns()),
                    format!("{:.3}", times.to_lz4()),
                )
            });
            println!(
                "{:<23} {:>11.0} {:>8.3} {:>7.3} {:>7.3} {ns:>13} {to_lz4:>8}{}",
                figures.name,
                figures.compress.ns(),
                figures.compress.to_lz4(),
                figures.ratio,
                figures.ratio / lz4.ratio,
                if figures.on_front { "  front" } else { "" },
            );
        }
    }

    fn json(&self) -> Value {
        let lines = self.figures.iter().map(|figures| {
            json!({
                "codec": figures.name,
                "ratio": figures.ratio,
                "compress": figures.compress.json(),
                "decompress": figures.decompress.as_ref().map(Times::json),
                "on_front": figures.on_front,
            })
        });
        json!({
            "corpus": self.corpus,
            "pages": self.pages,
            "decompressed_pages": self.decoded,
            "others_cpu_share": self.others_cpu,
            "codecs": lines.collect::<Vec<_>>(),
        })
    }
}

/// One column for each corpus.
fn summary(all: &[Measured]) {
    type Figure = fn(&Measured, &Figures) -> f64;
    let tables: [(&str, Figure); 4] = [
        ("compress time / liblz4's", |_, figures| {
            figures.compress.to_lz4()
        }),
        ("decompress time / liblz4's", |_, figures| {
            figures.decompress.as_ref().map_or(f64::NAN, Times::to_lz4)
        }),
        ("ratio", |_, figures| figures.ratio),
        ("ratio / lz4's", |measured, figures| {
            figures.ratio / measured.of(LZ4).ratio
        }),
    ];
    let width = |measured: &Measured| measured.corpus.len().max(6);
    for (title, figure) in tables {
        print!("\n{title:<27}");
        for measured in all {
            print!("  {:>1$}", measured.corpus, width(measured));
        }
        println!();
        for name in all[0].figures.iter().map(|figures| figures.name) {
            print!("{name:<27}");
            for measured in all {
                let found = measured.figures.iter().find(|figures| figures.name == name);
                let text = found.map_or("- ".into(), |found| {
                    let star = if found.on_front { "*" } else { " " };
                    match figure(measured, found) {
                        none if none.is_nan() => "- ".to_owned(),
                        number => format!("{number:.3}{star}"),
                    }
                });
                print!("  {text:>0$}", width(measured));
            }
            println!();
        }
    }
    println!(
        "* on the front: nothing is better in time or ratio and no worse in the other; times within 2 % are the same"
    );
}

/// What the tiers are held to, on the first corpus.
fn bars(corpus: &Corpus, measured: &Measured, own: &Arc<Tables>) -> Vec<Value> {
    let mut all = Vec::new();
    println!("\nBars, on {}: medians (quartiles)", corpus.name);
    let mut at_most = |what: &str, ratios: &[f64], bar: f64| {
        println!("{what:<47} {}", verdict(ratios, bar));
        all.push(json!({"what": what, "at_most": bar, "is": median(ratios)}));
    };
    let pages = &corpus.measured;
    // Two at a time: nobody else with the same code.
    let pair = |ours: &dyn Fn() -> Rival, theirs: &dyn Fn() -> Rival| {
        let makers = [bare_compress(ours, pages), bare_compress(theirs, pages)];
        let times = rounds(pages.len(), |range| touch(&pages[range]), &makers);
        ratios(&times[0], &times[1])
    };
    let libdeflate = || rivals::libdeflate(1);
    let (fixed, canned, dynamic) = (|| ours::level(1), || ours::canned(own), || ours::level(2));
    at_most(
        "fixed: time / liblz4's",
        &pair(&fixed, &rivals::liblz4),
        1.08,
    );
    at_most(
        "canned: time / liblz4's",
        &pair(&canned, &rivals::liblz4),
        1.08,
    );
    at_most(
        "dynamic: time / libdeflate 1's",
        &pair(&dynamic, &libdeflate),
        0.70,
    );

    let random = random_pages(pages.len());
    let rejecting = rounds(
        pages.len(),
        |range| {
            touch(&pages[range.clone()]);
            touch(&random[range]);
        },
        &[
            bare_compress(rivals::liblz4, pages),
            bare_compress(fixed, &random),
            bare_compress(canned, &random),
            bare_compress(dynamic, &random),
        ],
    );
    for (tier, times) in ["fixed", "canned", "dynamic"].iter().zip(&rejecting[1..]) {
        let what = format!("{tier}: a random page / liblz4's mean page");
        at_most(&what, &ratios(times, &rejecting[0]), 0.15);
    }

    let streams = [
        pack(fixed, pages),
        pack(dynamic, pages),
        pack(canned, pages),
    ];
    let (header, bits) = own.codes().header();
    let mut joined = Joined::new(&header, bits, PAGE);
    let join = |body: &Vec<u8>| joined.join(body).expect("a page is not longer").to_vec();
    let with_header: Vec<_> = streams[2].iter().map(join).collect();
    let makes: [&dyn Fn() -> Rival; 3] = [&fixed, &dynamic, &canned];
    let theirs = [&streams[0], &streams[1], &with_header];
    let tiers = [("fixed", 1.00), ("dynamic", 1.00), ("canned", 0.90)];
    for (i, (tier, bar)) in tiers.into_iter().enumerate() {
        let (ours, theirs) = (&streams[i], theirs[i]);
        let makers = [
            bare_decompress(makes[i], ours),
            bare_decompress(libdeflate, theirs),
        ];
        let both = |range: Range<usize>| {
            touch(&ours[range.clone()]);
            touch(&theirs[range]);
        };
        let times = rounds(ours.len(), both, &makers);
        let what = format!("{tier}: decompress time / libdeflate's");
        at_most(&what, &ratios(&times[0], &times[1]), bar);
    }

    for (what, ours, theirs, bar) in [
        ("fixed: ratio / lz4's", "ours, fixed", LZ4, 1.16),
        ("canned: ratio / lz4's", "ours, canned: own", LZ4, 1.28),
        (
            "canned, shared codes: ratio / lz4's",
            "ours, canned: shared",
            LZ4,
            1.28,
        ),
        (
            "dynamic: ratio / libdeflate 1's",
            "ours, dynamic",
            "libdeflate 1",
            0.97,
        ),
    ] {
        let is = measured.of(ours).ratio / measured.of(theirs).ratio;
        let word = if is >= bar { "met" } else { "MISSED" };
        println!("{what:<47} {is:.3}  bar {bar:.2} or more {word}");
        all.push(json!({"what": what, "at_least": bar, "is": is}));
    }
    all
}

/// Text and a program of this repository, memory of this process, and random bytes.
fn own_corpora() -> Vec<(String, Vec<Vec<u8>>)> {
    const PAGES: usize = 512;
    let mut sources = Vec::new();
    // cargo runs benches in their package's directory.
    let root = Path::new("..");
    find_text(root, &mut sources);
    // An index of all words, as heaps are: small pieces, pointers and strings.
    let mut index: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (number, path) in sources.iter().enumerate() {
        for word in fs::read_to_string(path)
            .unwrap_or_default()
            .split_whitespace()
        {
            index.entry(word.to_owned()).or_default().push(number);
        }
    }
    let pages = |gather: &dyn Fn(&mut Distinct)| {
        let mut distinct = Distinct::default();
        gather(&mut distinct);
        distinct.spread(PAGES)
    };
    let of_files = |paths: Vec<PathBuf>| {
        pages(&|distinct| {
            walk::of_files(paths.clone(), |page| {
                distinct.take(page);
                true
            });
        })
    };
    let memory = pages(&|distinct| {
        // What is gathered is memory too.
        let most = 8 * PAGES;
        walk::of_process(Path::new("/proc/self"), |page| {
            distinct.take(page);
            distinct.count() < most
        });
    });
    drop(index);
    let program = env::current_exe().expect("the running program has a path");
    [
        ("own-memory", memory),
        ("own-text", of_files(sources)),
        ("own-program", of_files(vec![program])),
        ("random", random_pages(64)),
    ]
    .into_iter()
    .filter(|(_, pages)| pages.len() > 1)
    .map(|(name, pages)| (name.to_owned(), pages))
    .collect()
}

fn find_text(directory: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let ending = path.extension().unwrap_or_default();
        if path.is_dir() && !path.ends_with("target") {
            find_text(&path, files);
        } else if ending == "rs" || ending == "md" {
            files.push(path);
        }
    }
}
