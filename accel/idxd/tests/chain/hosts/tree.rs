//! A tree of files, before it is on a disk.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

/// What is at a path. Directories are there by what is in them.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Entry {
    File(Vec<u8>),
    Link(String),
}

/// Files and links by path, without a slash in front.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tree {
    entries: BTreeMap<String, Entry>,
}

impl Tree {
    /// A file that is all of `content`.
    pub(crate) fn file(&mut self, path: &str, content: impl Into<Vec<u8>>) {
        let content = Entry::File(content.into());
        self.entries.insert(path.to_owned(), content);
    }

    /// A file of one line, as attributes are.
    pub(crate) fn line(&mut self, path: &str, line: impl AsRef<str>) {
        self.file(path, format!("{}\n", line.as_ref()));
    }

    /// A symbolic link.
    pub(crate) fn link(&mut self, path: &str, target: &str) {
        let target = Entry::Link(target.to_owned());
        self.entries.insert(path.to_owned(), target);
    }

    /// The content of a file, which has to be there.
    pub(crate) fn text(&self, path: &str) -> String {
        match self.entries.get(path) {
            Some(Entry::File(content)) => String::from_utf8(content.clone()).expect("text"),
            other => panic!("{path} is {other:?}"),
        }
    }

    /// Takes away what is at a path and below it, which has to be there.
    pub(crate) fn remove(&mut self, path: &str) {
        let below = format!("{path}/");
        let before = self.entries.len();
        self.entries
            .retain(|name, _| name != path && !name.starts_with(&below));
        assert!(self.entries.len() < before, "{path} is not there");
    }

    /// Takes away all that `is_it` says of a path.
    pub(crate) fn remove_all(&mut self, is_it: impl Fn(&str) -> bool) {
        self.entries.retain(|name, _| !is_it(name));
    }

    /// Does something to the content of files.
    pub(crate) fn each_file(&mut self, mut edit: impl FnMut(&str, &mut Vec<u8>)) {
        for (path, entry) in &mut self.entries {
            if let Entry::File(content) = entry {
                edit(path, content);
            }
        }
    }

    /// Writes all of it below a directory.
    pub(crate) fn write(&self, to: &Path) -> io::Result<()> {
        fs::create_dir_all(to)?;
        let mut made = BTreeSet::new();
        for (path, entry) in &self.entries {
            let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
            if made.insert(parent) {
                fs::create_dir_all(to.join(parent))?;
            }
            let path = to.join(path);
            match entry {
                Entry::File(content) => fs::write(path, content)?,
                Entry::Link(target) => symlink(target, path)?,
            }
        }
        Ok(())
    }
}
