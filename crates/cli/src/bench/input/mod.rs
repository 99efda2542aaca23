//! What is measured: sources of bytes, however they were come by.
//!
//! | module | what |
//! |---|---|
//! | [`files`] | named files, directories and streams |
//! | [`elf`] | the memory in a core file |
//! | [`extents`] | a file's data without its holes |
//! | [`mapped`] | one file in memory |
//! | [`process`] | a live process's anonymous pages |
//! | [`cgroup`] | those of all processes of a cgroup |
//! | [`sample`] | pages of this machine, when nothing was named |
//! | [`scan`] | the first reading: counts, hash, what cannot be read |

mod cgroup;
mod elf;
mod extents;
mod files;
mod mapped;
mod process;
mod sample;
mod scan;
mod smaps;
mod spread;

pub(crate) use elf::CoreError;
pub(crate) use process::ProcessError;

use super::args::SourceArgs;
use super::figures;
use super::progress::Progress;
use crate::error::Error;
use extents::{Extent, Extents};
use mapped::{MappedFile, Shrunk};
use std::fs::{self, Metadata};
use std::path::PathBuf;
use std::time::SystemTime;

/// Bytes of the pages that input counts are in, whatever the unit size.
pub(crate) const PAGE: usize = 4096;

/// What a sample's pages are skipped from: its sources are too many to list.
const SAMPLE: &str = "the sample";

/// One stream of bytes, to be cut into units.
#[derive(Debug)]
pub(crate) struct Source {
    label: String,
    len: u64,
    data: Data,
}

#[derive(Debug)]
enum Data {
    /// Mapped by whoever reads it, for as long as it reads it: any number of
    /// files can be input, however few may be open or mapped at once.
    File(PathBuf, Stamp, Extents),
    Memory(Vec<u8>),
}

/// What tells that a file was written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    len: u64,
    modified: Option<SystemTime>,
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            len: metadata.len(),
            modified: metadata.modified().ok(),
        }
    }
}

impl Source {
    pub(crate) fn in_memory(label: impl Into<String>, bytes: Vec<u8>) -> Self {
        Self {
            label: label.into(),
            len: bytes.len() as u64,
            data: Data::Memory(bytes),
        }
    }

    /// The name for messages.
    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }
}

/// All sources, scanned once.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) sources: Vec<Source>,
    pub(crate) figures: figures::Input,
}

impl Input {
    /// Collects and scans what `args` name; `largest_unit` keeps a sample's
    /// neighbouring pages together.
    ///
    /// # Errors
    /// If a named source cannot be read, or all of them hold no page.
    pub(crate) fn collect(
        args: &SourceArgs,
        largest_unit: usize,
        progress: &Progress,
    ) -> Result<Self, Error> {
        let mut found = Found::default();
        if args.inputs.is_empty() && args.pid.is_empty() && args.cgroup.is_empty() {
            sample::collect(&sample::Places::of_this_machine(), largest_unit, &mut found);
        }
        for path in &args.inputs {
            files::collect(path, &mut found)?;
        }
        for &pid in &args.pid {
            process::collect(pid, args.pid_pages, largest_unit, &mut found)?;
        }
        for path in &args.cgroup {
            cgroup::collect(path, args.pid_pages, largest_unit, &mut found)?;
        }
        let input = scan::scan(found, progress)?;
        if input.figures.pages == 0 {
            return Err(Error::NoPages(input.why_no_pages()));
        }
        Ok(input)
    }

    fn why_no_pages(&self) -> String {
        let skipped: u64 = self.figures.skipped.iter().map(|skip| skip.count).sum();
        match (self.figures.sample, skipped) {
            (true, _) => "found no page to sample on this machine; name a file".to_owned(),
            (false, 0) => "the input is empty: it holds no page".to_owned(),
            (false, _) => {
                let skips = self.figures.skipped.iter();
                let whys: Vec<_> = skips
                    .map(|skip| format!("{}: {}", skip.counted(), skip.why))
                    .collect();
                format!("the input holds no page; skipped: {}", whys.join(", "))
            }
        }
    }

    /// Files that were written to, or went away, since the scan.
    pub(crate) fn changed_files(&self) -> u64 {
        let changed = |source: &&Source| match &source.data {
            Data::File(path, stamp, _) => {
                fs::metadata(path).map_or(true, |now| Stamp::of(&now) != *stamp)
            }
            Data::Memory(_) => false,
        };
        self.sources.iter().filter(changed).count() as u64
    }
}

/// What was found, before the scan has read it.
#[derive(Debug, Default)]
struct Found {
    candidates: Vec<Candidate>,
    origins: Vec<figures::Source>,
    skipped: Vec<figures::Skipped>,
    sample: bool,
}

/// A source to be.
#[derive(Debug)]
struct Candidate {
    /// Its place in [`Found::origins`].
    origin: usize,
    what: What,
}

#[derive(Debug)]
enum What {
    /// A regular file, as long as the directory said. One that was named must
    /// be readable; one that was only found is skipped if it is not.
    File {
        path: PathBuf,
        len: u64,
        named: bool,
        /// Of a core file, what is memory in it.
        segments: Option<Vec<Extent>>,
    },
    Memory(Source),
}

impl Found {
    fn origin(&mut self, name: impl Into<String>, kind: figures::SourceKind) -> usize {
        self.origins.push(figures::Source {
            name: name.into(),
            kind,
            ..figures::Source::default()
        });
        self.origins.len() - 1
    }

    fn add(&mut self, origin: usize, what: What) {
        self.candidates.push(Candidate { origin, what });
    }

    /// Counts something skipped with others of its kind.
    fn skip(&mut self, skip: figures::Skipped) {
        if skip.count == 0 {
            return;
        }
        let same = self
            .skipped
            .iter_mut()
            .find(|other| other.what == skip.what && other.why == skip.why);
        match same {
            Some(other) => other.count += skip.count,
            None => self.skipped.push(skip),
        }
    }
}

/// Reads sources for one thread, with at most one file mapped at a time.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    sources: &'a [Source],
    mapped: Option<(usize, MappedFile)>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(sources: &'a [Source]) -> Self {
        Self {
            sources,
            mapped: None,
        }
    }

    /// Fills `to` with what the source has from `offset` on, and with zeroes
    /// behind its end. Returns how many bytes are the source's.
    ///
    /// # Errors
    /// If the file cannot be read any more, or was cut short.
    pub(crate) fn copy(
        &mut self,
        index: usize,
        offset: u64,
        to: &mut [u8],
    ) -> Result<usize, Error> {
        let source = &self.sources[index];
        let left = usize::try_from(source.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let (bytes, padding) = to.split_at_mut(left.min(to.len()));
        let bytes_wanted = bytes.len() as u64;
        match &source.data {
            Data::Memory(memory) => {
                let start = memory.len() - left;
                bytes.copy_from_slice(&memory[start..start + bytes.len()]);
            }
            Data::File(path, _, extents) => {
                let shrank = || Error::Shrank {
                    what: source.label.clone(),
                };
                if !matches!(&self.mapped, Some((mapped, _)) if *mapped == index) {
                    let file = MappedFile::open(path).map_err(|error| Error::Read {
                        what: source.label.clone(),
                        source: error,
                    })?;
                    if file.len() < extents.end() {
                        return Err(shrank());
                    }
                    self.mapped = Some((index, file));
                }
                if let Some((_, file)) = &self.mapped {
                    let mut rest = &mut *bytes;
                    for extent in extents.of(offset, bytes_wanted) {
                        // No longer than `bytes`.
                        let (part, behind) = rest.split_at_mut(extent.len as usize);
                        file.copy(extent.offset, part).map_err(|Shrunk| shrank())?;
                        rest = behind;
                    }
                }
            }
        }
        padding.fill(0);
        Ok(left.min(to.len()))
    }
}
