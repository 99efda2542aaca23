//! What becomes of one page: on the way in ([`Outcome`]), at rest ([`Stored`],
//! [`StoredBuf`]), and when it goes wrong ([`PageError`]).

use crate::codec::Codec;
use crate::report::FallbackReason;
use core::fmt;
use core::num::NonZeroU32;
use pagepress_fallback::Corrupt;

/// Who compressed or decompressed a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PerformedBy {
    /// A software codec on the calling CPU.
    Software,
    /// An IAA device.
    Hardware,
    /// The software model of an IAA device, through the same descriptor path; behind
    /// the kernel's own interface too.
    Modelled,
}

impl PerformedBy {
    /// The name that reports print: `software`, `hardware` or `modelled`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Software => "software",
            Self::Hardware => "hardware",
            Self::Modelled => "modelled",
        }
    }
}

/// A compressed page: its bytes and their format.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Compressed<'a> {
    codec: Codec,
    tables: Option<NonZeroU32>,
    bytes: &'a [u8],
}

impl<'a> Compressed<'a> {
    /// Bytes that a pool of this codec once made.
    #[must_use]
    pub const fn new(codec: Codec, bytes: &'a [u8]) -> Self {
        Self {
            codec,
            tables: None,
            bytes,
        }
    }

    /// The same with the id of the canned tables that the page was compressed
    /// with; `None` if it carries its own.
    #[must_use]
    pub const fn with_tables(self, tables: Option<NonZeroU32>) -> Self {
        Self { tables, ..self }
    }

    /// The id of the canned tables without which the page cannot be read. To be
    /// kept with it, as its codec is; most pages have none.
    #[must_use]
    pub const fn tables(&self) -> Option<NonZeroU32> {
        self.tables
    }

    /// The format of [`bytes`](Self::bytes).
    #[must_use]
    pub const fn codec(&self) -> Codec {
        self.codec
    }

    /// The compressed bytes.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

/// What compressing one page came to.
///
/// The bytes lie in the context's dst buffer and are the caller's to copy only
/// until the sink returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// The page shrank to the accept limit or below.
    Compressed {
        /// The bytes and their format.
        page: Compressed<'a>,
        /// Who made them.
        performed_by: PerformedBy,
    },
    /// The page repeats this 8-byte little-endian word; no codec saw it.
    SameFilled(u64),
    /// The page does not fit the accept limit when compressed. Keep the page
    /// itself: this is a result like any other, and final for these bytes.
    Incompressible,
}

impl Outcome<'_> {
    /// An owned copy of what is to be stored; `page` is the page that was
    /// compressed, kept as it is if incompressible.
    #[must_use]
    pub fn to_stored(&self, page: &[u8]) -> StoredBuf {
        match *self {
            Self::Compressed {
                page:
                    Compressed {
                        codec,
                        tables,
                        bytes,
                    },
                ..
            } => StoredBuf::Compressed {
                codec,
                tables,
                bytes: bytes.into(),
            },
            Self::SameFilled(word) => StoredBuf::SameFilled(word),
            Self::Incompressible => StoredBuf::Raw(page.into()),
        }
    }
}

/// A page at rest, as the caller hands it back for decompression.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Stored<'a> {
    /// Compressed bytes with their format.
    Compressed(Compressed<'a>),
    /// A page that repeats this 8-byte little-endian word.
    SameFilled(u64),
    /// The page as it was, because it was incompressible.
    Raw(&'a [u8]),
}

impl<'a> Stored<'a> {
    /// Compressed bytes with their format.
    #[must_use]
    pub const fn compressed(codec: Codec, bytes: &'a [u8]) -> Self {
        Self::Compressed(Compressed::new(codec, bytes))
    }

    /// Bytes the caller has to keep for this page: 8 for a same-filled one.
    #[must_use]
    pub const fn stored_bytes(&self) -> usize {
        match self {
            Self::Compressed(page) => page.bytes.len(),
            Self::SameFilled(_) => size_of::<u64>(),
            Self::Raw(bytes) => bytes.len(),
        }
    }
}

/// A page at rest that owns its bytes.
#[derive(Clone, PartialEq, Eq)]
pub enum StoredBuf {
    /// Compressed bytes with their format.
    #[non_exhaustive]
    Compressed {
        /// The format of `bytes`.
        codec: Codec,
        /// The id of the canned tables they need, if any.
        tables: Option<NonZeroU32>,
        /// The compressed bytes.
        bytes: Box<[u8]>,
    },
    /// A page that repeats this 8-byte little-endian word.
    SameFilled(u64),
    /// The page as it was, because it was incompressible.
    Raw(Box<[u8]>),
}

impl StoredBuf {
    /// The id of the canned tables without which the page cannot be read, if there are
    /// such.
    #[must_use]
    pub fn tables(&self) -> Option<NonZeroU32> {
        match self {
            Self::Compressed { tables, .. } => *tables,
            Self::SameFilled(_) | Self::Raw(_) => None,
        }
    }

    /// The same page, borrowed, as [`Pool::decompress_batch`] takes it.
    ///
    /// [`Pool::decompress_batch`]: crate::Pool::decompress_batch
    #[must_use]
    pub fn as_stored(&self) -> Stored<'_> {
        match self {
            Self::Compressed {
                codec,
                tables,
                bytes,
            } => Stored::Compressed(Compressed::new(*codec, bytes).with_tables(*tables)),
            Self::SameFilled(word) => Stored::SameFilled(*word),
            Self::Raw(bytes) => Stored::Raw(bytes),
        }
    }
}

// Pages are shown by their length: a dump of their bytes serves nobody, and may
// be somebody's secrets.

impl fmt::Debug for Compressed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Compressed({}, {} bytes)", self.codec, self.bytes.len())
    }
}

impl fmt::Debug for Stored<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compressed(page) => fmt::Debug::fmt(page, f),
            Self::SameFilled(word) => write!(f, "SameFilled({word:#018x})"),
            Self::Raw(bytes) => write!(f, "Raw({} bytes)", bytes.len()),
        }
    }
}

impl fmt::Debug for StoredBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.as_stored(), f)
    }
}

/// Why one page could not be compressed or decompressed. The other pages of
/// its batch are not affected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PageError {
    /// A page handed in, or a raw page handed back, is not of the pool's unit
    /// size.
    #[error("a page of {actual} bytes in a pool whose pages have {expected}")]
    WrongSize {
        /// The pool's unit size in bytes.
        expected: usize,
        /// The page's size in bytes.
        actual: usize,
    },
    /// The memory to decompress into is not of the pool's unit size.
    #[error("room for {actual} bytes where a page of {expected} is to be written")]
    WrongRoom {
        /// The pool's unit size in bytes.
        expected: usize,
        /// The size of the memory handed in, in bytes.
        actual: usize,
    },
    /// The page was compressed by a pool of another codec.
    #[error("a page compressed with {actual} in a pool of {expected}")]
    WrongCodec {
        /// The pool's codec.
        expected: Codec,
        /// The page's codec.
        actual: Codec,
    },
    /// The page was compressed with canned tables that this pool does not
    /// have.
    #[error("a page compressed with the tables {actual:#010x}, which this pool does not have")]
    WrongTables {
        /// The id of the page's tables.
        actual: NonZeroU32,
    },
    /// The device did not do the page, and the pool's policy is that software
    /// does not either.
    #[error("the device did not do the page: {reason}")]
    NotByDevice {
        /// Why.
        reason: FallbackReason,
    },
    /// The compressed bytes do not decode to one page.
    #[error("{codec}: the compressed page {}", cause.reason())]
    Corrupt {
        /// The codec that refused the bytes.
        codec: Codec,
        /// What is wrong with them.
        cause: Corrupt,
    },
    /// The codec itself failed; the page may well be compressible.
    #[error("{codec}: the codec failed: {reason}")]
    CodecFailed {
        /// The codec that failed.
        codec: Codec,
        /// Its own words.
        reason: &'static str,
    },
    /// Every context stayed busy and memory for one more was lacking.
    #[error("every context is busy and no spare one could be made")]
    NoContext,
}
