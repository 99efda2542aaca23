//! Pages through Intel IAA.
//!
//! | module | what |
//! |---|---|
//! | [`recipe`] | which descriptor an operation takes |
//! | [`tables`] | Huffman codes for the AECS: fixed, of one page, canned |
//! | [`dma`] | memory that a device writes while the program runs |
//! | [`clock`] | time, and how to wait for a completion |
//! | [`fleet`] | the queues, which is next, and which is put aside |
//! | [`lane`] | one context: slots, submitted together, collected as they complete |
//! | [`tally`] | what was done through each queue |
//! | [`probe`] | a bounded look whether a queue works |
//!
//! Everything here speaks to a [`Portal`](pagepress_abi::Portal), behind which is
//! a work queue or a model of one.

pub mod clock;
pub mod dma;
pub mod fleet;
pub mod lane;
pub mod probe;
mod pulse;
pub mod recipe;
mod single;
mod sync;
pub mod tables;
pub mod tally;
