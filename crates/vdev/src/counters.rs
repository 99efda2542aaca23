//! What happened, in all processes together: a file that they share.

#![expect(unsafe_code, reason = "processes share memory")]

use crate::config::COUNTERS;
use core::sync::atomic::{AtomicU64, Ordering};
use memmap2::{MmapOptions, MmapRaw};
use pagepress_abi::{Opcode, Status};
use std::fs::OpenOptions;
use std::io;
use std::path::Path;

/// Something that is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Count {
    /// Processes that the library was loaded into, those that `exec` began too.
    Processes,
    /// Nodes opened.
    Opened,
    /// Portals mapped.
    Mapped,
    /// Portals not mapped: EPERM.
    NotMapped,
    /// ENQCMDs and MOVDIR64Bs to a portal.
    Trapped,
    /// Descriptors in calls of `write(2)`.
    Written,
    /// Descriptors that a queue took.
    Accepted,
    /// Descriptors that a shared queue sent back.
    Retried,
    /// Descriptors that a dedicated queue lost, or that nobody took.
    Dropped,
    /// Descriptors that completed, in whatever way.
    Completed,
    /// Descriptors whose completion nobody could be told: SWERROR.
    Errors,
    /// Descriptors that never completed.
    Abandoned,
    /// Faults of the program's own.
    OwnFaults,
    /// Attempts to change what is served.
    Refused,
}

impl Count {
    /// All of them, in the order of their numbers, each with a name for JSON.
    pub const ALL: [(Self, &'static str); 14] = [
        (Self::Processes, "processes"),
        (Self::Opened, "opened"),
        (Self::Mapped, "mapped"),
        (Self::NotMapped, "not_mapped"),
        (Self::Trapped, "trapped"),
        (Self::Written, "written"),
        (Self::Accepted, "accepted"),
        (Self::Retried, "retried"),
        (Self::Dropped, "dropped"),
        (Self::Completed, "completed"),
        (Self::Errors, "errors"),
        (Self::Abandoned, "abandoned"),
        (Self::OwnFaults, "own_faults"),
        (Self::Refused, "refused"),
    ];
}

const STATUSES: usize = 256;
const OPCODES: usize = 256;
const WORDS: usize = Count::ALL.len() + STATUSES + OPCODES;

/// The counters. Whoever has them counts for all.
#[derive(Debug)]
pub struct Counters {
    words: MmapRaw,
}

impl Counters {
    /// Makes the file in a directory, with all counters at 0.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn create(directory: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = options
            .read(true)
            .write(true)
            .create_new(true)
            .open(directory.join(COUNTERS))?;
        file.set_len(size_of::<[AtomicU64; WORDS]>() as u64)?;
        let words = MmapOptions::new().map_raw(&file)?;
        Ok(Self { words })
    }

    /// Takes up those in a directory.
    ///
    /// # Errors
    /// If there are none.
    pub fn open(directory: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = options
            .read(true)
            .write(true)
            .open(directory.join(COUNTERS))?;
        if file.metadata()?.len() != size_of::<[AtomicU64; WORDS]>() as u64 {
            return Err(io::Error::from(io::ErrorKind::InvalidData));
        }
        let words = MmapOptions::new().map_raw(&file)?;
        Ok(Self { words })
    }

    fn words(&self) -> &[AtomicU64; WORDS] {
        // SAFETY: the mapping is a whole number of pages, as long as the array at
        // least, lives as long as `self`, and everybody touches it atomically. The
        // file keeps its length: nobody else knows of it.
        unsafe { &*self.words.as_ptr().cast() }
    }

    /// One more.
    pub fn add(&self, count: Count) {
        self.words()[count as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// One more descriptor with this operation that was taken.
    pub fn add_opcode(&self, opcode: Opcode) {
        let at = Count::ALL.len() + STATUSES + usize::from(opcode.0);
        self.words()[at].fetch_add(1, Ordering::Relaxed);
    }

    /// One more completion with this status.
    pub fn add_status(&self, status: Status) {
        let at = Count::ALL.len() + usize::from(status.0);
        self.words()[at].fetch_add(1, Ordering::Relaxed);
    }

    /// How often so far.
    #[must_use]
    pub fn get(&self, count: Count) -> u64 {
        self.words()[count as usize].load(Ordering::Relaxed)
    }

    /// Completions so far, by status; those there were.
    pub fn statuses(&self) -> impl Iterator<Item = (Status, u64)> + '_ {
        self.table(0, STATUSES).map(|(n, count)| (Status(n), count))
    }

    /// Descriptors taken so far, by operation; those there were.
    pub fn opcodes(&self) -> impl Iterator<Item = (Opcode, u64)> + '_ {
        self.table(STATUSES, OPCODES)
            .map(|(n, count)| (Opcode(n), count))
    }

    fn table(&self, from: usize, len: usize) -> impl Iterator<Item = (u8, u64)> + '_ {
        let words = self.words()[Count::ALL.len() + from..][..len].iter();
        let counts = words.map(|word| word.load(Ordering::Relaxed));
        (0..=u8::MAX).zip(counts).filter(|&(_, count)| count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_count_together() {
        let dir = tempfile::tempdir().unwrap();
        let ours = Counters::create(dir.path()).unwrap();
        let theirs = Counters::open(dir.path()).unwrap();
        for (number, (count, _)) in Count::ALL.into_iter().enumerate() {
            assert_eq!(count as usize, number);
        }
        theirs.add(Count::Refused);
        ours.add(Count::Refused);
        theirs.add_status(Status(0xFF));
        theirs.add_opcode(Opcode::NOOP);
        theirs.add_opcode(Opcode(0xFF));
        assert_eq!(ours.get(Count::Refused), 2);
        assert_eq!(ours.get(Count::OwnFaults), 0);
        assert_eq!(ours.statuses().collect::<Vec<_>>(), [(Status(0xFF), 1)]);
        let opcodes = [(Opcode::NOOP, 1), (Opcode(0xFF), 1)];
        assert_eq!(ours.opcodes().collect::<Vec<_>>(), opcodes);
        Counters::create(dir.path()).unwrap_err();
    }
}
