//! Named files, directories and streams.

use super::{Found, Source, What, elf};
use crate::bench::figures::{Skipped, SourceKind};
use crate::bench::host::fits_in_memory;
use crate::error::{Error, describe};
use std::fs::{self, File, FileType};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Takes what `path` names: a file, all regular files below a directory, or
/// what can be read once.
pub(super) fn collect(path: &Path, found: &mut Found) -> Result<(), Error> {
    if path == Path::new("-") {
        return stream("standard input", io::stdin().lock(), found);
    }
    let label = path.display().to_string();
    let fail = |source| Error::Read {
        what: label.clone(),
        source,
    };
    let metadata = fs::metadata(path).map_err(fail)?;
    if metadata.is_dir() {
        return directory(path, &label, found);
    }
    // Files of /proc and the like have no length until they are read.
    let file = File::open(path).map_err(fail)?;
    if metadata.is_file() && metadata.len() > 0 {
        return regular(path, label, &file, metadata.len(), found);
    }
    if metadata.is_file() {
        let bytes = read_all(&label, file)?;
        let origin = found.origin(label.clone(), SourceKind::File);
        found.add(origin, What::Memory(Source::in_memory(label, bytes)));
        return Ok(());
    }
    stream(&label, file, found)
}

/// Takes a file of `len` bytes: all of it, or what is memory in a core file.
fn regular(
    path: &Path,
    label: String,
    file: &File,
    len: u64,
    found: &mut Found,
) -> Result<(), Error> {
    let core = elf::core(file, len).map_err(|why| Error::Core {
        what: label.clone(),
        why,
    })?;
    let mut kind = SourceKind::File;
    let mut segments = None;
    if let Some(core) = core {
        kind = SourceKind::Core;
        found.skip(Skipped {
            what: label.clone(),
            why: "not whole in the core file".to_owned(),
            count: core.partial,
            unit: "pages",
            first: None,
            warn: false,
        });
        segments = Some(core.segments);
    }
    let origin = found.origin(label, kind);
    found.origins[origin].segments = segments.as_ref().map(|segments| segments.len() as u64);
    found.add(
        origin,
        What::File {
            path: path.to_owned(),
            len,
            named: true,
            segments,
        },
    );
    Ok(())
}

fn stream(label: &str, reader: impl Read, found: &mut Found) -> Result<(), Error> {
    let bytes = read_all(label, reader)?;
    let origin = found.origin(label, SourceKind::Stream);
    found.add(origin, What::Memory(Source::in_memory(label, bytes)));
    Ok(())
}

/// Bytes between two looks at the memory that is left.
const READ_STEP: u64 = 64 << 20;

/// All that `reader` has, unless memory would run out first.
pub(super) fn read_all(label: &str, mut reader: impl Read) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    loop {
        let read = reader
            .by_ref()
            .take(READ_STEP)
            .read_to_end(&mut bytes)
            .map_err(|source| Error::Read {
                what: label.to_owned(),
                source,
            })?;
        if read == 0 {
            return Ok(bytes);
        }
        // Growing takes as much again, for a moment.
        if bytes.len() as u64 >= READ_STEP {
            fits_in_memory(
                label,
                bytes.capacity() as u64,
                "name a regular file instead",
            )?;
        }
    }
}

fn directory(path: &Path, label: &str, found: &mut Found) -> Result<(), Error> {
    let origin = found.origin(label, SourceKind::Directory);
    let skip = |why: String, at: &Path, warn| Skipped {
        what: label.to_owned(),
        why,
        count: 1,
        unit: "files",
        first: Some(at.display().to_string()),
        warn,
    };
    let entries = walk(path).map_err(|source| Error::Read {
        what: label.to_owned(),
        source,
    })?;
    for entry in entries {
        match entry {
            Entry::File { len: 0, .. } => {}
            Entry::File { path, len } => found.add(
                origin,
                What::File {
                    path,
                    len,
                    named: false,
                    segments: None,
                },
            ),
            Entry::Other(path, why) => found.skip(skip(why.to_owned(), &path, false)),
            Entry::Unreadable(path, error) => found.skip(skip(describe(&error), &path, true)),
        }
    }
    Ok(())
}

/// What a walk meets.
#[derive(Debug)]
pub(super) enum Entry {
    File { path: PathBuf, len: u64 },
    Other(PathBuf, &'static str),
    Unreadable(PathBuf, io::Error),
}

/// Everything below `root`, depth first, each directory in the order of its
/// names' bytes. Symbolic links are not followed.
pub(super) fn walk(root: &Path) -> io::Result<impl Iterator<Item = Entry> + use<>> {
    let mut open = vec![sorted(root)?.into_iter()];
    Ok(std::iter::from_fn(move || {
        loop {
            let (path, file_type) = match open.last_mut()?.next() {
                Some(Ok(next)) => next,
                Some(Err((path, error))) => return Some(Entry::Unreadable(path, error)),
                None => {
                    open.pop();
                    continue;
                }
            };
            if file_type.is_file() {
                return Some(match fs::symlink_metadata(&path) {
                    Ok(metadata) => Entry::File {
                        path,
                        len: metadata.len(),
                    },
                    Err(error) => Entry::Unreadable(path, error),
                });
            }
            if file_type.is_symlink() {
                return Some(Entry::Other(path, "symbolic link, not followed"));
            }
            if !file_type.is_dir() {
                return Some(Entry::Other(path, "not a regular file"));
            }
            match sorted(&path) {
                Ok(entries) => open.push(entries.into_iter()),
                Err(error) => return Some(Entry::Unreadable(path, error)),
            }
        }
    }))
}

type Child = Result<(PathBuf, FileType), (PathBuf, io::Error)>;

/// A directory's entries in the order of their names.
fn sorted(dir: &Path) -> io::Result<Vec<Child>> {
    let mut children = Vec::new();
    for entry in fs::read_dir(dir)? {
        children.push(match entry {
            Ok(entry) => entry
                .file_type()
                .map(|file_type| (entry.path(), file_type))
                .map_err(|error| (entry.path(), error)),
            Err(error) => Err((dir.to_owned(), error)),
        });
    }
    children.sort_by(|a, b| path_of(a).as_os_str().cmp(path_of(b).as_os_str()));
    Ok(children)
}

fn path_of(child: &Child) -> &Path {
    match child {
        Ok((path, _)) | Err((path, _)) => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walks_in_order_and_past_links() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("b/deep")).unwrap();
        for name in ["c", "a", "b/2", "b/deep/1", "b-file"] {
            fs::write(at(name), name).unwrap();
        }
        std::os::unix::fs::symlink(dir.path(), at("b/loop")).unwrap();
        let seen: Vec<_> = walk(dir.path())
            .unwrap()
            .map(|entry| match entry {
                Entry::File { path, len } => {
                    let name = path.strip_prefix(dir.path()).unwrap().to_owned();
                    assert_eq!(len, name.as_os_str().len() as u64);
                    name.display().to_string()
                }
                Entry::Other(path, why) => {
                    assert_eq!(path, at("b/loop"));
                    why.to_owned()
                }
                Entry::Unreadable(path, error) => panic!("{path:?}: {error}"),
            })
            .collect();
        let link = "symbolic link, not followed";
        assert_eq!(seen, ["a", "b/2", "b/deep/1", link, "b-file", "c"]);
    }
}
