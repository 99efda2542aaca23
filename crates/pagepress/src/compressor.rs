//! The one calling convention for hardware and software.
//!
//! A [`Provider`] makes contexts, one per CPU; each is a [`Compressor`]. A
//! compressor takes any number of pages and hands over each page's own result
//! through a delivery, which counts it on the way: so every backend reports
//! alike, and none can hand over a page uncounted.

use crate::codec::Codec;
use crate::outcome::{Compressed, Outcome, PageError, PerformedBy, Stored};
use crate::page::{self, Pages, UnitSize};
use crate::report::{Count, FallbackReason, Report};
use core::fmt;
use core::ops::ControlFlow;

/// Makes the contexts of one pool.
pub trait Provider: fmt::Debug + Send + Sync {
    /// What this provider's contexts compress with, for people: `software`,
    /// for instance.
    fn name(&self) -> &str;

    /// The codec of the pages it makes and reads.
    fn codec(&self) -> Codec;

    /// The size of its pages.
    fn unit_size(&self) -> UnitSize;

    /// How many pages a context works on at once: 8 on IAA, 1 in software. A
    /// hint: a call may bring any number of pages.
    fn batch_hint(&self) -> usize {
        1
    }

    /// What was done through each device queue so far; nothing in software.
    #[cfg(feature = "iaa")]
    fn devices(&self) -> Vec<crate::iaa::DeviceStats> {
        Vec::new()
    }

    /// Makes the context of one CPU, with all the memory it will need.
    ///
    /// # Errors
    /// The reason in words, for [`Error::Context`](crate::Error::Context).
    fn make_context(&self, cpu: usize) -> Result<Box<dyn Compressor>, String>;
}

/// One CPU's context: codec state or device slots, and dst buffers.
///
/// Hot calls allocate nothing. A compressor must hand over every page of a
/// batch exactly once, in any order, unless the delivery says stop; and hand
/// over nothing else.
pub trait Compressor: Send {
    /// Compresses all pages, each with its own result.
    fn compress(&mut self, pages: &dyn Pages, delivery: &mut CompressDelivery<'_>);

    /// Decompresses all pages, each with its own result.
    fn decompress(&mut self, pages: &[Stored<'_>], delivery: &mut DecompressDelivery<'_>);

    /// Bytes this context holds, by part.
    fn memory(&self) -> ContextMemory;
}

/// What a page needs before any codec sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Screened {
    /// The page is of the right size and needs a codec.
    NeedsCodec,
    /// The page repeats this word.
    SameFilled(u64),
}

/// Looks at a page before any codec does. Every compressor asks this first, so
/// that all treat odd and same-filled pages alike.
///
/// # Errors
/// [`PageError::WrongSize`] if the page is not of the unit size.
#[inline]
pub fn screen(bytes: &[u8], unit: UnitSize) -> Result<Screened, PageError> {
    if bytes.len() != unit.bytes() {
        return Err(PageError::WrongSize {
            expected: unit.bytes(),
            actual: bytes.len(),
        });
    }
    Ok(page::same_filled(bytes).map_or(Screened::NeedsCodec, Screened::SameFilled))
}

/// Bytes that one context holds, by part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ContextMemory {
    /// Destination buffers: one in software, 8 on IAA.
    pub dst_buffers: usize,
    /// The codecs' own states: hash tables, windows, dictionaries.
    pub codec_state: usize,
    /// Everything else: lock, counters, bookkeeping.
    pub rest: usize,
}

impl ContextMemory {
    /// The sum of the parts.
    #[must_use]
    pub const fn total(&self) -> usize {
        self.dst_buffers + self.codec_state + self.rest
    }
}

/// What a sink gets for each compressed page: its index in the batch and its
/// result. [`ControlFlow::Break`] ends the call.
pub type CompressSink<'s> =
    dyn FnMut(usize, Result<Outcome<'_>, PageError>) -> ControlFlow<()> + 's;

/// Hands compressed pages to the caller and counts them.
pub struct CompressDelivery<'s> {
    sink: &'s mut CompressSink<'s>,
    report: Report,
}

impl fmt::Debug for CompressDelivery<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompressDelivery")
            .field("report", &self.report)
            .finish_non_exhaustive()
    }
}

impl<'s> CompressDelivery<'s> {
    /// A delivery to `sink`, with nothing counted yet.
    pub fn new(sink: &'s mut CompressSink<'s>) -> Self {
        Self {
            sink,
            report: Report::default(),
        }
    }

    /// Page `index` was compressed.
    #[inline]
    pub fn compressed(
        &mut self,
        index: usize,
        page: Compressed<'_>,
        performed_by: PerformedBy,
    ) -> ControlFlow<()> {
        self.report.done_by(performed_by);
        self.report
            .add(Count::CompressedBytes, page.bytes().len() as u64);
        (self.sink)(index, Ok(Outcome::Compressed { page, performed_by }))
    }

    /// Page `index` does not fit the accept limit, as found by `performed_by`.
    #[inline]
    pub fn incompressible(&mut self, index: usize, performed_by: PerformedBy) -> ControlFlow<()> {
        self.report.done_by(performed_by);
        self.report.add(Count::Incompressible, 1);
        (self.sink)(index, Ok(Outcome::Incompressible))
    }

    /// Page `index` repeats `word`.
    #[inline]
    pub fn same_filled(&mut self, index: usize, word: u64) -> ControlFlow<()> {
        self.report.add(Count::SameFilled, 1);
        (self.sink)(index, Ok(Outcome::SameFilled(word)))
    }

    /// Page `index` ended in an error.
    #[inline]
    pub fn failed(&mut self, index: usize, error: PageError) -> ControlFlow<()> {
        self.report.add(Count::Failed, 1);
        (self.sink)(index, Err(error))
    }

    /// Software did a page that was meant for a device. Counted beside the
    /// page's own result.
    #[inline]
    pub fn fell_back(&mut self, reason: FallbackReason) {
        self.report.add_fallback(reason);
    }

    /// What was counted so far.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }
}

/// A decompressed page.
#[derive(Debug)]
pub enum Decompressed<'a> {
    /// It lies here, in the context's memory or the caller's own stored copy,
    /// until the sink returns.
    At(&'a [u8]),
    /// It was written to the room that [`PageSink::room`] gave.
    InRoom,
}

/// Where decompressed pages go.
pub trait PageSink {
    /// The caller's own memory for page `index`, to be written directly; or
    /// `None` to be shown the page where the context has it.
    fn room(&mut self, index: usize) -> Option<&mut [u8]>;

    /// Page `index` is done. After an error, its room holds unspecified bytes.
    /// [`ControlFlow::Break`] ends the call.
    fn done(
        &mut self,
        index: usize,
        result: Result<Decompressed<'_>, PageError>,
    ) -> ControlFlow<()>;
}

/// Hands decompressed pages to the caller and counts them.
pub struct DecompressDelivery<'s> {
    sink: &'s mut dyn PageSink,
    report: Report,
}

impl fmt::Debug for DecompressDelivery<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DecompressDelivery")
            .field("report", &self.report)
            .finish_non_exhaustive()
    }
}

impl<'s> DecompressDelivery<'s> {
    /// A delivery to `sink`, with nothing counted yet.
    pub fn new(sink: &'s mut dyn PageSink) -> Self {
        Self {
            sink,
            report: Report::default(),
        }
    }

    /// The caller's room for page `index`, if it has any.
    #[inline]
    pub fn room(&mut self, index: usize) -> Option<&mut [u8]> {
        self.sink.room(index)
    }

    /// Page `index` was decompressed from `compressed_bytes` bytes.
    #[inline]
    pub fn decompressed(
        &mut self,
        index: usize,
        page: Decompressed<'_>,
        compressed_bytes: usize,
        performed_by: PerformedBy,
    ) -> ControlFlow<()> {
        self.report.done_by(performed_by);
        self.report
            .add(Count::CompressedBytes, compressed_bytes as u64);
        self.sink.done(index, Ok(page))
    }

    /// Page `index` was stored raw and needed no codec.
    #[inline]
    pub fn raw(&mut self, index: usize, page: Decompressed<'_>) -> ControlFlow<()> {
        self.report.done_by(PerformedBy::Software);
        self.report.add(Count::Incompressible, 1);
        self.sink.done(index, Ok(page))
    }

    /// Page `index` repeats one word.
    #[inline]
    pub fn same_filled(&mut self, index: usize, page: Decompressed<'_>) -> ControlFlow<()> {
        self.report.add(Count::SameFilled, 1);
        self.sink.done(index, Ok(page))
    }

    /// Page `index` ended in an error.
    #[inline]
    pub fn failed(&mut self, index: usize, error: PageError) -> ControlFlow<()> {
        self.report.add(Count::Failed, 1);
        self.sink.done(index, Err(error))
    }

    /// Software did a page that was meant for a device. Counted beside the
    /// page's own result.
    #[inline]
    pub fn fell_back(&mut self, reason: FallbackReason) {
        self.report.add_fallback(reason);
    }

    /// What was counted so far.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }
}

impl Report {
    #[inline]
    fn done_by(&mut self, performed_by: PerformedBy) {
        match performed_by {
            PerformedBy::Software => self.add(Count::Software, 1),
            PerformedBy::Hardware => self.add(Count::Hardware, 1),
            PerformedBy::Modelled => {
                self.add(Count::Hardware, 1);
                self.add(Count::Modelled, 1);
            }
        }
    }
}
