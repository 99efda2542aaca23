//! Who did a batch's pages, and why.

use crate::sync::{AtomicU64, Ordering};
use core::fmt;
use core::time::Duration;

/// Why software did a page that was meant for a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum FallbackReason {
    /// This build has no device backend.
    NotBuilt,
    /// The host has no usable device.
    NoDevice,
    /// Every queue was full.
    Busy,
    /// The device met a page fault that touching the page did not cure.
    PageFault,
    /// The device did not complete the page in time.
    Timeout,
    /// The device reported an error.
    DeviceError,
    /// What the device made of the page did not verify.
    Mismatch,
    /// The device went away.
    DeviceGone,
}

impl FallbackReason {
    /// All reasons, in the order reports print them.
    pub const ALL: [Self; 8] = [
        Self::NotBuilt,
        Self::NoDevice,
        Self::Busy,
        Self::PageFault,
        Self::Timeout,
        Self::DeviceError,
        Self::Mismatch,
        Self::DeviceGone,
    ];

    /// The key that JSON reports use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotBuilt => "not_built",
            Self::NoDevice => "no_device",
            Self::Busy => "busy",
            Self::PageFault => "page_fault",
            Self::Timeout => "timeout",
            Self::DeviceError => "device_error",
            Self::Mismatch => "mismatch",
            Self::DeviceGone => "device_gone",
        }
    }

    /// The reason in words, for people.
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Self::NotBuilt => "this build has no device backend",
            Self::NoDevice => "no usable IAA device on this host",
            Self::Busy => "every device queue was full",
            Self::PageFault => "the device met a page fault",
            Self::Timeout => "the device did not answer in time",
            Self::DeviceError => "the device reported an error",
            Self::Mismatch => "what the device made of the page did not verify",
            Self::DeviceGone => "the device went away",
        }
    }
}

impl fmt::Display for FallbackReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.describe())
    }
}

/// The counts of a report, as indices.
#[derive(Debug, Clone, Copy)]
#[repr(usize)]
pub(crate) enum Count {
    Hardware,
    Software,
    Modelled,
    SameFilled,
    Incompressible,
    Failed,
    CompressedBytes,
    /// The first of one count per [`FallbackReason`].
    Fallback,
}

const COUNTS: usize = Count::Fallback as usize + FallbackReason::ALL.len();

/// What became of the pages of one call, or of all calls on a pool.
///
/// Every page that was handed in is counted exactly once as done by
/// [hardware](Self::hardware_pages) or [software](Self::software_pages), as
/// [same-filled](Self::same_filled_pages) or as [failed](Self::failed_pages).
/// The other counts are shares of these.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Report {
    counts: [u64; COUNTS],
}

impl Report {
    #[inline]
    pub(crate) fn add(&mut self, count: Count, n: u64) {
        self.counts[count as usize] += n;
    }

    #[inline]
    pub(crate) fn add_fallback(&mut self, reason: FallbackReason) {
        self.counts[Count::Fallback as usize + reason as usize] += 1;
    }

    fn get(&self, count: Count) -> u64 {
        self.counts[count as usize]
    }

    /// Pages handed in: the sum of the four counts below.
    #[must_use]
    pub fn pages(&self) -> u64 {
        self.hardware_pages()
            + self.software_pages()
            + self.same_filled_pages()
            + self.failed_pages()
    }

    /// Pages done through a device's descriptors, the model's included.
    #[must_use]
    pub fn hardware_pages(&self) -> u64 {
        self.get(Count::Hardware)
    }

    /// Of the hardware pages, those done by a software model of the device.
    #[must_use]
    pub fn modelled_pages(&self) -> u64 {
        self.get(Count::Modelled)
    }

    /// Pages done by a software codec, or found incompressible by one. On the
    /// way back, raw pages count here too.
    #[must_use]
    pub fn software_pages(&self) -> u64 {
        self.get(Count::Software)
    }

    /// Pages that repeat one word and cost no codec.
    #[must_use]
    pub fn same_filled_pages(&self) -> u64 {
        self.get(Count::SameFilled)
    }

    /// Pages that ended in an error.
    #[must_use]
    pub fn failed_pages(&self) -> u64 {
        self.get(Count::Failed)
    }

    /// Of the hardware and software pages, those that were incompressible (or,
    /// on the way back, stored raw).
    #[must_use]
    pub fn incompressible_pages(&self) -> u64 {
        self.get(Count::Incompressible)
    }

    /// Bytes of all compressed pages: made when compressing, read when
    /// decompressing. Incompressible and same-filled pages add none.
    #[must_use]
    pub fn compressed_bytes(&self) -> u64 {
        self.get(Count::CompressedBytes)
    }

    /// Pages that software did for a device, for this reason.
    #[must_use]
    pub fn fallbacks(&self, reason: FallbackReason) -> u64 {
        self.counts[Count::Fallback as usize + reason as usize]
    }

    /// The reasons that occurred, with their counts.
    pub fn fallback_reasons(&self) -> impl Iterator<Item = (FallbackReason, u64)> + '_ {
        FallbackReason::ALL
            .into_iter()
            .map(|reason| (reason, self.fallbacks(reason)))
            .filter(|&(_, n)| n > 0)
    }
}

impl core::ops::AddAssign for Report {
    fn add_assign(&mut self, other: Self) {
        for (sum, n) in self.counts.iter_mut().zip(other.counts) {
            *sum += n;
        }
    }
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Report")
            .field("hardware_pages", &self.hardware_pages())
            .field("modelled_pages", &self.modelled_pages())
            .field("software_pages", &self.software_pages())
            .field("same_filled_pages", &self.same_filled_pages())
            .field("failed_pages", &self.failed_pages())
            .field("incompressible_pages", &self.incompressible_pages())
            .field("compressed_bytes", &self.compressed_bytes())
            .field("fallbacks", &self.fallback_reasons().collect::<Vec<_>>())
            .finish()
    }
}

/// Reports summed over a context's life; anyone may read them.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    counts: [AtomicU64; COUNTS],
}

impl Totals {
    /// Adds a report. Only for the holder of the context's lock: with no other
    /// writer, a load and a store do what a costlier locked add would.
    #[inline]
    pub(crate) fn add_locked(&self, report: &Report) {
        self.each(report, |total, n| {
            total.store(total.load(Ordering::Relaxed) + n, Ordering::Relaxed);
        });
    }

    /// Adds a report, beside others who may do the same.
    pub(crate) fn add_shared(&self, report: &Report) {
        self.each(report, |total, n| {
            total.fetch_add(n, Ordering::Relaxed);
        });
    }

    #[inline]
    fn each(&self, report: &Report, add: impl Fn(&AtomicU64, u64)) {
        let (plain, fallbacks) = report.counts.split_at(Count::Fallback as usize);
        let (plain_totals, fallback_totals) = self.counts.split_at(Count::Fallback as usize);
        for (total, &n) in plain_totals.iter().zip(plain) {
            if n != 0 {
                add(total, n);
            }
        }
        // Reasons that nearly never apply: one look at all of them.
        if fallbacks.iter().fold(0, |any, n| any | n) != 0 {
            for (total, &n) in fallback_totals.iter().zip(fallbacks) {
                add(total, n);
            }
        }
    }

    pub(crate) fn read(&self) -> Report {
        Report {
            counts: core::array::from_fn(|i| self.counts[i].load(Ordering::Relaxed)),
        }
    }
}

/// What a pool did since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Stats {
    /// All pages compressed.
    pub compress: Report,
    /// All pages decompressed.
    pub decompress: Report,
    /// Calls served by another CPU's context because their own was busy or
    /// missing.
    pub neighbour_calls: u64,
    /// Calls served by a spare context because every other one was busy.
    pub spare_calls: u64,
    /// Contexts made after the pool was, for CPUs that came online later.
    pub late_contexts: u64,
    /// CPUs that came online later and whose context could not be made:
    /// [`Pool::failed_contexts`](crate::Pool::failed_contexts) says why.
    pub failed_contexts: u64,
    /// Calls that found every context busy, and waited.
    pub waits: u64,
    /// How long they did, all together.
    pub waited: Duration,
}
