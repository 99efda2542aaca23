//! What the benchmarks share: pages to work on, paired rounds, and medians.
//!
//! These machines are noisy, so nothing here is judged by its absolute time.
//! Contenders take turns within each round, their times are divided round by
//! round, and the median of those ratios is what counts.

pub mod contenders;
pub mod device;
pub mod isal;
pub mod joined;
pub mod machine;
pub mod made;
pub mod null;
pub mod ours;
pub mod rivals;
pub mod ticks;
pub mod walk;

use std::env;
use std::fs;
use std::hint::black_box;
use std::ops::Range;
use std::path::PathBuf;

/// The page size the benchmarks use unless they say otherwise.
pub const PAGE: usize = 4096;

/// Rounds that count.
pub const ROUNDS: usize = 61;

/// Pages worked on at a time, at most: 128 KiB, which stays in a core's cache.
const HOT: usize = 32;

/// The corpus: a file of concatenated pages named by the first argument or
/// `PAGEPRESS_CORPUS`; with neither, this process's neighbours on disk.
///
/// Returns its name and its pages. Same-filled pages are dropped: they cost no
/// codec, and would only blur what is measured here.
///
/// # Panics
/// With a plain message if the file cannot be read or holds no page.
#[must_use]
pub fn corpus() -> (String, Vec<Vec<u8>>) {
    let all = corpora();
    all.into_iter().next().expect("there is always one")
}

/// The same for all files that the arguments name.
///
/// # Panics
/// With a plain message if a file cannot be read or holds no page.
#[must_use]
pub fn corpora() -> Vec<(String, Vec<Vec<u8>>)> {
    let mut paths = args();
    if paths.is_empty() {
        paths.extend(env::var("PAGEPRESS_CORPUS"));
    }
    if paths.is_empty() {
        let name = "this benchmark's own executable".to_owned();
        let pages = pages(&name, &own_executable());
        return vec![(name, pages)];
    }
    let corpus = |path: &String| {
        let bytes = fs::read(path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let name = PathBuf::from(path);
        let name = name.file_name().unwrap_or(name.as_os_str());
        let name = name.to_string_lossy().into_owned();
        let pages = pages(&name, &bytes);
        (name, pages)
    };
    paths.iter().map(corpus).collect()
}

fn pages(name: &str, bytes: &[u8]) -> Vec<Vec<u8>> {
    let pages: Vec<_> = bytes
        .chunks_exact(PAGE)
        .filter(|page| pagepress::page::same_filled(page).is_none())
        .map(<[u8]>::to_vec)
        .collect();
    assert!(!pages.is_empty(), "{name} holds no page");
    pages
}

/// The first MiBs of the running program: real pages that are always there.
fn own_executable() -> Vec<u8> {
    let path = env::current_exe().expect("the running program has a path");
    let mut bytes = fs::read(path).expect("the running program can be read");
    bytes.truncate(1024 * PAGE);
    bytes
}

/// The command's arguments without those that cargo adds.
#[must_use]
pub fn args() -> Vec<String> {
    env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with("--"))
        .collect()
}

/// `count` pages of random bytes from a fixed seed.
#[must_use]
pub fn random_pages(count: usize) -> Vec<Vec<u8>> {
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    (0..count)
        .map(|_| {
            (0..PAGE)
                .map(|_| {
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    (state >> 32) as u8
                })
                .collect()
        })
        .collect()
}

/// Makes a fresh contender: new contexts, at new addresses.
pub type Maker<'a> = Box<dyn Fn() -> Contender<'a> + 'a>;

/// Works on the pages of a range.
pub type Contender<'a> = Box<dyn FnMut(Range<usize>) + 'a>;

/// Runs contenders against each other on `count` pages, round after round;
/// returns each one's nanoseconds per page in every round.
///
/// In every round they are made afresh, because where the allocator puts a
/// context's tables makes a difference of a percent or two. They then take
/// turns, each on another group of pages, until all have done all: two that
/// share code would otherwise find the branches predicted by whoever had the
/// same pages just before. Few pages make smaller groups, so that there is one for
/// each contender. `touch` brings a group's data into the cache first.
pub fn rounds(count: usize, touch: impl Fn(Range<usize>), makers: &[Maker<'_>]) -> Vec<Vec<f64>> {
    let mut times = vec![Vec::with_capacity(ROUNDS); makers.len()];
    let hot = HOT.min(count / makers.len()).max(1);
    let groups = count.div_ceil(hot);
    let mut shift = Vec::new();
    for round in 0..ROUNDS {
        // Kept, so that the next round's addresses differ.
        shift.push(vec![0u8; 1 + round * 7919 % 60_000]);
        let mut contenders: Vec<_> = makers.iter().map(|make| make()).collect();
        let mut sums = vec![0.0; makers.len()];
        for turn in 0..groups {
            for (i, contender) in contenders.iter_mut().enumerate() {
                let group = (turn + i * groups / makers.len()) % groups;
                let pages = group * hot..count.min((group + 1) * hot);
                touch(pages.clone());
                let began = thread_cpu_ns();
                contender(pages);
                sums[i] += thread_cpu_ns() - began;
            }
        }
        for (times, sum) in times.iter_mut().zip(sums) {
            times.push(sum / count as f64);
        }
    }
    times
}

/// Reads a byte of every cache line.
pub fn touch<P: AsRef<[u8]>>(pages: &[P]) {
    for page in pages {
        black_box(
            page.as_ref()
                .iter()
                .step_by(64)
                .fold(0, |sum: u8, &byte| sum.wrapping_add(byte)),
        );
    }
}

/// This thread's CPU time: a contender that was preempted still counts for what
/// it did.
fn thread_cpu_ns() -> f64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    now.tv_sec as f64 * 1e9 + now.tv_nsec as f64
}

/// The median.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// The value below which the share `q` of `values` lies.
#[must_use]
pub fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[((sorted.len() - 1) as f64 * q).round() as usize]
}

/// Round-by-round ratios of two contenders' times.
#[must_use]
pub fn ratios(ours: &[f64], theirs: &[f64]) -> Vec<f64> {
    ours.iter()
        .zip(theirs)
        .map(|(ours, theirs)| ours / theirs)
        .collect()
}

/// A ratio with its quartiles, and whether it keeps to a bar.
#[must_use]
pub fn verdict(ratios: &[f64], bar: f64) -> String {
    let ratio = median(ratios);
    let word = if ratio <= bar { "met" } else { "MISSED" };
    format!(
        "{ratio:.3}  ({:.3}-{:.3})  bar {bar:.2} {word}",
        quantile(ratios, 0.25),
        quantile(ratios, 0.75)
    )
}

/// Keeps the thread on one CPU, so that a round is not split over two. Best
/// effort: where it is not allowed the figures are merely noisier.
pub fn pin(cpu: usize) {
    let mut set = rustix::thread::CpuSet::new();
    set.set(cpu);
    let _ = rustix::thread::sched_setaffinity(None, &set);
}
