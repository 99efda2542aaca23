//! What the host does for a page that a device compresses or decompresses, on a
//! device that only completes; and what it does between the two passes of a
//! generation-1 dynamic page.
//!
//! `cargo bench --bench host_cost -- CORPUS`

use core::ops::ControlFlow;
use pagepress::iaa::Devices;
use pagepress::{Codec, Outcome, PerformedBy, Pool, Stored};
use pagepress_abi::Portal;
use pagepress_abi::aecs::compress as aecs;
use pagepress_benches::device::{Client, NO_COUNTS};
use pagepress_benches::null::{Null, PACKED};
use pagepress_benches::ticks::{Moment, Passed};
use pagepress_benches::{PAGE, corpus, median, pin, quantile};
use pagepress_iaa::clock::HostClock;
use pagepress_iaa::fleet::Fleet;
use pagepress_iaa::lane::{Answer, Batch, Format, Input, Lane, Settings, Shared, Store, Verify};
use pagepress_iaa::tables::{self, Codes};
use pagepress_model::profile::Profile;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

/// Sizes of a call.
const BATCHES: [usize; 6] = [1, 2, 4, 8, 16, 64];
/// The one that the bars are for.
const JUDGED: usize = 8;
/// Pages of one measurement.
const MEASURED: usize = 4096;
/// Measurements of each kind, taken in turn.
const REPEATS: usize = 401;
/// Passes over the corpus.
const PASSES: usize = 61;

/// Nanoseconds per page.
const COMPRESS_BAR: f64 = 45.0;
const DECOMPRESS_BAR: f64 = 45.0;
const DYNAMIC_BAR: f64 = 3000.0;

fn main() {
    pin(1);
    println!(
        "a null device: it writes a completion record, at once. The bare loop that fills in\n\
         descriptors and submits them is not ours: QPL's takes 103 ns to compress a page and 71\n\
         to decompress one on such a device\n"
    );
    calls();
    let (name, pages) = corpus();
    between_passes(&name, &pages);
}

/// Pages in memory of their own, as a caller has them.
#[repr(align(4096))]
struct Page([u8; PAGE]);

impl AsRef<[u8]> for Page {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl AsMut<[u8]> for Page {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

/// Pages through a lane, and nothing done with what comes back.
struct Through<'p> {
    pages: &'p [Page],
    len: usize,
    next: usize,
}

impl<'p> Batch<'p> for Through<'p> {
    #[inline]
    fn left(&self) -> usize {
        self.pages.len() - self.next
    }

    #[inline]
    fn next(&mut self, _: &mut [u8]) -> Option<Input<'p>> {
        let index = self.next;
        let page = self.pages.get(index)?;
        self.next += 1;
        Some(Input {
            index,
            bytes: &page.0[..self.len],
            canned: false,
        })
    }

    #[inline]
    fn done(&mut self, index: usize, answer: Answer<'_>) -> ControlFlow<()> {
        let Answer::Done(bytes) = answer else {
            panic!("page {index}: {answer:?}");
        };
        black_box(bytes);
        ControlFlow::Continue(())
    }
}

fn null() -> Vec<(pagepress_iaa::fleet::Facts, Box<dyn Portal>)> {
    vec![(Null::facts(), Box::new(Null))]
}

fn lane() -> Lane {
    let fleet = Arc::new(Fleet::new(null(), Arc::new(HostClock::new(false))));
    let settings = Settings {
        slots: 8,
        unit: PAGE,
        accept_limit: PAGE - 1,
        format: Format::Fixed,
        verify: Verify::Off,
        patience: Duration::from_millis(10),
        faults_most: 2,
    };
    let shared = Arc::new(Shared::fixed().expect("memory"));
    let store = Arc::new(Store::new(1));
    Lane::new(&fleet, &shared, &store, settings, 0, None).expect("memory")
}

fn pool() -> Pool {
    let clock = Arc::new(HostClock::new(false));
    let devices = Devices::of_portals(null(), clock, PerformedBy::Modelled);
    Pool::builder()
        .devices(devices)
        .build()
        .expect("plain settings")
}

/// Something that is measured: it does a call for each of these batches.
struct Kind<'a> {
    name: &'static str,
    bar: Option<f64>,
    call: Box<dyn FnMut(usize) + 'a>,
    /// By size of a call.
    times: Vec<Vec<Passed>>,
}

impl<'a> Kind<'a> {
    fn new(name: &'static str, bar: Option<f64>, call: impl FnMut(usize) + 'a) -> Self {
        Self {
            name,
            bar,
            call: Box::new(call),
            times: vec![Vec::with_capacity(REPEATS); BATCHES.len()],
        }
    }

    fn measure(&mut self, size: usize) {
        let batch = BATCHES[size];
        let calls = MEASURED / batch;
        (self.call)(batch);
        let began = Moment::now();
        for _ in 0..calls {
            (self.call)(batch);
        }
        self.times[size].push(began.passed(calls * batch));
    }
}

fn calls() {
    let most = BATCHES[BATCHES.len() - 1];
    let pages: Vec<Page> = (0..most)
        .map(|i| Page(core::array::from_fn(|at| (at * 7 + i) as u8)))
        .collect();
    let mut rooms: Vec<Page> = (0..most).map(|_| Page([0; PAGE])).collect();
    let packed: Vec<_> = pages
        .iter()
        .map(|page| Stored::compressed(Codec::Deflate, &page.0[..PACKED as usize]))
        .collect();
    let (mut compressing, mut decompressing) = (lane(), lane());
    let pool = pool();
    let seen = |page: Result<Outcome<'_>, _>| {
        let _ = black_box(page.expect("the device does them all"));
    };
    let through = |batch, len| Through {
        pages: &pages[..batch],
        len,
        next: 0,
    };
    let mut kinds = [
        Kind::new("lane, compress fixed", Some(COMPRESS_BAR), |batch| {
            compressing.compress(&mut through(batch, PAGE));
        }),
        Kind::new("lane, decompress", Some(DECOMPRESS_BAR), |batch| {
            decompressing.decompress(&mut through(batch, PACKED as usize));
        }),
        Kind::new("pool, compress fixed", Some(COMPRESS_BAR), |batch| {
            pool.compress_batch(&pages[..batch], |_, page| seen(page));
        }),
        Kind::new("pool, decompress, shown", Some(DECOMPRESS_BAR), |batch| {
            pool.decompress_batch(&packed[..batch], |_, page| {
                black_box(page.expect("the device does them all"));
            });
        }),
        Kind::new("pool, decompress, copied out", None, |batch| {
            pool.decompress_batch_into(&packed[..batch], &mut rooms[..batch], |_, done| {
                done.expect("the device does them all");
            });
        }),
    ];
    for _ in 0..REPEATS {
        for size in 0..BATCHES.len() {
            for kind in &mut kinds {
                kind.measure(size);
            }
        }
    }

    println!("host cost of a page, ns (TSC ticks), p50 and least of {REPEATS} repeats, by the");
    println!("pages of a call:\n");
    print!("{:<30}", "");
    for batch in BATCHES {
        print!(" {batch:>20}");
    }
    println!();
    for kind in &kinds {
        for (what, q) in [("p50", 0.5), ("least", 0.0)] {
            let name = if q == 0.5 { kind.name } else { "" };
            print!("{name:<24} {what:>5}");
            for times in &kind.times {
                let (ns, ticks) = (ns(times, q), ticks(times, q));
                print!(" {:>20}", format!("{ns:.1} ({ticks:.0})"));
            }
            println!();
        }
    }
    println!();
    let judged = BATCHES.iter().position(|&batch| batch == JUDGED);
    let judged = judged.expect("it is one of them");
    for kind in &kinds {
        let times = &kind.times[judged];
        if let Some(bar) = kind.bar {
            let what = format!("{}, {JUDGED} in a call", kind.name);
            verdict(&what, ns(times, 0.5), ns(times, 0.0), bar);
        }
    }
    let [.., shown, copied] = &kinds;
    let copy = |q| ns(&copied.times[judged], q) - ns(&shown.times[judged], q);
    println!(
        "the copy out of the context into the caller's room: {:.1} ns p50, {:.1} least, on top\n",
        copy(0.5),
        copy(0.0)
    );
}

fn ns(times: &[Passed], q: f64) -> f64 {
    quantile(&times.iter().map(|t| t.ns).collect::<Vec<_>>(), q)
}

fn ticks(times: &[Passed], q: f64) -> f64 {
    quantile(&times.iter().map(|t| t.ticks).collect::<Vec<_>>(), q)
}

fn verdict(what: &str, p50: f64, least: f64, bar: f64) {
    let word = |value: f64| if value <= bar { "met" } else { "MISSED" };
    println!(
        "{what}: {p50:.1} ns p50 {}, {least:.1} least {}, bar {bar:.0}",
        word(p50),
        word(least)
    );
}

/// The work between statistics and encoding, page by page, on histograms that
/// the model made before.
fn between_passes(name: &str, pages: &[Vec<u8>]) {
    let mut client = Client::new(Profile::GEN1);
    let histograms: Vec<_> = pages
        .iter()
        .map(|page| {
            let mut histogram = NO_COUNTS;
            client.statistics(page, &mut histogram).expect("a page");
            histogram
        })
        .collect();
    let mut bytes = [0; aecs::BYTES];
    let mut passes = Vec::with_capacity(PASSES);
    let mut each = vec![Vec::with_capacity(PASSES); pages.len()];
    for _ in 0..PASSES {
        let began = Moment::now();
        for histogram in &histograms {
            tables::write(
                &Codes::new(&tables::read_histogram(black_box(histogram))),
                &mut bytes,
            );
            black_box(&bytes);
        }
        passes.push(began.passed(pages.len()));
        for (histogram, times) in histograms.iter().zip(&mut each) {
            let began = Moment::now();
            tables::write(
                &Codes::new(&tables::read_histogram(black_box(histogram))),
                &mut bytes,
            );
            black_box(&bytes);
            times.push(began.passed(1).ns);
        }
    }
    let typical: Vec<f64> = each.iter().map(|times| median(times)).collect();
    println!(
        "{name}, {} pages: generation-1 dynamic, host work between the passes (histogram read,\n\
         codes, header, AECS written), ns (TSC ticks) of {PASSES} passes",
        pages.len()
    );
    println!(
        "mean page: {:.0} ({:.0}) p50 of the passes, {:.0} ({:.0}) least",
        ns(&passes, 0.5),
        ticks(&passes, 0.5),
        ns(&passes, 0.0),
        ticks(&passes, 0.0)
    );
    println!(
        "by page (each timed alone, with the clock's own time): p50 {:.0}, p99 {:.0}",
        median(&typical),
        quantile(&typical, 0.99)
    );
    let (p50, least) = (ns(&passes, 0.5), ns(&passes, 0.0));
    verdict("dynamic, mean page", p50, least, DYNAMIC_BAR);
}
