//! The kernel: its release, its command line, its modules.

use crate::host::reading;
use crate::root::{Reading, Root, Unread};
use core::fmt;
use serde::{Serialize, Serializer};

/// What the kernel says of itself.
#[derive(Debug, Clone, Serialize)]
pub struct Kernel {
    /// Its release.
    #[serde(serialize_with = "reading")]
    pub release: Reading<Release>,
    /// Its command line.
    #[serde(serialize_with = "reading")]
    pub command_line: Reading<String>,
    /// Whether the idxd driver is loaded, or built in.
    pub idxd: bool,
    /// Whether the kernel's crypto driver for IAA is loaded.
    pub iaa_crypto: bool,
    /// Whether pages move between NUMA nodes by themselves.
    pub numa_balancing: Option<bool>,
}

/// A release such as `6.8.10-generic`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    text: String,
    /// The numbers in front: 6, 8, 10.
    pub version: (u32, u32, u32),
}

impl Release {
    /// Reads a release.
    ///
    /// # Errors
    /// If it does not begin with a version.
    pub fn parse(text: &str) -> Reading<Self> {
        let mut numbers = text.split(|c: char| !c.is_ascii_digit());
        let mut number = || numbers.next().and_then(|n| n.parse().ok());
        let version = match (number(), number(), number()) {
            (Some(major), Some(minor), patch) => (major, minor, patch.unwrap_or(0)),
            _ => {
                let text = crate::root::short(text);
                return Err(Unread::Failed(format!("`{text}` is no kernel release")));
            }
        };
        Ok(Self {
            text: text.to_owned(),
            version,
        })
    }

    /// Whether portals of 4th and 5th generation Xeons may only be mapped with
    /// `CAP_SYS_RAWIO`, and `write(2)` submits instead: mainline 6.10 (commits
    /// `e11452eb071b` and `6827738dc684`) and stable 6.9.1, 6.8.10, 6.6.31 and
    /// 6.1.91. Distributions have brought it to older kernels as well, which
    /// this cannot know.
    #[must_use]
    pub fn guards_portals(&self) -> bool {
        let (major, minor, patch) = self.version;
        match (major, minor) {
            (6, 1) => patch >= 91,
            (6, 6) => patch >= 31,
            (6, 8) => patch >= 10,
            (6, 9) => patch >= 1,
            other => other >= (6, 10),
        }
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Release {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Kernel {
    pub(super) fn look(root: &Root) -> Self {
        let modules = root.file("proc/modules").unwrap_or_default();
        let loaded = |name: &str| {
            let is_it = |line: &str| line.split_whitespace().next() == Some(name);
            modules.lines().any(is_it) || root.exists(format!("sys/module/{name}"))
        };
        let balancing = root.number("proc/sys/kernel/numa_balancing");
        Self {
            release: root
                .attribute("proc/sys/kernel/osrelease")
                .and_then(|text| Release::parse(&text)),
            command_line: root.attribute("proc/cmdline"),
            idxd: loaded("idxd"),
            iaa_crypto: loaded("iaa_crypto"),
            numa_balancing: balancing.ok().map(|on| on != 0),
        }
    }

    /// Whether the command line has a word.
    #[must_use]
    pub fn was_told(&self, word: &str) -> bool {
        let line = self.command_line.as_deref().unwrap_or_default();
        line.split_whitespace().any(|w| w == word)
    }

    /// Whether the command line turns on the IOMMU in scalable mode.
    #[must_use]
    pub fn wants_scalable_iommu(&self) -> bool {
        let line = self.command_line.as_deref().unwrap_or_default();
        let mut options = line
            .split_whitespace()
            .filter_map(|w| w.strip_prefix("intel_iommu="));
        let has = |options: &str, option| options.split(',').any(|o| o == option);
        options.any(|o| has(o, "on") && has(o, "sm_on"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_kernels_guard_portals() {
        for (release, guards) in [
            ("5.14.0-427.el9.x86_64", false),
            ("6.1.90", false),
            ("6.1.91-amd64", true),
            ("6.2.0", false),
            ("6.6.30", false),
            ("6.6.31", true),
            ("6.7.12", false),
            ("6.8.0-45-generic", false),
            ("6.8.10", true),
            ("6.9.0", false),
            ("6.9.1", true),
            ("6.10-rc1", true),
            ("6.10", true),
            ("7.0.0", true),
        ] {
            let release = Release::parse(release).unwrap();
            assert_eq!(release.guards_portals(), guards, "{release}");
        }
        for wrong in ["", "x", "6", "6.x"] {
            assert!(Release::parse(wrong).is_err(), "{wrong}");
        }
    }
}
