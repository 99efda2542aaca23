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
    #[serde(serialize_with = "reading")]
    pub idxd: Reading<bool>,
    /// Whether the kernel's crypto driver for IAA is loaded.
    #[serde(serialize_with = "reading")]
    pub iaa_crypto: Reading<bool>,
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
            _ => return Err(Unread::instead_of(text, "a kernel's release")),
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
        let (modules, in_sys) = (root.file("proc/modules"), root.list("sys/module"));
        let loaded = |name: &str| {
            let is_it = |line: &str| line.split_whitespace().next() == Some(name);
            match (&modules, &in_sys) {
                (Err(unread), Err(_)) => Err(unread.clone()),
                (modules, in_sys) => {
                    let mut lines = modules.iter().flat_map(|modules| modules.lines());
                    Ok(lines.any(is_it) || in_sys.iter().flatten().any(|module| module == name))
                }
            }
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

    /// Whether the command line turns on the IOMMU in scalable mode. Options
    /// add up, and the last of a kind holds.
    #[must_use]
    pub fn wants_scalable_iommu(&self) -> bool {
        let line = self.command_line.as_deref().unwrap_or_default();
        let words = line.split_whitespace();
        let options = words.filter_map(|word| word.strip_prefix("intel_iommu="));
        let (mut on, mut scalable) = (false, false);
        for option in options.flat_map(|options| options.split(',')) {
            match option {
                "on" => on = true,
                "off" => on = false,
                "sm_on" => scalable = true,
                "sm_off" => scalable = false,
                _ => {}
            }
        }
        on && scalable
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_the_iommu() {
        let wants = |line: &str| {
            let kernel = Kernel {
                release: Err(Unread::Missing),
                command_line: Ok(line.to_owned()),
                idxd: Ok(true),
                iaa_crypto: Ok(false),
                numa_balancing: None,
            };
            kernel.wants_scalable_iommu()
        };
        assert!(wants("ro intel_iommu=on,sm_on quiet"));
        assert!(wants("intel_iommu=sm_on,strict intel_iommu=on"));
        for off in [
            "",
            "intel_iommu=on",
            "intel_iommu=sm_on",
            "intel_iommu=on,sm_on intel_iommu=off",
            "intel_iommu=on,sm_off",
            "xintel_iommu=on,sm_on",
        ] {
            assert!(!wants(off), "{off}");
        }
    }

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
