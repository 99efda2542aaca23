//! /proc/PID/smaps: a process's mappings, and what memory is behind each.

/// One mapping.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Mapping {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) kind: Kind,
    /// KiB in memory.
    pub(super) rss: u64,
    /// KiB in memory that are anonymous, huge pages of hugetlbfs included.
    pub(super) anonymous: u64,
    /// KiB swapped out.
    pub(super) swap: u64,
}

/// Whether a mapping's anonymous pages are the process's own to read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Kind {
    #[default]
    Private,
    Shared,
    /// A device's memory, or the kernel's: reading it may do things.
    Device,
}

/// All mappings that `text` lists. What it says of none is zero.
pub(super) fn parse(text: &str) -> Vec<Mapping> {
    let mut mappings: Vec<Mapping> = Vec::new();
    for line in text.lines() {
        if let Some(mapping) = header(line) {
            mappings.push(mapping);
        } else if let (Some(mapping), Some((key, value))) =
            (mappings.last_mut(), line.split_once(':'))
        {
            let kib = || {
                let number = value.trim().strip_suffix("kB")?.trim_end();
                number.parse::<u64>().ok()
            };
            match key {
                "Rss" => mapping.rss += kib().unwrap_or(0),
                "Anonymous" => mapping.anonymous += kib().unwrap_or(0),
                // hugetlbfs keeps books of its own.
                "Private_Hugetlb" | "Shared_Hugetlb" => {
                    let huge = kib().unwrap_or(0);
                    mapping.rss += huge;
                    mapping.anonymous += huge;
                }
                "Swap" => mapping.swap += kib().unwrap_or(0),
                "VmFlags" if value.split(' ').any(|flag| IO_FLAGS.contains(&flag)) => {
                    mapping.kind = Kind::Device;
                }
                _ => {}
            }
        }
    }
    mappings
}

/// Memory-mapped I/O, bare page frames, and either mixed with pages.
const IO_FLAGS: [&str; 3] = ["io", "pf", "mm"];

/// `start-end perms offset dev inode path`, as in /proc/PID/maps.
fn header(line: &str) -> Option<Mapping> {
    let mut fields = line.splitn(6, ' ');
    let (start, end) = fields.next()?.split_once('-')?;
    let start = u64::from_str_radix(start, 16).ok()?;
    let end = u64::from_str_radix(end, 16).ok()?;
    let permissions = fields.next()?;
    let path = fields.nth(3).unwrap_or("").trim_start();
    let kind = if is_device(path) {
        Kind::Device
    } else if permissions.ends_with('p') {
        Kind::Private
    } else {
        Kind::Shared
    };
    Some(Mapping {
        start,
        end,
        kind,
        ..Mapping::default()
    })
}

fn is_device(path: &str) -> bool {
    // A private mapping of /dev/zero is plain anonymous memory, and /dev/shm
    // is a file system.
    let memory = path.starts_with("/dev/zero") || path.starts_with("/dev/shm/");
    (path.starts_with("/dev/") && !memory)
        || path.starts_with("anon_inode:")
        || path.starts_with("[vvar")
        || path.starts_with("[vsyscall")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mappings_of_every_kind() {
        let text = "\
55d0-55f0 rw-p 00000000 00:00 0                          [heap]
Size:                132 kB
Rss:                  24 kB
Anonymous:            20 kB
AnonHugePages:         8 kB
Swap:                  4 kB
VmFlags: rd wr mr mw me ac
7f00-7f80 rw-s 00000000 00:01 77                         /dev/shm/a b: c
Rss:                   8 kB
VmFlags: rd wr sh
7f80-7f90 rw-p 00000000 00:06 12                         /dev/mem
VmFlags: rd wr io pf
7fa0-7fb0 r--p 00000000 00:00 0 \n\
VmFlags: rd pf
7fb0-7fc0 r--p 00000000 00:00 0                          [vvar]
7fc0-7fe0 rw-p 00000000 00:0f 9                          /anon_hugepage (deleted)
Rss:                   0 kB
Private_Hugetlb:    2048 kB
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0  [vsyscall]
";
        let mappings = parse(text);
        let kinds: Vec<_> = mappings.iter().map(|mapping| mapping.kind).collect();
        use Kind::{Device, Private, Shared};
        assert_eq!(
            kinds,
            [Private, Shared, Device, Device, Device, Private, Device]
        );
        assert_eq!(
            mappings[0],
            Mapping {
                start: 0x55d0,
                end: 0x55f0,
                kind: Private,
                rss: 24,
                anonymous: 20,
                swap: 4,
            }
        );
        assert_eq!(mappings[5].anonymous, 2048);
        assert_eq!(parse(""), []);
    }
}
