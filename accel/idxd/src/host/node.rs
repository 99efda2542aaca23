//! Device nodes of work queues.

use crate::root::{Reading, Root, Unread};
use serde::Serialize;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

/// Where the nodes are, below the root.
const DIRECTORY: &str = "dev/iax";
/// In a snapshot, what `ls -ln` says of them.
const LISTING: &str = "dev/iax/LISTING";

/// A node below `/dev/iax`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Node {
    /// Its name, which is that of its queue: `wq1.0`.
    pub name: String,
    /// Its permission bits.
    pub mode: u32,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Its major number.
    pub major: u32,
    /// Its minor number.
    pub minor: u32,
}

pub(super) fn look(root: &Root) -> Reading<Vec<Node>> {
    if root.exists(LISTING) {
        let listing = root.file(LISTING)?;
        let lines = listing.lines().filter(|line| !line.starts_with("total"));
        let nodes: Vec<Node> = lines.filter_map(of_listing).collect();
        if nodes.is_empty() && !listing.trim().is_empty() && !listing.starts_with("total") {
            return Err(Unread::Failed(
                "LISTING is not what `ls -ln` prints".to_owned(),
            ));
        }
        return Ok(nodes);
    }
    let node = |name: String| {
        let metadata = root.metadata(format!("{DIRECTORY}/{name}")).ok()?;
        if !metadata.file_type().is_char_device() {
            return None;
        }
        // As glibc's gnu_dev_major and gnu_dev_minor take them apart.
        let rdev = metadata.rdev();
        let major = (rdev >> 8 & 0xFFF) | (rdev >> 32 & !0xFFF);
        let minor = (rdev & 0xFF) | (rdev >> 12 & !0xFF);
        Some(Node {
            name,
            mode: metadata.mode() & 0o7777,
            uid: metadata.uid(),
            gid: metadata.gid(),
            major: major as u32,
            minor: minor as u32,
        })
    };
    Ok(root.list(DIRECTORY)?.into_iter().filter_map(node).collect())
}

/// A line of `ls -ln`: `crw-rw---- 1 0 1001 235, 0 Nov 22 10:00 wq1.0`.
fn of_listing(line: &str) -> Option<Node> {
    let line = line.replace(',', ", ");
    let mut fields = line.split_whitespace();
    let mode = fields.next()?;
    let mode = mode.strip_prefix('c')?.get(..9)?;
    let bit = |(i, c): (usize, char)| if c == '-' { 0 } else { 0o400 >> i };
    let mode = mode.chars().enumerate().map(bit).sum();
    let uid = fields.nth(1)?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    let major = fields.next()?.strip_suffix(',')?.parse().ok()?;
    let minor = fields.next()?.parse().ok()?;
    let name = fields.next_back()?;
    Some(Node {
        name: name.rsplit('/').next()?.to_owned(),
        mode,
        uid,
        gid,
        major,
        minor,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_is_read() {
        let node = of_listing("crw-rw----+ 1 0 1001 235, 3 Nov 22 10:00 wq1.0").unwrap();
        assert_eq!(
            node,
            Node {
                name: "wq1.0".to_owned(),
                mode: 0o660,
                uid: 0,
                gid: 1001,
                major: 235,
                minor: 3,
            }
        );
        let with_path = of_listing("crw------- 1 0 0 235,0 Nov 22 10:00 /dev/iax/wq1.0");
        assert_eq!(
            with_path.map(|node| (node.name, node.mode)),
            Some(("wq1.0".to_owned(), 0o600))
        );
        for wrong in [
            "total 0",
            "",
            "-rw-r--r-- 1 0 0 0 Nov 22 x",
            "crw",
            "cçççççç 1 0",
        ] {
            assert_eq!(of_listing(wrong), None, "{wrong}");
        }
    }
}
