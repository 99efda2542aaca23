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
    /// Whether a listing says that it has an access control list too.
    pub acl: bool,
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
        let nodes: Vec<Node> = listing.lines().filter_map(of_listing).collect();
        // Of an empty directory, `ls` still says a total.
        let mut lines = listing.lines().filter(|line| !line.trim().is_empty());
        let is_listing = lines.next().is_some_and(|line| line.starts_with("total"))
            && lines.all(|line| line.starts_with(['-', 'd', 'l']));
        if nodes.is_empty() && !is_listing {
            return Err(Unread::failed("LISTING is not what `ls -ln` prints"));
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
            acl: false,
            uid: metadata.uid(),
            gid: metadata.gid(),
            major: major as u32,
            minor: minor as u32,
        })
    };
    let names = root.list(DIRECTORY)?;
    let any = !names.is_empty();
    let nodes: Vec<Node> = names.into_iter().filter_map(node).collect();
    if nodes.is_empty() && any {
        return Err(Unread::failed(
            "no device nodes there, and no LISTING of them, as `ls -ln` prints it",
        ));
    }
    Ok(nodes)
}

/// A line of `ls -ln`: `crw-rw---- 1 0 1001 235, 0 Nov 22 10:00 wq1.0`.
fn of_listing(line: &str) -> Option<Node> {
    let line = line.replace(',', ", ");
    let mut fields = line.split_whitespace();
    let mode = fields.next()?.strip_prefix('c')?;
    let acl = mode.get(9..) == Some("+");
    let mode = mode.get(..9)?;
    let bit = |(i, c): (usize, char)| if c == '-' { 0 } else { 0o400 >> i };
    let mode = mode.chars().enumerate().map(bit).sum();
    let uid = fields.nth(1)?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    let major = fields.next()?.strip_suffix(',')?.parse().ok()?;
    let minor = fields.next()?.parse().ok()?;
    let name = fields.next_back()?.rsplit('/').next()?;
    // The last line of a truncated listing may end anywhere.
    let (device, queue) = name.strip_prefix("wq")?.split_once('.')?;
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !number(device) || !number(queue) {
        return None;
    }
    Some(Node {
        name: name.to_owned(),
        mode,
        acl,
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
                acl: true,
                uid: 0,
                gid: 1001,
                major: 235,
                minor: 3,
            }
        );
        let with_path = of_listing("crw------- 1 0 0 235,0 Nov 22 10:00 /dev/iax/wq1.0");
        assert_eq!(
            with_path.map(|node| (node.name, node.mode, node.acl)),
            Some(("wq1.0".to_owned(), 0o600, false))
        );
        for wrong in [
            "total 0",
            "",
            "-rw-r--r-- 1 0 0 0 Nov 22 x",
            "crw",
            "crw------- 1 0 0 235, 0 Nov 22 10:00 wq1.",
            "crw------- 1 0 0 235, 0 N",
            "cçççççç 1 0",
        ] {
            assert_eq!(of_listing(wrong), None, "{wrong}");
        }
    }
}
