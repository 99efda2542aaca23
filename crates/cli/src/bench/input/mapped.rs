//! Files in memory, without a copy until one is asked for.

#![expect(unsafe_code, reason = "a mapping is read through its raw pointer")]

use memmap2::{MmapOptions, MmapRaw};
use std::fs::{File, Metadata};
use std::io::{self, ErrorKind};
use std::path::Path;

/// A regular file, mapped read-only.
///
/// Other processes may write to the file at any time, so its bytes are never
/// borrowed, only copied out. Should one cut it short, a look at its length
/// before every copy turns that into an error. What remains is a file cut
/// short during a copy, or a disk that fails: the kernel then ends this process
/// with SIGBUS, which only a signal handler could prevent. No result is
/// written in that case, so none can be wrong.
#[derive(Debug)]
pub(super) struct MappedFile {
    file: File,
    map: MmapRaw,
    len: u64,
}

/// The file lost bytes since it was mapped.
#[derive(Debug)]
pub(super) struct Shrunk;

impl MappedFile {
    /// Maps `file`, which is open for reading and has the metadata `found`.
    pub(super) fn new(file: File, found: &Metadata) -> io::Result<Self> {
        let len = found.len();
        let bytes = usize::try_from(len).map_err(|_| ErrorKind::FileTooLarge)?;
        let map = MmapOptions::new().len(bytes).map_raw_read_only(&file)?;
        Ok(Self { file, map, len })
    }

    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let found = file.metadata()?;
        if !found.is_file() {
            return Err(io::Error::other("no longer a regular file"));
        }
        Self::new(file, &found)
    }

    /// The length when it was mapped.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Copies the bytes from `offset` on into all of `to`.
    ///
    /// # Panics
    /// If they are not all below [`len`](Self::len).
    pub(super) fn copy(&self, offset: u64, to: &mut [u8]) -> Result<(), Shrunk> {
        let start = usize::try_from(offset).expect("an offset into a mapping fits usize");
        let end = start.checked_add(to.len()).expect("no overflow");
        assert!(end <= self.map.len(), "{end} is beyond {}", self.map.len());
        let now = self.file.metadata().map_err(|_| Shrunk)?.len();
        if now < end as u64 {
            return Err(Shrunk);
        }
        let from = self.map.as_ptr().wrapping_add(start);
        // SAFETY: `self.map` is a live, readable mapping of `self.map.len()`
        // bytes, borrowed for this call, and the assertion above keeps
        // `from..from + to.len()` inside it. `to` is a live `&mut` slice of
        // the Rust heap or stack, so it cannot overlap a mapping that this
        // value alone owns. No Rust reference to the mapped bytes ever exists,
        // so nothing assumes that they do not change: if another process
        // writes to the file meanwhile, the copy holds old or new bytes, and
        // every `u8` is valid. Nothing in this process writes to the mapping,
        // which the kernel holds read-only.
        unsafe { std::ptr::copy_nonoverlapping(from, to.as_mut_ptr(), to.len()) };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::OpenOptions;

    #[test]
    fn copies_what_is_there_and_sees_what_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let bytes: Vec<u8> = (0..10_000u32).map(|i| i as u8).collect();
        std::fs::write(&path, &bytes).unwrap();
        let mapped = MappedFile::open(&path).unwrap();
        assert_eq!(mapped.len(), 10_000);
        let mut copy = vec![0; 5_000];
        mapped.copy(5_000, &mut copy).unwrap();
        assert_eq!(copy, bytes[5_000..]);

        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(4_096).unwrap();
        assert!(mapped.copy(5_000, &mut copy).is_err());
        assert!(mapped.copy(0, &mut copy[..4_096]).is_ok());
    }

    #[test]
    #[should_panic(expected = "is beyond")]
    fn never_reads_beyond_the_mapping() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, [1; 100]).unwrap();
        let mapped = MappedFile::open(&path).unwrap();
        // The file grows; the mapping does not.
        std::fs::write(&path, [1; 9_000]).unwrap();
        let _ = mapped.copy(0, &mut [0; 8_192]);
    }
}
