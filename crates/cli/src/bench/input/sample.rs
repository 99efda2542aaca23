//! Pages of this machine, when nothing was named: half from the memory of
//! processes, half from programs, libraries and text files.
//!
//! The choice is the same every time on the same machine in the same state:
//! nothing is random.

use super::files::{Entry, walk};
use super::process::{Process, ProcessError, group};
use super::spread::{Run, evenly, shares, spread};
use super::{Found, PAGE, SAMPLE, Source, What};
use crate::bench::figures::{Skipped, SourceKind};
use crate::bench::host::kib_field;
use crate::error::describe;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Pages of 4 KiB in a sample, at most.
const PAGES: u64 = 4096;
/// Processes that share the sample's half: enough to be of several programs.
const PROCESSES: usize = 16;

/// Where a sample is taken from.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Processes, the first ones first.
    pub(super) processes: Vec<u32>,
    pub(super) programs: Vec<PathBuf>,
    pub(super) libraries: Vec<PathBuf>,
    pub(super) texts: Vec<PathBuf>,
}

impl Places {
    /// All processes but this one, the one with the most anonymous memory
    /// first, and the system's own files.
    pub(super) fn of_this_machine() -> Self {
        let own = std::process::id();
        let mut sizes: Vec<(u64, u32)> = fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter(|&pid| pid != own)
            .filter_map(|pid| {
                let status = fs::read(format!("/proc/{pid}/status")).ok()?;
                let size = kib_field(&String::from_utf8_lossy(&status), "RssAnon")?;
                Some((size, pid))
            })
            .collect();
        sizes.sort_by_key(|&(size, pid)| (std::cmp::Reverse(size), pid));
        let paths = |names: &[&str]| names.iter().map(PathBuf::from).collect();
        Self {
            processes: sizes.into_iter().map(|(_, pid)| pid).collect(),
            programs: paths(&["/usr/bin", "/usr/sbin"]),
            libraries: paths(&["/usr/lib", "/usr/lib64"]),
            texts: paths(&["/usr/include", "/usr/share"]),
        }
    }
}

/// Takes a sample. There may be nothing to take: the scan finds that out.
pub(super) fn collect(places: &Places, largest_unit: usize, found: &mut Found) {
    found.sample = true;
    let group = group(largest_unit);
    let processes = readable(&places.processes, group, found);
    let files = [
        candidates(&places.programs, group, |_| true, is_elf),
        candidates(&places.libraries, group, is_library, is_elf),
        candidates(&places.texts, group, |_| true, is_text),
    ];
    let anonymous: Vec<u64> = processes.iter().map(Process::pages_of_4k).collect();
    let on_disk: Vec<u64> = files.iter().map(|files| pages(files)).collect();
    let halves = shares(PAGES, &[anonymous.iter().sum(), on_disk.iter().sum()]);

    for (process, share) in processes.iter().zip(shares(halves[0], &anonymous)) {
        let share = share / group * group * PAGE as u64 / process.page_size();
        if share == 0 {
            continue;
        }
        if let Err(error) = process.add(share, group, found) {
            skip_process(&error, found);
        }
    }
    for (files, share) in files.iter().zip(shares(halves[1], &on_disk)) {
        for (file, runs) in choose(files, share, group) {
            match read(&file.path, &runs) {
                Ok(bytes) => {
                    let name = file.path.display().to_string();
                    let origin = found.origin(name.clone(), SourceKind::File);
                    found.origins[origin].of_pages = Some(file.pages);
                    found.add(origin, What::Memory(Source::in_memory(name, bytes)));
                }
                Err(error) => found.skip(Skipped {
                    what: SAMPLE.to_owned(),
                    why: describe(&error),
                    count: 1,
                    unit: "files",
                    first: Some(file.path.display().to_string()),
                    warn: false,
                }),
            }
        }
    }
}

/// The first processes that may be read and have at least one group of pages.
fn readable(pids: &[u32], group: u64, found: &mut Found) -> Vec<Process> {
    let mut processes = Vec::new();
    for &pid in pids {
        match Process::open(pid) {
            Ok(process) if process.pages_of_4k() >= group => processes.push(process),
            Ok(_) => {}
            Err(error) => skip_process(&error, found),
        }
        if processes.len() == PROCESSES {
            break;
        }
    }
    processes
}

fn skip_process(error: &ProcessError, found: &mut Found) {
    let why = match error {
        // Processes come and go.
        ProcessError::Gone | ProcessError::Zombie { .. } | ProcessError::KernelThread { .. } => {
            return;
        }
        ProcessError::Denied => "permission denied".to_owned(),
        other => other.to_string(),
    };
    found.skip(Skipped {
        what: SAMPLE.to_owned(),
        why,
        count: 1,
        unit: "processes",
        first: None,
        warn: false,
    });
}

/// A file that pages may be taken from.
#[derive(Debug)]
struct Candidate {
    path: PathBuf,
    /// Whole pages of 4 KiB.
    pages: u64,
}

fn pages(files: &[Candidate]) -> u64 {
    files.iter().map(|file| file.pages).sum()
}

/// The files below `roots` with at least `group` whole pages that look right.
fn candidates(
    roots: &[PathBuf],
    group: u64,
    named: impl Fn(&Path) -> bool,
    begins: impl Fn(&[u8]) -> bool,
) -> Vec<Candidate> {
    let mut files = Vec::new();
    // Merged file systems have links between these directories.
    for root in roots.iter().filter(|root| !root.is_symlink()) {
        let Ok(entries) = walk(root) else {
            continue;
        };
        for entry in entries {
            let Entry::File { path, len } = entry else {
                continue;
            };
            let pages = len / PAGE as u64;
            if pages >= group && named(&path) && beginning(&path).is_ok_and(|b| begins(&b)) {
                files.push(Candidate { path, pages });
            }
        }
    }
    files
}

fn beginning(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(PAGE);
    File::open(path)?
        .take(PAGE as u64)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn is_elf(beginning: &[u8]) -> bool {
    beginning.starts_with(b"\x7fELF")
}

fn is_library(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.ends_with(".so") || name.contains(".so.")
}

/// No control characters but those of plain text.
fn is_text(beginning: &[u8]) -> bool {
    let text = |&byte: &u8| byte >= b' ' || matches!(byte, b'\t' | b'\n' | 0x0c | b'\r' | 0x1b);
    !beginning.is_empty() && beginning.iter().all(text)
}

/// About `budget` pages: one group from each of many files, each a little
/// further into its file than the one before; or more from each of few.
fn choose(files: &[Candidate], budget: u64, group: u64) -> Vec<(&Candidate, Vec<Run>)> {
    let groups = budget / group;
    if files.len() as u64 >= groups {
        let place = |(n, file)| {
            let file: &Candidate = file;
            let page = (file.pages - group) * n as u64 / groups.max(1);
            let start = page * PAGE as u64;
            (
                file,
                vec![Run {
                    start,
                    pages: group,
                }],
            )
        };
        return evenly(files, groups as usize)
            .enumerate()
            .map(place)
            .collect();
    }
    let sizes: Vec<u64> = files.iter().map(|file| file.pages).collect();
    let shares = shares(budget, &sizes);
    files
        .iter()
        .zip(shares)
        .filter(|&(_, share)| share >= group)
        .map(|(file, share)| {
            let whole = Run {
                start: 0,
                pages: file.pages,
            };
            let share = share / group * group;
            (file, spread(&[whole], share, group, PAGE as u64))
        })
        .collect()
}

fn read(path: &Path, runs: &[Run]) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let mut bytes = Vec::new();
    for run in runs {
        let start = bytes.len();
        bytes.resize(start + run.pages as usize * PAGE, 0);
        file.read_exact_at(&mut bytes[start..], run.start)?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(dir: &Path, name: &str, pages: usize, begin: &[u8]) -> PathBuf {
        let path = dir.join(name);
        let mut bytes = begin.to_vec();
        bytes.extend((begin.len()..pages * PAGE + 100).map(|i| b'a' + (i / PAGE % 26) as u8));
        fs::write(&path, bytes).unwrap();
        path
    }

    fn sizes(found: &Found) -> Vec<(String, u64)> {
        let named = |candidate: &super::super::Candidate| match &candidate.what {
            What::Memory(source) => {
                let name = Path::new(source.label()).file_name().unwrap();
                (name.display().to_string(), source.len() / PAGE as u64)
            }
            What::File { .. } => panic!("a sample is in memory"),
        };
        found.candidates.iter().map(named).collect()
    }

    #[test]
    fn few_files_give_all_they_have_and_the_wrong_kind_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (bin, share) = (dir.path().join("bin"), dir.path().join("share"));
        fs::create_dir(&bin).unwrap();
        fs::create_dir(&share).unwrap();
        place(&bin, "elf", 20, b"\x7fELF");
        place(&bin, "script", 20, b"#!/bin/sh");
        place(&bin, "tiny", 7, b"\x7fELF");
        place(&share, "text", 40, b"text");
        place(&share, "image", 40, b"\0\x01");
        let places = Places {
            programs: vec![bin],
            texts: vec![share],
            ..Places::default()
        };
        let mut found = Found::default();
        collect(&places, 4096, &mut found);
        let some = |name: &str, pages| (name.to_owned(), pages);
        assert_eq!(sizes(&found), [some("elf", 16), some("text", 40)]);
        assert_eq!(found.origins[0].of_pages, Some(20));
        // A unit of 64 KiB must not be cut from unrelated pages.
        let mut found = Found::default();
        collect(&places, 65536, &mut found);
        assert_eq!(sizes(&found), [some("elf", 16), some("text", 32)]);
    }

    #[test]
    fn many_files_give_one_group_each() {
        let files: Vec<_> = (0..100)
            .map(|i| Candidate {
                path: i.to_string().into(),
                pages: 100,
            })
            .collect();
        let chosen = choose(&files, 80, 8);
        assert_eq!(chosen.len(), 10);
        for (n, (file, runs)) in chosen.iter().enumerate() {
            assert_eq!(file.path, Path::new(&(n * 10).to_string()));
            assert_eq!(runs.len(), 1);
            assert_eq!(runs[0].pages, 8);
            assert_eq!(runs[0].start, 92 * n as u64 / 10 * PAGE as u64);
        }
    }

    #[test]
    fn kinds_of_file() {
        assert!(is_text("äöü, tab\t\n".as_bytes()) && !is_text(b"\0") && !is_text(b""));
        assert!(is_library(Path::new("/x/libz.so.1")) && is_library(Path::new("a.so")));
        assert!(!is_library(Path::new("/usr/lib/so.txt")));
    }
}
