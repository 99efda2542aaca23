//! The machine that the figures come from.

use super::cpus;
use crate::error::Error;
use pagepress_idxd::chain::Diagnosis;
use pagepress_idxd::host::{Mode, WorkQueue};
use pagepress_idxd::root::Root;
use serde::Serialize;
use std::fs;

/// The machine that the figures come from, as far as it tells.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Host {
    pub(crate) pagepress_version: &'static str,
    /// Built with optimisation: without it, times mean nothing.
    pub(crate) optimised_build: bool,
    pub(crate) arch: &'static str,
    pub(crate) cpu_model: Option<String>,
    pub(crate) microcode: Option<String>,
    pub(crate) cpus_online: usize,
    /// The CPUs that this process may use.
    pub(crate) cpus_allowed: usize,
    pub(crate) governor: Option<String>,
    /// Whether cores may run above their base frequency.
    pub(crate) turbo: Option<bool>,
    pub(crate) numa_nodes: Option<usize>,
    /// The CPU says that it is a virtual machine's.
    pub(crate) virtual_machine: bool,
    pub(crate) kernel: String,
    pub(crate) memory_bytes: Option<u64>,
    /// The IAA devices of this host.
    pub(crate) devices: Vec<Device>,
}

/// An IAA device as it is configured.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Device {
    pub(crate) name: String,
    /// Software stands in for it.
    pub(crate) modelled: bool,
    /// Engines in a group.
    pub(crate) engines: usize,
    pub(crate) queues: Vec<DeviceQueue>,
}

/// A work queue that has entries.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct DeviceQueue {
    pub(crate) name: String,
    pub(crate) mode: Option<&'static str>,
    pub(crate) size: Option<i64>,
    /// The library would use it.
    pub(crate) usable: bool,
}

impl Host {
    pub(crate) fn of_this_command() -> Self {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let parallelism = || std::thread::available_parallelism().map_or(1, usize::from);
        let uname = rustix::system::uname();
        Self {
            pagepress_version: env!("CARGO_PKG_VERSION"),
            optimised_build: !cfg!(debug_assertions),
            arch: std::env::consts::ARCH,
            cpu_model: cpuinfo_field(&cpuinfo, "model name"),
            microcode: cpuinfo_field(&cpuinfo, "microcode"),
            cpus_online: list_len("/sys/devices/system/cpu/online").unwrap_or_else(parallelism),
            cpus_allowed: cpus::allowed().map_or_else(|_| parallelism(), |cpus| cpus.len()),
            governor: line_of("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
            virtual_machine: cpuinfo_field(&cpuinfo, "flags")
                .is_some_and(|flags| flags.split(' ').any(|flag| flag == "hypervisor")),
            kernel: format!(
                "{} {}",
                uname.sysname().to_string_lossy(),
                uname.release().to_string_lossy()
            ),
            turbo: turbo(),
            numa_nodes: list_len("/sys/devices/system/node/online"),
            memory_bytes: meminfo("MemTotal"),
            devices: devices(),
        }
    }
}

/// Refuses to take `bytes` into memory if that would bring the host to its
/// knees: beyond three quarters of what is available.
pub(crate) fn fits_in_memory(what: &str, bytes: u64, advice: &str) -> Result<(), Error> {
    let room = meminfo("MemAvailable").map_or(u64::MAX, |available| available / 4 * 3);
    if bytes <= room {
        return Ok(());
    }
    Err(Error::TooBig {
        what: what.to_owned(),
        why: format!(
            "{} MiB would have to be held in memory, where there is room for {}; {advice}",
            bytes >> 20,
            room >> 20
        ),
    })
}

/// A value of /proc/meminfo, in bytes.
pub(crate) fn meminfo(key: &str) -> Option<u64> {
    let all = fs::read_to_string("/proc/meminfo").ok()?;
    kib_field(&all, key)?.checked_mul(1024)
}

/// The number in a line `Key:   123 kB`, as Linux writes in several files.
pub(crate) fn kib_field(text: &str, key: &str) -> Option<u64> {
    let rest = text
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    rest.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// The first CPU's value of a key in /proc/cpuinfo.
fn cpuinfo_field(cpuinfo: &str, key: &str) -> Option<String> {
    cpuinfo
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.trim() == key)
        .map(|(_, value)| value.trim().to_owned())
        .filter(|value| !value.is_empty())
}

fn line_of(path: &str) -> Option<String> {
    let line = fs::read_to_string(path).ok()?.trim().to_owned();
    (!line.is_empty()).then_some(line)
}

/// How many numbers one of sysfs's lists has, such as `0-3,8`.
fn list_len(path: &str) -> Option<usize> {
    let list = line_of(path)?;
    list.split(',')
        .map(|range| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
            Some(last.checked_sub(first)? + 1)
        })
        .sum()
}

/// What the frequency driver says of turbo: Intel's own by its opposite.
fn turbo() -> Option<bool> {
    let flag = |path: &str| line_of(path)?.parse::<u8>().ok().map(|flag| flag != 0);
    flag("/sys/devices/system/cpu/intel_pstate/no_turbo")
        .map(|off| !off)
        .or_else(|| flag("/sys/devices/system/cpu/cpufreq/boost"))
}

fn devices() -> Vec<Device> {
    let Ok(host) = pagepress_idxd::Host::look(&Root::new("/")) else {
        return Vec::new();
    };
    let paths = Diagnosis::of(&host).paths;
    let devices = host.devices.into_iter().flatten();
    let queue = |device: &str, queue: WorkQueue| DeviceQueue {
        usable: paths
            .iter()
            .any(|path| path.device == device && path.queue == queue.name && path.is_usable()),
        mode: queue.mode.ok().map(|mode| match mode {
            Mode::Shared => "shared",
            Mode::Dedicated => "dedicated",
        }),
        size: queue.size.ok(),
        name: queue.name,
    };
    devices
        .map(|device| Device {
            modelled: device.modelled,
            engines: device
                .engines
                .iter()
                .filter(|engine| engine.group.as_ref().is_ok_and(|&group| group >= 0))
                .count(),
            queues: device
                .queues
                .into_iter()
                .filter(|queue| queue.size != Ok(0))
                .map(|it| queue(&device.name, it))
                .collect(),
            name: device.name,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields() {
        let cpuinfo = "processor\t: 0\nmodel name\t: Some CPU @ 2: fast\nflags\t\t: fpu vme\n";
        let field = |key| cpuinfo_field(cpuinfo, key);
        assert_eq!(field("model name").as_deref(), Some("Some CPU @ 2: fast"));
        assert_eq!(field("microcode"), None);
        let status = "VmRSS:\t  120 kB\nRssAnon:\t      84 kB\n";
        assert_eq!(kib_field(status, "RssAnon"), Some(84));
        assert_eq!(kib_field(status, "Rss"), None);
    }

    #[test]
    fn this_host_tells() {
        let host = Host::of_this_command();
        assert!(host.cpus_online >= 1 && host.cpus_allowed >= 1);
        assert!(!host.kernel.is_empty());
    }
}
