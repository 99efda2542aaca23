//! Locks, atomics and counted pointers that lanes share: std's, and loom's where
//! interleavings are explored. What callers of this crate hold stays std's.

#[cfg(not(loom))]
pub(crate) use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64};
#[cfg(loom)]
pub(crate) use loom::{
    sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64},
    sync::{Arc, Mutex},
    thread::yield_now,
};
#[cfg(not(loom))]
pub(crate) use std::{
    sync::{Arc, Mutex},
    thread::yield_now,
};
