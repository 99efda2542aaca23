//! A tree of files, before it is on a disk.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::Path;

/// The mode of what nobody may write to.
const READ_ONLY: u32 = 0o444;
/// The mode of what the kernel lets root write to.
const WRITABLE: u32 = 0o644;
/// The mode of directories.
const DIRECTORY: u32 = 0o755;

/// What is at a path. Directories are there by what is in them.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Entry {
    File { content: Vec<u8>, mode: u32 },
    Link(String),
}

/// Files and links by path, without a slash in front.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    entries: BTreeMap<String, Entry>,
}

impl Tree {
    /// A file that is all of `content`, with this mode.
    pub fn file_with_mode(&mut self, path: &str, content: impl Into<Vec<u8>>, mode: u32) {
        let content = content.into();
        let file = Entry::File { content, mode };
        self.entries.insert(path.to_owned(), file);
    }

    /// A file that is all of `content`, for reading.
    pub fn file(&mut self, path: &str, content: impl Into<Vec<u8>>) {
        self.file_with_mode(path, content, READ_ONLY);
    }

    /// A file of one line, as attributes are, for reading.
    pub fn line(&mut self, path: &str, line: impl AsRef<str>) {
        self.file(path, format!("{}\n", line.as_ref()));
    }

    /// A file of one line that root may write to.
    pub fn writable_line(&mut self, path: &str, line: impl AsRef<str>) {
        self.file_with_mode(path, format!("{}\n", line.as_ref()), WRITABLE);
    }

    /// A symbolic link.
    pub fn link(&mut self, path: &str, target: &str) {
        let target = Entry::Link(target.to_owned());
        self.entries.insert(path.to_owned(), target);
    }

    /// The content of a file.
    #[must_use]
    pub fn content(&self, path: &str) -> Option<&[u8]> {
        match self.entries.get(path)? {
            Entry::File { content, .. } => Some(content),
            Entry::Link(_) => None,
        }
    }

    /// Takes away what is at a path and below it; whether there was anything.
    pub fn remove(&mut self, path: &str) -> bool {
        let below = format!("{path}/");
        let before = self.entries.len();
        self.retain(|name| name != path && !name.starts_with(&below));
        self.entries.len() < before
    }

    /// Keeps what `keep` says of a path.
    pub fn retain(&mut self, mut keep: impl FnMut(&str) -> bool) {
        self.entries.retain(|name, _| keep(name));
    }

    /// Does something to the content of files.
    pub fn each_file(&mut self, mut edit: impl FnMut(&str, &mut Vec<u8>)) {
        for (path, entry) in &mut self.entries {
            if let Entry::File { content, .. } = entry {
                edit(path, content);
            }
        }
    }

    /// Writes all of it below a directory, which is made if it is not there.
    ///
    /// # Errors
    /// If something cannot be written, or is there already.
    pub fn write(&self, to: &Path) -> io::Result<()> {
        fs::create_dir_all(to)?;
        let mut made = BTreeSet::new();
        for (path, entry) in &self.entries {
            for (end, _) in path.match_indices('/') {
                let directory = &path[..end];
                if made.insert(directory) {
                    make_directory(&to.join(directory))?;
                }
            }
            let path = to.join(path);
            match entry {
                Entry::File { content, mode } => write_file(&path, content, *mode)?,
                Entry::Link(target) => symlink(target, path)?,
            }
        }
        Ok(())
    }
}

// Modes are set once more, as the umask has a say in those of what is made.

fn make_directory(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        Err(_) => Ok(()),
        Ok(()) => fs::set_permissions(path, Permissions::from_mode(DIRECTORY)),
    }
}

fn write_file(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(content)?;
    file.set_permissions(Permissions::from_mode(mode))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{Device, Place};
    use crate::profile::Profile;
    use std::path::PathBuf;

    /// A directory of this test's own, which goes with it.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let name = format!("pagepress-{name}-{}", std::process::id());
            let path = std::env::temp_dir().join(name);
            fs::create_dir(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn what_is_written_has_its_modes() {
        let scratch = Scratch::new("tree-modes");
        let mut tree = Tree::default();
        tree.line("a/b/attribute", "7");
        tree.writable_line("a/b/setting", "8");
        tree.file_with_mode("a/node", "", 0o666);
        tree.link("a/link", "b/setting");
        tree.write(&scratch.0.join("new")).unwrap();
        let at = |path: &str| scratch.0.join("new").join(path);
        for (path, mode) in [
            ("a", 0o755),
            ("a/b", 0o755),
            ("a/b/attribute", 0o444),
            ("a/b/setting", 0o644),
            ("a/node", 0o666),
        ] {
            let mode_now = fs::metadata(at(path)).unwrap().permissions().mode();
            assert_eq!(mode_now & 0o7777, mode, "{path}");
        }
        assert_eq!(fs::read_to_string(at("a/link")).unwrap(), "8\n");
        // Never over something else.
        assert!(tree.write(&scratch.0.join("new")).is_err());
    }

    #[test]
    fn parts_are_taken_away_whole() {
        let mut tree = Tree::default();
        for path in ["a", "a/b", "a/c/d", "ab"] {
            tree.file(path, path);
        }
        assert!(tree.remove("a"));
        assert!(!tree.remove("a"));
        assert_eq!(tree.content("ab"), Some(&b"ab"[..]));
    }

    /// A link that led astray would be seen by nobody who only lists.
    #[test]
    fn every_link_of_a_device_leads_somewhere() {
        let scratch = Scratch::new("tree-links");
        let mut tree = Tree::default();
        crate::host::drivers(&mut tree);
        let device = Device {
            id: 1,
            address: "0000:6a:02.0".to_owned(),
            place: Place {
                node: Some(0),
                local_cpus: "0".to_owned(),
            },
            profile: Profile::GEN1,
            groups: 4,
            queues: Vec::new(),
            major: 235,
            modelled: false,
        };
        device.put(&mut tree);
        tree.write(&scratch.0).unwrap();
        let mut links = 0;
        for (path, entry) in &tree.entries {
            if matches!(entry, Entry::Link(_)) {
                links += 1;
                let real = fs::canonicalize(scratch.0.join(path));
                let real = real.unwrap_or_else(|error| panic!("{path}: {error}"));
                assert!(real.starts_with(fs::canonicalize(&scratch.0).unwrap()));
                let name = |path: &Path| path.file_name().unwrap().to_owned();
                if path.contains("/devices/") && path.starts_with("sys/bus") {
                    assert_eq!(name(&real), name(Path::new(path)));
                }
            }
        }
        // Twice for each of 21 things on the bus, and what binds two to drivers.
        assert_eq!(links, 2 * 21 + 2 * 2 + 2);
    }
}
