//! Real pages: of files, and of the memory of processes.

use crate::PAGE;
use std::collections::HashSet;
use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Pages taken from one file or mapping at most, so that no single one decides.
const FILE_MAX: usize = 16_384;

/// Neighbours that stay together when pages are [spread](Distinct::spread).
const RUN: usize = 8;

/// Shows the private memory of every process that may be read, but for parts
/// that are files; returns how many processes that were.
pub fn of_processes(mut look: impl FnMut(&[u8]) -> bool) -> usize {
    let Ok(entries) = fs::read_dir("/proc") else {
        return 0;
    };
    let mut read = 0;
    for path in entries.flatten().map(|entry| entry.path()) {
        match of_process(&path, &mut look) {
            Some(true) => read += 1,
            Some(false) => return read + 1,
            None => {}
        }
    }
    read
}

/// Shows that of one process, named by its directory in `/proc`, until `look` says
/// that is enough; whether it did not. `None` if it may not be read.
pub fn of_process(path: &Path, mut look: impl FnMut(&[u8]) -> bool) -> Option<bool> {
    let maps = fs::read_to_string(path.join("maps")).ok()?;
    let memory = File::open(path.join("mem")).ok()?;
    let mut page = [0; PAGE];
    for line in maps.lines() {
        let mut fields = line.split_whitespace();
        let (range, access) = (fields.next().unwrap_or(""), fields.next().unwrap_or(""));
        let named = fields.nth(3).is_some_and(|name| name.starts_with('/'));
        if named || !access.starts_with("rw") || !access.ends_with('p') {
            continue;
        }
        let hex = |number| u64::from_str_radix(number, 16).ok();
        let Some((start, end)) = range.split_once('-') else {
            continue;
        };
        let (Some(start), Some(end)) = (hex(start), hex(end)) else {
            continue;
        };
        // A gap in what can be read ends a mapping's turn.
        for at in (start..end).step_by(PAGE).take(FILE_MAX) {
            if memory.read_exact_at(&mut page, at).is_err() {
                break;
            }
            if !look(&page) {
                return Some(false);
            }
        }
    }
    Some(true)
}

/// Shows every page of every regular file below `paths`, last ones padded with
/// zeroes, until `look` says that is enough. What cannot be read is passed by.
pub fn of_files(mut paths: Vec<PathBuf>, mut look: impl FnMut(&[u8]) -> bool) {
    paths.reverse();
    while let Some(path) = paths.pop() {
        let Ok(kind) = fs::symlink_metadata(&path).map(|meta| meta.file_type()) else {
            continue;
        };
        if kind.is_dir() {
            let Ok(entries) = fs::read_dir(&path) else {
                continue;
            };
            let mut inside: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
            inside.sort_by(|a, b| b.cmp(a));
            paths.extend(inside);
        } else if kind.is_file() {
            let Ok(mut file) = File::open(&path) else {
                continue;
            };
            let mut page = Vec::with_capacity(PAGE);
            for _ in 0..FILE_MAX {
                page.clear();
                if file
                    .by_ref()
                    .take(PAGE as u64)
                    .read_to_end(&mut page)
                    .is_err()
                    || page.is_empty()
                {
                    break;
                }
                page.resize(PAGE, 0);
                if !look(&page) {
                    return;
                }
            }
        }
    }
}

/// Pages that are not same-filled, each once.
#[derive(Debug, Default)]
pub struct Distinct {
    pages: Vec<Vec<u8>>,
    seen: HashSet<u64>,
    hasher: RandomState,
}

impl Distinct {
    /// Takes a page, if it is a new one.
    pub fn take(&mut self, page: &[u8]) {
        if pagepress::page::same_filled(page).is_none()
            && self.seen.insert(self.hasher.hash_one(page))
        {
            self.pages.push(page.to_vec());
        }
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.pages.len()
    }

    /// At most so many of them, in runs of neighbours from all over.
    #[must_use]
    pub fn spread(mut self, most: usize) -> Vec<Vec<u8>> {
        let (runs, wanted) = (self.pages.len().div_ceil(RUN), most.div_ceil(RUN));
        if runs > wanted {
            let chosen: HashSet<_> = (0..wanted).map(|i| i * runs / wanted).collect();
            let mut number = 0;
            self.pages.retain(|_| {
                number += 1;
                chosen.contains(&((number - 1) / RUN))
            });
        }
        self.pages.truncate(most);
        self.pages
    }
}
