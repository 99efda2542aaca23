//! Where results go: stdout, or a file that is whole or not there.

use crate::error::Error;
use rustix::fs::{Access, access};
use rustix::io::Errno;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Where results go.
#[derive(Debug)]
pub(crate) enum Output {
    /// Standard output.
    Stdout,
    /// A regular file, written beside its name and then renamed.
    File(PathBuf),
    /// A device or pipe, which must not be replaced by a file.
    Special(PathBuf),
}

impl Output {
    /// Finds out whether results can be written, before any work is done for
    /// them.
    ///
    /// # Errors
    /// [`Error::Write`] if they cannot.
    pub(crate) fn prepare(path: Option<&Path>) -> Result<Self, Error> {
        let Some(path) = path else {
            return Ok(Self::Stdout);
        };
        let fail = |source| write_error(path, source);
        // A rename would replace a symbolic link, not what it points to.
        let target = match fs::canonicalize(path) {
            Ok(target) => target,
            Err(error) if error.kind() == ErrorKind::NotFound => path.to_owned(),
            Err(error) => return Err(fail(error)),
        };
        if let Ok(found) = fs::metadata(&target) {
            if found.is_dir() {
                return Err(fail(Errno::ISDIR.into()));
            }
            // A rename would replace a file that nobody may write to.
            access(&target, Access::WRITE_OK).map_err(|errno| fail(errno.into()))?;
            if !found.is_file() {
                return Ok(Self::Special(target));
            }
        }
        // Dropped at once: an interrupted command leaves nothing behind.
        Partial::create(&target).map_err(fail)?;
        Ok(Self::File(target))
    }

    /// Writes the results. A reader that closed its end has seen enough, which
    /// is no error.
    ///
    /// # Errors
    /// [`Error::Write`]; no part of the file is left then.
    pub(crate) fn write(&self, results: impl AsRef<[u8]>) -> Result<(), Error> {
        let results = results.as_ref();
        match self {
            Self::Stdout => {
                let mut stdout = io::stdout().lock();
                match stdout.write_all(results).and_then(|()| stdout.flush()) {
                    Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                        Err(write_error(Path::new("standard output"), error))
                    }
                    _ => Ok(()),
                }
            }
            Self::File(path) => replace(path, results).map_err(|error| write_error(path, error)),
            Self::Special(path) => OpenOptions::new()
                .write(true)
                .open(path)
                .and_then(|mut file| file.write_all(results))
                .map_err(|error| write_error(path, error)),
        }
    }
}

fn write_error(path: &Path, source: io::Error) -> Error {
    Error::Write {
        what: path.display().to_string(),
        source,
    }
}

fn replace(path: &Path, results: &[u8]) -> io::Result<()> {
    let mut partial = Partial::create(path)?;
    partial.file.write_all(results)?;
    partial.file.sync_all()?;
    if let Ok(old) = fs::metadata(path) {
        partial.file.set_permissions(old.permissions())?;
    }
    fs::rename(&partial.path, path)?;
    partial.renamed = true;
    Ok(())
}

/// A file under a name of its own beside `path`, removed unless renamed.
struct Partial {
    file: File,
    path: PathBuf,
    renamed: bool,
}

impl Partial {
    fn create(path: &Path) -> io::Result<Self> {
        let name = path.file_name().ok_or(ErrorKind::InvalidInput)?;
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}.tmp", std::process::id()));
        let path = path.with_file_name(hidden);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)?;
        Ok(Self {
            file,
            path,
            renamed: false,
        })
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.renamed {
            // Nothing better to do if this fails too.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_replaced_whole_through_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("out"), dir.path().join("link"));
        fs::write(&file, "old and longer").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let output = Output::prepare(Some(&link)).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "old and longer");
        output.write("new").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        assert!(link.is_symlink());
        assert_eq!(names(dir.path()), ["link", "out"]);
    }

    #[test]
    fn what_cannot_be_written_is_known_before() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Output::prepare(Some(&dir.path().join("no/such/dir"))).is_err());
        assert!(Output::prepare(Some(dir.path())).is_err());
        assert_eq!(names(dir.path()), Vec::<String>::new());
    }

    #[test]
    fn a_device_is_written_to_and_not_replaced() {
        let output = Output::prepare(Some(Path::new("/dev/null"))).unwrap();
        assert!(matches!(output, Output::Special(_)));
        output.write("gone").unwrap();
    }
}
