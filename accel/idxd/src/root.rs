//! Reading a host's files, or a snapshot's, without leaving them.

use core::fmt;
use serde::{Serialize, Serializer};
use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

/// The most symbolic links on the way to a file: Linux' own limit.
const LINKS: usize = 40;
/// The most bytes of an attribute; those of sysfs are at most a page.
const ATTRIBUTE_BYTES: u64 = 64 << 10;
/// The most bytes of a file in `proc`: `cpuinfo` has some 2 KiB for each CPU.
const FILE_BYTES: u64 = 32 << 20;
/// The most entries of a directory that are looked at.
const ENTRIES: usize = 1 << 16;

/// Where a host's `dev`, `proc` and `sys` are found.
///
/// Symbolic links, absolute ones too, are followed below the root and never
/// out of it.
#[derive(Debug, Clone)]
pub struct Root {
    path: PathBuf,
}

/// Why something could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unread {
    /// It is not there.
    Missing,
    /// This user may not read it.
    Denied,
    /// It is there and reading it failed, or it is not what it should be.
    Failed(String),
}

/// Something that was to be read: its value, or why there is none.
pub type Reading<T> = Result<T, Unread>;

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("not there"),
            Self::Denied => f.write_str("not readable by this user"),
            Self::Failed(why) => f.write_str(why),
        }
    }
}

impl core::error::Error for Unread {}

impl Unread {
    pub(crate) fn failed(why: &str) -> Self {
        Self::Failed(why.to_owned())
    }

    /// What is there is not what should be.
    pub(crate) fn instead_of(text: &str, expected: &str) -> Self {
        Self::Failed(match text {
            "" => format!("empty where {expected} should be"),
            text => format!("`{}` where {expected} should be", short(text)),
        })
    }

    fn of(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing,
            io::ErrorKind::NotADirectory => Self::failed("a file where a directory should be"),
            io::ErrorKind::PermissionDenied => Self::Denied,
            _ => Self::Failed(error.to_string()),
        }
    }
}

impl Serialize for Unread {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Root {
    /// This host, or the snapshot in a directory.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether this is the running host.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.path == Path::new("/")
    }

    /// Where `path`, relative to the root, leads in the end.
    ///
    /// # Errors
    /// If it leads nowhere, or in circles.
    pub fn resolve(&self, path: impl AsRef<Path>) -> Reading<PathBuf> {
        let mut links = 0;
        let mut inside = PathBuf::new();
        let mut rest: VecDeque<OsString> = names(path.as_ref()).collect();
        while let Some(name) = rest.pop_front() {
            if name == ".." {
                inside.pop();
                continue;
            }
            inside.push(name);
            let full = self.path.join(&inside);
            let metadata = fs::symlink_metadata(&full).map_err(|e| Unread::of(&e))?;
            if !metadata.is_symlink() {
                continue;
            }
            links += 1;
            if links > LINKS {
                return Err(Unread::failed("symbolic links that lead in circles"));
            }
            let target = fs::read_link(&full).map_err(|e| Unread::of(&e))?;
            if target.is_absolute() {
                inside.clear();
            } else {
                inside.pop();
            }
            for name in names(&target).collect::<Vec<_>>().into_iter().rev() {
                rest.push_front(name);
            }
        }
        Ok(self.path.join(inside))
    }

    /// The last part of what a symbolic link points to, as sysfs uses them, be
    /// the target there or not.
    #[must_use]
    pub fn link_name(&self, path: impl AsRef<Path>) -> Option<String> {
        let path = path.as_ref();
        let directory = self.resolve(path.parent()?).ok()?;
        let target = fs::read_link(directory.join(path.file_name()?)).ok()?;
        Some(target.file_name()?.to_str()?.to_owned())
    }

    /// Whether something is there, even if it cannot be read.
    #[must_use]
    pub fn exists(&self, path: impl AsRef<Path>) -> bool {
        !matches!(self.resolve(path), Err(Unread::Missing))
    }

    /// What is known of a file without opening it.
    ///
    /// # Errors
    /// If it is not there.
    pub fn metadata(&self, path: impl AsRef<Path>) -> Reading<Metadata> {
        fs::metadata(self.resolve(path)?).map_err(|e| Unread::of(&e))
    }

    /// The names in a directory, sorted, those that are no UTF-8 left out.
    ///
    /// # Errors
    /// If it cannot be listed.
    pub fn list(&self, path: impl AsRef<Path>) -> Reading<Vec<String>> {
        let entries = fs::read_dir(self.resolve(path)?).map_err(|e| Unread::of(&e))?;
        let mut names = entries
            .take(ENTRIES)
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect::<Vec<_>>();
        names.sort();
        Ok(names)
    }

    /// An attribute, without the white space around it.
    ///
    /// # Errors
    /// If it cannot be read, or is no text.
    pub fn attribute(&self, path: impl AsRef<Path>) -> Reading<String> {
        let text = self.text(path.as_ref(), ATTRIBUTE_BYTES)?;
        // Files of sysfs pretend to have 4096 bytes, and tar fills them up.
        let text = text.trim_end_matches('\0').trim();
        if text.chars().any(|c| c.is_control() && !c.is_whitespace()) {
            return Err(Unread::failed("binary data where text should be"));
        }
        Ok(text.to_owned())
    }

    /// An attribute that is a number, decimal or with `0x`.
    ///
    /// # Errors
    /// If it cannot be read, or is no number.
    pub fn number(&self, path: impl AsRef<Path>) -> Reading<i64> {
        let text = self.attribute(path)?;
        let value = match text.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16).ok().map(|n| n as i64),
            None => text.parse().ok(),
        };
        value.ok_or_else(|| Unread::instead_of(&text, "a number"))
    }

    /// An attribute that is a word, and never empty.
    ///
    /// # Errors
    /// If it cannot be read, is empty, or is no text.
    pub fn word(&self, path: impl AsRef<Path>) -> Reading<String> {
        let text = self.attribute(path)?;
        match text.as_str() {
            "" => Err(Unread::instead_of("", "a word")),
            _ => Ok(text),
        }
    }

    /// A whole file of `proc`.
    ///
    /// # Errors
    /// If it cannot be read, or is no text.
    pub fn file(&self, path: impl AsRef<Path>) -> Reading<String> {
        self.text(path.as_ref(), FILE_BYTES)
    }

    fn text(&self, path: &Path, most: u64) -> Reading<String> {
        let path = self.resolve(path)?;
        // Opening a pipe would wait for somebody to write to it.
        if !fs::metadata(&path).map_err(|e| Unread::of(&e))?.is_file() {
            return Err(Unread::failed("not a file"));
        }
        let file = File::open(path).map_err(|e| Unread::of(&e))?;
        let mut bytes = Vec::new();
        let read = file.take(most + 1).read_to_end(&mut bytes);
        read.map_err(|e| Unread::of(&e))?;
        if bytes.len() as u64 > most {
            return Err(Unread::failed("far longer than it should be"));
        }
        String::from_utf8(bytes).map_err(|_| Unread::failed("binary data where text should be"))
    }
}

/// The names on a path, `..` among them.
fn names(path: &Path) -> impl Iterator<Item = OsString> + '_ {
    path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    })
}

/// The beginning of what may be long, to be shown.
pub(crate) fn short(text: &str) -> String {
    const MOST: usize = 60;
    let line = text.lines().next().unwrap_or_default();
    if line.chars().count() <= MOST {
        line.to_owned()
    } else {
        line.chars().take(MOST).chain(['…']).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_stay_below_the_root() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        fs::create_dir_all(at("sys/a/b")).unwrap();
        fs::write(at("sys/a/b/n"), "0x10\n").unwrap();
        fs::write(at("etc"), "inside").unwrap();
        symlink("../a/b", at("sys/a/relative")).unwrap();
        symlink("/sys/a", at("absolute")).unwrap();
        symlink("../../../../../../etc", at("sys/out")).unwrap();
        symlink("circle", at("circle")).unwrap();
        let root = Root::new(dir.path());
        assert_eq!(root.number("sys/a/b/n"), Ok(16));
        assert_eq!(root.number("absolute/relative/n"), Ok(16));
        assert_eq!(root.attribute("sys/out").as_deref(), Ok("inside"));
        assert_eq!(root.link_name("sys/a/relative").as_deref(), Some("b"));
        let circle = root.attribute("circle/x").unwrap_err().to_string();
        assert!(circle.contains("circles"), "{circle}");
        assert_eq!(root.list("nothing"), Err(Unread::Missing));
        let below_a_file = root.attribute("etc/x").unwrap_err().to_string();
        assert!(below_a_file.contains("directory"), "{below_a_file}");
        assert!(root.exists("circle") && !root.exists("sys/a/b/m"));
    }

    #[test]
    fn what_is_no_text_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::new(dir.path());
        let error = |content: &[u8]| {
            fs::write(dir.path().join("x"), content).unwrap();
            root.number("x").unwrap_err().to_string()
        };
        assert!(error(b"").contains("empty where a number should be"));
        assert!(error(&[0xFF, 0xFE]).contains("binary"));
        assert!(error(b"1\x002").contains("binary"));
        assert!(error(&[0; 4096]).contains("empty"));
        assert!(error(&vec![b'1'; 100_000]).contains("longer"));
        fs::write(
            dir.path().join("x"),
            [b"7\n".as_slice(), &[0; 4094]].concat(),
        )
        .unwrap();
        assert_eq!(root.number("x"), Ok(7), "as tar copies it");
        assert!(
            root.attribute(".")
                .unwrap_err()
                .to_string()
                .contains("not a file")
        );
    }
}
