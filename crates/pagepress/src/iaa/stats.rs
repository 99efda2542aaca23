//! What was done through each queue.

use core::fmt;
use pagepress_iaa::fleet::Link;
use pagepress_iaa::tally::{Count, Totals};

/// What a pool did through one work queue.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeviceStats {
    /// The queue: `iax1/wq1.0`.
    pub name: String,
    /// The package that its device is a part of.
    pub package: Option<u32>,
    /// Descriptors that it took.
    pub submitted: u64,
    /// Descriptors that completed, however they ended.
    pub completed: u64,
    /// Submissions that it refused.
    pub refused: u64,
    /// Completions with a page fault.
    pub page_faults: u64,
    /// Descriptors that did not complete in time.
    pub timeouts: u64,
    /// Completions with another error.
    pub errors: u64,
    /// Pages whose output did not verify.
    pub mismatches: u64,
    /// Bytes that it was given: pages, plain or compressed.
    pub bytes_in: u64,
    /// Bytes that it made of them.
    pub bytes_out: u64,
    /// Whether it is put aside because it misbehaved.
    pub is_aside: bool,
    /// Times that it was put aside.
    pub put_aside: u64,
    /// Times that it was taken up again.
    pub taken_up: u64,
}

impl DeviceStats {
    pub(crate) fn new(link: &Link, totals: &Totals) -> Self {
        let facts = link.facts();
        let (put_aside, taken_up) = link.absences();
        Self {
            name: facts.name.clone(),
            package: facts.package,
            submitted: totals.get(Count::Submitted),
            completed: totals.get(Count::Completed),
            refused: totals.get(Count::Refused),
            page_faults: totals.get(Count::PageFaults),
            timeouts: totals.get(Count::Timeouts),
            errors: totals.get(Count::Errors),
            mismatches: totals.get(Count::Mismatches),
            bytes_in: totals.get(Count::BytesIn),
            bytes_out: totals.get(Count::BytesOut),
            is_aside: link.is_aside(),
            put_aside,
            taken_up,
        }
    }
}

impl fmt::Display for DeviceStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} descriptors", self.name, self.submitted)?;
        for (count, what) in [
            (self.refused, "refused"),
            (self.page_faults, "page faults"),
            (self.timeouts, "timeouts"),
            (self.errors, "errors"),
            (self.mismatches, "mismatches"),
            (self.put_aside, "put aside"),
        ] {
            if count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        Ok(())
    }
}
