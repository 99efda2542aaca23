//! The processes of a cgroup and its subgroups, v1 or v2.

use super::process::{Process, ProcessError, group};
use super::{Found, PAGE};
use crate::bench::figures::{Skipped, SourceKind};
use crate::error::{Error, describe};
use std::collections::BTreeSet;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};

/// The file that makes a directory a cgroup.
const PROCS: &str = "cgroup.procs";

/// Takes a snapshot of the anonymous pages of all processes of a cgroup: all,
/// or `limit` pages of 4 KiB of each, spread evenly.
pub(super) fn collect(
    path: &Path,
    limit: Option<u64>,
    largest_unit: usize,
    found: &mut Found,
) -> Result<(), Error> {
    let fail = |why| Error::Cgroup {
        path: path.display().to_string(),
        why,
    };
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let Some(dir) = directory(path, &mounts) else {
        return Err(fail("there is no such cgroup".to_owned()));
    };
    let pids = members(&dir).map_err(|error| fail(what_it_means(&error)))?;
    if pids.is_empty() {
        return Err(fail("no process is in it or its subgroups".to_owned()));
    }
    let name = format!("cgroup {}", path.display());
    let origin = found.origin(name.clone(), SourceKind::Cgroup);
    let mut skips = Vec::new();
    let mut skip = |why: String, warn, pid: u32| {
        let first = (pid != 0).then(|| format!("process {pid}"));
        match skips.iter_mut().find(|skip: &&mut Skipped| skip.why == why) {
            Some(skip) => skip.count += 1,
            None => skips.push(Skipped {
                what: name.clone(),
                why,
                count: 1,
                unit: "processes",
                first,
                warn,
            }),
        }
    };
    let (mut processes, mut taken, mut all) = (0, 0, 0);
    for pid in pids {
        if pid == 0 {
            skip("in another PID namespace".to_owned(), true, pid);
            continue;
        }
        if pid == std::process::id() {
            skip("this command itself".to_owned(), false, pid);
            continue;
        }
        let process = match Process::open(pid) {
            Ok(process) => process,
            Err(error) => {
                let (why, warn) = reason(&error);
                skip(why, warn, pid);
                continue;
            }
        };
        let want = process.wanted(limit)?;
        match process.add_to(origin, &name, want, group(largest_unit), found) {
            Ok(0) => skip(reason(&ProcessError::Nothing).0, false, pid),
            Ok(pages) => {
                processes += 1;
                taken += pages * process.page_size() / PAGE as u64;
                all += process.pages_of_4k();
            }
            Err(error) => {
                let (why, warn) = reason(&error);
                skip(why, warn, pid);
            }
        }
    }
    if processes == 0 {
        let whys = skips
            .iter()
            .map(|skip| format!("{} {}", skip.count, skip.why));
        let whys = whys.collect::<Vec<_>>().join(", ");
        return Err(fail(format!(
            "none of its processes can be measured: {whys}"
        )));
    }
    let source = &mut found.origins[origin];
    source.processes = Some(processes);
    if limit.is_some() && taken < all {
        source.of_pages = Some(all);
    }
    skips.into_iter().for_each(|skip| found.skip(skip));
    Ok(())
}

/// Why a process is skipped, and whether the user should be told at once.
fn reason(error: &ProcessError) -> (String, bool) {
    match error {
        ProcessError::Gone => ("gone meanwhile".to_owned(), false),
        ProcessError::Zombie { .. } => ("ended, with no memory left".to_owned(), false),
        ProcessError::KernelThread { .. } => ("kernel thread, no user memory".to_owned(), false),
        ProcessError::Nothing => ("no anonymous page in memory".to_owned(), false),
        ProcessError::Denied => ("permission denied".to_owned(), true),
        other => (other.to_string(), true),
    }
}

fn what_it_means(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::Unsupported => {
            "a threaded cgroup, which has no processes of its own; name the one above it".to_owned()
        }
        _ => format!("{PROCS}: {}", describe(error)),
    }
}

/// The directory that `path` means: itself, or that of a cgroup as
/// /proc/PID/cgroup names it, looked for in what is mounted.
fn directory(path: &Path, mountinfo: &str) -> Option<PathBuf> {
    let is_cgroup = |dir: &PathBuf| dir.join(PROCS).exists();
    if path.is_absolute() && is_cgroup(&path.to_owned()) {
        return Some(path.to_owned());
    }
    let mut mounts: Vec<Mount> = mountinfo.lines().filter_map(Mount::parse).collect();
    mounts.sort_by_key(|mount| mount.rank);
    let dirs = mounts.iter().filter_map(|mount| mount.below(path));
    dirs.into_iter().find(is_cgroup)
}

/// A mounted hierarchy of cgroups.
#[derive(Debug, PartialEq, Eq)]
struct Mount {
    /// Who accounts memory comes first, as that is what is asked about; then
    /// v2, then the rest.
    rank: u8,
    /// The cgroup that is seen at `at`.
    root: PathBuf,
    at: PathBuf,
}

impl Mount {
    /// A line of mountinfo: see proc_pid_mountinfo(5).
    fn parse(line: &str) -> Option<Self> {
        let (mount, kind) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(3);
        let (root, at) = (mount.next()?, mount.next()?);
        let mut kind = kind.split(' ');
        let rank = match (kind.next()?, kind.nth(1)?) {
            ("cgroup2", _) => 1,
            ("cgroup", options) if options.split(',').any(|option| option == "memory") => 0,
            ("cgroup", _) => 2,
            _ => return None,
        };
        Some(Self {
            rank,
            root: unescaped(root),
            at: unescaped(at),
        })
    }

    /// Where `path`, in the words of /proc/PID/cgroup, would be; nowhere if it
    /// leaves this mount.
    fn below(&self, path: &Path) -> Option<PathBuf> {
        let inside = path.strip_prefix(&self.root).ok()?;
        let plain = |part| matches!(part, Component::Normal(_));
        inside.components().all(plain).then(|| self.at.join(inside))
    }
}

/// A path in mountinfo has blanks and backslashes as `\\040` and `\\134`.
fn unescaped(path: &str) -> PathBuf {
    let mut plain = String::with_capacity(path.len());
    let mut parts = path.split('\\');
    plain.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let code = part
            .get(..3)
            .and_then(|code| u8::from_str_radix(code, 8).ok());
        match code {
            Some(code) if code.is_ascii() => {
                plain.push(char::from(code));
                plain.push_str(&part[3..]);
            }
            _ => {
                plain.push('\\');
                plain.push_str(part);
            }
        }
    }
    PathBuf::from(plain)
}

/// The processes of a cgroup and all below it, each once; 0 if there is one
/// that this PID namespace does not show.
fn members(root: &Path) -> io::Result<BTreeSet<u32>> {
    let mut pids = BTreeSet::new();
    read(root, &mut pids)?;
    let mut open = vec![root.to_owned()];
    while let Some(dir) = open.pop() {
        // A subgroup may go at any time, and its processes are elsewhere then.
        // A threaded one's processes are listed above it.
        let Ok(entries) = fs::read_dir(&dir) else {
            continue;
        };
        for entry in entries.flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                match read(&entry.path(), &mut pids) {
                    Err(error) if error.kind() == ErrorKind::PermissionDenied => return Err(error),
                    _ => open.push(entry.path()),
                }
            }
        }
    }
    Ok(pids)
}

fn read(dir: &Path, pids: &mut BTreeSet<u32>) -> io::Result<()> {
    let text = fs::read_to_string(dir.join(PROCS))?;
    pids.extend(text.lines().filter_map(|pid| pid.parse::<u32>().ok()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_hierarchy_that_a_path_is_in() {
        let tree = tempfile::tempdir().unwrap();
        let at = |name: &str| tree.path().join(name);
        for name in ["cpu/a", "v2/a", "v2/only", "v2/box/a", "a memory/a"] {
            fs::create_dir_all(at(name)).unwrap();
            fs::write(at(name).join(PROCS), "").unwrap();
        }
        fs::create_dir(at("v2/no-cgroup")).unwrap();
        let dir = tree.path().display().to_string();
        let mounts = format!(
            "20 1 8:1 / / rw - ext4 /dev/sda rw\n\
             30 25 0:26 / {dir}/cpu rw shared:9 - cgroup cgroup rw,cpu\n\
             31 25 0:27 / {dir}/v2 rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n\
             32 25 0:28 /box {dir}/a\\040memory rw - cgroup cgroup rw,memory\n"
        );
        let find = |path: &str| directory(Path::new(path), &mounts);
        assert_eq!(find("/a"), Some(at("v2/a")));
        assert_eq!(find("/box/a"), Some(at("a memory/a")));
        assert_eq!(find("/only"), Some(at("v2/only")));
        assert_eq!(find(at("cpu/a").to_str().unwrap()), Some(at("cpu/a")));
        for none in [
            "/no-cgroup",
            "/none",
            "/box/../only",
            "only",
            "",
            "/only/../a",
        ] {
            assert_eq!(find(none), None, "{none}");
        }
    }

    #[test]
    fn every_process_below_once() {
        let tree = tempfile::tempdir().unwrap();
        for (dir, pids) in [("", "3\n1\n"), ("b", "7\n7\n0\n"), ("b/c", "3\n99\n")] {
            let dir = tree.path().join(dir);
            fs::create_dir_all(&dir).unwrap();
            fs::write(dir.join(PROCS), pids).unwrap();
        }
        // Neither a cgroup nor in the way of one.
        fs::create_dir_all(tree.path().join("x/y")).unwrap();
        std::os::unix::fs::symlink(tree.path(), tree.path().join("b/loop")).unwrap();
        let pids: Vec<u32> = members(tree.path()).unwrap().into_iter().collect();
        assert_eq!(pids, [0, 1, 3, 7, 99]);
    }
}
