//! The CPUs, as Linux numbers them.

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

/// The CPU this thread runs on: a hint, out of date as soon as it is had.
#[inline]
pub(crate) fn current() -> usize {
    #[cfg(target_os = "linux")]
    {
        rustix::thread::sched_getcpu()
    }
    #[cfg(not(target_os = "linux"))]
    {
        0
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
    fn this_host_has_the_current_cpu() {
        let cpus = Cpus::of_this_host();
        assert!(!cpus.online.is_empty());
        assert!(current() < cpus.possible);
        assert!(cpus.online.iter().all(|&cpu| cpu < cpus.possible));
    }
}
