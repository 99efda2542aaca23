//! Canned tables: Huffman codes that a pool's pages are compressed with and that are
//! not stored with them. Software and devices take the same.

use crate::error::Error;
#[cfg(feature = "iaa")]
use crate::iaa::{Devices, Options};
use crate::page::{UnitSize, same_filled};
#[cfg(feature = "iaa")]
use crate::unavailable::Unavailable;
use core::num::NonZeroU32;
#[cfg(feature = "iaa")]
use pagepress_fallback::probe::Probe;
use pagepress_fallback::tables::{self, Trainer};
#[cfg(feature = "iaa")]
use pagepress_iaa::lane::{MakeTables, histogram_of};
use std::sync::Arc;

pub use pagepress_fallback::tables::{BYTES, BadTables, TrainedOn, VERSION};

/// Codes that deflate pages are compressed with and that are not stored with them:
/// smaller pages at the speed of fixed codes, for who keeps the tables as long as
/// there are such pages.
///
/// Clones share them. They are equal if their codes are, whatever they were made from.
///
/// ```
/// use pagepress::{Backend, Pool, Tables};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = std::env::temp_dir().join(format!("pagepress-doc-{}", std::process::id()));
/// # std::fs::create_dir_all(&dir)?;
/// # let file = dir.join("service.tables");
/// let page = |i: u32| -> Vec<u8> {
///     let record = |at: u32| format!("{{\"id\": {}, \"of\": {i}}}, ", at * at);
///     (0..).flat_map(|at| record(at).into_bytes()).take(4096).collect()
/// };
/// // Some hundred pages of the kind that is to be compressed, once.
/// let sample: Vec<_> = (0..100).map(page).collect();
/// let tables = Tables::train(sample.iter().map(Vec::as_slice))?;
/// std::fs::write(&file, tables.to_bytes())?;
///
/// // Wherever such pages are, from then on.
/// let tables = Tables::from_bytes(&std::fs::read(&file)?)?;
/// let pool = Pool::builder().backend(Backend::Software).tables(tables.clone()).build()?;
/// let stored = pool.compress(&page(1234))?;
/// assert_eq!(stored.tables(), Some(tables.id()));
/// assert_eq!(pool.decompress(stored.as_stored())?, page(1234));
/// # std::fs::remove_dir_all(&dir)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tables(Arc<tables::Tables>);

impl Tables {
    /// Tables that serve any page alike, and none well: for tests.
    #[must_use]
    pub fn flat() -> Self {
        Self(Arc::new(tables::Tables::flat()))
    }

    /// Tables for pages like these, by what software finds in them: some hundred of
    /// the kind that is to be compressed will do. Same-filled and random pages, and
    /// those longer than any pool's, are left out.
    ///
    /// # Errors
    /// [`Error::NothingToLearn`] if no page is left, [`Error::OutOfMemory`].
    pub fn train<'p>(pages: impl IntoIterator<Item = &'p [u8]>) -> Result<Self, Error> {
        let mut trainer = Trainer::new(UnitSize::MAX.bytes()).ok_or(Error::OutOfMemory)?;
        for page in pages.into_iter().filter(|page| is_plain(page)) {
            // What it leaves out it does not count.
            let _ = trainer.add(page);
        }
        let tables = trainer.tables().ok_or(Error::NothingToLearn)?;
        Ok(Self(Arc::new(tables)))
    }

    /// As [`train`](Self::train), by what a device finds in them: it looks for matches
    /// in another way than software, and with its own counts its pages are smallest.
    ///
    /// # Errors
    /// Also [`Error::Unavailable`] if no device answers.
    #[cfg(feature = "iaa")]
    pub fn train_on<'p>(
        devices: &Devices,
        pages: impl IntoIterator<Item = &'p [u8]>,
    ) -> Result<Self, Error> {
        let make = MakeTables {
            fleet: &devices.fleet,
            patience: Options::default().patience,
        };
        let mut probe = Probe::default();
        let pages = pages.into_iter();
        let pages = pages.filter(|page| is_plain(page) && !probe.looks_random(page));
        let silent = |failure| Error::Unavailable(Unavailable::silent(&format!("{failure}")));
        let (histogram, trained_on) = histogram_of(pages, &make).map_err(silent)?;
        if trained_on.pages == 0 {
            return Err(Error::NothingToLearn);
        }
        Ok(Self(Arc::new(tables::Tables::new(histogram, trained_on))))
    }

    /// A number that tells tables apart, kept with every page: it comes from
    /// the codes, so the same tables always have the same.
    #[must_use]
    pub fn id(&self) -> NonZeroU32 {
        self.0.id()
    }

    /// What they were made from.
    #[must_use]
    pub fn trained_on(&self) -> TrainedOn {
        self.0.trained_on()
    }

    /// The lengths of the codes of literals, of the end of block (256) and of lengths.
    #[must_use]
    pub fn literal_bits(&self) -> &[u8] {
        self.0.codes().literals()
    }

    /// The lengths of the codes of distances; 0 for those that no page has.
    #[must_use]
    pub fn distance_bits(&self) -> &[u8] {
        self.0.codes().distances()
    }

    /// The tables as bytes, to be kept: some hundred, with a version and a sum.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.to_bytes().into()
    }

    /// The tables that [`to_bytes`](Self::to_bytes) made these bytes of.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BadTables> {
        Ok(Self(Arc::new(tables::Tables::from_bytes(bytes)?)))
    }

    #[cfg(feature = "deflate")]
    pub(crate) fn shared(&self) -> Arc<tables::Tables> {
        Arc::clone(&self.0)
    }

    #[cfg(feature = "iaa")]
    pub(crate) fn codes(&self) -> &tables::Codes {
        self.0.codes()
    }
}

/// Whether a page is one that a codec would see.
fn is_plain(page: &[u8]) -> bool {
    page.len() <= UnitSize::MAX.bytes() && same_filled(page).is_none()
}
