//! Which addresses of a process are portals.

use core::sync::atomic::{AtomicI32, AtomicU64, AtomicUsize, Ordering};

/// Bytes of a portal.
pub const PORTAL: u64 = 4096;
/// The most portals that a process may have mapped.
pub const MOST: usize = 1024;

/// One that is mapped.
#[derive(Debug)]
struct Entry {
    /// 0 while it is nobody's.
    address: AtomicU64,
    node: AtomicUsize,
    /// Keeps the opening of the node, as a mapping does.
    fd: AtomicI32,
}

/// The portals of this process. A look at them takes no lock: signal handlers look.
#[derive(Debug)]
pub struct Portals {
    entries: [Entry; MOST],
    /// Those from here on never were anybody's.
    used: AtomicUsize,
}

/// Of an entry that somebody is just filling.
const CLAIMED: u64 = 1;

impl Default for Portals {
    fn default() -> Self {
        Self::new()
    }
}

impl Portals {
    /// None yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            entries: [const {
                Entry {
                    address: AtomicU64::new(0),
                    node: AtomicUsize::new(0),
                    fd: AtomicI32::new(-1),
                }
            }; MOST],
            used: AtomicUsize::new(0),
        }
    }

    /// Whether there may be any.
    #[must_use]
    pub fn any(&self) -> bool {
        self.used.load(Ordering::Acquire) > 0
    }

    /// The page at this address is a portal of this node from now on; false if there
    /// are too many.
    pub fn add(&self, address: u64, node: usize, fd: i32) -> bool {
        for (at, entry) in self.entries.iter().enumerate() {
            let claim =
                entry
                    .address
                    .compare_exchange(0, CLAIMED, Ordering::Acquire, Ordering::Relaxed);
            if claim.is_ok() {
                entry.node.store(node, Ordering::Relaxed);
                entry.fd.store(fd, Ordering::Relaxed);
                entry.address.store(address, Ordering::Release);
                self.used.fetch_max(at + 1, Ordering::Release);
                return true;
            }
        }
        false
    }

    /// The node of the portal that an address lies in.
    #[must_use]
    pub fn node_at(&self, address: u64) -> Option<usize> {
        let page = address & !(PORTAL - 1);
        let entry = self
            .used()
            .find(|entry| page != 0 && entry.address.load(Ordering::Acquire) == page)?;
        Some(entry.node.load(Ordering::Relaxed))
    }

    /// Whether a range lies in a portal.
    #[must_use]
    pub fn is_within(&self, address: u64, len: usize) -> bool {
        len > 0 && self.node_at(address).is_some() && address % PORTAL + len as u64 <= PORTAL
    }

    /// The portals that a range touches.
    pub fn each_touched_by(&self, address: u64, len: usize, mut visit: impl FnMut(u64)) {
        for entry in self.used() {
            let portal = entry.address.load(Ordering::Acquire);
            if overlap(portal, address, len) {
                visit(portal);
            }
        }
    }

    /// The portals that a range touches are none any more; `close` gets what kept
    /// their nodes open.
    pub fn remove(&self, address: u64, len: usize, mut close: impl FnMut(i32)) {
        for entry in self.used() {
            let portal = entry.address.load(Ordering::Acquire);
            if !overlap(portal, address, len) {
                continue;
            }
            let claim = entry.address.compare_exchange(
                portal,
                CLAIMED,
                Ordering::Acquire,
                Ordering::Relaxed,
            );
            if claim.is_ok() {
                close(entry.fd.swap(-1, Ordering::Relaxed));
                entry.address.store(0, Ordering::Release);
            }
        }
    }

    fn used(&self) -> impl Iterator<Item = &Entry> {
        self.entries[..self.used.load(Ordering::Acquire)].iter()
    }
}

fn overlap(portal: u64, address: u64, len: usize) -> bool {
    portal > CLAIMED && portal < address.saturating_add(len as u64) && address < portal + PORTAL
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn portals_come_and_go() {
        let portals = Portals::new();
        assert!(!portals.any());
        assert!(portals.add(0x7000, 3, 10));
        assert!(portals.add(0x9000, 4, 11));
        assert_eq!(portals.node_at(0x7FFF), Some(3));
        assert_eq!(portals.node_at(0x9000), Some(4));
        for outside in [0, 0x6FFF, 0x8000, 0xA000] {
            assert_eq!(portals.node_at(outside), None);
        }
        let touched = |address, len| {
            let mut touched = Vec::new();
            portals.each_touched_by(address, len, |portal| touched.push(portal));
            touched
        };
        assert_eq!(touched(0x6000, 0x1001), [0x7000]);
        assert_eq!(touched(0x7FFF, 0x1002), [0x7000, 0x9000]);
        assert!(touched(0x6000, 0x1000).is_empty());
        assert!(portals.is_within(0x7000, 4096) && portals.is_within(0x9FFF, 1));
        for (address, len) in [(0x7001, 4096), (0x6FFF, 2), (0x7000, 0), (0x8000, 1)] {
            assert!(!portals.is_within(address, len), "{address:#x} {len}");
        }
        let mut closed = Vec::new();
        portals.remove(0x7800, 1, |fd| closed.push(fd));
        assert_eq!(closed, [10]);
        assert_eq!(portals.node_at(0x7000), None);
        assert!(portals.add(0x7000, 5, 12));
        portals.remove(0, usize::MAX, |fd| closed.push(fd));
        closed.sort_unstable();
        assert_eq!(closed, [10, 11, 12]);
        assert!(touched(0, usize::MAX).is_empty());
    }

    #[test]
    fn there_is_an_end_to_them() {
        let portals = Portals::new();
        for n in 1..=MOST as u64 {
            assert!(portals.add(n * PORTAL, 0, -1));
        }
        assert!(!portals.add(1 << 40, 0, -1));
    }
}
