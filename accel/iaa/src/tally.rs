//! What was done through each queue.

use core::sync::atomic::{AtomicU64, Ordering};

/// What is counted of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Count {
    /// Descriptors that it took.
    Submitted,
    /// Descriptors that completed, however they ended.
    Completed,
    /// Submissions that it refused.
    Refused,
    /// Completions with a page fault.
    PageFaults,
    /// Descriptors that did not complete in time.
    Timeouts,
    /// Completions with another error than of the data.
    Errors,
    /// Pages whose output did not verify.
    Mismatches,
    /// Bytes of pages that it was given, compressed or not.
    BytesIn,
    /// Bytes that it made of them.
    BytesOut,
}

const COUNTS: usize = Count::BytesOut as usize + 1;

/// Counts of one context for one queue: one writer, any readers.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    counts: [AtomicU64; COUNTS],
}

impl Tally {
    /// Adds to a count. Only the context's holder does, so that a load and a
    /// store will do.
    #[inline]
    pub(crate) fn add(&self, count: Count, n: u64) {
        let total = &self.counts[count as usize];
        total.store(total.load(Ordering::Relaxed) + n, Ordering::Relaxed);
    }
}

/// What all contexts did through one queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    counts: [u64; COUNTS],
}

impl Totals {
    /// A count.
    #[must_use]
    pub fn get(&self, count: Count) -> u64 {
        self.counts[count as usize]
    }

    pub(crate) fn add(&mut self, tally: &Tally) {
        for (sum, count) in self.counts.iter_mut().zip(&tally.counts) {
            *sum += count.load(Ordering::Relaxed);
        }
    }
}
