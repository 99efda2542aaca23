//! Why there is no device to compress with.

use core::fmt;

/// The first link that is missing between a program and an IAA device: what
/// `pagepress doctor` finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unavailable {
    link: &'static str,
    found: Box<str>,
    fix: Box<[String]>,
}

impl Unavailable {
    #[cfg(feature = "iaa")]
    pub(crate) fn of(link: &pagepress_idxd::chain::Link) -> Self {
        Self {
            link: link.name.name(),
            found: link.found.as_str().into(),
            fix: link.fix.clone().into(),
        }
    }

    /// Nothing can be said of this host, or, without the feature `iaa`, nobody
    /// looked.
    pub(crate) fn unseen(why: &str) -> Self {
        Self {
            link: "host",
            found: why.into(),
            fix: Box::default(),
        }
    }

    /// There are queues, and none of them answers.
    #[cfg(feature = "iaa")]
    pub(crate) fn silent(why: &str) -> Self {
        Self {
            link: "noop",
            found: why.into(),
            fix: Box::new(["pagepress doctor --probe".to_owned()]),
        }
    }

    /// The link's name: `cpu`, `pci`, `driver`, `iommu`, `device`, `engines`,
    /// `wq-enabled`, `wq-type`, `wq-mode`, `wq-ops`, `node`, `permission`,
    /// `submission`, or `noop`; `host` if there was nothing to look at.
    #[must_use]
    pub const fn link(&self) -> &'static str {
        self.link
    }

    /// What was found.
    #[must_use]
    pub fn found(&self) -> &str {
        &self.found
    }

    /// Commands that mend it, most of them for root; those that begin with `#`
    /// are what no command does.
    #[must_use]
    pub fn fix(&self) -> &[String] {
        &self.fix
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.link, self.found)?;
        match self.fix.iter().find(|fix| !fix.starts_with('#')) {
            Some(command) => write!(f, "; mend it with: {command}"),
            None => Ok(()),
        }
    }
}

impl core::error::Error for Unavailable {}
