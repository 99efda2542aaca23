//! The first reading of all input: counts, hash, and what cannot be read.

use super::mapped::MappedFile;
use super::{
    Candidate, Data, Extent, Extents, Found, Input, PAGE, Reader, Source, Stamp, What, files,
};
use crate::bench::figures::{self, Skipped, SourceKind};
use crate::bench::host::fits_in_memory;
use crate::bench::progress::Progress;
use crate::error::{Error, describe};
use pagepress::page::same_filled;
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::fs::File;
use std::io;
use std::path::PathBuf;

/// Bytes read at once: many pages, and little enough for a core's cache.
const BLOCK: usize = 64 * PAGE;

/// Parts of files that were never written, or given back.
const HOLES: &str = "holes, with nothing stored";

/// Reads everything that was found once. A file that was named must be
/// readable; one that was only found is skipped if it is not.
pub(super) fn scan(mut found: Found, progress: &Progress) -> Result<Input, Error> {
    let candidates = std::mem::take(&mut found.candidates);
    let bar = progress.reading(
        candidates
            .iter()
            .map(Candidate::len)
            .fold(0, u64::saturating_add),
    );
    let mut counts = Counts::default();
    let mut sources = Vec::with_capacity(candidates.len());
    for candidate in candidates {
        let found_len = candidate.len();
        let Candidate { origin, what } = candidate;
        let Some(source) = source(what, origin, &mut found)? else {
            continue;
        };
        // What is left out of a file is soon done.
        bar.add(found_len.saturating_sub(source.len));
        if source.len == 0 {
            continue;
        }
        let pages = counts.add(&source, |bytes| bar.add(bytes))?;
        let of = &mut found.origins[origin];
        let kinds = [SourceKind::File, SourceKind::Directory, SourceKind::Core];
        of.files += u64::from(kinds.contains(&of.kind));
        of.bytes += source.len;
        of.pages += pages;
        sources.push(source);
    }
    let mut sha256 = String::with_capacity(64);
    for byte in counts.hash.finalize() {
        write!(sha256, "{byte:02x}").expect("a String takes all");
    }
    Ok(Input {
        sources,
        figures: figures::Input {
            sample: found.sample,
            sources: found.origins,
            bytes: counts.bytes,
            pages: counts.pages,
            same_filled: counts.same_filled,
            padded_pages: counts.padded_pages,
            skipped: found.skipped,
            changed_files: 0,
            sha256,
        },
    })
}

impl Candidate {
    fn len(&self) -> u64 {
        match &self.what {
            What::File { len, .. } => *len,
            What::Memory(source) => source.len,
        }
    }
}

/// Opens a candidate. `None` if it was skipped.
fn source(what: What, origin: usize, found: &mut Found) -> Result<Option<Source>, Error> {
    let (path, named, segments) = match what {
        What::Memory(source) => return Ok(Some(source)),
        What::File {
            path,
            named,
            segments,
            ..
        } => (path, named, segments),
    };
    match open(path.clone(), named, segments) {
        Ok((source, holes)) => {
            found.skip(Skipped {
                what: found.origins[origin].name.clone(),
                why: HOLES.to_owned(),
                count: holes,
                unit: "pages",
                first: (!named).then(|| path.display().to_string()),
                warn: false,
            });
            Ok(Some(source))
        }
        Err(error) if named => Err(error),
        Err(error) => {
            let why = match &error {
                Error::Read { source, .. } => describe(source),
                other => other.to_string(),
            };
            found.skip(Skipped {
                what: found.origins[origin].name.clone(),
                why,
                count: 1,
                unit: "files",
                first: Some(path.display().to_string()),
                warn: true,
            });
            Ok(None)
        }
    }
}

/// Makes sure that a file can be read. One that was named and cannot be mapped
/// is read into memory. Returns the pages too that are holes.
fn open(path: PathBuf, named: bool, segments: Option<Vec<Extent>>) -> Result<(Source, u64), Error> {
    let label = path.display().to_string();
    let opened = File::open(&path).and_then(|file| Ok((file.metadata()?, file)));
    let (metadata, file) = match opened {
        Ok((metadata, file)) if metadata.is_file() => (metadata, file),
        Ok(_) => return Err(read_error(&label, io::Error::other("not a regular file"))),
        Err(error) => return Err(read_error(&label, error)),
    };
    let whole = || {
        vec![Extent {
            offset: 0,
            len: metadata.len(),
        }]
    };
    let (extents, holes) = Extents::with_data(&file, &segments.unwrap_or_else(whole));
    if extents.len() > 0
        && let Err(error) = MappedFile::new(file, &metadata)
    {
        if !named {
            return Err(read_error(&label, error));
        }
        let file = File::open(&path).map_err(|error| read_error(&label, error))?;
        // A file that cannot be mapped may have fewer bytes than it says.
        let bytes = if extents.is_all_of(metadata.len()) {
            files::read_all(&label, file)?
        } else {
            fits_in_memory(&label, extents.len(), "measure a part of it")?;
            extents
                .read(&file)
                .map_err(|error| read_error(&label, error))?
        };
        return Ok((Source::in_memory(label, bytes), holes));
    }
    let source = Source {
        label,
        len: extents.len(),
        data: Data::File(path, Stamp::of(&metadata), extents),
    };
    Ok((source, holes))
}

fn read_error(label: &str, source: io::Error) -> Error {
    Error::Read {
        what: label.to_owned(),
        source,
    }
}

/// What the scan counts, in pages of 4 KiB.
#[derive(Default)]
struct Counts {
    bytes: u64,
    pages: u64,
    same_filled: u64,
    padded_pages: u64,
    hash: Sha256,
}

impl Counts {
    /// Adds a source and returns its pages.
    fn add(&mut self, source: &Source, mut read: impl FnMut(u64)) -> Result<u64, Error> {
        let mut reader = Reader::new(std::slice::from_ref(source));
        let mut block = vec![0; BLOCK];
        let mut offset = 0;
        let mut pages = 0;
        while offset < source.len {
            let bytes = reader.copy(0, offset, &mut block)?;
            let padded = &block[..bytes.next_multiple_of(PAGE)];
            self.hash.update(padded);
            self.padded_pages += u64::from(padded.len() > bytes);
            for page in padded.chunks_exact(PAGE) {
                pages += 1;
                self.same_filled += u64::from(same_filled(page).is_some());
            }
            offset += bytes as u64;
            read(bytes as u64);
        }
        self.bytes += source.len;
        self.pages += pages;
        Ok(pages)
    }
}
