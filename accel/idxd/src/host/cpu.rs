//! Processors: what they can execute, and where they sit.

use crate::host::reading;
use crate::root::{Reading, Root, Unread, short};
use serde::Serialize;
use std::collections::BTreeMap;

/// Which of the instructions that reach a device there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Instructions {
    /// ENQCMD: submits to a shared queue.
    pub enqcmd: bool,
    /// MOVDIR64B: submits to a dedicated queue.
    pub movdir64b: bool,
    /// UMWAIT and its like: waits for a completion without spinning.
    pub waitpkg: bool,
}

impl Instructions {
    /// What CPUID says (leaf 7, ECX bits 29, 28 and 5), before the kernel has
    /// its say; `None` on other processors than x86-64.
    #[must_use]
    pub fn of_cpuid() -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        {
            use raw_cpuid::native_cpuid::cpuid_count;
            if cpuid_count(0, 0).eax < 7 {
                return Some(Self::default());
            }
            // The crate names only one of the three.
            let ecx = cpuid_count(7, 0).ecx;
            Some(Self {
                enqcmd: ecx >> 29 & 1 != 0,
                movdir64b: ecx >> 28 & 1 != 0,
                waitpkg: ecx >> 5 & 1 != 0,
            })
        }
        #[cfg(not(target_arch = "x86_64"))]
        None
    }
}

/// One logical CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Cpu {
    /// Its number.
    pub id: u32,
    /// Its package, or socket.
    pub package: Option<u32>,
    /// Its NUMA node.
    pub node: Option<u32>,
}

/// The processors.
#[derive(Debug, Clone, Serialize)]
pub struct Cpus {
    /// Their name, as the kernel has it.
    pub model: Option<String>,
    /// Their microcode.
    pub microcode: Option<String>,
    /// What the kernel lets programs execute.
    #[serde(serialize_with = "reading")]
    pub instructions: Reading<Instructions>,
    /// What CPUID says of the running host.
    pub cpuid: Option<Instructions>,
    /// Whether pages have five levels.
    pub five_levels: bool,
    /// Whether this is a virtual machine.
    pub virtual_machine: bool,
    /// Those online.
    pub online: Vec<Cpu>,
}

impl Cpus {
    pub(super) fn look(root: &Root) -> Self {
        let info = root.file("proc/cpuinfo");
        let field = |name: &str| {
            let info = info.as_ref().ok()?;
            info.lines().find_map(|line| value_of(line, name))
        };
        let flags: Vec<&str> = field("flags")
            .map(|f| f.split_whitespace().collect())
            .unwrap_or_default();
        let has = |flag: &str| flags.contains(&flag);
        let instructions = match &info {
            Err(unread) => Err(unread.clone()),
            Ok(_) if field("flags").is_none() && field("Features").is_none() => {
                Err(Unread::failed("no CPU flags in it"))
            }
            Ok(_) => Ok(Instructions {
                enqcmd: has("enqcmd"),
                movdir64b: has("movdir64b"),
                waitpkg: has("waitpkg"),
            }),
        };
        Self {
            model: field("model name").map(printable),
            microcode: field("microcode").map(printable),
            instructions,
            cpuid: root.is_live().then(Instructions::of_cpuid).flatten(),
            five_levels: has("la57"),
            virtual_machine: has("hypervisor"),
            online: online(root, info.as_deref().unwrap_or_default()),
        }
    }

    /// The package of a device, by its NUMA node, or else by the CPUs next to it.
    #[must_use]
    pub fn package_of(&self, node: Option<i64>, cpus: Option<&[u32]>) -> Option<u32> {
        let node = node.and_then(|node| u32::try_from(node).ok());
        let of_node = self.package_where(|cpu| node.is_some() && cpu.node == node);
        of_node.or_else(|| self.package_where(|cpu| cpus.is_some_and(|c| c.contains(&cpu.id))))
    }

    /// The one package of some CPUs.
    fn package_where(&self, is_it: impl Fn(&Cpu) -> bool) -> Option<u32> {
        let mut packages = self
            .online
            .iter()
            .filter(|cpu| is_it(cpu))
            .map(|cpu| cpu.package);
        let first = packages.next().flatten()?;
        packages
            .all(|package| package == Some(first))
            .then_some(first)
    }

    /// The packages there are.
    #[must_use]
    pub fn packages(&self) -> Vec<u32> {
        let mut packages: Vec<u32> = self.online.iter().filter_map(|cpu| cpu.package).collect();
        packages.sort_unstable();
        packages.dedup();
        packages
    }
}

/// The value on a line of `cpuinfo`, if it is of that name.
fn value_of<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (key, value) = line.split_once(':')?;
    (key.trim() == name).then(|| value.trim())
}

/// What may be shown on a terminal.
fn printable(text: &str) -> String {
    let text: String = text.chars().filter(|c| !c.is_control()).collect();
    short(&text)
}

/// CPUs from sysfs, or from `cpuinfo` where there is no sysfs.
fn online(root: &Root, info: &str) -> Vec<Cpu> {
    let cpus = "sys/devices/system/cpu";
    let ids = match root
        .attribute(format!("{cpus}/online"))
        .ok()
        .and_then(|list| parse_list(&list))
    {
        Some(ids) => ids,
        None => {
            let ids = info.lines().filter_map(|line| value_of(line, "processor"));
            ids.filter_map(|id| id.parse().ok()).collect()
        }
    };
    let nodes = nodes(root);
    let mut packages = packages(info);
    for &id in &ids {
        let package = root.number(format!("{cpus}/cpu{id}/topology/physical_package_id"));
        if let Some(package) = package.ok().and_then(|package| u32::try_from(package).ok()) {
            packages.insert(id, package);
        }
    }
    let cpu = |id| Cpu {
        id,
        package: packages.get(&id).copied(),
        node: nodes.get(&id).copied(),
    };
    ids.into_iter().map(cpu).collect()
}

/// The package of each CPU in `cpuinfo`.
fn packages(info: &str) -> BTreeMap<u32, u32> {
    let mut packages = BTreeMap::new();
    let mut id = None;
    for line in info.lines() {
        if let Some(value) = value_of(line, "processor") {
            id = value.parse().ok();
        } else if let (Some(id), Some(value)) = (id, value_of(line, "physical id")) {
            packages.extend(value.parse().ok().map(|package: u32| (id, package)));
        }
    }
    packages
}

/// The NUMA node of each CPU.
fn nodes(root: &Root) -> BTreeMap<u32, u32> {
    let nodes = "sys/devices/system/node";
    let mut of_cpu = BTreeMap::new();
    for name in root.list(nodes).unwrap_or_default() {
        let Some(node) = name.strip_prefix("node").and_then(|n| n.parse().ok()) else {
            continue;
        };
        let cpus = root.attribute(format!("{nodes}/{name}/cpulist"));
        let cpus = cpus.ok().and_then(|list| parse_list(&list));
        of_cpu.extend(cpus.unwrap_or_default().into_iter().map(|cpu| (cpu, node)));
    }
    of_cpu
}

/// A list of CPUs as the kernel writes it: `0-3,8,10-11`. `None` if it is none,
/// or has more CPUs than Linux does.
pub(super) fn parse_list(text: &str) -> Option<Vec<u32>> {
    const MOST: usize = 1 << 16;
    let mut ids = Vec::new();
    for part in text.trim().split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        if first > last || last as usize >= MOST || ids.len() > MOST {
            return None;
        }
        ids.extend(first..=last);
    }
    Some(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cpus() {
        assert_eq!(parse_list("0-2,8\n"), Some(vec![0, 1, 2, 8]));
        assert_eq!(parse_list(""), Some(vec![]));
        for wrong in ["x", "3-1", "0-4294967295", "1-"] {
            assert_eq!(parse_list(wrong), None, "{wrong}");
        }
    }
}
