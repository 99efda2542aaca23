//! Who else touches what a descriptor has lent to the device.
//!
//! From the moment a queue takes a descriptor until it completes, or the device
//! has forgotten it, what the device may write belongs to the device: the
//! destination, the AECS half that is written, the completion record. A
//! [`Watch`] that stands over a [device](crate::device::Device::watched_by)
//! fills the destination with a pattern of its own when a descriptor is taken,
//! keeps copies of the rest, and looks at the end whether anything has changed.
//! It also compares every descriptor with all that are open.
//!
//! What it finds are [`Violation`]s, recorded and counted. Sources are a case of
//! their own: a client that has given up on a descriptor may do what it likes
//! with its page, so a [changed source](Watch::changed_sources) is counted
//! beside the violations. Tables outlive descriptors, and a change of these is
//! one.
//!
//! The watch goes through the kernel for every byte, so that a client that
//! breaks the rules, or has unmapped its page, is found out and not crashed.

#![expect(unsafe_code, reason = "descriptors name the client's memory")]

mod pattern;

use crate::check::{aecs_halves, reads_aecs, writes_aecs, writes_dst};
use crate::device::{Queue, Taken};
use crate::memory::{Checked, Memory};
use core::fmt;
use pagepress_abi::flags::op;
use pagepress_abi::{CompletionRecord, Descriptor, Opcode};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a client must not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// The record's status was not 0 when the descriptor was taken.
    RecordNotClear,
    /// What it writes is written by another open descriptor.
    WrittenTwice,
    /// What it writes is read by another open descriptor.
    SourceOverwritten,
    /// What it reads is written by another open descriptor.
    ReadTooEarly,
    /// Somebody else wrote to the destination.
    DestinationTouched,
    /// Somebody else wrote to the completion record.
    RecordTouched,
    /// Somebody else wrote to the AECS half that the device writes.
    AecsTouched,
    /// Somebody wrote to the AECS half that the device reads.
    TablesChanged,
}

/// Something that a client did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Violation {
    /// What.
    pub kind: Kind,
    /// The descriptor it is about.
    pub descriptor: Descriptor,
    /// Its number among all taken under this watch, from 1.
    pub number: u64,
    /// How many had been taken when this was found.
    pub found_at: u64,
    /// The number of the open descriptor that it collides with, if it does.
    pub other: Option<u64>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, number, .. } = self;
        write!(f, "descriptor {number}: {kind:?}")?;
        if let Some(other) = self.other {
            write!(f, " with descriptor {other}")?;
        }
        write!(f, ", found after {}: {:?}", self.found_at, self.descriptor)
    }
}

/// Bytes of a destination that are filled and looked at, from its start.
const FILLED: u64 = 1 << 20;

/// Violations that are kept; beyond these they are only counted.
const KEPT: usize = 100;

/// Looks after the memory of open descriptors. Clones are the same watch, which
/// may stand over any number of devices.
#[derive(Clone)]
pub struct Watch {
    memory: Checked,
    log: Arc<Mutex<Log>>,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("violations", &self.count())
            .finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Log {
    taken: u64,
    open: Vec<Open>,
    kept: Vec<Violation>,
    violations: u64,
    changed_sources: u64,
}

/// A descriptor that has not completed.
struct Open {
    number: u64,
    regions: Regions,
    queue: Queue,
    taken: Taken,
}

/// What a descriptor names: start and length.
#[derive(Debug, Clone, Copy)]
struct Regions {
    /// Destination, written AECS, record.
    written: [(u64, u64); 3],
    /// Source 1, read AECS.
    read: [(u64, u64); 2],
}

impl Regions {
    fn of(d: &Descriptor) -> Self {
        let region =
            |used: bool, start: u64, len: usize| (start, if used { len as u64 } else { 0 });
        let data = d.opcode() != Opcode::NOOP && d.opcode() != Opcode::DRAIN;
        let (read, written) = aecs_halves(d);
        let aecs = d.src2_len as usize;
        Self {
            written: [
                region(writes_dst(d), d.dst, d.dst_max as usize),
                region(writes_aecs(d), written, aecs),
                region(has_record(d), d.completion, CompletionRecord::BYTES),
            ],
            read: [
                region(data, d.src1, d.src1_len as usize),
                region(reads_aecs(d), read, aecs),
            ],
        }
    }

    /// How this new descriptor collides with one that is open.
    fn collision(&self, open: &Self) -> Option<Kind> {
        let meet = |a: &[(u64, u64)], b: &[(u64, u64)]| {
            let overlap = |&(s, n): &(u64, u64), &(t, m): &(u64, u64)| {
                s.max(t) < s.saturating_add(n).min(t.saturating_add(m))
            };
            a.iter().any(|x| b.iter().any(|y| overlap(x, y)))
        };
        if meet(&self.written, &open.written) {
            Some(Kind::WrittenTwice)
        } else if meet(&self.written, &open.read) {
            Some(Kind::SourceOverwritten)
        } else if meet(&self.read, &open.written) {
            Some(Kind::ReadTooEarly)
        } else {
            None
        }
    }
}

fn has_record(d: &Descriptor) -> bool {
    d.op_flags() & op::CRAV != 0
}

impl Watch {
    /// A watch that has seen nothing.
    ///
    /// # Errors
    /// As for [`Checked::new`].
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            memory: Checked::new()?,
            log: Arc::default(),
        })
    }

    /// How many violations there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.log().violations
    }

    /// The first of them.
    #[must_use]
    pub fn violations(&self) -> Vec<Violation> {
        self.log().kept.clone()
    }

    /// Descriptors whose source 1 was another one, or gone, when they
    /// completed. Who has given up on a descriptor may do that.
    #[must_use]
    pub fn changed_sources(&self) -> u64 {
        self.log().changed_sources
    }

    /// Descriptors that have not completed, nor been forgotten by a reset.
    #[must_use]
    pub fn open(&self) -> usize {
        let mut log = self.log();
        log.forget();
        log.open.len()
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Watches over a descriptor that a queue has just taken. `runs` says
    /// whether it passed all checks; if not, only its record is written.
    ///
    /// # Safety
    /// What the descriptor has written is the device's from now on.
    pub(crate) unsafe fn take(
        &self,
        queue: &Queue,
        taken: Taken,
        d: &Descriptor,
        runs: bool,
    ) -> Ticket {
        let mut regions = Regions::of(d);
        if !runs {
            let record = regions.written[2];
            regions.written = [(0, 0), (0, 0), record];
            regions.read = [(0, 0); 2];
        }
        let record = self.bytes(regions.written[2]);
        let status = record.as_ref().and_then(|bytes| bytes.first().copied());
        let number = {
            let mut log = self.log();
            log.taken += 1;
            let number = log.taken;
            if status.is_some_and(|status| status != 0) {
                log.add(Kind::RecordNotClear, d, number, None);
            }
            log.forget();
            let collide = |open: &Open| {
                let kind = regions.collision(&open.regions)?;
                Some((kind, open.number))
            };
            let collisions: Vec<(Kind, u64)> = log.open.iter().filter_map(collide).collect();
            for (kind, other) in collisions {
                log.add(kind, d, number, Some(other));
            }
            log.open.push(Open {
                number,
                regions,
                queue: queue.clone(),
                taken,
            });
            number
        };
        let (dst, len) = regions.written[0];
        let pattern = pattern::of(number, len.min(FILLED) as usize);
        // SAFETY: the caller's promise; through the kernel, any address will do.
        let is_filled = unsafe { self.memory.write(dst, &pattern) }.is_ok();
        Ticket {
            watch: self.clone(),
            number,
            descriptor: *d,
            regions,
            is_filled,
            aecs: self.bytes(regions.written[1]),
            record,
        }
    }

    /// A copy of these bytes; `None` if they are not there.
    fn bytes(&self, (start, len): (u64, u64)) -> Option<Vec<u8>> {
        let mut bytes = vec![0; len as usize];
        // SAFETY: through the kernel, any address will do.
        unsafe { self.memory.read(start, &mut bytes) }.ok()?;
        Some(bytes)
    }
}

impl Log {
    fn add(&mut self, kind: Kind, d: &Descriptor, number: u64, other: Option<u64>) {
        self.violations += 1;
        if self.kept.len() < KEPT {
            self.kept.push(Violation {
                kind,
                descriptor: *d,
                number,
                found_at: self.taken,
                other,
            });
        }
    }

    /// Drops what resets and aborts have ended.
    fn forget(&mut self) {
        self.open
            .retain(|open| !open.queue.has_forgotten(open.taken));
    }
}

/// An open descriptor; dropped, it is open no longer.
#[derive(Debug)]
pub(crate) struct Ticket {
    watch: Watch,
    number: u64,
    descriptor: Descriptor,
    regions: Regions,
    /// Whether the destination could be filled with the pattern.
    is_filled: bool,
    aecs: Option<Vec<u8>>,
    record: Option<Vec<u8>>,
}

impl Ticket {
    /// Looks at everything, just before the device writes its results. The
    /// sources are as they were when the descriptor was taken.
    pub(crate) fn inspect(&self, src1: &[u8], aecs: &[u8]) {
        let now = |region| self.watch.bytes(region);
        let [dst, aecs_written, record] = self.regions.written;
        let dst = (dst.0, dst.1.min(FILLED));
        let [source, tables] = self.regions.read;
        let same = |now: &Option<Vec<u8>>, then: &Option<Vec<u8>>| now == then || then.is_none();
        let pattern = pattern::of(self.number, dst.1 as usize);
        let found = [
            (
                Kind::DestinationTouched,
                self.is_filled && now(dst).is_none_or(|bytes| bytes != pattern),
            ),
            (Kind::AecsTouched, !same(&now(aecs_written), &self.aecs)),
            (Kind::RecordTouched, !same(&now(record), &self.record)),
            (
                Kind::TablesChanged,
                tables.1 != 0
                    && aecs.len() as u64 == tables.1
                    && now(tables).is_none_or(|bytes| bytes != aecs),
            ),
        ];
        let source_changed =
            src1.len() as u64 == source.1 && now(source).is_none_or(|bytes| bytes != src1);
        let mut log = self.watch.log();
        log.changed_sources += u64::from(source_changed);
        for (kind, _) in found.into_iter().filter(|&(_, is_so)| is_so) {
            log.add(kind, &self.descriptor, self.number, None);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut log = self.watch.log();
        log.open.retain(|open| open.number != self.number);
    }
}
