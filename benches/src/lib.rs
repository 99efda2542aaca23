//! What the benchmarks share: pages to work on, paired rounds, and medians.
//!
//! These machines are noisy, so nothing here is judged by its absolute time.
//! Contenders take turns within each round, their times are divided round by
//! round, and the median of those ratios is what counts.

pub mod rivals;

use std::env;
use std::fs;
use std::path::PathBuf;

/// The page size the benchmarks use unless they say otherwise.
pub const PAGE: usize = 4096;

/// Rounds that count; one more comes first, to warm up.
pub const ROUNDS: usize = 101;

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
    let named = args()
        .into_iter()
        .next()
        .or_else(|| env::var("PAGEPRESS_CORPUS").ok());
    let (name, bytes) = match named {
        Some(path) => {
            let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
            let name = PathBuf::from(&path);
            (
                name.file_name()
                    .unwrap_or(name.as_os_str())
                    .to_string_lossy()
                    .into_owned(),
                bytes,
            )
        }
        None => (
            "this benchmark's own executable".to_owned(),
            own_executable(),
        ),
    };
    let pages: Vec<_> = bytes
        .chunks_exact(PAGE)
        .filter(|page| pagepress::page::same_filled(page).is_none())
        .map(<[u8]>::to_vec)
        .collect();
    assert!(!pages.is_empty(), "{name} holds no page");
    (name, pages)
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

/// Nanoseconds of this thread's CPU time that `work` takes, divided by `pages`.
/// CPU time, so that a round in which the thread was preempted still counts for
/// what it did.
pub fn ns_per_page(pages: usize, work: impl FnOnce()) -> f64 {
    let start = thread_cpu_ns();
    work();
    (thread_cpu_ns() - start) / pages as f64
}

fn thread_cpu_ns() -> f64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    now.tv_sec as f64 * 1e9 + now.tv_nsec as f64
}

/// Runs the contenders in turn, round after round, and returns for each its
/// times over the counted rounds. Every other round goes backwards, so that
/// none always follows the same neighbour.
pub fn rounds(contenders: &mut [Contender<'_>]) -> Vec<Vec<f64>> {
    let mut times = vec![Vec::with_capacity(ROUNDS); contenders.len()];
    for round in 0..=ROUNDS {
        let count = contenders.len();
        for turn in 0..count {
            let i = if round % 2 == 0 {
                turn
            } else {
                count - 1 - turn
            };
            let time = contenders[i]();
            if round > 0 {
                times[i].push(time);
            }
        }
    }
    times
}

/// One round of one contender; returns its nanoseconds per page.
pub type Contender<'a> = Box<dyn FnMut() -> f64 + 'a>;

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
