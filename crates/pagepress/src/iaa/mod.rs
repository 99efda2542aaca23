//! Intel IAA: which devices a pool uses, and how.
//!
//! A [`Builder`](crate::Builder) with [`Backend::Auto`](crate::Backend::Auto) or
//! [`Backend::Iaa`](crate::Backend::Iaa) looks for the host's devices by itself.
//! [`Devices`] are for who wants to choose, or to use a model of one.

mod devices;
#[cfg(feature = "model")]
mod model;
mod stats;

pub use crate::tables::Tables;
pub use devices::Devices;
#[cfg(feature = "model")]
pub use model::{Generation, Model, Modelled, Submission, Time};
pub use pagepress_iaa::lane::leaked_bytes;
pub use stats::DeviceStats;

use crate::error::Error;
use core::time::Duration;
use pagepress_iaa::lane::SLOTS_MAX;

/// How a device compresses pages, and software in its place. All of it is deflate.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Format {
    /// With deflate's fixed codes: one pass, the fastest.
    #[default]
    Fixed,
    /// With codes made for each page: one pass on generation 2, up to 4 KiB;
    /// elsewhere two with the codes made in software in between.
    Dynamic,
    /// With codes made once for all pages, which are not stored with each: one
    /// pass, and smaller than fixed. Pages can only be read with these tables.
    Canned(Tables),
}

/// When software does what a device was meant to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Fallback {
    /// Never: such a page ends in an error that says why.
    Never,
    /// When every queue is full.
    OnBusy,
    /// Whatever the reason.
    #[default]
    OnAnyFault,
}

/// Whether compressed pages are decompressed again and compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Verify {
    /// No.
    #[default]
    Off,
    /// Every so many pages (1: all) by the device, which compares checksums.
    ByDevice(u32),
    /// Every so many pages (1: all) in software, byte for byte.
    InSoftware(u32),
}

/// How a pool uses its devices.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// How pages are compressed.
    pub format: Format,
    /// When software steps in.
    pub fallback: Fallback,
    /// Whether compressed pages are verified.
    pub verify: Verify,
    /// Pages of a context in flight at once, and its dst buffers: 1 to 32.
    pub in_flight: usize,
    /// How long a page may take before it counts as lost.
    pub patience: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            format: Format::Fixed,
            fallback: Fallback::OnAnyFault,
            verify: Verify::Off,
            // IAA_CRYPTO_MAX_BATCH_SIZE of Linux' series.
            in_flight: 8,
            // Page faults have been seen to take 556 us.
            patience: Duration::from_millis(10),
        }
    }
}

impl Options {
    pub(crate) fn check(&self) -> Result<(), Error> {
        if !(1..=SLOTS_MAX).contains(&self.in_flight) {
            return Err(Error::InFlight {
                pages: self.in_flight,
                max: SLOTS_MAX,
            });
        }
        Ok(())
    }
}
