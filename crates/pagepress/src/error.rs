//! Why a pool could not be made.

use crate::codec::Codec;
use crate::unavailable::Unavailable;

/// Why a pool could not be made. Nothing is left behind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The unit size is not one a pool can have.
    #[error("a unit of {bytes} bytes: it must be a power of two from 4096 to 65536")]
    UnitSize {
        /// The size asked for.
        bytes: usize,
    },
    /// The accept limit leaves no room, or would accept pages that did not
    /// shrink.
    #[error("an accept limit of {limit} bytes: it must be from 1 to {max}, below the unit size")]
    AcceptLimit {
        /// The limit asked for.
        limit: usize,
        /// The unit size less one.
        max: usize,
    },
    /// The codec has no such level.
    #[error("{codec} has no level {level}; {known}")]
    Level {
        /// The codec asked for.
        codec: Codec,
        /// The level asked for.
        level: i32,
        /// The levels it has, in words.
        known: &'static str,
    },
    /// A dictionary was given to a codec that takes none.
    #[error("{codec} takes no dictionary; zstd does")]
    Dictionary {
        /// The codec asked for.
        codec: Codec,
    },
    /// Tables were given to a codec that takes none.
    #[error("{codec} takes no tables; deflate does")]
    Tables {
        /// The codec asked for.
        codec: Codec,
    },
    /// Tables were given, and devices told to use other codes.
    #[error("tables were given, and devices told to use other codes")]
    OtherCodes,
    /// Of the pages to train on none says anything of pages to come.
    #[error("no page to learn from: same-filled and random ones are left out")]
    NothingToLearn,
    /// Memory for training is lacking.
    #[error("out of memory")]
    OutOfMemory,
    /// This build lacks the codec.
    #[error("this build lacks {codec}: enable the cargo feature of that name")]
    NotBuilt {
        /// The codec asked for.
        codec: Codec,
    },
    /// A device was demanded and there is none to be used.
    #[error("no usable IAA device: {0}")]
    Unavailable(Unavailable),
    /// The codec is not one that a device has.
    #[error("IAA has no {codec}: it reads and writes deflate")]
    NotOfDevice {
        /// The codec asked for.
        codec: Codec,
    },
    /// A context cannot have that many pages in flight.
    #[error("{pages} pages in flight: a context has from 1 to {max}")]
    InFlight {
        /// The pages asked for.
        pages: usize,
        /// The most there can be.
        max: usize,
    },
    /// A CPU's context could not be made.
    #[error("the context of CPU {cpu} could not be made: {reason}")]
    Context {
        /// The CPU, by Linux' number.
        cpu: usize,
        /// The backend's words.
        reason: String,
    },
}
