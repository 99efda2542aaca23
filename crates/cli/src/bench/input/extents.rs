//! The parts of a file that are taken: data, and no holes.
//!
//! A hole reads as zeroes that nobody stored: a virtual machine's memory file
//! has gigabytes of them where the guest never wrote.

use super::PAGE;
use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Neighbouring bytes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) offset: u64,
    pub(super) len: u64,
}

impl Extent {
    pub(super) fn end(self) -> u64 {
        self.offset + self.len
    }
}

/// What a source has of a file: extents in the file's order, one behind the
/// other.
#[derive(Debug, Default)]
pub(super) struct Extents {
    parts: Vec<Part>,
    len: u64,
}

/// Where an extent begins. It ends where the next one begins in the source.
#[derive(Debug)]
struct Part {
    in_source: u64,
    in_file: u64,
}

impl Extents {
    /// The data in `wanted`, in whole pages of 4 KiB counted from the
    /// beginning of each extent, and how many pages are left out because they
    /// are holes. `wanted` is in order.
    pub(super) fn with_data(file: &File, wanted: &[Extent]) -> (Self, u64) {
        let mut taken = Self::default();
        let mut holes = 0;
        for &extent in wanted {
            let before = taken.len;
            taken.add(file, extent);
            let data = (taken.len - before).div_ceil(PAGE as u64);
            holes += extent.len.div_ceil(PAGE as u64) - data;
        }
        (taken, holes)
    }

    fn add(&mut self, file: &File, extent: Extent) {
        let page = PAGE as u64;
        let mut at = extent.offset;
        while at < extent.end() {
            let Some(data) = next_data(file, at).filter(|&data| data < extent.end()) else {
                return;
            };
            let start = data - (data - extent.offset) % page;
            // Beyond `data` even if the file has changed since.
            let hole = next_hole(file, data).unwrap_or(u64::MAX).max(data + 1);
            let hole = hole.min(extent.end());
            let pages = (hole - extent.offset).div_ceil(page);
            let end = (extent.offset + pages * page).min(extent.end());
            self.push(start, end - start);
            at = end;
        }
    }

    fn push(&mut self, offset: u64, len: u64) {
        let follows = |last: &Part| last.in_file + (self.len - last.in_source) == offset;
        if !self.parts.last().is_some_and(follows) {
            self.parts.push(Part {
                in_source: self.len,
                in_file: offset,
            });
        }
        self.len += len;
    }

    /// Bytes of all extents.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Where in the file the last one ends.
    pub(super) fn end(&self) -> u64 {
        let last = self.parts.last();
        last.map_or(0, |last| last.in_file + (self.len - last.in_source))
    }

    /// Whether this is all of a file of `len` bytes.
    pub(super) fn is_all_of(&self, len: u64) -> bool {
        self.len == len && self.end() == len
    }

    /// The extents of the file that the source's bytes from `at` on come from,
    /// `len` of them.
    pub(super) fn of(&self, at: u64, len: u64) -> impl Iterator<Item = Extent> {
        let end = at.saturating_add(len).min(self.len);
        let first = self.parts.partition_point(|part| part.in_source <= at);
        let mut part = first.saturating_sub(1);
        let mut at = at;
        std::iter::from_fn(move || {
            let Part { in_source, in_file } = *self.parts.get(part).filter(|_| at < end)?;
            part += 1;
            let stop = self.parts.get(part).map_or(end, |next| next.in_source);
            let extent = Extent {
                offset: in_file + (at - in_source),
                len: stop.min(end) - at,
            };
            at += extent.len;
            Some(extent)
        })
    }

    /// All of it, into memory, which must have room.
    pub(super) fn read(&self, file: &File) -> io::Result<Vec<u8>> {
        let len = usize::try_from(self.len).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let mut bytes = vec![0; len];
        let mut rest = &mut bytes[..];
        for extent in self.of(0, self.len) {
            // Within `len`, which is a usize.
            let (part, behind) = rest.split_at_mut(extent.len as usize);
            file.read_exact_at(part, extent.offset)?;
            rest = behind;
        }
        Ok(bytes)
    }
}

/// Where data begins, at `at` or behind it; none if a hole goes on to the end.
/// A file system that does not know has data everywhere.
fn next_data(file: &File, at: u64) -> Option<u64> {
    match seek(file, SeekFrom::Data(at)) {
        Ok(data) => Some(data.max(at)),
        Err(Errno::NXIO) => None,
        Err(_) => Some(at),
    }
}

/// Where a hole begins, at `at` or behind it, if that is known.
fn next_hole(file: &File, at: u64) -> Option<u64> {
    seek(file, SeekFrom::Hole(at)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(offset: u64, len: u64) -> Extent {
        Extent { offset, len }
    }

    #[test]
    fn finds_its_way_back_to_the_file() {
        let mut extents = Extents::default();
        for (offset, len) in [(100, 10), (110, 5), (200, 7), (300, 1)] {
            extents.push(offset, len);
        }
        assert_eq!((extents.len(), extents.end()), (23, 301));
        let of = |at, len| extents.of(at, len).collect::<Vec<_>>();
        let all = [extent(100, 15), extent(200, 7), extent(300, 1)];
        assert_eq!(of(0, u64::MAX), all);
        assert_eq!(of(14, 3), [extent(114, 1), extent(200, 2)]);
        assert_eq!(of(15, 7), [extent(200, 7)]);
        assert_eq!(of(22, 1), [extent(300, 1)]);
        assert_eq!(of(23, 1), []);
        assert!(!extents.is_all_of(23));
    }

    /// Holes where the file system keeps them; whatever it does, no byte of
    /// data is lost and the pages add up.
    #[test]
    fn data_is_found_between_holes_on_any_grid() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(1 << 20).unwrap();
        file.write_all_at(&[1; 100], 300_000).unwrap();
        file.write_all_at(&[2; 9000], 600_000).unwrap();
        file.write_all_at(&[3; 1], (1 << 20) - 1).unwrap();
        for offset in [0, 123, 4096, 300_050] {
            let wanted = [extent(offset, (1 << 20) - offset)];
            let (extents, holes) = Extents::with_data(&file, &wanted);
            let pages = extents.len().div_ceil(PAGE as u64);
            assert_eq!(pages + holes, wanted[0].len.div_ceil(PAGE as u64));
            let bytes = extents.read(&file).unwrap();
            let count = |byte| bytes.iter().filter(|&&b| b == byte).count() as u64;
            let ones = 300_100u64.saturating_sub(offset.max(300_000));
            assert_eq!((count(1), count(2), count(3)), (ones, 9000, 1));
            for part in &extents.parts {
                assert_eq!((part.in_file - offset) % PAGE as u64, 0);
            }
        }
        file.set_len(0).unwrap();
        let (none, holes) = Extents::with_data(&file, &[extent(0, 10_000)]);
        assert_eq!((none.len(), holes), (0, 3), "a file that was cut short");
    }
}
