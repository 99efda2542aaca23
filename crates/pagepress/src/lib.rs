//! Compress memory pages in batches: on Intel's In-Memory Analytics
//! Accelerator where there is one, in software elsewhere.
//!
//! Make a [`Pool`], hand it pages, get every page's own result:
//!
//! - [`Outcome::Compressed`]: bytes, their codec, and who made them;
//! - [`Outcome::SameFilled`]: the page repeats one word, and cost no codec;
//! - [`Outcome::Incompressible`]: a value, not an error;
//! - or a [`PageError`] with its cause, which costs no other page anything.
//!
//! Every call returns a [`Report`]: how many pages hardware did, how many
//! software did, and why. Nothing falls back in silence.
//!
//! | module | what |
//! |---|---|
//! | [`pool`] | the pool and its builder |
//! | [`pools`] | a pool that follows another, as zswap switches |
//! | [`outcome`] | one page's result, and the page at rest |
//! | [`report`] | a batch's and a pool's counts |
//! | [`page`] | unit sizes, lists of pages, same-filled pages |
//! | [`tables`] | codes that pages are compressed with and stored without |
//! | [`compressor`] | the trait a backend implements |
//! | `iaa` | devices, and how a pool uses them (feature `iaa`) |

#![forbid(unsafe_code)]

mod backend;
pub mod codec;
pub mod compressor;
mod context;
mod cpus;
pub mod error;
#[cfg(feature = "iaa")]
pub mod iaa;
pub mod outcome;
pub mod page;
pub mod pool;
pub mod pools;
pub mod report;
mod sync;
pub mod tables;
mod unavailable;

pub use codec::Codec;
pub use error::Error;
pub use outcome::{Compressed, Outcome, PageError, PerformedBy, Stored, StoredBuf};
pub use page::{Pages, UnitSize, Units};
pub use pagepress_fallback::Corrupt;
#[cfg(feature = "zstd")]
pub use pagepress_fallback::zstd::train_dictionary as train_zstd_dictionary;
pub use pool::{Backend, Builder, Pool};
pub use pools::{Kept, Pools};
pub use report::{FallbackReason, Report, Stats};
pub use tables::{BadTables, Tables};
pub use unavailable::Unavailable;
