//! CPUs, and which of them a thread may use.

use crate::pages::Random;
use rustix::thread::{CpuSet, Pid, sched_getaffinity, sched_setaffinity};
use std::fs;
use std::path::Path;

/// Where Linux lists its CPUs.
pub(crate) const SYSFS: &str = "/sys/devices/system/cpu";

/// The CPU this thread is on.
pub(crate) fn current() -> usize {
    rustix::thread::sched_getcpu()
}

/// A list in the kernel's format; nothing if it cannot be read.
pub(crate) fn list(path: &Path) -> Vec<usize> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let ranges = text.trim().split(',').filter_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(first.parse().ok()?..=last.parse().ok()?)
    });
    ranges.flatten().collect()
}

/// The CPUs online now.
pub(crate) fn online() -> Vec<usize> {
    list(&Path::new(SYSFS).join("online"))
}

/// The CPUs that this thread may use now.
pub(crate) fn allowed() -> Vec<usize> {
    let set = sched_getaffinity(None).expect("a thread may ask for its own affinity");
    (0..CpuSet::MAX_CPU)
        .filter(|&cpu| set.is_set(cpu))
        .collect()
}

/// Has a thread (this one if none is named) use these CPUs alone; whether Linux
/// agreed. It does not if none of them is online, or in the thread's cpuset.
pub(crate) fn pin(thread: Option<Pid>, cpus: &[usize]) -> bool {
    let mut set = CpuSet::new();
    for &cpu in cpus.iter().filter(|&&cpu| cpu < CpuSet::MAX_CPU) {
        set.set(cpu);
    }
    sched_setaffinity(thread, &set).is_ok()
}

/// Some of these, at least one if there are any.
pub(crate) fn subset(random: &mut Random, cpus: &[usize]) -> Vec<usize> {
    let mut some = cpus.to_vec();
    some.retain(|_| random.below(2) == 0);
    if some.is_empty() && !cpus.is_empty() {
        some.push(cpus[random.below(cpus.len())]);
    }
    some
}
