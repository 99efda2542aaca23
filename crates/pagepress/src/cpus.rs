//! The CPUs, as Linux numbers them.

use crate::sync::{AtomicU64, Ordering};
use core::sync::atomic::AtomicUsize;
use std::fs;

/// Where Linux lists its CPUs.
const SYSFS: &str = "/sys/devices/system/cpu";

/// The CPUs of this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cpus {
    /// One more than the highest number a CPU can ever have.
    pub(crate) possible: usize,
    /// The numbers of the CPUs online now, ascending.
    pub(crate) online: Vec<usize>,
}

impl Cpus {
    /// Asks Linux; elsewhere, or where sysfs is not mounted, counts CPUs as
    /// the standard library does.
    pub(crate) fn of_this_host() -> Self {
        let read = |name: &str| {
            let list = fs::read_to_string(format!("{SYSFS}/{name}")).ok()?;
            parse_list(list.trim()).filter(|cpus| !cpus.is_empty())
        };
        let online = read("online").unwrap_or_else(|| {
            (0..std::thread::available_parallelism().map_or(1, usize::from)).collect()
        });
        let highest = |cpus: &[usize]| cpus.iter().max().map_or(1, |cpu| cpu + 1);
        let possible = read("possible")
            .map_or(0, |cpus| highest(&cpus))
            .max(highest(&online));
        Self { possible, online }
    }
}

/// The CPU this thread runs on: a hint, out of date as soon as it is had. `None`
/// if the system does not say.
#[inline]
pub(crate) fn current() -> Option<usize> {
    #[cfg(target_os = "linux")]
    {
        nix::sched::sched_getcpu().ok()
    }
    #[cfg(not(target_os = "linux"))]
    {
        None
    }
}

/// A number of this thread's own, to spread threads by where the CPU is unknown.
#[cold]
pub(crate) fn thread_number() -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    std::thread_local! {
        static NUMBER: usize = THREADS.fetch_add(1, Ordering::Relaxed);
    }
    NUMBER.with(|&number| number)
}

/// A set of CPUs that only grows, and is looked at without a lock.
#[derive(Debug)]
pub(crate) struct CpuSet {
    words: Box<[AtomicU64]>,
}

impl CpuSet {
    /// An empty set, for CPUs below `possible`.
    pub(crate) fn new(possible: usize) -> Self {
        let words = possible.div_ceil(64).max(1);
        Self {
            words: (0..words).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Adds a CPU. What the caller wrote before is seen by whoever finds it.
    pub(crate) fn insert(&self, cpu: usize) {
        self.words[cpu / 64].fetch_or(1 << (cpu % 64), Ordering::Release);
    }

    pub(crate) fn contains(&self, cpu: usize) -> bool {
        self.words[cpu / 64].load(Ordering::Acquire) >> (cpu % 64) & 1 != 0
    }

    /// Bytes on the heap.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&*self.words)
    }

    /// Its CPUs, ascending from `first` on, then those below.
    pub(crate) fn from(&self, first: usize) -> impl Iterator<Item = usize> + '_ {
        let count = self.words.len();
        let (start, below) = (first / 64 % count, (1 << (first % 64)) - 1);
        // The word of `first` is looked at twice, each half in its turn.
        (0..=count).flat_map(move |i| {
            let word = (start + i) % count;
            let mask = match i {
                0 => !below,
                i if i == count => below,
                _ => u64::MAX,
            };
            let mut left = self.words[word].load(Ordering::Acquire) & mask;
            core::iter::from_fn(move || {
                let lowest = left.trailing_zeros() as usize;
                left &= left.wrapping_sub(1);
                (lowest < 64).then_some(word * 64 + lowest)
            })
        })
    }
}

/// The most CPUs a list may name: far above any Linux (NR_CPUS is at most
/// 8192), low enough that a damaged list takes no memory.
const LIST_MAX: usize = 1 << 16;

/// Parses Linux' list format, `0-3,8,10-11`. `None` if it is malformed.
fn parse_list(list: &str) -> Option<Vec<usize>> {
    let mut cpus = Vec::new();
    for range in list.split(',').filter(|range| !range.is_empty()) {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        if first > last || last >= LIST_MAX {
            return None;
        }
        cpus.extend(first..=last);
    }
    Some(cpus)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        assert_eq!(parse_list("0"), Some(vec![0]));
        assert_eq!(parse_list("0-3,8,10-11"), Some(vec![0, 1, 2, 3, 8, 10, 11]));
        assert_eq!(parse_list(""), Some(vec![]));
        for bad in ["x", "3-1", "0-", "-1", "0-99999999999", "1,,x"] {
            assert_eq!(parse_list(bad), None, "{bad:?}");
        }
    }

    #[test]
    #[cfg_attr(loom, ignore = "its atomics are loom's")]
    fn sets_of_sparse_numbers() {
        let set = CpuSet::new(8192);
        let all = [0, 3, 63, 64, 1023, 1024, 4095, 8191];
        for cpu in all {
            assert!(!set.contains(cpu));
            set.insert(cpu);
            assert!(set.contains(cpu));
        }
        for (first, expected) in [
            (0, all.to_vec()),
            (4, vec![63, 64, 1023, 1024, 4095, 8191, 0, 3]),
            (64, vec![64, 1023, 1024, 4095, 8191, 0, 3, 63]),
            (8191, vec![8191, 0, 3, 63, 64, 1023, 1024, 4095]),
        ] {
            assert_eq!(set.from(first).collect::<Vec<_>>(), expected, "{first}");
        }
        assert_eq!(CpuSet::new(1).from(0).next(), None);
    }

    #[test]
    fn this_host_has_the_current_cpu() {
        let cpus = Cpus::of_this_host();
        assert!(!cpus.online.is_empty());
        if cfg!(target_os = "linux") {
            assert!(current().is_some_and(|cpu| cpu < cpus.possible));
        }
        assert!(cpus.online.iter().all(|&cpu| cpu < cpus.possible));
    }
}
