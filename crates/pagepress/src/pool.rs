//! The pool: what users make and call.

#[cfg(feature = "iaa")]
use crate::backend::iaa::Iaa;
use crate::backend::software::{Settings, Software};
use crate::codec::Codec;
use crate::compressor::{
    CompressDelivery, ContextMemory, DecompressDelivery, Decompressed, PageSink, Provider,
};
use crate::context::Contexts;
use crate::cpus::Cpus;
use crate::error::Error;
#[cfg(feature = "iaa")]
use crate::iaa::{Devices, Format, Options};
use crate::outcome::{Outcome, PageError, Stored, StoredBuf};
use crate::page::{Pages, UnitSize};
use crate::report::{FallbackReason, Report, Stats};
use crate::tables::Tables;
use crate::unavailable::Unavailable;
use core::convert::Infallible;
use core::fmt;
use core::ops::ControlFlow;
use std::sync::{Arc, Weak};

/// What a pool compresses with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Backend {
    /// A device if there is one, software otherwise. Every page that software
    /// does for want of a device is counted as a fallback, with the reason.
    #[default]
    Auto,
    /// A device, or no pool: if there is none, [`Error::Unavailable`] says
    /// which link is missing.
    Iaa,
    /// Software, by choice.
    Software,
}

/// Makes a [`Pool`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Builder {
    backend: Backend,
    codec: Option<Codec>,
    level: Option<i32>,
    unit: UnitSize,
    accept_limit: Option<usize>,
    dictionary: Option<Box<[u8]>>,
    tables: Option<Tables>,
    #[cfg(feature = "iaa")]
    devices: Option<Devices>,
    #[cfg(feature = "iaa")]
    iaa: Options,
}

impl Builder {
    /// What to compress with. [`Backend::Auto`] if never said.
    #[must_use]
    pub fn backend(mut self, backend: Backend) -> Self {
        self.backend = backend;
        self
    }

    /// The pages' format. If never said, the fastest that the backend has: lz4
    /// in software, or the first codec in [`Codec::ALL`] that this build has.
    #[must_use]
    pub fn codec(mut self, codec: Codec) -> Self {
        self.codec = Some(codec);
        self
    }

    /// The codec's level: zstd has -7 to 19, lz4 only 1, deflate 1 to 9, of which 1
    /// writes with fixed codes in one pass, 2 with codes made for each page, and 3
    /// to 9 are zlib's. The default is 1 for all.
    #[must_use]
    pub fn level(mut self, level: i32) -> Self {
        self.level = Some(level);
        self
    }

    /// The size of the pages, 4 KiB if never said.
    #[must_use]
    pub fn unit_size(mut self, unit: UnitSize) -> Self {
        self.unit = unit;
        self
    }

    /// The most bytes a compressed page may have, from 1 to the unit size less
    /// one, which is the default. A page that needs more is incompressible.
    #[must_use]
    pub fn accept_limit(mut self, bytes: usize) -> Self {
        self.accept_limit = Some(bytes);
        self
    }

    /// A dictionary for zstd, as [`train_zstd_dictionary`] makes. Pages
    /// compressed with it can only be read by a pool that has it too.
    ///
    /// [`train_zstd_dictionary`]: crate::train_zstd_dictionary
    #[must_use]
    pub fn zstd_dictionary(mut self, dictionary: impl Into<Box<[u8]>>) -> Self {
        self.dictionary = Some(dictionary.into());
        self
    }

    /// Canned tables to compress with, in software and on devices alike: the codec is
    /// then deflate, and has no levels. The pool reads pages compressed with these
    /// tables, and deflate pages without any.
    #[must_use]
    pub fn tables(mut self, tables: Tables) -> Self {
        self.tables = Some(tables);
        self
    }

    /// The devices to use, instead of those that the host has: modelled ones,
    /// for instance. They are used whatever the backend is said to be.
    #[cfg(feature = "iaa")]
    #[must_use]
    pub fn devices(mut self, devices: Devices) -> Self {
        self.devices = Some(devices);
        self
    }

    /// How devices are used, if they are.
    #[cfg(feature = "iaa")]
    #[must_use]
    pub fn iaa(mut self, options: Options) -> Self {
        self.iaa = options;
        self
    }

    /// Makes the pool, with the contexts of all CPUs online.
    ///
    /// # Errors
    /// [`Error`] if the settings contradict each other, this build lacks the
    /// codec, or memory for a context is lacking.
    pub fn build(self) -> Result<Pool, Error> {
        let settings = self.clone();
        let (contexts, unavailable) = self.make()?;
        Ok(Pool(Arc::new(Inner {
            contexts,
            unavailable,
            settings: Some(settings),
        })))
    }

    /// The contexts, and what [`Backend::Auto`] found missing.
    fn make(mut self) -> Result<(Contexts, Option<Unavailable>), Error> {
        if self.tables.is_some() {
            self.codec.get_or_insert(Codec::Deflate);
        }
        let max = self.unit.bytes() - 1;
        let accept_limit = self.accept_limit.unwrap_or(max);
        if !(1..=max).contains(&accept_limit) {
            return Err(Error::AcceptLimit {
                limit: accept_limit,
                max,
            });
        }
        #[cfg(feature = "iaa")]
        if let Some(devices) = self.devices.clone() {
            return Ok((self.with_devices(devices, accept_limit)?, None));
        }
        let unavailable = match self.backend {
            Backend::Software => None,
            #[cfg(feature = "iaa")]
            Backend::Auto | Backend::Iaa => match self.on_the_host(accept_limit) {
                Ok(contexts) => return Ok((contexts, None)),
                Err(Error::Unavailable(why)) if self.backend == Backend::Auto => {
                    Some((FallbackReason::NoDevice, why))
                }
                Err(error) => return Err(error),
            },
            #[cfg(not(feature = "iaa"))]
            backend => {
                let why = "this build does not look for devices: enable the cargo feature `iaa`";
                let why = Unavailable::unseen(why);
                if backend == Backend::Iaa {
                    return Err(Error::Unavailable(why));
                }
                Some((FallbackReason::NotBuilt, why))
            }
        };
        let codec = self.codec.unwrap_or_else(|| {
            Codec::ALL
                .into_iter()
                .find(|codec| codec.is_built())
                .unwrap_or(Codec::Lz4)
        });
        let provider = Software::new(Settings {
            tables: self.tables_in_software(),
            codec,
            level: self.level,
            unit: self.unit,
            accept_limit,
            dictionary: self.dictionary,
            fallback: unavailable.as_ref().map(|(reason, _)| *reason),
        })?;
        let contexts = contexts_of(provider)?;
        Ok((contexts, unavailable.map(|(_, why)| why)))
    }

    /// The tables of software, be it in a device's place.
    fn tables_in_software(&self) -> Option<Tables> {
        #[cfg(feature = "iaa")]
        if let (Format::Canned(tables), Backend::Auto, Some(Codec::Deflate), None) =
            (&self.iaa.format, self.backend, self.codec, &self.tables)
        {
            return Some(tables.clone());
        }
        self.tables.clone()
    }

    /// Contexts on the host's devices.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if there is none to be used, or none for these
    /// pages.
    #[cfg(feature = "iaa")]
    fn on_the_host(&self, accept_limit: usize) -> Result<Contexts, Error> {
        if let (Some(codec), Backend::Auto) =
            (self.codec.filter(|&c| c != Codec::Deflate), self.backend)
        {
            let why = Error::NotOfDevice { codec }.to_string();
            return Err(Error::Unavailable(Unavailable::unseen(&why)));
        }
        let devices = Devices::of_host().map_err(Error::Unavailable)?;
        self.clone().with_devices(devices, accept_limit)
    }

    #[cfg(feature = "iaa")]
    fn with_devices(self, devices: Devices, accept_limit: usize) -> Result<Contexts, Error> {
        if let Some(codec) = self.codec.filter(|&codec| codec != Codec::Deflate) {
            return Err(Error::NotOfDevice { codec });
        }
        if let Some(level) = self.level {
            return Err(Error::Level {
                codec: Codec::Deflate,
                level,
                known: "IAA has no levels",
            });
        }
        if self.dictionary.is_some() {
            return Err(Error::Dictionary {
                codec: Codec::Deflate,
            });
        }
        let contexts = Cpus::of_this_host().online.len();
        let mut options = self.iaa;
        if let Some(tables) = self.tables {
            let canned = Format::Canned(tables);
            // The default says nothing.
            if options.format != Format::Fixed && options.format != canned {
                return Err(Error::OtherCodes);
            }
            options.format = canned;
        }
        contexts_of(Iaa::new(
            devices,
            options,
            self.unit,
            accept_limit,
            contexts,
        )?)
    }
}

fn contexts_of(provider: impl Provider + 'static) -> Result<Contexts, Error> {
    Contexts::new(Box::new(provider), &Cpus::of_this_host())
}

/// Compresses and decompresses pages in batches, on whatever the host has.
///
/// A pool owns one context per CPU. A call takes the context of the CPU it
/// runs on, or a neighbour's if that is busy, works through its pages with it,
/// and hands every page's own result to the caller straight from the context's
/// dst buffer. Calls allocate nothing and take one lock, uncontended as a rule.
///
/// Clones are handles to the same pool; the last one dropped frees it. With
/// devices that still owe an answer, that waits for as long as a page may take,
/// for each context that has such a page.
///
/// ```
/// use pagepress::{Backend, Codec, Outcome, Pool};
///
/// # fn main() -> Result<(), pagepress::Error> {
/// let pool = Pool::builder().backend(Backend::Software).codec(Codec::Lz4).build()?;
/// let pages = vec![vec![0u8; 4096], b"page ".repeat(820)[..4096].to_vec()];
///
/// let mut store = vec![None; pages.len()];
/// let report = pool.compress_batch(&pages, |i, outcome| match outcome {
///     Ok(outcome) => store[i] = Some(outcome.to_stored(&pages[i])),
///     Err(error) => eprintln!("page {i}: {error}"),
/// });
/// assert_eq!((report.software_pages(), report.same_filled_pages()), (1, 1));
///
/// let stored: Vec<_> = store.iter().flatten().map(|page| page.as_stored()).collect();
/// pool.decompress_batch(&stored, |i, page| assert_eq!(page, Ok(&pages[i][..])));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Pool(Arc<Inner>);

struct Inner {
    contexts: Contexts,
    unavailable: Option<Unavailable>,
    /// What it was built with, if it was built.
    settings: Option<Builder>,
}

impl Pool {
    /// Settings for a new pool.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// A pool over contexts of the caller's own making.
    ///
    /// # Errors
    /// [`Error::Context`] if one of them cannot be made.
    pub fn with_provider(provider: impl Provider + 'static) -> Result<Self, Error> {
        Ok(Self(Arc::new(Inner {
            contexts: contexts_of(provider)?,
            unavailable: None,
            settings: None,
        })))
    }

    /// Whether both are handles to the same pool.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// A handle that does not keep the pool.
    pub(crate) fn downgrade(&self) -> WeakPool {
        WeakPool(Arc::downgrade(&self.0))
    }

    /// Whether building with these settings now would make another such pool.
    pub(crate) fn is_as(&self, settings: &Builder) -> bool {
        self.0.settings.as_ref() == Some(settings) && self.0.unavailable.is_none()
    }

    /// The codec of this pool's pages.
    #[must_use]
    pub fn codec(&self) -> Codec {
        self.0.contexts.provider().codec()
    }

    /// The size of this pool's pages.
    #[must_use]
    pub fn unit_size(&self) -> UnitSize {
        self.0.contexts.provider().unit_size()
    }

    /// What the contexts compress with, for people: `software`, for instance.
    #[must_use]
    pub fn backend_name(&self) -> &str {
        self.0.contexts.provider().name()
    }

    /// Why software does what a device was meant to do, if it does: the link
    /// that [`Backend::Auto`] found missing when the pool was made.
    #[must_use]
    pub fn unavailable(&self) -> Option<&Unavailable> {
        self.0.unavailable.as_ref()
    }

    /// How many pages a context works on at once. A hint for the size of
    /// batches; any other works too.
    #[must_use]
    pub fn batch_hint(&self) -> usize {
        self.0.contexts.provider().batch_hint()
    }

    /// Compresses a batch of pages, handing each one's result to `sink` with
    /// its index.
    ///
    /// The order of the results is the backend's: software keeps the batch's,
    /// a device hands over pages as they complete. Bytes that a result shows
    /// are gone when the sink returns. The sink may call the pool again.
    pub fn compress_batch<P: Pages + ?Sized>(
        &self,
        pages: &P,
        mut sink: impl FnMut(usize, Result<Outcome<'_>, PageError>),
    ) -> Report {
        self.run_compress(pages, &mut |index, outcome| {
            sink(index, outcome);
            ControlFlow::Continue(())
        })
    }

    /// As [`compress_batch`](Self::compress_batch), for a sink that can fail:
    /// its first error ends the call.
    ///
    /// # Errors
    /// The sink's own. Pages not handed over by then never are.
    pub fn try_compress_batch<P: Pages + ?Sized, E>(
        &self,
        pages: &P,
        mut sink: impl FnMut(usize, Result<Outcome<'_>, PageError>) -> Result<(), E>,
    ) -> Result<Report, E> {
        let mut failed = None;
        let report = self.run_compress(pages, &mut |index, outcome| {
            keep_error(&mut failed, sink(index, outcome))
        });
        failed.map_or(Ok(report), Err)
    }

    /// Decompresses a batch of pages, showing each to `sink`, with its index,
    /// where the context has it.
    ///
    /// As for the order and lifetime of results, see
    /// [`compress_batch`](Self::compress_batch).
    pub fn decompress_batch(
        &self,
        pages: &[Stored<'_>],
        mut sink: impl FnMut(usize, Result<&[u8], PageError>),
    ) -> Report {
        let to = |index, page: Result<&[u8], PageError>| {
            sink(index, page);
            Ok::<(), Infallible>(())
        };
        let mut shown = Shown {
            sink: to,
            failed: None,
        };
        self.run_decompress(pages, &mut shown)
    }

    /// As [`decompress_batch`](Self::decompress_batch), for a sink that can
    /// fail: its first error ends the call.
    ///
    /// # Errors
    /// The sink's own. Pages not shown by then never are.
    pub fn try_decompress_batch<E>(
        &self,
        pages: &[Stored<'_>],
        sink: impl FnMut(usize, Result<&[u8], PageError>) -> Result<(), E>,
    ) -> Result<Report, E> {
        let mut shown = Shown { sink, failed: None };
        let report = self.run_decompress(pages, &mut shown);
        shown.failed.map_or(Ok(report), Err)
    }

    /// Decompresses a batch of pages into the caller's own memory: page `i`
    /// into `rooms[i]`. Software writes there directly.
    ///
    /// `done` learns of each page's end; after an error, the page's room holds
    /// unspecified bytes.
    ///
    /// # Panics
    /// If there are fewer rooms than pages.
    pub fn decompress_batch_into<R: AsMut<[u8]>>(
        &self,
        pages: &[Stored<'_>],
        rooms: &mut [R],
        done: impl FnMut(usize, Result<(), PageError>),
    ) -> Report {
        assert!(
            rooms.len() >= pages.len(),
            "{} pages for {} rooms",
            pages.len(),
            rooms.len()
        );
        self.run_decompress(pages, &mut Rooms { rooms, done })
    }

    /// Compresses one page into memory of its own.
    ///
    /// # Errors
    /// The page's [`PageError`].
    pub fn compress(&self, page: &[u8]) -> Result<StoredBuf, PageError> {
        let mut result = None;
        self.compress_batch(&[page], |_, outcome| {
            result = Some(outcome.map(|outcome| outcome.to_stored(page)));
        });
        result.expect("every page of a batch is handed over")
    }

    /// Decompresses one page into memory of its own.
    ///
    /// # Errors
    /// The page's [`PageError`].
    pub fn decompress(&self, page: Stored<'_>) -> Result<Vec<u8>, PageError> {
        let mut room = vec![0; self.unit_size().bytes()];
        self.decompress_into(page, &mut room)?;
        Ok(room)
    }

    /// Decompresses one page into `room`, which must be of the unit size.
    ///
    /// # Errors
    /// The page's [`PageError`]; `room` then holds unspecified bytes.
    pub fn decompress_into(&self, page: Stored<'_>, room: &mut [u8]) -> Result<(), PageError> {
        let mut result = None;
        self.decompress_batch_into(&[page], &mut [room], |_, done| result = Some(done));
        result.expect("every page of a batch is handed over")
    }

    /// What was done through each device queue so far; empty if there is none.
    #[cfg(feature = "iaa")]
    #[must_use]
    pub fn device_stats(&self) -> Vec<crate::iaa::DeviceStats> {
        self.0.contexts.provider().devices()
    }

    /// What the pool did since it was made.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.0.contexts.stats()
    }

    /// Why CPUs that came online after the pool was made have no context of
    /// their own: an [`Error::Context`] for each. Neighbours serve them.
    #[must_use]
    pub fn failed_contexts(&self) -> Vec<Error> {
        self.0.contexts.failures()
    }

    /// The bytes the pool holds.
    #[must_use]
    pub fn memory(&self) -> Memory {
        let (contexts, spares) = self.0.contexts.memory();
        Memory {
            contexts,
            spares,
            table: self.0.contexts.table_bytes(),
        }
    }

    fn run_compress<'s, P: Pages + ?Sized>(
        &self,
        pages: &P,
        sink: &'s mut crate::compressor::CompressSink<'s>,
    ) -> Report {
        let mut delivery = CompressDelivery::new(sink);
        match self.0.contexts.take() {
            Some(mut context) => {
                context.compress(&pages, &mut delivery);
                context.account(|totals| &totals.compress, delivery.report());
            }
            None => {
                let _ = (0..pages.len())
                    .try_for_each(|index| delivery.failed(index, PageError::NoContext));
            }
        }
        *delivery.report()
    }

    fn run_decompress(&self, pages: &[Stored<'_>], sink: &mut dyn PageSink) -> Report {
        let mut delivery = DecompressDelivery::new(sink);
        match self.0.contexts.take() {
            Some(mut context) => {
                context.decompress(pages, &mut delivery);
                context.account(|totals| &totals.decompress, delivery.report());
            }
            None => {
                let _ = (0..pages.len())
                    .try_for_each(|index| delivery.failed(index, PageError::NoContext));
            }
        }
        *delivery.report()
    }
}

/// A handle that does not keep its pool.
#[derive(Clone)]
pub(crate) struct WeakPool(Weak<Inner>);

impl WeakPool {
    /// The pool, if anyone still has a handle to it.
    pub(crate) fn upgrade(&self) -> Option<Pool> {
        self.0.upgrade().map(Pool)
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.0.strong_count() == 0
    }

    /// Whether this pool is what it is a handle to.
    pub(crate) fn is_of(&self, pool: &Pool) -> bool {
        self.0.as_ptr() == Arc::as_ptr(&pool.0)
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("provider", &self.0.contexts.provider())
            .finish_non_exhaustive()
    }
}

/// Remembers a sink's error and says whether to go on.
fn keep_error<E>(failed: &mut Option<E>, result: Result<(), E>) -> ControlFlow<()> {
    match result {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => {
            *failed = Some(error);
            ControlFlow::Break(())
        }
    }
}

/// Shows pages where the context has them.
struct Shown<F, E> {
    sink: F,
    failed: Option<E>,
}

impl<F, E> PageSink for Shown<F, E>
where
    F: FnMut(usize, Result<&[u8], PageError>) -> Result<(), E>,
{
    fn room(&mut self, _index: usize) -> Option<&mut [u8]> {
        None
    }

    fn done(
        &mut self,
        index: usize,
        result: Result<Decompressed<'_>, PageError>,
    ) -> ControlFlow<()> {
        let page = result.map(|page| match page {
            Decompressed::At(bytes) => bytes,
            Decompressed::InRoom => unreachable!("no room was given"),
        });
        keep_error(&mut self.failed, (self.sink)(index, page))
    }
}

/// Has pages written to the caller's memory.
struct Rooms<'a, R, F> {
    rooms: &'a mut [R],
    done: F,
}

impl<R, F> PageSink for Rooms<'_, R, F>
where
    R: AsMut<[u8]>,
    F: FnMut(usize, Result<(), PageError>),
{
    fn room(&mut self, index: usize) -> Option<&mut [u8]> {
        Some(self.rooms[index].as_mut())
    }

    fn done(
        &mut self,
        index: usize,
        result: Result<Decompressed<'_>, PageError>,
    ) -> ControlFlow<()> {
        (self.done)(index, result.map(|_| ()));
        ControlFlow::Continue(())
    }
}

/// The bytes a pool holds, by part.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Memory {
    /// Each context, with its CPU's number.
    pub contexts: Vec<(usize, ContextMemory)>,
    /// Spare contexts, made for calls that found all others busy.
    pub spares: Vec<ContextMemory>,
    /// The table that the contexts hang in.
    pub table: usize,
}

impl Memory {
    /// All of it.
    #[must_use]
    pub fn total(&self) -> usize {
        let contexts = self.contexts.iter().map(|(_, memory)| memory);
        self.table
            + contexts
                .chain(&self.spares)
                .map(ContextMemory::total)
                .sum::<usize>()
    }
}
