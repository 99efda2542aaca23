//! Intel IAA: which devices a pool uses, and how.
//!
//! A [`Builder`](crate::Builder) with [`Backend::Auto`](crate::Backend::Auto) or
//! [`Backend::Iaa`](crate::Backend::Iaa) looks for the host's devices by itself.
//! [`Devices`] are for who wants to choose, or to use a model of one.

mod devices;
#[cfg(feature = "model")]
mod model;
mod stats;

pub use devices::Devices;
#[cfg(feature = "model")]
pub use model::{Generation, Model, Modelled, Submission, Time};
pub use pagepress_iaa::lane::leaked_bytes;
pub use stats::DeviceStats;

use crate::error::Error;
use crate::unavailable::Unavailable;
use core::num::NonZeroU32;
use core::time::Duration;
use pagepress_iaa::lane::{CannedTables, MakeTables, SLOTS_MAX, histogram_of};
use pagepress_iaa::tables::{Codes, Histogram};
use std::sync::Arc;

/// How a device compresses pages. All of it is deflate.
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

/// Codes that pages are compressed with and that are not stored with them.
///
/// Keep them for as long as there are such pages. Clones share them.
#[derive(Debug, Clone)]
pub struct Tables {
    pub(crate) canned: Arc<CannedTables>,
    id: NonZeroU32,
}

impl Tables {
    /// Tables that serve any page alike, and none well: for tests.
    #[must_use]
    pub fn flat() -> Self {
        Self::of(Histogram::default())
    }

    /// Tables for pages like these: some hundred of the kind that is to be
    /// compressed will do. A device counts their tokens.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if no device answers.
    pub fn train<'p>(
        pages: impl IntoIterator<Item = &'p [u8]>,
        devices: &Devices,
    ) -> Result<Self, Error> {
        let make = MakeTables {
            fleet: &devices.fleet,
            patience: Options::default().patience,
        };
        let histogram = histogram_of(pages.into_iter(), &make);
        let silent = |failure| Error::Unavailable(Unavailable::silent(&format!("{failure}")));
        Ok(Self::of(histogram.map_err(silent)?))
    }

    fn of(mut histogram: Histogram) -> Self {
        histogram.complete();
        let canned = CannedTables::new(Codes::new(&histogram));
        let id = id_of(&canned);
        Self {
            canned: Arc::new(canned),
            id,
        }
    }

    /// A number that tells tables apart, kept with every page: it comes from
    /// the codes, so the same tables always have the same.
    #[must_use]
    pub const fn id(&self) -> NonZeroU32 {
        self.id
    }
}

/// Tables are equal if their codes are.
impl PartialEq for Tables {
    fn eq(&self, other: &Self) -> bool {
        let lengths = |tables: &Self| {
            let codes = tables.canned.codes();
            (*codes.literals(), *codes.distances())
        };
        lengths(self) == lengths(other)
    }
}

impl Eq for Tables {}

/// FNV-1a of all code lengths.
fn id_of(canned: &CannedTables) -> NonZeroU32 {
    let codes = canned.codes();
    let lengths = codes.literals().iter().chain(codes.distances());
    let hash = lengths.fold(0x811C_9DC5u32, |hash, &len| {
        (hash ^ u32::from(len)).wrapping_mul(0x0100_0193)
    });
    NonZeroU32::new(hash).unwrap_or(NonZeroU32::MIN)
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
