//! The anonymous pages of a live process, as /proc shows them.
//!
//! Only pages that are in memory are read: nothing is faulted in, and no page
//! that the process never touched counts as a zero page. The process is not
//! stopped, so pages may change or go while they are copied; those that go are
//! counted as skipped.

use super::smaps::{self, Kind};
use super::spread::{Run, spread};
use super::{Found, PAGE, SAMPLE, Source, What};
use crate::bench::figures::{Skipped, SourceKind};
use crate::bench::host::fits_in_memory;
use crate::error::{Error, describe};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Why a process's memory could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProcessError {
    /// Nothing has this id.
    #[error("no such process")]
    Gone,
    /// There is no /proc to read from.
    #[error("/proc is not mounted, so no process can be read")]
    NoProc,
    /// It has ended and waits for its parent.
    #[error("{name} has ended (it is a zombie): it has no memory left")]
    Zombie {
        /// The process's name.
        name: String,
    },
    /// It is part of the kernel.
    #[error("{name} is a kernel thread: it has no user memory")]
    KernelThread {
        /// The thread's name.
        name: String,
    },
    /// Its memory is not for us.
    #[error(
        "permission denied: run as the same user or as root, or grant CAP_SYS_PTRACE; \
         the sysctl kernel.yama.ptrace_scope may forbid it too"
    )]
    Denied,
    /// It can be read and holds nothing to measure.
    #[error("the process has no anonymous page in memory")]
    Nothing,
    /// The system's own words.
    #[error("{}: {}", .file, describe(.source))]
    Io {
        /// Which file of /proc.
        file: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

/// Takes a snapshot of a process's anonymous pages: all, or `limit` pages of
/// 4 KiB spread evenly.
pub(super) fn collect(
    pid: u32,
    limit: Option<u64>,
    largest_unit: usize,
    found: &mut Found,
) -> Result<(), Error> {
    let fail = |why| Error::Process { pid, why };
    let process = Process::open(pid).map_err(fail)?;
    let want = process.wanted(limit)?;
    if process
        .add(want, group(largest_unit), found)
        .map_err(fail)?
        == 0
    {
        return Err(fail(ProcessError::Nothing));
    }
    Ok(())
}

/// Pages that a sample keeps together, in pages of 4 KiB: 8, or as many as the
/// largest unit has, which would else be cut from unrelated pages.
pub(super) fn group(largest_unit: usize) -> u64 {
    (largest_unit / PAGE).max(8) as u64
}

/// A process whose memory may be read, and where its anonymous pages are.
#[derive(Debug)]
pub(super) struct Process {
    pid: u32,
    name: String,
    memory: File,
    pagemap: File,
    /// The host's page size in bytes.
    page: u64,
    runs: Vec<Run>,
    swapped: u64,
    shared: u64,
    device: u64,
}

impl Process {
    pub(super) fn open(pid: u32) -> Result<Self, ProcessError> {
        let at = |file: &str| format!("/proc/{pid}/{file}");
        let stat = fs::read(at("stat")).map_err(|error| missing(error, "stat"))?;
        let name = alive_in_user_space(&String::from_utf8_lossy(&stat))?;
        let mut text = Vec::new();
        File::open(at("smaps"))
            .and_then(|mut smaps| smaps.read_to_end(&mut text))
            .map_err(|error| missing(error, "smaps"))?;
        let open = |file| File::open(at(file)).map_err(|error| missing(error, file));
        let mut process = Self {
            pid,
            name,
            memory: open("mem")?,
            pagemap: open("pagemap")?,
            page: rustix::param::page_size() as u64,
            runs: Vec::new(),
            swapped: 0,
            shared: 0,
            device: 0,
        };
        let kib = process.page / 1024;
        for mapping in smaps::parse(&String::from_utf8_lossy(&text)) {
            match mapping.kind {
                Kind::Shared => process.shared += mapping.rss / kib,
                Kind::Device => process.device += mapping.rss / kib,
                Kind::Private if mapping.anonymous + mapping.swap > 0 => {
                    let expected = (mapping.anonymous + mapping.swap) / kib;
                    process.find(mapping.start, mapping.end, expected)?;
                }
                Kind::Private => {}
            }
        }
        Ok(process)
    }

    /// As many pages of the host's size as `limit` pages of 4 KiB are, or all.
    ///
    /// # Errors
    /// If there is no room for a copy of them.
    pub(super) fn wanted(&self, limit: Option<u64>) -> Result<u64, Error> {
        let want = match limit {
            Some(limit) => limit.saturating_mul(PAGE as u64).div_ceil(self.page),
            None => u64::MAX,
        };
        let bytes = want.min(self.pages()).saturating_mul(self.page);
        fits_in_memory(
            &self.describe(),
            bytes,
            "take a part of it with --pid-pages",
        )?;
        Ok(want)
    }

    /// Pages found, of the host's size.
    pub(super) fn pages(&self) -> u64 {
        self.runs.iter().map(|run| run.pages).sum()
    }

    /// The same, as pages of 4 KiB.
    pub(super) fn pages_of_4k(&self) -> u64 {
        self.pages() * self.page / PAGE as u64
    }

    /// The host's page size in bytes.
    pub(super) fn page_size(&self) -> u64 {
        self.page
    }

    fn describe(&self) -> String {
        format!("process {} ({})", self.pid, self.name)
    }

    /// Notes the resident anonymous pages of a mapping that has about
    /// `expected` pages in memory or swap.
    fn find(&mut self, start: u64, end: u64, expected: u64) -> Result<(), ProcessError> {
        const BLOCK: u64 = 8192;
        let mut entries = Vec::new();
        let mut address = start;
        let mut sure = 0;
        // Address space can be reserved by the terabyte, with little in it:
        // once everything expected was found, the rest is empty. Pages that
        // other processes share do not count, as the zero page looks like one.
        while address < end && sure < expected {
            let pages = ((end - address) / self.page).min(BLOCK);
            self.entries(address, pages, &mut entries)
                .map_err(|error| missing(error, "pagemap"))?;
            for &entry in &entries {
                if entry.is_anonymous() {
                    match self.runs.last_mut() {
                        Some(run) if run.start + run.pages * self.page == address => run.pages += 1,
                        _ => self.runs.push(Run {
                            start: address,
                            pages: 1,
                        }),
                    }
                }
                self.swapped += u64::from(entry.is_swapped());
                sure += u64::from(entry.is_swapped() || entry.is_exclusive());
                address += self.page;
            }
        }
        Ok(())
    }

    /// The pagemap entries of `pages` pages from `address` on; none for those
    /// of a process that ended.
    fn entries(&self, address: u64, pages: u64, into: &mut Vec<Entry>) -> io::Result<()> {
        let mut bytes = vec![0; pages as usize * size_of::<u64>()];
        read_fully(&self.pagemap, &mut bytes, address / self.page * 8)?;
        into.clear();
        into.extend(
            bytes
                .chunks_exact(8)
                .map(|word| Entry(u64::from_ne_bytes(word.try_into().expect("8 bytes")))),
        );
        Ok(())
    }

    /// Adds at most `want` pages of the host's size to what was found, `group`
    /// pages of 4 KiB together, and returns how many.
    pub(super) fn add(
        &self,
        want: u64,
        group: u64,
        found: &mut Found,
    ) -> Result<u64, ProcessError> {
        let name = self.describe();
        let origin = found.origin(name.clone(), SourceKind::Process);
        if want < self.pages() {
            found.origins[origin].of_pages = Some(self.pages_of_4k());
        }
        let added = self.add_to(origin, &name, want, group, found);
        if added.is_err() {
            found.origins.truncate(origin);
        }
        added
    }

    /// The same, to a source that is there and that skipped pages are told of
    /// by `name`.
    pub(super) fn add_to(
        &self,
        origin: usize,
        name: &str,
        want: u64,
        group: u64,
        found: &mut Found,
    ) -> Result<u64, ProcessError> {
        let group = (group * PAGE as u64).div_ceil(self.page);
        let snapshot = self.snapshot(&spread(&self.runs, want, group, self.page))?;
        let left_out = [
            (self.swapped, "swapped out"),
            (self.shared, "in shared mappings, so not anonymous"),
            (self.device, "a device's or the kernel's"),
            (snapshot.vanished, "gone before they could be read"),
            (snapshot.zero_page, "the kernel's zero page, never written"),
        ];
        let what = if found.sample { SAMPLE } else { name };
        for (pages, why) in left_out {
            found.skip(Skipped {
                what: what.to_owned(),
                why: why.to_owned(),
                count: pages * self.page / PAGE as u64,
                unit: "pages",
                first: None,
                warn: false,
            });
        }
        let pages = snapshot.bytes.len() as u64 / self.page;
        found.add(
            origin,
            What::Memory(Source::in_memory(self.describe(), snapshot.bytes)),
        );
        Ok(pages)
    }

    fn snapshot(&self, runs: &[Run]) -> Result<Snapshot, ProcessError> {
        const BLOCK: u64 = 256;
        let pages: u64 = runs.iter().map(|run| run.pages).sum();
        let mut snapshot = Snapshot {
            bytes: Vec::with_capacity((pages * self.page) as usize),
            vanished: 0,
            zero_page: 0,
        };
        let mut block = Block::default();
        for run in runs {
            let mut done = 0;
            while done < run.pages {
                let pages = (run.pages - done).min(BLOCK);
                self.copy(
                    run.start + done * self.page,
                    pages,
                    &mut block,
                    &mut snapshot,
                )
                .map_err(|error| missing(error, "pagemap"))?;
                done += pages;
            }
        }
        Ok(snapshot)
    }

    /// Copies neighbouring pages, those that are still there.
    fn copy(
        &self,
        address: u64,
        pages: u64,
        block: &mut Block,
        snapshot: &mut Snapshot,
    ) -> io::Result<()> {
        let page = self.page as usize;
        // Looked at again just before, as it may be long since they were
        // found, and just after: one that is there both times was not faulted
        // in by this reading.
        self.entries(address, pages, &mut block.before)?;
        block.bytes.resize(pages as usize * page, 0);
        block.read.clear();
        let all_there = block.before.iter().all(|entry| entry.is_anonymous());
        if all_there && self.memory.read_exact_at(&mut block.bytes, address).is_ok() {
            block.read.resize(pages as usize, true);
        } else {
            // One page that is gone ends a reading of many.
            for (i, bytes) in block.bytes.chunks_exact_mut(page).enumerate() {
                let at = address + (i * page) as u64;
                let there =
                    block.before[i].is_anonymous() && self.memory.read_exact_at(bytes, at).is_ok();
                block.read.push(there);
            }
        }
        self.entries(address, pages, &mut block.after)?;
        for (i, bytes) in block.bytes.chunks_exact(page).enumerate() {
            let there = block.before[i].is_anonymous() && block.after[i].is_anonymous();
            if !there || !block.read[i] {
                snapshot.vanished += 1;
            } else if !block.after[i].is_exclusive() && bytes.iter().all(|&byte| byte == 0) {
                snapshot.zero_page += 1;
            } else {
                snapshot.bytes.extend_from_slice(bytes);
            }
        }
        Ok(())
    }
}

/// Pages copied, and those that were not.
struct Snapshot {
    bytes: Vec<u8>,
    vanished: u64,
    /// Zeroes that this process does not have for itself. That is what a page
    /// looks like which was read but never written: Linux maps the one zero
    /// page there, and no memory is behind it.
    zero_page: u64,
}

/// Buffers of [`Process::copy`].
#[derive(Default)]
struct Block {
    bytes: Vec<u8>,
    read: Vec<bool>,
    before: Vec<Entry>,
    after: Vec<Entry>,
}

/// One page in /proc/PID/pagemap (Linux, Documentation/admin-guide/mm/pagemap).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry(u64);

impl Entry {
    const PRESENT: u64 = 1 << 63;
    const SWAPPED: u64 = 1 << 62;
    /// File-backed or shared anonymous memory.
    const FILE: u64 = 1 << 61;
    /// Mapped by this process alone.
    const EXCLUSIVE: u64 = 1 << 56;

    fn is_anonymous(self) -> bool {
        self.0 & (Self::PRESENT | Self::FILE) == Self::PRESENT
    }

    fn is_exclusive(self) -> bool {
        self.is_anonymous() && self.0 & Self::EXCLUSIVE != 0
    }

    fn is_swapped(self) -> bool {
        self.0 & (Self::PRESENT | Self::SWAPPED) == Self::SWAPPED
    }
}

/// Reads until `to` is full. What the file does not have stays zero.
fn read_fully(file: &File, mut to: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !to.is_empty() {
        match file.read_at(to, offset) {
            Ok(0) => return Ok(()),
            Ok(n) => {
                to = &mut to[n..];
                offset += n as u64;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The process's name, from /proc/PID/stat, if it has memory of its own.
fn alive_in_user_space(stat: &str) -> Result<String, ProcessError> {
    /// include/linux/sched.h
    const PF_KTHREAD: u64 = 0x0020_0000;
    /// Where `flags` is, counted from the state, which follows the name.
    const FLAGS: usize = 6;
    // The name may hold blanks and parentheses.
    let name = stat
        .split_once('(')
        .and_then(|(_, rest)| rest.rsplit_once(')'));
    let Some((name, rest)) = name else {
        return Err(ProcessError::Gone);
    };
    let name = name.to_owned();
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.clone().next().unwrap_or("X");
    let flags: u64 = fields
        .nth(FLAGS)
        .and_then(|flags| flags.parse().ok())
        .unwrap_or(0);
    match state {
        _ if flags & PF_KTHREAD != 0 => Err(ProcessError::KernelThread { name }),
        "Z" | "X" | "x" => Err(ProcessError::Zombie { name }),
        _ => Ok(name),
    }
}

/// What it means that a file of a process could not be read.
fn missing(error: io::Error, file: &'static str) -> ProcessError {
    /// No such process: it ended while the file was open.
    const ESRCH: i32 = 3;
    match error.kind() {
        ErrorKind::PermissionDenied => ProcessError::Denied,
        ErrorKind::NotFound if !Path::new("/proc/self").exists() => ProcessError::NoProc,
        // What every process has is missing because the process is.
        ErrorKind::NotFound if file == "stat" || file == "mem" => ProcessError::Gone,
        _ if error.raw_os_error() == Some(ESRCH) => ProcessError::Gone,
        _ => ProcessError::Io {
            file,
            source: error,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_tells_who_has_memory() {
        let stat = |state, flags: u32| format!("7 (a (b) c) {state} 1 2 3 4 5 {flags} 6 7");
        assert_eq!(
            alive_in_user_space(&stat("S", 0x40_0000)).unwrap(),
            "a (b) c"
        );
        assert!(matches!(
            alive_in_user_space(&stat("I", 0x20_8040)),
            Err(ProcessError::KernelThread { name }) if name == "a (b) c"
        ));
        assert!(matches!(
            alive_in_user_space(&stat("Z", 0)),
            Err(ProcessError::Zombie { .. })
        ));
        assert!(alive_in_user_space("").is_err());
    }

    #[test]
    fn pagemap_entries() {
        let anonymous = Entry(1 << 63 | 1 << 56);
        let file = Entry(1 << 63 | 1 << 61);
        let swapped = Entry(1 << 62 | 12345);
        assert!(anonymous.is_anonymous() && anonymous.is_exclusive());
        assert!(!file.is_anonymous() && !swapped.is_anonymous() && !Entry(0).is_anonymous());
        assert!(swapped.is_swapped() && !file.is_swapped() && !Entry(0).is_swapped());
    }
}
