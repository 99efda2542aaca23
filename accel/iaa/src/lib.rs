//! Pages through Intel IAA.
//!
//! | module | what |
//! |---|---|
//! | [`recipe`] | which descriptor and which AECS an operation takes |
//! | [`dma`] | memory that a device writes while the program runs |
//! | [`probe`] | a bounded look whether a queue works |
//!
//! Everything here speaks to a [`Portal`](pagepress_abi::Portal), behind which is
//! a work queue or a model of one.

pub mod dma;
pub mod probe;
pub mod recipe;
