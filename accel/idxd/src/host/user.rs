//! Who is asking, and what they may do.

use crate::root::{Reading, Root, Unread};
use serde::Serialize;

/// Bit of `CAP_DAC_OVERRIDE`: permissions do not matter.
const DAC_OVERRIDE: u32 = 1;
/// Bit of `CAP_SYS_RAWIO`: portals may be mapped.
const SYS_RAWIO: u32 = 17;

/// The user of a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct User {
    /// Effective user id.
    pub uid: u32,
    /// Effective group id, and the others.
    pub gids: Vec<u32>,
    /// Effective capabilities, a bit each.
    pub capabilities: u64,
}

impl User {
    /// From `proc/self/status`; root with all capabilities if it is not there,
    /// as in a snapshot that somebody took apart.
    pub(super) fn look(root: &Root) -> Reading<Self> {
        let status = match root.file("proc/self/status") {
            Err(Unread::Missing) => {
                return Ok(Self {
                    uid: 0,
                    gids: vec![0],
                    capabilities: u64::MAX,
                });
            }
            status => status?,
        };
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.map(str::split_whitespace)
        };
        // Real, effective, saved, file system.
        let id = |name: &str| field(name)?.nth(1)?.parse::<u32>().ok();
        let groups = field("Groups:").into_iter().flatten();
        let groups = groups.filter_map(|gid| gid.parse().ok());
        let hex = |text: &str| u64::from_str_radix(text, 16).ok();
        let lacks = |what: &str| Unread::Failed(format!("no {what} in it"));
        Ok(Self {
            uid: id("Uid:").ok_or_else(|| lacks("user"))?,
            gids: id("Gid:").into_iter().chain(groups).collect(),
            capabilities: field("CapEff:")
                .and_then(|mut caps| hex(caps.next()?))
                .ok_or_else(|| lacks("capabilities"))?,
        })
    }

    /// Whether portals may be mapped that are kept from others.
    #[must_use]
    pub fn has_rawio(&self) -> bool {
        self.capabilities >> SYS_RAWIO & 1 != 0
    }

    /// Whether owners, groups and modes do not matter.
    #[must_use]
    pub fn ignores_modes(&self) -> bool {
        self.capabilities >> DAC_OVERRIDE & 1 != 0
    }

    /// Whether a file of this owner, group and mode may be read and written,
    /// access control lists aside.
    #[must_use]
    pub fn may_use(&self, uid: u32, gid: u32, mode: u32) -> bool {
        let bits = if self.uid == uid {
            mode >> 6
        } else if self.gids.contains(&gid) {
            mode >> 3
        } else {
            mode
        };
        self.ignores_modes() || bits & 0o6 == 0o6
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_groups_and_others() {
        let user = User {
            uid: 1000,
            gids: vec![1000, 44],
            capabilities: 0,
        };
        assert!(user.may_use(1000, 0, 0o600));
        assert!(
            !user.may_use(1000, 44, 0o066),
            "the owner's bits come first"
        );
        assert!(user.may_use(0, 44, 0o660));
        assert!(!user.may_use(0, 0, 0o660));
        assert!(user.may_use(0, 0, 0o666));
        let root = User {
            capabilities: 1 << DAC_OVERRIDE,
            ..user
        };
        assert!(root.may_use(0, 0, 0) && !root.has_rawio());
    }
}
