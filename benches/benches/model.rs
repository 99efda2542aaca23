//! How fast the modelled device is in immediate mode, page by page, beside
//! zlib-rs in the same run; and how small its pages are.
//!
//! `cargo bench --bench model -- FILE...`

use pagepress_benches::device::{Aecs, Client, NO_COUNTS};
use pagepress_benches::rivals::{Rival, libdeflate, zlib_rs};
use pagepress_benches::{PAGE, corpora, median, pin, quantile, touch};
use pagepress_model::profile::Profile;
use std::hint::black_box;
use std::time::Instant;

/// Repeats, of which the fastest counts.
const REPEATS: usize = 21;

/// Pages worked on by one after the other.
const GROUP: usize = 16;

/// Works on the page with this number.
type Work<'a> = Box<dyn FnMut(usize) + 'a>;

/// Bars, in nanoseconds at the median.
const COMPRESS: f64 = 12_000.0;
const DECOMPRESS: f64 = 10_000.0;

fn main() {
    pin(1);
    println!("modelled: this host's speed, nothing of a device");
    println!(
        "a page through Queue::enqcmd, in us: least p50, p90 and p99 of {REPEATS} repeats;\n\
         / zlib-rs: the median of the p50s' ratios, repeat by repeat"
    );
    for (name, pages) in corpora() {
        println!("\n{name}: {} pages", pages.len());
        let streams = Streams::of(&pages);
        streams.print_sizes(&pages);
        println!("{:<26}    p50    p90    p99  / zlib-rs", "");
        compress(&pages, &streams);
        decompress(&pages, &streams);
    }
}

/// What the device makes of the pages.
struct Streams {
    /// Codes and header of each page, made from its histogram.
    own_codes: Vec<Aecs>,
    fixed: Vec<Vec<u8>>,
    two_passes: Vec<Vec<u8>>,
    one_pass: Vec<Vec<u8>>,
}

impl Streams {
    fn of(pages: &[Vec<u8>]) -> Self {
        let fixed = Aecs::fixed();
        let (mut gen1, mut gen2) = (Client::new(Profile::GEN1), Client::new(Profile::GEN2));
        let mut histogram = NO_COUNTS;
        let mut dst = vec![0; 2 * PAGE];
        let mut streams = Self {
            own_codes: Vec::new(),
            fixed: Vec::new(),
            two_passes: Vec::new(),
            one_pass: Vec::new(),
        };
        for page in pages {
            gen1.statistics(page, &mut histogram).expect("it has room");
            let own = Aecs::dynamic(&histogram);
            let len = gen1.compress(&fixed, page, &mut dst).expect("it fits");
            streams.fixed.push(dst[..len].to_vec());
            let len = gen1.compress(&own, page, &mut dst).expect("it fits");
            streams.two_passes.push(dst[..len].to_vec());
            let len = gen2.compress_one_pass(page, &mut dst).expect("it fits");
            streams.one_pass.push(dst[..len].to_vec());
            streams.own_codes.push(own);
        }
        streams
    }

    fn print_sizes(&self, pages: &[Vec<u8>]) {
        let mean = |sizes: &mut dyn Iterator<Item = usize>| {
            sizes.map(|size| size.min(PAGE)).sum::<usize>() as f64 / pages.len() as f64
        };
        let of = |streams: &[Vec<u8>]| mean(&mut streams.iter().map(Vec::len));
        let by = |mut rival: Rival| {
            let mut dst = vec![0; 2 * PAGE];
            mean(
                &mut pages
                    .iter()
                    .map(|page| (rival.compress)(page, &mut dst).unwrap_or(PAGE)),
            )
        };
        let zlib = by(zlib_rs(1));
        println!("mean bytes, 4096 for what does not shrink; / zlib-rs 1");
        for (name, bytes) in [
            ("fixed", of(&self.fixed)),
            ("dynamic, two passes", of(&self.two_passes)),
            ("dynamic, one pass", of(&self.one_pass)),
            ("zlib-rs 1", zlib),
            ("zlib-rs 6", by(zlib_rs(6))),
            ("libdeflate 1", by(libdeflate(1))),
        ] {
            println!("  {name:<24} {bytes:>6.0} {:>6.3}", bytes / zlib);
        }
    }
}

fn compress(pages: &[Vec<u8>], streams: &Streams) {
    let fixed = Aecs::fixed();
    let client = || {
        let client = Client::new(Profile::GEN1);
        (client, vec![0; 2 * PAGE])
    };
    let rival: Work<'_> = {
        let (mut rival, mut dst) = (zlib_rs(1), vec![0; 2 * PAGE]);
        Box::new(move |i| {
            black_box((rival.compress)(&pages[i], &mut dst));
        })
    };
    let with_fixed: Work<'_> = {
        let (mut client, mut dst) = client();
        Box::new(move |i| assert!(client.compress(&fixed, &pages[i], &mut dst).is_some()))
    };
    let counts: Work<'_> = {
        let (mut client, _) = client();
        let mut histogram = NO_COUNTS;
        Box::new(move |i| assert!(client.statistics(&pages[i], &mut histogram).is_some()))
    };
    let with_own: Work<'_> = {
        let (mut client, mut dst) = client();
        Box::new(move |i| {
            let own = &streams.own_codes[i];
            assert!(client.compress(own, &pages[i], &mut dst).is_some());
        })
    };
    let both: Work<'_> = {
        let (mut client, mut dst) = client();
        let mut histogram = NO_COUNTS;
        Box::new(move |i| {
            assert!(client.statistics(&pages[i], &mut histogram).is_some());
            let own = &streams.own_codes[i];
            assert!(client.compress(own, &pages[i], &mut dst).is_some());
        })
    };
    let one_pass: Work<'_> = {
        let mut client = Client::new(Profile::GEN2);
        let mut dst = vec![0; 2 * PAGE];
        Box::new(move |i| assert!(client.compress_one_pass(&pages[i], &mut dst).is_some()))
    };
    let contenders = [
        ("compress, zlib-rs 1", None, rival),
        ("  fixed", Some(COMPRESS), with_fixed),
        ("  dynamic 1: statistics", Some(COMPRESS), counts),
        ("  dynamic 1: encoding", Some(COMPRESS), with_own),
        ("  dynamic 1: both passes", None, both),
        ("  dynamic 2: one pass", Some(COMPRESS), one_pass),
    ];
    race(pages.len(), |i| touch(&pages[i..=i]), contenders);
}

fn decompress(pages: &[Vec<u8>], streams: &Streams) {
    for (ours, theirs, streams) in [
        ("  fixed", "decompress fixed, zlib-rs", &streams.fixed),
        ("  dynamic", "decompress dyn., zlib-rs", &streams.one_pass),
    ] {
        let rival: Work<'_> = {
            let (mut rival, mut dst) = (zlib_rs(1), vec![0; PAGE]);
            Box::new(move |i| assert!((rival.decompress)(&streams[i], &mut dst)))
        };
        let model: Work<'_> = {
            let mut client = Client::new(Profile::GEN1);
            let mut dst = vec![0; PAGE];
            Box::new(move |i| {
                assert_eq!(client.decompress(&streams[i], &mut dst), Some(PAGE));
                debug_assert_eq!(dst, pages[i]);
            })
        };
        let contenders = [(theirs, None, rival), (ours, Some(DECOMPRESS), model)];
        race(pages.len(), |i| touch(&streams[i..=i]), contenders);
    }
}

/// Lets the contenders take turns on groups of pages, and prints each one's
/// times beside the first one's. A bar is one for the median.
fn race<const N: usize>(
    count: usize,
    touch: impl Fn(usize),
    mut contenders: [(&str, Option<f64>, Work<'_>); N],
) {
    let mut least = [[f64::MAX; 3]; N];
    let mut medians = [const { Vec::new() }; N];
    for _ in 0..REPEATS {
        let mut times = [const { Vec::new() }; N];
        for (turn, begin) in (0..count).step_by(GROUP).enumerate() {
            // Not always in the same order: whoever comes later finds the
            // branches predicted.
            for n in 0..N {
                let n = (n + turn) % N;
                for page in begin..count.min(begin + GROUP) {
                    touch(page);
                    let began = Instant::now();
                    (contenders[n].2)(page);
                    times[n].push(began.elapsed().as_nanos() as f64);
                }
            }
        }
        for (n, times) in times.iter().enumerate() {
            for (least, q) in least[n].iter_mut().zip([0.5, 0.9, 0.99]) {
                *least = least.min(quantile(times, q));
            }
            medians[n].push(median(times));
        }
    }
    for (n, (name, bar, _)) in contenders.iter().enumerate() {
        let [p50, p90, p99] = least[n].map(|ns| ns / 1000.0);
        let ratios: Vec<_> = medians[n]
            .iter()
            .zip(&medians[0])
            .map(|(ours, theirs)| ours / theirs)
            .collect();
        let verdict = match bar {
            Some(bar) if least[n][0] <= *bar => format!("  bar {:.0} us met", bar / 1000.0),
            Some(bar) => format!("  bar {:.0} us MISSED", bar / 1000.0),
            None => String::new(),
        };
        println!(
            "{name:<26} {p50:>6.2} {p90:>6.2} {p99:>6.2} {:>10.2}{verdict}",
            median(&ratios)
        );
    }
}
